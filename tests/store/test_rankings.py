"""Rankings of several segments: asked, said, changed, asked again, and learned from, beside pairs."""

import itertools
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prefrl.errors import SettingError, StoreError
from prefrl.segments import Answer, Judgement, Query, Ranking, Segment, Strength
from prefrl.store import NewAnswer, RunAbout, Store, StoreCounts, StoredAnswer

MakeQuery = Callable[..., Query]
MakeSegment = Callable[..., Segment]

_ids = itertools.count()


def say(store: Store, query_id: str, said: Judgement | None, **changes: Any) -> StoredAnswer:
    fields = {"query_id": query_id, "answer": said, "labeler": "ann", "id": f"answer {next(_ids)}"}
    (stored,) = store.add_answers([NewAnswer(**(fields | {"kind": "ranking"} | changes))])
    return stored


def test_a_ranking_is_kept_and_is_a_comparison_of_each_two(timed: Store, make_query: MakeQuery) -> None:
    three, five, pair = make_query(0, n_segments=3), make_query(1, n_segments=5), make_query(2)
    timed.add_queries([three, five, pair])
    say(timed, three.id, Ranking((1, 2, 0)))
    say(timed, five.id, Ranking((0, 1, 1, 2, 0)))
    say(timed, pair.id, Answer.SECOND, kind="pair")
    assert [row.answer for row in timed.answers()] == [Ranking((1, 2, 0)), Ranking((0, 1, 1, 2, 0)), Answer.SECOND]
    found = timed.comparisons()
    assert [one.preferences for one in found] == [
        (1.0, 0.0, 0.0),
        (1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0),
        (0.0,),
    ]
    assert [tuple(s.id for s in one.segments) for one in found] == [
        tuple(s.id for s in query.segments) for query in (three, five, pair)
    ]
    assert {one.strength for one in found} == {Strength.UNSAID}
    assert timed.counts() == StoreCounts(queries=3, answers=3, comparisons=3, cannot_tell=0)
    assert timed.open_queries() == []


def test_a_ranking_is_handed_out_to_one_and_its_repeat_in_reverse_order(
    timed: Store, make_query: MakeQuery
) -> None:
    query = make_query(0, n_segments=4)
    timed.add_queries([query])
    (claim,) = timed.claim("ann", 2)
    assert claim.segment_ids == tuple(segment.id for segment in query.segments)
    assert timed.claim("bob", 1) == []
    said = say(timed, query.id, Ranking((3, 1, 0, 2)), sides_swapped=claim.sides_swapped)
    repeat_id = timed.add_repeat(query.id, "ann")
    (again,) = timed.claim("ann", 1)
    assert (again.query_id, again.sides_swapped) == (repeat_id, not claim.sides_swapped)
    assert again.segment_ids == claim.segment_ids
    say(timed, repeat_id, Ranking((3, 1, 2, 0)), sides_swapped=again.sides_swapped)
    assert [one.seq for one in timed.comparisons()] == [said.seq], "a repeat is not learned from"
    newest, oldest = timed.history("ann")
    assert (newest.repeat_of, newest.answer.answer) == (query.id, Ranking((3, 1, 2, 0)))
    assert oldest.segment_ids == claim.segment_ids


def test_nobody_sees_the_same_segments_twice_in_any_order(timed: Store, make_segment: MakeSegment) -> None:
    a, b, c, d = (make_segment(k) for k in range(4))
    groups = [(a, b, c), (c, a, b), (a, b), (a, b, d)]
    queries = [Query(segments=group, ordinal=k, run=1) for k, group in enumerate(groups)]
    timed.add_queries(queries)
    assert [query.asked_before for query in timed.open_queries()].count(True) == 1
    assert [claim.query_id for claim in timed.claim("ann", 4)] == [queries[k].id for k in (0, 2, 3)]
    assert [claim.query_id for claim in timed.claim("bob", 4)] == [queries[1].id]


def test_a_ranking_is_changed_and_taken_back(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0, n_segments=3)
    timed.add_queries([query])
    first = say(timed, query.id, Ranking((0, 1, 2)))
    second = say(timed, query.id, Ranking((0, 2, 1)), supersedes=first.id)
    assert timed.comparison_seqs_then(first.seq, aside=(), settled={}) == [first.seq]
    assert [one.preferences for one in timed.comparisons()] == [(1.0, 1.0, 0.0)]
    say(timed, query.id, Answer.CANNOT_TELL, supersedes=second.id)
    assert timed.counts().comparisons == 0
    assert timed.counts().cannot_tell == 1
    say(timed, query.id, None, supersedes=timed.answers()[-1].id)
    assert [one.query_id for one in timed.open_queries()] == [query.id]
    again = say(timed, query.id, Ranking((0, 1, 2)), id="sent twice")
    assert say(timed, query.id, Ranking((0, 1, 2)), id="sent twice") == again


@pytest.mark.parametrize(
    ("said", "kind", "error", "message"),
    [
        (
            Ranking((0, 1)),
            "ranking",
            StoreError,
            r"has 3 segments, of which Ranking\(ranks=\(0, 1\)\) .* says nothing",
        ),
        (Answer.CANNOT_TELL, "pair", StoreError, r"has 3 segments, of which <Answer\.CANNOT_TELL"),
        (Answer.FIRST, "ranking", SettingError, "must be one of a `Ranking`, Answer.CANNOT_TELL"),
        (Ranking((0, 1, 2)), "strength", SettingError, "must be one of Answer.MUCH_FIRST"),
    ],
)
def test_what_does_not_fit_the_query_is_refused(
    timed: Store, make_query: MakeQuery, said: Judgement, kind: str, error: type[Exception], message: str
) -> None:
    query = make_query(0, n_segments=3)
    timed.add_queries([query])
    with pytest.raises(error, match=message):
        say(timed, query.id, said, kind=kind)
    assert timed.answers() == []


def test_two_segments_are_no_ranking(timed: Store, make_query: MakeQuery) -> None:
    """And one who cannot tell of a pair has not been asked to rank."""
    query = make_query(0)
    timed.add_queries([query])
    with pytest.raises(StoreError, match=r"has 2 segments, of which <Answer.CANNOT_TELL.* of kind 'ranking'"):
        say(timed, query.id, Answer.CANNOT_TELL)


def test_on_disk_it_is_the_order_of_the_places_best_first(
    tmp_path: Path, make_query: MakeQuery, about: RunAbout
) -> None:
    """As the first schema had it, which had no equals."""
    with Store(tmp_path) as store:
        run = store.begin_run(about)
        queries = store.add_queries([make_query(k, n_segments=4) for k in range(2)], run=run)
        for query, ranks in zip(queries, [(1, 2, 0, 3), (1, 2, 0, 1)], strict=True):
            say(store, query.id, Ranking(ranks))
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        rows = connection.execute("SELECT kind, value FROM answer ORDER BY seq").fetchall()
    assert [(kind, json.loads(value)) for kind, value in rows] == [
        ("ranking", [2, 0, 1, 3]),
        ("ranking", [2, [0, 3], 1]),
    ]
