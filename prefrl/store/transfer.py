"""Labels on their way from one store to another: what was asked and said, and by whom, as rows of the tables.

What belongs to one place stays there: who has what in hand, what lets people in and what they may do, what a
trainer shows of itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, Table, insert, select, update

from prefrl.errors import PrefRLError, StoreError
from prefrl.segments import Segment, feedback_kind
from prefrl.store import schema
from prefrl.store.answers import COUNT_ANSWERS, STORED_COLUMNS, as_stored
from prefrl.store.base import StoreBase
from prefrl.store.database import count
from prefrl.store.queries import together
from prefrl.store.runs import RunAbout
from prefrl.store.typed_json import decode_record

Rows: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by the name of their table, each its values by column."""

COPIED = (
    schema.run,
    schema.labeler,
    schema.query,
    schema.query_segment,
    schema.answer,
    schema.gold,
    schema.settled,
)
"""What labels are made of, each table after those that it refers to. Segments come beside."""
_STAYS = (
    (schema.labeler, ("role", "token_hash", "revoked", "quota")),  # they are of people who come in here
    (schema.query, ("pair", "n_answers")),  # these follow from the other rows
)
COLUMNS: dict[str, tuple[Column[Any], ...]] = {
    table.name: tuple(
        column for column in table.c if not any(table is own and column.name in names for own, names in _STAYS)
    )
    for table in COPIED
}
"""What goes along of each table."""


def referring(to: Column[Any]) -> dict[str, tuple[str, ...]]:
    """Return the columns that hold the same as this one, by table: itself, and those that refer to it."""
    return {
        table.name: tuple(column.name for column in table.c if column is to or column.references(to))
        for table in COPIED
    }


NAMES = referring(schema.labeler.c.name)
NAMES[schema.settled.name] += (schema.settled.c.settled_by.name,)
"""Columns that hold names of people or teachers."""
_AT_ONCE = 256
"""Segments in memory at once."""

_query, _part = schema.query, schema.query_segment


class TransferMethods(StoreBase):
    """What goes to another store, and what comes from one."""

    def label_rows(self, *, run: int | None = None) -> dict[str, list[dict[str, Any]]]:
        """Return all that was asked and said, as it is at one moment, with those who said it.

        Args:
            run: Only what belongs to this run.

        Returns:
            Rows by table; what stays here is no column of them.

        Raises:
            StoreError: There is no such run.
        """
        with self._database.read() as connection:
            rows = {table.name: _rows(connection, table, run) for table in COPIED}
        if run is not None and not rows["run"]:
            raise StoreError(f"The store has no run {run}.")
        others = [table for table in NAMES if table != schema.labeler.name]
        named = {row[column] for table in others for column in NAMES[table] for row in rows[table]}
        rows["labeler"] = [row for row in rows["labeler"] if row["name"] in named]
        return rows

    def fill(self, rows: Rows, segments: Iterable[Segment]) -> None:
        """Take over what another store gave by `label_rows`; this one must be empty.

        Args:
            rows: Of all tables. A column that is missing gets its default; one that is unknown is left out.
            segments: Those that the rows name, in any order; a few at a time are in memory.

        Raises:
            StoreError: Something is here already, a row cannot be, or a segment is missing. No row has been
                taken over then.
        """
        with self._database.read() as connection:
            if any(count(connection, table.c.id) for table in (schema.run, _query)):
                raise StoreError("Only an empty store takes over labels; this one has some already.")
        _check(rows)
        lengths = self._write_all(segments)
        missing = {row["segment_id"] for row in rows[_part.name]} - set(lengths)
        if missing:
            raise StoreError(f"Segment {min(missing)!r} is missing, which a query is about.")
        now = self._clock()
        own = [{"id": key, "n_steps": n_steps, "created_at": now} for key, n_steps in lengths.items()]
        with self._database.write() as connection:
            if own:
                connection.execute(insert(schema.segment), own)
            for table in COPIED:
                _insert(connection, table, rows[table.name])
            _derive(connection, rows)

    def _write_all(self, segments: Iterable[Segment]) -> dict[str, int]:
        """Keep the arrays of segments, and return how many steps each has, by id."""
        lengths: dict[str, int] = {}
        waiting = iter(segments)
        while some := {segment.id: segment for segment in islice(waiting, _AT_ONCE)}:
            self._blobs.write(some)
            lengths |= {key: segment.n_steps for key, segment in some.items()}
        return lengths


def _rows(connection: Connection, table: Table, run: int | None) -> list[dict[str, Any]]:
    statement = select(*COLUMNS[table.name]).order_by(*table.primary_key.columns)
    if table is _query:
        statement = select(*COLUMNS[table.name]).order_by(_query.c.run_id, _query.c.created_at, _query.c.ordinal)
    if run is not None and table is schema.run:
        statement = statement.where(table.c.id == run)
    elif run is not None and table is _query:
        statement = statement.where(table.c.run_id == run)
    elif run is not None and table is not schema.labeler:
        statement = statement.where(table.c.query_id.in_(select(_query.c.id).where(_query.c.run_id == run)))
    return [dict(row) for row in connection.execute(statement).mappings()]


def _check(rows: Rows) -> None:
    """Refuse what the tables would hold and nobody could read again."""
    for row in rows[schema.run.name]:
        if row.get("about") is not None:
            decode_record(RunAbout, row["about"])
    lengths = Counter(row["query_id"] for row in rows[_part.name])
    for row in rows[schema.answer.name]:
        try:
            said = as_stored({column.name: row.get(column.name) for column in STORED_COLUMNS})
            kind = feedback_kind(said.kind)
            if said.answer is not None and not kind.fits(said.answer, lengths[said.query_id]):
                raise StoreError(f"it is about {lengths[said.query_id]} segments, of which it says nothing")
        except (PrefRLError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise StoreError(f"Answer {row.get('id')!r} cannot be read: {str(error).rstrip('.')}.") from error


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    known = [column.name for column in COLUMNS[table.name]]
    chosen = [{name: row[name] for name in known if name in row} for row in rows]
    if table is _query:  # what asks another one again refers to it
        chosen.sort(key=lambda row: row.get("repeat_of") is not None)
    if chosen:
        connection.execute(insert(table), chosen)


def _derive(connection: Connection, rows: Rows) -> None:
    """Say beside the queries what follows from the other rows."""
    parts: dict[str, list[str]] = {}
    for row in rows[_part.name]:
        parts.setdefault(row["query_id"], []).append(row["segment_id"])
    for query_id, segment_ids in parts.items():
        connection.execute(update(_query).where(_query.c.id == query_id).values(pair=together(segment_ids)))
    answered = [{"answered": key} for key in dict.fromkeys(row["query_id"] for row in rows[schema.answer.name])]
    if answered:
        connection.execute(COUNT_ANSWERS, answered)
