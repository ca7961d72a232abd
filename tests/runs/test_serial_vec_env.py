"""Environments stepped one after another: what SB3's own does, and what it does not do."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from prefrl.runs.serial_vec_env import SerialVecEnv


class Counting(gym.Env[Any, Any]):
    """Observes how many steps it has made, in one buffer and with one info for ever; ends after three or four."""

    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, horizon: int = 3, *, truncates: bool = True, named: bool = False) -> None:
        box = spaces.Box(-10.0, 10.0, (1,), np.float32)
        self.observation_space = spaces.Dict({"n": box}) if named else box
        self.horizon, self.truncates, self.named = horizon, truncates, named
        self.n_steps = np.zeros(1, dtype=np.float32)
        self.info: dict[str, Any] = {"horizon": horizon}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.n_steps[0] = 0.0
        return self.observation(), {"first": True}

    def step(self, action: Any) -> Any:
        self.n_steps += 1
        ends = bool(self.n_steps[0] == self.horizon)
        return (
            self.observation(),
            float(action[0]),
            ends and not self.truncates,
            ends and self.truncates,
            self.info,
        )

    def observation(self) -> Any:
        return {"n": self.n_steps} if self.named else self.n_steps


def stepped(venv: VecEnv, n_steps: int) -> list[Any]:
    """All that is returned, step by step."""
    rng = np.random.default_rng(0)
    venv.seed(0)
    seen: list[Any] = [venv.reset()]
    for _ in range(n_steps):
        assert venv.action_space.shape is not None
        actions = rng.uniform(-1, 1, size=(venv.num_envs, *venv.action_space.shape)).astype(np.float32)
        seen.append((*venv.step(actions), list(venv.reset_infos)))
    return seen


@pytest.mark.parametrize("env_id", ["prefrl/Hopper-v0", "prefrl/Pendulum-v0"])
def test_it_returns_what_sb3_returns(env_id: str) -> None:
    def make() -> gym.Env[Any, Any]:
        env = Monitor(gym.make(env_id, max_episode_steps=7))
        env.reset(seed=0)
        return env

    ours, theirs = (stepped(kind([make] * 2), 16) for kind in (SerialVecEnv, DummyVecEnv))
    for one, other in zip(ours, theirs, strict=True):
        for info in (*(one[3] if isinstance(one, tuple) else ()), *(other[3] if isinstance(other, tuple) else ())):
            info.get("episode", {}).pop("t", None)  # wall time
        np.testing.assert_equal(one, other)


@pytest.mark.parametrize("named", [False, True])
def test_ends_and_what_was_observed_last(named: bool) -> None:
    """The environment writes over its last observation in `reset`; SB3's would return 0 for it."""
    venv = SerialVecEnv([lambda: Counting(3, named=named), lambda: Counting(4, truncates=False, named=named)])
    venv.reset()
    for step in range(1, 5):
        observations, rewards, dones, infos = venv.step(np.array([[0.25], [0.5]]))
        numbers = observations["n"] if isinstance(observations, dict) else observations
        assert isinstance(numbers, np.ndarray)
        assert numbers.tolist() == [[[1], [2], [0], [1]][step - 1], [[1], [2], [3], [0]][step - 1]]
        assert rewards.tolist() == [0.25, 0.5]
        assert dones.tolist() == [step == 3, step == 4]
        assert [info["TimeLimit.truncated"] for info in infos] == [step == 3, False]
        ended = [info.get("terminal_observation") for info in infos]
        last = {"n": np.array([step], dtype=np.float32)} if named else np.array([step], dtype=np.float32)
        np.testing.assert_equal(ended, [last if step == 3 else None, last if step == 4 else None])
    assert venv.reset_infos == [{"first": True}] * 2


def test_each_step_has_arrays_and_infos_of_its_own() -> None:
    venv = SerialVecEnv([Counting, Counting])
    first = venv.reset()
    assert isinstance(first, np.ndarray)
    observations, rewards, dones, infos = venv.step(np.zeros((2, 1)))
    infos[0]["note"] = 1
    rewards += 5.0
    dones[:] = True
    _, later_rewards, later_dones, later_infos = venv.step(np.zeros((2, 1)))
    assert [sorted(info) for info in later_infos] == [["TimeLimit.truncated", "horizon"]] * 2
    assert later_rewards.tolist() == [0.0, 0.0]
    assert not later_dones.any()
    assert isinstance(observations, np.ndarray)
    assert (first.tolist(), observations.tolist()) == ([[0], [0]], [[1], [1]])
