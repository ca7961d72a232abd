"""What people say opposite things of, as the owner sees and settles it."""

from collections.abc import Callable
from typing import Any

import pytest

from prefrl.segments import Answer, Ranking, Rating
from prefrl.store import NewAnswer

Claimed = Callable[..., list[dict[str, Any]]]
Said = Callable[..., Any]


@pytest.fixture
def served(make_run: Callable[..., Any], serve_here: Callable[..., Any], tmp_path: Any) -> Any:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=4, segment_length=6, overlap=3)
    return serve_here(run, repeat_share=0.0)


def disagree(served: Any, claimed: Claimed, n: int) -> list[str]:
    """Ann and Bob contradict each other so many times, and agree on the rest; return what they disagree on."""
    asked = {query["query_id"] for query in claimed(served.join("Ann"), 4)}
    asked &= {query["query_id"] for query in claimed(served.join("Bob"), 4)}
    assert len(asked) == 4
    disputed = sorted(asked)[:n]
    for query_id in sorted(asked):
        for name, said in (
            ("Ann", Answer.FIRST),
            ("Bob", Answer.SECOND if query_id in disputed else Answer.FIRST),
        ):
            answer_id = f"{name} {query_id}"
            served.store.add_answers([NewAnswer(id=answer_id, query_id=query_id, labeler=name, answer=said)])
    served.context.answer_index.refresh()
    return disputed


def test_the_owner_sees_who_says_what_and_settles_it(served: Any, claimed: Claimed) -> None:
    owner = served.owner()
    assert owner.get("/api/disagreements").json() == {"items": [], "n_open": 0, "n_settled": 0}
    disputed = disagree(served, claimed, 2)
    listed = owner.get("/api/disagreements").json()
    assert (listed["n_open"], listed["n_settled"]) == (2, 0)
    assert owner.get("/api/people").json()["n_disagreements"] == 2
    assert {item["query_id"] for item in listed["items"]} == set(disputed)
    for item in listed["items"]:
        said = [(opinion["labeler"], opinion["choice"], opinion["ranks"]) for opinion in item["opinions"]]
        assert said == [("Ann", "left", None), ("Bob", "right", None)], "in one order, whatever each saw"
        assert (item["holds"], len(item["clips"])) == (None, 2)
        segments = [segment.id for segment in served.store.query(item["query_id"]).segments]
        assert [clip["clip"].rpartition("/")[2].partition(".")[0] for clip in item["clips"]] == segments

    total = owner.get("/api/progress").json()["total"]
    body = {"query_id": disputed[0], "labeler": "Bob"}
    assert owner.post("/api/settle", json=body).json() == body
    assert served.store.settled() == {disputed[0]: "Bob"}
    assert owner.get("/api/progress").json()["total"] == total - 1 == served.store.counts().comparisons
    assert served.store.disagreements()[-1].settled_by == "owner"
    listed = owner.get("/api/disagreements").json()
    assert (listed["n_open"], listed["n_settled"]) == (1, 1)
    assert [item["holds"] for item in listed["items"]] == [None, "Bob"]
    assert owner.get("/api/people").json()["n_disagreements"] == 1
    served.context.people.set_aside("Bob", True)
    served.context.answer_index.refresh()
    assert owner.get("/api/progress").json()["total"] == served.store.counts().comparisons == 3

    served.context.people.set_aside("Bob", False)
    back = {"query_id": disputed[0], "labeler": None}
    assert owner.post("/api/settle", json=back).json() == back
    assert owner.get("/api/progress").json()["total"] == total == served.store.counts().comparisons


def test_the_owners_own_answer_may_hold(served: Any, claimed: Claimed, said: Said) -> None:
    [disputed] = disagree(served, claimed, 1)
    owner = served.owner()
    for query in claimed(owner, 4):
        said(owner, query["query_id"], "left")
    assert owner.post("/api/settle", json={"query_id": disputed, "labeler": "owner"}).status_code == 200
    assert [one.teacher for one in served.store.comparisons_of([disputed])] == ["owner"]


def test_what_says_nothing_cannot_hold(served: Any, claimed: Claimed) -> None:
    [disputed] = disagree(served, claimed, 1)
    owner = served.owner()
    for query_id, name in ((disputed, "owner"), (disputed, "nobody"), ("0" * 32, "Ann")):
        reply = owner.post("/api/settle", json={"query_id": query_id, "labeler": name})
        assert reply.status_code == 409
        assert "taken back or set aside meanwhile" in reply.json()["error"]
    assert owner.post("/api/settle", json={"query_id": disputed}).status_code == 422, "nothing by mistake"
    assert served.store.settled() == {}


def test_rankings_are_listed_by_the_ranks_of_clips(
    make_run: Callable[..., Any], serve_here: Callable[..., Any], tmp_path: Any
) -> None:
    run = make_run(
        tmp_path / "run", task="gridworld", n_queries=2, segment_length=6, overlap=2, feedback="ranking", n_clips=4
    )
    served = serve_here(run)
    [query_id, _] = [query.query_id for query in served.store.open_queries()]
    n = len(served.store.query(query_id).segments)
    for name, ranks in (("Ann", tuple(range(n))), ("Bob", tuple(range(n))[::-1])):
        answer = NewAnswer(id=name, query_id=query_id, labeler=name, answer=Ranking(ranks), kind="ranking")
        served.store.add_answers([answer])
    served.context.answer_index.refresh()
    [item] = served.owner().get("/api/disagreements").json()["items"]
    assert [opinion["ranks"] for opinion in item["opinions"]] == [list(range(n)), list(range(n))[::-1]]
    assert len(item["clips"]) == n
    assert served.owner().post("/api/settle", json={"query_id": query_id, "labeler": "Bob"}).status_code == 200


def test_ratings_are_listed_by_their_level(
    make_run: Callable[..., Any], serve_here: Callable[..., Any], tmp_path: Any
) -> None:
    served = serve_here(
        make_run(
            tmp_path / "run",
            task="gridworld",
            n_queries=2,
            segment_length=6,
            overlap=2,
            feedback="rating",
            n_clips=1,
        )
    )
    query_id = served.store.open_queries()[0].query_id
    for name, level in (("Ann", 5), ("Bob", 1)):
        answer = NewAnswer(id=name, query_id=query_id, labeler=name, answer=Rating(level), kind="rating")
        served.store.add_answers([answer])
    served.context.answer_index.refresh()
    [item] = served.owner().get("/api/disagreements").json()["items"]
    assert [(opinion["rating"], opinion["choice"], opinion["ranks"]) for opinion in item["opinions"]] == [
        (5, None, None),
        (1, None, None),
    ]
    assert len(item["clips"]) == 1
