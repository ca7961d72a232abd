"""Whether a module of the user's may be imported to draw a run's clips.

A store names its environment, and `my_pkg:MyEnv-v0` imports `my_pkg`. A store may come from anybody, so its word
alone imports nothing: the run's folder must be the user's own, and say the same in its config.json; or the command
line says so.
"""

import grp
import os
import pwd
import stat
from pathlib import Path

from prefrl.errors import RunError
from prefrl.files import read_json
from prefrl_envs.ids import imports_foreign_module
from prefrl_labeling_gui.clip_folder import ClipError


def module_folder(run: Path, env_id: str, *, trusted: str | None = None) -> Path | None:
    """Return where a module of the user's may lie besides the usual places; None if none is to be imported.

    Args:
        run: Folder of the run.
        env_id: Environment of the run, as its store tells.
        trusted: Environment that the command line trusts.

    Raises:
        ClipError: The environment would import a module that there is no reason to trust.
    """
    if not imports_foreign_module(env_id):
        return None
    if env_id != trusted:
        problem = _reason_against(run, env_id)
        if problem is not None:
            raise ClipError(
                f"The clips cannot be drawn: the store names the environment {env_id}, which imports a module, "
                f"but {problem}. If you trust that module, start the page with --trust-env {env_id}."
            )
    return Path.cwd()


def _reason_against(run: Path, env_id: str) -> str | None:
    config = run / "config.json"
    try:
        description = read_json(config)
        values = description.get("config")
        for path in (run, config):
            if not _is_own(path.stat()):
                return f"{path} belongs to somebody else, or others may write it"
    except (RunError, OSError):
        return f"{config} cannot be read, so nothing says that this run is yours"
    if "imported" in description:
        return f"{config} was imported with its labels, and may come from anybody"
    if not isinstance(values, dict) or env_id != (values.get("env_id") or values.get("task")):
        return f"{config} names another"
    return None


def _is_own(about: os.stat_result) -> bool:
    """Say whether a file or folder is this user's, and nobody else may write it."""
    if about.st_uid != os.geteuid() or about.st_mode & stat.S_IWOTH:
        return False
    return not about.st_mode & stat.S_IWGRP or _is_private_group(about.st_gid)


def _is_private_group(gid: int) -> bool:
    """Say whether this user alone is in a group, as is usual where files are made group-writable by default."""
    members = {entry.pw_uid for entry in pwd.getpwall() if entry.pw_gid == gid}
    try:
        members |= {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
    except KeyError:  # a group or a member that this machine does not know
        return False
    return members <= {os.geteuid()}
