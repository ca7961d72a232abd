"""Every shipped id: it can be made, is a well-behaved environment, and never ends early."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common import env_checker as sb3_checker

import prefrl_envs
from prefrl_envs.registration import register_all
from prefrl_envs.tasks import TASKS

# Atari games have longer episodes and their own tests: tests/envs/atari.
IDS = [task.env_id for task in TASKS.values() if task.family != "atari"]


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_accepts_the_environment(env_id: str) -> None:
    env = gymnasium.make(env_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # advice about unbounded boxes and the name's version
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_stable_baselines3_accepts_the_environment(env_id: str) -> None:
    env = gymnasium.make(env_id)
    sb3_checker.check_env(env, warn=False, skip_render_check=True)
    env.close()


def episode(env: Any, seed: int, choose: Callable[[int], Any]) -> tuple[int, float]:
    """Play one episode; return its length and return, and see that it ends by truncation and stays finite."""
    env.reset(seed=seed)
    length, total, over = 0, 0.0, False
    while not over:
        observation, reward, terminated, over, _ = env.step(choose(length))
        assert not terminated
        assert np.isfinite(observation).all()
        length, total = length + 1, total + float(reward)
    assert np.isfinite(total)
    return length, total


def adversaries(space: Any) -> list[Callable[[int], Any]]:
    """Policies that try to end an episode: any action, each extreme one held, extremes that change at random."""
    policies: list[Callable[[int], Any]] = [lambda step: space.sample()]
    if isinstance(space, gymnasium.spaces.Box):
        policies += [lambda step: space.low, lambda step: space.high]
        policies.append(lambda step: np.where(space.sample() > 0, space.high, space.low))
    else:
        policies += [lambda step: space.start, lambda step: space.start + space.n - 1]
    return policies


@pytest.mark.parametrize("env_id", IDS)
def test_every_episode_has_the_stated_length_whatever_is_done(env_id: str) -> None:
    """So no return can be told from a length."""
    env = gymnasium.make(env_id)
    assert env.spec is not None
    env.action_space.seed(0)
    played = [episode(env, seed, choose) for seed, choose in enumerate(adversaries(env.action_space))]
    assert {length for length, _ in played} == {env.spec.max_episode_steps}
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_same_seed_gives_the_same_episode_and_another_seed_another(env_id: str) -> None:
    def observations(seed: int) -> list[list[float]]:
        env = gymnasium.make(env_id)
        env.action_space.seed(7)
        seen = [env.reset(seed=seed)[0]]
        seen += [env.step(env.action_space.sample())[0] for _ in range(10)]
        env.close()
        return [np.atleast_1d(observation).tolist() for observation in seen]

    assert observations(1) == observations(1)
    assert observations(1) != observations(2)


@pytest.mark.parametrize("env_id", IDS)
def test_an_environment_can_be_made_again_from_its_spec(env_id: str) -> None:
    env = gymnasium.make(env_id)
    assert env.spec is not None
    again = gymnasium.make(env.spec)
    assert str(again) == str(env)
    env.close()
    again.close()


def test_checkers_that_cost_time_are_left_out() -> None:
    env = gymnasium.make("prefrl/Hopper-v0")
    assert isinstance(env, gymnasium.wrappers.TimeLimit)
    assert env.env is env.unwrapped
    env.close()


def test_registering_twice_changes_nothing() -> None:
    before = {env_id: id(gymnasium.registry[env_id]) for env_id in IDS}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_all()
    assert {env_id: id(gymnasium.registry[env_id]) for env_id in IDS} == before


def test_importing_the_package_loads_no_simulator() -> None:
    code = (
        "import prefrl_envs, sys; "
        "loaded = {'mujoco', 'gymnasium.envs.mujoco', 'cv2', 'av', 'torch', 'prefrl'} & set(sys.modules); "
        "print(*loaded)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_version_is_a_release_number() -> None:
    assert [int(part) for part in prefrl_envs.__version__.split(".")] >= [0, 1, 0]
