"""Settling: where people say opposite things, one answer holds, and the others are kept and not learned from."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from prefrl.errors import AnswerConflictError, StoreError
from prefrl.segments import Answer, Judgement, Query, Ranking, Rating
from prefrl.store import NewAnswer, RunAbout, Store, StoredAnswer

MakeQuery = Callable[..., Query]

_ids = itertools.count()


def say(store: Store, query: Query | str, labeler: str, said: Judgement | None, **changes: Any) -> StoredAnswer:
    query_id = query if isinstance(query, str) else query.id
    kinds = {Ranking: "ranking", Rating: "rating"}
    kind = kinds.get(type(said), "strength" if said is Answer.MUCH_FIRST else "pair")
    fields = {"query_id": query_id, "answer": said, "labeler": labeler, "id": f"answer {next(_ids)}", "kind": kind}
    (stored,) = store.add_answers([NewAnswer(**(fields | changes))])
    return stored


@pytest.fixture
def disputed(timed: Store, make_query: MakeQuery) -> tuple[Store, Query]:
    """Ann calls the first better, Bob the second."""
    query = make_query(0)
    timed.add_queries([query], overlap=4)
    say(timed, query, "ann", Answer.FIRST)
    say(timed, query, "bob", Answer.SECOND)
    return timed, query


def test_only_what_holds_is_a_comparison(disputed: tuple[Store, Query]) -> None:
    store, query = disputed
    before = store.digest(1, 9)
    store.settle(query.id, "bob", "owner")
    assert store.settled() == store.settled(run=1) == {query.id: "bob"}
    assert store.comparison_seqs() == [2]
    assert [one.teacher for one in store.comparisons()] == ["bob"]
    assert [one.teacher for one in store.comparisons_of([query.id])] == ["bob"]
    assert store.counts().comparisons == store.runs()[0].n_comparisons == 1
    assert [one.seq for one in store.comparisons_at([1, 2])] == [1, 2], (
        "what a checkpoint learned from can be read"
    )
    assert len(store.answers()) == len(store.history(None)) == 2, "nothing is lost"
    assert store.digest(1, 9) == before, "the answers are what they were"
    store.settle(query.id, "ann", "owner")
    assert store.comparison_seqs() == [1]
    say(store, query, "cid", Answer.SECOND)
    assert store.comparison_seqs() == [1], "nor what is said later"
    store.unsettle(query.id)
    store.unsettle(query.id)
    assert store.settled() == {}
    assert store.comparison_seqs() == [1, 2, 3]


@pytest.mark.parametrize("said", [None, Answer.CANNOT_TELL])
def test_what_says_nothing_cannot_hold(disputed: tuple[Store, Query], said: Answer | None) -> None:
    store, query = disputed
    if said is not None:
        say(store, query, "cid", said)
    with pytest.raises(AnswerConflictError, match=r"answer of 'cid' to query .* cannot hold"):
        store.settle(query.id, "cid", "owner")
    store.set_aside("ann")
    with pytest.raises(AnswerConflictError, match=r"answer of 'ann' to query .* cannot hold"):
        store.settle(query.id, "ann", "owner")
    with pytest.raises(StoreError, match="no query 'unknown'"):
        store.settle("unknown", "ann", "owner")
    assert store.settled() == {}


def test_a_repeat_is_not_settled(disputed: tuple[Store, Query]) -> None:
    store, query = disputed
    repeat_id = store.add_repeat(query.id, "ann")
    say(store, repeat_id, "ann", Answer.SECOND)
    with pytest.raises(AnswerConflictError, match="or it was asked a second time"):
        store.settle(repeat_id, "ann", "owner")


@pytest.mark.parametrize(
    ("one", "other", "is_listed"),
    [
        (Answer.FIRST, Answer.SECOND, True),
        (Answer.MUCH_FIRST, Answer.SECOND, True),
        (Answer.MUCH_FIRST, Answer.FIRST, False),
        (Answer.FIRST, Answer.FIRST, False),
        (Answer.FIRST, Answer.EQUAL, False),
        (Answer.SECOND, Answer.CANNOT_TELL, False),
        (Ranking((0, 1, 2)), Ranking((0, 2, 1)), True),
        (Ranking((0, 1, 2)), Ranking((0, 1, 1)), False),
        (Ranking((0, 1, 2)), Ranking((0, 1, 2)), False),
        (Ranking((0, 1, 1)), Ranking((1, 1, 0)), True),
        (Rating(2), Rating(4), True),
        (Rating(1), Rating(3), False),
        (Rating(4), Rating(5), False),
    ],
)
def test_opposites_are_listed(
    timed: Store, make_query: MakeQuery, one: Judgement, other: Judgement, is_listed: bool
) -> None:
    query = make_query(0, n_segments={Ranking: 3, Rating: 1}.get(type(one), 2))
    timed.add_queries([query], overlap=2)
    say(timed, query, "ann", one)
    assert timed.disagreements() == []
    say(timed, query, "bob", other)
    assert [found.query_id for found in timed.disagreements(run=1)] == ([query.id] if is_listed else [])


def test_the_list_has_who_says_what_and_what_is_settled_at_its_end(timed: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(3)]
    timed.add_queries(queries, overlap=3)
    for query in queries:
        say(timed, query, "ann", Answer.FIRST)
        say(timed, query, "bob", Answer.SECOND)
        say(timed, query, "cid", Answer.EQUAL)
    assert [found.query_id for found in timed.disagreements()] == [query.id for query in queries[::-1]]
    timed.settle(queries[2].id, "bob", "owner")
    listed = timed.disagreements()
    assert [(one.query_id, one.holds, one.settled_by) for one in listed] == [
        (queries[1].id, None, None),
        (queries[0].id, None, None),
        (queries[2].id, "bob", "owner"),
    ]
    assert listed[0].segment_ids == tuple(segment.id for segment in queries[1].segments)
    assert [(said.labeler, said.answer) for said in listed[2].answers] == [
        ("ann", Answer.FIRST),
        ("bob", Answer.SECOND),
        ("cid", Answer.EQUAL),
    ]


def test_who_is_set_aside_contradicts_nobody_and_who_is_locked_out_does(disputed: tuple[Store, Query]) -> None:
    store, query = disputed
    store.revoke("bob")
    assert len(store.disagreements()) == 1
    store.set_aside("bob")
    assert store.disagreements() == []
    store.set_aside("bob", False)
    store.settle(query.id, "bob", "owner")
    store.set_aside("bob")
    [found] = store.disagreements()
    assert (found.holds, [said.labeler for said in found.answers]) == ("bob", ["ann"])
    assert store.comparison_seqs() == [], "and nothing is learned"


def test_what_was_settled_stays_in_the_list_when_all_is_taken_back(disputed: tuple[Store, Query]) -> None:
    store, query = disputed
    store.settle(query.id, "bob", "owner")
    for said in store.answers():
        say(store, query, said.labeler, None, supersedes=said.id)
    [found] = store.disagreements()
    assert (found.holds, found.answers) == ("bob", ())
    store.unsettle(query.id)
    assert store.disagreements() == []


def test_runs_have_their_own(disputed: tuple[Store, Query], about: RunAbout) -> None:
    store, query = disputed
    assert store.begin_run(about) == 2
    store.settle(query.id, "ann", "owner")
    assert (store.settled(run=2), store.disagreements(run=2)) == ({}, [])
    assert len(store.disagreements()) == len(store.disagreements(run=1)) == 1


def test_a_settled_query_is_asked_of_nobody_else(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    timed.add_queries([query], overlap=3)
    for name, answer in (("ann", Answer.FIRST), ("bob", Answer.SECOND)):
        say(timed, query.id, name, answer)
    timed.settle(query.id, "bob", "owner")
    assert timed.open_queries() == []
    assert timed.claim("cid", 1) == []
    timed.unsettle(query.id)
    assert [one.query_id for one in timed.open_queries()] == [query.id]
    assert [claim.query_id for claim in timed.claim("cid", 1)] == [query.id]


def test_what_was_settled_as_wrong_is_no_gold(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    timed.add_queries([query], overlap=2)
    for name, answer in (("ann", Answer.FIRST), ("bob", Answer.SECOND)):
        say(timed, query.id, name, answer)
    timed.mark_gold(query.id, "ann")
    assert [item.is_gold for item in timed.history("ann")] == [True]
    timed.settle(query.id, "bob", "owner")
    assert [item.is_gold for item in timed.history("ann")] == [False]
    assert timed.add_gold("cid") is None
    with pytest.raises(AnswerConflictError, match="another answer holds"):
        timed.mark_gold(query.id, "ann")
    timed.mark_gold(query.id, "bob")
    assert [item.is_gold for item in timed.history("bob")] == [True]
