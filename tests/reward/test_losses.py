import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from prefrl.reward.losses import (
    masked_mean,
    preference_log_probabilities,
    preference_logits,
    preference_loss,
    segment_returns,
)

Losses = Callable[[Tensor], Tensor]


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def gradient(loss: Losses, logits: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    (result,) = torch.autograd.grad(loss(logits).sum(), logits)
    return result


def loss_of(logits: Tensor, preferences: Tensor, error_rate: float) -> Tensor:
    return preference_loss(torch.stack([logits, torch.zeros_like(logits)], dim=-1), preferences, error_rate)


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
    assert preference_logits(returns).tolist() == [[2.0, -2.0], [2.0, 0.0]]
    loss = preference_loss(returns, torch.tensor([[1.0, 0.0], [1.0, 0.5]], dtype=torch.float64), 0.0)
    expected = math.log(1 + math.exp(-2))
    np.testing.assert_allclose(loss.numpy(), [[expected, expected], [expected, math.log(2)]], rtol=1e-12)
