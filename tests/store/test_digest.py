"""One hash over what was asked and said in a run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, func, select, text, update

from prefrl.segments import Answer, Query
from prefrl.store import NewAnswer, RunAbout, Store, schema

MakeQuery = Callable[..., Query]


@pytest.fixture
def labeled(timed: Store, make_query: MakeQuery) -> Store:
    """Answers 1 to 6 of run 1: five queries and an undo."""
    queries = [make_query(k) for k in range(5)]
    timed.add_queries(queries, overlap=2)
    for query in queries:
        say(timed, query.id)
    say(timed, queries[3].id, None, supersedes=f"ann {queries[3].id}")
    return timed


def say(store: Store, query_id: str, answer: Answer | None = Answer.FIRST, **changes: Any) -> None:
    labeler = changes.pop("labeler", "ann")
    answer_id = f"{'undo ' if answer is None else ''}{labeler} {query_id}"
    store.add_answers([NewAnswer(id=answer_id, query_id=query_id, answer=answer, labeler=labeler, **changes)])


def test_what_comes_later_does_not_change_it(labeled: Store, make_query: MakeQuery, about: RunAbout) -> None:
    before = [labeled.digest(1, seq) for seq in range(7)]
    assert len(set(before)) == 7
    assert labeled.digest(2, 6) == before[0]
    say(labeled, make_query(0).id, labeler="bob")
    labeled.add_repeat(make_query(2).id, "ann")
    labeled.claim("bob", 9)
    run = labeled.begin_run(about)
    [asked] = labeled.add_queries([replace(make_query(0), run=0)], run=run)
    say(labeled, asked.id)
    labeled.add_labeler("cid")
    assert [labeled.digest(1, seq) for seq in range(7)] == before
    assert labeled.digest(1, 99) != before[6]
    assert labeled.digest(1, 7) == labeled.digest(1, 99), "the last answer is another run's"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "other"),
        ("labeler", "bob"),
        ("value", '"second"'),
        ("sides_swapped", 1),
        ("reaction_ms", 5),
        ("replays", 0),
        ("client_time", 1),
        ("server_time", 1),
        ("gui_version", ""),
        ("late", 1),
        ("kind", "rating"),
        ("query_id", None),
    ],
)
def test_any_change_of_an_answer_is_seen(labeled: Store, make_query: MakeQuery, column: str, value: Any) -> None:
    labeled.add_labeler("bob")
    before = labeled.digest(1, 6)
    value = make_query(4).id if column == "query_id" else value
    with labeled._database.write() as connection:
        changed = update(schema.answer).where(schema.answer.c.seq == 2).values({column: value})
        connection.execute(changed)
    assert labeled.digest(1, 6) != before


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("ordinal", 9), ("num_timesteps", 9), ("overlap", 7), ("created_at", 9), ("repeat_of", "other")],
        ("run_id", 2),
    ],
)
def test_any_change_of_an_answered_query_is_seen(
    labeled: Store, make_query: MakeQuery, about: RunAbout, column: str, value: Any
) -> None:
    labeled.begin_run(about)
    before = labeled.digest(1, 6)
    value = make_query(4).id if value == "other" else value
    with labeled._database.write() as connection:
        query = schema.query
        connection.execute(update(query).where(query.c.id == make_query(1).id).values({column: value}))
    assert labeled.digest(1, 6) != before


def test_swapped_other_and_missing_segments_are_seen(labeled: Store, make_query: MakeQuery) -> None:
    part, query = schema.query_segment, make_query(1)
    seen = {labeled.digest(1, 6)}

    def put(position: int, segment_id: str) -> None:
        with labeled._database.write() as connection:
            of = (part.c.query_id == query.id, part.c.position == position)
            connection.execute(update(part).where(*of).values(segment_id=segment_id))

    first, second = (segment.id for segment in query.segments)
    for ids in ((second, first), (first, make_query(2).segments[0].id)):
        for position, segment_id in enumerate(ids):
            put(position, segment_id)
        seen.add(labeled.digest(1, 6))
    with labeled._database.write() as connection:
        connection.execute(delete(part).where(part.c.query_id == query.id, part.c.position == 1))
    seen.add(labeled.digest(1, 6))
    with labeled._database.write() as connection:
        connection.execute(delete(schema.answer).where(schema.answer.c.seq == 2))
    seen.add(labeled.digest(1, 6))
    assert len(seen) == 5


def test_two_answers_that_change_places_are_seen(labeled: Store) -> None:
    before = labeled.digest(1, 6)
    seq = schema.answer.c.seq
    with labeled._database.write() as connection:
        for old, new in ((1, 99), (2, 1), (99, 2)):
            connection.execute(update(schema.answer).where(seq == old).values(seq=new))
    assert labeled.digest(1, 6) != before


def test_30_000_answers_take_two_statements(about: RunAbout) -> None:
    n = 30_000
    with Store() as store:
        store.begin_run(about)
        with store._database.write() as connection:
            numbers = f"WITH RECURSIVE n(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n WHERE k < {n - 1})"
            for statement in (
                f"INSERT INTO segment {numbers} SELECT 's' || k, 1, 0 FROM n",
                "INSERT INTO query (id, ordinal, num_timesteps, created_at, run_id) "
                f"{numbers} SELECT 'q' || k, k, k, 0, 1 FROM n",
                f"INSERT INTO query_segment {numbers} SELECT 'q' || k, 0, 's' || k, 0 FROM n",
                f"INSERT INTO query_segment {numbers} SELECT 'q' || k, 1, 's' || (k / 2), 0 FROM n",
                "INSERT INTO labeler (name, created_at) VALUES ('ann', 0)",
                "INSERT INTO answer (id, query_id, labeler, sides_swapped, server_time, value) "
                f"{numbers} SELECT 'a' || k, 'q' || k, 'ann', 0, k, '\"first\"' FROM n",
            ):
                connection.execute(text(statement))
            assert connection.execute(select(func.count(schema.answer.c.seq))).scalar() == n
        statements: list[str] = []

        def note(*args: Any) -> None:
            statements.append(args[2])

        event.listen(Engine, "before_cursor_execute", note)
        digest = store.digest(1, n)
        event.remove(Engine, "before_cursor_execute", note)
        selects = [statement for statement in statements if statement.startswith("SELECT")]
        assert digest != store.digest(1, n - 1)
    assert len(selects) == 2, "0.3 s where this was measured; a statement per answer would take minutes"
