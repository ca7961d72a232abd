"""What gymnasium's ids stand for, and which of them bring code of the user's."""

import importlib
from collections.abc import Callable

import gymnasium
from gymnasium.envs.registration import EnvSpec, find_highest_version, get_env_id, parse_env_id

OWN_PACKAGES = frozenset({"gymnasium", "prefrl_envs", "ale_py"})
"""The packages whose environments may be made for anybody who asks."""


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


def find_spec(env_id: str) -> EnvSpec:
    """Return what `gymnasium.make` would make, without making it.

    Args:
        env_id: A gymnasium id; the module of one such as `my_pkg:MyEnv-v0` is imported. Without a version it is
            the latest, as in gymnasium.

    Raises:
        ModuleNotFoundError: There is no such module. Importing it may raise anything else.
        gymnasium.error.Error: No such id is registered.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    return gymnasium.registry.get(name) or _latest(name) or gymnasium.spec(name)


def _latest(env_id: str) -> EnvSpec | None:
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
