"""The folder of drawn clips: which file belongs to which segment, and which go when it is full.

A file is named by the segment's content hash and a hash of the style, so it never changes and never gets stale.
"""

import json
import os
import re
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from prefrl.errors import PrefRLError
from prefrl_envs.clips import SUFFIXES
from prefrl_labeling_gui.clip_worker import Style

STYLE_VERSION = 2
"""Goes up when the same segment would be drawn differently, so that old files are not shown any more."""
IN_USE_SECONDS = 60.0
"""A clip looked at so lately may just be on its way to a browser, and stays."""

_KEPT_SHARE = 0.8
"""Of the limit, once it was passed: so that not every new clip costs a look at all files."""
_SEGMENT_ID = re.compile(r"[0-9a-f]{32}")


class ClipError(PrefRLError, RuntimeError):
    """A clip cannot be drawn; the message says why."""


class Clip(NamedTuple):
    """The files of one clip."""

    video: Path
    poster: Path
    """The middle frame, JPEG."""


class ClipFolder:
    """Clips of one style in a folder, which may hold clips of other styles too. Used under its owner's lock.

    Args:
        path: Made, with its parents, by `open`.
        style: How the clips are drawn.
        limit_bytes: What the files may take together.
    """

    def __init__(self, path: Path, style: Style, *, limit_bytes: int) -> None:
        self._path = path
        self.suffix = SUFFIXES[style.codec]
        about = json.dumps(
            [STYLE_VERSION, {**style._asdict(), "env_kwargs": dict(style.env_kwargs)}], sort_keys=True
        )
        self._style = blake2b(about.encode(), digest_size=4).hexdigest()
        self._limit_bytes = limit_bytes
        self._n_bytes = 0

    def open(self) -> None:
        """Make the folder, remove what a killed process left half-written, and count what is there."""
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in self._path.glob(".*.part"):
            part.unlink(missing_ok=True)
        self._n_bytes = sum(file.stat().st_size for file in self._path.iterdir())

    def place(self, segment_id: str) -> Clip:
        """Return where the clip of a segment is, or would be.

        Raises:
            ClipError: The id is none, so that it never becomes a path elsewhere.
        """
        if not _SEGMENT_ID.fullmatch(segment_id):
            raise ClipError(f"A segment's id must be 32 hexadecimal digits. Received {segment_id!r}.")
        stem = f"{segment_id}.{self._style}"
        return Clip(self._path / f"{stem}{self.suffix}", self._path / f"{stem}.jpg")

    def find(self, segment_id: str) -> Clip | None:
        """Return the clip of a segment if it has been drawn, and note that it is looked at.

        Raises:
            ClipError: The id is none.
        """
        clip = self.place(segment_id)
        try:
            modified = clip.video.stat().st_mtime_ns
            os.utime(clip.video, ns=(time.time_ns(), modified))  # not the second: browsers know the file by it
        except FileNotFoundError:
            return None
        return clip if clip.poster.exists() else None

    def added(self, clip: Clip) -> None:
        """Count a new clip, and if the folder has become too large, remove those unused for longest."""
        self._n_bytes += sum(file.stat().st_size for file in clip)
        if self._n_bytes > self._limit_bytes:
            self._collect()

    def _collect(self) -> None:
        files: dict[str, list[tuple[Path, os.stat_result]]] = {}
        for file in self._path.iterdir():
            with suppress(FileNotFoundError):  # a process may just be renaming it
                files.setdefault(file.stem, []).append((file, file.stat()))
        self._n_bytes = sum(about.st_size for group in files.values() for _, about in group)
        # A poster's own time does not count: it is as old as its clip.
        used = {stem: max(_used(file, about) for file, about in group) for stem, group in files.items()}
        for stem in sorted(used, key=used.__getitem__):
            if self._n_bytes <= _KEPT_SHARE * self._limit_bytes or used[stem] > time.time() - IN_USE_SECONDS:
                return
            for file, about in files[stem]:
                file.unlink(missing_ok=True)
                self._n_bytes -= about.st_size


def _used(file: Path, about: os.stat_result) -> float:
    return about.st_mtime if file.suffix == ".jpg" else max(about.st_atime, about.st_mtime)
