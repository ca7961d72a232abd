"""What steps the environments of a training: SB3 one after another, or a simulator that steps many at once.

Evaluations are always stepped one by one (`prefrl.runs.environments`): they are short, and their clips and metrics
then come from the very environment that the task names.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import gymnasium
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from prefrl.agents.gymnasium_vec_env import GymnasiumVecEnv
from prefrl.config import RunConfig
from prefrl.errors import MissingDependencyError, SettingError
from prefrl.runs.environments import a_sentence_for_what_fails, check_oracle, make_environments
from prefrl_envs.atari.vector import AtariVector, is_shared
from prefrl_envs.mujoco.envpool_tasks import envpool_task

Stepping = Literal["sb3", "envpool", "ale"]
Vector = gymnasium.vector.VectorEnv[Any, Any, Any]


def resolve_stepping(config: RunConfig) -> Stepping:
    """Return what is to step the environments of a run.

    "auto" is the fastest stepper that is installed and known to give the same trajectories as gymnasium does.

    Raises:
        SettingError: The stepper that was asked for cannot step this environment.
        MissingDependencyError: It is not installed.
    """
    if config.stepping == "auto":
        for name, stepper in _STEPPERS.items():
            is_same = not config.hide_termination and stepper.is_same(config.env_id, config.env_kwargs)
            if is_same and find_spec(stepper.package) is not None:
                return name
        return "sb3"
    if config.stepping == "sb3":
        return "sb3"
    if config.hide_termination:
        raise SettingError(
            f"`stepping={config.stepping}` cannot hide terminations; leave `stepping` at auto with "
            "`hide_termination`."
        )
    stepper = _STEPPERS[config.stepping]
    if not stepper.knows(config.env_id, config.env_kwargs):
        settings = f" with {config.env_kwargs}" if config.env_kwargs else ""
        raise SettingError(
            f"`stepping={config.stepping}` steps {stepper.scope}, and cannot step {config.env_id}{settings}; "
            "leave `stepping` at auto."
        )
    if find_spec(stepper.package) is None:
        raise MissingDependencyError(
            f"`stepping={config.stepping}` needs the package {stepper.package}; install it by "
            f"`pip install 'prefrl[{stepper.extra}]'`."
        )
    return config.stepping


def make_stepped_environments(config: RunConfig, *, n_envs: int, seed: int) -> VecEnv:
    """Return environments that step together, with what counts episodes (SB3's `Monitor` or `VecMonitor`) around.

    Args:
        config: Names the environment, and what steps it.
        n_envs: How many.
        seed: Of their first resets; environment i gets seed + i.

    Raises:
        SettingError, MissingDependencyError: As `resolve_stepping` and `make_environments` do.
    """
    stepping = resolve_stepping(config)
    if stepping == "sb3":
        return make_environments(config, n_envs=n_envs, seed=seed, keep_frames=config.teacher == "human")
    check_oracle(config)
    n_threads = min(len(os.sched_getaffinity(0)), n_envs)
    with a_sentence_for_what_fails(config):
        vector = _STEPPERS[stepping].make(config, n_envs, n_threads)
    venv = VecMonitor(GymnasiumVecEnv(vector))
    venv.seed(seed)
    return venv


def horizon_of(environments: VecEnv) -> int | None:
    """Return the time limit of the episodes, None where there is none that gymnasium knows of."""
    inner = environments.unwrapped
    spec = inner.envs[0].spec if isinstance(inner, DummyVecEnv) else getattr(inner, "vector").spec  # noqa: B009
    return None if spec is None else spec.max_episode_steps


@dataclass(frozen=True, kw_only=True)
class _Stepper:
    package: str
    """What has to be installed."""
    extra: str
    """The extra of ours that brings it."""
    scope: str
    """What it steps, in words."""
    knows: Callable[[str, Mapping[str, Any]], bool]
    """Whether it can step an id that is made with such arguments."""
    is_same: Callable[[str, Mapping[str, Any]], bool]
    """Whether it then gives the trajectories that gymnasium gives, to rounding."""
    make: Callable[[RunConfig, int, int], Vector]
    """Makes so many environments for so many threads."""


def _envpool_knows(env_id: str, env_kwargs: Mapping[str, Any]) -> bool:
    return envpool_task(env_id, env_kwargs) is not None


def _envpool_is_same(env_id: str, env_kwargs: Mapping[str, Any]) -> bool:
    task = envpool_task(env_id, env_kwargs)
    return task is not None and task.same_physics


def _make_envpool(config: RunConfig, n_envs: int, n_threads: int) -> Vector:
    from prefrl_envs.mujoco.envpool_vector import EnvpoolVector

    return EnvpoolVector(config.env_id, n_envs, n_threads=n_threads, env_kwargs=config.env_kwargs)


def _ale_knows(env_id: str, env_kwargs: Mapping[str, Any]) -> bool:
    return is_shared(env_id)


def _make_ale(config: RunConfig, n_envs: int, n_threads: int) -> Vector:
    return AtariVector(config.env_id, n_envs, n_threads=n_threads, env_kwargs=config.env_kwargs)


_STEPPERS: Mapping[Literal["envpool", "ale"], _Stepper] = {
    "envpool": _Stepper(
        package="envpool",
        extra="fast",
        scope="MuJoCo tasks",
        knows=_envpool_knows,
        is_same=_envpool_is_same,
        make=_make_envpool,
    ),
    "ale": _Stepper(
        package="ale_py",
        extra="atari",
        scope="Atari games whose reward is their score",
        knows=_ale_knows,
        is_same=_ale_knows,
        make=_make_ale,
    ),
}
