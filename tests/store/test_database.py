import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Pool, create_engine, event, insert, text

from prefrl.errors import StoreError
from prefrl.segments import Answer, Query
from prefrl.store import NewAnswer, RunAbout, Store, StoreCounts, database, schema
from prefrl.store.database import Database, sqlite_module
from prefrl.store.migrations import upgrade

MakeQuery = Callable[..., Query]


def on_file(path: Path) -> Database:
    return Database(URL.create("sqlite", database=str(path)))


def tables(connection: Any) -> dict[str, list[str]]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    # The order of lines is lost when a table is built anew, and its name gets quotes.
    lines = {
        name: {
            part.strip(" ()")
            for part in " ".join(sql.replace('"', "").split()).replace(") STRICT", ", STRICT").split(",")
        }
        for name, sql in rows
    }
    ours = {name: sorted(lines[name] - {""}) for name in lines if not name.startswith("sqlite_")}
    ours.pop("alembic_version", None)
    return ours


def test_the_migrations_build_the_tables_of_the_code() -> None:
    created = Database(URL.create("sqlite", database=":memory:"))
    migrated = create_engine("sqlite://", module=sqlite_module()[0])
    with created.read() as left, migrated.begin() as right:
        upgrade(right)
        assert tables(left) == tables(right)
        versions = [one.execute(text("SELECT * FROM alembic_version")).all() for one in (left, right)]
        assert versions[0] == versions[1] == [(schema.SCHEMA_VERSION,)]
        for name in ("answer", "run"):
            assert any("INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT" in part for part in tables(right)[name])
        for name in schema.metadata.tables:
            assert "STRICT" in tables(right)[name]
    created.close()
    migrated.dispose()


def test_a_new_store_needs_no_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    def needed(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("prefrl.store.migrations.upgrade", needed)
    with Store() as store:
        assert store.counts().queries == 0


def test_the_version_in_the_code_is_that_of_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "prefrl.store:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == schema.SCHEMA_VERSION


def test_sqlite_is_set_to_lose_nothing(tmp_path: Path) -> None:
    store = on_file(tmp_path / "store.sqlite")
    with store.read() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    store.close()
    assert found == {
        "journal_mode": sqlite_module()[1],
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30000,
    }


@pytest.mark.parametrize(
    ("own", "newer", "expected"),
    [
        ((3, 40, 1), (3, 53, 4), ("pysqlite3", "wal")),
        ((3, 40, 1), (3, 51, 2), ("sqlite3", "truncate")),
        ((3, 40, 1), None, ("sqlite3", "truncate")),
        ((3, 51, 3), (3, 53, 4), ("sqlite3", "wal")),
    ],
)
def test_the_log_is_used_only_where_it_is_sound(
    monkeypatch: pytest.MonkeyPatch,
    own: tuple[int, ...],
    newer: tuple[int, ...] | None,
    expected: tuple[str, str],
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", own)
    if newer is None:
        monkeypatch.setitem(sys.modules, "pysqlite3", None)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "sqlite3" or None)
    else:
        pysqlite3 = pytest.importorskip("pysqlite3")
        monkeypatch.setattr(pysqlite3, "sqlite_version_info", newer)
    module, journal_mode = sqlite_module()
    assert (module.__name__, journal_mode) == expected


def test_pythons_own_sqlite_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_query: MakeQuery, about: RunAbout
) -> None:
    monkeypatch.setattr(database, "sqlite_module", lambda: (sqlite3, "truncate"))
    for run in (1, 2):
        with Store(tmp_path) as store:
            assert store.begin_run(about) == run
            store.add_queries([make_query(0)])
    assert store_counts(tmp_path) == StoreCounts(queries=1, answers=0, comparisons=0, cannot_tell=0)


def store_counts(folder: Path) -> StoreCounts:
    with Store(folder) as store:
        return store.counts()


def fill(folder: Path, make_query: MakeQuery, n: int = 20) -> list[str]:
    queries = [make_query(k) for k in range(n)]
    with Store(folder) as store:
        store.begin_run(RunAbout(observation_space={}, action_space={}, segment_length=4))
        store.add_queries(queries)
        store.add_answers(
            [
                NewAnswer(query_id=query.id, answer=Answer.FIRST, labeler="ann", id=f"a{query.ordinal}")
                for query in queries
            ]
        )
    return [query.id for query in queries]


def overwrite(file: Path, start: int, n_bytes: int) -> None:
    content = bytearray(file.read_bytes())
    content[start : start + n_bytes] = b"\xa5" * n_bytes
    file.write_bytes(content)


@pytest.mark.parametrize(("start", "n_bytes"), [(0, 100), (0, 4096), (4096, 20_000), (3_900, 196)])
def test_a_damaged_database_is_refused_and_left_as_it_is(
    tmp_path: Path, make_query: MakeQuery, start: int, n_bytes: int
) -> None:
    fill(tmp_path, make_query)
    file = tmp_path / "store.sqlite"
    overwrite(file, start, n_bytes)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"store\.sqlite is damaged .*; restore a copy, or .*\.recover"):
        store_counts(tmp_path)
    assert file.read_bytes() == before


def test_a_database_cut_short_is_refused(tmp_path: Path, make_query: MakeQuery) -> None:
    fill(tmp_path, make_query)
    file = tmp_path / "store.sqlite"
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"store\.sqlite is damaged"):
        store_counts(tmp_path)


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path, make_query: MakeQuery) -> None:
    fill(tmp_path, make_query, n=1)
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = (tmp_path / "store.sqlite").read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer prefrl \(schema 9999, this one knows \d{4}\)"):
        store_counts(tmp_path)
    assert (tmp_path / "store.sqlite").read_bytes() == before


