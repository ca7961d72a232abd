"""What steps the environments of a training: SB3 one after another, or a simulator that steps many at once.

Evaluations are always stepped one by one (`prefrl.runs.environments`): they are short, and their clips and metrics
then come from the very environment that the task names.
"""

import os
from collections.abc import Mapping
from typing import Literal

from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from prefrl.agents.gymnasium_vec_env import GymnasiumVecEnv
from prefrl.config import RunConfig
from prefrl.env_errors import explain_env_errors
from prefrl.errors import MissingDependencyError, SettingError
from prefrl.runs.environments import check_oracle, make_environments, try_environment
from prefrl_envs.atari.stepping import AleStepping
from prefrl_envs.fast_stepping import FastStepper, FastStepping
from prefrl_envs.mujoco.envpool_stepping import EnvpoolStepping
from prefrl_envs.tasks import TASKS_BY_ENV_ID

Stepping = Literal["sb3"] | FastStepper

STEPPERS: Mapping[FastStepper, type[FastStepping]] = {"envpool": EnvpoolStepping, "ale": AleStepping}
"""What `--stepping` names, besides SB3."""


def resolve_stepping(config: RunConfig) -> Stepping:
    """Return what is to step the environments of a run.

    "auto" is the task's fast stepping if it is installed and known to give the same trajectories as gymnasium.

    Raises:
        SettingError: The stepper that was asked for cannot step this environment.
        MissingDependencyError: It is not installed.
    """
    if config.stepping == "sb3":
        return "sb3"
    fast = _fast_stepping(config)
    if config.stepping == "auto":
        if fast is None or config.hide_termination:
            return "sb3"
        return fast.name if fast.same_trajectories and fast.extra.is_installed else "sb3"
    if config.hide_termination:
        raise SettingError(
            f"`stepping={config.stepping}` cannot hide terminations; leave `stepping` at auto with "
            "`hide_termination`."
        )
    if fast is None or fast.name != config.stepping:
        settings = f" with {config.make_kwargs}" if config.make_kwargs else ""
        raise SettingError(
            f"`stepping={config.stepping}` steps {STEPPERS[config.stepping].scope}, and cannot step "
            f"{config.env_id}{settings}; leave `stepping` at auto."
        )
    if not fast.extra.is_installed:
        raise MissingDependencyError(
            f"`stepping={config.stepping}` needs the package {fast.extra.package}; install it by "
            f"`{fast.extra.command}`."
        )
    return config.stepping


def _fast_stepping(config: RunConfig) -> FastStepping | None:
    """Return how the run's task can be stepped fast with its settings, or None."""
    task = TASKS_BY_ENV_ID.get(config.env_id)
    if task is None or task.fast is None or not task.fast.accepts(task, config.make_kwargs):
        return None
    return task.fast


def make_stepped_environments(config: RunConfig, *, n_envs: int, seed: int) -> VecEnv:
    """Return environments that step together, with what counts episodes (SB3's `Monitor` or `VecMonitor`) around.

    Args:
        config: Names the environment, and what steps it.
        n_envs: How many.
        seed: Of their first resets; environment i gets seed + i.

    Raises:
        SettingError, MissingDependencyError: As `resolve_stepping` and `make_environments` do.
        SpaceError, FaultyEnvError: As `try_environment` does.
    """
    stepping = resolve_stepping(config)
    if stepping == "sb3":
        keep_frames = config.teacher == "human"
        check_oracle(config)
        try_environment(config, keep_frames=keep_frames)
        return make_environments(config, n_envs=n_envs, seed=seed, keep_frames=keep_frames)
    check_oracle(config)
    task, fast = TASKS_BY_ENV_ID[config.env_id], _fast_stepping(config)
    assert fast is not None
    n_threads = min(len(os.sched_getaffinity(0)), n_envs)
    with explain_env_errors(config):
        vector = fast.make(task, n_envs, n_threads=n_threads, env_kwargs=config.make_kwargs)
    venv = VecMonitor(GymnasiumVecEnv(vector))
    venv.seed(seed)
    return venv
