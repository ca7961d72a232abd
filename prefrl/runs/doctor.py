"""What this machine has of all that prefrl needs, what it lacks, and the command that mends it."""

import platform
import sys

import torch

from prefrl.runs.folder import versions
from prefrl.runs.log_writers import LOG_EXTRAS
from prefrl.store.database import sqlite_module
from prefrl_envs.machine import Check, check_extra, check_machine

SQLITE_MEND = "pip install 'pysqlite3>=0.6.1'"


def examine() -> list[Check]:
    """Try everything; takes some seconds, because a frame is drawn and a clip encoded."""
    extras = [check_extra(extra) for extra in LOG_EXTRAS]
    return [_check_python(), _check_sqlite(), _check_device(), *check_machine(), *extras]


def _check_python() -> Check:
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return Check("Python", True, f"{platform.python_version()} on {sys.platform}; {packages}", "")


def _check_sqlite() -> Check:
    """A write-ahead log lets people be answered while the trainer writes; older SQLites wait for each other."""
    module, journal = sqlite_module()
    version = ".".join(str(part) for part in module.sqlite_version_info)
    ok = journal == "wal"
    detail = f"{version} ({module.__name__}), journal {journal}"
    return Check("SQLite", ok, detail if ok else f"{detail}: slower with many people", "" if ok else SQLITE_MEND)


def _check_device() -> Check:
    if not torch.cuda.is_available():
        return Check("device", True, "cpu (no CUDA; networks of this size need none)", "")
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return Check("device", True, f"cuda: {names}", "")
