"""A store knows its runs: what is asked and said in one is not the other's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from sqlalchemy import update

from prefrl.errors import QueryTakenError, SettingError, SpaceError, StoreError
from prefrl.segments import Answer, Query, space_from_json
from prefrl.store import NewAnswer, RunAbout, Store, StoreCounts, schema

MakeQuery = Callable[..., Query]


def unasked(make_query: MakeQuery, n: int, first: int = 0) -> list[Query]:
    """Queries as a trainer makes them: they have no run yet."""
    return [replace(make_query(first + k), run=0) for k in range(n)]


def say(store: Store, query: Query | str, answer: Answer = Answer.FIRST, labeler: str = "ann") -> int:
    query_id = query if isinstance(query, str) else query.id
    sent = NewAnswer(query_id=query_id, answer=answer, labeler=labeler, id=f"{labeler} {query_id} {answer}")
    return store.add_answers([sent])[0].seq


def test_a_run_is_described_and_comes_back(tmp_path: Path) -> None:
    space = spaces.Dict({"a": spaces.Discrete(3, start=-1), "b": spaces.Box(-1, 1, (2,), np.float32)})
    about = RunAbout.of(space, spaces.MultiDiscrete([2, 3]), segment_length=25, task="t", frame_stack=4, seed=7)
    with Store(tmp_path) as store:
        assert store.runs() == []
        assert store.newest_run() is None
        assert [store.begin_run(about), store.begin_run(replace(about, task=""))] == [1, 2]
        assert store.newest_run() == 2
    with Store(tmp_path) as store:
        first, second = store.runs()
        assert (first.id, first.about, first.n_comparisons) == (1, about, 0)
        assert (second.id, second.about) == (2, replace(about, task=""))
        assert first.created_at <= second.created_at
        assert first.about is not None
        assert space_from_json(first.about.observation_space) == spaces.Dict(
            {"a": spaces.Discrete(3, start=-1), "b": spaces.Box(-np.inf, np.inf, (2,), np.float32)}
        )
        assert {"prefrl", "python", "gymnasium", "numpy"} <= first.about.versions.keys()
    with pytest.raises(SpaceError, match="Text"):
        RunAbout.of(spaces.Text(3), space, segment_length=1)


def test_two_runs_that_ask_the_same_do_not_meet(timed: Store, make_query: MakeQuery, about: RunAbout) -> None:
    """The same seed in the same store: equal ordinals, equal segments."""
    queries = unasked(make_query, 3)
    asked = timed.add_queries(queries, run=1)
    assert [query.run for query in asked] == [1] * 3
    for query, answer in zip(asked, (Answer.FIRST, Answer.SECOND, Answer.CANNOT_TELL), strict=True):
        say(timed, query, answer)
    second = timed.begin_run(about)
    again = timed.add_queries(queries, run=second)
    ids = [query.id for query in (*queries, *asked, *again)]
    assert len(set(ids)) == 9
    assert timed.answered([query.id for query in again]) == {}
    say(timed, again[0], Answer.EQUAL)

    assert [row.query_id for row in timed.answers(run=1)] == [query.id for query in asked]
    assert [row.seq for row in timed.answers(run=2)] == [4]
    assert [row.seq for row in timed.answers()] == [1, 2, 3, 4]
    assert [row.seq for row in timed.answers(1, limit=1, run=1)] == [2]
    assert [(c.seq, c.preference) for c in timed.comparisons(run=1)] == [(1, 1.0), (2, 0.0)]
    assert [(c.seq, c.preference) for c in timed.comparisons(run=2)] == [(4, 0.5)]
    assert timed.comparison_seqs(run=1) == [1, 2]
    assert timed.comparison_seqs(1) == [2, 4]
    assert timed.counts(run=1) == StoreCounts(queries=3, answers=3, comparisons=2, cannot_tell=1)
    assert timed.counts(run=2) == StoreCounts(queries=3, answers=1, comparisons=1, cannot_tell=0)
    assert timed.counts() == StoreCounts(queries=6, answers=4, comparisons=3, cannot_tell=1)
    assert [query.query_id for query in timed.open_queries(run=2)] == [query.id for query in again[1:]]
    assert timed.open_queries(run=1) == []
    assert [(run.id, run.n_comparisons) for run in timed.runs()] == [(1, 2), (2, 1)]
    for query in (*asked, *again):
        read = timed.query(query.id)
        assert (read.id, read.run) == (query.id, query.run)


def test_what_counted_is_that_of_a_run(timed: Store, make_query: MakeQuery, about: RunAbout) -> None:
    [first] = timed.add_queries(unasked(make_query, 1), run=1)
    seqs = [say(timed, first)]
    [second] = timed.add_queries(unasked(make_query, 1), run=timed.begin_run(about))
    seqs.append(say(timed, second))
    say(timed, first, Answer.SECOND)
    say(timed, second, Answer.SECOND)
    everything = timed.comparison_seqs_then(2, aside=(), settled={})
    of_runs = [timed.comparison_seqs_then(2, aside=(), settled={}, run=run) for run in (1, 2, 3)]
    assert everything == seqs
    assert of_runs == [[1], [2], []]


def test_a_run_that_is_played_again_asks_nothing_twice(timed: Store, make_query: MakeQuery) -> None:
    queries = unasked(make_query, 4)
    once = timed.add_queries(queries[:2], run=1)
    say(timed, once[0])
    again = timed.add_queries(queries, run=1)
    assert [query.id for query in again[:2]] == [query.id for query in once]
    assert timed.counts(run=1).queries == 4
    assert set(timed.answered([query.id for query in again])) == {once[0].id}
    assert [query.id for query in timed.add_queries(again)] == [query.id for query in again]


def test_what_expired_and_is_asked_again_is_open_again(
    timed: Store, make_query: MakeQuery, about: RunAbout
) -> None:
    """A run that goes on from before its queries expired, perhaps after another one has begun."""
    queries = unasked(make_query, 4)
    asked = timed.add_queries(queries, run=1)
    held = timed.claim("ann", 1)[0].query_id
    answered = next(query for query in asked if query.id != held)
    say(timed, answered)
    timed.begin_run(about)
    dead = [query for query in asked if query not in (answered,) and query.id != held]
    with pytest.raises(StoreError, match="expired before anybody had it, and its segments have been deleted"):
        timed.query(dead[0].id)
    assert [query.id for query in timed.add_queries(queries, run=1)] == [query.id for query in asked]
    assert {query.query_id for query in timed.open_queries(run=1)} == {query.id for query in dead} | {held}
    for query in dead:
        say(timed, query, labeler="oracle")
    assert [c.query_id for c in timed.comparisons_of([query.id for query in dead])] == [q.id for q in dead]
    assert timed.counts(run=1) == StoreCounts(queries=4, answers=3, comparisons=3, cannot_tell=0)


def test_what_expired_and_was_answered_since_stays_as_it_is(
    timed: Store, make_query: MakeQuery, about: RunAbout
) -> None:
    queries = unasked(make_query, 1)
    timed.add_queries(queries, run=1, overlap=2)
    [claim] = timed.claim("ann", 1)
    timed.begin_run(about)
    say(timed, claim.query_id)
    timed.add_queries(queries, run=1)
    assert timed.open_queries() == []


def test_a_query_belongs_to_one_run_that_there_is(timed: Store, make_query: MakeQuery) -> None:
    [query] = timed.add_queries(unasked(make_query, 1), run=1)
    with pytest.raises(SettingError, match="A query of run 1 cannot be asked as one of run 2"):
        timed.add_queries([query], run=2)
    for run in (0, 2):
        with pytest.raises(StoreError, match=f"no run {run}; begin one with `begin_run`"):
            timed.add_queries(unasked(make_query, 1), run=run)
    assert timed.counts().queries == 1


def test_a_new_run_takes_away_what_earlier_ones_left_open(
    timed: Store, make_query: MakeQuery, about: RunAbout
) -> None:
    asked = timed.add_queries(unasked(make_query, 4), run=1, overlap=2)
    held, half = [claim.query_id for claim in timed.claim("ann", 2)]
    assert half in [claim.query_id for claim in timed.claim("bob", 2)]
    say(timed, half)
    run = timed.begin_run(about)
    assert [query.query_id for query in timed.open_queries()] == [half], "it has an answer, and waits for a second"
    assert timed.claim("ann", 9) == timed.claim("bob", 9) == [], "nothing of an earlier run is handed out"
    assert timed.query(held).id == held
    say(timed, held)
    assert timed.counts(run=1).comparisons == 2, "who had it in hand may still answer"
    for query in asked[2:]:
        with pytest.raises(QueryTakenError, match="expired"):
            say(timed, query, labeler="cid")
    [new] = timed.add_queries(unasked(make_query, 1, first=9), run=run)
    assert [claim.query_id for claim in timed.claim("bob", 9)] == [new.id]
    assert timed.counts(run=1).queries == 4, "they were asked"


def test_comparisons_of_some_queries_in_order_of_their_answers(
    timed: Store, make_query: MakeQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefrl.store.database._IDS_PER_STATEMENT", 2)
    asked = timed.add_queries(unasked(make_query, 6), run=1, overlap=2)
    for k in (4, 0, 2, 5, 1):
        say(timed, asked[k], Answer.CANNOT_TELL if k == 2 else Answer.SECOND)
    say(timed, asked[0], Answer.FIRST)
    say(timed, asked[5], Answer.EQUAL, labeler="bob")
    wanted = [asked[k].id for k in (0, 1, 2, 3, 4, 5, 0)]
    found = timed.comparisons_of(wanted)
    assert [(c.query_id, c.teacher, c.preference, c.seq) for c in found] == [
        (asked[4].id, "ann", 0.0, 1),
        (asked[5].id, "ann", 0.0, 4),
        (asked[1].id, "ann", 0.0, 5),
        (asked[0].id, "ann", 1.0, 6),
        (asked[5].id, "bob", 0.5, 7),
    ]
    assert [c.seq for c in timed.comparisons_of([asked[1].id])] == [5]
    assert timed.comparisons_of([]) == []


def test_what_a_run_is_about_and_cannot_be_read_is_an_error(timed: Store) -> None:
    with timed._database.write() as connection:
        connection.execute(update(schema.run).values(about='{"segment_length": "long"}'))
    with pytest.raises(StoreError, match="RunAbout in the store cannot be read: `observation_space` is missing"):
        timed.runs()
