"""Which ids bring code of the user's."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.envs.registration import WrapperSpec

from prefrl_envs.ids import find_spec, imports_foreign_module
from prefrl_envs.tasks import TASKS
from prefrl_envs.testing import CountingEnv


class ForeignEnv(CountingEnv):
    """Lies in a module that is none of ours."""


@pytest.fixture
def register() -> Iterator[object]:
    before = set(gymnasium.registry)
    yield gymnasium.register
    for env_id in set(gymnasium.registry) - before:
        del gymnasium.registry[env_id]


@pytest.mark.parametrize(
    "env_id", [*(task.env_id for task in TASKS.values()), "Hopper-v5", "CartPole", "ale_py:ALE/Pong-v5"]
)
def test_ids_of_known_packages_are_not_foreign(env_id: str) -> None:
    assert not imports_foreign_module(env_id)


@pytest.mark.parametrize(
    "env_id",
    [
        "my_pkg:MyEnv-v0",
        "os:Hopper-v5",  # a known id does not excuse the module
        "gymnasium_evil:Hopper-v5",
        ":Hopper-v5",
        "gymnasium:os:Hopper-v5",
        "Unknown-v0",
        "not an id",
        "",
    ],
)
def test_modules_and_ids_of_others_are_foreign(env_id: str) -> None:
    assert imports_foreign_module(env_id)


def test_what_somebody_registered_is_foreign(register: object) -> None:
    foreign: Any = ForeignEnv
    own: Any = CountingEnv
    gymnasium.register("AsText-v0", "my_pkg.sub:Env")
    gymnasium.register("AsClass-v0", foreign)
    gymnasium.register("AsFunction-v0", lambda **kwargs: CountingEnv())
    gymnasium.register("OursWithTheirWrapper-v0", own, additional_wrappers=(WrapperSpec("W", "a:b", {}),))
    gymnasium.register("OursAgain-v0", own)
    names = ("AsText-v0", "AsClass-v0", "AsFunction-v0", "OursWithTheirWrapper-v0")
    assert all(imports_foreign_module(name) for name in names)
    assert not imports_foreign_module("OursAgain-v0")
    assert imports_foreign_module("gymnasium:AsText-v0")


def test_nothing_is_imported_to_find_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert imports_foreign_module("planted:Env-v0")
    assert "planted" not in sys.modules


@pytest.mark.parametrize(("env_id", "found"), [("Hopper-v5", "Hopper-v5"), ("gymnasium:Acrobot", "Acrobot-v1")])
def test_an_id_stands_for_what_gymnasium_would_make(env_id: str, found: str) -> None:
    assert find_spec(env_id).id == found


def test_what_is_not_there_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        find_spec("no_such_package:Hopper-v5")
    with pytest.raises(gymnasium.error.NameNotFound):
        find_spec("Hoper-v5")
    with pytest.raises(gymnasium.error.VersionNotFound):
        find_spec("Hopper-v77")
