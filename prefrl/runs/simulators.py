"""Simulators under way, saved and restored so that episodes go on exactly where they were.

Environments that SB3 steps one by one are saved whole. EnvPool and ale-py cannot save their simulators; the vector
environments around them know how to come back instead, from the seed and the actions of the episodes under way.
"""

from typing import Any, Protocol, runtime_checkable

from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from prefrl.agents.gymnasium_vec_env import GymnasiumVecEnv
from prefrl.runs.checkpoint import Arrays, prefixed, unprefixed
from prefrl_envs.snapshot import EnvState, restore, snapshot


@runtime_checkable
class ComesBack(Protocol):
    """A vector environment that can come back to where it was."""

    def state_dict(self) -> Arrays:
        """Return what that takes."""
        ...

    def load_state_dict(self, state: Arrays) -> None:
        """Come back."""
        ...


def save_simulators(environments: VecEnv) -> tuple[Arrays, list[dict[str, Any]]]:
    """Return the state of all simulators: arrays, and one document for each that is saved whole."""
    if isinstance(environments, DummyVecEnv):
        states = [snapshot(env) for env in environments.envs]
        arrays: Arrays = {}
        for index, state in enumerate(states):
            arrays |= prefixed(f"environment.{index}", state.arrays)
        return arrays, [state.document for state in states]
    arrays = prefixed("environments", _vector(environments).state_dict())
    assert isinstance(environments, VecMonitor)
    arrays["monitor.returns"] = environments.episode_returns
    arrays["monitor.lengths"] = environments.episode_lengths
    return arrays, []


def restore_simulators(environments: VecEnv, arrays: Arrays, documents: list[dict[str, Any]]) -> None:
    """Put simulators back to where `save_simulators` found them.

    Args:
        environments: Made in the same way.
        arrays: From a checkpoint; those of others are left alone.
        documents: From the same.
    """
    if isinstance(environments, DummyVecEnv):
        for index, (env, document) in enumerate(zip(environments.envs, documents, strict=True)):
            restore(env, EnvState(document, unprefixed(f"environment.{index}", arrays)))
        return
    _vector(environments).load_state_dict(unprefixed("environments", arrays))
    assert isinstance(environments, VecMonitor)
    environments.episode_returns = arrays["monitor.returns"].copy()
    environments.episode_lengths = arrays["monitor.lengths"].copy()


def _vector(environments: VecEnv) -> ComesBack:
    inner = environments.unwrapped
    assert isinstance(inner, GymnasiumVecEnv)
    assert isinstance(inner.vector, ComesBack)
    return inner.vector
