import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prefrl.reward.losses import (
    comparison_loss,
    masked_mean,
    preference_log_probabilities,
    preference_logits,
    preference_loss,
    segment_returns,
    strength_log_probabilities,
)
from prefrl.segments import Ranking, Strength

Losses = Callable[[Tensor], Tensor]


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def gradient(loss: Losses, logits: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    (result,) = torch.autograd.grad(loss(logits).sum(), logits)
    return result


def loss_of(logits: Tensor, preferences: Tensor, error_rate: float) -> Tensor:
    return preference_loss(logits, preferences, error_rate)


def first_is_better(logits: Tensor) -> Tensor:
    return loss_of(logits, torch.ones_like(logits), 0.1)


# --- the label error --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logit", "expected"), [(-10.0, -0.000817), (-5.0, -0.106799), (-1.5, -0.626716), (0.0, -0.45)]
)
def test_gradient_of_a_label_fades_as_the_model_contradicts_it(logit: float, expected: float) -> None:
    # dL/dz = -0.9 p (1 - p) / (0.9 p + 0.05) with p = sigmoid(z); smoothing would give -0.95 and -0.768.
    assert gradient(first_is_better, tensor(logit)).item() == pytest.approx(expected, abs=1e-6)


def test_gradient_is_largest_where_the_model_is_moderately_wrong() -> None:
    logits = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    strength = -gradient(first_is_better, logits)
    assert (strength >= 0).all()
    assert logits[strength.argmax()].item() == pytest.approx(-1.5, abs=0.1)


def test_loss_lies_between_the_floor_and_the_ceiling_of_the_label_error() -> None:
    loss = first_is_better(tensor(-1000.0, 1000.0))
    assert loss[0].item() == pytest.approx(-math.log(0.05))  # 2.996
    assert loss[1].item() == pytest.approx(-math.log(0.95))  # 0.0513


# --- hand-computed, and slowly recomputed -----------------------------------------------------------------


def test_loss_by_hand() -> None:
    # sigmoid(log 3) = 3/4, so P' = 0.9 * 3/4 + 0.05 = 0.725 for the first and 0.275 for the second.
    logits = tensor(math.log(3), math.log(3), math.log(3))
    loss = loss_of(logits, tensor(1.0, 0.0, 0.5), 0.1)
    expected = [-math.log(0.725), -math.log(0.275), -(math.log(0.725) + math.log(0.275)) / 2]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("error_rate", [0.0, 0.1, 0.5])
def test_loss_equals_a_slow_recomputation(error_rate: float, rng: np.random.Generator) -> None:
    logits, preferences = rng.normal(scale=4, size=50), rng.choice([0.0, 0.5, 1.0], size=50)
    loss = loss_of(torch.as_tensor(logits), torch.as_tensor(preferences), error_rate)
    for i in range(50):
        p = math.exp(logits[i]) / (math.exp(logits[i]) + 1)
        heard_first = (1 - error_rate) * p + error_rate / 2
        expected = -preferences[i] * math.log(heard_first) - (1 - preferences[i]) * math.log(1 - heard_first)
        assert loss[i].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("error_rate", [0.0, 0.1])
def test_probabilities_add_up_to_one(error_rate: float) -> None:
    first, second = preference_log_probabilities(torch.linspace(-30, 30, 61, dtype=torch.float64), error_rate)
    np.testing.assert_allclose((first.exp() + second.exp()).numpy(), 1.0, rtol=1e-12)


def test_identical_segments_are_preferred_with_probability_one_half() -> None:
    for error_rate in (0.0, 0.1):
        first, second = preference_log_probabilities(tensor(0.0), error_rate)
        assert first.exp().item() == pytest.approx(0.5, abs=1e-15)
        assert first.equal(second)


