"""The questioner: makes queries of recorded experience, has them answered, and hands out the comparisons.

All through the store, whoever answers. A synthetic teacher answers at once; for a person the queries wait in the
store and the answers are read when they have come.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from prefrl.feedback import NewAnswer, Selector, Store, Teacher
from prefrl.feedback.selection import PredictReturns
from prefrl.segments import Comparison, Query, SegmentRecorder

# A teacher that skips this many times as often as it answers is not asked further in one go.
ATTEMPTS_PER_LABEL = 10


class Questioner:
    """Asks a teacher about recent experience.

    Args:
        recorder: Where segments are cut from.
        store: Where queries and answers are kept.
        teacher: Who answers.
        selector: Which pairs are asked.
        segment_length: Steps T of a segment.
        rng: Where the choice of segments comes from.
        predict_returns: Members' returns of segments, for selection by disagreement.
    """

    def __init__(
        self,
        recorder: SegmentRecorder,
        store: Store,
        teacher: Teacher,
        *,
        selector: Selector,
        segment_length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> None:
        """Keep the parts; nothing is asked yet."""
        self.recorder = recorder
        self.store = store
        self.teacher = teacher
        self.selector = selector
        self.segment_length = segment_length
        self.rng = rng
        self.predict_returns = predict_returns
        self.n_asked = 0
        """Queries made so far."""
        self.n_read = 0
        """Answers read so far, those that make no comparison included."""
        self.cursor = 0
        """Number of the last answer that was read."""

    @property
    def n_open(self) -> int:
        """Queries that nobody has answered yet."""
        return self.n_asked - self.n_read

    def ask(self, n_labels: int, num_timesteps: int) -> list[Comparison]:
        """Ask until there are `n_labels` comparisons more, or the answers have to be waited for.

        Repeating the call after a crash, from the same state, makes the same queries; what was answered before
        is not asked again.

        Returns:
            The new comparisons, in the order of their answers.
        """
        comparisons: list[Comparison] = []
        for _ in range(ATTEMPTS_PER_LABEL):
            missing = n_labels - len(comparisons)
            if missing <= 0:
                break
            queries = self._make(missing, num_timesteps)
            self.store.add_queries(queries)
            if not self._answer(queries):
                break
            comparisons += self.read(limit=len(queries))
        return comparisons

    def read(self, limit: int | None = None) -> list[Comparison]:
        """Return the comparisons of answers that came since the last call, of at most `limit` answers."""
        answers = self.store.answers(self.cursor, limit=limit)
        if not answers:
            return []
        last = answers[-1].seq
        comparisons = [c for c in self.store.comparisons(self.cursor) if c.seq <= last]
        self.cursor = last
        self.n_read += len(answers)
        return comparisons

    def state_dict(self) -> dict[str, int]:
        """Return how far asking and reading have come."""
        return {"n_asked": self.n_asked, "n_read": self.n_read, "cursor": self.cursor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.n_asked, self.n_read, self.cursor = state["n_asked"], state["n_read"], state["cursor"]

    def _make(self, n: int, num_timesteps: int) -> list[Query]:
        pairs = self.selector.select(
            self.recorder,
            n,
            length=self.segment_length,
            rng=self.rng,
            predict_returns=self.predict_returns,
        )
        first = self.n_asked
        self.n_asked += len(pairs)
        return [
            Query(segments=pair, ordinal=first + i, num_timesteps=num_timesteps) for i, pair in enumerate(pairs)
        ]

    def _answer(self, queries: Sequence[Query]) -> bool:
        """Have the teacher answer what is not answered yet; False if some answers will come later."""
        complete = True
        answered = self.store.answered([query.id for query in queries])
        answers = []
        for query in queries:
            if query.id in answered:
                continue
            answer = self.teacher.answer(query)
            if answer is None:
                complete = False
                continue
            # The id is the query's, so that a repeated answer of the same teacher is one answer.
            answers.append(
                NewAnswer(
                    id=f"{self.teacher.name}:{query.id}",
                    query_id=query.id,
                    answer=answer,
                    labeler=self.teacher.name,
                )
            )
        self.store.add_answers(answers)
        return complete
