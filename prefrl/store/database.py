"""The database under the store: how it is opened and brought up to date, and what its failures mean.

SQLite as it survives a `kill -9` and a power cut: write-ahead log with a full sync at each commit where the
library is free of the log-reset fault (3.51.3 and later), else the rollback journal. On every database there
is one writer at a time: leases are counted and sequence numbers given out as if nobody else were there, and a
reader who has seen a sequence number has seen all lower ones. Knows nothing of what the tables hold.
"""

import importlib.util
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Engine,
    StaticPool,
    create_engine,
    event,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from prefrl.errors import StoreError
from prefrl.store.schema import SCHEMA_VERSION, metadata

_T = TypeVar("_T")

_BUSY_SECONDS = 30
_IDS_PER_STATEMENT = 1000
"""Databases limit the parameters of a statement."""
_WRITER_LOCK = 0x70726566726C
"""Names, among the advisory locks of a PostgreSQL database, the one of whoever writes a store."""
_NOTHING_STORED = "nothing of this step was stored"
_SAFE_WAL = (3, 51, 3)
"""First SQLite whose write-ahead log cannot lose a commit when it is reset (sqlite.org/wal.html)."""


def sqlite_module() -> tuple[ModuleType, str]:
    """Return the SQLite binding to use, and the journal mode that is safe with it.

    Python's own, unless it is too old for a write-ahead log and pysqlite3 (on Linux) brings a newer one.
    """
    names = [name for name in ("sqlite3", "pysqlite3") if importlib.util.find_spec(name)]
    for module in map(importlib.import_module, names):
        if module.sqlite_version_info >= _SAFE_WAL:
            return module, "wal"
    return sqlite3, "truncate"


class Database:
    """A database that is opened, checked and migrated at its first use.

    Every failure of the database leaves `read` and `write` as a `StoreError` of one sentence.

    Args:
        url: Where it is. The folder of an SQLite file is made if it is missing.
    """

    def __init__(self, url: URL) -> None:
        """Keep the address; nothing is opened."""
        self._url = url
        self._opening = RLock()
        self._engine: Engine | None = None
        self._closed = False
        # Threads wait here in place of in SQLite, which has them sleep and try again.
        self._writing = RLock()
        # One connection is all there is in memory, so its transactions must not mix across threads.
        self._reading = self._writing if self.is_in_memory else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection in a transaction that sees one moment of the database.

        Raises:
            StoreError: The database is closed, damaged, out of reach, or newer than this code.
        """
        with self._explained(), self._reading, self._opened().begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is the only writer; commit at the end, durable on return.

        Raises:
            StoreError: As for `read`, or the disk is full, or another process writes for too long. Nothing of
                the transaction is kept.
        """
        with self._explained(), self._writing, _writing(self._opened()).begin() as connection:
            yield connection

    def open(self) -> None:
        """Open now, so that what is wrong with the database is said now.

        Raises:
            StoreError: As for `read`.
        """
        with self._explained():
            self._opened()

    def close(self) -> None:
        """Close all connections for good."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
            self._engine, self._closed = None, True

    @property
    def is_in_memory(self) -> bool:
        """Whether all is gone when the database is closed."""
        return self._url.get_backend_name() == "sqlite" and self._url.database in (None, "", ":memory:")

    def _opened(self) -> Engine:
        with self._opening:
            if self._closed:
                raise StoreError("This store has been closed; make a new `Store` to go on with it.")
            if self._engine is None:
                engine = self._make_engine()
                try:
                    _check_and_upgrade(engine, self._name)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def _make_engine(self) -> Engine:
        if self._url.get_backend_name() != "sqlite":
            engine = create_engine(self._url)
            _prepare_transactions(engine)
            return engine
        module, journal_mode = sqlite_module()
        options: dict[str, Any] = {"module": module, "connect_args": {"timeout": _BUSY_SECONDS}}
        if self.is_in_memory:
            options["poolclass"] = StaticPool
            options["connect_args"]["check_same_thread"] = False
            journal_mode = "memory"
        else:
            options["max_overflow"] = -1  # as many as there are threads: none waits for another to finish reading
            Path(str(self._url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(self._url, **options)
        _prepare_connections(engine, module, journal_mode, self._name)
        return engine

    @property
    def _name(self) -> str:
        return "the store in memory" if self.is_in_memory else str(self._url.database)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreError(explain(str(error.orig), self._name)) from error
        except OSError as error:
            raise StoreError(explain_os_error(error, self._name)) from error


def _prepare_connections(engine: Engine, module: ModuleType, journal_mode: str, name: str) -> None:
    """Have each new SQLite connection set to be durable, and each transaction begin as what it is."""

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where `begin` below says so
        mode = _set_journal_mode(connection, module, journal_mode)
        if mode != journal_mode:
            raise StoreError(
                f"The file system of {name} gives SQLite journal mode {mode!r} instead of {journal_mode!r}; "
                "put the folder on a local disk."
            )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")


def _prepare_transactions(engine: Engine) -> None:
    """Have each writer of a server's database wait until it is the only one, as SQLite does by itself.

    Locks on rows would not do: what counts is that no lease is added and no lower sequence number committed.
    """

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if _writes(connection):
            connection.execute(select(func.pg_advisory_xact_lock(_WRITER_LOCK)))
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("prefrl_write", False))


def _set_journal_mode(connection: Any, module: ModuleType, journal_mode: str) -> str:
    """Set the journal mode and return the one that holds.

    SQLite does not wait by itself when two processes turn the log of a new file on at the same moment.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return str(connection.execute(f"PRAGMA journal_mode={journal_mode}").fetchone()[0])
        except module.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _writing(engine: Engine) -> Engine:
    return engine.execution_options(prefrl_write=True)


