"""Checkpoints of format 1, written before there were parts: their policy can still be evaluated.

Their `state.json` holds the hashes of the two other files, beside the state.
"""

from pathlib import Path
from typing import Any

from prefrl.errors import RunError
from prefrl.files import read_json
from prefrl.parts import Arrays, Json

OLD_FORMAT_VERSION = 1
_NORMALIZER = "normalizer."


def is_old(folder: Path) -> bool:
    """Return whether a checkpoint is of format 1.

    Raises:
        RunError: It cannot be told: a file is missing or damaged.
    """
    if (folder / "manifest.json").exists():
        return False
    version = read_json(folder / "state.json").get("format_version")
    if version is None:
        raise RunError("manifest.json is missing")
    if version != OLD_FORMAT_VERSION:
        raise RunError(f"state.json names format {version}, which there is not")
    return True


def translated(arrays: Arrays, state: dict[str, Any]) -> tuple[Arrays, Json]:
    """Return what an evaluation needs of the arrays and the state of a checkpoint of format 1."""
    preferences = state.get("preferences")
    seqs, past = arrays.get("trainer.seqs", ()), arrays.get("trainer.past", ())
    progress = {
        "seconds": float(state["seconds"]),
        "labels": 0 if preferences is None else len(seqs) + len(past),
        "refit_seconds": 0.0 if preferences is None else float(preferences["refit_seconds"]),
    }
    normalizer = {
        f"normalizer/{name.removeprefix(_NORMALIZER)}": array
        for name, array in arrays.items()
        if name.startswith(_NORMALIZER)
    }
    return normalizer, {"normalizer": {}, "progress": progress}
