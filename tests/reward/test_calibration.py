"""How sure the reward is beside how right: by hand, by limits, and by an independent count."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from prefrl.errors import RewardModelError
from prefrl.reward import Calibration, RewardEnsemble, RewardTrainer
from prefrl.reward.calibration import N_BINS
from prefrl.reward.evaluation import Predicted, answered_probabilities
from prefrl.segments import Comparison

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]


def test_by_hand() -> None:
    said = Calibration.of(np.array([0.91, 0.93, 0.08, 0.62, 1.0]))
    assert said.n == 5
    assert said.counts.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 3, 1]
    assert said.hits.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 2, 1]
    gap_of_nine_tenths = abs(2 - (0.91 + 0.93 + 0.92))
    assert said.error == pytest.approx((0.38 + gap_of_nine_tenths + 0.0) / 5)
    assert said.brier == pytest.approx((0.09**2 + 0.07**2 + 0.92**2 + 0.38**2) / 5)


def test_a_guess_is_calibrated_and_has_a_quarter() -> None:
    said = Calibration.of(np.full(4, 0.5))
    assert said.brier == 0.25
    assert said.counts[0] == 4


def test_answers_drawn_as_it_says_leave_no_error_and_overconfidence_shows() -> None:
    rng = np.random.default_rng(0)
    first = rng.uniform(size=40_000)
    was_first = rng.uniform(size=40_000) < first
    assert Calibration.of(np.where(was_first, first, 1 - first)).error < 0.01
    sharper = first**3 / (first**3 + (1 - first) ** 3)
    assert Calibration.of(np.where(was_first, sharper, 1 - sharper)).error > 0.1


def test_parts_add_up_and_survive_a_file() -> None:
    said = np.random.default_rng(1).uniform(size=50)
    whole, parts = Calibration.of(said), Calibration() + Calibration.of(said[:20]) + Calibration.of(said[20:])
    assert parts.error == pytest.approx(whole.error)
    assert parts.brier == pytest.approx(whole.brier)
    read = Calibration.from_json(json.loads(json.dumps(parts.to_json())))
    assert read.to_json() == parts.to_json()


def test_nothing_is_known_of_nothing() -> None:
    assert math.isnan(Calibration().error)
    assert math.isnan(Calibration.of(np.empty(0)).brier)


@pytest.mark.parametrize("damage", [{"counts": [1.0] * (N_BINS + 1)}, {"hits": None}, {"squares": "x"}])
def test_damaged_counts_are_refused(damage: dict[str, object]) -> None:
    with pytest.raises(RewardModelError, match="damaged"):
        Calibration.from_json(Calibration().to_json() | damage)


def test_every_decided_pair_is_counted_once() -> None:
    """Of a pair, a tie, a ranking of three and three ratings, by one member with logits known by hand."""
    predicted = [
        Predicted(np.array([[1.0, 0.0]]), (0.0,), None),
        Predicted(np.array([[5.0, 0.0]]), (0.5,), None),
        Predicted(np.array([[0.0, 1.0, 3.0]]), (0.0, 0.0, 0.5), None),
        Predicted(np.array([[2.0]]), (), 4),
        Predicted(np.array([[0.0]]), (), 4),
        Predicted(np.array([[1.0]]), (), 2),
    ]
    logits = [-1.0, 1.0, 3.0, 1.0, -1.0]
    expected = sorted(1 / (1 + math.exp(-logit)) for logit in logits)
    assert sorted(answered_probabilities(predicted, 0.0)) == pytest.approx(expected, abs=1e-6)


def test_many_ratings_are_compared_with_some_and_each_two_once() -> None:
    n = 600
    returns = np.arange(n, dtype=np.float64) / 100
    predicted = [Predicted(np.array([[value]]), (), 1 + i % 2) for i, value in enumerate(returns)]
    some = range(0, n, 3)
    pairs = {frozenset((i, j)) for i in range(n) for j in some if i % 2 != j % 2}
    assert len(answered_probabilities(predicted, 0.0)) == len(pairs)


def test_what_members_say_is_averaged_before_it_is_counted() -> None:
    said = answered_probabilities([Predicted(np.array([[2.0, 0.0], [-2.0, 0.0]]), (1.0,), None)], 0.1)
    assert said == pytest.approx([0.5])


def test_a_reward_that_learned_is_surer_and_right(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble())
    trainer.add(make_comparisons(150))
    trainer.fit(30)
    said = trainer.calibration(make_comparisons(150, seed=1))
    assert said.n == 150
    assert said.hits.sum() == np.sum(trainer.evaluate(make_comparisons(150, seed=1)).right)
    assert said.brier < 0.2
