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
from prefrl.segments import Answer, Query, Ranking
from prefrl.store import NewAnswer, OpenQuery, RunAbout, Store, StoreCounts, TrainerRecord
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
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0007",)]


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


# --- 0002 to 0003 -----------------------------------------------------------------------------------------


def write_0002(folder: Path, queries: list[Query]) -> None:
    """Write a store as the second schema had it, with a row of every sort; none of it through today's code.

    Queries: 0 answered and changed, 1 answered by two people, 2 taken back, 3 in hand, 4 expired, 5 open of three
    segments with a ranking, 6 a repeat of 0.
    """
    segments = {segment.id: segment for query in queries for segment in query.segments}
    FolderBlobs(folder / "segments").write(segments)
    engine = create_engine(f"sqlite:///{folder / 'store.sqlite'}", module=sqlite_module()[0])
    with engine.begin() as connection:
        upgrade(connection, "0002")

        def insert(table: str, **values: Any) -> None:
            places = ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"), values)

        for number, segment_id in enumerate(segments):
            insert("segment", id=segment_id, n_steps=4, created_at=_OLD_TIME + number)
        for k, query in enumerate(queries):
            ids = [segment.id for segment in query.segments]
            insert(
                "query",
                id=query.id if k != 6 else "f" * 32,
                ordinal=k,
                num_timesteps=10 * k,
                priority=k % 2,
                overlap=1 + (k == 1),
                expires_at=_OLD_TIME if k == 4 else None,
                repeat_of=queries[0].id if k == 6 else None,
                created_at=_OLD_TIME + 100 + k,
                pair=":".join(sorted(ids)) if len(ids) == 2 else None,
                n_answers=[1, 2, 0, 0, 0, 0, 1][k],
            )
            for position, segment in enumerate(query.segments):
                insert(
                    "query_segment",
                    query_id=query.id if k != 6 else "f" * 32,
                    position=position,
                    segment_id=segment.id,
                    num_timesteps=segment.num_timesteps,
                )
        insert("labeler", name="Änne O'Hara", created_at=1, role="owner", token_hash="aa", revoked=0)
        insert("labeler", name="bob", created_at=2, role="labeler", token_hash=None, revoked=1)
        insert("lease", query_id=queries[2].id, labeler="bob", expires_at=9, began_at=5, turn=-3)
        insert("lease", query_id=queries[3].id, labeler="bob", expires_at=2**40, began_at=7, turn=4)
        said = [
            (3, "a", 0, "first", None),
            (4, "b", 0, "equal", "a"),
            (7, "c", 1, "cannot_tell", None),
            (8, "d", 1, "second", None),
            (9, "e", 2, "second", None),
            (10, "f", 2, None, "e"),
            (11, "g", 6, "second", None),
        ]
        for seq, answer_id, k, answer, supersedes in said:
            insert(
                "answer",
                seq=seq,
                id=answer_id,
                query_id=queries[k].id if k != 6 else "f" * 32,
                labeler="bob" if seq in (8, 9, 10) else "Änne O'Hara",
                answer=answer,
                supersedes=supersedes,
                sides_swapped=seq % 2,
                reaction_ms=None if seq == 7 else 100 * seq,
                replays=seq % 3,
                client_time=_OLD_TIME - seq,
                server_time=_OLD_TIME + seq,
                gui_version="1.2 – β" if seq == 4 else None,
                late=int(seq == 9),
            )
        ranking = {"ranking": "[2, 0, 1]", "sides_swapped": 0, "server_time": 5}
        insert("answer", id="r", query_id=queries[5].id, labeler="bob", **ranking)
        insert("status", key="trainer", value='{"state": "stopped", "updated_at": 5}')
        insert("showcase", num_timesteps=99, segment_id=next(iter(segments)))
        insert("prediction", segment_id=next(iter(segments)), num_timesteps=3, rewards="[1.5, -0.0, 1e-300, 2]")
    engine.dispose()


def rows_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables, as SQLite has them."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'alembic%'"
        )
        tables = [name for (name,) in names if name != "sqlite_sequence"]
        return {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]
            for table in tables
        }


@pytest.fixture
def old_queries(make_query: MakeQuery) -> list[Query]:
    """Queries with the ids of stores that knew no runs."""
    queries = [replace(make_query(k, num_timesteps=10 * k), run=0) for k in range(5)]
    return [*queries, replace(make_query(5, n_segments=3), run=0), replace(queries[0], ordinal=6)]


def test_every_row_of_the_second_schema_survives(tmp_path: Path, old_queries: list[Query]) -> None:
    write_0002(tmp_path, old_queries)
    before = rows_of(tmp_path)
    with Store(tmp_path) as store:
        store.counts()
    after = rows_of(tmp_path)
    assert after.pop("run") == [{"id": 0, "created_at": _OLD_TIME + 100, "about": None}]
    assert after.pop("labeler") == [row | {"set_aside": 0, "quota": None} for row in before.pop("labeler")]
    for table in ("segment", "query_segment", "lease", "status", "showcase", "prediction"):
        assert after[table] == before[table]
    assert after["query"] == [row | {"run_id": 0} for row in before["query"]]
    expected = []
    for row in before["answer"]:
        answer, ranking = row.pop("answer"), row.pop("ranking")
        kind = "ranking" if answer is None and ranking is not None else "pair"
        value = ranking if answer is None else f'"{answer}"'
        expected.append(row | {"kind": kind, "value": value, "remark": None, "comment": None})
    assert after["answer"] == expected
    assert after.pop("gold") == []
    assert after.pop("settled") == []
    assert after.keys() == before.keys()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        [(sequence,)] = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'answer'")
        assert sequence == 12
        with pytest.raises(sqlite3.IntegrityError, match="ck_answer_value"):
            connection.execute("UPDATE answer SET value = '\"third\"' WHERE seq = 3")
        with pytest.raises(sqlite3.IntegrityError, match="ck_answer_kind"):
            connection.execute("UPDATE answer SET kind = 'poem'")
        with pytest.raises(sqlite3.IntegrityError, match="ck_answer_says_something"):
            connection.execute("UPDATE answer SET value = NULL WHERE seq = 3")
        with pytest.raises(sqlite3.IntegrityError, match="ck_answer_late"):
            connection.execute("UPDATE answer SET late = 2")


