"""A run that asks how much better: what the page is told, what it may say, and what becomes of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from prefrl.segments import Answer
from prefrl.store import RunAbout, RunRecord, Store

Claimed = Callable[..., list[dict[str, Any]]]
Said = Callable[..., dict[str, Any]]
BodyOf = Callable[..., dict[str, Any]]
SIX = ["much_left", "left", "equal", "cannot_tell", "right", "much_right"]
FOUR = ["left", "equal", "cannot_tell", "right"]


@pytest.fixture
def strong(make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path: Path) -> Any:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=12, segment_length=6, feedback="strength")
    return serve_here(run, repeat_share=0.0)


def test_the_page_is_told_what_may_be_said(strong: Any, served: Any) -> None:
    assert strong.owner().get("/api/run").json()["choices"] == SIX
    assert served.join().get("/api/run").json()["choices"] == FOUR


def test_every_choice_is_stored_as_it_was_meant(strong: Any, claimed: Claimed, said: Said) -> None:
    client = strong.owner()
    chosen = {}
    for choice in SIX:
        [pair] = claimed(client)
        said(client, pair["query_id"], choice, kind="strength")
        chosen[pair["query_id"]] = (choice, Path(pair["clips"][0]["clip"]).stem)
    rows = strong.store.answers()
    assert [row.kind for row in rows] == ["strength"] * 6
    for row in rows:
        choice, left = chosen[row.query_id]
        first = strong.store.query(row.query_id).segments[0].id
        meant = {"much_left": Answer.MUCH_FIRST, "left": Answer.FIRST, "right": Answer.SECOND}
        meant |= {"much_right": Answer.MUCH_SECOND, "equal": Answer.EQUAL, "cannot_tell": Answer.CANNOT_TELL}
        expected = meant[choice] if left == first else meant[choice].turned_round
        assert row.answer is expected
    items = client.get("/api/history").json()["items"]
    assert [item["choice"] for item in items] == SIX[::-1]
    assert all(item["choices"] == SIX for item in items)
    assert client.get("/api/progress").json()["total"] == 5, "what cannot be told is no comparison"
    lines = client.get("/api/export", params={"kind": "jsonl"}).text.splitlines()
    assert [(json.loads(line)["kind"], json.loads(line)["choice"]) for line in lines] == [
        ("strength", choice) for choice in SIX
    ]


def test_a_run_of_pairs_takes_no_strength(served: Any, claimed: Claimed, body_of: BodyOf) -> None:
    client = served.join()
    [pair] = claimed(client)
    assert client.post("/api/answers", json=body_of(pair["query_id"], "left", kind="poem")).status_code == 422
    reply = client.post("/api/answers", json=body_of(pair["query_id"], "much_left"))
    assert reply.status_code == 422
    assert "`choice` must be one of left, equal, cannot_tell, right" in reply.text
    assert served.store.answers() == []


def test_an_answer_is_of_the_kind_that_the_page_showed(
    strong: Any, claimed: Claimed, said: Said, about: RunAbout
) -> None:
    """Though another run, which asks something else, has begun in the same folder: offline, or in an open page."""
    client = strong.owner()
    pair, held = claimed(client, 2)
    sent = {"id": str(uuid4()), "query_id": pair["query_id"], "choice": "much_left", "kind": "strength"}
    first = client.post("/api/answers", json=sent).json()
    with Store(strong.run) as store:
        record = store.published(RunRecord)
        assert record is not None
        store.begin_run(about)
        store.publish(replace(record, feedback="pair"))
    strong.context.look()
    assert client.get("/api/run").json()["choices"] == FOUR
    [item] = [item for item in client.get("/api/history").json()["items"] if item["query_id"] == pair["query_id"]]
    assert (item["choices"], item["kind"]) == (SIX, "strength")
    assert client.post("/api/answers", json=sent).json()["seq"] == first["seq"], "the reply was lost"
    late = {"id": str(uuid4()), "query_id": held["query_id"], "choice": "much_left", "kind": "strength"}
    assert client.post("/api/answers", json=late).status_code == 200
    changed = sent | {"id": str(uuid4()), "choice": "much_right", "supersedes": first["id"]}
    assert client.post("/api/answers", json=changed).status_code == 200
    [row] = [row for row in strong.store.answers() if row.id == changed["id"]]
    assert row.kind == "strength"
    assert row.answer is not None
    assert row.answer.is_much
    took_back = changed | {"id": str(uuid4()), "choice": None, "supersedes": changed["id"]}
    assert client.post("/api/answers", json=took_back).status_code == 200
