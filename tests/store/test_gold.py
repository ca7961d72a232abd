"""Gold: what is known is put to others once, unseen, and nothing is learned from what they say of it."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefrl.errors import AnswerConflictError, StoreError
from prefrl.segments import Answer, Judgement, Query, Ranking, Segment
from prefrl.store import NewAnswer, RunAbout, Store, StoredAnswer

MakeQuery = Callable[..., Query]
MakeSegment = Callable[..., Segment]

_ids = itertools.count()


def say(store: Store, query_id: str, said: Judgement | None = Answer.FIRST, **changes: Any) -> StoredAnswer:
    fields = {"query_id": query_id, "answer": said, "labeler": "ann", "id": f"answer {next(_ids)}"} | changes
    (stored,) = store.add_answers([NewAnswer(**fields)])
    return stored


def golds(store: Store, queries: list[Query]) -> None:
    for query in queries:
        say(store, query.id)
        store.mark_gold(query.id, "ann")


def test_gold_comes_to_everybody_else_once_and_the_oldest_first(timed: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(4)]
    timed.add_queries(queries)
    golds(timed, queries[:2])
    assert timed.add_gold("ann") is None, "who marked it knows it"
    for query in queries[:2]:
        given = timed.add_gold("bob")
        assert given is not None
        assert given[1] == query.id
        assert timed.add_gold("bob") == given, "one after the other"
        [claim] = timed.claim("bob", 1)
        assert (claim.query_id, claim.repeat_of) == given
        assert claim.segment_ids == tuple(segment.id for segment in query.segments)
        assert timed.add_gold("bob") == given, "nor while it is in hand"
        say(timed, given[0], labeler="bob")
    assert timed.add_gold("bob") is None
    found = timed.add_gold("cid")
    assert found is not None
    assert found[1] == queries[0].id
    assert timed.claim("dan", 5)[0].repeat_of is None, "and to nobody unasked"


def test_what_is_said_of_gold_is_no_comparison(timed: Store, make_query: MakeQuery) -> None:
    timed.add_queries([make_query(0)])
    golds(timed, [make_query(0)])
    before = timed.counts()
    given = timed.add_gold("bob")
    assert given is not None
    say(timed, given[0], Answer.SECOND, labeler="bob")
    assert [one.teacher for one in timed.comparisons()] == ["ann"]
    assert timed.counts().comparisons == before.comparisons
    assert timed.counts().queries == before.queries
    mine, theirs = timed.history("ann"), timed.history("bob")
    assert [(item.is_gold, item.repeat_of) for item in mine] == [(True, None)]
    assert [(item.is_gold, item.repeat_of) for item in theirs] == [(False, make_query(0).id)]


def test_who_has_seen_the_segments_is_not_asked(timed: Store, make_segment: MakeSegment) -> None:
    """In whichever query, answered or in hand, in either order."""
    a, b = make_segment(0), make_segment(1)
    queries = [Query(segments=pair, ordinal=k, run=1) for k, pair in enumerate([(a, b), (b, a)])]
    timed.add_queries(queries[1:])
    [claim] = timed.claim("bob", 1)
    timed.add_queries(queries[:1])
    golds(timed, queries[:1])
    assert timed.add_gold("bob") is None
    say(timed, claim.query_id, labeler="bob")
    assert timed.add_gold("bob") is None
    assert timed.add_gold("cid") is not None


def test_gold_follows_its_answer(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    timed.add_queries([query])
    golds(timed, [query])
    said = timed.answers()[-1]
    unsure = say(timed, query.id, Answer.CANNOT_TELL, supersedes=said.id)
    assert timed.add_gold("bob") is None, "nobody can be measured by that"
    taken_back = say(timed, query.id, None, supersedes=unsure.id)
    assert timed.add_gold("bob") is None
    say(timed, query.id, Answer.EQUAL, supersedes=taken_back.id)
    assert timed.add_gold("bob") is not None
    timed.unmark_gold(query.id)
    timed.unmark_gold(query.id)
    assert timed.add_gold("cid") is None
    assert not timed.history("ann")[0].is_gold


def test_whose_gold_it_is_can_change(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    timed.add_queries([query], overlap=2)
    golds(timed, [query])
    say(timed, query.id, Answer.SECOND, labeler="bob")
    timed.mark_gold(query.id, "bob")
    assert [item.answer.labeler for item in timed.history(None) if item.is_gold] == ["bob"]


@pytest.mark.parametrize("said", [None, Answer.CANNOT_TELL])
def test_what_nobody_can_be_measured_by_is_no_gold(
    timed: Store, make_query: MakeQuery, said: Answer | None
) -> None:
    query = make_query(0)
    timed.add_queries([query])
    if said is not None:
        say(timed, query.id, said)
    with pytest.raises(AnswerConflictError, match="cannot be gold: 'ann' has not said which is better"):
        timed.mark_gold(query.id, "ann")
    with pytest.raises(StoreError, match="no query 'unknown'"):
        timed.mark_gold("unknown", "ann")


def test_a_repeat_is_no_gold(timed: Store, make_query: MakeQuery) -> None:
    timed.add_queries([make_query(0)])
    say(timed, make_query(0).id)
    repeat_id = timed.add_repeat(make_query(0).id, "ann")
    say(timed, repeat_id)
    with pytest.raises(AnswerConflictError, match="was asked it a second time"):
        timed.mark_gold(repeat_id, "ann")


def test_gold_asked_before_may_be_repeated_to_nobody_but_its_maker(timed: Store, make_query: MakeQuery) -> None:
    """Sides of what bob is asked are his own, whatever ann saw."""
    timed.add_queries([make_query(k) for k in range(40)])
    golds(timed, [make_query(k) for k in range(40)])
    swapped = []
    while (given := timed.add_gold("bob")) is not None:
        [claim] = timed.claim("bob", 1)
        swapped.append(claim.sides_swapped)
        say(timed, given[0], labeler="bob")
    assert len(swapped) == 40
    assert 8 < sum(swapped) < 32
    repeat_id = timed.add_repeat(make_query(0).id, "ann")
    [claim] = timed.claim("ann", 1)
    assert claim.query_id == repeat_id


def test_gold_of_an_earlier_run_is_not_asked(tmp_path: Path, make_query: MakeQuery, about: RunAbout) -> None:
    with Store(tmp_path) as store:
        for _ in range(2):
            run = store.begin_run(about)
            [query] = store.add_queries([replace(make_query(0, n_segments=3), run=0)], run=run)
            say(store, query.id, Ranking((0, 1, 2)), kind="ranking")
            store.mark_gold(query.id, "ann")
        given = store.add_gold("bob")
        assert given is not None
        assert given[1] == query.id
        say(store, given[0], Ranking((2, 1, 0)), kind="ranking", labeler="bob")
        assert store.add_gold("bob") is None


def test_what_still_wants_answers_is_asked_itself(timed: Store, make_query: MakeQuery) -> None:
    """Who was asked a copy could not be asked it any more, and a label would be missing."""
    query = make_query(0)
    timed.add_queries([query], overlap=2)
    golds(timed, [query])
    assert timed.add_gold("bob") is None
    assert [claim.query_id for claim in timed.claim("bob", 1)] == [query.id]
    say(timed, query.id, labeler="bob")
    assert timed.add_gold("cid") is not None


def test_of_another_kind_nothing_is_given_out_and_no_lease_renewed(
    timed: Store, clock: Any, make_query: MakeQuery
) -> None:
    """A run that had asked for pairs goes on with rankings: what is in hand becomes free, and can expire."""
    pairs = [make_query(k) for k in range(3)]
    rankings = [make_query(10 + k, n_segments=4) for k in range(3)]
    timed.add_queries(pairs)
    golds(timed, pairs[:1])
    assert len(timed.claim("bob", 2, lease_seconds=60)) == 2
    timed.add_queries(rankings)
    assert timed.add_gold("bob", sizes=(3, 6)) is None
    for _ in range(3):
        clock.advance(30)
        claims = timed.claim("bob", 3, exclude=[pairs[1].id], lease_seconds=60, sizes=(3, 6))
        assert {claim.query_id for claim in claims} == {query.id for query in rankings}
    assert timed.expire_queries([query.id for query in pairs[1:]]) == 2
    assert {len(claim.segment_ids) for claim in timed.claim("bob", 3, sizes=(2, 2))} <= {2}
