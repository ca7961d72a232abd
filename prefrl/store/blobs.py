"""The arrays of segments, kept under the hash of their content: files in a folder, or objects in memory.

A file is safetensors: the arrays, and in its header where in the run they come from. Frames of 8-bit pixels are
deflated in it: 25 steps of Pong, with the screens for people, take 16 kB instead of 300. A file appears under its
name only when it is whole and on the disk, so a crash leaves at worst a temporary file.
"""

import json
import math
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from prefrl.errors import StoreError
from prefrl.files import sync_folder
from prefrl.segments import Segment
from prefrl.segments.segment import ARRAYS
from prefrl.store.database import explain_os_error

_PLACE = ("env_index", "episode", "start")
_LEFTOVER_SECONDS = 3600
"""A temporary file this old belongs to no writer that is still alive."""
_WRITERS = 16
"""Threads that write files at the same time."""


class SegmentBlobs(Protocol):
    """Where the arrays of segments are kept."""

    def write(self, segments: Mapping[str, Segment]) -> None:
        """Keep segments by their id; durable on return."""

    def read(self, segment_id: str, *, num_timesteps: int) -> Segment:
        """Return a segment; `num_timesteps` is not part of its content and comes from the caller."""

    def missing(self, segment_ids: Sequence[str]) -> list[str]:
        """Return those of the segments that are not kept."""

    def delete(self, segment_ids: Sequence[str]) -> None:
        """Keep segments no longer; some may be gone already."""


class MemoryBlobs:
    """Segments of a store that lives in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._segments: dict[str, Segment] = {}

    def write(self, segments: Mapping[str, Segment]) -> None:
        """Keep segments by their id."""
        self._segments.update(segments)

    def read(self, segment_id: str, *, num_timesteps: int) -> Segment:
        """Return a segment by its id."""
        segment = self._segments[segment_id]
        if segment.num_timesteps == num_timesteps:
            return segment
        return replace(segment, num_timesteps=num_timesteps)

    def missing(self, segment_ids: Sequence[str]) -> list[str]:
        """Return those of the segments that are not kept."""
        return [segment_id for segment_id in segment_ids if segment_id not in self._segments]

    def delete(self, segment_ids: Sequence[str]) -> None:
        """Keep segments no longer."""
        for segment_id in segment_ids:
            self._segments.pop(segment_id, None)


class FolderBlobs:
    """Segments as files `<id>.safetensors` in one folder.

    Args:
        folder: Made at the first write if it is missing.
        copy_of: Of what a copy would bring a missing file back, for the reader of the message.
    """

    def __init__(self, folder: Path, *, copy_of: str = "run") -> None:
        """Keep the path; nothing is touched."""
        self._folder = folder
        self._copy_of = copy_of
        self._is_prepared = False

    def write(self, segments: Mapping[str, Segment]) -> None:
        """Write one file per segment; all are on the disk on return. A file that was there is replaced.

        Raises:
            StoreError: The folder cannot be written or the disk is full; no file is half-written.
        """
        try:
            if not self._is_prepared:
                self._prepare()
                self._is_prepared = True
            # In threads, because syncs that run at the same time share one write of the disk's journal: 200 files
            # took 5.8 ms each one by one, and 0.2 ms each with 16 threads.
            with ThreadPoolExecutor(_WRITERS) as pool:
                list(pool.map(self._write_segment, segments.items()))
            sync_folder(self._folder)
        except OSError as error:
            raise StoreError(explain_os_error(error, str(self._folder))) from error

    def read(self, segment_id: str, *, num_timesteps: int) -> Segment:
        """Read a file and check that its content is what its name says.

        Raises:
            StoreError: The file is missing or damaged.
        """
        path = self._path(segment_id)
        try:
            segment = _from_file(path, num_timesteps=num_timesteps)
        except FileNotFoundError as error:
            raise StoreError(self._unusable(path, "missing")) from error
        except (SafetensorError, LookupError, TypeError, ValueError, OSError) as error:
            raise StoreError(self._unusable(path, "damaged")) from error
        if segment.id != segment_id:
            raise StoreError(self._unusable(path, "damaged"))
        return segment

    def missing(self, segment_ids: Sequence[str]) -> list[str]:
        """Return those of the segments that have no file."""
        return [segment_id for segment_id in segment_ids if not self._path(segment_id).exists()]

    def delete(self, segment_ids: Sequence[str]) -> None:
        """Delete the files of segments; some may be gone already.

        Raises:
            StoreError: The folder cannot be written.
        """
        try:
            for segment_id in segment_ids:
                self._path(segment_id).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(explain_os_error(error, str(self._folder))) from error

    def _prepare(self) -> None:
        """Make the folder, and delete the temporary files of writers that died more than an hour ago."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob("*.tmp"):
            if path.stat().st_mtime < time.time() - _LEFTOVER_SECONDS:
                path.unlink()

    def _unusable(self, path: Path, state: str) -> str:
        return f"The segment file {path} is {state}; restore it from a copy of the {self._copy_of}."

    def _path(self, segment_id: str) -> Path:
        return self._folder / f"{segment_id}.safetensors"

    def _write_segment(self, item: tuple[str, Segment]) -> None:
        self._write_file(self._path(item[0]), _to_bytes(item[1]))

    def _write_file(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f"{path.stem}.{uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _to_bytes(segment: Segment) -> bytes:
    arrays = {name: array for name in ARRAYS if (array := getattr(segment, name)) is not None}
    header = {"segment": json.dumps({name: int(getattr(segment, name)) for name in _PLACE})}
    deflated = {name: array.shape for name, array in arrays.items() if array.dtype == np.uint8}
    if deflated:
        header["deflated"] = json.dumps(deflated)
        arrays |= {name: _deflate(arrays[name]) for name in deflated}
    return save(arrays, metadata=header)


def _from_file(path: Path, *, num_timesteps: int) -> Segment:
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
        place = json.loads(header["segment"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    for name, shape in json.loads(header.get("deflated", "{}")).items():
        arrays[name] = _inflate(arrays[name], shape)
    return Segment(**arrays, **place, num_timesteps=num_timesteps)


def _deflate(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(zlib.compress(array.tobytes(), level=1), dtype=np.uint8)


def _inflate(deflated: npt.NDArray[np.uint8], shape: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return the array again; never more than its shape says, whatever the file holds.

    Raises:
        ValueError: The file holds something else.
    """
    n_bytes = math.prod(shape)
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(deflated.tobytes(), n_bytes + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
