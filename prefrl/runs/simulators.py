"""Simulators under way, saved and restored so that episodes go on exactly where they were.

Environments that SB3 steps one by one are saved whole. EnvPool and ale-py cannot save their simulators; the vector
environments around them know how to come back instead, from the seed and the actions of the episodes under way.
"""

from typing import Protocol, runtime_checkable

from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from prefrl.agents.gymnasium_vec_env import GymnasiumVecEnv
from prefrl.parts import Arrays, Json, State
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


class Simulators:
    """The simulators of a training, as a part that a checkpoint keeps.

    Args:
        environments: Of the training; restored are those that were made in the same way.
    """

    def __init__(self, environments: VecEnv) -> None:
        self._environments = environments

    def state(self) -> State:
        """Return the state of all simulators: arrays, and one document for each that is saved whole."""
        environments = self._environments
        arrays: Arrays = {}
        if isinstance(environments, DummyVecEnv):
            states = [snapshot(env) for env in environments.envs]
            for index, state in enumerate(states):
                arrays |= {f"{index}/{name}": array for name, array in state.arrays.items()}
            return arrays, {"documents": [state.document for state in states]}
        assert isinstance(environments, VecMonitor)
        arrays |= {f"vector/{name}": array for name, array in _vector(environments).state_dict().items()}
        arrays["monitor/returns"] = environments.episode_returns.copy()
        arrays["monitor/lengths"] = environments.episode_lengths.copy()
        return arrays, {"documents": []}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Put the simulators back to where they were."""
        environments = self._environments
        if isinstance(environments, DummyVecEnv):
            for index, (env, document) in enumerate(zip(environments.envs, values["documents"], strict=True)):
                restore(env, EnvState(document, _of(str(index), arrays)))
            return
        assert isinstance(environments, VecMonitor)
        _vector(environments).load_state_dict(_of("vector", arrays))
        environments.episode_returns = arrays["monitor/returns"].copy()
        environments.episode_lengths = arrays["monitor/lengths"].copy()


def _of(name: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose names begin with this one, without it."""
    return {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}


def _vector(environments: VecEnv) -> ComesBack:
    inner = environments.unwrapped
    assert isinstance(inner, GymnasiumVecEnv)
    assert isinstance(inner.vector, ComesBack)
    return inner.vector
