"""A store that an older prefrl wrote is brought up to date, and nothing in it is lost."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from prefrl.errors import StoreError
from prefrl.segments import Answer, Query
from prefrl.store import OpenQuery, Store, StoreCounts, TrainerRecord
from prefrl.store.blobs import FolderBlobs
from prefrl.store.database import sqlite_module
from prefrl.store.migrations import upgrade

MakeQuery = Callable[..., Query]

_OLD_TIME = 1_600_000_000_000


def write_0001(folder: Path, queries: list[Query], answers: list[tuple[Any, ...]]) -> None:
    """Write a store as the first schema had it.

    `answers` are id, index of the query, labeler, answer, supersedes.
    """
    segments = {segment.id: segment for query in queries for segment in query.segments}
    FolderBlobs(folder / "segments").write(segments)
    engine = create_engine(f"sqlite:///{folder / 'store.sqlite'}", module=sqlite_module()[0])
    with engine.begin() as connection:
        upgrade(connection, "0001")

        def insert(table: str, columns: str, *rows: tuple[Any, ...]) -> None:
            names = columns.split()
            places = ", ".join(f":{name}" for name in names)
            statement = text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})")
            connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])

        insert("segment", "id n_steps created_at", *((key, 4, _OLD_TIME) for key in segments))
        insert(
            "query",
            "id ordinal num_timesteps created_at",
            *((query.id, query.ordinal, query.num_timesteps, _OLD_TIME) for query in queries),
        )
        insert(
            "query_segment",
            "query_id position segment_id num_timesteps",
            *(
                (query.id, position, segment.id, segment.num_timesteps)
                for query in queries
                for position, segment in enumerate(query.segments)
            ),
        )
        insert("labeler", "name created_at", ("ann", _OLD_TIME), ("bob", _OLD_TIME))
        insert("lease", "query_id labeler expires_at", (queries[3].id, "ann", _OLD_TIME))
        insert(
            "answer",
            "id query_id labeler answer supersedes sides_swapped server_time",
            *(
                (key, queries[k].id, labeler, answer, supersedes, 1, _OLD_TIME)
                for key, k, labeler, answer, supersedes in answers
            ),
        )
        insert("status", "key value", ("num_timesteps", "123"))
    engine.dispose()


def test_a_store_of_the_first_schema_goes_on(tmp_path: Path, make_query: MakeQuery) -> None:
    queries = [make_query(k, num_timesteps=10 * k) for k in range(5)] + [make_query(5, n_segments=3)]
    queries = [replace(query, run=0) for query in queries]  # as ids were then
    write_0001(
        tmp_path,
        queries,
        [
            ("a", 0, "ann", "first", None),
            ("b", 0, "ann", "second", "a"),
            ("c", 1, "bob", "cannot_tell", None),
            ("d", 2, "ann", "equal", None),
            ("e", 2, "ann", None, "d"),
        ],
    )
    with Store(tmp_path) as store:
        rows = store.answers()
        assert [(row.id, row.answer, row.late, row.sides_swapped) for row in rows] == [
            ("a", Answer.FIRST, False, True),
            ("b", Answer.SECOND, False, True),
            ("c", Answer.CANNOT_TELL, False, True),
            ("d", Answer.EQUAL, False, True),
            ("e", None, False, True),
        ]
        assert store.counts() == StoreCounts(queries=6, answers=5, comparisons=1, cannot_tell=1)
        assert [(c.seq, c.preference) for c in store.comparisons()] == [(2, 0.0)]
        assert store.published(TrainerRecord) is None
        assert [(p.name, p.role, p.revoked) for p in store.labelers()] == [
            ("ann", "labeler", False),
            ("bob", "labeler", False),
        ]
        assert store.open_queries() == [
            OpenQuery(query_id=queries[k].id, num_timesteps=10 * k, n_answers=0, n_leases=0) for k in (2, 3, 4)
        ]
        # The lease that ann had is hers first; what she took back is asked of others.
        assert [c.query_id for c in store.claim("ann", 9)] == [queries[3].id, queries[4].id]
        assert [c.query_id for c in store.claim("bob", 9)] == [queries[2].id]
        store.add_queries(queries)
        assert store.counts().queries == 6
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0003",)]


def test_the_pair_of_an_old_query_is_known_in_either_order(tmp_path: Path, make_query: MakeQuery) -> None:
    old = [replace(make_query(k), run=0) for k in range(4)]
    write_0001(tmp_path, old, [("a", 0, "ann", "first", None)])
    turned = Query(segments=old[0].segments[::-1], ordinal=9, num_timesteps=100)
    with Store(tmp_path) as store:
        store.add_queries([turned])
        assert turned.id not in {c.query_id for c in store.claim("ann", 9)}
        assert [c.query_id for c in store.claim("bob", 9)] == [turned.id]


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, make_query: MakeQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [replace(make_query(k), run=0) for k in range(4)]
    write_0001(tmp_path, queries, [("a", 0, "ann", "first", None)])
    before = dump(tmp_path)

    def fails(connection: Any) -> None:
        upgrade(connection)
        connection.execute(text("INSERT INTO answer (id) VALUES ('x')"))

    with monkeypatch.context() as patch:
        patch.setattr("prefrl.store.migrations.upgrade", fails)
        with pytest.raises(StoreError, match="refused a step"), Store(tmp_path):
            pass
    assert dump(tmp_path) == before
    with Store(tmp_path) as store:
        assert len(store.comparisons()) == 1


def dump(folder: Path) -> list[str]:
    """Return all there is in the database; the file itself may be laid out anew."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as connection:
        return list(connection.iterdump())
