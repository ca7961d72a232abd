"""Toy environments whose every number can be counted by hand. For tests, ours and those of other packages."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

FloatArray = npt.NDArray[np.float32]


class CountingEnv(gymnasium.Env[FloatArray, FloatArray]):
    """The observation is the number of steps since the reset, the reward 10 × the number before.

    So the reward of a transition is 10 × its observation, whatever the action, and an episode of n steps
    returns 10 × n(n−1)/2.

    Args:
        lengths: Steps of the first episode, the second, ...; after the last it begins again.
        terminates: Whether episodes end by termination instead of truncation.
        truncates: Whether episodes end by truncation; the contrary of `terminates` where it is None. With both the
            last step is a termination that coincides with a time limit.

    Raises:
        ValueError: There is no length, or one below 1.
    """

    def __init__(
        self, lengths: Sequence[int] = (10,), *, terminates: bool = False, truncates: bool | None = None
    ) -> None:
        if not lengths or min(lengths) < 1:
            raise ValueError(f"`lengths` must hold numbers of at least 1. Received {lengths}.")
        self.observation_space = spaces.Box(0.0, np.inf, (1,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._lengths = tuple(lengths)
        self._terminates = terminates
        self._truncates = not terminates if truncates is None else truncates
        self._n_episodes = 0
        self._n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Count from 0."""
        super().reset(seed=seed)
        self._n_episodes += 1
        self._n_steps = 0
        return self._observation(), {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Count one further."""
        reward = 10.0 * self._n_steps
        self._n_steps += 1
        ends = self._n_steps >= self._lengths[(self._n_episodes - 1) % len(self._lengths)]
        return self._observation(), reward, ends and self._terminates, ends and self._truncates, {}

    def _observation(self) -> FloatArray:
        return np.array([self._n_steps], dtype=np.float32)


class ActionRewardEnv(gymnasium.Env[FloatArray, FloatArray]):
    """The reward is the action; the observation is always 0. The best policy is the upper bound.

    Args:
        length: Steps of each episode.
    """

    def __init__(self, length: int = 10) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._length = length
        self._n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._n_steps = 0
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Pay the action."""
        self._n_steps += 1
        return np.zeros(1, dtype=np.float32), float(action[0]), False, self._n_steps >= self._length, {}


class SpacesEnv(gymnasium.Env[Any, Any]):
    """Random observations and rewards with any spaces, reproducible from the seed of a reset.

    Args:
        observation_space: Of any kind that gymnasium samples.
        action_space: Of any kind.
        length: Steps of each episode.
    """

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], *, length: int = 10
    ) -> None:
        self.observation_space = observation_space
        self.action_space = action_space
        self._length = length
        self._n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; a seed makes observations and rewards reproducible."""
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self._n_steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Refuse an action that is not in the space; draw an observation and a standard normal reward."""
        if not self.action_space.contains(action):
            raise ValueError(f"`action` must lie in {self.action_space}. Received {action!r}.")
        self._n_steps += 1
        reward = float(self.np_random.standard_normal())
        return self.observation_space.sample(), reward, False, self._n_steps >= self._length, {}


EXAMPLE_SPACES: dict[str, spaces.Space[Any]] = {
    "box": spaces.Box(-1.0, 1.0, (3,), np.float32),
    "box-2d": spaces.Box(-1.0, 1.0, (2, 2), np.float64),
    "discrete": spaces.Discrete(4, start=2),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
    "multi-binary": spaces.MultiBinary(3),
    "dict": spaces.Dict({"speed": spaces.Box(-1.0, 1.0, (2,), np.float32), "gear": spaces.Discrete(3)}),
}
"""One space of each kind that rewards are learned on, by its name."""
