"""Ratings of single segments: asked, said, changed, asked again, and learned from, beside pairs."""

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefrl.errors import StoreError
from prefrl.segments import Answer, Judgement, Query, Rating, Strength
from prefrl.store import NewAnswer, RunAbout, Store, StoreCounts, StoredAnswer

MakeQuery = Callable[..., Query]

_ids = itertools.count()


def say(store: Store, query_id: str, said: Judgement | None, **changes: Any) -> StoredAnswer:
    fields = {"query_id": query_id, "answer": said, "labeler": "ann", "id": f"answer {next(_ids)}"}
    (stored,) = store.add_answers([NewAnswer(**(fields | {"kind": "rating"} | changes))])
    return stored


def test_a_rating_is_kept_and_is_learned_from(timed: Store, make_query: MakeQuery) -> None:
    one, other, pair = make_query(0, n_segments=1), make_query(1, n_segments=1), make_query(2)
    timed.add_queries([one, other, pair])
    say(timed, one.id, Rating(4))
    say(timed, other.id, Answer.CANNOT_TELL)
    say(timed, pair.id, Answer.SECOND, kind="pair")
    assert [row.answer for row in timed.answers()] == [Rating(4), Answer.CANNOT_TELL, Answer.SECOND]
    rated, compared = timed.comparisons()
    assert (rated.rating, rated.preferences, rated.strength) == (4, (), Strength.UNSAID)
    assert [segment.id for segment in rated.segments] == [one.segments[0].id]
    assert (compared.rating, compared.preferences) == (None, (0.0,))
    assert timed.counts() == StoreCounts(queries=3, answers=3, comparisons=2, cannot_tell=1)
    assert timed.open_queries() == []


def test_a_rating_is_changed_taken_back_and_asked_again(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0, n_segments=1)
    timed.add_queries([query])
    assert timed.claim("ann", 1, sizes=(2, 6)) == [], "of another size than is asked for"
    (claim,) = timed.claim("ann", 1, sizes=(1, 1))
    assert claim.segment_ids == (query.segments[0].id,)
    first = say(timed, query.id, Rating(1))
    changed = say(timed, query.id, Rating(5), supersedes=first.id)
    assert [one.rating for one in timed.comparisons()] == [5]
    assert timed.comparison_seqs() == [changed.seq]
    again_id = timed.add_repeat(query.id, "ann")
    say(timed, again_id, Rating(2))
    assert [one.rating for one in timed.comparisons()] == [5], "a repeat is not learned from"
    say(timed, query.id, None, supersedes=changed.id)
    assert timed.comparisons() == []


def test_a_clip_is_shown_to_nobody_twice(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0, n_segments=1)
    timed.add_queries([query, replace(query, ordinal=7)], overlap=2)
    claims = timed.claim("ann", 5)
    assert len(claims) == 1
    assert len(timed.claim("bob", 5)) == 1


def test_a_pair_cannot_be_rated_nor_a_clip_preferred(timed: Store, make_query: MakeQuery) -> None:
    alone, pair = make_query(0, n_segments=1), make_query(1)
    timed.add_queries([alone, pair])
    with pytest.raises(StoreError, match=r"has 2 segments, of which Rating\(level=3\) .* says nothing"):
        say(timed, pair.id, Rating(3))
    with pytest.raises(StoreError, match=r"has 1 segments, of which .* of kind 'pair' says nothing"):
        say(timed, alone.id, Answer.FIRST, kind="pair")
    assert timed.answers() == []


def test_gold_ratings_come_to_others(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0, n_segments=1)
    timed.add_queries([query])
    say(timed, query.id, Rating(5))
    timed.mark_gold(query.id, "ann")
    assert timed.add_gold("bob", sizes=(2, 2)) is None
    found = timed.add_gold("bob", sizes=(1, 1))
    assert found is not None
    assert found[1] == query.id


def test_a_level_is_a_number_in_the_table(tmp_path: Path, make_query: MakeQuery, about: RunAbout) -> None:
    with Store(tmp_path) as store:
        [query] = store.add_queries([make_query(0, n_segments=1)], run=store.begin_run(about))
        say(store, query.id, Rating(3))
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        assert connection.execute("SELECT kind, value FROM answer").fetchall() == [("rating", "3")]
