"""The tasks that are there. Importing them loads no simulator."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import gymnasium

from prefrl_envs.atari.tasks import TASKS as ATARI
from prefrl_envs.body_parts import BodyPart
from prefrl_envs.dmc.tasks import TASKS as DMC
from prefrl_envs.mujoco.bodies import OF_GYMNASIUM
from prefrl_envs.mujoco.tasks import TASKS as MUJOCO
from prefrl_envs.small.tasks import TASKS as SMALL
from prefrl_envs.task import Task

__all__ = ["TASKS", "TASKS_BY_ENV_ID", "Task", "body_parts"]

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in (*MUJOCO, *DMC, *SMALL, *ATARI)})
"""Every task by its name, in the order in which they are listed."""
TASKS_BY_ENV_ID: Mapping[str, Task] = MappingProxyType({task.env_id: task for task in TASKS.values()})
"""The same by their gymnasium ids."""


def body_parts(env_id: str, env_kwargs: Mapping[str, Any] = MappingProxyType({})) -> tuple[BodyPart, ...]:
    """Return how the parts of an environment's robot are coloured in clips; nothing where that is not known.

    Besides the tasks, gymnasium's own robots are known. Nothing is imported to find out.

    Args:
        env_id: A gymnasium id; it may come from somebody who is not to be trusted.
        env_kwargs: What else the environment is made with.
    """
    if "xml_file" in env_kwargs:  # another robot, or other names of its parts
        return ()
    task = TASKS_BY_ENV_ID.get(env_id)
    if task is not None:
        return task.parts
    spec = gymnasium.registry.get(env_id)
    if spec is not None and "xml_file" in spec.kwargs:
        return ()
    module, _, name = str(spec.entry_point if spec else "").partition(":")
    return OF_GYMNASIUM.get(name, ()) if module.startswith("gymnasium.envs.mujoco.") else ()
