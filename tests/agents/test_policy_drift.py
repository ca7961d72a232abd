"""How far a policy has gone: by hand where it can be, and nothing where it is not known."""

import math
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C, SAC
from stable_baselines3.common.callbacks import BaseCallback

from prefrl.agents.policy_drift import PolicyDrift


class Still(gymnasium.Env[Any, Any]):
    """Observes something at random and never ends."""

    def __init__(self, action_space: spaces.Space[Any], observation_space: spaces.Space[Any]) -> None:
        self.action_space, self.observation_space = action_space, observation_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}


NUMBERS = spaces.Box(-1.0, 1.0, (3,), np.float32)
BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)


class Look(BaseCallback):
    """Measures at the end of the rollout, and again after the policy was changed."""

    def __init__(self, drift: PolicyDrift, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self.drift, self.change = drift, change
        self.found: list[float | None] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.found.append(self.drift.measure(self.model))
        with torch.no_grad():
            self.change(self.model.policy)
        self.found.append(self.drift.measure(self.model))


def drifts(
    change: Callable[[Any], Any],
    action_space: spaces.Space[Any] = BOX,
    observation_space: spaces.Space[Any] = NUMBERS,
    kind: Any = A2C,
    **settings: Any,
) -> list[float | None]:
    """Drift before and after the policy of a new model was changed."""
    policy = "MultiInputPolicy" if isinstance(observation_space, spaces.Dict) else "MlpPolicy"
    policy = "MlpLstmPolicy" if kind is RecurrentPPO else policy
    model = kind(policy, Still(action_space, observation_space), seed=0, **settings)
    look = Look(PolicyDrift(model), change)
    model.learn(16, callback=look)
    return look.found[:2]


def test_means_that_moved() -> None:
    """A Gaussian whose mean moved by m at the deviation s = 1 has the divergence m²/2s² in each dimension."""
    before, after = drifts(lambda policy: policy.action_net.bias.add_(torch.tensor([0.3, -0.5])), n_steps=16)
    assert before == 0
    assert after == pytest.approx((0.09 + 0.25) / 2, rel=1e-4)


def test_deviations_that_shrank() -> None:
    before, after = drifts(lambda policy: policy.log_std.sub_(0.5), n_steps=16)
    assert before == 0
    variance = math.exp(-1.0)
    assert after == pytest.approx(2 * 0.5 * (variance - 1 - math.log(variance)), rel=1e-4)


@pytest.mark.parametrize(
    ("actions", "sizes"),
    [(spaces.Discrete(3), [3]), (spaces.MultiDiscrete([2, 3]), [2, 3]), (spaces.MultiBinary(1), None)],
)
def test_choices(actions: spaces.Space[Any], sizes: list[int] | None) -> None:
    """With all weights 0 the choices are even before, and known after."""

    def even(policy: Any) -> None:
        policy.action_net.weight.zero_()
        policy.action_net.bias.zero_()
        policy.action_net.bias.copy_(torch.arange(len(policy.action_net.bias)) / 2 + (sizes is None))

    _, after = drifts(even, actions, n_steps=16)
    assert after is not None
    logits = np.arange(5) / 2 + (sizes is None)
    if sizes is None:
        p = 1 / (1 + math.exp(-1))
        expected = p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p))
    else:
        parts = np.split(logits[: sum(sizes)], np.cumsum(sizes)[:-1])
        each = [np.exp(part) / np.exp(part).sum() for part in parts]
        expected = sum(float(np.sum(p * np.log(p * len(p)))) for p in each)
    # The first policy of a new model is nearly even: SB3 begins with weights of a hundredth.
    assert after == pytest.approx(expected, rel=0.05)


def test_noise_that_depends_on_the_state() -> None:
    before, after = drifts(lambda policy: policy.log_std.sub_(0.5), use_sde=True, n_steps=16)
    assert before == pytest.approx(0, abs=1e-6)
    assert after is not None
    assert after > 0.1


def test_observations_by_name() -> None:
    both = spaces.Dict({"a": NUMBERS, "b": BOX})
    before, after = drifts(lambda policy: policy.action_net.bias.add_(1.0), BOX, both, n_steps=16)
    assert before == 0
    assert after == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("kind", [SAC, RecurrentPPO])
def test_nothing_is_known_of_some(kind: Any) -> None:
    settings: dict[str, Any] = (
        {"n_steps": 16, "batch_size": 16} if kind is RecurrentPPO else {"learning_starts": 50}
    )
    assert drifts(lambda policy: None, kind=kind, **settings) == [None, None]


def test_nobody_else_s_numbers_change() -> None:
    model = A2C("MlpPolicy", Still(BOX, NUMBERS), seed=0)
    before = torch.random.get_rng_state()
    PolicyDrift(model)
    assert torch.equal(torch.random.get_rng_state(), before)
