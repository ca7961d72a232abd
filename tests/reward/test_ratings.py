"""Ratings of single segments, and pairs beside them: what is learned, measured and saved."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from prefrl.errors import RewardModelError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.cutpoints import Cutpoints, rating_log_probabilities, rating_loss
from prefrl.reward.evaluation import MOST_RATED, rated_pairs
from prefrl.segments import Comparison, Segment
from prefrl.segments.answers import LEVELS

MakeEnsemble = Callable[..., RewardEnsemble]
MakeComparisons = Callable[..., list[Comparison]]

CPU = torch.device("cpu")


def rated(comparisons: Sequence[Comparison], ends: Sequence[float] = (-60, -20, 20, 60)) -> list[Comparison]:
    """Return a rating, by true return, of each segment of some pairs."""
    segments = [segment for comparison in comparisons for segment in comparison.segments]
    return [
        Comparison(
            segments=(segment,), preferences=(), rating=level(segment, ends), query_id=f"rated {n}", seq=5000 + n
        )
        for n, segment in enumerate(segments)
    ]


def level(segment: Segment, ends: Sequence[float]) -> int:
    return 1 + int(np.searchsorted(ends, segment.env_return))


def sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def test_a_level_is_as_likely_as_the_logistic_distribution_says() -> None:
    returns, ends = np.array([[-1.0, 0.3, 4.0]]), np.array([[-2.0, -0.5, 0.25, 3.0]])
    found = rating_log_probabilities(torch.as_tensor(returns), torch.as_tensor(ends), 0.1).exp().numpy()
    below = np.concatenate([np.zeros((3, 1)), sigmoid(ends - returns.T), np.ones((3, 1))], axis=1)
    np.testing.assert_allclose(found[0], 0.9 * np.diff(below) + 0.1 / LEVELS, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-12)


@pytest.mark.parametrize("error_rate", [0.0, 0.1])
def test_extreme_returns_keep_their_digits_and_their_gradient(error_rate: float) -> None:
    returns = torch.tensor([[-200.0, -40.0, 0.0, 40.0, 200.0]], requires_grad=True)
    ends = Cutpoints(1, CPU).ends().detach()
    for rating in range(1, LEVELS + 1):
        loss = rating_loss(returns, torch.full((1, 5), rating), ends, error_rate)
        assert torch.isfinite(loss).all()
        (slope,) = torch.autograd.grad(loss.sum(), returns)
        assert torch.isfinite(slope).all()
        if error_rate == 0:  # 1 nat for each unit beyond the level
            assert slope[0, 0] == pytest.approx(0 if rating == 1 else -1, abs=1e-5)
            assert slope[0, -1] == pytest.approx(0 if rating == LEVELS else 1, abs=1e-5)
        else:  # what strongly contradicts stops pulling, and costs no more than a rating by chance
            assert slope[0, [0, -1]].abs().max() < 1e-6
            assert loss.max() <= -math.log(error_rate / LEVELS) + 1e-5


def test_a_higher_level_pulls_up_and_the_opposite_is_its_mirror() -> None:
    returns = torch.tensor([[0.7]], requires_grad=True)
    ends = Cutpoints(1, CPU).ends().detach()  # symmetric about 0
    slopes, losses = [], []
    for rating in range(1, LEVELS + 1):
        loss = rating_loss(returns, torch.tensor([[rating]]), ends, 0.1)
        slopes.append(float(torch.autograd.grad(loss.sum(), returns)[0]))
        mirrored = rating_loss(-returns.detach(), torch.tensor([[LEVELS + 1 - rating]]), ends, 0.1)
        losses.append((float(loss.detach()), float(mirrored)))
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] > 0 > slopes[-1]
    for said, mirror in losses:
        assert said == pytest.approx(mirror, rel=1e-5)


def test_at_first_each_level_is_as_likely_at_a_return_of_0() -> None:
    log_p = rating_log_probabilities(torch.zeros(3, 1), Cutpoints(3, CPU).ends(), 0.0)
    np.testing.assert_allclose(log_p.detach().exp().numpy(), 1 / LEVELS, rtol=1e-5)


def test_what_is_not_rated_costs_nothing() -> None:
    loss = rating_loss(torch.tensor([[3.0, 3.0]]), torch.tensor([[0, 1]]), Cutpoints(1, CPU).ends(), 0.1)
    assert loss[0, 0] == 0
    assert loss[0, 1] > 1


def test_ends_are_learned_from_what_is_said(rng: np.random.Generator) -> None:
    """Planted ends, of levels that are not equally wide, are found again from 20,000 ratings."""
    planted = np.array([-3.0, -2.5, 0.5, 1.0])
    perceived = rng.normal(scale=3, size=(1, 20_000))
    ratings = torch.as_tensor(1 + np.searchsorted(planted, perceived + rng.logistic(size=perceived.shape)))
    returns = torch.as_tensor(perceived, dtype=torch.float32)
    cutpoints = Cutpoints(1, CPU)
    for _ in range(600):
        cutpoints.optimizer.zero_grad()
        rating_loss(
            torch.as_tensor(returns, dtype=torch.float32), ratings, cutpoints.ends(), 0.0
        ).mean().backward()
        cutpoints.optimizer.step(np.array([True]))
    np.testing.assert_allclose(cutpoints.ends().detach().numpy()[0], planted, atol=0.1)


def test_a_reward_is_learned_from_ratings(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add(rated(make_comparisons(150)))
    for _ in range(4):
        metrics = trainer.fit(20)
    assert metrics.accuracy > 0.9
    fresh = make_comparisons(200, seed=3)
    assert np.nanmean(trainer.evaluate(fresh).right) > 0.9
    assert np.nanmean(trainer.evaluate(rated(fresh)).right) > 0.9
    ends = trainer.cutpoints.ends().detach()
    assert (ends.diff(dim=1) > 0).all()
    assert not torch.equal(ends, Cutpoints(3, CPU).ends())


def test_ratings_that_mean_the_opposite_teach_the_opposite(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add([replace(one, rating=LEVELS + 1 - (one.rating or 0)) for one in rated(make_comparisons(100))])
    for _ in range(4):
        trainer.fit(20)
    assert np.nanmean(trainer.evaluate(make_comparisons(100, seed=3)).right) < 0.2


def test_pairs_are_learned_as_if_there_were_no_ratings(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """Those that were withdrawn leave no trace, and pairs move no end of a level."""
    fitted = []
    for withdrawn in (False, True):
        ensemble = make_ensemble()
        trainer = RewardTrainer(ensemble, seed=0)
        if withdrawn:
            ratings = rated(make_comparisons(10, seed=7))
            trainer.add(ratings)
            trainer.forget([one.seq for one in ratings])
        trainer.add(make_comparisons(40))
        trainer.fit(5)
        assert not trainer.cutpoints.optimizer.n_steps.any()
        fitted.append({name: tensor.numpy().copy() for name, tensor in ensemble.network.state_dict().items()})
    for name, expected in fitted[0].items():
        np.testing.assert_allclose(fitted[1][name], expected, atol=1e-6, err_msg=name)


def test_metrics_of_ratings_by_hand(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    ensemble = make_ensemble()
    pairs, ratings = make_comparisons(20), rated(make_comparisons(20, seed=1))
    everything = [*pairs, *ratings]
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(everything)
    trainer.fit(10)
    trainer.optimizer.learning_rate = trainer.cutpoints.optimizer.learning_rate = 1e-30
    metrics = trainer.fit(1)
    ends = trainer.cutpoints.ends().detach().numpy().astype(np.float64)
    losses, accuracies = [], []
    for member in range(ensemble.n_members):
        held_out = [everything[i] for i in np.flatnonzero(trainer.draws[member] == 0)]
        own, right = [], []
        found = {}
        for one in held_out:
            returns = ensemble.returns(list(one.segments))[member].astype(np.float64)
            if one.rating is None:
                said, p = one.preference, 0.9 * sigmoid(returns[0] - returns[1]) + 0.05
                own.append(-math.log(p if said else 1 - p))
                right.append((p > 0.5) == (said > 0.5))
            else:
                below = np.array([0, *sigmoid(ends[member] - returns[0]), 1])
                own.append(-math.log(0.9 * np.diff(below)[one.rating - 1] + 0.1 / LEVELS))
                found[one.seq] = (one.rating, returns[0])
        right += [(a > b) == (x > y) for a, x in found.values() for b, y in found.values() if a > b]
        losses.append(np.mean(own))
        accuracies.append(np.mean(right))
    assert metrics.validation_loss == pytest.approx(np.mean(losses), rel=1e-4)
    assert metrics.accuracy == pytest.approx(np.mean(accuracies), rel=1e-5)


def test_evaluation_of_ratings_by_hand(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    """Each is compared with those that came with it; pairs among them are judged as they are alone."""
    ensemble = make_ensemble()
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(make_comparisons(30))
    trainer.fit(10)
    pairs, ratings = make_comparisons(4, seed=1), rated(make_comparisons(5, seed=2))
    mixed = [ratings[0], *pairs[:2], *ratings[1:6], *pairs[2:], *ratings[6:]]
    found = trainer.evaluate(mixed)
    alone = trainer.evaluate(pairs)
    of_pairs = [i for i, one in enumerate(mixed) if one.rating is None]
    for mixed_values, own_values in zip(found, alone, strict=True):
        np.testing.assert_allclose(mixed_values[of_pairs], own_values, rtol=1e-6)
    returns = {one.seq: ensemble.returns(list(one.segments))[:, 0].astype(np.float64) for one in ratings}
    for i, one in enumerate(mixed):
        if one.rating is None:
            continue
        others = [other for other in ratings if other.seq != one.seq]
        p = {o.seq: 0.9 * sigmoid(returns[one.seq] - returns[o.seq]) + 0.05 for o in others}
        decided = [(o, p[o.seq].mean()) for o in others if o.rating != one.rating]
        chances = [mean if one.rating > (o.rating or 0) else 1 - mean for o, mean in decided]
        assert found.right[i] == pytest.approx(np.mean([chance > 0.5 for chance in chances]))
        assert found.log_loss[i] == pytest.approx(np.mean([-math.log(chance) for chance in chances]), rel=1e-4)
        assert found.disagreement[i] == pytest.approx(
            np.mean([np.std((p[o.seq] - 0.05) / 0.9) for o in others]), rel=1e-3
        )


def test_of_one_rating_alone_and_of_equal_ones_nothing_is_known(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    ratings = [replace(one, rating=3) for one in rated(make_comparisons(2))]
    trainer.add(ratings)
    metrics = trainer.fit(2)
    assert math.isnan(metrics.accuracy)
    alone, equal = trainer.evaluate(ratings[:1]), trainer.evaluate(ratings)
    assert np.isnan(alone).all()
    assert np.isnan([equal.right, equal.log_loss]).all()
    assert (equal.disagreement > 0).all()


def test_of_many_ratings_some_are_compared() -> None:
    n = 3 * MOST_RATED
    returns = torch.arange(n, dtype=torch.float32)[None]
    logits, preferences = rated_pairs(returns, torch.arange(n)[None] % LEVELS + 1)
    assert logits.shape == preferences.shape
    assert 100 * 99 / 2 < logits.shape[1] <= MOST_RATED * (MOST_RATED - 1) / 2
    assert (logits < 0).all(), "the earlier of each two, which is lower here, comes first"
    few, said = rated_pairs(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[2, 0, 1]]))
    assert sorted(zip(few[0].tolist(), said[0].tolist(), strict=True)) == [(-2.0, 1.0), (-1.0, 0.5), (-1.0, 0.5)]


def test_training_goes_on_to_the_bit(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    said = [*rated(make_comparisons(20)), *make_comparisons(10, seed=4)]
    trainers = []
    for stopped in (False, True):
        trainer = RewardTrainer(make_ensemble(), seed=0)
        trainer.add(said)
        trainer.fit(3)
        if stopped:
            ensemble = make_ensemble()
            ensemble.restore(*trainer.ensemble.state())
            arrays, values = trainer.state()
            trainer = RewardTrainer(ensemble, seed=0)
            trainer.restore(arrays, values)
            trainer.refill(said)
        trainer.fit(3)
        trainers.append(trainer)
    whole, resumed = (trainer.state()[0] for trainer in trainers)
    assert any(name.startswith("cutpoints.") for name in whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)


def test_a_state_from_before_there_were_ratings_is_read_and_a_damaged_one_is_not(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    said = make_comparisons(10)
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add(said)
    trainer.fit(1)
    arrays, values = trainer.state()
    old = {name: array for name, array in arrays.items() if not name.startswith("cutpoints.")}
    restored = RewardTrainer(make_ensemble(), seed=0)
    restored.restore(old, values)
    assert torch.equal(restored.cutpoints.ends(), Cutpoints(3, CPU).ends())
    for damaged in (
        {"cutpoints.gaps": arrays["cutpoints.gaps"]},
        {"cutpoints.first": np.zeros((2, 1), np.float32)},
    ):
        with pytest.raises(RewardModelError, match=r"The ends of levels \(`first`\) .* must have shape \(3, 1\)"):
            RewardTrainer(make_ensemble(), seed=0).restore(old | damaged, values)


def test_a_level_that_nobody_names_gets_narrow_and_harms_nothing(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """As it would be after tens of thousands of steps, where people never say "3"."""
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add([one for one in rated(make_comparisons(40)) if one.rating != 3])
    arrays, values = trainer.state()
    arrays["cutpoints.gaps"][:, 1] = -60
    said = [one for one in rated(make_comparisons(40)) if one.rating != 3]
    trainer.restore(arrays, values)
    trainer.refill(said)
    metrics = trainer.fit(3)
    assert np.isfinite([metrics.train_loss, metrics.validation_loss]).all()
    assert np.isfinite(trainer.ensemble.returns(list(said[0].segments))).all()
    assert torch.isfinite(trainer.cutpoints.ends()).all()
