"""Rankings of several segments, and pairs beside them: what is learned, measured and saved."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.evaluation import predict, probabilities_of
from prefrl.segments import Comparison, Ranking, Segment, pairs_of

Array = npt.NDArray[np.float64]
MakeEnsemble = Callable[..., RewardEnsemble]
MakeComparisons = Callable[..., list[Comparison]]


def ranked(comparisons: Sequence[Comparison], size: int) -> list[Comparison]:
    """Return rankings, by true return, of the segments of so many pairs that each holds `size` of them."""
    segments = [segment for comparison in comparisons for segment in comparison.segments]
    groups = [tuple(segments[i : i + size]) for i in range(0, len(segments) - size + 1, size)]
    return [by_return(group, seq=1000 * size + number) for number, group in enumerate(groups)]


def by_return(segments: tuple[Segment, ...], *, seq: int = 0) -> Comparison:
    preferences = Ranking.by([segment.env_return for segment in segments]).preferences
    return Comparison(segments=segments, preferences=preferences, query_id=f"ranking {seq}", seq=seq)


def reversed_order(comparison: Comparison) -> Comparison:
    n = len(comparison.segments)
    said = dict(zip(pairs_of(n), comparison.preferences, strict=True))
    preferences = tuple(1 - said[n - 1 - j, n - 1 - i] for i, j in pairs_of(n))
    return replace(comparison, segments=comparison.segments[::-1], preferences=preferences)


def weights(ensemble: RewardEnsemble) -> dict[str, npt.NDArray[np.float32]]:
    return {name: tensor.numpy().copy() for name, tensor in ensemble.network.state_dict().items()}


def pairs_by_hand(ensemble: RewardEnsemble, comparison: Comparison) -> list[tuple[float, Array]]:
    """Return of each two segments what was said of the earlier one, and P' that it is better by each member."""
    returns = ensemble.returns(list(comparison.segments)).astype(np.float64)
    return [
        (preference, 0.9 / (1 + np.exp(returns[:, j] - returns[:, i])) + 0.05)
        for (i, j), preference in zip(pairs_of(len(comparison.segments)), comparison.preferences, strict=True)
    ]


def mixed(make_comparisons: MakeComparisons) -> list[Comparison]:
    """Pairs, a tie among them, and rankings of three and of five, two of which hold ties."""
    pairs = make_comparisons(24)
    pairs[3] = replace(pairs[3], preferences=(0.5,))
    of_three, of_five = ranked(make_comparisons(18, seed=1), 3), ranked(make_comparisons(20, seed=2), 5)
    of_three[2] = replace(of_three[2], preferences=(0.5, 0.0, 0.0))
    of_five[1] = replace(of_five[1], preferences=(0.5,) * 10)
    return [
        one
        for group in zip(pairs[::3], pairs[1::3], pairs[2::3], of_three, of_five, strict=False)
        for one in group
    ]


