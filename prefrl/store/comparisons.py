"""What is made of answers: the comparisons that are trained on, and how many there are."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, select

from prefrl.errors import StoreError
from prefrl.registry import FEEDBACK_KINDS
from prefrl.segments import Answer, Comparison, Rating, feedback_kind
from prefrl.store import schema
from prefrl.store.answers import IS_CURRENT, STORED_COLUMNS, StoredAnswer, as_stored, as_value, in_run
from prefrl.store.base import StoreBase
from prefrl.store.database import chunks, count
from prefrl.store.queries import segment_places

_answer, _query = schema.answer, schema.query

IS_KNOWN = _answer.c.kind.in_(list(FEEDBACK_KINDS))
"""Holds for the kinds of judgement that are understood."""
_IS_COMPARISON = IS_KNOWN & (_answer.c.value != as_value(Answer.CANNOT_TELL))  # nor NULL
_IS_NO_REPEAT = ~exists().where(_query.c.id == _answer.c.query_id, _query.c.repeat_of.is_not(None))
_IS_HEEDED = ~exists().where(schema.labeler.c.name == _answer.c.labeler, schema.labeler.c.set_aside == 1)
IS_PRESENT_COMPARISON = (IS_CURRENT, _IS_COMPARISON, _IS_NO_REPEAT, _IS_HEEDED)
"""Holds for the answers that are trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """How much a store, or a run in it, holds."""

    queries: int
    """Queries asked, repeats left out."""
    answers: int
    """Rows of answers, with those replaced or taken back since, and those to repeats."""
    comparisons: int
    """Present answers that are a comparison: what is trained on and costs budget. No repeats, none set aside."""
    cannot_tell: int
    """Present answers that are "can't tell". No repeats."""


class ComparisonMethods(StoreBase):
    """What is trained on."""

    def comparisons(self, after: int = 0, *, run: int | None = None) -> list[Comparison]:
        """Return what is to be trained on, in order of `seq`.

        Answers that were replaced or taken back are left out, and so are "can't tell", repeats, and what somebody
        says whose answers are set aside. A comparison returned by an earlier call may have been replaced since: a
        later answer with its query and teacher says so.

        Args:
            after: Only answers with a greater `seq`.
            run: Only those to queries of this run.

        Raises:
            StoreError: The segment file of a comparison is missing or damaged.
        """
        statement = select(*STORED_COLUMNS).where(_answer.c.seq > after, *in_run(run), *IS_PRESENT_COMPARISON)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(_answer.c.seq)).mappings()
            return self._comparisons(connection, [as_stored(row) for row in rows])

    def comparison_seqs(self, after: int = 0, *, run: int | None = None) -> list[int]:
        """Return the numbers of what `comparisons` returns, without reading segments."""
        statement = select(_answer.c.seq).where(_answer.c.seq > after, *in_run(run), *IS_PRESENT_COMPARISON)
        with self._database.read() as connection:
            return list(connection.execute(statement.order_by(_answer.c.seq)).scalars())

    def comparison_seqs_of(
        self, people: Collection[str], *, after: int = 0, until: int, run: int | None = None
    ) -> list[int]:
        """Return the numbers of these people's comparisons, set aside or not, as they were at some moment.

        Args:
            people: Names.
            after: Only answers with a greater `seq`.
            until: The newest answer of that moment; what was said later replaces nothing.
            run: Only those to queries of this run.
        """
        if not people:  # as nearly always, of those who were just set aside
            return []
        later = _answer.alias("later")
        replaced = exists().where(
            later.c.query_id == _answer.c.query_id,
            later.c.labeler == _answer.c.labeler,
            later.c.seq > _answer.c.seq,
            later.c.seq <= until,
        )
        statement = select(_answer.c.seq).where(
            _answer.c.seq > after,
            _answer.c.seq <= until,
            _answer.c.labeler.in_(list(people)),
            _IS_COMPARISON,
            _IS_NO_REPEAT,
            ~replaced,
        )
        with self._database.read() as connection:
            return list(connection.execute(statement.where(*in_run(run)).order_by(_answer.c.seq)).scalars())

    def comparisons_of(self, query_ids: Sequence[str]) -> list[Comparison]:
        """Return what is to be trained on of the answers to these queries, in order of `seq`.

        Raises:
            StoreError: The segment file of a comparison is missing or damaged.
        """
        found: list[StoredAnswer] = []
        with self._database.read() as connection:
            for some in chunks(list(dict.fromkeys(query_ids))):
                statement = select(*STORED_COLUMNS).where(_answer.c.query_id.in_(some), *IS_PRESENT_COMPARISON)
                found += [as_stored(row) for row in connection.execute(statement).mappings()]
            return self._comparisons(connection, sorted(found, key=lambda answer: answer.seq))

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

    def replaced(
        self, after: int, *, until: int | None = None, run: int | None = None, but_of: Collection[str] = ()
    ) -> list[int]:
        """Return the numbers, up to `after`, of comparisons that later answers have replaced or taken back.

        Args:
            after: Number of the last answer known. What was replaced before it is left out.
            until: Number of the last answer that may replace one; None for all.
            run: Only those of queries of this run.
            but_of: Those of these people are left out.
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
            .where(new.c.seq > after, *([] if until is None else [new.c.seq <= until]))
            .where(_answer.c.seq <= after, _IS_COMPARISON, _IS_NO_REPEAT, ~hidden_before)
            .where(*in_run(run), _answer.c.labeler.not_in(list(but_of)))
            .order_by(_answer.c.seq)
        )
        with self._database.read() as connection:
            return list(connection.execute(statement).scalars())

    def counts(self, *, run: int | None = None) -> StoreCounts:
        """Return how many queries, answers and comparisons there are, in a run or in all."""
        present = (IS_CURRENT, _IS_NO_REPEAT, *in_run(run))
        cannot_tell = IS_KNOWN & (_answer.c.value == as_value(Answer.CANNOT_TELL))
        asked = (_query.c.repeat_of.is_(None), *([] if run is None else [_query.c.run_id == run]))
        with self._database.read() as connection:
            return StoreCounts(
                queries=count(connection, _query.c.id, *asked),
                answers=count(connection, _answer.c.seq, *in_run(run)),
                comparisons=count(connection, _answer.c.seq, *IS_PRESENT_COMPARISON, *in_run(run)),
                cannot_tell=count(connection, _answer.c.seq, cannot_tell, *present),
            )

    def _comparisons(self, connection: Connection, rows: Sequence[StoredAnswer]) -> list[Comparison]:
        places = segment_places(connection, [row.query_id for row in rows])
        return [self._comparison(row, places[row.query_id]) for row in rows]

    def _comparison(self, row: StoredAnswer, places: Sequence[tuple[str, int]]) -> Comparison:
        assert row.answer is not None
        preferences = row.answer.preferences
        assert preferences is not None
        return Comparison(
            segments=tuple(self._segments(places)),
            preferences=preferences,
            strength=feedback_kind(row.kind).strength(row.answer),
            rating=row.answer.level if isinstance(row.answer, Rating) else None,
            teacher=row.labeler,
            query_id=row.query_id,
            seq=row.seq,
        )


def count_comparisons(connection: Connection) -> dict[int, int]:
    """Return the number of comparisons of each run that has any."""
    asked = _query.alias("asked")  # the conditions speak of `query` themselves
    statement = (
        select(asked.c.run_id, func.count())
        .select_from(_answer)
        .join(asked, asked.c.id == _answer.c.query_id)
        .where(*IS_PRESENT_COMPARISON)
        .group_by(asked.c.run_id)
    )
    return {run: n for run, n in connection.execute(statement)}
