"""What all parts of the store stand on: its addresses, its clock, and how it is opened and closed."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from prefrl.errors import SettingError
from prefrl.segments import Segment
from prefrl.store.blobs import FolderBlobs, MemoryBlobs, SegmentBlobs
from prefrl.store.database import Database


def system_clock() -> int:
    """Return the milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class StoreBase:
    """A database and a place for arrays, opened at first use or on entering a `with` block.

    Args:
        folder: Folder of the run, which gets `store.sqlite` and `segments/`; None keeps all in memory.
        url: SQLAlchemy address of a database to use in place of `store.sqlite`.
        clock: Returns the milliseconds since 1970 UTC.

    Raises:
        SettingError: `url` is no address, or is given without `folder`, in which the segments would lie.
    """

    def __init__(
        self, folder: Path | None = None, *, url: str | None = None, clock: Callable[[], int] = system_clock
    ) -> None:
        """Keep the addresses; nothing is opened."""
        if folder is None and url is not None:
            raise SettingError("`url` needs a `folder` beside it, for the segments.")
        file = ":memory:" if folder is None else str(folder / "store.sqlite")
        try:
            address = URL.create("sqlite", database=file) if url is None else make_url(url)
        except ArgumentError as error:
            raise SettingError(f"`url` must be an SQLAlchemy address. Received {url!r}.") from error
        self._database = Database(address)
        self._blobs: SegmentBlobs = MemoryBlobs() if folder is None else FolderBlobs(folder / "segments")
        self._clock = clock

    def __enter__(self) -> Self:
        """Open the store.

        Raises:
            StoreError: It is damaged, out of reach, or newer than this code.
        """
        self._database.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    @property
    def is_in_memory(self) -> bool:
        """Whether all is gone when this process ends."""
        return self._database.is_in_memory

    def close(self) -> None:
        """Close the store for good. What was stored is safe without it."""
        self._database.close()

    def _segments(self, places: Sequence[tuple[str, int]]) -> Iterator[Segment]:
        """Yield segments by their ids, each with the time at which it was cut."""
        for segment_id, num_timesteps in places:
            yield self._blobs.read(segment_id, num_timesteps=num_timesteps)
