"""What everybody has said so far, in memory: counted without asking the database at every request.

A copy of the store's answers that grows with them by sequence number; the store stays what counts.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterable
from math import inf, nan
from typing import NamedTuple

from prefrl.feedback.agreement import seconds_per_answer
from prefrl.segments import Answer
from prefrl.store import Store, StoredAnswer

RATE_ANSWERS = 50
"""The pace is that of so many latest answers, so that it is the present one."""


class Account:
    """What one person has said.

    Args:
        name: Of the person.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.current: dict[str, StoredAnswer] = {}
        """Present answers by query, "can't tell" included, repeats too; in the order of the first answer."""
        self.n_given = 0
        """Rows of answers, with those replaced since."""
        self.n_cannot_tell = 0
        """Present answers that are "can't tell"."""
        self.last_time: int | None = None
        """When the latest answer was stored, milliseconds since 1970 UTC."""
        self._latest: deque[StoredAnswer] = deque(maxlen=RATE_ANSWERS)

    @property
    def seconds_each(self) -> float:
        """How long an answer takes as a rule, of the latest ones; NaN before there are two.

        The one pace there is: what is told and what is foretold come from it.
        """
        return seconds_per_answer(list(self._latest))

    @property
    def per_minute(self) -> float:
        """Answers per minute at that pace; NaN before there are two."""
        return 60 / self.seconds_each

    def add(self, answer: StoredAnswer) -> None:
        """Take note of the next answer."""
        earlier = self.current.get(answer.query_id)
        self.n_cannot_tell += _cannot_tell(answer) - _cannot_tell(earlier)
        if answer.answer is None:
            self.current.pop(answer.query_id, None)
        else:
            self.current[answer.query_id] = answer
            self._latest.append(answer)
            self.n_given += 1
        self.last_time = answer.server_time


class Worker(NamedTuple):
    """Somebody who is at work."""

    name: str
    per_second: float
    """Answers."""
    n_left: float
    """Comparisons that this person is still asked for at most; infinity without a quota."""


