"""Files that are whole or not there, JSON, and logs of JSON lines: the one place that writes files whole."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefrl.errors import RunError


def write_whole(path: Path, content: bytes | str, *, mode: int = 0o666) -> None:
    """Write a file that is whole or not there: to a draft, to the disk, then renamed.

    Args:
        path: The file; one that is there is replaced.
        content: Bytes, or text that is written as UTF-8.
        mode: Permissions, less the process's umask; 0o600 for what nobody else may read.

    Raises:
        OSError: It cannot be written; what was there before is untouched.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
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
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Have the names in a folder reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, values: Mapping[str, Any], *, mode: int = 0o666) -> None:
    """Write a JSON object as a file that is whole or not there."""
    write_whole(path, json.dumps(values, indent=2) + "\n", mode=mode)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} is damaged: it holds no JSON object.")
    return values


def append_json_line(path: Path, values: Mapping[str, Any]) -> None:
    """Append one line to a log of JSON objects; a line that a crash cut short is ended first.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("a+b") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(values).encode() + b"\n")


def write_json_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write a log of JSON objects anew, whole or not at all."""
    write_whole(path, "".join(json.dumps(line) + "\n" for line in lines))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a log; lines that a crash cut short are left out, and a missing log is empty.

    Raises:
        OSError, UnicodeDecodeError: The file cannot be read.
    """
    if not path.exists():
        return []
    objects = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            objects.append(line)
    return objects
