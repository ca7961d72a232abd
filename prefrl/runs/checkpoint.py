"""Checkpoints: everything a training needs to go on as if it had never stopped.

A checkpoint is the states of named parts (`prefrl.parts`), so adding one is one more name. It is a folder that
appears whole (written under another name, synced, renamed) and holds:

agent.zip            the agent as SB3 saves it, which runs code when it is loaded: load none that you did not make
arrays.safetensors   the arrays of all parts
state.json           the values of all parts
replay-*.safetensors what an off-policy agent has kept of its experience; see `prefrl.runs.saved_replay`
manifest.json        number of steps, settings, the answers it was trained on, the hash of every file and its own
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from prefrl.errors import RunError
from prefrl.files import read_json, sync_folder, write_json, write_whole
from prefrl.parts import Arrays, Json, Part, joined, restore_parts
from prefrl.runs.old_checkpoint import OLD_FORMAT_VERSION, is_old, translated
from prefrl.runs.saved_replay import SavedReplay

FORMAT_VERSION = 2
AGENT_FILE, ARRAYS_FILE, STATE_FILE, MANIFEST_FILE = (
    "agent.zip",
    "arrays.safetensors",
    "state.json",
    "manifest.json",
)
AGENT_ARRAY = "agent/zip"
"""Name of the agent's bytes among the arrays; they become a file of their own, which SB3 can load."""
OWN_HASH = "sha256_of_this"
KEPT = 2


@dataclass(frozen=True, kw_only=True)
class AnswersRead:
    """What the store held when a checkpoint was written."""

    run: int
    """Number of the run in the store."""
    until: int
    """Number of the latest answer."""
    digest: str
    """Over all that was asked and answered until then; see `Store.digest`."""


def write_checkpoint(
    folder: Path,
    num_timesteps: int,
    parts: Mapping[str, Part],
    *,
    config: Json,
    answers: AnswersRead | None = None,
    replay: SavedReplay | None = None,
) -> Path:
    """Write a checkpoint and remove those that are too old.

    Args:
        folder: Folder of all checkpoints of the run.
        num_timesteps: Environment steps taken; names the checkpoint.
        parts: What has state, by name; "agent" is among them.
        config: The settings that the training has.
        answers: The answers it was trained on, where there are any.
        replay: The one of the parts that has files of its own.

    Returns:
        The folder of this checkpoint.

    Raises:
        RunError: It cannot be written (a full disk, say); the checkpoints before are untouched.
    """
    target, draft = folder / f"{num_timesteps:012d}", folder / f".{num_timesteps:012d}.new"
    try:
        for left_by_a_crash in folder.glob(".*.new"):
            shutil.rmtree(left_by_a_crash)
        draft.mkdir(parents=True)
        shared = {} if replay is None else replay.write(draft, checkpoints(folder))
        # All in memory first: a library that writes to a full disk by itself fails in its own way.
        arrays, values = joined(parts)
        files = {STATE_FILE: json.dumps(values).encode()}
        files[AGENT_FILE] = arrays.pop(AGENT_ARRAY).tobytes()
        files[ARRAYS_FILE] = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        manifest: Json = {
            "format_version": FORMAT_VERSION,
            "num_timesteps": num_timesteps,
            "config": config,
            "answers": None if answers is None else vars(answers),
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            "sha256_of_shared": shared,
        }
        for name, content in files.items():
            write_whole(draft / name, content)
        write_json(draft / MANIFEST_FILE, manifest | {OWN_HASH: _hash_of(manifest)})
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
        sync_folder(folder)
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
    """A checkpoint on disk, checked against its hashes. The one reader, of this format and of earlier ones.

    Args:
        folder: The folder of this one checkpoint.

    Raises:
        RunError: A file is missing, cut short or changed, or it is of a later format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            document = _read_old(folder) if is_old(folder) else _read(folder)
            if document.num_timesteps != int(folder.name):
                raise RunError(f"it says {document.num_timesteps} steps, its name {int(folder.name)}")
        except _LaterFormatError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError, RunError) as error:
            raise _damaged(folder, error) from error
        self.format_version = document.format_version
        self.num_timesteps = document.num_timesteps
        """Environment steps taken."""
        self.config = document.config
        """The settings that the training had; None where the format does not tell."""
        self.answers = document.answers
        """What it was trained on; None where nobody was asked, or the format does not tell."""
        self.values: Json = document.values
        self._load = document.load
        self._shared = document.shared

    @cached_property
    def arrays(self) -> Arrays:
        """The arrays of all parts, which may be a gigabyte; read at first use."""
        return self._load() | {AGENT_ARRAY: np.frombuffer(self.agent, dtype=np.uint8)}

    @property
    def progress(self) -> Json:
        """How far the run had come; see `prefrl.runs.saved_parts.Progress`."""
        progress: Json = self.values["progress"]
        return progress

    @property
    def agent(self) -> bytes:
        """The agent, as SB3 saved it."""
        return (self.folder / AGENT_FILE).read_bytes()

    def read_shared(self, name: str) -> Arrays:
        """Return the arrays of a file that this checkpoint may share with others.

        Raises:
            RunError: It is missing, cut short or changed.
        """
        try:
            _check_files(self.folder, {name: self._shared[name]})
            return load_file(self.folder / name)
        except (OSError, KeyError, SafetensorError, RunError) as error:
            raise _damaged(self.folder, error) from error

    def restore_part(self, name: str, part: Part) -> None:
        """Put one part back to where it was, in a checkpoint of any format that has it."""
        restore_parts({name: part}, self.arrays, self.values)

    def restore(self, parts: Mapping[str, Part]) -> None:
        """Put parts back to where they were when this was written, in their order.

        Raises:
            RunError: It is of a format that can be looked at, but not gone on with; or it does not fit the parts.
        """
        if self.format_version < FORMAT_VERSION:
            raise RunError(
                f"The checkpoint {self.folder} was written by an earlier version of prefrl (format "
                f"{self.format_version}), and its training cannot be continued; `prefrl evaluate`, `report` and "
                "`label` still work, and `prefrl train` trains anew."
            )
        try:
            restore_parts(parts, self.arrays, self.values)
        except KeyError as error:
            raise RunError(
                f"The checkpoint {self.folder} lacks the part {error}, which this version of prefrl needs to go "
                "on; `prefrl evaluate` and `report` still work, and `prefrl train` trains anew."
            ) from error


def _damaged(folder: Path, error: BaseException) -> RunError:
    return RunError(
        f"The checkpoint {folder} is damaged ({_clause(error)}); remove that folder and resume: the run goes on "
        "from the checkpoint before, or from its beginning with the labels it has."
    )


class _LaterFormatError(RunError):
    """A checkpoint is not damaged, but newer than this code."""


@dataclass(frozen=True, kw_only=True)
class _Document:
    """What is in a checkpoint, whichever format it is of."""

    format_version: int
    num_timesteps: int
    config: Json | None
    answers: AnswersRead | None
    values: Json
    load: Callable[[], Arrays]
    """Reads the arrays of all parts but the agent's."""
    shared: Mapping[str, str]
    """Hashes of the files that are read one by one."""


