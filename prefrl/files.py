"""Files that are whole or not there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefrl.errors import RunError


def write_json(path: Path, values: Mapping[str, Any], *, mode: int = 0o666) -> None:
    """Write a JSON object as a file that is whole or not there."""
    write_whole(path, json.dumps(values, indent=2) + "\n", mode=mode)


def write_whole(path: Path, content: bytes | str, *, mode: int = 0o666) -> None:
    """Write a file that is whole or not there: to a draft, to the disk, then renamed.

    Args:
        path: The file; one that is there is replaced.
        content: Bytes, or text that is written as UTF-8.
        mode: Permissions, less the process's umask; 0o600 for what nobody else may read.

    Raises:
        OSError: It cannot be written; what was there before is untouched.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # a draft that a crash left could have other permissions
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} is damaged: it holds no JSON object.")
    return values
