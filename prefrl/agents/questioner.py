"""The questioner: makes queries of recorded experience, has them answered, and hands out the comparisons.

All through the store, whoever answers. A synthetic teacher answers at once; for people a small stock of fresh
queries lies in the store, and their answers are read when they have come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from prefrl.errors import SettingError
from prefrl.feedback import Selector, Teacher
from prefrl.feedback.strategies import PredictReturns
from prefrl.segments import Comparison, Query, SegmentRecorder
from prefrl.store import NewAnswer, OpenQuery, RunAbout, Store

# A teacher that skips this many times as often as it answers is not asked further in one go.
ATTEMPTS_PER_LABEL = 10
# Segments of about so many bytes are cut and answered at once; whoever asks for more had better do so in parts.
BYTES_AT_ONCE = 2**26


@dataclass(frozen=True, kw_only=True)
class People:
    """In place of a teacher: people answer, whenever they do, through the store.

    Raises:
        SettingError: A number is out of range.
    """

    stock: int = 12
    """Queries kept ready for them."""
    stale_after: int = 40_000
    """Environment steps after which an unanswered query is about an agent of the past, and is taken away."""
    overlap: int = 1
    """People who should answer each query."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.stock, self.stale_after, self.overlap) < 1:
            raise SettingError(
                "`stock`, `stale_after` and `overlap` must be at least 1. Received "
                f"{self.stock}, {self.stale_after} and {self.overlap}."
            )


class Reading(NamedTuple):
    """What is new in the store."""

    comparisons: list[Comparison]
    """In the order of their answers."""
    outdated: list[int]
    """Numbers of comparisons read earlier whose answer has been changed or withdrawn since."""


class Questioner:
    """Asks about recent experience.

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
        teacher: Teacher | People,
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
        self.cursor = 0
        """Number of the last answer that was read."""
        self._run: int | None = None

    @property
    def run(self) -> int:
        """Number of the run in the store, which begins when this is first asked for."""
        if self._run is None:
            recorder = self.recorder
            about = RunAbout.of(
                recorder.observation_space,
                recorder.action_space,
                segment_length=self.segment_length,
                frame_stack=recorder.frame_stack,
            )
            self._run = self.store.begin_run(about)
        return self._run

    @property
    def most_at_once(self) -> int:
        """How many labels to ask for at once, so that memory is not filled with clips; at least 1."""
        recorder = self.recorder
        bytes_per_step = recorder.n_bytes / (recorder.capacity * recorder.n_envs)
        return max(1, int(BYTES_AT_ONCE / (2 * self.segment_length * bytes_per_step)))

    def ask(self, n_labels: int, num_timesteps: int) -> list[Comparison]:
        """Ask a teacher that answers at once until there are `n_labels` comparisons more.

        Repeating the call after a crash, from the same state, makes the same queries; what was answered before
        is not asked again.

        Returns:
            The new comparisons, in the order of their answers; fewer if the teacher cannot tell too often.
        """
        assert not isinstance(self.teacher, People), "people are not asked, they find a stock of queries"
        comparisons: list[Comparison] = []
        for _ in range(ATTEMPTS_PER_LABEL):
            missing = n_labels - len(comparisons)
            if missing <= 0:
                break
            queries = self.store.add_queries(self._make(missing, num_timesteps), run=self.run)
            self._answer(queries, self.teacher)
            comparisons += self.read(limit=len(queries)).comparisons
        return comparisons

    def restock(self, waiting: Sequence[OpenQuery], n_labels: int, num_timesteps: int) -> None:
        """Have a stock of queries about the present agent ready for people, and take stale ones away.

        New ones come when half of the stock is gone, so that a selector that spreads a batch has a batch.

        Args:
            waiting: The store's open queries. Taken before the answers were read from which `n_labels` follows: an
                answer that came in between then counts twice, and never not at all.
            n_labels: Labels that are still wanted, those of the open queries included.
            num_timesteps: Environment steps so far.
        """
        assert isinstance(self.teacher, People), "a stock is for people"
        people = self.teacher
        wanted = max(0, min(people.stock, -(-n_labels // people.overlap)))
        surplus = max(0, len(waiting) - wanted)  # at the end of the budget; the oldest go
        unwanted = [
            query.query_id
            for index, query in enumerate(waiting)
            if index < surplus or num_timesteps - query.num_timesteps > people.stale_after
        ]
        kept = len(waiting) - (self.store.expire_queries(unwanted) if unwanted else 0)
        missing = wanted - kept
        if missing >= max(1, wanted // 2) and self.recorder.n_starts(self.segment_length) >= 2:
            queries = self._make(missing, num_timesteps)
            self.store.add_queries(queries, run=self.run, overlap=people.overlap)

    def read(self, limit: int | None = None) -> Reading:
        """Return what came since the last call, of at most `limit` answers."""
        answers = self.store.answers(self.cursor, limit=limit, run=self.run)
        if not answers:
            return Reading([], [])
        last = answers[-1].seq
        comparisons = [c for c in self.store.comparisons(self.cursor, run=self.run) if c.seq <= last]
        outdated = self.store.replaced(self.cursor, run=self.run)
        self.cursor = last
        return Reading(comparisons, outdated)

    def state_dict(self) -> dict[str, int]:
        """Return how far asking and reading have come."""
        return {"n_asked": self.n_asked, "cursor": self.cursor, "run": self.run}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.n_asked, self.cursor = state["n_asked"], state["cursor"]
        self._run = state.get("run", 0)

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

    def _answer(self, queries: Sequence[Query], teacher: Teacher) -> None:
        """Have the teacher answer what is not answered yet."""
        answered = self.store.answered([query.id for query in queries])
        # The id is the query's, so that a repeated answer of the same teacher is one answer.
        self.store.add_answers(
            [
                NewAnswer(
                    id=f"{teacher.name}:{query.id}",
                    query_id=query.id,
                    answer=teacher.answer(query),
                    labeler=teacher.name,
                )
                for query in queries
                if query.id not in answered
            ]
        )