def test_metrics_of_pairs_and_rankings_by_hand(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """A ranking's loss is the mean of its pairs; of what is ranked right each pair counts."""
    ensemble, comparisons = make_ensemble(n_members=3), mixed(make_comparisons)
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(comparisons)
    trainer.fit(10)
    trainer.optimizer.learning_rate = 1e-30  # so that the weights after are the weights before
    metrics = trainer.fit(1)
    losses: list[float] = []
    right: list[float] = []
    nats: list[float] = []
    for member in range(3):
        own: tuple[list[float], list[float], list[float]] = ([], [], [])
        for comparison in (comparisons[i] for i in np.flatnonzero(trainer.draws[member] == 0)):
            pairs = [(said, p[member]) for said, p in pairs_by_hand(ensemble, comparison)]
            costs = [-said * math.log(p) - (1 - said) * math.log(1 - p) for said, p in pairs]
            own[0].append(sum(costs) / len(costs))
            own[1].extend((p > 0.5) == (said > 0.5) for said, p in pairs if said != 0.5)
            own[2].extend(cost for cost, (said, _) in zip(costs, pairs, strict=True) if said != 0.5)
        for all_of, of_member in zip((losses, right, nats), own, strict=True):
            all_of.append(sum(of_member) / len(of_member))
    assert metrics.validation_loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert metrics.accuracy == pytest.approx(np.mean(right), rel=1e-5)
    assert metrics.log_loss == pytest.approx(np.mean(nats), rel=1e-5)


def test_evaluation_of_pairs_and_rankings_by_hand(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    ensemble = make_ensemble()
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(make_comparisons(30))
    trainer.fit(10)
    fresh = mixed(make_comparisons)
    found = trainer.evaluate(fresh)
    probabilities = probabilities_of(predict(ensemble, fresh), 0.1)
    for comparison, probability, right, log_loss, disagreement in zip(fresh, probabilities, *found, strict=True):
        pairs = pairs_by_hand(ensemble, comparison)
        decided = [(said, p.mean() if said else 1 - p.mean()) for said, p in pairs if said != 0.5]
        if decided:
            assert right == pytest.approx(np.mean([p > 0.5 for _, p in decided]))
            assert probability == pytest.approx(np.mean([p for _, p in decided]), rel=1e-4)
            assert log_loss == pytest.approx(np.mean([-math.log(p) for _, p in decided]), rel=1e-4)
        else:
            assert math.isnan(right)
            assert math.isnan(probability)
            assert math.isnan(log_loss)
        assert disagreement == pytest.approx(np.mean([np.std((p - 0.05) / 0.9) for _, p in pairs]), rel=1e-3)


@pytest.mark.parametrize("size", [3, 5])
def test_the_order_in_which_segments_were_shown_changes_nothing(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, size: int
) -> None:
    rankings, fitted = ranked(make_comparisons(30), size), []
    for answered in (rankings, list(map(reversed_order, rankings))):
        ensemble = make_ensemble()
        trainer = RewardTrainer(ensemble, seed=0)
        trainer.add(answered)
        trainer.fit(5)
        fitted.append(weights(ensemble))
    for name, expected in fitted[0].items():
        np.testing.assert_allclose(fitted[1][name], expected, atol=1e-5, err_msg=name)


def test_rankings_are_split_whole(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    """One draw for all pairs of a ranking, whoever ranks it, or what is trained on would validate."""
    trainer = RewardTrainer(make_ensemble(), seed=0)
    rankings = ranked(make_comparisons(40), 4)
    again = [replace(reversed_order(one), seq=one.seq + 500, teacher="another") for one in rankings]
    trainer.add([*rankings, *again])
    assert trainer.draws.shape == (3, 40)
    assert (trainer.draws == 0).any()
    np.testing.assert_array_equal(trainer.draws[:, :20], trainer.draws[:, 20:])


def test_pairs_are_learned_as_they_would_be_without_rankings_beside_them(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """The rankings are forgotten before the fit, and leave nothing behind."""
    pairs, fitted = make_comparisons(20), []
    for with_rankings in (False, True):
        trainer = RewardTrainer(make_ensemble(), seed=0)
        rankings = ranked(make_comparisons(20, seed=4), 4) if with_rankings else []
        trainer.add([*pairs[:10], *rankings])
        trainer.add(pairs[10:])
        trainer.forget([one.seq for one in rankings])
        trainer.fit(4)
        fitted.append(weights(trainer.ensemble))
    for name, expected in fitted[0].items():
        np.testing.assert_array_equal(fitted[1][name], expected, err_msg=name)


def test_a_training_goes_on_as_if_it_had_never_stopped(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    comparisons = mixed(make_comparisons)
    straight, resumed = (RewardTrainer(make_ensemble(), seed=0) for _ in range(2))
    straight.add(comparisons)
    straight.fit(2)
    resumed.ensemble.restore(*straight.ensemble.state())
    resumed.restore(*straight.state())
    resumed.refill(comparisons)
    for trainer in (straight, resumed):
        trainer.fit(3)
    for name, expected in weights(straight.ensemble).items():
        np.testing.assert_array_equal(weights(resumed.ensemble)[name], expected, err_msg=name)


def test_it_learns_more_from_a_ranking_than_from_a_pair(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """Thirty answers of either kind, and all pairs of the rankings one by one as what there is to be learned."""
    rankings = ranked(make_comparisons(60, seed=3), 4)
    single = [by_return(two, seq=i) for i, one in enumerate(rankings) for two in combinations(one.segments, 2)]
    fresh = make_comparisons(400, seed=99)
    segments = [segment for one in fresh for segment in one.segments]
    steps: Any = [np.concatenate([getattr(s, name) for s in segments]) for name in ("observations", "actions")]
    true_rewards = np.concatenate([segment.env_rewards for segment in segments])
    found = {}
    for name, comparisons in (("pairs", make_comparisons(30)), ("rankings", rankings), ("single", single)):
        learned = []
        for seed in range(5):
            ensemble = make_ensemble(hidden_sizes=(64, 64), seed=seed)
            trainer = RewardTrainer(ensemble, seed=seed)
            trainer.add(comparisons)
            trainer.fit(60)
            learned.append(np.corrcoef(ensemble.predict(*steps), true_rewards)[0, 1])
        found[name] = np.mean(learned)
    assert 1 - found["rankings"] < 0.75 * (1 - found["pairs"]), found
    assert found["rankings"] > found["single"] - 0.05, found
