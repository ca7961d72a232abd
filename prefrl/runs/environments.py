"""The environments of a run, from its settings."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.monitor import Monitor

from prefrl.config import RunConfig
from prefrl.env_errors import error_text, explain_env_errors
from prefrl.errors import SettingError
from prefrl.runs.env_checks import CheckedEnv, check_spaces
from prefrl.runs.serial_vec_env import SerialVecEnv
from prefrl_envs.fixed_horizon import HideTermination
from prefrl_envs.live_frames import LiveFrames
from prefrl_envs.redrawing import is_redrawable, layers
from prefrl_envs.replay import EpisodeReplay, needs_replay
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.task_metrics import TaskMetrics
from prefrl_envs.tasks import TASKS, TASKS_BY_ENV_ID

DEFAULT_TIME_LIMIT = 1000
"""Steps of an episode where neither the environment nor the settings name a limit: an evaluation has to end."""
OWN_ENVIRONMENT = "docs/own-environment.md"


class DefaultTimeLimit(TimeLimit):
    """The time limit of an environment that names none."""


def make_environments(config: RunConfig, *, n_envs: int, seed: int, keep_frames: bool = False) -> SerialVecEnv:
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
    venv = SerialVecEnv([_maker(config, keep_frames)] * n_envs)
    venv.seed(seed)
    return venv


def check_oracle(config: RunConfig) -> None:
    """Refuse a choice of oracle where there is none.

    Raises:
        SettingError: The environment has not two oracles and one is asked for.
    """
    task = TASKS_BY_ENV_ID.get(config.env_id)
    if config.oracle is not None and (task is None or len(task.oracles) == 1):
        some = ", ".join(task.name for task in TASKS.values() if len(task.oracles) > 1)
        raise SettingError(
            f"`oracle` is a choice of the paper's MuJoCo tasks only ({some}). Received oracle={config.oracle} for "
            f"{config.env_id}; leave it out."
        )


def _maker(config: RunConfig, keep_frames: bool) -> Callable[[], gym.Env[Any, Any]]:
    def make() -> gym.Env[Any, Any]:
        with explain_env_errors(config):
            env = _make_one(config)
            if keep_frames and not is_redrawable(env):
                env.close()
                env = _make_with_frames(config)
            else:
                with suppress(TypeError):  # no state to draw from: then there are no clips
                    env = SimulatorState(env)
            check_spaces(config.env_id, env.observation_space, env.action_space)
            return Monitor(env if _is_ours(env) else CheckedEnv(env, config.env_id))

    return make


def try_environment(config: RunConfig, *, keep_frames: bool = False) -> None:
    """Make one environment, reset it and take a step, so that what is wrong with it is said before anything else.

    Ours are tested and not tried.

    Args:
        config: Names the environment.
        keep_frames: As in `make_environments`.

    Raises:
        SettingError, MissingDependencyError: As `make_environments` does.
        SpaceError: No reward network or no agent can use its spaces.
        FaultyEnvError: It raises an error in `reset` or `step`, or returns what it must not.
    """
    if config.env_id in TASKS_BY_ENV_ID:
        return
    env = _maker(config, keep_frames)()
    env.action_space.seed(0)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()


def _is_ours(env: gym.Env[Any, Any]) -> bool:
    return env.spec is not None and env.spec.id in TASKS_BY_ENV_ID


def _make_one(config: RunConfig, **more: Any) -> gym.Env[Any, Any]:
    """Make one environment that comes to an end, tells its metrics, and can be brought back by a snapshot."""
    env = gym.make(config.env_id, **config.make_kwargs | more)
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


def _make_with_frames(config: RunConfig) -> gym.Env[Any, Any]:
    """Make one environment whose every step is drawn."""
    try:
        env = LiveFrames(_make_one(config, render_mode="rgb_array"))
        env.reset(seed=0)  # draws; what drawing lacks is said now and not in the middle of the training
    except gym.error.DependencyNotInstalled:
        raise
    except Exception as error:  # the code of others
        raise SettingError(
            f"The environment {config.env_id!r} draws no frames that people could be shown: {error_text(error)}; "
            f"{OWN_ENVIRONMENT} shows what it takes."
        ) from error
    return env
