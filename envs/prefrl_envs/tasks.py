"""The tasks that are there. Importing them loads no simulator."""

from collections.abc import Mapping
from types import MappingProxyType

from prefrl_envs.atari.tasks import TASKS as ATARI
from prefrl_envs.dmc.tasks import TASKS as DMC
from prefrl_envs.mujoco.tasks import TASKS as MUJOCO
from prefrl_envs.small.tasks import TASKS as SMALL
from prefrl_envs.task import Task

__all__ = ["TASKS", "TASKS_BY_ENV_ID", "Task"]

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in (*MUJOCO, *DMC, *SMALL, *ATARI)})
"""Every task by its name, in the order in which they are listed."""
TASKS_BY_ENV_ID: Mapping[str, Task] = MappingProxyType({task.env_id: task for task in TASKS.values()})
"""The same by their gymnasium ids."""
