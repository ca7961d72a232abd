"""Folders that are whole or not there, and the store of a run that labels are taken from."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prefrl.errors import RunError
from prefrl.files import read_json
from prefrl.store import RunRecord, Store


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a draft of a folder, beside it, that gets its name at the end, or is removed if that is never reached.

    Raises:
        RunError: Something is there already, or it cannot be written.
    """
    if path.exists():
        raise RunError(f"{path} exists already; choose another --out.")
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a process of this number that died
        draft.mkdir(parents=True)
        yield draft
        draft.rename(path)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # somebody else has something there by now
            for parent in missing:
                parent.rmdir()
        if isinstance(error, OSError):
            raise RunError(f"The folder {path} cannot be made: {error}.") from error
        raise


def saved_settings(run: Path) -> dict[str, Any] | None:
    """Return what a run's folder says of its settings and versions; None where a script made the store alone.

    Raises:
        RunError: The file is damaged.
    """
    file = run / "config.json"
    return read_json(file) if file.is_file() else None


def question_of(run: Path, record: RunRecord | None, question: str | None) -> str | None:
    """Return what was asked: of people, or as the settings say, or else what the caller knows."""
    own = ((saved_settings(run) or {}).get("config") or {}).get("question")
    return (record.question if record else None) or own or question


@contextmanager
def labels_of(run: Path) -> Iterator[Store]:
    """Give the store of a run's folder.

    Raises:
        RunError: There is none.
        StoreError: It is damaged, or newer than this code.
    """
    if not (run / "store.sqlite").is_file():
        raise RunError(f"{run} has no labels: there is no store.sqlite in it; give the folder of a run.")
    with Store(run) as store:
        yield store
