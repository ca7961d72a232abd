"""The store of queries and answers: the only place where the trainer and the people meet.

The trainer adds queries and a few status numbers, a person's page or a synthetic teacher adds answers, the
trainer reads them with a growing sequence number. Answers are only ever appended: a labeler's newest answer
to a query is the one that counts, an undo is an answer too. Arrays are in `blobs`, tables in `schema`.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from prefrl.errors import AnswerConflictError, SettingError, StoreError
from prefrl.feedback import schema
from prefrl.feedback.answers import NewAnswer, StoreCounts, StoredAnswer
from prefrl.feedback.blobs import FolderBlobs, MemoryBlobs, SegmentBlobs
from prefrl.feedback.database import Database
from prefrl.segments import Answer, Comparison, Query, Segment

StatusValue: TypeAlias = str | int | float | bool | None

_NEW_FIELDS = tuple(field.name for field in fields(NewAnswer))
_STORED_COLUMNS = tuple(schema.answer.c[field.name] for field in fields(StoredAnswer))
_IDS_PER_STATEMENT = 1000
"""Databases limit the parameters of a statement."""


class Store:
    """Queries and answers, durable when a method that writes them returns.

    Opened at first use, or on entering a `with` block. May be used from several threads, and by several
    processes on one machine at the same time.

    Args:
        folder: Folder of the run, which gets `store.sqlite` and `segments/`; None keeps all in memory.
        url: SQLAlchemy address of a database to use in place of `store.sqlite`.

    Raises:
        SettingError: `url` is no address, or is given without `folder`, in which the segments would lie.
    """

    def __init__(self, folder: Path | None = None, *, url: str | None = None) -> None:
        """Keep the addresses; nothing is opened."""
        if folder is None and url is not None:
            raise SettingError("`url` needs a `folder` beside it, for the segments.")
        file = ":memory:" if folder is None else str(folder / "store.sqlite")
        try:
            address = URL.create("sqlite", database=file) if url is None else make_url(url)
        except ArgumentError as error:
            raise SettingError(f"`url` must be an SQLAlchemy address. Received {url!r}.") from error
        self._database = Database(address)
        self._blobs: SegmentBlobs = MemoryBlobs() if folder is None else FolderBlobs(folder / "segments")

    def __enter__(self) -> Self:
        """Open the store.

        Raises:
            StoreError: It is damaged, out of reach, or newer than this code.
        """
        self._database.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close the store for good. What was stored is safe without it."""
        self._database.close()

    def add_queries(self, queries: Sequence[Query]) -> None:
        """Put queries to whoever answers, all or none of them. Those that are there already are left alone.

        Args:
            queries: May repeat queries of earlier calls.

        Raises:
            StoreError: The store cannot be written; none of them has been added.
        """
        new = {query.id: query for query in queries}
        with self._database.read() as connection:
            for known in _among(connection, schema.query.c.id, list(new)):
                del new[known]
        if not new:
            return
        segment_ids = {key: [segment.id for segment in query.segments] for key, query in new.items()}
        segments = {
            segment_id: segment
            for key, query in new.items()
            for segment_id, segment in zip(segment_ids[key], query.segments, strict=True)
        }
        self._blobs.write(segments)  # first, so that no row ever names a file that is not there
        with self._database.write() as connection:
            for known in _among(connection, schema.query.c.id, list(new)):  # another process was faster
                del new[known]
            for known in _among(connection, schema.segment.c.id, list(segments)):
                del segments[known]
            _insert_segments(connection, segments)
            _insert_queries(connection, new, segment_ids)

    def add_answers(self, answers: Sequence[NewAnswer]) -> list[StoredAnswer]:
        """Store answers, all or none of them.

        An answer whose id is stored already, with the same content, is left alone. A labeler who answers a
        query again replaces the earlier answer; `supersedes` makes sure which one that is.

        Args:
            answers: In the order in which they were given.

        Returns:
            The rows as stored, in the same order.

        Raises:
            AnswerConflictError: An id is stored already with another content, or `supersedes` is not the
                labeler's present answer to the query.
            StoreError: A query is unknown or has not two segments, or the store cannot be written.
        """
        with self._database.write() as connection:
            return [_add_answer(connection, answer) for answer in answers]

    def answers(self, after: int = 0, *, limit: int | None = None) -> list[StoredAnswer]:
        """Return every answer as it was given, in order of `seq`, with those replaced or taken back since.

        Args:
            after: Only those with a greater `seq`.
            limit: At most that many.
        """
        statement = select(*_STORED_COLUMNS).where(schema.answer.c.seq > after)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(schema.answer.c.seq).limit(limit)).mappings().all()
        return [_stored(row) for row in rows]

    def comparisons(self, after: int = 0) -> list[Comparison]:
        """Return what is to be trained on, in order of `seq`.

        Answers that were replaced or taken back are left out, and so is "can't tell". A comparison returned
        by an earlier call may have been replaced since: a later answer with its query and teacher says so.

        Args:
            after: Only answers with a greater `seq`.

        Raises:
            StoreError: The segment file of a comparison is missing or damaged.
        """
        statement = (
            select(*_STORED_COLUMNS)
            .where(schema.answer.c.seq > after, _is_current(), _is_comparison())
            .order_by(schema.answer.c.seq)
        )
        with self._database.read() as connection:
            rows = [_stored(row) for row in connection.execute(statement).mappings()]
            places = _segment_places(connection, [row.query_id for row in rows])
        return [self._comparison(row, places[row.query_id]) for row in rows]

    def answered(self, query_ids: Sequence[str]) -> dict[str, StoredAnswer]:
        """Return the present answer, "can't tell" included, of each of these queries that has one.

        Where several people answered, it is the newest.
        """
        found: dict[str, StoredAnswer] = {}
        with self._database.read() as connection:
            for some in _chunks(query_ids):
                statement = (
                    select(*_STORED_COLUMNS)
                    .where(schema.answer.c.query_id.in_(some), schema.answer.c.answer.is_not(None), _is_current())
                    .order_by(schema.answer.c.seq)
                )
                found |= {row["query_id"]: _stored(row) for row in connection.execute(statement).mappings()}
        return found

    def query(self, query_id: str) -> Query:
        """Return a query with its segments.

        Raises:
            StoreError: There is no such query, or a segment file is missing or damaged.
        """
        statement = select(schema.query.c.ordinal, schema.query.c.num_timesteps)
        with self._database.read() as connection:
            row = connection.execute(statement.where(schema.query.c.id == query_id)).one_or_none()
            places = _segment_places(connection, [query_id])
        if row is None:
            raise StoreError(_unknown_query(query_id))
        segments = tuple(self._segments(places[query_id]))
        return Query(segments=segments, ordinal=row.ordinal, num_timesteps=row.num_timesteps)

    def counts(self) -> StoreCounts:
        """Return how many queries, answers and comparisons there are."""
        cannot_tell = schema.answer.c.answer == Answer.CANNOT_TELL.value
        with self._database.read() as connection:
            return StoreCounts(
                queries=_count(connection, schema.query.c.id),
                answers=_count(connection, schema.answer.c.seq),
                comparisons=_count(connection, schema.answer.c.seq, _is_current(), _is_comparison()),
                cannot_tell=_count(connection, schema.answer.c.seq, _is_current(), cannot_tell),
            )

    def set_status(self, values: Mapping[str, StatusValue]) -> None:
        """Publish a few values of the trainer's for the page to show; other keys keep theirs.

        Raises:
            SettingError: A value is not finite, or is nothing that JSON knows.
        """
        try:
            encoded = {key: json.dumps(value, allow_nan=False) for key, value in values.items()}
        except (TypeError, ValueError) as error:
            raise SettingError(f"Status values must be JSON and finite. Received {dict(values)!r}.") from error
        table = schema.status
        with self._database.write() as connection:
            for key, value in encoded.items():
                known = connection.execute(update(table).where(table.c.key == key).values(value=value))
                if known.rowcount == 0:
                    connection.execute(insert(table).values(key=key, value=value))

    def status(self) -> dict[str, StatusValue]:
        """Return all that `set_status` published."""
        with self._database.read() as connection:
            rows = connection.execute(select(schema.status.c.key, schema.status.c.value)).all()
        return {row.key: json.loads(row.value) for row in rows}

    def _segments(self, places: Sequence[tuple[str, int]]) -> Iterator[Segment]:
        for segment_id, num_timesteps in places:
            yield self._blobs.read(segment_id, num_timesteps=num_timesteps)

    def _comparison(self, row: StoredAnswer, places: Sequence[tuple[str, int]]) -> Comparison:
        assert row.answer is not None
        preference = row.answer.preference
        assert preference is not None
        first, second = self._segments(places)
        return Comparison(
            first=first,
            second=second,
            preference=preference,
            teacher=row.labeler,
            query_id=row.query_id,
            seq=row.seq,
        )