def _read(folder: Path) -> _Document:
    manifest = read_json(folder / MANIFEST_FILE)
    version = manifest["format_version"]
    if not isinstance(version, int):
        raise RunError(f"{MANIFEST_FILE} names format {version!r}")
    if version > FORMAT_VERSION:
        raise _LaterFormatError(
            f"The checkpoint {folder} has format {version}, and this prefrl reads up to {FORMAT_VERSION}; use the "
            "version that wrote it, or a later one."
        )
    own_hash = manifest.pop(OWN_HASH)
    if own_hash != _hash_of(manifest):
        raise RunError(f"{MANIFEST_FILE} was changed")
    _check_files(folder, manifest["sha256"])
    answers = manifest["answers"]
    return _Document(
        format_version=version,
        num_timesteps=manifest["num_timesteps"],
        config=manifest["config"],
        answers=None if answers is None else AnswersRead(**answers),
        values=read_json(folder / STATE_FILE),
        load=lambda: load_file(folder / ARRAYS_FILE),
        shared=manifest.get("sha256_of_shared", {}),  # checkpoints of before have none
    )


def _read_old(folder: Path) -> _Document:
    document = read_json(folder / STATE_FILE)
    _check_files(folder, document["sha256"])
    arrays, values = translated(load_file(folder / ARRAYS_FILE), document["state"])
    return _Document(
        format_version=OLD_FORMAT_VERSION,
        num_timesteps=document["state"]["num_timesteps"],
        config=None,
        answers=None,
        values=values,
        load=lambda: arrays,
        shared={},
    )


def _check_files(folder: Path, hashes: Mapping[str, str]) -> None:
    """Refuse a file that has not the hash it should have."""
    for name, expected in hashes.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise RunError(f"{name} was changed or cut short")


def _hash_of(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _clause(error: BaseException) -> str:
    """Return what an error says, fit for the middle of a sentence."""
    text = " ".join(str(error).split()).rstrip(".")
    return f"no {text}" if isinstance(error, KeyError) else text or type(error).__name__


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first; drafts that a crash left are not among them."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name.isdecimal())