class AnswerIndex:
    """All answers of the newest run of a store, by person.

    Reading is free of locks and never waits for the database.

    Args:
        store: Where the answers are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reading = threading.Lock()
        self._accounts: dict[str, Account] = {}
        self._repeats: dict[str, str] = {}
        self._repeated: set[tuple[str, str]] = set()
        self._ids: set[str] = set()
        self._n_comparisons: Counter[str] = Counter()
        self._aside: frozenset[str] = frozenset()
        self._settled: dict[str, str] = {}
        self._quotas: dict[str, int] = {}
        self._seq = 0
        self._run: int | None = None

    @property
    def seq(self) -> int:
        """Number of the latest answer in here."""
        return self._seq

    @property
    def run(self) -> int | None:
        """Number of the newest run in the store; None before the first."""
        return self._run

    @property
    def n_comparisons(self) -> int:
        """Present answers of everybody that are trained on.

        No "can't tell", no repeats, none set aside, and of what was settled the one that holds.
        """
        n_heeded = sum(n for name, n in list(self._n_comparisons.items()) if name not in self._aside)
        heeded = self._heeded
        return n_heeded - sum(
            is_comparison(account.current.get(query_id))
            for query_id, holds in self._settled.items()
            for account in heeded
            if account.name != holds
        )

    @property
    def comparison_share(self) -> float:
        """Share of the present answers that are trained on, those set aside left out; 1 before the first."""
        n_answers = sum(len(account.current) for account in self._heeded)
        return self.n_comparisons / n_answers if n_answers else 1.0

    def workers(self, since: int) -> list[Worker]:
        """Return who is at work, of those whose answers count and whose pace is known.

        Args:
            since: Who has answered after that is at work, milliseconds since 1970 UTC.
        """
        workers = []
        for account in self._heeded:
            seconds = account.seconds_each
            if account.last_time is not None and account.last_time >= since and seconds > 0:  # not for NaN
                left = self.n_left(account.name)
                workers.append(Worker(account.name, 1 / seconds, inf if left is None else left))
        return workers

    def n_counted(self, name: str) -> int:
        """Return the present answers of a person that count towards their quota: those that cost budget.

        No "can't tell", and nothing that was asked a second time or is gold. What was set aside or settled
        otherwise was given all the same.
        """
        return self._n_comparisons[name]

    def quota(self, name: str) -> int | None:
        """Return how many comparisons a person is asked for at most; None for no bound."""
        return self._quotas.get(name)

    def n_left(self, name: str) -> int | None:
        """Return how many comparisons a person is still asked for at most; None for no bound."""
        quota = self.quota(name)
        return None if quota is None else max(0, quota - self.n_counted(name))

    def n_to_give(self, name: str, holding: Iterable[str]) -> int | None:
        """Return how many comparisons more may be given to a person who holds some queries; None for no bound.

        What they hold is theirs, and counts as soon as it is answered, as far as is known.
        """
        left = self.n_left(name)
        if left is None:
            return None
        answered = self.account(name).current
        n_held = sum(query_id not in self._repeats and query_id not in answered for query_id in holding)
        return max(0, left - n_held)

    @property
    def _heeded(self) -> list[Account]:
        """Everybody whose answers are not set aside."""
        accounts = list(self._accounts.values())  # which may grow meanwhile
        return [account for account in accounts if account.name not in self._aside]

    def knows(self, answer_id: str) -> bool:
        """Say whether an answer of that id is stored, replaced since or not."""
        return answer_id in self._ids

    def is_repeat_or_repeated(self, query_id: str, name: str) -> bool:
        """Say whether a query asks an earlier one again, or is itself asked again of this person."""
        return query_id in self._repeats or (query_id, name) in self._repeated

    def open(self) -> None:
        """Read what was said before this server started.

        Raises:
            StoreError: The store cannot be read.
        """
        for item in self._store.history(None, limit=None):
            if item.repeat_of is not None:
                self.add_repeat(item.answer.query_id, item.repeat_of, item.answer.labeler)
        self.refresh()

    def add_repeat(self, query_id: str, repeat_of: str, name: str) -> None:
        """Take note that a query asks what this person, or somebody else, has answered; before it is answered."""
        self._repeats[query_id] = repeat_of
        self._repeated.add((repeat_of, name))

    def n_since_gold(self, name: str) -> int:
        """Return how many queries a person has answered since one that only somebody else had answered before."""
        own = self.account(name).current
        for n, query_id in enumerate(reversed(list(own))):
            if self._repeats.get(query_id, query_id) not in own:
                return n
        return len(own)

    def refresh(self) -> None:
        """Read the answers that were stored since.

        Raises:
            StoreError: The store cannot be read.
        """
        with self._reading:
            run = self._store.newest_run()
            if run != self._run:  # another training asks now, which knows nothing of these
                self._run, self._accounts, self._n_comparisons = run, {}, Counter()
            self._aside, self._settled = self._store.aside(), self._store.settled(run=run)
            self._quotas = self._store.quotas()
            for answer in self._store.answers(self._seq, run=run):
                account = self._accounts.setdefault(answer.labeler, Account(answer.labeler))
                if answer.query_id not in self._repeats:
                    earlier = account.current.get(answer.query_id)
                    self._n_comparisons[answer.labeler] += _is_comparison(answer) - _is_comparison(earlier)
                account.add(answer)
                self._ids.add(answer.id)
                self._seq = answer.seq

    def is_of_this_run(self, query_id: str) -> bool:
        """Say whether anybody has answered a query in the newest run."""
        return any(query_id in account.current for account in list(self._accounts.values()))

    def account(self, name: str) -> Account:
        """Return what a person has said; an empty account for somebody new."""
        return self._accounts.get(name) or Account(name)


def is_comparison(answer: StoredAnswer | None) -> bool:
    """Say whether an answer compares: prefers one, calls both equal, or ranks or rates."""
    return answer is not None and answer.answer is not None and answer.answer.preferences is not None


def _is_comparison(answer: StoredAnswer | None) -> int:
    return int(is_comparison(answer))


def _cannot_tell(answer: StoredAnswer | None) -> int:
    return int(answer is not None and answer.answer is Answer.CANNOT_TELL)


def seconds_until(n: float, workers: Iterable[Worker], comparison_share: float) -> float:
    """Return after how many seconds some comparisons more will have been given by all who are at work.

    Args:
        n: How many, from 0.
        workers: Who is at work; each stops at their quota.
        comparison_share: Share of the answers that are comparisons, above 0.

    Returns:
        NaN where they never give as many.
    """
    if n <= 0:
        return 0.0
    paces = [
        (one.n_left / (one.per_second * comparison_share), one.per_second * comparison_share) for one in workers
    ]
    paces.sort()
    now = 0.0
    for k, (stops, _) in enumerate(paces):
        per_second = sum(pace for _, pace in paces[k:])
        if n <= per_second * (stops - now):
            return now + n / per_second
        n -= per_second * (stops - now)
        now = stops
    return nan
