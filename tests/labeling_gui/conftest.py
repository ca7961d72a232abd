"""Labelling servers inside the test's own process, with people signed in."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from prefrl.segments import Query, Segment
from prefrl.store import Store
from prefrl_labeling_gui.context import ServerContext
from prefrl_labeling_gui.server import Server, bound_socket
from prefrl_labeling_gui.settings import Settings

SECRET = "0123456789abcdef" * 4


class Served:
    """A run that is served by a thread of this process."""

    def __init__(self, context: ServerContext, server: Server, url: str, owner_token: str) -> None:
        self.context = context
        self.server = server
        self.url = url
        self.owner_token = owner_token
        self._n_people = 0
        self._clients: list[httpx.Client] = []

    @property
    def store(self) -> Store:
        return self.context.store

    @property
    def run(self) -> Path:
        return self.context.settings.run

    def anonymous(self) -> httpx.Client:
        """A browser that nobody is signed in with."""
        client = httpx.Client(base_url=self.url, timeout=60, limits=httpx.Limits(keepalive_expiry=2.0))
        self._clients.append(client)
        return client

    def owner(self) -> httpx.Client:
        """The owner's browser."""
        return self.signed_in(self.context.people.owner.name)

    def join(self, name: str | None = None) -> httpx.Client:
        """The browser of somebody new."""
        self._n_people += 1
        name = name or f"person {self._n_people}"
        self.context.people.invite(name)
        return self.signed_in(name)

    def signed_in(self, name: str) -> httpx.Client:
        """A browser of somebody who is known already."""
        people = self.context.people
        person = people.named(name)
        assert person is not None
        client = self.anonymous()
        client.cookies.set(people.cookie_name, people.cookie(person))
        return client

    def close(self) -> None:
        """Close all browsers."""
        for client in self._clients:
            client.close()


def claim(client: httpx.Client, n: int = 1, holding: list[str] | None = None) -> list[dict[str, Any]]:
    """The pairs that somebody is given."""
    reply = client.post("/api/claims", json={"n": n, "holding": holding or []})
    assert reply.status_code == 200, reply.text
    queries: list[dict[str, Any]] = reply.json()["queries"]
    return queries


def answer_body(query_id: str, choice: str | None = "left", **more: Any) -> dict[str, Any]:
    """An answer as the page sends it."""
    return {"id": str(uuid4()), "query_id": query_id, "choice": choice, **more}


def say(client: httpx.Client, query_id: str, choice: str | None = "left", **more: Any) -> dict[str, Any]:
    """Answer, and return what the server replies."""
    reply = client.post("/api/answers", json=answer_body(query_id, choice, **more))
    assert reply.status_code == 200, reply.text
    said: dict[str, Any] = reply.json()
    return said


def made_up_query(number: int) -> Query:
    """Query number `number` about two segments that no other query has."""

    def segment(content: int) -> Segment:
        rewards = np.zeros(1, dtype=np.float32)
        return Segment(observations=np.array([[content]]), actions=np.zeros(1), env_rewards=rewards)

    return Query(segments=(segment(2 * number), segment(2 * number + 1)), ordinal=number, run=1)


@pytest.fixture(scope="session")
def some_query() -> Callable[[int], Query]:
    """`some_query(number)`: the same number is the same query."""
    return made_up_query


@pytest.fixture(scope="session")
def claimed() -> Callable[..., list[dict[str, Any]]]:
    """`claimed(client, n)`: pairs that somebody is given."""
    return claim


@pytest.fixture(scope="session")
def said() -> Callable[..., dict[str, Any]]:
    """`said(client, query_id, choice)`: the reply to an answer."""
    return say


@pytest.fixture(scope="session")
def body_of() -> Callable[..., dict[str, Any]]:
    """`body_of(query_id, choice)`: an answer as the page sends it."""
    return answer_body


@contextmanager
def running(server: Server, context: ServerContext) -> Iterator[str]:
    """Run a server in a thread; give its address."""
    listener = bound_socket("127.0.0.1", 0)
    listener.listen()
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        context.streams.closing = server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def serve_here() -> Iterator[Callable[..., Served]]:
    """`serve_here(run, **settings)` serves a run in this process until the module's tests are over."""
    with ExitStack() as stack:

        def start(run: Path, **settings: Any) -> Served:
            store = stack.enter_context(Store(run))
            (run / "labeling").mkdir(exist_ok=True)
            context = ServerContext(store, Settings(run=run, **settings), SECRET)
            token = context.open()
            server = Server(context)
            url = stack.enter_context(running(server, context))
            served = Served(context, server, url, token)
            stack.callback(served.close)
            return served

        yield start


@pytest.fixture(scope="module")
def served(
    make_run: Callable[..., Path], serve_here: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory
) -> Served:
    """A run with plenty of queries; each test of a module brings its own people."""
    run = make_run(tmp_path_factory.mktemp("served") / "run", task="gridworld", n_queries=150, segment_length=6)
    return serve_here(run, show_predictions=True)
