"""Ids of gymnasium: how those of this package are registered, and which ids bring code of the user's."""

from collections.abc import Callable, Mapping

import gymnasium
from gymnasium.envs.registration import WrapperSpec, find_highest_version, get_env_id, parse_env_id

OWN_PACKAGES = frozenset({"gymnasium", "prefrl_envs", "ale_py"})
"""The packages whose environments may be made for anybody who asks."""

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


def imports_foreign_module(env_id: str) -> bool:
    """Return whether making an environment would run code that comes from none of the packages we know.

    That is so for `module:Name-v0`, which imports the module, and for an id whose environment, or a wrapper of
    it, somebody else has registered in this process. An id that nobody has registered counts as foreign too.
    Nothing is imported to find out.

    Args:
        env_id: A gymnasium id; it may come from somebody who is not to be trusted.
    """
    module, colon, name = env_id.rpartition(":")
    if colon and (":" in module or not _is_own(module)):
        return True
    spec = gymnasium.registry.get(name) or _latest(name)
    if spec is None:  # `ale_py` registers its ids only when it is imported
        return not colon
    wrappers = [wrapper.entry_point for wrapper in spec.additional_wrappers]
    return not all(_is_own(_module_of(entry_point)) for entry_point in (spec.entry_point, *wrappers))


def _latest(env_id: str) -> gymnasium.envs.registration.EnvSpec | None:
    """Return what gymnasium makes of an id without a version, or None."""
    try:
        namespace, name, version = parse_env_id(env_id)
    except gymnasium.error.Error:
        return None
    if version is None:
        version = find_highest_version(namespace, name)
    return gymnasium.registry.get(get_env_id(namespace, name, version))


def _module_of(entry_point: str | Callable[..., object] | None) -> str:
    return entry_point if isinstance(entry_point, str) else getattr(entry_point, "__module__", None) or ""


def _is_own(module: str) -> bool:
    return module.partition(":")[0].partition(".")[0] in OWN_PACKAGES
