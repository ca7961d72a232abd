"""Disagreements: queries of which people say opposite things, and whose answer holds."""

from dataclasses import dataclass

from sqlalchemy import delete, exists, insert, or_, select

from prefrl.errors import AnswerConflictError, StoreError
from prefrl.segments import Judgement, Rating
from prefrl.store import schema
from prefrl.store.answers import STORED_COLUMNS, StoredAnswer, as_stored, in_run
from prefrl.store.base import StoreBase
from prefrl.store.comparisons import IS_PRESENT_OPINION
from prefrl.store.queries import segment_places, unknown_query

_query, _settled, _answer = schema.query, schema.settled, schema.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A query of which people say opposite things, or whose answer was settled."""

    query_id: str
    """The query."""
    segment_ids: tuple[str, ...]
    """Its segments, in the order in which the answers name them."""
    answers: tuple[StoredAnswer, ...]
    """What is said of it at present that could be learned from, the oldest first; of nobody who is set aside."""
    holds: str | None
    """Whose answer alone holds; None while it is not settled."""
    settled_by: str | None
    """Who settled it."""


class SettledMethods(StoreBase):
    """Whose answer holds where people disagree."""

    def settle(self, query_id: str, labeler: str, by: str) -> None:
        """Have only one person's answer be learned from, of all that is said of a query. Nothing is lost by it.

        It is that person's answer that holds, as it is now and as they may change it. Where they take it back,
        can't tell, or are set aside, nothing at all is learned from the query, so that what was found wrong never
        counts again by itself; `unsettle` has all answers count again. A training that people teach follows at
        its next look, as far as labels of its own run go.

        Args:
            query_id: The query; one that was settled may be settled otherwise.
            labeler: Whose answer holds.
            by: Who says so.

        Raises:
            AnswerConflictError: Nothing that this person says of the query could be learned from.
            StoreError: The query is unknown.
        """
        with self._database.write() as connection:
            if connection.execute(select(_query.c.id).where(_query.c.id == query_id)).one_or_none() is None:
                raise StoreError(unknown_query(query_id))
            said = (_answer.c.query_id == query_id, _answer.c.labeler == labeler, *IS_PRESENT_OPINION)
            if connection.execute(select(_answer.c.seq).where(*said)).one_or_none() is None:
                raise AnswerConflictError(
                    f"The answer of {labeler!r} to query {query_id!r} cannot hold: there is none at present that "
                    "compares, it is set aside, or it was asked a second time."
                )
            connection.execute(delete(_settled).where(_settled.c.query_id == query_id))
            values = {"query_id": query_id, "labeler": labeler, "settled_by": by, "created_at": self._clock()}
            connection.execute(insert(_settled).values(values))

    def unsettle(self, query_id: str) -> None:
        """Have all answers to a query count again, where it was settled."""
        with self._database.write() as connection:
            connection.execute(delete(_settled).where(_settled.c.query_id == query_id))

    def settled(self, *, run: int | None = None) -> dict[str, str]:
        """Return whose answer alone holds, by query, in a run or in all."""
        statement = select(_settled.c.query_id, _settled.c.labeler).order_by(_settled.c.query_id)
        if run is not None:
            statement = statement.join(_query, _query.c.id == _settled.c.query_id).where(_query.c.run_id == run)
        with self._database.read() as connection:
            return {query_id: labeler for query_id, labeler in connection.execute(statement)}

    def disagreements(self, *, run: int | None = None) -> list[Disagreement]:
        """Return the queries of which people say opposite things, and all that were settled.

        Two answers are opposite where one calls a segment better than another and the other one calls it worse.
        "Equal" and "better" are no opposites: between the two the reward finds its way. Nor is "can't tell" of
        anything. Of one that is rated, a level above the middle is the opposite of one below it. Those who are
        locked out are heeded, those who are set aside are not.

        Args:
            run: Only those of this run.

        Returns:
            Those that are not settled first, and of each sort those first that were answered last.
        """
        is_settled = exists().where(_settled.c.query_id == _answer.c.query_id)
        of_several = exists().where(_query.c.id == _answer.c.query_id, _query.c.n_answers > 1)
        opinions = (or_(is_settled, of_several), *IS_PRESENT_OPINION, *in_run(run))
        said: dict[str, list[StoredAnswer]] = {}
        with self._database.read() as connection:
            settled = select(_settled).join(_query, _query.c.id == _settled.c.query_id)
            if run is not None:
                settled = settled.where(_query.c.run_id == run)
            marks = {row["query_id"]: row for row in connection.execute(settled).mappings()}
            statement = select(*STORED_COLUMNS).where(*opinions).order_by(_answer.c.seq)
            for row in connection.execute(statement).mappings():
                said.setdefault(row["query_id"], []).append(as_stored(row))
            found = {query_id: answers for query_id, answers in said.items() if _are_opposite(answers)}
            found |= {query_id: said.get(query_id, []) for query_id in marks}
            places = segment_places(connection, list(found))
        newest = {query_id: answers[-1].seq if answers else 0 for query_id, answers in found.items()}
        return [
            Disagreement(
                query_id=query_id,
                segment_ids=tuple(segment_id for segment_id, _ in places[query_id]),
                answers=tuple(found[query_id]),
                holds=marks[query_id]["labeler"] if query_id in marks else None,
                settled_by=marks[query_id]["settled_by"] if query_id in marks else None,
            )
            for query_id in sorted(found, key=lambda query_id: (query_id in marks, -newest[query_id]))
        ]


def _are_opposite(answers: list[StoredAnswer]) -> bool:
    """Say whether of some pair of segments one answer prefers the first, and another the second, or so of one."""
    of_pairs = zip(*(_preferences(answer.answer) for answer in answers), strict=True)
    return any(min(of_pair) < 0.5 < max(of_pair) for of_pair in of_pairs)


def _preferences(said: Judgement | None) -> tuple[float, ...]:
    if isinstance(said, Rating):
        return (said.is_good,)
    preferences = None if said is None else said.preferences
    assert preferences is not None  # only such are comparisons
    return preferences
