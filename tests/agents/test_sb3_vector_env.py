"""A VecEnv of SB3 must look to a loop like gymnasium's own environments that reset in the step of an end."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import ClipAction
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.agents import PreferenceLearning, SB3VectorEnv
from prefrl.errors import SettingError
from prefrl.feedback import OracleTeacher
from prefrl.settings import FeedbackSettings
from prefrl_envs.testing import EXAMPLE_SPACES, CountingEnv, SpacesEnv

Make = Callable[[], gym.Env[Any, Any]]


def make_dict() -> gym.Env[Any, Any]:
    return SpacesEnv(deepcopy(EXAMPLE_SPACES["dict"]), EXAMPLE_SPACES["box"], length=3)


class SaysWhere(gym.Wrapper[Any, Any, Any, Any]):
    """Puts into the info of a reset that it is one, and into that of a step its number."""

    n_steps = 0

    def reset(self, **kwargs: Any) -> Any:
        observation, _ = self.env.reset(**kwargs)
        self.n_steps = 0
        return observation, {"first": 1}

    def step(self, action: Any) -> Any:
        *result, _ = self.env.step(action)
        self.n_steps += 1
        return *result, {"counted": self.n_steps}


def wrapped(make: Make) -> Make:
    return lambda: Monitor(SaysWhere(make()))


MADE: dict[str, list[Make]] = {
    "truncated": [lambda: CountingEnv((2, 3)), lambda: CountingEnv((3,))],
    "terminated": [lambda: CountingEnv((2, 3), terminates=True), lambda: CountingEnv((4,))],
    "one_dict": [make_dict],
}


def leaves(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix: values}
    return {name: leaf for key in values for name, leaf in leaves(values[key], f"{prefix}/{key}").items()}


@pytest.mark.parametrize("kind", MADE)
def test_it_steps_as_gymnasium_does(kind: str) -> None:
    makers = [wrapped(make) for make in MADE[kind]]
    expected = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    envs = SB3VectorEnv(DummyVecEnv(makers))
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert (envs.observation_space, envs.action_space) == (expected.observation_space, expected.action_space)
    (first, info), (expected_first, expected_info) = envs.reset(seed=7), expected.reset(seed=7)
    same(first, expected_first)
    same(info, expected_info)
    n_ends = 0
    for _ in range(9):
        actions = np.zeros(expected.action_space.shape or (), dtype=np.float32)
        *result, infos = envs.step(actions)
        *wanted, wanted_infos = expected.step(actions)
        for got, want in zip(result, wanted, strict=True):
            same(got, want)
        assert set(infos) == set(wanted_infos)
        if "final_obs" in infos:
            n_ends += 1
            for got, want in zip(infos["final_obs"], wanted_infos["final_obs"], strict=True):
                same(got, want)
            last, wanted_last = infos["final_info"], wanted_infos["final_info"]
            assert set(last) == set(wanted_last)
            for key in ("counted", "_counted", "_episode"):
                same(last[key], wanted_last[key])
            for key in ("r", "l", "_r"):
                same(last["episode"][key], wanted_last["episode"][key])
            same(infos["first"], wanted_infos["first"])
    assert n_ends >= 3


def same(got: Any, want: Any) -> None:
    got, want = leaves(got), leaves(want)
    assert got.keys() == want.keys()
    for key in got:
        np.testing.assert_array_equal(got[key], np.asarray(want[key], dtype=np.asarray(got[key]).dtype))


def test_a_termination_at_the_time_limit_is_a_termination() -> None:
    envs = SB3VectorEnv(DummyVecEnv([lambda: CountingEnv((1,), terminates=True, truncates=True)]))
    envs.reset()
    _, _, terminations, truncations, _ = envs.step(np.zeros((1, 1), dtype=np.float32))
    assert (terminations.tolist(), truncations.tolist()) == ([True], [False])


def test_options_reach_the_environments_and_masks_are_refused() -> None:
    given: list[Any] = []

    class Notes(CountingEnv):
        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            given.append((seed, options))
            return super().reset(seed=seed)

    envs = SB3VectorEnv(DummyVecEnv([Notes, Notes]))
    envs.reset(seed=3, options={"gear": 2})
    envs.reset()
    assert given == [(3, {"gear": 2}), (4, {"gear": 2}), (None, None), (None, None)]
    with pytest.raises(SettingError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(SettingError, match="one number"):
        envs.reset(seed=[1, 2])


def test_a_loop_of_ones_own_learns_from_preferences(drift_venv: Callable[..., VecEnv]) -> None:
    """The position is what is liked: what was asked and said must come back as rewards that rise with it."""
    feedback = FeedbackSettings(segment_length=4, initial_timesteps=200, labels_per_round=20)
    prefs = PreferenceLearning(drift_venv(), teacher=OracleTeacher(), n_labels=60, seed=0, feedback=feedback)
    envs = ClipAction(SB3VectorEnv(prefs.venv))
    rng = np.random.default_rng(0)
    n_steps, total_timesteps = 50, 2000
    prefs.begin(total_timesteps, n_steps * envs.num_envs)
    observations, _ = envs.reset(seed=0)
    before: list[Any] = []
    paid: list[Any] = []
    for _ in range(total_timesteps // (n_steps * envs.num_envs)):
        prefs.update()
        before, paid = [], []
        for _ in range(n_steps):
            before.append(observations[:, 0])
            actions = rng.normal(scale=3.0, size=(envs.num_envs, 1)).astype(np.float32)
            observations, rewards, *_ = envs.step(actions)
            paid.append(rewards)
    prefs.end()
    assert prefs.num_timesteps == total_timesteps
    assert prefs.labels.n_labels == 60
    assert np.corrcoef(np.concatenate(before), np.concatenate(paid))[0, 1] > 0.8
