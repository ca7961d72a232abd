"""The environments of a run, from its settings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import prefrl_envs  # noqa: F401  registers the tasks
from prefrl.config import RunConfig, preset_names
from prefrl.errors import MissingDependencyError, SettingError
from prefrl_envs.fixed_horizon import HideTermination
from prefrl_envs.live_frames import LiveFrames
from prefrl_envs.mujoco.oracles import PAPER
from prefrl_envs.redrawing import is_redrawable, layers
from prefrl_envs.replay import EpisodeReplay, needs_replay
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.task_metrics import TaskMetrics

DEFAULT_TIME_LIMIT = 1000
"""Steps of an episode where neither the environment nor the settings name a limit: an evaluation has to end."""
OWN_ENVIRONMENT = "docs/own-environment.md"


class DefaultTimeLimit(TimeLimit):
    """The time limit of an environment that names none."""


def make_environments(config: RunConfig, *, n_envs: int, seed: int, keep_frames: bool = False) -> DummyVecEnv:
    """Return environments that step together, each with SB3's `Monitor` around it.

    Args:
        config: Names the environment.
        n_envs: How many.
        seed: Of their first resets; environment i gets seed + i.
        keep_frames: Where no frame can be drawn from a state, draw one at every step and keep it.

    Raises:
        SettingError: gymnasium knows no such id, or the environment cannot be made, or draws nothing although
            frames are to be kept; or it has not two oracles and one is asked for.
        MissingDependencyError: The environment needs a package that is not installed.
    """
    check_oracle(config)
    venv = DummyVecEnv([_maker(config, keep_frames)] * n_envs)
    venv.seed(seed)
    return venv


def check_oracle(config: RunConfig) -> None:
    """Refuse a choice of oracle where there is none.

    Raises:
        SettingError: The environment has not two oracles and one is asked for.
    """
    if config.oracle is not None and config.env_id not in PAPER:
        raise SettingError(
            f"`oracle` is a choice of the paper's MuJoCo tasks only ({', '.join(PAPER)}). Received "
            f"oracle={config.oracle} for {config.env_id}; leave it out."
        )


def _maker(config: RunConfig, keep_frames: bool) -> Callable[[], gym.Env[Any, Any]]:
    def make() -> gym.Env[Any, Any]:
        with a_sentence_for_what_fails(config):
            env = _made(config)
            if keep_frames and not is_redrawable(env):
                env.close()
                return Monitor(_with_frames(config))
            with suppress(TypeError):  # no state to draw from: then there are no clips
                env = SimulatorState(env)
            return Monitor(env)

    return make


def _made(config: RunConfig, **more: Any) -> gym.Env[Any, Any]:
    """Make one environment that comes to an end, tells its metrics, and can be brought back by a snapshot."""
    env = gym.make(config.env_id, **config.env_kwargs | more)
    if env.spec is None or env.spec.max_episode_steps is None:
        env = DefaultTimeLimit(env, DEFAULT_TIME_LIMIT)
    if needs_replay(env):
        env = EpisodeReplay(env)
    if config.hide_termination:
        env = HideTermination(env)
    found = list(layers(env))
    counts = any(callable(getattr(layer, "task_metrics", None)) for layer in found)
    told = any(isinstance(layer, TaskMetrics) for layer in found)
    return TaskMetrics(env) if counts and not told else env


def _with_frames(config: RunConfig) -> gym.Env[Any, Any]:
    """Make one environment whose every step is drawn."""
    try:
        env = LiveFrames(_made(config, render_mode="rgb_array"))
        env.reset(seed=0)  # draws; what drawing lacks is said now and not in the middle of the training
    except gym.error.DependencyNotInstalled:
        raise
    except Exception as error:  # the code of others
        raise SettingError(
            f"The environment {config.env_id!r} draws no frames that people could be shown: {_clause(error)}; "
            f"{OWN_ENVIRONMENT} shows what it takes."
        ) from error
    return env


@contextmanager
def a_sentence_for_what_fails(config: RunConfig) -> Iterator[None]:
    """Turn whatever the making of an environment raises into a sentence; it may be the code of others."""
    try:
        yield
    except SettingError:
        raise
    except gym.error.DependencyNotInstalled as error:
        raise MissingDependencyError(f"{config.env_id} needs a package: {_clause(error)}.") from error
    except ModuleNotFoundError as error:
        # gymnasium adds words of its own.
        raise SettingError(
            f"The module of {config.env_id!r} cannot be imported: {str(error).split('. ')[0]}; install its "
            "package, or run prefrl where the module lies."
        ) from error
    except gym.error.UnregisteredEnv as error:
        raise SettingError(f"There is no environment {config.env_id!r}{_advice(config.task, error)}") from error
    except Exception as error:
        raise SettingError(
            f"The environment {config.env_id!r} cannot be made: {_clause(error)} (--debug shows where)."
        ) from error


def _clause(error: Exception) -> str:
    """Return what an error says, fit for the middle of a sentence; its kind where it says nothing."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _advice(task: str, error: Exception) -> str:
    """Say which tasks and environments have a name like this one, or what gymnasium says."""
    close = get_close_matches(task, [*preset_names(), *gym.registry])
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f" ({_clause(error)}); `prefrl tasks` lists what there is."
