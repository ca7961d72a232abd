"""Gold: queries whose answer is known, put to others unseen, to see how they do."""

from sqlalchemy import BindParameter, ColumnElement, bindparam, delete, exists, insert, or_, select

from prefrl.errors import AnswerConflictError, StoreError
from prefrl.segments import Answer
from prefrl.store import schema
from prefrl.store.answers import IS_CURRENT, as_value
from prefrl.store.base import StoreBase
from prefrl.store.claims import ANY_SIZE, FITS, OF_THE_NEWEST_RUN, ask_again
from prefrl.store.people import ensure_labeler
from prefrl.store.queries import unknown_query

_query, _gold, _answer = schema.query, schema.gold, schema.answer


def is_gold() -> ColumnElement[bool]:
    """Hold for the answers of the enclosing statement that others are measured by.

    None of a query that was settled for somebody else.
    """
    return exists().where(
        _gold.c.query_id == _answer.c.query_id, _gold.c.labeler == _answer.c.labeler, ~_is_settled_otherwise()
    )


def _is_settled_otherwise() -> ColumnElement[bool]:
    """Hold for gold of a query whose answer was settled, and is another person's."""
    settled = schema.settled
    return exists().where(settled.c.query_id == _gold.c.query_id, settled.c.labeler != _gold.c.labeler)


_IS_KNOWN = (
    exists().where(
        _answer.c.query_id == _gold.c.query_id,
        _answer.c.labeler == _gold.c.labeler,
        _answer.c.value != as_value(Answer.CANNOT_TELL),  # nor NULL
        IS_CURRENT,
    )
    & ~_is_settled_otherwise()
)
_asking: BindParameter[str] = bindparam("asking")
_other = _query.alias("other")
_HAS_SEEN = exists().where(
    _other.c.pair == _query.c.pair,
    or_(
        exists().where(schema.lease.c.query_id == _other.c.id, schema.lease.c.labeler == _asking),
        exists().where(_answer.c.query_id == _other.c.id, _answer.c.labeler == _asking),
    ),
)
_IS_OVER = or_(_query.c.n_answers >= _query.c.overlap, _query.c.expires_at.is_not(None))
"""As long as it wants answers, people are asked the query itself, and measured by that."""
_NEXT = (
    select(_query)
    .join(_gold, _gold.c.query_id == _query.c.id)
    # Said twice, so that SQLite begins with the few that are gold: of 12,000 queries it took 35 ms at each claim.
    .where(_query.c.id.in_(select(_gold.c.query_id)))
    .where(OF_THE_NEWEST_RUN, FITS, _IS_OVER, _IS_KNOWN, ~_HAS_SEEN)  # who has marked it has seen it
    .order_by(_gold.c.created_at, _query.c.ordinal)
    .limit(1)
)


_IN_HAND = (
    select(_query.c.id, _query.c.repeat_of)
    .join(schema.lease, (schema.lease.c.query_id == _query.c.id) & (schema.lease.c.labeler == _asking))
    .where(
        OF_THE_NEWEST_RUN,
        FITS,
        _query.c.repeat_of.is_not(None),
        ~exists().where(_answer.c.query_id == _query.c.repeat_of, _answer.c.labeler == _asking),
    )
    .limit(1)
)
"""What was known to somebody else only, and is still to be answered by this person."""


class GoldMethods(StoreBase):
    """What others are measured by."""

    def mark_gold(self, query_id: str, labeler: str) -> None:
        """Measure others by what somebody says of a query, as it is now and as it may be changed.

        Args:
            query_id: The query. What was somebody else's gold is this person's from now on.
            labeler: Whose answer it is.

        Raises:
            AnswerConflictError: The query asks another one again, this person says nothing of it that others
                could be measured by, or it was settled that somebody else's answer holds.
            StoreError: The query is unknown.
        """
        with self._database.write() as connection:
            row = connection.execute(select(_query.c.repeat_of).where(_query.c.id == query_id)).one_or_none()
            if row is None:
                raise StoreError(unknown_query(query_id))
            said = select(_answer.c.value).where(
                _answer.c.query_id == query_id, _answer.c.labeler == labeler, IS_CURRENT
            )
            nothing = (None, as_value(Answer.CANNOT_TELL))
            holds = select(schema.settled.c.labeler).where(schema.settled.c.query_id == query_id)
            is_wrong = connection.execute(holds).scalar() not in (None, labeler)
            if is_wrong or row.repeat_of is not None or connection.execute(said).scalar() in nothing:
                raise AnswerConflictError(
                    f"Query {query_id!r} cannot be gold: {labeler!r} has not said which is better, was asked it a "
                    "second time, or it was settled that another answer holds."
                )
            connection.execute(delete(_gold).where(_gold.c.query_id == query_id))
            values = {"query_id": query_id, "labeler": labeler, "created_at": self._clock()}
            connection.execute(insert(_gold).values(values))

    def unmark_gold(self, query_id: str) -> None:
        """Ask a query of nobody else any more, where it was gold; what others have said of it is kept."""
        with self._database.write() as connection:
            connection.execute(delete(_gold).where(_gold.c.query_id == query_id))

    def add_gold(self, labeler: str, *, sizes: tuple[int, int] = ANY_SIZE) -> tuple[str, str] | None:
        """Ask a person what is gold in the newest run, the oldest first, that they have never been shown.

        What is said makes no comparison and costs no budget, as with `add_repeat`. Where there is one already that
        the person has not answered, no other is added.

        Args:
            labeler: The person.
            sizes: Least and greatest number of segments of the query.

        Returns:
            The id of the new query, which this person's next claim brings, and that of the gold one; None where
            there is nothing that this person has not been shown.
        """
        asking = {"asking": labeler, "least": sizes[0], "most": sizes[1]}
        with self._database.read() as connection:  # mostly there is none, and nobody has to wait for that
            found = connection.execute(_IN_HAND, asking).one_or_none()
            if found is not None:
                return found.id, found.repeat_of
            if connection.execute(_NEXT, asking).mappings().one_or_none() is None:
                return None
        with self._database.write() as connection:
            row = connection.execute(_NEXT, asking).mappings().one_or_none()
            if row is None:
                return None
            now = self._clock()
            ensure_labeler(connection, labeler, now)
            return ask_again(connection, row, labeler, now, why="gold"), row["id"]