@pytest.fixture
def page_limit() -> Iterator[dict[str, int]]:
    """Limit each new connection to `pages`: the disk is full beyond that."""
    limit: dict[str, int] = {}

    def on_connect(connection: Any, _record: object) -> None:
        if "pages" in limit:
            connection.execute(f"PRAGMA max_page_count={limit['pages']}")

    event.listen(Pool, "connect", on_connect)
    yield limit
    event.remove(Pool, "connect", on_connect)


def test_a_full_disk_is_said_and_nothing_is_half_written(
    tmp_path: Path, make_query: MakeQuery, page_limit: dict[str, int]
) -> None:
    fill(tmp_path, make_query)
    before = store_counts(tmp_path)
    more = [make_query(k) for k in range(100, 150)]
    page_limit["pages"] = (tmp_path / "store.sqlite").stat().st_size // 4096 + 1
    with Store(tmp_path) as store:
        with pytest.raises(StoreError, match=r"disk that holds .* is full; free some space and repeat"):
            store.add_queries(more)
        assert store.counts() == before
        assert len(store.comparisons()) == 20
    del page_limit["pages"]
    with Store(tmp_path) as store:
        store.add_queries(more)
        assert store.counts().queries == 70


def test_no_space_for_a_new_store(tmp_path: Path, page_limit: dict[str, int]) -> None:
    page_limit["pages"] = 6
    with pytest.raises(StoreError, match="is full; free some space"):
        store_counts(tmp_path)
    del page_limit["pages"]
    assert store_counts(tmp_path).queries == 0


_AS_NOBODY = """
import os, sys
from pathlib import Path
from prefrl.errors import StoreError
from prefrl.store import Store
Store().counts()  # all modules are loaded before the rights are gone
if os.geteuid() == 0:
    os.setuid(65534)
try:
    Store(Path(sys.argv[1])).add_labeler("a")
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("case", ["folder", "no folder", "file"])
def test_without_write_permission(case: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = folder / "run" if case == "no folder" else folder
        if case == "file":
            store_counts(folder)
            (folder / "store.sqlite").chmod(0o444)
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, str(target)], capture_output=True, text=True, check=True
        )
        folder.chmod(0o755)
    assert "cannot be written" in done.stdout
    assert "give this user write permission" in done.stdout
    assert done.stdout.count("\n") == 1


def test_another_writer_for_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_counts(tmp_path)
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    other = sqlite_module()[0].connect(tmp_path / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store(tmp_path) as store, pytest.raises(StoreError, match=r"kept .* locked for 0.05 seconds"):
        store.add_labeler("a")
    other.execute("ROLLBACK")
    other.close()
    with Store(tmp_path) as store:
        store.add_labeler("a")
        assert [person.name for person in store.labelers()] == ["a"]


def test_a_file_system_without_the_journal_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "sqlite_module", lambda: (sqlite3, "unheard_of"))
    with pytest.raises(StoreError, match="journal mode 'delete' instead of 'unheard_of'; put the"):
        store_counts(tmp_path)


def test_any_other_refusal_is_passed_on_and_rolled_back() -> None:
    memory = Database(URL.create("sqlite", database=":memory:"))

    def lease_nothing() -> None:
        with memory.write() as connection:
            connection.execute(insert(schema.status).values(key="a", value="1"))
            connection.execute(insert(schema.lease).values(query_id="none", labeler="none", expires_at=0))

    with pytest.raises(StoreError, match=r"refused a step .*FOREIGN KEY.*: nothing of this step was stored"):
        lease_nothing()
    with memory.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM status")).scalar_one() == 0
    memory.close()


_OPEN_ON_SIGNAL = """
import sys
from pathlib import Path
from prefrl.store import Store
import prefrl.store.migrations
print("ready", flush=True)
sys.stdin.readline()
with Store(Path(sys.argv[1])) as store:
    store.add_labeler(sys.argv[2])
"""


def test_several_processes_may_make_the_store_at_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN_ON_SIGNAL, str(tmp_path), str(k)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for k in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    with Store(tmp_path) as store:
        assert sorted(person.name for person in store.labelers()) == ["0", "1", "2"]


def test_opening_waits_for_another_process_that_is_making_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([True, True])

    class InUse(sqlite3.Connection):
        """Refuses the journal mode twice, as SQLite does without waiting while another process sets it."""

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            if "journal_mode" in sql and next(refusals, False):
                raise sqlite3.OperationalError("database is locked")
            return super().execute(sql, *args)

    module = ModuleType("reluctant")
    module.__dict__.update(sqlite3.__dict__)
    monkeypatch.setattr(module, "connect", lambda *args, **kwargs: InUse(*args, **kwargs), raising=False)
    monkeypatch.setattr(database, "sqlite_module", lambda: (module, "truncate"))
    assert store_counts(tmp_path).queries == 0
    assert next(refusals, None) is None


def test_damage_that_no_row_count_meets_is_found_on_opening(tmp_path: Path, make_query: MakeQuery) -> None:
    fill(tmp_path, make_query)
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'status'").fetchone()[0]
    connection.close()
    overwrite(tmp_path / "store.sqlite", 4096 * (page - 1), 4096)
    with pytest.raises(StoreError, match=r"store\.sqlite is damaged"):
        store_counts(tmp_path)
