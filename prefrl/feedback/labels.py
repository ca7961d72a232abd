"""Labels: the stream of comparisons of one run, from a teacher at once or from people when they come.

Both go through the store, so that what was said is safe, and so that a run that is played again from a
checkpoint asks nothing twice.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prefrl.errors import SettingError
from prefrl.feedback.query_maker import QueryMaker
from prefrl.feedback.teachers import Teacher, ask, name_for, names_of
from prefrl.parts import Arrays, Json, State
from prefrl.segments import Comparison, FeedbackKind, Query
from prefrl.segments.answers import PAIR
from prefrl.settings import FeedbackSettings
from prefrl.store import NewAnswer, OpenQuery, Store

ATTEMPTS_PER_LABEL = 10
"""A teacher that cannot tell this many times as often as it answers is not asked further in one go."""

NOTHING_NEW = (
    "Nobody can be asked: all pairs of clips that were drawn from what is recorded have been shown before. The "
    "agent goes on without those labels; record more (`recorder_steps`) or cut shorter clips (`segment_length`)."
)


class News(NamedTuple):
    """What has come."""

    comparisons: list[Comparison]
    """New ones, in the order of their answers."""
    outdated: list[int]
    """Numbers of earlier ones that count no more: changed, withdrawn, set aside or settled otherwise since."""


class Wanted(NamedTuple):
    """What the label schedule asks for."""

    due: int
    """Labels that there should be by now."""
    in_all: int
    """Labels of the whole run."""
    per_round: int
    """Labels that make a round."""


class Labels(ABC):
    """Where the comparisons of a run come from.

    Args:
        store: Where queries and answers are kept.
        run: The store's number of this run.
        maker: Makes the queries.
    """

    def __init__(self, store: Store, run: int, maker: QueryMaker) -> None:
        self._store = store
        self._run = run
        self._maker = maker
        self._n_labels = 0
        self._cursor = 0
        """Number of the last answer that was handed out."""
        self._aside: frozenset[str] = frozenset()
        """Whose answers were set aside at the last look."""
        self._settled: dict[str, str] = {}
        """Whose answer alone held at the last look, by query."""
        self._reads_on = False

    @property
    def n_asked(self) -> int:
        """Queries made so far."""
        return self._maker.n_made

    @property
    def n_labels(self) -> int:
        """Comparisons that count against the budget of the run: those handed out, less those outdated since."""
        return self._n_labels

    @property
    def n_open(self) -> int:
        """Queries that people found or had in hand at the last look; a teacher answers at once and leaves none."""
        return 0

    @property
    def most_at_once(self) -> int:
        """Comparisons that memory has room for at once."""
        return self._maker.most_at_once

    @abstractmethod
    def collect(self, wanted: Wanted, num_timesteps: int) -> Iterator[News]:
        """Ask what is to be asked, and yield what has come, in parts that fit into memory.

        Each part is to be taken in before the next one is fetched.

        Args:
            wanted: Budget and schedule; nothing is asked where nothing is wanted yet (`due` below 0).
            num_timesteps: Environment steps so far.
        """

    def read_on(self, after: int = 0) -> None:
        """Have `collect` begin with what was said since this object last looked: some of it was never handed out.

        So it is where a training goes on from a file that was written before the last answers, and where a teacher
        failed in the middle of a round.

        Args:
            after: Number of a comparison up to which all was handed out.
        """
        self._cursor = max(self._cursor, after)
        self._reads_on = True

    def recall(self) -> Iterator[News]:
        """Yield all that was said in this run before, in parts; it counts against the budget."""
        yield from self._read()
        self._maker.n_made = self._store.counts(run=self._run).queries

    def state(self) -> State:
        """Return how far asking and reading have come."""
        arrays, values = self._maker.state()
        own: Json = {"cursor": self._cursor, "n_labels": self._n_labels}
        own |= {"aside": sorted(self._aside), "settled": self._settled}
        return arrays, values | own

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken."""
        self._maker.restore(arrays, values)
        self._cursor, self._n_labels = values["cursor"], values["n_labels"]
        self._aside = frozenset(values.get("aside", ()))
        self._settled = dict(values.get("settled", {}))

    def _heed(self) -> Iterator[News]:
        """Yield what of that which was handed out counts no more, or again, as people were set aside, or back."""
        store, run, aside = self._store, self._run, self._store.aside()
        if aside == self._aside:
            return
        then, now = (
            set(store.comparison_seqs_then(self._cursor, aside=names, settled=self._settled, run=run))
            for names in (self._aside, aside)
        )
        self._aside = aside
        self._n_labels += len(now) - len(then)
        yield from news_in_parts(store, sorted(now - then), sorted(then - now), self.most_at_once)

    def _read(self) -> Iterator[News]:
        """Yield what was said since the last call, and what counts no more, or again, of what was said before."""
        store, run, known = self._store, self._run, self._cursor
        aside, settled = store.aside(), store.settled(run=run)
        answers = store.answers(known, run=run)
        touched = {answer.query_id for answer in answers}
        touched |= {query_id for query_id, _ in settled.items() ^ self._settled.items()}
        if not touched and aside == self._aside:
            return
        last = answers[-1].seq if answers else known
        some = touched if known and aside == self._aside else None
        before = store.comparison_seqs_then(
            known, aside=self._aside, settled=self._settled, run=run, query_ids=some
        )
        now = store.comparison_seqs_then(last, aside=aside, settled=settled, run=run, query_ids=some)
        outdated, found = sorted(set(before) - set(now)), sorted(set(now) - set(before))
        self._cursor, self._aside, self._settled = last, aside, settled
        self._n_labels += len(found) - len(outdated)
        yield from news_in_parts(store, found, outdated, self.most_at_once)


