"""Connections that take too long to send a request are ended, and there is a limit to how many are open.

uvicorn itself waits for ever for the rest of a request, so that a few hundred idle connections keep everybody out.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""For all headers of a request, from its first byte, or from the start of the connection."""
BODY_SECONDS = 20.0
"""For the body, from the end of the headers."""
MAX_CONNECTIONS = 400
"""At once. Most systems let a process have 1,024 files open; a browser opens up to six connections."""

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class TimedConnection(H11Protocol):
    """One connection: as uvicorn's own, with time limits for what the other side has to send.

    Nothing limits how long a response takes: a clip is drawn, a stream of events stays open.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._awaited: type[h11.IDLE] | type[h11.SEND_BODY] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or end it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.write(_FULL)
            transport.close()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on to what the other side has sent meanwhile."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is None:  # else it is idle, and that timer runs
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Set a deadline where the other side has to go on with a request; the same one until it has done so."""
        state = self.conn.their_state
        awaited = state if state in (h11.IDLE, h11.SEND_BODY) else None
        if awaited is self._awaited:
            return
        self._stop_watching()
        if awaited is not None:
            self._awaited = awaited
            seconds = HEAD_SECONDS if awaited is h11.IDLE else BODY_SECONDS
            self._deadline = self.loop.call_later(seconds, self._end)

    def _stop_watching(self) -> None:
        self._awaited = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        self._stop_watching()
        if not self.transport.is_closing():
            self.transport.close()
