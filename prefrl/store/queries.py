"""Queries in the store: added with their segments, open until enough people have answered, or expired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    union_all,
    update,
)

from prefrl.errors import SettingError, StoreError
from prefrl.segments import Query, Segment
from prefrl.store import schema
from prefrl.store.base import StoreBase
from prefrl.store.blobs import SegmentBlobs
from prefrl.store.database import among, chunks
from prefrl.store.leases import n_in_hand

IS_UNSETTLED = ~exists().where(schema.settled.c.query_id == schema.query.c.id)
"""Holds for a query of which nobody has settled who is right: what others say of a settled one is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuery:
    """A query that still wants an answer."""

    query_id: str
    """The query."""
    num_timesteps: int
    """Environment steps the agent had taken when it was made."""
    n_answers: int
    """People who have answered it, "can't tell" included."""
    n_leases: int
    """People who have it in hand now."""
    n_segments: int = 2
    """Segments that it is about."""
    overlap: int = 1
    """People who are to answer it."""
    asked_before: bool = False
    """Its segments, in any order, are those of another query that somebody was given, in whichever run, or that is
    open as well. Nobody gets both, so that this one may wait for ever."""


class QueryMethods(StoreBase):
    """What the trainer asks."""

    def add_queries(self, queries: Sequence[Query], *, run: int | None = None, overlap: int = 1) -> list[Query]:
        """Put queries to whoever answers, all or none of them.

        Those that are there already are left alone, but for what has expired unanswered: that is open again.

        Args:
            queries: May repeat queries of earlier calls.
            run: Whose they are, as `begin_run` returned it; by default what they say themselves.
            overlap: How many people are to answer each of them.

        Returns:
            The queries with their run, in the same order: their ids are those in the store.

        Raises:
            SettingError: `overlap` is not positive, or a query is of another run.
            StoreError: There is no such run, or the store cannot be written; none of them has been added.
        """
        if overlap < 1:
            raise SettingError(f"`overlap` must be at least 1. Received {overlap}.")
        asked = [_of_run(query, run) for query in queries]
        new = {query.id: query for query in asked}
        with self._database.read() as connection:
            new = _unknown_or_expired(connection, new)
        if not new:
            return asked
        segments = {segment.id: segment for query in new.values() for segment in query.segments}
        self._blobs.write(segments)  # first, so that no row ever names a file that is not there
        with self._database.write() as connection:
            new = _unknown_or_expired(connection, new)  # again: another process may have been faster
            for run in {query.run for query in new.values()}:
                check_run(connection, run)
            now = self._clock()
            insert_segments(connection, self._blobs, segments, now)
            known = _open_again(connection, list(new))
            _insert_queries(
                connection, [query for key, query in new.items() if key not in known], overlap=overlap, now=now
            )
            _insert_parts(connection, new)
        return asked

    def query(self, query_id: str) -> Query:
        """Return a query with its segments; a repeat looks like the query it repeats.

        Raises:
            StoreError: There is no such query, it expired before anybody had it, or a segment file is missing or
                damaged.
        """
        table = schema.query
        statement = select(table.c.ordinal, table.c.num_timesteps, table.c.run_id)
        with self._database.read() as connection:
            row = connection.execute(statement.where(schema.query.c.id == query_id)).one_or_none()
            places = segment_places(connection, [query_id])
        if row is None:
            raise StoreError(unknown_query(query_id))
        if query_id not in places:
            raise StoreError(
                f"Query {query_id!r} expired before anybody had it, and its segments have been deleted."
            )
        segments = tuple(self._segments(places[query_id]))
        return Query(segments=segments, ordinal=row.ordinal, num_timesteps=row.num_timesteps, run=row.run_id)

    def segment(self, segment_id: str) -> Segment:
        """Return a segment as it was when it was first cut.

        Raises:
            StoreError: There is no such segment, or its file is missing or damaged.
        """
        cut = union_all(
            *(_times(table, segment_id) for table in (schema.query_segment, schema.showcase))
        ).subquery()
        with self._database.read() as connection:
            num_timesteps = connection.execute(select(func.min(cut.c.num_timesteps))).scalar()
        if num_timesteps is None:
            raise StoreError(f"The store has no segment {segment_id!r}.")
        return self._blobs.read(segment_id, num_timesteps=num_timesteps)

    def open_queries(self, *, run: int | None = None) -> list[OpenQuery]:
        """Return the queries that still want an answer, of a run or of all, oldest first.

        They have fewer present answers than people were to answer them ("can't tell" is an answer), have not
        expired, and are no repeats.
        """
        table = schema.query
        statement = (
            select(
                table.c.id.label("query_id"),
                table.c.num_timesteps,
                table.c.n_answers,
                n_in_hand(self._clock()).label("n_leases"),
                select(func.count())
                .where(schema.query_segment.c.query_id == table.c.id)
                .scalar_subquery()
                .label("n_segments"),
                table.c.overlap,
                _asked_before().label("asked_before"),
            )
            .where(text(schema.OPEN), IS_UNSETTLED)
            .order_by(table.c.run_id, table.c.num_timesteps, table.c.ordinal)
        )
        if run is not None:
            statement = statement.where(table.c.run_id == run)
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [OpenQuery(**(dict(row) | {"asked_before": bool(row["asked_before"])})) for row in rows]

    def segment_ids(self, query_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return which segments queries are about, by query, in the order of each; of unknown ones nothing."""
        with self._database.read() as connection:
            places = segment_places(connection, query_ids)
        return {query_id: tuple(segment_id for segment_id, _ in parts) for query_id, parts in places.items()}


def insert_segments(
    connection: Connection, blobs: SegmentBlobs, segments: Mapping[str, Segment], now: int
) -> None:
    """Add rows for those segments that have none; their arrays have been written already.

    Another process may have deleted some of the files since, as belonging to a query that expired. It cannot any
    more, because this transaction is the only writer.
    """
    missing = blobs.missing(list(segments))
    if missing:
        blobs.write({key: segments[key] for key in missing})
    known = set(among(connection, schema.segment.c.id, list(segments)))
    rows = [
        {"id": key, "n_steps": segment.n_steps, "created_at": now}
        for key, segment in segments.items()
        if key not in known
    ]
    if rows:
        connection.execute(insert(schema.segment), rows)


def segment_places(connection: Connection, query_ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Return for each query the ids of its segments in order, each with the time at which it was cut."""
    table = schema.query_segment
    places: dict[str, list[tuple[str, int]]] = {}
    for some in chunks(list(dict.fromkeys(query_ids))):
        statement = (
            select(table.c.query_id, table.c.segment_id, table.c.num_timesteps)
            .where(table.c.query_id.in_(some))
            .order_by(table.c.query_id, table.c.position)
        )
        for query_id, segment_id, num_timesteps in connection.execute(statement):
            places.setdefault(query_id, []).append((segment_id, num_timesteps))
    return places


def unknown_query(query_id: str) -> str:
    """Return the sentence for a query that is not there."""
    return f"The store has no query {query_id!r}; add it with `add_queries` first."


def check_run(connection: Connection, run: int) -> None:
    """Raise a `StoreError` if there is no such run."""
    if connection.execute(select(schema.run.c.id).where(schema.run.c.id == run)).one_or_none() is None:
        raise StoreError(f"The store has no run {run}; begin one with `begin_run` first.")


def _of_run(query: Query, run: int | None) -> Query:
    if run is None or query.run == run:
        return query
    if query.run:
        raise SettingError(f"A query of run {query.run} cannot be asked as one of run {run}.")
    return replace(query, run=run)


def _unknown_or_expired(connection: Connection, queries: Mapping[str, Query]) -> dict[str, Query]:
    """Return the queries by id, without those that are there and open or answered."""
    table, left = schema.query, dict(queries)
    for some in chunks(list(queries)):
        statement = select(table.c.id).where(
            table.c.id.in_(some), or_(table.c.expires_at.is_(None), table.c.n_answers > 0)
        )
        for query_id in connection.execute(statement).scalars():
            del left[query_id]
    return left


def _open_again(connection: Connection, query_ids: Sequence[str]) -> set[str]:
    """Open those of the queries that are there, and return their ids."""
    known = set(among(connection, schema.query.c.id, query_ids))
    for some in chunks(list(known)):
        connection.execute(update(schema.query).where(schema.query.c.id.in_(some)).values(expires_at=None))
    return known


def _insert_queries(connection: Connection, queries: Sequence[Query], *, overlap: int, now: int) -> None:
    rows = [
        {
            "id": query.id,
            "run_id": query.run,
            "ordinal": query.ordinal,
            "num_timesteps": query.num_timesteps,
            "overlap": overlap,
            "created_at": now,
            "pair": together([segment.id for segment in query.segments]),
        }
        for query in queries
    ]
    if rows:
        connection.execute(insert(schema.query), rows)


def _insert_parts(connection: Connection, queries: Mapping[str, Query]) -> None:
    """Say which segments the queries have, where that is not said yet."""
    known = set(among(connection, schema.query_segment.c.query_id, list(queries)))
    rows = [
        {
            "query_id": key,
            "position": position,
            "segment_id": segment.id,
            "num_timesteps": segment.num_timesteps,
        }
        for key, query in queries.items()
        if key not in known
        for position, segment in enumerate(query.segments)
    ]
    if rows:
        connection.execute(insert(schema.query_segment), rows)


def together(segment_ids: Sequence[str]) -> str:
    """Return a text that is the same for these segments in any order."""
    return ":".join(sorted(segment_ids))


def _asked_before() -> ColumnElement[bool]:
    """Hold for a query of the enclosing statement whose segments are open, or were given, as another one."""
    query, other = schema.query, schema.query.alias()
    return exists().where(
        other.c.pair == query.c.pair,
        other.c.id != query.c.id,
        other.c.repeat_of.is_(None),
        or_(
            exists().where(schema.lease.c.query_id == other.c.id),
            exists().where(schema.answer.c.query_id == other.c.id),
            and_(other.c.expires_at.is_(None), other.c.id < query.c.id),
        ),
    )


def _times(table: Table, segment_id: str) -> Select[int]:
    return select(table.c.num_timesteps).where(table.c.segment_id == segment_id)
