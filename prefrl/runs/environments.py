"""The environments of a run, from its settings."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import prefrl_envs  # noqa: F401  registers the tasks
from prefrl.config import RunConfig
from prefrl.errors import MissingDependencyError, SettingError
from prefrl_envs.simulator_state import SimulatorState


def make_environments(config: RunConfig, *, n_envs: int, seed: int) -> DummyVecEnv:
    """Return environments that step together, each with SB3's `Monitor` around it.

    Args:
        config: Names the environment.
        n_envs: How many.
        seed: Of their first resets; environment i gets seed + i.

    Raises:
        SettingError: gymnasium knows no such id, or the environment does not take its arguments.
        MissingDependencyError: The environment needs a package that is not installed.
    """
    venv = DummyVecEnv([_maker(config)] * n_envs)
    venv.seed(seed)
    return venv


def _maker(config: RunConfig) -> Callable[[], gym.Env[Any, Any]]:
    def make() -> gym.Env[Any, Any]:
        try:
            env = gym.make(config.env_id, **config.env_kwargs)
        except gym.error.DependencyNotInstalled as error:
            raise MissingDependencyError(f"{config.env_id} needs a package: {error}") from error
        except (gym.error.Error, ModuleNotFoundError, TypeError) as error:
            raise SettingError(
                f"The environment {config.env_id!r} cannot be made: {error}. `prefrl tasks` lists what there is."
            ) from error
        with suppress(TypeError):  # no state to draw from: then there are no clips
            env = SimulatorState(env)
        return Monitor(env)

    return make
