"""What is made of answers: the comparisons that are trained on, and how many there are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
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
_HOLDS = ~exists().where(
    schema.settled.c.query_id == _answer.c.query_id, schema.settled.c.labeler != _answer.c.labeler
)
IS_PRESENT_OPINION = (IS_CURRENT, _IS_COMPARISON, _IS_NO_REPEAT, _IS_HEEDED)
"""Holds for the answers that are trained on where nobody has settled which of them hold."""
IS_PRESENT_COMPARISON = (*IS_PRESENT_OPINION, _HOLDS)
"""Holds for the answers that are trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """How much a store, or a run in it, holds."""

    queries: int
    """Queries asked, repeats left out."""
    answers: int
    """Rows of answers, with those replaced or taken back since, and those to repeats."""
    comparisons: int
    """Present answers that are a comparison: what is trained on and costs budget. No repeats, none set aside, and
    of what was settled the one that holds."""
    cannot_tell: int
    """Present answers that are "can't tell". No repeats."""


class ComparisonMethods(StoreBase):
    """What is trained on."""

    def comparisons(self, after: int = 0, *, run: int | None = None) -> list[Comparison]:
        """Return what is to be trained on, in order of `seq`.

        Answers that were replaced or taken back are left out, and so are "can't tell", repeats, what somebody says
        whose answers are set aside, and what does not hold since somebody has settled the query. A comparison
        returned by an earlier call may have been replaced since: a later answer with its query and teacher says
        so.

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

    def comparison_seqs_of(self, runs: Collection[int]) -> list[int]:
        """Return the numbers of what `comparisons` returns of any of these runs, in order."""
        return sorted(seq for run in set(runs) for seq in self.comparison_seqs(run=run))

    def comparison_seqs_then(
        self,
        until: int,
        *,
        aside: Collection[str],
        settled: Mapping[str, str],
        run: int | None = None,
        query_ids: Collection[str] | None = None,
    ) -> list[int]:
        """Return what `comparison_seqs` returned, or would have returned, at some moment.

        Args:
            until: The newest answer of that moment; what was said later replaces nothing.
            aside: Those whose answers were set aside then.
            settled: Whose answer alone held then, by query.
            run: Only those to queries of this run.
            query_ids: Only those to these queries; None for all.
        """
        later = _answer.alias("later")
        replaced = exists().where(
            later.c.query_id == _answer.c.query_id,
            later.c.labeler == _answer.c.labeler,
            later.c.seq > _answer.c.seq,
            later.c.seq <= until,
        )
        statement = select(_answer.c.seq, _answer.c.query_id, _answer.c.labeler).where(
            _answer.c.seq <= until, _IS_COMPARISON, _IS_NO_REPEAT, ~replaced, *in_run(run)
        )
        parts = [statement]
        if query_ids is not None:
            parts = [statement.where(_answer.c.query_id.in_(some)) for some in chunks(list(query_ids))]
        with self._database.read() as connection:
            rows = [row for part in parts for row in connection.execute(part)]
        return sorted(
            seq
            for seq, query_id, labeler in rows
            if labeler not in aside and settled.get(query_id, labeler) == labeler
        )

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
