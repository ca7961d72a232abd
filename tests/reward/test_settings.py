import math
from typing import Any

import pytest

from prefrl.errors import SettingError
from prefrl.settings import RewardSettings

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("n_members", (0, -1)),
        ("batch_size", (0,)),
        ("memory", (-1,)),
        ("first_epochs", (0,)),
        ("epochs", (0,)),
        ("hidden_sizes", ((8, 0),)),
        ("learning_rate", (0.0, -1.0, NAN, INF)),
        ("reward_sd", (0.0, -1.0, NAN, INF)),
        ("dropout", (-0.1, 1.0, NAN)),
        ("error_rate", (-0.1, 1.0, NAN)),
        ("l2", (-1.0, NAN, INF)),
        ("sd_weight", (NAN, INF, -INF)),
        ("bonus", (-0.1, NAN, INF)),
        ("pessimism", (-0.1, NAN, INF)),
        ("crop_least", (0.0, -0.5, 1.1, NAN)),
        ("pseudo_weight", (-1.0, NAN, INF)),
        ("pseudo_threshold", (0.5, 1.0, NAN)),
        ("pseudo_ratio", (0, -1)),
        ("aggregation", ("max", "")),
        ("label_filter", ("RIME", "")),
    ],
)
def test_a_reward_setting_that_cannot_be_is_named_with_its_value(setting: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(SettingError, match=rf"`{setting}`") as caught:
            RewardSettings(**{setting: value})
        assert f"{value}" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_limits_of_reward_settings_are_allowed() -> None:
    RewardSettings(n_members=1, batch_size=1, memory=0, dropout=0.0, error_rate=0.0, l2=0.0, hidden_sizes=())
    RewardSettings(aggregation="min")
    RewardSettings(sd_weight=-1.0)
    RewardSettings(n_members=2, bonus=1.0, pessimism=1.0)
    RewardSettings(crop_least=1.0, pseudo_weight=0.0, pseudo_threshold=0.501, pseudo_ratio=1)


def test_the_smallest_member_has_no_standard_deviation() -> None:
    with pytest.raises(SettingError, match=r"leave it at 0 with `aggregation` min\. Received -0\.5\."):
        RewardSettings(aggregation="min", sd_weight=-0.5)


@pytest.mark.parametrize("name", ["bonus", "pessimism"])
def test_what_disagreement_pays_is_said_once_and_of_several_members(name: str) -> None:
    def make(**others: Any) -> RewardSettings:
        others[name] = 0.1
        return RewardSettings(**others)

    with pytest.raises(SettingError, match=r"`sd_weight` of the reward model is for all of a run.* Received 0\.5"):
        make(sd_weight=0.5)
    with pytest.raises(SettingError, match=r"with `aggregation` min and `n_members` 3\.$"):
        make(aggregation="min")
    with pytest.raises(SettingError, match=r"with `aggregation` mean and `n_members` 1\.$"):
        make(n_members=1)


def test_what_disagreement_pays_by_the_labels_to_come() -> None:
    settings = RewardSettings(bonus=0.4, pessimism=0.3)
    assert [settings.sd_weight_at(share) for share in (1.0, 0.5, 0.0)] == pytest.approx([0.4, 0.2, -0.3])
    constant = RewardSettings(sd_weight=-1.5)
    assert [constant.sd_weight_at(share) for share in (1.0, 0.5, 0.0)] == [-1.5] * 3
    assert RewardSettings().sd_weight_at(0.0) == 0.0


def test_answers_are_judged_in_one_way_and_by_those_who_are_not_trained_on_them() -> None:
    with pytest.raises(SettingError, match="choose one"):
        RewardSettings(label_filter="drop", reliability=True)
    for own in ({"label_filter": "flip"}, {"reliability": True}):
        with pytest.raises(SettingError, match=r"`n_members` to 2 or more. Received 1"):
            RewardSettings(n_members=1, **own)
        assert RewardSettings(n_members=2, **own).judges_answers
    assert not RewardSettings().judges_answers
