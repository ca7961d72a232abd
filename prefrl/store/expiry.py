"""Queries that nobody is asked any more, and the segments that nobody needs after that."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, exists, select, update

from prefrl.store import schema
from prefrl.store.base import StoreBase
from prefrl.store.database import chunks
from prefrl.store.leases import n_in_hand, restart_leases

_query, _part, _segment = schema.query, schema.query_segment, schema.segment

_IS_DEAD: tuple[ColumnElement[bool], ...] = (
    _query.c.expires_at.is_not(None),
    _query.c.repeat_of.is_(None),
    ~exists().where(schema.answer.c.query_id == _query.c.id),
    ~exists().where(schema.lease.c.query_id == _query.c.id),
)
"""Holds for an expired query that nobody ever had: whoever had it may still answer it, or take the answer back."""


class ExpiryMethods(StoreBase):
    """What is not asked any more."""

    def expire_queries(self, query_ids: Sequence[str]) -> int:
        """Ask these queries no more, except those that somebody has answered or has in hand.

        Segments that nobody needs after that are deleted. The queries stay, so that they count as asked.

        Returns:
            How many have expired by this call.
        """
        n_expired = 0
        with self._database.write() as connection:
            now = self._clock()
            restart_leases(connection, now)
            for some in chunks(query_ids):
                statement = update(_query).where(
                    _query.c.id.in_(some),
                    _query.c.expires_at.is_(None),
                    _query.c.n_answers == 0,
                    n_in_hand(now) == 0,
                )
                n_expired += connection.execute(statement.values(expires_at=now)).rowcount
        if n_expired:
            self._delete_unneeded_segments()
        return n_expired

    def _delete_unneeded_segments(self) -> None:
        """Delete the segments of dead queries that no other query and no episode to look at has.

        In a transaction of its own, after that in which queries expired: by then nothing brings those queries
        back. The files go before the rows are committed. Killed in between, this leaves rows whose files are gone
        and that nobody needs, and the next call deletes them; the other way round it would leave files that
        nobody knows of. Whoever adds one of these segments at the same time waits for this transaction, and then
        looks whether its file is still there.
        """
        with self._database.write() as connection:
            dead = select(_query.c.id).where(*_IS_DEAD)
            connection.execute(delete(_part).where(_part.c.query_id.in_(dead)))
            unneeded = _unneeded_segments(connection)
            self._blobs.delete(unneeded)
            for some in chunks(unneeded):
                for column in (schema.prediction.c.segment_id, _segment.c.id):
                    connection.execute(delete(column.table).where(column.in_(some)))


def _unneeded_segments(connection: Connection) -> list[str]:
    """Return the ids of segments that are in no query and are not shown."""
    statement = select(_segment.c.id).where(
        ~exists().where(_part.c.segment_id == _segment.c.id),
        _segment.c.id.not_in(select(schema.showcase.c.segment_id)),
    )
    return list(connection.execute(statement).scalars())
