"""Answers of the owner that come to others unseen, to see how they do."""

from collections.abc import Callable
from typing import Any

import pytest

from prefrl_labeling_gui.assignment import ANSWERS_PER_GOLD

Claimed = Callable[..., list[dict[str, Any]]]
Said = Callable[..., Any]


@pytest.fixture
def served(make_run: Callable[..., Any], serve_here: Callable[..., Any], tmp_path: Any) -> Any:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=4 + 3 * ANSWERS_PER_GOLD, segment_length=6)
    return serve_here(run, repeat_share=0.0)


def work(client: Any, claimed: Claimed, said: Said, n: int, choice: str = "left") -> list[dict[str, Any]]:
    """Answer so many, and return them."""
    done = []
    for _ in range(n):
        [query] = claimed(client, 1)
        said(client, query["query_id"], choice)
        done.append(query)
    return done


def clips(query: dict[str, Any]) -> set[str]:
    return {clip["clip"] for clip in query["clips"]}


def test_gold_comes_unnoticed_after_so_many_answers_and_shows_how_somebody_does(
    served: Any, claimed: Claimed, said: Said
) -> None:
    owner = served.owner()
    known = work(owner, claimed, said, 2)
    for query in known:
        body = {"query_id": query["query_id"], "gold": True}
        assert owner.post("/api/gold", json=body).json() == body
    assert [item["gold"] for item in owner.get("/api/history").json()["items"]] == [True, True]
    comparisons = len(served.store.comparisons())

    ann = served.join("Ann")
    done = work(ann, claimed, said, 2 * ANSWERS_PER_GOLD + 4)
    places = [place for place, query in enumerate(done) if clips(query) in list(map(clips, known))]
    assert places == [ANSWERS_PER_GOLD, 1 + 2 * ANSWERS_PER_GOLD]
    assert done[places[0]].keys() == done[0].keys(), "nothing tells them from the others"
    assert len(served.store.comparisons()) == comparisons + len(done) - 2
    assert not any(item["gold"] for item in ann.get("/api/history").json()["items"])
    assert known[0]["query_id"] not in ann.get("/api/export").text, "nor what they take home"
    assert known[0]["query_id"] in owner.get("/api/export", params={"everybody": True}).text

    people = {person["name"]: person for person in owner.get("/api/people").json()["people"]}
    same = 0
    for place in places:
        [answer] = [one for one in served.store.history("Ann") if one.answer.query_id == done[place]["query_id"]]
        [expected] = [one for one in served.store.history("owner") if one.answer.query_id == answer.repeat_of]
        same += answer.answer.answer == expected.answer.answer
    assert (people["Ann"]["quality"]["gold"], people["Ann"]["quality"]["n_gold"]) == (same / 2, 2)
    assert people["owner"]["quality"]["gold"] is None


def test_what_says_nothing_is_no_gold(served: Any, claimed: Claimed, said: Said) -> None:
    owner = served.owner()
    [query] = work(owner, claimed, said, 1, "cannot_tell")
    reply = owner.post("/api/gold", json={"query_id": query["query_id"], "gold": True})
    assert reply.status_code == 409
    assert "Only clips of this run of which you have said which is better" in reply.json()["error"]
    assert owner.post("/api/gold", json={"query_id": "0" * 32, "gold": True}).status_code == 409
    body = {"query_id": query["query_id"], "gold": False}
    assert owner.post("/api/gold", json=body).json() == body
