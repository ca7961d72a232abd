"""How probable answers are to those who are not trained on them, and what share of them is wrong."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from prefrl.reward.wrong_answers import LEAST_PROBABILITY, PRIOR_ANSWERS, answered, wrong_share

NAN = math.nan
Array = npt.NDArray[np.float64]


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def share_by_grid(probabilities: Array, weights: Array, assumed: float) -> float:
    """The share that is most probable of all thousandths."""
    shares = np.arange(1, 1000) / 1000
    posterior = PRIOR_ANSWERS * (assumed * np.log(shares) + (1 - assumed) * np.log(1 - shares))
    for p, weight in zip(probabilities, weights, strict=True):
        posterior += weight * np.log((1 - shares) * p + shares * (1 - p))
    return float(shares[posterior.argmax()])


def test_answers_by_hand() -> None:
    """Three members judge a pair, another one, and a ranking of three whose first two are equal."""
    said = [[0.2, NAN, NAN], [0.9, NAN, NAN], [0.5, 0.8, 0.6]]
    logits = torch.tensor([[[logit(p) if p == p else 0.0 for p in row] for row in said]] * 3)
    logits[1, 0, 0] = logit(0.4)
    judges = torch.tensor([[True, True, False], [True, False, False], [False, False, True]])
    preferences = torch.tensor([[1.0, NAN, NAN], [0.0, NAN, NAN], [0.5, 1.0, 0.0]])
    found = answered(logits, preferences, judges)
    assert found.is_decided.tolist() == [[True, False, False], [True, False, False], [False, True, True]]
    expected = [0.3, 0.1, 0.8, 0.4]  # the mean of 0.2 and 0.4; then one member each
    np.testing.assert_allclose(found.probabilities[found.is_decided], expected, rtol=1e-5)
    np.testing.assert_allclose(found.weights, np.array([[1, 0, 0], [1, 0, 0], [0, 0.5, 0.5]]))


def test_an_answer_is_never_called_impossible_or_certain() -> None:
    logits, judges = torch.tensor([[[80.0], [80.0]]]), torch.ones(1, 2, dtype=torch.bool)
    found = answered(logits, torch.tensor([[0.0], [1.0]]), judges)
    np.testing.assert_allclose(found.probabilities[:, 0], [LEAST_PROBABILITY, 1 - LEAST_PROBABILITY], rtol=0.1)


@pytest.mark.parametrize("assumed", [0.0, 0.05, 0.3])
def test_without_answers_what_is_assumed_holds(assumed: float) -> None:
    assert wrong_share(np.empty(0), np.empty(0), assumed) == pytest.approx(assumed, abs=1e-9)
    # One that the reward knows nothing of tells nothing either.
    assert wrong_share(np.full(9, 0.5), np.ones(9), assumed) == pytest.approx(assumed, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_share_is_the_most_probable_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, weights = rng.beta(2, 1, size=40), rng.choice([1.0, 0.5], size=40)
    assumed = float(rng.uniform(0.01, 0.3))
    found = wrong_share(probabilities, weights, assumed)
    assert found == pytest.approx(share_by_grid(probabilities, weights, assumed), abs=0.001)


def test_shares_of_a_reward_that_is_always_right_are_those_counted() -> None:
    def counted(n_wrong: int, n: int) -> float:
        return wrong_share(np.repeat([1e-9, 1 - 1e-9], [n_wrong, n - n_wrong]), np.ones(n), 0.05)

    # Beta(1 + 20 · 0.05, 1 + 20 · 0.95) is the prior.
    assert counted(30, 100) == pytest.approx((30 + 1) / (100 + 20), abs=1e-6)
    assert counted(95, 100) == pytest.approx((95 + 1) / (100 + 20), abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.9])
def test_a_planted_share_is_found_where_answers_follow_the_reward(share: float) -> None:
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-3 * rng.normal(size=4000)))
    is_first = (rng.random(4000) < p) != (rng.random(4000) < share)
    found = wrong_share(np.where(is_first, p, 1 - p), np.ones(4000), 0.05)
    assert found == pytest.approx(share, abs=0.03)


def test_turning_all_answers_round_turns_the_share_round() -> None:
    probabilities: Any = np.random.default_rng(1).uniform(0.01, 0.99, size=30)
    found = wrong_share(probabilities, np.ones(30), 0.2)
    assert wrong_share(1 - probabilities, np.ones(30), 0.8) == pytest.approx(1 - found, abs=1e-9)
