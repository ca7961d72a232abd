"""Claims: queries handed to a person, so that no other answers them and no pair is shown to anybody twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
)

from prefrl.errors import SettingError, StoreError
from prefrl.store import schema
from prefrl.store.base import StoreBase
from prefrl.store.leases import (
    LEASE_SECONDS,
    add_lease,
    n_in_hand,
    renew_leases,
    restart_leases,
)
from prefrl.store.people import ensure_labeler
from prefrl.store.queries import IS_UNSETTLED, segment_places, unknown_query

_query, _lease, _answer = schema.query, schema.lease, schema.answer
_now: BindParameter[int] = bindparam("now")
_asking: BindParameter[str] = bindparam("asking")

OF_THE_NEWEST_RUN = _query.c.run_id == select(func.max(schema.run.c.id)).scalar_subquery()
"""What earlier runs have asked is handed out no more."""

_n_segments = (
    select(func.count()).where(schema.query_segment.c.query_id == _query.c.id).correlate(_query).scalar_subquery()
)
FITS: ColumnElement[bool] = _n_segments.between(bindparam("least"), bindparam("most"))
"""Holds for a query of as many segments as can be shown; a run may go on with another kind of feedback."""

_HAD = (
    select(_query.c.id)
    .join(_lease, _lease.c.query_id == _query.c.id)
    .where(
        FITS,
        _lease.c.labeler == _asking,
        _query.c.expires_at.is_(None),
        _query.c.n_answers < _query.c.overlap,
        OF_THE_NEWEST_RUN,
        or_(
            _lease.c.expires_at > _now,
            _query.c.n_answers + n_in_hand(_now, but_for=_asking) < _query.c.overlap,
        ),
    )
    .order_by(_lease.c.turn)
)
"""What a labeler was given and may have again, in turn.