def _check_and_upgrade(engine: Engine, name: str) -> None:
    """Refuse a database that is damaged or too new; migrate one that is new or too old."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            found = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
            if found != "ok":
                raise StoreError(explain(f"malformed: {' '.join(found.split())}", name))
        version = _schema_version(connection)
    if version == SCHEMA_VERSION:
        return
    with _writing(engine).connect() as connection, _without_foreign_keys(connection), connection.begin():
        version = _schema_version(connection)  # again: another process may have been faster
        if version is not None and version > SCHEMA_VERSION:
            raise StoreError(
                f"{name} was written by a newer prefrl (schema {version}, this one knows {SCHEMA_VERSION}); "
                "upgrade prefrl to open it."
            )
        if version is None and connection.dialect.name == "sqlite" and not inspect(connection).get_table_names():
            _create(connection)
        elif version != SCHEMA_VERSION:
            from prefrl.store.migrations import upgrade  # Alembic is slow to import and seldom needed

            upgrade(connection)
            _check_foreign_keys(connection, name)


def _create(connection: Connection) -> None:
    """Make the tables of a new database at once; a test has the migrations build the same ones."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": SCHEMA_VERSION})


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let tables be built anew, as SQLite needs it for most changes: dropping the old one would violate keys.

    SQLite ignores the switch inside a transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _check_foreign_keys(connection: Connection, name: str) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.execute(text("PRAGMA foreign_key_check")).all()
        if broken:
            raise StoreError(explain(f"malformed: {len(broken)} rows of {broken[0][0]} refer to nothing", name))


def _schema_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield `values` in parts that fit into one statement."""
    for start in range(0, len(values), _IDS_PER_STATEMENT):
        yield values[start : start + _IDS_PER_STATEMENT]


def among(connection: Connection, column: Column[str], values: Sequence[str]) -> Iterator[str]:
    """Yield those of `values` that the column holds."""
    for some in chunks(values):
        yield from connection.execute(select(column).where(column.in_(some))).scalars()


def count(connection: Connection, column: Column[Any], *conditions: ColumnElement[bool]) -> int:
    """Return how many rows meet the conditions, which may name other tables through `EXISTS`."""
    return connection.execute(select(func.count(column)).where(*conditions)).scalar_one()


def explain(message: str, name: str) -> str:
    """Return what a failure of the database means for the user, in one sentence.

    Args:
        message: What the database said.
        name: Which database, for the reader.
    """
    if "is full" in message:
        return f"The disk that holds {name} is full; free some space and repeat: {_NOTHING_STORED}."
    if "malformed" in message or "not a database" in message:
        return (
            f"{name} is damaged ({message}); restore a copy, or save what can be read with "
            f"`sqlite3 {name} .recover | sqlite3 rescued.sqlite`."
        )
    if "readonly" in message or "unable to open" in message:
        return f"{name} cannot be written ({message}); give this user write permission on it and its folder."
    if "locked" in message:
        return (
            f"Another process has kept {name} locked for {_BUSY_SECONDS} seconds; stop it, or wait and "
            f"repeat: {_NOTHING_STORED}."
        )
    return f"{name} refused a step ({message}): {_NOTHING_STORED}."


def explain_os_error(error: OSError, name: str) -> str:
    """Return what a failure of the file system means for the user, in one sentence."""
    if isinstance(error, PermissionError):
        return f"{name} cannot be written ({error.strerror}); give this user write permission on its folder."
    return f"{name} could not be written ({error.strerror}); mend that and repeat: {_NOTHING_STORED}."
