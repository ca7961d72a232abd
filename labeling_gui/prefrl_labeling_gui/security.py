"""What stands before every route: whose writes are taken, what browsers are told, how often somebody may guess.

The routes themselves ask who it is (`access`), never by the request's path. Sources: the Sec-Fetch-Site and Origin
rule is that of Go's `http.CrossOriginProtection`.
"""

import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024
LOGINS_PER_MINUTE = 5
"""Wrong tokens per minute and address. Right ones are taken at any time, so nobody can lock others out."""

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",  # an address may hold a token
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class SecurityHeaders:
    """Adds to every response what browsers must be told; nothing is cached unless a route says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class SameOriginWrites:
    """Refuses writes that a page of another origin has a browser send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] != "http" or scope["method"] in _SAFE_METHODS or _is_same_origin(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        problem = {"error": "This came from another site, so nothing was changed; use the labelling page itself."}
        await JSONResponse(problem, status_code=403)(scope, receive, send)


def _is_same_origin(headers: Headers) -> bool:
    """Browsers say where a write comes from; what says nothing is no browser and has no cookie to abuse."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        place = urlsplit(origin)
    except ValueError:
        return False
    return place.scheme in ("http", "https") and place.netloc.lower() == headers.get("host", "").lower()


def comes_from_elsewhere(headers: Headers) -> bool:
    """Say whether a browser tells that another site led it here: by a link, or without anybody's doing."""
    return headers.get("sec-fetch-site") in ("cross-site", "same-site")


def is_embedded_elsewhere(headers: Headers) -> bool:
    """Say whether another site asks for something that is not a page of its own: a picture or a frame, say."""
    return comes_from_elsewhere(headers) and headers.get("sec-fetch-dest", "document") != "document"


class LoginLimit:
    """Counts wrong tokens per address within the last minute.

    Args:
        clock: Returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def is_over(self, address: str) -> bool:
        """Say whether this address has to wait."""
        self._forget()
        return len(self._failures.get(address, ())) >= LOGINS_PER_MINUTE

    def failed(self, address: str) -> None:
        """Count a wrong token."""
        self._failures.setdefault(address, deque(maxlen=LOGINS_PER_MINUTE)).append(self._clock())

    def _forget(self) -> None:
        """Drop what is older than a minute, so that the memory stays bounded too."""
        since = self._clock() - 60
        for address, times in list(self._failures.items()):
            while times and times[0] < since:
                times.popleft()
            if not times:
                del self._failures[address]
