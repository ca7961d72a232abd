"""The environments of a run, from its settings."""

from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import prefrl_envs  # noqa: F401  registers the tasks
from prefrl.config import RunConfig, preset_names
from prefrl.errors import MissingDependencyError, SettingError
from prefrl_envs.live_frames import LiveFrames
from prefrl_envs.rendering import is_drawable
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
            return Monitor(_with_render_states(gym.make(config.env_id, **config.env_kwargs), config))
        except gym.error.DependencyNotInstalled as error:
            raise MissingDependencyError(f"{config.env_id} needs a package: {_clause(error)}.") from error
        except (gym.error.UnregisteredEnv, ModuleNotFoundError) as error:
            raise SettingError(
                f"There is no environment {config.env_id!r}{_advice(config.task, error)}"
            ) from error
        except (gym.error.Error, ImportError, TypeError) as error:
            raise SettingError(f"The environment {config.env_id!r} cannot be made: {_clause(error)}.") from error

    return make


def _with_render_states(env: gym.Env[Any, Any], config: RunConfig) -> gym.Env[Any, Any]:
    """Have every step tell what its frame can be drawn from, where that can be had or people have to see it."""
    if config.teacher == "human" and not is_drawable(env):
        env.close()
        try:
            # Then each step's frame is drawn and kept, which costs time and memory.
            shown = LiveFrames(gym.make(config.env_id, **config.env_kwargs | {"render_mode": "rgb_array"}))
            shown.reset(seed=0)  # draws; what drawing lacks is said now and not in the middle of the training
            return shown
        except ValueError as error:
            raise SettingError(
                f"The environment {config.env_id!r} draws no frames that people could be shown: {_clause(error)}."
            ) from error
    with suppress(TypeError):  # no state to draw from: then there are no clips
        return SimulatorState(env)
    return env


def _clause(error: Exception) -> str:
    """Return what an error says, fit for the middle of a sentence."""
    return " ".join(str(error).split()).rstrip(".")


def _advice(task: str, error: Exception) -> str:
    """Say which tasks and environments have a name like this one, or what gymnasium says."""
    close = get_close_matches(task, [*preset_names(), *gym.registry])
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f" ({_clause(error)}); `prefrl tasks` lists what there is."
