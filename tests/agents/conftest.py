"""A small world in which everything that an agent may learn from can be seen in the observations."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from prefrl.segments import Answer, Query

FloatArray = npt.NDArray[np.float32]
HiddenReward = Callable[["DriftEnv", float], float]


def _pay_position(env: "DriftEnv", action: float) -> float:
    return env.position


class DriftEnv(gym.Env[FloatArray, FloatArray]):
    """A point that an action moves; its position and the share of the episode that is over are observed.

    Args:
        length: Steps of each episode.
        hidden_reward: True reward from the environment (before the step) and the action.
        edge: Position beyond which an episode terminates; never by default.
    """

    def __init__(
        self,
        length: int = 10,
        *,
        hidden_reward: HiddenReward = _pay_position,
        edge: float = float("inf"),
    ) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.position = 0.0
        self._length, self._hidden_reward, self._edge = length, hidden_reward, edge
        self._n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        super().reset(seed=seed)
        self.position = float(self.np_random.uniform(-0.1, 0.1))
        self._n_steps = 0
        return self._observation(), {"render_state": self._state()}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), "the environment gets clipped actions"
        reward = self._hidden_reward(self, float(action[0]))
        self.position += 0.1 * float(action[0])
        self._n_steps += 1
        terminated = abs(self.position) > self._edge
        info: dict[str, Any] = {"render_state": self._state()}
        if terminated or self._n_steps >= self._length:
            info["task_metrics"] = {"final_position": self.position}
        return self._observation(), reward, terminated, self._n_steps >= self._length, info

    def _state(self) -> npt.NDArray[np.float64]:
        return np.array([self.position, self._n_steps], dtype=np.float64)

    def _observation(self) -> FloatArray:
        return np.array([self.position, self._n_steps / self._length], dtype=np.float32)


class PositionTeacher:
    """Answers from what is observed, never from the true reward."""

    name = "position"

    def answer(self, query: Query) -> Answer:
        first, second = (float(segment.observations[:, 0].sum()) for segment in query.segments)
        if first == second:
            return Answer.EQUAL
        return Answer.FIRST if first > second else Answer.SECOND


@pytest.fixture
def make_drift() -> Callable[..., gym.Env[Any, Any]]:
    return DriftEnv


@pytest.fixture
def drift_venv() -> Callable[..., VecEnv]:
    """`n_envs` points below `Monitor`, as a user makes them."""

    def make(n_envs: int = 4, seed: int = 0, **settings: Any) -> VecEnv:
        return make_vec_env(lambda: DriftEnv(**settings), n_envs=n_envs, seed=seed)

    return make


@pytest.fixture
def position_teacher() -> PositionTeacher:
    return PositionTeacher()


@pytest.fixture
def policy_weights() -> Callable[[BaseAlgorithm], npt.NDArray[np.float32]]:
    """All weights of an agent's policy and value function in a row."""

    def read(model: BaseAlgorithm) -> npt.NDArray[np.float32]:
        weights: npt.NDArray[np.float32] = torch.cat(
            [p.detach().flatten() for p in model.policy.parameters()]
        ).numpy()
        return weights

    return read
