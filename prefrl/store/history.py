"""The history of what people said: their present answers, with what they were shown."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import exists, select

from prefrl.store import schema
from prefrl.store.answers import IS_CURRENT, STORED_COLUMNS, StoredAnswer, as_stored
from prefrl.store.base import StoreBase
from prefrl.store.comparisons import IS_KNOWN
from prefrl.store.gold import is_gold
from prefrl.store.queries import segment_places

_answer, _query = schema.answer, schema.query


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryItem:
    """A present answer, and what it is about."""

    answer: StoredAnswer
    """The answer."""
    segment_ids: tuple[str, ...]
    """Segments of the query, in the order in which the answer names them."""
    changed: bool
    """This labeler had said something else of the query before."""
    repeat_of: str | None
    """The earlier query that this one asked again."""
    num_timesteps: int
    """Environment steps after which it was asked."""
    is_gold: bool = False
    """Others are measured by it."""


class HistoryMethods(StoreBase):
    """What people have said so far."""

    def history(
        self,
        labeler: str | None,
        *,
        before: int | None = None,
        limit: int | None = 50,
        query_ids: Collection[str] | None = None,
    ) -> list[HistoryItem]:
        """Return present answers, newest first.

        Args:
            labeler: Whose; None for everybody's.
            before: Only those with a smaller `seq`.
            limit: At most that many; None for all.
            query_ids: Only those to these queries; None for all.
        """
        earlier = _answer.alias("earlier")
        changed = exists().where(
            earlier.c.query_id == _answer.c.query_id,
            earlier.c.labeler == _answer.c.labeler,
            earlier.c.seq < _answer.c.seq,
        )
        statement = (
            select(
                *STORED_COLUMNS,
                _query.c.repeat_of,
                _query.c.num_timesteps,
                changed.label("changed"),
                is_gold().label("is_gold"),
            )
            .join(_query, _query.c.id == _answer.c.query_id)
            .where(IS_CURRENT, IS_KNOWN, _answer.c.value.is_not(None))
        )
        if labeler is not None:
            statement = statement.where(_answer.c.labeler == labeler)
        if before is not None:
            statement = statement.where(_answer.c.seq < before)
        if query_ids is not None:
            statement = statement.where(_answer.c.query_id.in_(query_ids))
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(_answer.c.seq.desc()).limit(limit)).mappings().all()
            places = segment_places(connection, [row["query_id"] for row in rows])
        items = []
        for row in rows:
            items.append(
                HistoryItem(
                    answer=as_stored(row),
                    segment_ids=tuple(segment_id for segment_id, _ in places[row["query_id"]]),
                    changed=bool(row["changed"]),
                    repeat_of=row["repeat_of"],
                    num_timesteps=row["num_timesteps"],
                    is_gold=bool(row["is_gold"]),
                )
            )
        return items
