"""The ids of our tasks: `prefrl/NAME-v0`.

Every episode of every id has the same length: nothing the agent does ends it, because the mere length of an
episode, and the sign of any constant reward with it, would otherwise give the task away (Christiano et al.
2017, appendix A: "we replaced the termination conditions").
"""

import gymnasium

from prefrl_envs.task import Task
from prefrl_envs.tasks import TASKS


def register_all() -> None:
    """Register the id of every task with gymnasium; ids that are registered already are left alone."""
    for task in TASKS.values():
        register(task)


def register(task: Task) -> None:
    """Register the id of a task; one that is registered already is left alone.

    gymnasium's `PassiveEnvChecker` and `OrderEnforcing` are left out: our environments are checked by tests.
    """
    if task.env_id in gymnasium.registry:
        return
    gymnasium.register(
        task.env_id,
        task.entry_point,
        max_episode_steps=task.horizon,
        order_enforce=False,
        disable_env_checker=True,
        additional_wrappers=task.all_wrappers,
        kwargs=dict(task.kwargs),
    )
