"""How an id of this package is registered with gymnasium."""

from collections.abc import Mapping

import gymnasium
from gymnasium.envs.registration import WrapperSpec

HIDE_TERMINATION = WrapperSpec("HideTermination", "prefrl_envs.fixed_horizon:HideTermination", {})
"""For environments without a switch of their own for going on after a failure."""
TASK_METRICS = WrapperSpec("TaskMetrics", "prefrl_envs.task_metrics:TaskMetrics", {})
"""For environments that count something over an episode."""


def register(
    name: str,
    entry_point: str,
    horizon: int,
    *,
    kwargs: Mapping[str, object] | None = None,
    wrappers: tuple[WrapperSpec, ...] = (),
) -> None:
    """Register the id `prefrl/NAME-v0`; one that is registered already is left alone.

    gymnasium's `PassiveEnvChecker` and `OrderEnforcing` are left out: our environments are checked by tests.

    Args:
        name: In camel case.
        entry_point: "module:class" of the environment.
        horizon: Steps of every episode; the time limit is all that ends one.
        kwargs: Arguments of the class.
        wrappers: Around the time limit, from the inside out.
    """
    env_id = f"prefrl/{name}-v0"
    if env_id in gymnasium.registry:
        return
    gymnasium.register(
        env_id,
        entry_point,
        max_episode_steps=horizon,
        order_enforce=False,
        disable_env_checker=True,
        additional_wrappers=wrappers,
        kwargs=dict(kwargs or {}),
    )