def test_a_store_of_the_second_schema_goes_on(tmp_path: Path, old_queries: list[Query], about: RunAbout) -> None:
    write_0002(tmp_path, old_queries)
    with Store(tmp_path) as store:
        [run] = store.runs()
        assert (run.id, run.about, run.n_comparisons) == (0, None, 3)
        assert store.newest_run() == 0
        assert [(row.seq, row.kind, row.answer) for row in store.answers(run=0)] == [
            (3, "pair", Answer.FIRST),
            (4, "pair", Answer.EQUAL),
            (7, "pair", Answer.CANNOT_TELL),
            (8, "pair", Answer.SECOND),
            (9, "pair", Answer.SECOND),
            (10, "pair", None),
            (11, "pair", Answer.SECOND),
            (12, "ranking", Ranking((1, 2, 0))),
        ]
        assert store.counts(run=0) == StoreCounts(queries=6, answers=8, comparisons=3, cannot_tell=1)
        assert [(c.seq, c.preferences, c.query_id) for c in store.comparisons(run=0)] == [
            (4, (0.5,), old_queries[0].id),
            (8, (0.0,), old_queries[1].id),
            (12, (1.0, 0.0, 0.0), old_queries[5].id),
        ]
        assert [c.seq for c in store.comparisons_at([3, 4])] == [3, 4]
        assert store.comparison_seqs_then(3, aside=(), settled={}) == [3]
        assert [item.answer.seq for item in store.history(None)] == [12, 11, 8, 7, 4]
        assert store.query(old_queries[3].id).id == old_queries[3].id
        assert store.query(old_queries[5].id).segments[2].id == old_queries[5].segments[2].id
        # A run that is played again asks the same under the same ids, and is answered already.
        again = store.add_queries(old_queries[:6], run=0)
        assert [query.id for query in again] == [query.id for query in old_queries[:6]]
        assert store.counts().queries == 6
        # An answer goes on where the numbers were.
        sent = NewAnswer(query_id=old_queries[3].id, answer=Answer.FIRST, labeler="bob", id="new")
        [stored] = store.add_answers([sent])
        assert (stored.seq, stored.late) == (13, True)
        assert [claim.query_id for claim in store.claim("cid", 9)] == [
            q.id for q in (old_queries[4], old_queries[2])
        ]
        before = store.digest(0, 13)
        assert store.begin_run(about) == 1
        assert [run.id for run in store.runs()] == [0, 1]
        assert store.digest(0, 13) == before
        assert store.claim("dan", 9) == []


def test_a_new_store_has_no_run_that_nobody_began(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.runs() == []


@pytest.mark.parametrize("row", ["status", "labeler"])
def test_an_old_store_without_a_query_has_its_run_too(tmp_path: Path, row: str) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'store.sqlite'}", module=sqlite_module()[0])
    statements = {
        "status": "INSERT INTO status (key, value) VALUES ('run', '{}')",
        "labeler": "INSERT INTO labeler (name, created_at) VALUES ('ann', 77)",
    }
    with engine.begin() as connection:
        upgrade(connection, "0002")
        connection.execute(text(statements[row]))
    engine.dispose()
    with Store(tmp_path) as store:
        assert [(run.id, run.created_at) for run in store.runs()] == [(0, 77 if row == "labeler" else 0)]


def test_an_old_store_whose_rows_refer_to_nothing_is_refused(tmp_path: Path, old_queries: list[Query]) -> None:
    write_0002(tmp_path, old_queries)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        connection.execute("DELETE FROM query WHERE ordinal = 1")
    before = dump(tmp_path)
    with pytest.raises(StoreError, match=r"is damaged .*rows of .* refer to nothing"), Store(tmp_path):
        pass
    assert dump(tmp_path) == before


def test_keys_are_checked_again_after_a_migration(tmp_path: Path, old_queries: list[Query]) -> None:
    write_0002(tmp_path, old_queries)
    with Store(tmp_path) as store, store._database.read() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_everybody_of_the_sixth_schema_is_asked_without_a_bound(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'store.sqlite'}", module=sqlite_module()[0])
    with engine.begin() as connection:
        upgrade(connection, "0006")
        connection.execute(text("INSERT INTO labeler (name, created_at, set_aside) VALUES ('ann', 77, 1)"))
    engine.dispose()
    with Store(tmp_path) as store:
        [ann] = store.labelers()
        assert (ann.name, ann.set_aside, ann.quota) == ("ann", True, None)
        store.set_quota("ann", 5)
        assert store.quotas() == {"ann": 5}
