"""How ale-py steps many Atari games at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from prefrl_envs.extras import ATARI, Extra
from prefrl_envs.fast_stepping import FastStepper, FastStepping

if TYPE_CHECKING:
    from prefrl_envs.atari.vector import AtariVector
    from prefrl_envs.task import Task


@dataclass(frozen=True)
class AleStepping(FastStepping):
    """ale-py's vector environment, for every game whose reward is its score."""

    name: ClassVar[FastStepper] = "ale"
    extra: ClassVar[Extra] = ATARI
    scope: ClassVar[str] = "Atari games whose reward is their score"

    same_trajectories: bool = True

    def accepts(self, task: "Task", env_kwargs: Mapping[str, Any]) -> bool:
        """Return True: every argument of such a game is known there too."""
        return True

    def make(
        self, task: "Task", n_envs: int, *, n_threads: int = 1, env_kwargs: Mapping[str, Any] | None = None
    ) -> "AtariVector":
        """Make the environments.

        Raises:
            ValueError: One of `env_kwargs` is wrong.
            DependencyNotInstalled: ale-py is missing.
        """
        from prefrl_envs.atari.vector import AtariVector

        return AtariVector(task.env_id, n_envs, n_threads=n_threads, env_kwargs=env_kwargs)
