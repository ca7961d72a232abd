"""A run that asks how good one clip is: what the page is told, what it may say, and what becomes of it."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from prefrl.segments import Answer, Rating
from prefrl.store import RunAbout, RunRecord, Store
from prefrl_labeling_gui.assignment import ANSWERS_PER_GOLD

Claimed = Callable[..., list[dict[str, Any]]]
Served = Callable[..., Any]


@pytest.fixture
def rated(make_run: Callable[..., Path], serve_here: Served, tmp_path: Path) -> Any:
    return serve_here(rating_run(make_run, tmp_path, 12), repeat_share=0.0, show_predictions=True)


def rating_run(make_run: Callable[..., Path], folder: Path, n: int) -> Path:
    return make_run(
        folder / "run",
        task="gridworld",
        n_queries=n,
        n_segments=3 * n,  # some of which are alike
        segment_length=6,
        feedback="rating",
        n_clips=1,
    )


def body_of(query: dict[str, Any], **said: Any) -> dict[str, Any]:
    return {"id": str(uuid4()), "query_id": query["query_id"], "kind": "rating", **said}


def rate(client: Any, query: dict[str, Any], level: int, **more: Any) -> dict[str, Any]:
    """Rate the clip of a query, and return what the server replies."""
    reply = client.post("/api/answers", json=body_of(query, rating=level, **more))
    assert reply.status_code == 200, reply.text
    said: dict[str, Any] = reply.json()
    return said


def test_the_page_is_told_that_ratings_are_asked_for(rated: Any, served: Any, claimed: Claimed) -> None:
    about = rated.owner().get("/api/run").json()
    told = (about["feedback"], about["levels"], about["ranking"], about["choices"])
    assert told == ("rating", 5, False, ["cannot_tell"])
    assert served.join().get("/api/run").json()["levels"] == 0
    assert [len(query["clips"]) for query in claimed(rated.join(), 3)] == [1, 1, 1]


def test_levels_are_stored_as_they_are_however_the_query_lies(rated: Any, claimed: Claimed) -> None:
    client = rated.owner()
    queries = claimed(client, 5)
    for level, query in enumerate(queries, 1):
        reply = rate(client, query, level, reaction_ms=2000)
        [stored] = rated.store.answers(reply["seq"] - 1, limit=1)
        assert (stored.answer, stored.kind, stored.reaction_ms) == (Rating(level), "rating", 2000)
    assert {stored.sides_swapped for stored in rated.store.answers()} == {True, False}
    assert (reply["progress"]["total"], reply["progress"]["answered"]) == (5, 5), "a rating is one label"
    assert {one.rating for one in rated.store.comparisons()} == {1, 2, 3, 4, 5}


def test_it_cannot_be_told_and_a_rating_is_taken_back(rated: Any, claimed: Claimed) -> None:
    client = rated.owner()
    first, second = claimed(client, 2)
    assert client.post("/api/answers", json=body_of(first, choice="cannot_tell")).status_code == 200
    assert rated.store.answers()[0].answer is Answer.CANNOT_TELL
    said = rate(client, second, 4)
    assert (said["progress"]["answered"], said["progress"]["total"]) == (2, 1)
    undone = client.post("/api/answers", json=body_of(second, supersedes=said["id"]))
    assert undone.json()["progress"]["total"] == 0
    assert [query["query_id"] for query in claimed(client)] == [second["query_id"]]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"rating": 0}, "body.rating: Input should be greater than or equal to 1."),
        ({"rating": 6}, "body.rating: Input should be less than or equal to 5."),
        ({"rating": -1}, "body.rating"),
        ({"rating": 2.5}, "body.rating: Input should be a valid integer."),
        ({"rating": 3.0}, "body.rating: Input should be a valid integer."),
        ({"rating": "3"}, "body.rating: Input should be a valid integer."),
        ({"rating": True}, "body.rating: Input should be a valid integer."),
        ({"rating": [3]}, "body.rating"),
        ({"rating": 3, "choice": "cannot_tell"}, "One of `choice`, `ranks` and `rating` is said, not several."),
        ({"rating": 3, "ranks": [0]}, "One of `choice`, `ranks` and `rating` is said, not several."),
        ({}, "Without `choice`, `ranks` and `rating` the answer named in `supersedes` is taken back: name it."),
        ({"choice": "left"}, "`choice` must be one of cannot_tell. Received left."),
        ({"choice": "equal"}, "`choice` must be one of cannot_tell. Received equal."),
        ({"ranks": [0]}, "`ranks` are said of rankings only. Received them with `kind` rating."),
        ({"rating": 3, "kind": "pair"}, "A `rating` is said of one clip only. Received it with `kind` pair."),
        (
            {"rating": 3, "kind": "ranking"},
            "A `rating` is said of one clip only. Received it with `kind` ranking.",
        ),
        ({"choice": "cannot_tell", "kind": "pair"}, "What is said must be about the one clip that was shown."),
    ],
    ids=str,
)
def test_what_is_no_rating_of_this_clip_is_refused(
    rated: Any, claimed: Claimed, said: dict[str, Any], sentence: str
) -> None:
    client = rated.owner()
    [query] = claimed(client)
    reply = client.post("/api/answers", json=body_of(query) | said)
    assert reply.status_code == 422
    assert sentence in reply.json()["error"]
    assert rated.store.answers() == []


def test_two_clips_are_not_rated(served: Any, claimed: Claimed) -> None:
    client = served.join()
    [pair] = claimed(client)
    for said in ({"rating": 3}, {"choice": "cannot_tell"}):
        reply = client.post("/api/answers", json=body_of(pair, **said))
        assert reply.status_code == 422
        assert "about the 2 clips that were shown" in reply.json()["error"]


def test_history_and_export_tell_it_and_it_is_changed(rated: Any, claimed: Claimed) -> None:
    client = rated.owner()
    queries = claimed(client, 3)
    first = rate(client, queries[0], 2)
    rate(client, queries[1], 4)
    client.post("/api/answers", json=body_of(queries[2], choice="cannot_tell"))
    rate(client, queries[0], 5, supersedes=first["id"])
    items = {item["query_id"]: item for item in client.get("/api/history").json()["items"]}
    in_order = [items[query["query_id"]] for query in queries]
    assert [(item["choice"], item["ranks"], item["rating"], item["changed"]) for item in in_order] == [
        (None, None, 5, True),
        (None, None, 4, False),
        ("cannot_tell", None, None, False),
    ]
    assert [item["clips"] for item in in_order] == [query["clips"] for query in queries]
    assert {(item["levels"], item["ranking"], *item["choices"]) for item in in_order} == {
        (5, False, "cannot_tell")
    }

    rows = {row["query_id"]: row for row in map(json.loads, client.get("/api/export").text.splitlines())}
    found = [rows[query["query_id"]] for query in queries]
    assert [(row["kind"], row["choice"], row["ranks"], row["rating"]) for row in found] == [
        ("rating", None, None, 5),
        ("rating", None, None, 4),
        ("rating", "cannot_tell", None, None),
    ]
    assert [row["segments"] for row in found] == [[Path(query["clips"][0]["clip"]).stem] for query in queries]
    table = list(csv.DictReader(io.StringIO(client.get("/api/export", params={"kind": "csv"}).text)))
    assert {row["query_id"]: row["rating"] for row in table} == {
        query["query_id"]: level for query, level in zip(queries, ("5", "4", ""), strict=True)
    }


def test_pairs_are_exported_without_a_rating(served: Any, claimed: Claimed, said: Callable[..., Any]) -> None:
    client = served.join()
    [pair] = claimed(client)
    said(client, pair["query_id"])
    [item] = client.get("/api/history").json()["items"]
    assert (item["rating"], item["levels"]) == (None, 0)
    assert json.loads(client.get("/api/export").text)["rating"] is None


def test_predictions_are_of_the_one_clip(rated: Any, claimed: Claimed) -> None:
    client = rated.owner()
    [query] = claimed(client)
    rated.store.set_predictions({Path(query["clips"][0]["clip"]).stem: [1.0, 0.5]}, num_timesteps=1)
    rate(client, query, 3)
    reply = client.get("/api/predictions", params={"query_id": query["query_id"]}).json()
    assert reply == {"clips": [[1.0, 0.5]]}


def test_the_same_clip_comes_again_and_nobody_presses_a_side(
    make_run: Callable[..., Path], serve_here: Served, claimed: Claimed, tmp_path: Path
) -> None:
    served = serve_here(rating_run(make_run, tmp_path, 30), repeat_share=0.5)
    client = served.owner()
    shown: dict[str, Any] = {}
    repeats = 0
    for _ in range(30):
        [query] = claimed(client)
        claim = served.store.given("owner", query["query_id"])
        shown[query["query_id"]] = query["clips"]
        if claim.repeat_of is not None:
            repeats += 1
            assert query["clips"] == shown[claim.repeat_of]
        said = rate(client, query, 3)
    assert repeats >= 3  # 7 expected; fewer once in 100 runs, and always the same
    assert said["progress"]["total"] == 30 - repeats
    [person] = client.get("/api/people").json()["people"]
    assert [person["quality"][side] for side in ("left", "right", "equal")] == [None, None, None]


def test_gold_comes_to_others(
    make_run: Callable[..., Path], serve_here: Served, claimed: Claimed, tmp_path: Path
) -> None:
    served = serve_here(rating_run(make_run, tmp_path, ANSWERS_PER_GOLD + 5), repeat_share=0.0)
    owner, ann = served.owner(), served.join("Ann")
    known, untold = claimed(owner, 2)
    rate(owner, known, 5)
    owner.post("/api/answers", json=body_of(untold, choice="cannot_tell"))
    body = {"query_id": known["query_id"], "gold": True}
    assert owner.post("/api/gold", json=body).json() == body
    refused = owner.post("/api/gold", json=body | {"query_id": untold["query_id"]})
    assert refused.status_code == 409
    assert "or how good they are, can be gold" in refused.json()["error"]
    done = []
    for _ in range(ANSWERS_PER_GOLD + 2):
        done += claimed(ann)
        rate(ann, done[-1], 5)
    assert [place for place, query in enumerate(done) if query["clips"] == known["clips"]] == [ANSWERS_PER_GOLD]


def test_a_rating_stays_one_where_the_run_goes_on_with_pairs(
    rated: Any, claimed: Claimed, about: RunAbout
) -> None:
    client = rated.owner()
    given, held = claimed(client, 2)
    first = rate(client, given, 2)
    with Store(rated.run) as store:
        record = store.published(RunRecord)
        assert record is not None
        store.begin_run(about)
        store.publish(replace(record, feedback="pair"))
    rated.context.look()
    assert client.get("/api/run").json()["levels"] == 0
    assert claimed(client) == []
    [item] = client.get("/api/history").json()["items"]
    assert (item["rating"], item["levels"], item["choices"]) == (2, 5, ["cannot_tell"])
    rate(client, held, 3)  # from a page that is still open
    rate(client, given, 4, supersedes=first["id"])
    assert [item["rating"] for item in client.get("/api/history").json()["items"]] == [4, 3]
