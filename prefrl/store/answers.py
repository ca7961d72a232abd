"""Answers in the store: what goes in, what comes out, and the comparisons that are made of them.

Answers are only ever appended: a labeler's newest answer to a query is the one that counts, an undo is an
answer too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, exists, func, insert, select, update

from prefrl.errors import AnswerConflictError, SettingError, StoreError
from prefrl.segments import Answer, Comparison
from prefrl.store import schema
from prefrl.store.base import StoreBase
from prefrl.store.database import chunks, count
from prefrl.store.leases import LEASE_SECONDS, add_lease, remove_lease, restart_leases
from prefrl.store.people import ensure_labeler
from prefrl.store.queries import segment_places, unknown_query

_answer, _query = schema.answer, schema.query


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAnswer:
    """What somebody says of a query. Sent twice it is stored once.

    Raises:
        SettingError: `id` or `labeler` is empty, or nothing is said.
    """

    query_id: str
    """The query that is answered."""
    answer: Answer | None
    """What is said; None takes back the answer named in `supersedes` (an undo)."""
    labeler: str
    """Name of the person or teacher."""
    id: str
    """Made by whoever sends it, never used twice, so that it can be sent again after a failure."""
    supersedes: str | None = None
    """Id of the labeler's present answer to the query, which this one replaces."""
    sides_swapped: bool = False
    """The first segment was shown on the right. `answer` speaks of the query's order, not of the screen's."""
    reaction_ms: int | None = None
    """Milliseconds from the first frame to the answer."""
    replays: int | None = None
    """How often the clips were played again."""
    client_time: int | None = None
    """Clock of whoever answered, milliseconds since 1970 UTC."""
    gui_version: str | None = None
    """Version of the page that was used."""

    def __post_init__(self) -> None:
        """Check that there is a sender and a statement."""
        if not self.id or not self.labeler:
            raise SettingError("An answer needs an `id` and a `labeler`. Received an empty one.")
        if self.answer is None and self.supersedes is None:
            raise SettingError("`answer` may be None only to take back the answer named in `supersedes`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer(NewAnswer):
    """An answer as it stands in the store."""

    seq: int
    """Number in the store, from 1, growing in the order in which answers were stored."""
    server_time: int
    """When it was stored, milliseconds since 1970 UTC."""
    late: bool
    """Came after the labeler's lease of the query was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """How much a store holds."""

    queries: int
    """Queries asked, repeats left out."""
    answers: int
    """Rows of answers, with those replaced or taken back since, and those to repeats."""
    comparisons: int
    """Present answers that are a comparison: what is trained on and what costs budget. No repeats."""
    cannot_tell: int
    """Present answers that are "can't tell". No repeats."""


_NEW_FIELDS = tuple(field.name for field in fields(NewAnswer))
STORED_COLUMNS = tuple(_answer.c[field.name] for field in fields(StoredAnswer))
"""What `as_stored` reads."""
_later = _answer.alias("later")
IS_CURRENT = ~exists().where(
    _later.c.query_id == _answer.c.query_id, _later.c.labeler == _answer.c.labeler, _later.c.seq > _answer.c.seq
)
"""Holds for the newest answer of each labeler to each query."""
_IS_COMPARISON = _answer.c.answer.in_([answer.value for answer in Answer if answer.preference is not None])
_IS_NO_REPEAT = ~exists().where(_query.c.id == _answer.c.query_id, _query.c.repeat_of.is_not(None))
_COUNT_ANSWERS = (
    update(_query)
    .where(_query.c.id == bindparam("answered"))
    .values(
        n_answers=select(func.count())
        .select_from(_answer)
        .where(_answer.c.query_id == bindparam("answered"), _answer.c.answer.is_not(None), IS_CURRENT)
        .scalar_subquery()
    )
)
"""Keeps the number beside a query what the rows say, so that open queries are found without reading them."""


class AnswerMethods(StoreBase):
    """What was said."""

    def add_answers(self, answers: Sequence[NewAnswer]) -> list[StoredAnswer]:
        """Store answers, all or none of them.

        An answer whose id is stored already, with the same content, is left alone. A labeler who answers a
        query again replaces the earlier answer; `supersedes` makes sure which one that is. An answer ends the
        labeler's lease of the query; taking it back opens the query again, for this labeler first.

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
            now = self._clock()
            restart_leases(connection, now)
            return [_add_answer(connection, answer, now) for answer in answers]

    def answers(self, after: int = 0, *, limit: int | None = None) -> list[StoredAnswer]:
        """Return every answer as it was given, in order of `seq`, with those replaced or taken back since.

        Args:
            after: Only those with a greater `seq`.
            limit: At most that many.
        """
        statement = select(*STORED_COLUMNS).where(_answer.c.seq > after)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(_answer.c.seq).limit(limit)).mappings().all()
        return [as_stored(row) for row in rows]

    def answered(self, query_ids: Sequence[str]) -> dict[str, StoredAnswer]:
        """Return the present answer, "can't tell" included, of each of these queries that has one.

        Where several people answered, it is the newest.
        """
        found: dict[str, StoredAnswer] = {}
        with self._database.read() as connection:
            for some in chunks(query_ids):
                statement = (
                    select(*STORED_COLUMNS)
                    .where(_answer.c.query_id.in_(some), _answer.c.answer.is_not(None), IS_CURRENT)
                    .order_by(_answer.c.seq)
                )
                found |= {row["query_id"]: as_stored(row) for row in connection.execute(statement).mappings()}
        return found

    def comparisons(self, after: int = 0) -> list[Comparison]:
        """Return what is to be trained on, in order of `seq`.

        Answers that were replaced or taken back are left out, and so are "can't tell" and repeats. A comparison
        returned by an earlier call may have been replaced since: a later answer with its query and teacher says
        so.

        Args:
            after: Only answers with a greater `seq`.

        Raises:
            StoreError: The segment file of a comparison is missing or damaged.
        """
        statement = (
            select(*STORED_COLUMNS)
            .where(_answer.c.seq > after, IS_CURRENT, _IS_COMPARISON, _IS_NO_REPEAT)
            .order_by(_answer.c.seq)
        )
        with self._database.read() as connection:
            rows = [as_stored(row) for row in connection.execute(statement).mappings()]
            places = segment_places(connection, [row.query_id for row in rows])
        return [self._comparison(row, places[row.query_id]) for row in rows]

    def comparisons_at(self, seqs: Sequence[int]) -> Iterator[Comparison]:
        """Yield comparisons as they were given, replaced or taken back since or not, in the order of `seqs`.

        The segments of each are read when it is its turn; those of thousands would not fit into memory.

        Raises:
            StoreError: A number is that of no comparison, or a segment file is missing or damaged.
        """
        found: dict[int, StoredAnswer] = {}
        with self._database.read() as connection:
            for some in chunks(list(dict.fromkeys(seqs))):
                statement = select(*STORED_COLUMNS).where(_answer.c.seq.in_(some), _IS_COMPARISON)
                found |= {row["seq"]: as_stored(row) for row in connection.execute(statement).mappings()}
            places = segment_places(connection, [row.query_id for row in found.values()])
        for seq in seqs:
            if seq not in found:
                raise StoreError(f"The store has no comparison with number {seq}.")
            yield self._comparison(found[seq], places[found[seq].query_id])

    def replaced(self, after: int) -> list[int]:
        """Return the numbers, up to `after`, of comparisons that later answers have replaced or taken back.

        Args:
            after: Number of the last answer known. What was replaced before it is left out.
        """
        new, between = _answer.alias("new"), _answer.alias("between")
        hidden_before = exists().where(
            between.c.query_id == _answer.c.query_id,
            between.c.labeler == _answer.c.labeler,
            between.c.seq > _answer.c.seq,
            between.c.seq <= after,
        )
        statement = (
            select(_answer.c.seq)
            .distinct()
            .join(new, (new.c.query_id == _answer.c.query_id) & (new.c.labeler == _answer.c.labeler))
            .where(new.c.seq > after, _answer.c.seq <= after, _IS_COMPARISON, _IS_NO_REPEAT, ~hidden_before)
            .order_by(_answer.c.seq)
        )
        with self._database.read() as connection:
            return list(connection.execute(statement).scalars())

    def counts(self) -> StoreCounts:
        """Return how many queries, answers and comparisons there are."""
        present = (IS_CURRENT, _IS_NO_REPEAT)
        cannot_tell = _answer.c.answer == Answer.CANNOT_TELL.value
        with self._database.read() as connection:
            return StoreCounts(
                queries=count(connection, _query.c.id, _query.c.repeat_of.is_(None)),
                answers=count(connection, _answer.c.seq),
                comparisons=count(connection, _answer.c.seq, _IS_COMPARISON, *present),
                cannot_tell=count(connection, _answer.c.seq, cannot_tell, *present),
            )

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


