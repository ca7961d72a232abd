"""Checkpoints: everything a training needs to go on as if it had never stopped.

Six things, as the state of a run lives in six places: the labels are in the store already; here are the reward
and its trainer, the recorder, the policy, the random streams, and how far the run has come. The environments'
simulators come along, so that episodes under way go on.

A checkpoint is a folder that appears whole: written under another name, synced, renamed. Its `state.json` has the
hash of each of its files. Arrays are safetensors; only the policy is SB3's zip, which runs code when it is
loaded, so load none that you did not make.
"""

import hashlib
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save

from prefrl.errors import RunError
from prefrl.files import read_json, write_json, write_whole

FORMAT_VERSION = 1
AGENT_FILE, ARRAYS_FILE, STATE_FILE = "agent.zip", "arrays.safetensors", "state.json"
KEPT = 2

Arrays = dict[str, npt.NDArray[Any]]


def write_checkpoint(
    folder: Path, num_timesteps: int, *, agent: bytes, arrays: Arrays, state: dict[str, Any]
) -> Path:
    """Write a checkpoint and remove those that are too old.

    Args:
        folder: Folder of all checkpoints of the run.
        num_timesteps: Environment steps taken; names the checkpoint.
        agent: The policy, as SB3 saves it.
        arrays: All else that is arrays.
        state: All else that is JSON.

    Returns:
        The folder of this checkpoint.

    Raises:
        RunError: It cannot be written (a full disk, say); the checkpoints before are untouched.
    """
    target, draft = folder / f"{num_timesteps:012d}", folder / f".{num_timesteps:012d}.new"
    # All in memory first: a library that writes to a full disk by itself fails in its own way.
    files = {AGENT_FILE: agent, ARRAYS_FILE: save({name: np.ascontiguousarray(a) for name, a in arrays.items()})}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    try:
        for left_by_a_crash in folder.glob(".*.new"):
            shutil.rmtree(left_by_a_crash)
        draft.mkdir(parents=True)
        for name, content in files.items():
            write_whole(draft / name, content)
        write_json(draft / STATE_FILE, {"format_version": FORMAT_VERSION, "sha256": hashes, "state": state})
        _sync(draft)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise RunError(
            f"The checkpoint {target} cannot be written: {error}; free some space and go on with "
            f"`prefrl resume {folder.parent}`."
        ) from error
    for old in checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


class Checkpoint:
    """A checkpoint on disk, checked against its hashes.

    Args:
        folder: The folder of this one checkpoint.

    Raises:
        RunError: A file is missing, cut short or changed, or it is of a later format.
    """

    def __init__(self, folder: Path) -> None:
        """Read and check."""
        self.folder = folder
        try:
            document = read_json(folder / STATE_FILE)
            if document["format_version"] > FORMAT_VERSION:
                raise RunError(
                    f"{folder} has format {document['format_version']}; this prefrl reads up to {FORMAT_VERSION}."
                )
            for name, digest in document["sha256"].items():
                if _sha256(folder / name) != digest:
                    raise RunError(f"{name} was changed or cut short")
            self.arrays: Arrays = load_file(folder / ARRAYS_FILE)
            self.state: dict[str, Any] = document["state"]
        except (OSError, KeyError, RunError) as error:
            raise RunError(
                f"The checkpoint {folder} is damaged ({error}); remove that folder and resume: the run goes on "
                "from the checkpoint before, or from its beginning with the labels it has."
            ) from error

    @property
    def agent(self) -> Path:
        """The policy, as SB3 saved it."""
        return self.folder / AGENT_FILE


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first; drafts that a crash left are not among them."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name.isdigit())


def random_state() -> tuple[Arrays, dict[str, Any]]:
    """Return the state of the global generators that SB3 draws from: torch, NumPy and Python."""
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    arrays: Arrays = {
        "random.torch": torch.get_rng_state().numpy(),
        "random.numpy": np.asarray(keys),
    }
    version, internal, python_gauss = random.getstate()
    document = {
        "numpy": [str(name), int(position), int(has_gauss), float(gauss)],
        "python": [version, list(internal), python_gauss],
    }
    return arrays, document


def load_random_state(arrays: Arrays, document: dict[str, Any]) -> None:
    """Continue where `random_state` was taken."""
    torch.set_rng_state(torch.as_tensor(arrays["random.torch"]))
    name, position, has_gauss, gauss = document["numpy"]
    np.random.set_state((name, arrays["random.numpy"], position, has_gauss, gauss))  # noqa: NPY002
    version, internal, python_gauss = document["python"]
    random.setstate((version, tuple(internal), python_gauss))


def prefixed(prefix: str, arrays: Arrays) -> Arrays:
    """Put a prefix before every name."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def unprefixed(prefix: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose names have the prefix, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