class TeacherLabels(Labels):
    """Comparisons of a teacher that answers at once.

    Args:
        teacher: Who answers.
        store: Where queries and answers are kept.
        run: The store's number of this run.
        maker: Makes the queries.
        kind: What is said of them.
    """

    def __init__(
        self, teacher: Teacher, store: Store, run: int, maker: QueryMaker, kind: FeedbackKind = PAIR
    ) -> None:
        super().__init__(store, run, maker)
        self._teacher = teacher
        self._kind = kind

    def collect(self, wanted: Wanted, num_timesteps: int) -> Iterator[News]:
        """Ask what is due, once it makes a round.

        Repeated after a crash, from the same state, it makes the same queries; what was answered before is not
        asked again. A teacher that cannot tell too often leaves some labels for the next call.

        Raises:
            SettingError: The teacher's answers are set aside, or of one who speaks for several, everybody's.
        """
        yield from self._heed()
        if self._reads_on:
            yield from self._read()
            self._reads_on = False
        due = self._due(wanted, self._n_labels)
        while due > 0:
            part = min(due, self._maker.most_at_once)
            try:
                comparisons = self._ask(part, num_timesteps)
            except BaseException:
                self.read_on()
                raise
            self._count(comparisons)
            due -= part
            yield News(comparisons, [])
            if len(comparisons) < part:
                return

    def _due(self, wanted: Wanted, n_given: int) -> int:
        """Return how many labels to ask for where there are, or will be, so many: none before they make a round.

        Raises:
            SettingError: There are some, and what the teacher says is set aside.
        """
        due = wanted.due - n_given
        if due < max(1, min(wanted.per_round, wanted.in_all - n_given)) or not self._maker.is_ready:
            return 0
        if names_of(self._teacher) <= self._store.aside():
            raise SettingError(
                f"The answers of the teacher {self._teacher.name!r} are set aside, so nothing would be learned "
                "from what it says; `store.set_aside(name, False)` takes that back."
            )
        return due

    def _count(self, comparisons: Sequence[Comparison]) -> None:
        """Count what is handed out."""
        self._n_labels += len(comparisons)
        self._cursor = max([self._cursor, *(comparison.seq for comparison in comparisons)])

    def _ask(self, n_labels: int, num_timesteps: int) -> list[Comparison]:
        """Ask until there are `n_labels` comparisons more; return them in the order of their answers."""
        comparisons: list[Comparison] = []
        for _ in range(ATTEMPTS_PER_LABEL):
            missing = n_labels - len(comparisons)
            if missing <= 0:
                break
            queries = self._store.add_queries(self._maker.make(missing, num_timesteps), run=self._run)
            self._answer(queries)
            comparisons += self._store.comparisons_of([query.id for query in queries])
        return comparisons

    def _answer(self, queries: Sequence[Query]) -> None:
        """Have the teacher answer what is not answered yet."""
        answered = self._store.answered([query.id for query in queries])
        answers: list[NewAnswer] = []
        try:
            for query in queries:
                if query.id not in answered:
                    answers.append(self._answer_of(query))
        finally:  # where the teacher fails, what it has said is kept
            self._store.add_answers(answers)

    def _answer_of(self, query: Query) -> NewAnswer:
        # The id is the query's, so that a repeated answer of the same teacher is one answer.
        name = name_for(self._teacher, query)
        return NewAnswer(
            id=f"{name}:{query.id}",
            query_id=query.id,
            answer=ask(self._teacher, self._kind, query),
            labeler=name,
            kind=self._kind.name,
        )