def as_stored(row: RowMapping) -> StoredAnswer:
    """Return a row of the table as an answer; columns of other names are left out."""
    values: dict[str, Any] = {column.name: row[column.name] for column in STORED_COLUMNS}
    values["answer"] = None if values["answer"] is None else Answer(values["answer"])
    values["sides_swapped"], values["late"] = bool(values["sides_swapped"]), bool(values["late"])
    return StoredAnswer(**values)


def _add_answer(connection: Connection, answer: NewAnswer, now: int) -> StoredAnswer:
    found = connection.execute(select(*STORED_COLUMNS).where(_answer.c.id == answer.id)).mappings()
    for stored in map(as_stored, found):
        if any(getattr(answer, name) != getattr(stored, name) for name in _NEW_FIELDS):
            raise AnswerConflictError(
                f"Answer {answer.id!r} is stored already with another content; give a new answer a new `id`."
            )
        return stored
    _check_query(connection, answer.query_id)
    _check_supersedes(connection, answer)
    ensure_labeler(connection, answer.labeler, now)
    lease_end = remove_lease(connection, answer.query_id, answer.labeler)
    late = answer.answer is not None and lease_end is not None and lease_end <= now
    given = {name: getattr(answer, name) for name in _NEW_FIELDS}
    values = given | {
        "answer": None if answer.answer is None else answer.answer.value,
        "sides_swapped": int(answer.sides_swapped),
        "server_time": now,
        "late": int(late),
    }
    seq = connection.execute(insert(_answer).values(values).returning(_answer.c.seq)).scalar_one()
    if answer.answer is None:
        _open_again(connection, answer, now)
    connection.execute(_COUNT_ANSWERS, {"answered": answer.query_id})
    return StoredAnswer(**given, seq=seq, server_time=now, late=late)


