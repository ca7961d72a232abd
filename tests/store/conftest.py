"""A store with a clock that stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefrl.store import RunAbout, Store


class Clock:
    """Milliseconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(1000 * seconds)


@pytest.fixture
def clock() -> Clock:
    """The clock of `timed`."""
    return Clock()


@pytest.fixture(params=["memory", "file"])
def timed(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, about: RunAbout) -> Iterator[Store]:
    """A store whose time is that of `clock`, in memory and on disk."""
    with Store(None if request.param == "memory" else tmp_path, clock=clock) as store:
        store.begin_run(about)
        yield store
