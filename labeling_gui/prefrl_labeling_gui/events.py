"""Server-sent events: a stream per open page that tells when progress or the stock of queries changes."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from prefrl_labeling_gui.messages import Progress

STREAMS_PER_PERSON = 8
SECONDS_BETWEEN = 0.5
"""A stream looks that often, so it sends no more than two messages of a kind per second."""
SECONDS_OF_SILENCE = 15.0
"""After so long the same progress is sent again, so that both ends know the stream lives."""


class Streams:
    """The streams that are open, counted per person."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.closing = False
        """Set when the server stops: all streams end by themselves."""

    def is_full(self, name: str) -> bool:
        """Say whether this person has as many streams as anybody may."""
        return self._open[name] >= STREAMS_PER_PERSON

    @contextlib.contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Count a stream while it is open."""
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1


class EventStream(StreamingResponse):
    """A response that is one person's stream, counted until it has ended, however it ends.

    Args:
        streams: Where it is counted.
        name: Whose stream it is.
        content: The messages.
    """

    def __init__(self, streams: Streams, name: str, content: AsyncIterator[str]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._counted = streams.counted(name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the messages."""
        with self._counted:
            await super().__call__(scope, receive, send)


async def messages(
    streams: Streams,
    *,
    progress: Callable[[], Progress],
    stock: Callable[[], tuple[int, int]],
    is_welcome: Callable[[], bool],
) -> AsyncIterator[str]:
    """Yield the messages of one stream, until the server stops or the person may stay no longer.

    Args:
        streams: Says when the server stops.
        progress: Returns the person's progress.
        stock: Returns how often queries have been added, and how many are open.
        is_welcome: Whether the session still holds.
    """
    sent: Progress | None = None
    sent_at, (seen, _) = 0.0, stock()
    while not streams.closing and is_welcome():
        now = progress()
        if now != sent or time.monotonic() - sent_at >= SECONDS_OF_SILENCE:
            yield event("progress", now.model_dump_json())
            sent, sent_at = now, time.monotonic()
        added, n_open = stock()
        if added != seen:
            yield event("queries", json.dumps({"open": n_open}))
            seen = added
        await asyncio.sleep(SECONDS_BETWEEN)


def event(name: str, data: str) -> str:
    """Return one event in the format of server-sent events; `data` is one line."""
    return f"event: {name}\ndata: {data}\n\n"
