"""Comparisons whose answers follow a linear reward that a network can learn."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from prefrl.reward import RewardEnsemble
from prefrl.segments import Comparison, Segment
from prefrl.settings import RewardSettings

N_OBSERVATIONS, N_ACTIONS = 3, 2
TRUE_WEIGHTS = np.array([1.0, -2.0, 0.5, 0.0, 1.0])


def _make_segment(rng: np.random.Generator, n_steps: int) -> Segment:
    observations = rng.normal(loc=2.0, scale=3.0, size=(n_steps, N_OBSERVATIONS)).astype(np.float32)
    actions = rng.uniform(-1, 1, size=(n_steps, N_ACTIONS)).astype(np.float32)
    env_rewards = np.concatenate([observations, actions], axis=1) @ TRUE_WEIGHTS
    return Segment(observations=observations, actions=actions, env_rewards=env_rewards.astype(np.float32))


def _make_comparisons(
    n: int, *, seed: int = 0, n_steps: int = 5, lengths: Sequence[int] | None = None
) -> list[Comparison]:
    rng = np.random.default_rng(seed)
    comparisons = []
    for i in range(n):
        steps = (n_steps, n_steps) if lengths is None else rng.choice(lengths, size=2)
        first, second = (_make_segment(rng, int(t)) for t in steps)
        preference = float(first.env_return > second.env_return)
        comparisons.append(
            Comparison(segments=(first, second), preferences=(preference,), query_id=f"{seed}-{i}", seq=i)
        )
    return comparisons


def _make_ensemble(*, seed: int = 0, device: str = "cpu", **settings: Any) -> RewardEnsemble:
    observation_space = spaces.Box(-np.inf, np.inf, (N_OBSERVATIONS,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (N_ACTIONS,), np.float32)
    own = RewardSettings(**{"hidden_sizes": (8, 8), **settings})
    return RewardEnsemble(observation_space, action_space, settings=own, seed=seed, device=device)


@pytest.fixture
def make_comparisons() -> Callable[..., list[Comparison]]:
    """`n` comparisons of segments of 3 observed numbers and 2 actions, answered by the linear reward."""
    return _make_comparisons


@pytest.fixture
def make_ensemble() -> Callable[..., RewardEnsemble]:
    """An ensemble for the same spaces, small unless told otherwise."""
    return _make_ensemble