A lease that lasts has its place among those who are to answer; one that is over needs a free one.
"""

_other = _query.alias("other")
_NEXT = (
    select(_query.c.id)
    .where(
        text(schema.OPEN),
        IS_UNSETTLED,
        OF_THE_NEWEST_RUN,
        FITS,
        _query.c.n_answers + n_in_hand(_now) < _query.c.overlap,
        _query.c.id.not_in(bindparam("exclude", expanding=True)),
        ~exists().where(
            _other.c.pair == _query.c.pair,
            or_(
                exists().where(_lease.c.query_id == _other.c.id, _lease.c.labeler == _asking),
                exists().where(_answer.c.query_id == _other.c.id, _answer.c.labeler == _asking),
            ),
        ),
    )
    .order_by(_query.c.priority.desc(), _query.c.num_timesteps.desc(), _query.c.ordinal)
    .limit(1)
)
"""The query that a labeler is to get next."""


ANY_SIZE = (1, 1000)
"""Numbers of segments of any query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A query that a person has in hand."""

    query_id: str
    """The query."""
    segment_ids: tuple[str, ...]
    """Its segments, in the order in which answers name them."""
    lease_expires_at: int
    """When somebody else may be asked, milliseconds since 1970 UTC; 0 if this person has answered."""
    repeat_of: str | None
    """The earlier query that this one asks again."""
    sides_swapped: bool
    """The segments belong on the screen in reverse order, the first on the right. The same at every call; the
    opposite for a repeat."""


class ClaimMethods(StoreBase):
    """Who is asked what."""

    def claim(
        self,
        labeler: str,
        n: int,
        *,
        lease_seconds: float = LEASE_SECONDS,
        exclude: Sequence[str] = (),
        sizes: tuple[int, int] = ANY_SIZE,
    ) -> list[Claim]:
        """Hand out queries to a person; nobody else gets them until the lease is over.

        First what this person was given before, in the order of that time, then the open queries: greatest
        priority first, then newest, then in the order in which they were made; all of them of the newest run.
        A query has never more answers and leases than people were to answer it. Nobody gets a query they have
        answered, nor the same segments a second time, in any order; repeats are the exception.

        Args:
            labeler: Who asks.
            n: How many are wanted, `exclude` not counted.
            lease_seconds: How long they stay this person's.
            exclude: Queries that this person has in hand: not returned again, but their leases are renewed.
            sizes: Least and greatest number of segments of a query. Others are neither returned nor renewed.

        Raises:
            SettingError: `labeler` is empty, `n` negative, or `lease_seconds` not positive.
        """
        if not labeler or n < 0 or not lease_seconds > 0:
            raise SettingError(
                "A claim needs a `labeler`, `n` of 0 or more, and `lease_seconds` above 0. "
                f"Received {labeler!r}, {n} and {lease_seconds}."
            )
        with self._database.write() as connection:
            now = self._clock()
            restart_leases(connection, now)
            ensure_labeler(connection, labeler, now)
            until = now + round(1000 * lease_seconds)
            asking = {"asking": labeler, "now": now, "least": sizes[0], "most": sizes[1]}
            had = connection.execute(_HAD, asking).scalars().all()
            claimed = [query_id for query_id in had if query_id not in exclude][:n]
            renewed = [query_id for query_id in had if query_id in exclude] + claimed
            renew_leases(connection, labeler, renewed, began_at=now, expires_at=until)
            while len(claimed) < n:  # one by one, because two of them may show the same segments
                query_id = connection.execute(_NEXT, asking | {"exclude": list(exclude)}).scalar()
                if query_id is None:
                    break
                add_lease(connection, query_id, labeler, began_at=now, expires_at=until)
                claimed.append(query_id)
            return _claims(connection, labeler, claimed)

    def given(self, labeler: str, query_id: str) -> Claim | None:
        """Return a query as it was handed to this person, also long ago; None if it never was."""
        with self._database.read() as connection:
            claims = _claims(connection, labeler, [query_id])
            if not claims and _newest(connection, labeler, query_id) is not None:
                return _claim(connection, labeler, query_id, lease_expires_at=0)
        return claims[0] if claims else None

    def add_repeat(self, query_id: str, labeler: str) -> str:
        """Ask a person once more what this person has answered, with the sides exchanged.

        Nobody else is asked. What is said makes no comparison and costs no budget; it shows how often this
        person errs. A query is repeated to a person once, however often this is called.

        Returns:
            The id of the new query, which this person's next claim brings.

        Raises:
            StoreError: The query is unknown, is a repeat itself, or has no present answer of this person.
        """
        with self._database.write() as connection:
            row = connection.execute(select(_query).where(_query.c.id == query_id)).mappings().one_or_none()
            if row is None:
                raise StoreError(unknown_query(query_id))
            if row["repeat_of"] is not None or _newest(connection, labeler, query_id) in (None, (None,)):
                raise StoreError(f"Query {query_id!r} cannot be repeated: {labeler!r} has not answered it.")
            return ask_again(connection, row, labeler, self._clock(), why="repeat")


def ask_again(connection: Connection, row: RowMapping, labeler: str, now: int, *, why: str) -> str:
    """Ask a query, as the table has it, of one person under another id, once; return that id.

    Args:
        connection: In whose transaction.
        row: The query.
        labeler: The person.
        now: Milliseconds since 1970 UTC.
        why: "repeat" or "gold"; one query may be asked for each reason.
    """
    query_id = row["id"]
    again_id = blake2b(f"{why}:{query_id}:{labeler}".encode(), digest_size=16).hexdigest()
    if connection.execute(select(_query.c.id).where(_query.c.id == again_id)).one_or_none() is None:
        own = {"id": again_id, "repeat_of": query_id, "overlap": 1, "n_answers": 0, "created_at": now}
        connection.execute(insert(_query).values(dict(row) | own | {"expires_at": None}))
        _copy_parts(connection, query_id, again_id)
        add_lease(connection, again_id, labeler, began_at=now, expires_at=now)
    return again_id


def _claims(connection: Connection, labeler: str, query_ids: Sequence[str]) -> list[Claim]:
    """Return those of the queries that the labeler was given and has not answered, in the same order."""
    statement = select(_lease.c.query_id, _lease.c.expires_at)
    rows = connection.execute(statement.where(_lease.c.labeler == labeler, _lease.c.query_id.in_(query_ids)))
    ends = {row.query_id: row.expires_at for row in rows}
    return [
        _claim(connection, labeler, query_id, lease_expires_at=ends[query_id])
        for query_id in query_ids
        if query_id in ends
    ]


def _claim(connection: Connection, labeler: str, query_id: str, *, lease_expires_at: int) -> Claim:
    repeat_of = connection.execute(select(_query.c.repeat_of).where(_query.c.id == query_id)).scalar_one()
    places = segment_places(connection, [query_id])[query_id]
    return Claim(
        query_id=query_id,
        segment_ids=tuple(segment_id for segment_id, _ in places),
        lease_expires_at=lease_expires_at,
        repeat_of=repeat_of,
        sides_swapped=_sides_swapped(connection, labeler, query_id, repeat_of),
    )


def _sides_swapped(connection: Connection, labeler: str, query_id: str, repeat_of: str | None) -> bool:
    statement = select(_answer.c.sides_swapped).where(
        _answer.c.query_id == repeat_of, _answer.c.labeler == labeler
    )
    first = connection.execute(statement.order_by(_answer.c.seq).limit(1)).scalar()
    if first is None:  # no repeat, or one of what somebody else has answered
        return bool(blake2b(f"{query_id}:{labeler}".encode(), digest_size=1).digest()[0] % 2)
    return not first


def _newest(connection: Connection, labeler: str, query_id: str) -> tuple[str | None] | None:
    """Return what a person last said of a query, None for a withdrawal; None if nothing was ever said."""
    statement = select(_answer.c.value).where(_answer.c.query_id == query_id, _answer.c.labeler == labeler)
    row = connection.execute(statement.order_by(_answer.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else (row.value,)


def _copy_parts(connection: Connection, query_id: str, copy_id: str) -> None:
    part = schema.query_segment
    rest = [part.c.position, part.c.segment_id, part.c.num_timesteps]
    names = [part.c.query_id.name, *(column.name for column in rest)]
    rows = select(literal(copy_id), *rest).where(part.c.query_id == query_id)
    connection.execute(insert(part).from_select(names, rows))