def _open_again(connection: Connection, answer: NewAnswer, now: int) -> None:
    """Give the query of a withdrawal back to its labeler, to be handed out before all others."""
    connection.execute(update(_query).where(_query.c.id == answer.query_id).values(expires_at=None))
    until = now + round(1000 * LEASE_SECONDS)
    add_lease(connection, answer.query_id, answer.labeler, began_at=now, expires_at=until, first=True)


def _check_query(connection: Connection, query_id: str) -> None:
    part = schema.query_segment
    n_segments = count(connection, part.c.position, part.c.query_id == query_id)
    if n_segments == 0:
        raise StoreError(unknown_query(query_id))
    if n_segments != 2:
        raise StoreError(f"An answer compares two segments, but query {query_id!r} has {n_segments}.")


def _check_supersedes(connection: Connection, answer: NewAnswer) -> None:
    if answer.supersedes is None:
        return
    newest = connection.execute(
        select(_answer.c.id)
        .where(_answer.c.query_id == answer.query_id, _answer.c.labeler == answer.labeler)
        .order_by(_answer.c.seq.desc())
        .limit(1)
    ).scalar()
    if newest != answer.supersedes:
        raise AnswerConflictError(
            f"`supersedes` is {answer.supersedes!r}, but the newest answer of {answer.labeler!r} to query "
            f"{answer.query_id!r} is {newest!r}; look at that one first."
        )
