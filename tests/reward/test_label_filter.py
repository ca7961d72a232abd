"""Answers that are left out of the training, and those that are turned round."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.label_filter import AS_LIKELY_AS_NOT, FLIP_FROM, heard, trust_bound
from prefrl.reward.wrong_answers import Answered
from prefrl.segments import Comparison, Ranking, Strength

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]
NAN = math.nan


def judged(*probabilities: float, decided: Any = None) -> Answered:
    """What is said of pairs."""
    p = torch.tensor(probabilities)[:, None]
    return Answered(p, torch.ones_like(p, dtype=torch.bool) if decided is None else torch.tensor(decided)[:, None])


def turned(comparison: Comparison) -> Comparison:
    return replace(comparison, preferences=tuple(1 - p for p in comparison.preferences))


def with_flips(comparisons: list[Comparison], share: float) -> tuple[list[Comparison], npt.NDArray[np.bool_]]:
    is_turned = np.random.default_rng(5).random(len(comparisons)) < share
    return [turned(c) if wrong else c for c, wrong in zip(comparisons, is_turned, strict=True)], is_turned


# --- what is trusted --------------------------------------------------------------------------------------


def test_what_is_wrong_more_likely_than_not_is_beyond_the_bound() -> None:
    # With 30 of 100 wrong and an error rate of 0.1: w = (30 + 20 · 0.05) / (100 + 20), and P < w is distrusted.
    said = judged(*[1e-6] * 30, *[1 - 1e-6] * 70)
    assert trust_bound(said, 0.1) == pytest.approx(-math.log(31 / 120), rel=1e-3)
    # Where most are wrong, what the reward itself would have said is trusted all the same.
    assert trust_bound(judged(*[1e-6] * 90, *[1 - 1e-6] * 10), 0.1) == AS_LIKELY_AS_NOT


@pytest.mark.parametrize("flips", [False, True])
def test_pairs_by_hand(flips: bool) -> None:
    """In order: trusted, distrusted, all but impossible, equal, and a rating without a pair."""
    preferences = torch.tensor([[1.0], [0.0], [1.0], [0.5], [NAN]])
    said = judged(0.4, 0.1, 0.0005, 0.0005, 0.0005, decided=[True, True, True, False, False])
    found = heard(said, preferences, bound=1.5, flips=flips)
    expected = [1.0, NAN, 0.0 if flips else NAN, 0.5, NAN]
    np.testing.assert_array_equal(found.preferences[:, 0], expected)
    assert found.is_distrusted.tolist() == [False, True, True, False, False]
    assert found.is_left_out.tolist() == [False, True, not flips, False, False], "a rating is trained on"
    assert torch.tensor(0.0005).log().neg() > FLIP_FROM


def test_of_a_ranking_some_pairs_may_be_left_out() -> None:
    preferences = torch.tensor([[1.0, 1.0, 0.0], [1.0, NAN, NAN], [0.0, 1.0, 1.0]])
    p = torch.tensor([[0.9, 0.05, 0.8], [0.9, 0.5, 0.5], [0.01, 0.02, 0.03]])
    found = heard(Answered(p, ~preferences.isnan()), preferences, bound=2.0, flips=False)
    np.testing.assert_array_equal(found.preferences, [[1, NAN, 0], [1, NAN, NAN], [NAN, NAN, NAN]])
    assert found.is_distrusted.tolist() == [True, False, True]
    assert found.is_left_out.tolist() == [False, False, True]


# --- in the training --------------------------------------------------------------------------------------


def fitted(ensemble: RewardEnsemble, *parts: list[Comparison]) -> RewardTrainer:
    trainer = RewardTrainer(ensemble, seed=0)
    for part in parts:
        trainer.add(part)
        trainer.fit(20)
    return trainer


def test_planted_flips_are_found_and_the_reward_is_better_for_it(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    said, is_turned = with_flips(make_comparisons(240), 0.3)
    clean = make_comparisons(300, seed=9)
    fine = {"hidden_sizes": (32, 32), "learning_rate": 3e-3, "batch_size": 16}
    trainer = fitted(make_ensemble(label_filter="drop", **fine), said[:120], said[120:])
    plain = RewardTrainer(make_ensemble(**fine), seed=0)
    for part in (said[:120], said[120:]):
        plain.add(part)
        plain.fit(20)
    assert len(plain.is_distrusted) == 0
    n_found = (trainer.is_distrusted & is_turned).sum()
    assert n_found / trainer.is_distrusted.sum() > 0.75
    assert n_found / is_turned.sum() > 0.75
    assert trainer.evaluate(clean).right.mean() > plain.evaluate(clean).right.mean() + 0.04


def test_where_nothing_is_wrong_next_to_nothing_is_left_out(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = fitted(make_ensemble(label_filter="drop", hidden_sizes=(32, 32)), *[make_comparisons(200)] * 2)
    assert trainer.is_distrusted.mean() < 0.02


def test_each_answer_is_judged_by_the_member_that_is_not_trained_on_it(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(label_filter="drop"), seed=0)
    trainer.add(make_comparisons(90))
    assert ((trainer.draws == 0).sum(axis=0) == 1).all()
    assert ((trainer.draws == 0).sum(axis=1) > 15).all()
    by_bootstrap = RewardTrainer(make_ensemble(label_filter="drop", bootstrap=True), seed=0)
    by_bootstrap.add(make_comparisons(90))
    assert by_bootstrap.draws.max() > 1


def test_what_is_left_out_teaches_nothing_and_is_counted_in_the_metrics(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Distrust fifteen of fifty whatever is said of them: it is as if no member had drawn them."""
    distrusted = np.arange(50) < 15

    def trained(*, by_hand: bool) -> tuple[RewardTrainer, float]:
        trainer = RewardTrainer(make_ensemble(label_filter="drop", l2=0.0), seed=0)
        comparisons = make_comparisons(50)
        for segment in (segment for one in comparisons for segment in one.segments):
            trainer.ensemble.inputs.update(segment.observations, segment.actions)
        trainer.add(comparisons)
        trainer.ensemble.fitted = True
        if by_hand:
            trainer._draws = trainer._draws * ~distrusted
        accuracy = trainer.fit(1).accuracy
        return trainer, accuracy

    def distrust(said: Answered, preferences: torch.Tensor, bound: float, *, flips: bool) -> Any:
        p = torch.where(torch.tensor(distrusted)[:, None], 0.01, 0.99)
        return heard(Answered(p, said.is_decided), preferences, 1.0, flips=False)

    told: list[Any] = []
    monkeypatch.setattr(RewardTrainer, "_adapt_l2", lambda self, train, held_out, n_steps: told.append(held_out))
    monkeypatch.setattr("prefrl.reward.trainer.heard", distrust)
    filtered, accuracy = trained(by_hand=False)
    assert filtered.is_distrusted.tolist() == distrusted.tolist()
    monkeypatch.setattr("prefrl.reward.trainer.heard", lambda said, preferences, bound, flips: None)
    by_hand, _ = trained(by_hand=True)
    for ours, theirs in zip(
        filtered.ensemble.network.state_dict().values(),
        by_hand.ensemble.network.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    # All answers, distrusted or not, by the member that left each out.
    returns = filtered.ensemble.returns([s for one in make_comparisons(50) for s in one.segments])
    is_first = returns[:, 0::2] > returns[:, 1::2]
    right = is_first == np.array([one.preference > 0.5 for one in make_comparisons(50)])
    shares = [right[member, filtered.draws[member] == 0].mean() for member in range(3)]
    assert accuracy == pytest.approx(np.mean(shares))
    # L2 goes by those that are trusted, as what is trained on is.
    p = 1 / (1 + np.exp(returns[:, 1::2] - returns[:, 0::2]))
    answered = np.array([one.preference for one in make_comparisons(50)])
    losses = -np.log(0.9 * np.where(answered > 0.5, p, 1 - p) + 0.05)
    counted = [losses[member, (filtered.draws[member] == 0) & ~distrusted].mean() for member in range(3)]
    np.testing.assert_allclose(told[0], counted, rtol=1e-4)


def test_what_was_left_out_may_come_back(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = RewardTrainer(make_ensemble(label_filter="drop", batch_size=8), seed=0)
    trainer.add(make_comparisons(30))
    shares, n_steps = [], []
    for bound in (math.inf, 0.0, math.inf):
        monkeypatch.setattr("prefrl.reward.trainer.trust_bound", lambda said, error_rate, own=bound: own)
        before = trainer.optimizer.n_steps.max()
        trainer.fit(2)
        shares.append(trainer.is_distrusted.mean())
        n_steps.append(trainer.optimizer.n_steps.max() - before)
    assert shares == [0.0, 1.0, 0.0]
    assert n_steps == [6, 0, 6], "of 20 comparisons of each member"


def test_in_the_first_fit_a_reward_that_knows_nothing_judges_nobody(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    judgements = []
    judge = RewardTrainer._judge

    def counted(self: RewardTrainer) -> None:
        judgements.append(self.optimizer.n_steps.max())
        judge(self)

    monkeypatch.setattr(RewardTrainer, "_judge", counted)
    trainer = RewardTrainer(make_ensemble(label_filter="drop"), seed=0)
    trainer.add(make_comparisons(20))
    trainer.fit(6)
    assert judgements == [3], "after half of its passes, of one step each"
    trainer.fit(2)
    assert judgements == [3, 6]
    alone = RewardTrainer(make_ensemble(label_filter="drop"), seed=0)
    alone.add(make_comparisons(20))
    alone.fit(1)
    assert judgements == [3, 6]


@pytest.mark.parametrize("kind", ["ranking", "strength", "rating", "tie", "mixed"])
@pytest.mark.parametrize("name", ["drop", "flip"])
def test_every_kind_of_answer_is_trained_on(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, kind: str, name: str
) -> None:
    pairs, others = make_comparisons(60), make_comparisons(60, seed=1)
    of_kind = {
        "ranking": [
            replace(a, segments=(*a.segments, b.segments[0]), preferences=Ranking((0, 1, 2)).preferences)
            for a, b in zip(pairs, others, strict=True)
        ],
        "strength": [replace(one, strength=Strength.MUCH) for one in pairs],
        "rating": [
            replace(one, segments=one.segments[:1], preferences=(), rating=1 + i % 5)
            for i, one in enumerate(pairs)
        ],
        "tie": [replace(one, preferences=(0.5,)) for one in pairs],
    }
    said = (
        of_kind[kind] if kind != "mixed" else [one for some in zip(*of_kind.values(), strict=True) for one in some]
    )
    said = [replace(one, seq=number) for number, one in enumerate(said)]
    trainer = RewardTrainer(make_ensemble(label_filter=name), seed=0)
    trainer.add(said)
    for _ in range(3):
        assert math.isfinite(trainer.fit(3).train_loss)
    is_safe = np.array([one.rating is not None or one.is_tie for one in said])
    assert not trainer.is_distrusted[is_safe].any()


def test_it_goes_on_bit_for_bit_where_it_stopped(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    said, _ = with_flips(make_comparisons(80), 0.2)
    straight = fitted(make_ensemble(label_filter="flip"), said[:40])
    arrays, values = straight.state()
    resumed = RewardTrainer(make_ensemble(label_filter="flip", seed=4), seed=4)
    resumed.ensemble.restore(*straight.ensemble.state())
    resumed.restore(arrays, json.loads(json.dumps(values)))
    resumed.refill(said[:40])
    for trainer in (straight, resumed):
        trainer.forget([3, 7])
        trainer.add(said[40:])
        trainer.fit(3)
    np.testing.assert_array_equal(straight.is_distrusted, resumed.is_distrusted)
    for name, array in straight.ensemble.state()[0].items():
        np.testing.assert_array_equal(array, resumed.ensemble.state()[0][name], err_msg=name)


def test_it_reads_images(make_ensemble: MakeEnsemble) -> None:
    from gymnasium import spaces

    from prefrl.segments import Segment
    from prefrl.settings import RewardSettings

    rng = np.random.default_rng(0)
    screens = spaces.Box(0, 255, (48, 48, 1), np.uint8)

    def segment() -> Segment:
        pixels = rng.integers(0, 255, size=(3, 48, 48, 1)).astype(np.uint8)
        return Segment(
            observations=pixels, actions=np.zeros(3, dtype=np.int64), env_rewards=np.zeros(3, np.float32)
        )

    own = RewardSettings(label_filter="drop", batch_size=4, n_members=2)
    trainer = RewardTrainer(RewardEnsemble(screens, spaces.Discrete(2), settings=own))
    trainer.add([Comparison(segments=(segment(), segment()), preferences=(1.0,), seq=i) for i in range(6)])
    trainer.fit(1)
    assert math.isfinite(trainer.fit(1).train_loss)
    assert trainer.is_distrusted.shape == (6,)