@pytest.mark.parametrize("error_rate", [0.0, 0.1])
def test_gradcheck(error_rate: float) -> None:
    logits = torch.linspace(-6, 6, 13, dtype=torch.float64, requires_grad=True)
    preferences = torch.tensor([0.0, 0.5, 1.0] * 4 + [1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss_of(z, preferences, error_rate), (logits,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("error_rate", [0.0, 0.1])
@pytest.mark.parametrize("size", [100.0, 1e4, 1e30])
def test_huge_returns_give_finite_losses_and_gradients(size: float, error_rate: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([size, size, -size, -size], dtype=dtype)
    preferences = torch.tensor([1.0, 0.0, 1.0, 0.5], dtype=dtype)
    assert loss_of(logits, preferences, error_rate).isfinite().all()
    assert gradient(lambda z: loss_of(z, preferences, error_rate), logits).isfinite().all()


# --- order and ties ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_rate", [0.0, 0.1])
@pytest.mark.parametrize("preference", [0.0, 0.5, 1.0])
def test_swapping_the_pair_and_its_answer_changes_nothing(preference: float, error_rate: float) -> None:
    logits = torch.linspace(-20, 20, 41, dtype=torch.float64)
    answered = torch.full_like(logits, preference)
    loss = loss_of(logits, answered, error_rate)
    assert loss.equal(loss_of(-logits, 1 - answered, error_rate))


def test_swapping_the_pair_alone_changes_the_loss() -> None:
    assert not loss_of(tensor(1.0), tensor(1.0), 0.1).equal(loss_of(tensor(-1.0), tensor(1.0), 0.1))


@pytest.mark.parametrize("error_rate", [0.0, 0.1])
def test_an_answer_equal_pulls_returns_together_and_rests_only_there(error_rate: float) -> None:
    logits = torch.linspace(-3, 3, 7, dtype=torch.float64)
    slopes = gradient(lambda z: loss_of(z, torch.full_like(z, 0.5), error_rate), logits)
    assert slopes[3].item() == 0.0
    assert (slopes[:3] < -1e-3).all()
    assert (slopes[4:] > 1e-3).all()


# --- sums and means ---------------------------------------------------------------------------------------


def test_returns_add_up_the_steps_that_are_not_masked() -> None:
    rewards = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    assert segment_returns(rewards, mask).tolist() == [7.0, 24.0]


def test_masked_mean_leaves_out_what_is_masked() -> None:
    values, mask = torch.tensor([[1.0, 3.0, 100.0], [5.0, 6.0, 7.0]]), torch.tensor([[1.0, 1.0, 0.0], [0.0] * 3])
    mean = masked_mean(values, mask)
    assert mean[0].item() == 2.0
    assert mean[1].isnan()


def test_the_loss_is_one_of_differences_of_returns() -> None:
    """Whatever both have in common, and in any shape [..., 2]."""
    returns = torch.tensor([[[3.0, 1.0], [1.0, 3.0]], [[-5.0, -7.0], [0.0, 0.0]]], dtype=torch.float64)
    assert preference_logits(returns)[..., 0].tolist() == [[2.0, -2.0], [2.0, 0.0]]
    loss = comparison_loss(returns, torch.tensor([[[1.0], [0.0]], [[1.0], [0.5]]], dtype=torch.float64), 0.0)
    expected = math.log(1 + math.exp(-2))
    np.testing.assert_allclose(loss.numpy(), [[expected, expected], [expected, math.log(2)]], rtol=1e-12)


# --- rankings ---------------------------------------------------------------------------------------------

RANKED = [(0, 1, 2), (2, 0, 1, 3), (0, 0, 1, 2), (1, 1, 0, 0), (0, 0, 0), (4, 2, 0, 1, 3, 5)]


@pytest.mark.parametrize("ranks", RANKED)
@pytest.mark.parametrize("error_rate", [0.0, 0.1])
def test_the_loss_of_a_ranking_is_the_mean_of_its_pairs(ranks: tuple[int, ...], error_rate: float) -> None:
    """Each two of its segments, counted here one by one."""
    returns = np.random.default_rng(1).normal(size=len(ranks)).tolist()
    losses = []
    for i, j in itertools.combinations(range(len(ranks)), 2):
        chance = error_rate / 2 + (1 - error_rate) / (1 + math.exp(returns[j] - returns[i]))
        if ranks[i] == ranks[j]:
            losses.append(-0.5 * math.log(chance) - 0.5 * math.log(1 - chance))
        else:
            losses.append(-math.log(chance if ranks[i] < ranks[j] else 1 - chance))
    preferences = torch.tensor(Ranking(ranks).preferences, dtype=torch.float64)
    loss = comparison_loss(torch.tensor(returns, dtype=torch.float64), preferences, error_rate)
    assert loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-12)


@pytest.mark.parametrize("ranks", RANKED)
def test_the_order_in_which_segments_are_put_changes_nothing(ranks: tuple[int, ...]) -> None:
    returns = torch.as_tensor(np.random.default_rng(2).normal(size=len(ranks)))
    losses = set()
    for order in itertools.permutations(range(len(ranks))):
        preferences = torch.tensor(Ranking(tuple(ranks[i] for i in order)).preferences, dtype=torch.float64)
        losses.add(round(comparison_loss(returns[list(order)], preferences, 0.1).item(), 12))
    assert len(losses) == 1


def test_pairs_that_a_comparison_lacks_cost_nothing_and_pull_at_nothing() -> None:
    """Two segments beside a ranking of four: as if they were alone."""
    returns = torch.tensor([[0.3, -1.0, 7.0, 9.0], [1.0, 0.5, 0.0, -0.5]], requires_grad=True)
    preferences = torch.tensor([[1.0, *[math.nan] * 5], Ranking((0, 1, 2, 3)).preferences])
    losses = comparison_loss(returns, preferences, 0.1)
    alone = comparison_loss(returns[0, :2], torch.tensor([1.0]), 0.1)
    assert losses[0].item() == alone.item()
    (slope,) = torch.autograd.grad(losses.sum(), returns)
    assert slope[0, 2:].tolist() == [0.0, 0.0]
    assert slope.isfinite().all()
    assert slope[1, 0] < 0 < slope[1, 3]


# --- strength ---------------------------------------------------------------------------------------------

STRENGTHS = [Strength.UNSAID, Strength.SLIGHT, Strength.MUCH]


def said(logits: Tensor, strength: Strength, error_rate: float, much_from: float) -> tuple[Tensor, Tensor]:
    strengths = torch.full(logits.shape, strength, dtype=torch.int8)
    return strength_log_probabilities(logits, strengths, error_rate, much_from)


@pytest.mark.parametrize("error_rate", [0.0, 0.1])
@pytest.mark.parametrize("much_from", [0.1, 2.0, 20.0])
def test_all_that_can_be_said_of_strength_adds_up(error_rate: float, much_from: float) -> None:
    logits = torch.linspace(-30, 30, 121, dtype=torch.float64)
    slight, much = (said(logits, one, error_rate, much_from) for one in (Strength.SLIGHT, Strength.MUCH))
    plain = said(logits, Strength.UNSAID, error_rate, much_from)
    total = sum(side.exp() for side in (*slight, *much))
    torch.testing.assert_close(total, torch.ones_like(logits))
    for side in (0, 1):
        torch.testing.assert_close(slight[side].exp() + much[side].exp(), plain[side].exp())
    torch.testing.assert_close(plain, preference_log_probabilities(logits, error_rate))


def test_the_probability_of_a_strength_by_hand() -> None:
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    logits = tensor(0.7)
    first, second = said(logits, Strength.MUCH, 0.0, 2.0)
    assert first.exp().item() == pytest.approx(sigmoid(0.7 - 2))
    assert second.exp().item() == pytest.approx(sigmoid(-0.7 - 2))
    first, second = said(logits, Strength.SLIGHT, 0.2, 2.0)
    assert first.exp().item() == pytest.approx(0.8 * (sigmoid(0.7) - sigmoid(0.7 - 2)) + 0.2 / 4)
    assert second.exp().item() == pytest.approx(0.8 * (sigmoid(-0.7) - sigmoid(-0.7 - 2)) + 0.2 / 4)


def test_slightly_better_rests_half_way_to_much_better() -> None:
    """Where only the better one is named, returns are pulled apart for ever."""

    def loss(logits: Tensor) -> Tensor:
        return -said(logits, Strength.SLIGHT, 0.1, 3.0)[0]

    assert gradient(loss, tensor(1.5)).item() == pytest.approx(0.0, abs=1e-12)
    assert gradient(loss, tensor(1.0)).item() < 0 < gradient(loss, tensor(2.0)).item()
    assert gradient(lambda logits: -said(logits, Strength.MUCH, 0.1, 3.0)[0], tensor(4.0)).item() < 0


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("preference", [1.0, 0.0])
def test_swapping_the_pair_and_its_strength_changes_nothing(strength: Strength, preference: float) -> None:
    returns, strengths = tensor(1.3, -0.4), torch.tensor(strength)
    options: dict[str, Any] = {"error_rate": 0.1, "strengths": strengths, "much_from": 2.0}
    loss = comparison_loss(returns, torch.tensor([preference]), **options)
    swapped = comparison_loss(returns.flip(0), torch.tensor([1 - preference]), **options)
    torch.testing.assert_close(loss, swapped)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("error_rate", [0.0, 0.1])
def test_huge_returns_of_any_strength_give_finite_losses(strength: Strength, error_rate: float) -> None:
    logits = torch.tensor([-1e6, 0.0, 1e6], requires_grad=True)
    losses = said(logits, strength, error_rate, 2.0)
    (slope,) = torch.autograd.grad(losses[0].sum() + losses[1].sum(), logits)
    assert all(side.isfinite().all() for side in losses)
    assert slope.isfinite().all()