def _is_current() -> ColumnElement[bool]:
    """Hold for the newest answer of each labeler to each query."""
    later = schema.answer.alias("later")
    same = and_(later.c.query_id == schema.answer.c.query_id, later.c.labeler == schema.answer.c.labeler)
    return ~exists().where(same, later.c.seq > schema.answer.c.seq)


def _is_comparison() -> ColumnElement[bool]:
    return schema.answer.c.answer.in_([answer.value for answer in Answer if answer.preference is not None])


def _add_answer(connection: Connection, answer: NewAnswer) -> StoredAnswer:
    table = schema.answer
    found = connection.execute(select(*_STORED_COLUMNS).where(table.c.id == answer.id)).mappings()
    for stored in map(_stored, found):
        if any(getattr(answer, name) != getattr(stored, name) for name in _NEW_FIELDS):
            raise AnswerConflictError(
                f"Answer {answer.id!r} is stored already with another content; give a new answer a new `id`."
            )
        return stored
    _check_query(connection, answer.query_id)
    _check_supersedes(connection, answer)
    now = _now()
    people = schema.labeler
    if connection.execute(select(people.c.name).where(people.c.name == answer.labeler)).one_or_none() is None:
        connection.execute(insert(people).values(name=answer.labeler, created_at=now))
    given = {name: getattr(answer, name) for name in _NEW_FIELDS}
    values = given | {
        "answer": None if answer.answer is None else answer.answer.value,
        "sides_swapped": int(answer.sides_swapped),
        "server_time": now,
    }
    seq = connection.execute(insert(table).values(values).returning(table.c.seq)).scalar_one()
    return StoredAnswer(**given, seq=seq, server_time=now)


