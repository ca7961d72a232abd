"""How a task can be stepped by a simulator in C++ that steps many environments at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from prefrl_envs.extras import Extra

if TYPE_CHECKING:
    from prefrl_envs.lockstep import LockstepVector
    from prefrl_envs.task import Task

FastStepper = Literal["envpool", "ale"]


class FastStepping(ABC):
    """One way of stepping one task fast. Making one imports no simulator."""

    name: ClassVar[FastStepper]
    """What the user calls it, as in `--stepping NAME`."""
    extra: ClassVar[Extra]
    """The extra that brings its simulator."""
    scope: ClassVar[str]
    """What it steps, in words."""

    same_trajectories: bool
    """Whether they are those of the task's own environment, to rounding."""

    @abstractmethod
    def accepts(self, task: Task, env_kwargs: Mapping[str, Any]) -> bool:
        """Return whether it can step a task that is made with such arguments.

        Args:
            task: The one that it belongs to.
            env_kwargs: Keyword arguments of `gymnasium.make`.
        """

    @abstractmethod
    def make(
        self, task: Task, n_envs: int, *, n_threads: int = 1, env_kwargs: Mapping[str, Any] | None = None
    ) -> LockstepVector:
        """Make the environments.

        Args:
            task: The one that it belongs to.
            n_envs: Number N of environments.
            n_threads: Threads that step them; the results do not depend on it.
            env_kwargs: Keyword arguments of `gymnasium.make`.

        Raises:
            ValueError: It cannot step a task that is made with such arguments.
            ImportError: Its simulator is not installed.
        """
