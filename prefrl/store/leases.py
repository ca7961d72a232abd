"""Leases: who has which query in hand, and until when.

A lease that is over is kept: it says that this person was given the query and may have it again. Its row goes
only when the person has answered.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, ScalarSelect, delete, func, insert, select, update

from prefrl.store import schema
from prefrl.store.database import chunks

LEASE_SECONDS = 600.0
"""How long a person may look at a query before somebody else is asked."""

_lease = schema.lease


def n_in_hand(now: int | ColumnElement[int], *, but_for: ColumnElement[str] | None = None) -> ScalarSelect[int]:
    """Return the number of people who have a query of the enclosing statement in hand, one of them left out."""
    statement = select(func.count()).where(_lease.c.query_id == schema.query.c.id, _lease.c.expires_at > now)
    if but_for is not None:
        statement = statement.where(_lease.c.labeler != but_for)
    return statement.correlate(schema.query).scalar_subquery()


def restart_leases(connection: Connection, now: int) -> None:
    """Let leases that begin in the future begin now, as long as they were.

    The clock has been set back then; without this they would last for as much longer.
    """
    connection.execute(
        update(_lease)
        .where(_lease.c.began_at > now)
        .values(expires_at=now + _lease.c.expires_at - _lease.c.began_at, began_at=now)
    )


def add_lease(
    connection: Connection, query_id: str, labeler: str, *, began_at: int, expires_at: int, first: bool = False
) -> None:
    """Give a query to somebody, to be handed out again after or before all that this person has."""
    turn = func.min(_lease.c.turn) - 1 if first else func.max(_lease.c.turn) + 1
    chosen = connection.execute(select(turn).where(_lease.c.labeler == labeler)).scalar()
    connection.execute(
        insert(_lease).values(
            query_id=query_id, labeler=labeler, began_at=began_at, expires_at=expires_at, turn=chosen or 0
        )
    )


def renew_leases(
    connection: Connection, labeler: str, query_ids: Sequence[str], *, began_at: int, expires_at: int
) -> None:
    """Let leases begin anew; their turn stays."""
    for some in chunks(query_ids):
        connection.execute(
            update(_lease)
            .where(_lease.c.labeler == labeler, _lease.c.query_id.in_(some))
            .values(began_at=began_at, expires_at=expires_at)
        )


def end_leases(connection: Connection, labeler: str, now: int, *, but_for: Sequence[str] = ()) -> None:
    """End all leases of a labeler that last, but for those of some queries; the rows stay."""
    # Of no length, so that a clock that is set back does not bring them to life again.
    connection.execute(
        update(_lease)
        .where(_lease.c.labeler == labeler, _lease.c.expires_at > now, _lease.c.query_id.not_in(but_for))
        .values(began_at=now, expires_at=now)
    )


def remove_lease(connection: Connection, query_id: str, labeler: str) -> int | None:
    """Forget that a query was given to somebody, and return when that ended or would have ended."""
    statement = delete(_lease).where(_lease.c.query_id == query_id, _lease.c.labeler == labeler)
    return connection.execute(statement.returning(_lease.c.expires_at)).scalar()
