"""Segments and queries with content that can be told apart, and a clock that stands still."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from prefrl.feedback import Store
from prefrl.segments import Query, Segment

MakeSegment = Callable[..., Segment]
MakeQuery = Callable[..., Query]


class Clock:
    """Milliseconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(1000 * seconds)


def _make_segment(
    number: int = 0,
    *,
    n_steps: int = 4,
    rewards: Sequence[float] | None = None,
    num_timesteps: int = 0,
    render: bool = True,
) -> Segment:
    rng = np.random.default_rng(number)
    return Segment(
        observations=rng.normal(size=(n_steps, 3)).astype(np.float32),
        actions=rng.integers(5, size=n_steps),
        env_rewards=np.asarray(rng.normal(size=n_steps) if rewards is None else rewards, dtype=np.float32),
        render_states=rng.normal(size=(n_steps, 2)) if render else None,
        env_index=number % 3,
        episode=number // 3,
        start=number,
        num_timesteps=num_timesteps,
    )


def _make_query(ordinal: int = 0, *, n_segments: int = 2, n_steps: int = 4, num_timesteps: int = 0) -> Query:
    segments = (
        _make_segment(100 * ordinal + k, n_steps=n_steps, num_timesteps=num_timesteps + k)
        for k in range(n_segments)
    )
    return Query(segments=tuple(segments), ordinal=ordinal, num_timesteps=num_timesteps)


@pytest.fixture
def make_segment() -> MakeSegment:
    """Segment number `number`: the same number is the same content."""
    return _make_segment


@pytest.fixture
def make_query() -> MakeQuery:
    """Query number `ordinal`: the same number is the same content."""
    return _make_query


@pytest.fixture
def clock() -> Clock:
    """The clock of `timed`."""
    return Clock()


@pytest.fixture(params=["memory", "file"])
def timed(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """A store whose time is that of `clock`, in memory and on disk."""
    with Store(None if request.param == "memory" else tmp_path, clock=clock) as store:
        yield store
