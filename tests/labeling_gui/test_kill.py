"""The server is killed under people who answer: what was acknowledged is there, once."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from prefrl.store import Store

N_PEOPLE = 4

MakeRun = Callable[..., Path]
Serve = Callable[..., Any]
BodyOf = Callable[..., dict[str, Any]]


def insist(client: httpx.Client, path: str, body: dict[str, Any], over: threading.Event) -> dict[str, Any] | None:
    """Post until there is a reply, as the page does; None if it is over before."""
    while not over.is_set():
        try:
            reply = client.post(path, json=body, timeout=10)
        except httpx.TransportError:
            time.sleep(0.05)  # no server there just now
            continue
        assert reply.status_code == 200, reply.text
        content: dict[str, Any] = reply.json()
        return content
    return None


class Labeller:
    """Somebody who answers as fast as the server takes it, and notes what was acknowledged."""

    def __init__(self, client: httpx.Client, seed: int, body_of: BodyOf) -> None:
        self.client = client
        self.random = random.Random(seed)
        self.body_of = body_of
        self.sent: dict[str, dict[str, Any]] = {}
        self.acknowledged: dict[str, int] = {}
        self.problem: BaseException | None = None

    def work(self, over: threading.Event) -> None:
        try:
            while not over.is_set():
                reply = insist(self.client, "/api/claims", {"n": 3, "holding": []}, over)
                for pair in reply["queries"] if reply else []:
                    self.answer(pair["query_id"], over)
        except BaseException as error:  # shown by the test
            self.problem = error

    def answer(self, query_id: str, over: threading.Event) -> None:
        body = self.body_of(query_id, self.random.choice(["left", "right", "equal", "cannot_tell"]))
        self.sent[body["id"]] = body
        reply = insist(self.client, "/api/answers", body, over)
        if reply is not None:
            self.acknowledged[reply["id"]] = reply["seq"]


def work_through(
    serve: Serve, run: Path, people: list[Labeller], n_kills: int, port: str, moments: random.Random
) -> None:
    """Have people answer while the server is killed again and again."""
    over = threading.Event()
    threads = [threading.Thread(target=person.work, args=(over,)) for person in people]
    for thread in threads:
        thread.start()
    for _ in range(n_kills):
        n_before = sum(len(person.acknowledged) for person in people)
        server = serve(run, "--port", port)
        deadline = time.monotonic() + 30
        while sum(len(person.acknowledged) for person in people) < n_before + 10:  # all are at it again
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 0.7))
        server.kill()
    over.set()
    for thread in threads:
        thread.join()
    assert [person.problem for person in people] == [None] * len(people)


@pytest.mark.parametrize("n_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_no_acknowledged_answer_is_lost_or_doubled(
    make_run: MakeRun, serve: Serve, body_of: BodyOf, tmp_path: Path, n_kills: int
) -> None:
    run = make_run(
        tmp_path / "run",
        task="gridworld",
        segment_length=6,
        n_queries=200 * n_kills,
        n_segments=100,
        n_labels=10**6,
    )
    server = serve(run)
    owner = server.owner()
    links = [owner.post("/api/people", json={"name": f"p{i}"}).json()["link"] for i in range(N_PEOPLE)]
    people = [Labeller(server.visit(link), seed, body_of) for seed, link in enumerate(links)]
    server.kill()
    port = server.url.rpartition(":")[2]
    work_through(serve, run, people, n_kills, port, random.Random(n_kills))

    with Store(run) as store:
        stored = {answer.id: answer for answer in store.answers()}
        n_rows = store.counts().answers
        repeats = {item.answer.query_id for item in store.history(None, limit=None) if item.repeat_of is not None}
    acknowledged = {key: seq for person in people for key, seq in person.acknowledged.items()}
    sent = {key for person in people for key in person.sent}
    assert len(acknowledged) >= 10 * n_kills
    assert acknowledged == {key: stored[key].seq for key in acknowledged if key in stored}  # none lost
    assert len(stored) == n_rows  # none doubled
    assert stored.keys() <= sent  # none made up
    assert max(Counter((answer.query_id, answer.labeler) for answer in stored.values()).values()) == 1
    by_query = Counter(answer.query_id for answer in stored.values() if answer.query_id not in repeats)
    assert max(by_query.values()) == 1  # no pair was with two people


def test_answers_given_without_network_land_once_in_any_order(
    make_run: MakeRun, serve: Serve, body_of: BodyOf, claimed: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", segment_length=6, n_queries=60, n_segments=40)
    server = serve(run, "--repeat-share", "0")
    owner = server.owner()
    held: list[str] = []
    while len(held) < 50:
        held += [pair["query_id"] for pair in claimed(owner, 5, holding=held)]
    server.kill()
    outbox = [body_of(query_id, choice) for query_id, choice in zip(held, ["left", "right"] * 25, strict=True)]
    queue = outbox * 2  # sent, the reply lost, sent again
    random.Random(0).shuffle(queue)
    serve(run, "--port", server.url.rpartition(":")[2], "--repeat-share", "0")
    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda body: insist(owner, "/api/answers", body, over), queue))
    with Store(run) as store:
        stored = store.answers()
    assert sorted(answer.id for answer in stored) == sorted(body["id"] for body in outbox)
    seqs = {answer.id: answer.seq for answer in stored}
    assert [(reply["id"], reply["seq"]) for reply in replies if reply] == [
        (body["id"], seqs[body["id"]]) for body in queue
    ]
    assert not any(answer.late for answer in stored)
    shown = {item["query_id"]: item["choice"] for item in owner.get("/api/history?limit=200").json()["items"]}
    assert shown == {body["query_id"]: body["choice"] for body in outbox}