class PeopleLabels(Labels):
    """Comparisons of people, who find a small stock of fresh queries in the store and answer when they like.

    Args:
        store: Where queries and answers are kept.
        run: The store's number of this run.
        maker: Makes the queries.
        settings: Size of the stock, and when a query is stale.
    """

    def __init__(self, store: Store, run: int, maker: QueryMaker, settings: FeedbackSettings) -> None:
        super().__init__(store, run, maker)
        self._settings = settings
        self._n_open = 0

    @property
    def n_open(self) -> int:
        """Queries that people found or had in hand at the last look."""
        return self._n_open

    def collect(self, wanted: Wanted, num_timesteps: int) -> Iterator[News]:
        """Read what people have said, and see that they find queries; never wait for them."""
        # Taken before the answers are read: an answer that comes in between then counts twice, never not at all.
        waiting = self._store.open_queries(run=self._run)
        yield from self._read()
        if wanted.due >= 0:
            self._restock(waiting, wanted.in_all - self._n_labels, num_timesteps)

    def _restock(self, waiting: Sequence[OpenQuery], n_wanted: int, num_timesteps: int) -> None:
        """Have a stock of queries about the present agent ready, and take stale ones away.

        New ones come when half of the stock is gone, so that a strategy that spreads a batch has a batch.
        """
        settings = self._settings
        wanted = max(0, min(settings.stock, -(-n_wanted // settings.overlap)))
        surplus = max(0, len(waiting) - wanted)  # at the end of the budget; the oldest go
        unwanted = [
            query.query_id
            for index, query in enumerate(waiting)
            if index < surplus
            or num_timesteps - query.num_timesteps > settings.stale_after
            or query.asked_before
            or query.n_segments != self._maker.n_segments  # of a training that asked for another kind of feedback
        ]
        self._n_open = len(waiting) - self._expire(unwanted)
        for _ in range(ATTEMPTS_PER_LABEL):
            missing = wanted - self._n_open
            if missing < max(1, wanted // 2) or not self._maker.is_ready:
                return
            self._n_open += self._add(missing, num_timesteps)
        if not self._n_open:
            warnings.warn(NOTHING_NEW, stacklevel=2)

    def _add(self, n: int, num_timesteps: int) -> int:
        """Ask `n` more, and return how many of them are new to everybody.

        A run that is played again after a crash, or a second one of the same seed, comes upon pairs that were
        shown before. Nobody is shown a pair twice, so those would lie in the stock for ever.
        """
        queries = self._maker.make(n, num_timesteps)
        asked = {
            query.id for query in self._store.add_queries(queries, run=self._run, overlap=self._settings.overlap)
        }
        added = [query for query in self._store.open_queries(run=self._run) if query.query_id in asked]
        return len(added) - self._expire([query.query_id for query in added if query.asked_before])

    def _expire(self, query_ids: list[str]) -> int:
        return self._store.expire_queries(query_ids) if query_ids else 0


def read_in_parts(store: Store, seqs: Sequence[int], size: int) -> Iterator[list[Comparison]]:
    """Yield the comparisons with these numbers, at most `size` in memory at once."""
    for start in range(0, len(seqs), size):
        yield list(store.comparisons_at(seqs[start : start + size]))


def news_in_parts(store: Store, found: Sequence[int], outdated: list[int], size: int) -> Iterator[News]:
    """Yield the comparisons with these numbers, at most `size` at once, and what is outdated with the first."""
    for part in read_in_parts(store, found, size):
        yield News(part, outdated)
        outdated = []
    if outdated:
        yield News([], outdated)
