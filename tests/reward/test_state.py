"""Going on: states of ensemble and trainer, those of older versions, and those that do not fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prefrl.errors import RewardModelError
from prefrl.parts import Arrays, Json, joined, restore_parts
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.ensemble import DESCRIPTION_FILE
from prefrl.segments import Comparison
from prefrl.settings import RewardSettings

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]
Change = Callable[[Arrays, Json], Any]


@pytest.fixture
def trained(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> RewardTrainer:
    trainer = RewardTrainer(make_ensemble(batch_size=8), seed=3)
    trainer.add(make_comparisons(30))
    trainer.fit(2)
    return trainer


def weights(ensemble: RewardEnsemble) -> dict[str, Any]:
    return {name: tensor.numpy().copy() for name, tensor in ensemble.network.state_dict().items()}


def assert_same(a: RewardTrainer, b: RewardTrainer) -> None:
    for (ours, ours_too), (theirs, theirs_too) in (
        (a.state(), b.state()),
        (a.ensemble.state(), b.ensemble.state()),
    ):
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)
        assert ours_too == theirs_too


def test_both_are_parts_of_a_checkpoint(
    trained: RewardTrainer, make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    arrays, values = joined({"reward": trained.ensemble, "trainer": trained})
    other = RewardTrainer(make_ensemble(batch_size=8, seed=9), seed=9)
    restore_parts({"reward": other.ensemble, "trainer": other}, arrays, json.loads(json.dumps(values)))
    other.refill(iter(make_comparisons(30)))
    for trainer in (trained, other):
        trainer.forget([3, 4])
        trainer.add(make_comparisons(20, seed=1))
        trainer.fit(2)
    assert_same(trained, other)


def test_a_state_is_not_changed_by_what_comes_later(
    trained: RewardTrainer, make_comparisons: MakeComparisons
) -> None:
    states = [trained.state(), trained.ensemble.state()]
    kept = [({name: array.copy() for name, array in a.items()}, json.dumps(v)) for a, v in states]
    trained.add(make_comparisons(5, seed=1))
    trained.ensemble.inputs.update(np.ones((9, 3), np.float32), np.ones((9, 2), np.float32))
    trained.fit(1)
    for (arrays, values), (arrays_then, values_then) in zip(states, kept, strict=True):
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, arrays_then[name], err_msg=name)
        assert json.dumps(values) == values_then


def test_a_state_is_not_changed_by_whoever_goes_on_from_it(
    trained: RewardTrainer, make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    arrays, values = trained.ensemble.state()
    trainer_arrays, trainer_values = trained.state()
    before = {name: array.copy() for name, array in (arrays | trainer_arrays).items()}
    other = RewardTrainer(make_ensemble(batch_size=8))
    other.ensemble.restore(arrays, values)
    other.restore(trainer_arrays, trainer_values)
    other.refill(make_comparisons(30))
    other.ensemble.inputs.update(np.ones((9, 3), np.float32), np.ones((9, 2), np.float32))
    other.fit(2)
    for name, array in (arrays | trainer_arrays).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_after_forgetting_the_longest_segments_a_restart_changes_nothing(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """What was padded for them must not linger, in sums that depend on the shape of a batch."""
    short, long = make_comparisons(20, n_steps=3), make_comparisons(20, n_steps=13)[10:]
    straight = RewardTrainer(make_ensemble(), seed=0)
    straight.add(short)
    straight.forget([comparison.seq for comparison in short[10:]])
    straight.add(long)
    straight.forget([comparison.seq for comparison in long])
    resumed = RewardTrainer(make_ensemble(), seed=0)
    resumed.restore(*straight.state())
    resumed.refill(short[:10])
    assert straight._data.widest == resumed._data.widest == 6
    straight.fit(3)
    resumed.fit(3)
    assert_same(straight, resumed)


# --- comparisons are handed back --------------------------------------------------------------------------


def test_before_the_comparisons_are_back_nothing_goes_on(
    trained: RewardTrainer, make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    other = RewardTrainer(make_ensemble())
    other.restore(*trained.state())
    assert (other.n_comparisons, other.n_known) == (30, 30)
    assert other.seqs.tolist() == list(range(30))
    calls: list[Callable[[], Any]] = [
        lambda: other.fit(1),
        lambda: other.add(make_comparisons(1)),
        lambda: other.forget([0]),
    ]
    for call in calls:
        with pytest.raises(
            RewardModelError, match="restored with 30 comparisons; hand them back by `refill` first"
        ):
            call()


@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(lambda c: c[:-1], id="one_is_missing"),
        pytest.param(lambda c: [*c, c[0]], id="one_too_many"),
        pytest.param(lambda c: c[::-1], id="another_order"),
        pytest.param(lambda c: [], id="none"),
    ],
)
def test_other_comparisons_than_there_were_are_refused(
    trained: RewardTrainer,
    make_ensemble: MakeEnsemble,
    make_comparisons: MakeComparisons,
    choose: Callable[[list[Comparison]], list[Comparison]],
) -> None:
    other = RewardTrainer(make_ensemble())
    other.restore(*trained.state())
    with pytest.raises(
        RewardModelError, match=r"Expected the 30 comparisons that the training had, in their order"
    ):
        other.refill(choose(make_comparisons(30)))
    other.refill(make_comparisons(30))
    assert other.fit(1).n_comparisons == 30


# --- states that do not fit -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda a, v: a.pop("weights.1"), r"lacks weights\.1 and has nothing", id="no_weights"),
        pytest.param(lambda a, v: a.pop("input_count"), r"lacks input_count and has nothing", id="no_count"),
        pytest.param(lambda a, v: a.update(spare=np.ones(1)), r"lacks nothing and has spare", id="unknown"),
        pytest.param(
            lambda a, v: a.update({"weights.1": np.ones((3, 8, 9))}), r"`weights\.1` .*shape", id="shape"
        ),
        pytest.param(lambda a, v: a.update(output_sd=np.ones(2)), r"`output_sd` .*shape \(2,\)", id="moments"),
        pytest.param(lambda a, v: v.clear(), r"does not say whether it is fitted", id="fitted"),
    ],
)
def test_a_state_that_does_not_fit_the_ensemble_is_one_sentence(
    trained: RewardTrainer, make_ensemble: MakeEnsemble, change: Change, message: str
) -> None:
    arrays, values = trained.ensemble.state()
    change(arrays, values)
    other = make_ensemble()
    before = weights(other)
    with pytest.raises(RewardModelError, match=message):
        other.restore(arrays, values)
    assert not other.fitted
    for name, array in weights(other).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda a, v: a.pop("seqs"), id="no_numbers"),
        pytest.param(lambda a, v: a.pop("l2"), id="no_l2"),
        pytest.param(lambda a, v: a.update(seqs=a["seqs"][:-1]), id="fewer_numbers_than_draws"),
        pytest.param(lambda a, v: a.update(draws=a["draws"][:2]), id="draws_of_two_members"),
        pytest.param(lambda a, v: a.update(l2=np.ones(2)), id="l2_of_two_members"),
        pytest.param(lambda a, v: a.pop("adam.0.exp_avg"), id="no_moments"),
        pytest.param(lambda a, v: a.update({"adam.steps": np.ones(2)}), id="steps_of_two_members"),
        pytest.param(lambda a, v: a.pop("past"), id="nothing_of_the_past"),
        pytest.param(lambda a, v: v.pop("rng"), id="no_random_state"),
        pytest.param(lambda a, v: v.pop("seed"), id="no_seed"),
        pytest.param(lambda a, v: v.update(rng={"bit_generator": "MT19937"}), id="another_generator"),
        pytest.param(lambda a, v: v.update(seed="x"), id="a_seed_that_is_none"),
    ],
)
def test_a_state_that_does_not_fit_the_training_is_one_sentence(
    trained: RewardTrainer, make_ensemble: MakeEnsemble, change: Change
) -> None:
    arrays, values = trained.state()
    change(arrays, values)
    with pytest.raises(
        RewardModelError, match=r"^(The state of the reward's training is damaged|`.*optimiser)"
    ) as e:
        RewardTrainer(make_ensemble()).restore(arrays, values)
    assert "\n" not in str(e.value)


# --- older versions ---------------------------------------------------------------------------------------


def test_a_reward_model_of_format_1_still_loads(trained: RewardTrainer, tmp_path: Path) -> None:
    ensemble = trained.ensemble
    ensemble.save(tmp_path)
    description = json.loads((tmp_path / DESCRIPTION_FILE).read_text())
    settings, state = description.pop("settings"), description.pop("state")
    old = description | {
        "format_version": 1,
        "n_members": settings["n_members"],
        "hidden_sizes": settings["hidden_sizes"],
        "dropout": settings["dropout"],
        "reward_sd": settings["reward_sd"],
        "fitted": state["fitted"],
    }
    (tmp_path / DESCRIPTION_FILE).write_text(json.dumps(old))
    loaded = RewardEnsemble.load(tmp_path)
    assert loaded.fitted
    assert loaded.settings == RewardSettings(hidden_sizes=(8, 8))
    rng = np.random.default_rng(0)
    observations, actions = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    np.testing.assert_array_equal(loaded.predict(observations, actions), ensemble.predict(observations, actions))


def test_all_settings_come_back_from_disk(make_ensemble: MakeEnsemble, tmp_path: Path) -> None:
    """Those of the training too, so that a trainer of a loaded model is the one it had."""
    ensemble = make_ensemble(learning_rate=0.5, memory=7, sd_weight=-0.5, n_members=2, reward_sd=0.05)
    ensemble.save(tmp_path)
    loaded = RewardEnsemble.load(tmp_path)
    assert loaded.settings == ensemble.settings
    assert RewardTrainer(loaded).optimizer.learning_rate == 0.5


def test_the_draws_of_new_comparisons_go_on_after_a_restart(
    trained: RewardTrainer, make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    other = RewardTrainer(make_ensemble(), seed=99)
    other.restore(*trained.state())
    other.refill(make_comparisons(30))
    for trainer in (trained, other):
        trainer.add(make_comparisons(40, seed=5))
    np.testing.assert_array_equal(trained.draws, other.draws)
    assert torch.equal(trained.l2, other.l2)
