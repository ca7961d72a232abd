import sqlite3

import pytest

from prefrl.runs import doctor
from prefrl_envs.machine import Check


def test_all_that_is_needed_is_looked_at() -> None:
    checks = {check.name: check for check in doctor.examine()}
    needed = {"Python", "SQLite", "device", "off-screen OpenGL", "H.264 encoder", "VP9 encoder"}
    assert {name for name, check in checks.items() if check.needed} == needed
    assert set(checks) == needed | {"ale-py", "dm_control", "envpool", "tensorboard", "wandb"}
    for check in checks.values():
        assert check.detail
        assert bool(check.mend) == (not check.ok), check
    assert "torch 2." in checks["Python"].detail


def test_an_old_sqlite_is_told_with_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "sqlite_module", lambda: (sqlite3, "truncate"))
    monkeypatch.setattr(doctor, "check_machine", lambda: [Check("GL", True, "here", "")])
    found = {check.name: check for check in doctor.examine()}
    assert not found["SQLite"].ok
    assert "pysqlite3" in found["SQLite"].mend
