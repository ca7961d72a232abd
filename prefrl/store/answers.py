"""Answers in the store: what goes in and what comes out. What is made of them is in `comparisons`.

Answers are only ever appended: a labeler's newest answer to a query is the one that counts, an undo is an
answer too. In the table an answer is a judgement: a `kind`, and a `value` of the form that this kind has.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)

from prefrl.errors import AnswerConflictError, QueryTakenError, SettingError, StoreError
from prefrl.registry import FEEDBACK_KINDS
from prefrl.segments import Answer, Judgement, Ranking, Rating, Remark, feedback_kind
from prefrl.segments.answers import LONGEST_COMMENT
from prefrl.store import schema
from prefrl.store.base import StoreBase
from prefrl.store.database import chunks, count
from prefrl.store.leases import LEASE_SECONDS, add_lease, n_in_hand, remove_lease, restart_leases
from prefrl.store.people import ensure_labeler
from prefrl.store.queries import unknown_query

_answer, _query = schema.answer, schema.query


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAnswer:
    """What somebody says of a query. Sent twice it is stored once.

    Raises:
        SettingError: `id` or `labeler` is empty, there is no such kind of feedback, it knows no such answer, or
            `comment` is too long.
    """

    query_id: str
    """The query that is answered."""
    answer: Judgement | None
    """What is said of it; None takes back the answer named in `supersedes` (an undo)."""
    labeler: str
    """Name of the person or teacher."""
    id: str
    """Made by whoever sends it, never used twice, so that it can be sent again after a failure."""
    supersedes: str | None = None
    """Id of the labeler's present answer to the query, which this one replaces."""
    sides_swapped: bool = False
    """The segments were shown in reverse order, the first on the right. `answer` speaks of the query's order."""
    reaction_ms: int | None = None
    """Milliseconds from the first frame to the answer."""
    replays: int | None = None
    """How often the clips were played again."""
    client_time: int | None = None
    """Clock of whoever answered, milliseconds since 1970 UTC."""
    gui_version: str | None = None
    """Version of the page that was used."""
    kind: str = "pair"
    """What kind of feedback it is; one of `prefrl.registry.FEEDBACK_KINDS`."""
    remark: Remark | None = None
    """What is the matter with the pair; nothing is learned from it."""
    comment: str | None = None
    """The same in the labeler's own words."""

    def __post_init__(self) -> None:
        """Check that there is a sender and a statement."""
        if not self.id or not self.labeler:
            raise SettingError("An answer needs an `id` and a `labeler`. Received an empty one.")
        if self.answer is not None:
            feedback_kind(self.kind).check(self.answer, self.labeler)
        elif self.kind in FEEDBACK_KINDS and self.supersedes is None:
            raise SettingError("`answer` may be None only to take back the answer named in `supersedes`.")
        if self.comment is not None and not 0 < len(self.comment) <= LONGEST_COMMENT:
            raise SettingError(
                f"`comment` must have 1 to {LONGEST_COMMENT} characters. Received {len(self.comment)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer(NewAnswer):
    """An answer as it stands in the store."""

    seq: int
    """Number in the store, from 1, growing in the order in which answers were stored."""
    server_time: int
    """When it was stored, milliseconds since 1970 UTC."""
    late: bool
    """Came after the labeler's lease of the query was over."""


_NEW_FIELDS = tuple(field.name for field in fields(NewAnswer))
_SAID = "value"
STORED_COLUMNS = (
    *(_answer.c[field.name] for field in fields(StoredAnswer) if field.name != "answer"),
    _answer.c[_SAID],
)
"""What `as_stored` reads."""
_later = _answer.alias("later")
IS_CURRENT = ~exists().where(
    _later.c.query_id == _answer.c.query_id, _later.c.labeler == _answer.c.labeler, _later.c.seq > _answer.c.seq
)
"""Holds for the newest answer of each labeler to each query."""
COUNT_ANSWERS = (
    update(_query)
    .where(_query.c.id == bindparam("answered"))
    .values(
        n_answers=select(func.count())
        .select_from(_answer)
        .where(_answer.c.query_id == bindparam("answered"), _answer.c.value.is_not(None), IS_CURRENT)
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
            QueryTakenError: A query has expired, or as many people as were to answer it have answered it or have
                it in hand, and this labeler was never given it.
            SettingError: There is no such kind of answer.
            StoreError: A query is unknown or has another number of segments than the kind of answer is about, or
                the store cannot be written.
        """
        with self._database.write() as connection:
            now = self._clock()
            restart_leases(connection, now)
            return [_add_answer(connection, answer, now) for answer in answers]

    def answers(self, after: int = 0, *, limit: int | None = None, run: int | None = None) -> list[StoredAnswer]:
        """Return every answer as it was given, in order of `seq`, with those replaced or taken back since.

        Args:
            after: Only those with a greater `seq`.
            limit: At most that many.
            run: Only those to queries of this run.
        """
        statement = select(*STORED_COLUMNS).where(_answer.c.seq > after, *in_run(run))
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
                    .where(_answer.c.query_id.in_(some), _answer.c.value.is_not(None), IS_CURRENT)
                    .order_by(_answer.c.seq)
                )
                found |= {row["query_id"]: as_stored(row) for row in connection.execute(statement).mappings()}
        return found


def in_run(run: int | None) -> list[ColumnElement[bool]]:
    """Return the condition that an answer is to a query of a run; none for all runs."""
    if run is None:
        return []
    return [exists().where(_query.c.id == _answer.c.query_id, _query.c.run_id == run)]


def as_value(said: Judgement) -> str:
    """Return what was said as the table has it."""
    if isinstance(said, Answer):
        return json.dumps(said.value)
    if isinstance(said, Rating):
        return json.dumps(said.level)
    return json.dumps([group[0] if len(group) == 1 else group for group in said.order])


def _said(value: str) -> Judgement:
    """Return what `as_value` was made of."""
    said = json.loads(value)
    if isinstance(said, str):
        return Answer(said)
    if isinstance(said, int):
        return Rating(said)
    return Ranking.of([group if isinstance(group, list) else [group] for group in said])


def as_stored(row: RowMapping | Mapping[str, Any]) -> StoredAnswer:
    """Return a row of the table as an answer; columns of other names are left out."""
    values: dict[str, Any] = {column.name: row[column.name] for column in STORED_COLUMNS}
    said = values.pop(_SAID)
    values["answer"] = None if said is None or values["kind"] not in FEEDBACK_KINDS else _said(said)
    values["remark"] = None if values["remark"] is None else Remark(values["remark"])
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
    _check_query(connection, answer)
    _check_supersedes(connection, answer)
    _check_wanted(connection, answer, now)
    ensure_labeler(connection, answer.labeler, now)
    lease_end = remove_lease(connection, answer.query_id, answer.labeler)
    late = answer.answer is not None and lease_end is not None and lease_end <= now
    given = {name: getattr(answer, name) for name in _NEW_FIELDS}
    values = {name: value for name, value in given.items() if name != "answer"} | {
        _SAID: None if answer.answer is None else as_value(answer.answer),
        "sides_swapped": int(answer.sides_swapped),
        "server_time": now,
        "late": int(late),
    }
    seq = connection.execute(insert(_answer).values(values).returning(_answer.c.seq)).scalar_one()
    if answer.answer is None:
        _open_again(connection, answer, now)
    connection.execute(COUNT_ANSWERS, {"answered": answer.query_id})
    return StoredAnswer(**given, seq=seq, server_time=now, late=late)


def _open_again(connection: Connection, answer: NewAnswer, now: int) -> None:
    """Give the query of a withdrawal back to its labeler, to be handed out before all others."""
    connection.execute(update(_query).where(_query.c.id == answer.query_id).values(expires_at=None))
    until = now + round(1000 * LEASE_SECONDS)
    add_lease(connection, answer.query_id, answer.labeler, began_at=now, expires_at=until, first=True)


def _check_query(connection: Connection, answer: NewAnswer) -> None:
    kind = feedback_kind(answer.kind)
    if not count(connection, _query.c.id, _query.c.id == answer.query_id):
        raise StoreError(unknown_query(answer.query_id))
    part = schema.query_segment
    n_segments = count(connection, part.c.position, part.c.query_id == answer.query_id)
    if n_segments == 0:
        raise QueryTakenError(f"Query {answer.query_id!r} expired before anybody had it.")
    if answer.answer is not None and not kind.fits(answer.answer, n_segments):
        raise StoreError(
            f"Query {answer.query_id!r} has {n_segments} segments, of which {answer.answer!r} of kind "
            f"{answer.kind!r} says nothing."
        )


def _check_wanted(connection: Connection, answer: NewAnswer, now: int) -> None:
    """Refuse an answer beyond those that were asked for, from somebody who was not given the query.

    Whoever was given it, however long ago, or has answered it before is never refused.
    """
    own = [table.c.labeler == answer.labeler for table in (schema.lease, _answer)]
    statement = select(
        exists().where(schema.lease.c.query_id == _query.c.id, own[0]).label("was_given"),
        exists().where(_answer.c.query_id == _query.c.id, own[1]).label("has_answered"),
        _query.c.expires_at,
        _query.c.overlap,
        (_query.c.n_answers + n_in_hand(now)).label("n_taken"),
    ).where(_query.c.id == answer.query_id)
    row = connection.execute(statement).one()
    if row.was_given or row.has_answered:
        return
    if row.expires_at is not None:
        raise QueryTakenError(f"Query {answer.query_id!r} has expired, and {answer.labeler!r} was not given it.")
    if row.n_taken >= row.overlap:
        raise QueryTakenError(
            f"Query {answer.query_id!r} is answered or in hand by all {row.overlap} who were to answer it, and "
            f"{answer.labeler!r} was not given it; claim another one."
        )


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