def _check_query(connection: Connection, query_id: str) -> None:
    n_segments = _count(connection, schema.query_segment.c.position, schema.query_segment.c.query_id == query_id)
    if n_segments == 0:
        raise StoreError(_unknown_query(query_id))
    if n_segments != 2:
        raise StoreError(f"An answer compares two segments, but query {query_id!r} has {n_segments}.")


def _check_supersedes(connection: Connection, answer: NewAnswer) -> None:
    if answer.supersedes is None:
        return
    table = schema.answer
    newest = connection.execute(
        select(table.c.id)
        .where(table.c.query_id == answer.query_id, table.c.labeler == answer.labeler)
        .order_by(table.c.seq.desc())
        .limit(1)
    ).scalar()
    if newest != answer.supersedes:
        raise AnswerConflictError(
            f"`supersedes` is {answer.supersedes!r}, but the newest answer of {answer.labeler!r} to query "
            f"{answer.query_id!r} is {newest!r}; look at that one first."
        )


def _stored(row: RowMapping) -> StoredAnswer:
    values: dict[str, Any] = dict(row)
    values["answer"] = None if values["answer"] is None else Answer(values["answer"])
    values["sides_swapped"] = bool(values["sides_swapped"])
    return StoredAnswer(**values)


def _insert_segments(connection: Connection, segments: Mapping[str, Segment]) -> None:
    now = _now()
    rows = [{"id": key, "n_steps": segment.n_steps, "created_at": now} for key, segment in segments.items()]
    if rows:
        connection.execute(insert(schema.segment), rows)


def _insert_queries(
    connection: Connection, queries: Mapping[str, Query], segment_ids: Mapping[str, Sequence[str]]
) -> None:
    if not queries:
        return
    now = _now()
    rows = [
        {"id": key, "ordinal": query.ordinal, "num_timesteps": query.num_timesteps, "created_at": now}
        for key, query in queries.items()
    ]
    parts = [
        {
            "query_id": key,
            "position": position,
            "segment_id": segment_ids[key][position],
            "num_timesteps": segment.num_timesteps,
        }
        for key, query in queries.items()
        for position, segment in enumerate(query.segments)
    ]
    connection.execute(insert(schema.query), rows)
    connection.execute(insert(schema.query_segment), parts)


def _segment_places(connection: Connection, query_ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Return for each query the ids of its segments in order, each with the time at which it was cut."""
    table = schema.query_segment
    places: dict[str, list[tuple[str, int]]] = {}
    for some in _chunks(list(dict.fromkeys(query_ids))):
        statement = (
            select(table.c.query_id, table.c.segment_id, table.c.num_timesteps)
            .where(table.c.query_id.in_(some))
            .order_by(table.c.query_id, table.c.position)
        )
        for query_id, segment_id, num_timesteps in connection.execute(statement):
            places.setdefault(query_id, []).append((segment_id, num_timesteps))
    return places


def _among(connection: Connection, column: Column[str], values: Sequence[str]) -> Iterator[str]:
    """Yield those of `values` that the column holds."""
    for some in _chunks(values):
        yield from connection.execute(select(column).where(column.in_(some))).scalars()


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _IDS_PER_STATEMENT):
        yield values[start : start + _IDS_PER_STATEMENT]


def _count(connection: Connection, column: Column[Any], *conditions: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count(column)).where(*conditions)).scalar_one()


def _unknown_query(query_id: str) -> str:
    return f"The store has no query {query_id!r}; add it with `add_queries` first."


def _now() -> int:
    return time.time_ns() // 1_000_000
