"""Connections: whoever takes too long to ask is cut off, whoever waits for an answer is not, and all have a limit.

The limits are made short here; each test waits for what must happen, as long as that takes.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from prefrl_labeling_gui import connections

SHORT = 0.5
LONG = 3600.0
PATIENCE = 30.0


@pytest.fixture(scope="module")
def served(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    run = make_run(tmp_path_factory.mktemp("served") / "run", task="gridworld", n_queries=3, segment_length=6)
    return serve_here(run)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`limits(head=…, body=…)` sets the seconds; the other is long."""

    def limit(*, head: float = LONG, body: float = LONG) -> None:
        monkeypatch.setattr(connections, "HEAD_SECONDS", head)
        monkeypatch.setattr(connections, "BODY_SECONDS", body)

    return limit


@pytest.fixture
def connect(served: Any) -> Iterator[Callable[[], socket.socket]]:
    """`connect()` opens a connection."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    with ExitStack() as stack:

        def open_one() -> socket.socket:
            return stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE))

        yield open_one


def head(served: Any, line: str = "GET /static/api.js", *more: str) -> bytes:
    """The start of a request, without the empty line at the end."""
    host = served.url.removeprefix("http://")
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *more, ""]).encode()


def dripping(connection: socket.socket, drop: bytes, every: float = 0.05) -> threading.Event:
    """Send a little again and again, until the other side ends it; the event is then set."""
    ended = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            while True:
                connection.sendall(drop)
                time.sleep(every)
        ended.set()

    threading.Thread(target=drip, daemon=True).start()
    return ended


def response(connection: socket.socket) -> tuple[int, bytes]:
    """Read one response whose length is told; return status and content."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(connection)
    top, _, content = data.partition(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in top.lower().split(b"\r\n") if b"content-length:" in line]
    while len(content) < length:
        content += received(connection)
    return int(top.split()[1]), content


def received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the connection has ended"
    return data


def has_ended(connection: socket.socket) -> bool:
    """Wait for the end."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def test_headers_that_drip_are_cut_off(
    served: Any, limits: Callable[..., None], connect: Callable[[], socket.socket]
) -> None:
    limits(head=SHORT)
    connection = connect()
    connection.sendall(head(served))
    ended = dripping(connection, b"x-a: b\r\n")
    assert ended.wait(PATIENCE)


def test_who_says_nothing_is_cut_off(limits: Callable[..., None], connect: Callable[[], socket.socket]) -> None:
    limits(head=SHORT)
    assert has_ended(connect())


def test_headers_that_drip_are_cut_off_in_a_later_request_too(
    served: Any, limits: Callable[..., None], connect: Callable[[], socket.socket]
) -> None:
    connection = connect()
    connection.sendall(head(served) + b"\r\n")
    assert response(connection)[0] == 200
    limits(head=SHORT)
    connection.sendall(head(served))
    assert dripping(connection, b"x-a: b\r\n").wait(PATIENCE)


@pytest.mark.parametrize("length", ["content-length: 60000", "transfer-encoding: chunked"])
def test_bodies_that_drip_are_cut_off(
    served: Any, limits: Callable[..., None], connect: Callable[[], socket.socket], length: str
) -> None:
    limits(body=SHORT)
    connection = connect()
    more = (length, "content-type: application/json", f"cookie: {cookie(served)}")
    connection.sendall(head(served, "POST /api/claims", *more) + b"\r\n")
    drop = b"1\r\nx\r\n" if "chunked" in length else b"x"
    assert dripping(connection, drop).wait(PATIENCE)


def test_a_body_that_nobody_reads_is_cut_off(
    served: Any, limits: Callable[..., None], connect: Callable[[], socket.socket]
) -> None:
    """A page needs no body, so it is answered at once; what keeps coming must not keep the connection open."""
    limits(body=SHORT)
    connection = connect()
    connection.sendall(head(served, "GET /static/api.js", "content-length: 60000") + b"\r\n")
    assert response(connection)[0] == 200
    assert dripping(connection, b"x").wait(PATIENCE)


def test_a_body_that_comes_after_the_response_is_followed_by_a_limit_too(
    served: Any, limits: Callable[..., None], connect: Callable[[], socket.socket]
) -> None:
    connection = connect()
    connection.sendall(head(served, "GET /static/api.js", "content-length: 2") + b"\r\nx")
    assert response(connection)[0] == 200
    limits(head=SHORT)
    connection.sendall(b"x" + head(served))
    assert dripping(connection, b"x-a: b\r\n").wait(PATIENCE)


def test_a_body_that_stops_behind_another_request_is_cut_off(
    served: Any, limits: Callable[..., None], connect: Callable[[], socket.socket]
) -> None:
    limits(body=SHORT)
    more = ("content-length: 100", "content-type: application/json", f"cookie: {cookie(served)}")
    connection = connect()
    connection.sendall(head(served) + b"\r\n" + head(served, "POST /api/claims", *more) + b"\r\nx")
    assert response(connection)[0] == 200
    assert has_ended(connection)


def test_a_request_in_parts_is_answered(served: Any, connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    body = b'{"n": 1}'
    more = (f"content-length: {len(body)}", "content-type: application/json", f"cookie: {cookie(served)}")
    whole = head(served, "POST /api/claims", *more) + b"\r\n" + body
    for _ in range(2):  # over one connection
        for start in range(0, len(whole), 40):
            connection.sendall(whole[start : start + 40])
            time.sleep(0.01)
        assert response(connection)[0] == 200


def test_two_requests_at_once_are_answered_in_order(served: Any, connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall((head(served) + b"\r\n") * 2 + head(served, "GET /api/run") + b"connection: close\r\n\r\n")
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    assert [int(part.split()[0]) for part in data.split(b"HTTP/1.1 ")[1:]] == [200, 200, 401]


def test_what_takes_long_to_answer_is_not_cut_off(
    served: Any, limits: Callable[..., None], trainer_beats: Callable[..., None]
) -> None:
    limits(head=2 * SHORT, body=2 * SHORT)
    began = time.monotonic()
    with served.join().stream("GET", "/api/events") as stream:
        for _ in stream.iter_lines():
            if time.monotonic() - began > 6 * SHORT:
                return
            trainer_beats(served.run, labels=int(1000 * time.monotonic()))
    pytest.fail("the stream has ended")


def test_there_is_a_limit_to_connections_and_those_that_end_make_room(
    served: Any, monkeypatch: pytest.MonkeyPatch, connect: Callable[[], socket.socket]
) -> None:
    deadline = time.monotonic() + PATIENCE
    while served.server.server_state.connections:  # of earlier tests: any that ended later would make room
        assert time.monotonic() < deadline, "earlier connections stay open"
        time.sleep(0.05)
    monkeypatch.setattr(served.server.config, "timeout_keep_alive", 600)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    first = [connect() for _ in range(3)]
    for connection in first:
        connection.sendall(head(served) + b"\r\n")
        assert response(connection)[0] == 200
    refused = connect()
    assert response(refused)[0] == 503
    assert has_ended(refused)
    first[0].sendall(head(served) + b"\r\n")
    assert response(first[0])[0] == 200  # who was in goes on
    first[1].close()
    deadline = time.monotonic() + PATIENCE
    status = 503
    while status == 503 and time.monotonic() < deadline:
        later = connect()
        with suppress(OSError, AssertionError):  # refused: what was sent may make the answer be thrown away
            later.sendall(head(served) + b"\r\n")
            status = response(later)[0]
    assert status == 200


def cookie(served: Any) -> str:
    people = served.context.people
    return f"{people.cookie_name}={people.cookie(people.owner)}"
