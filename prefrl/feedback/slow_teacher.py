"""A teacher whose answers come late, and the labels of a run that go on without them until then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from prefrl.errors import SettingError
from prefrl.feedback.labels import News, TeacherLabels, Wanted
from prefrl.feedback.passing_teacher import PassingTeacher, make_inner
from prefrl.feedback.query_maker import QueryMaker
from prefrl.feedback.teachers import Teacher, delay_of, name_for, names_of
from prefrl.parts import Arrays, Json, State
from prefrl.segments import FeedbackKind, Query
from prefrl.segments.answers import PAIR
from prefrl.store import Store


@dataclass(frozen=True, kw_only=True)
class SlowTeacher(PassingTeacher):
    """Another teacher, whose answers come so many environment steps after the question.

    The agent trains on without them, as it does while people look at clips; they are labels from then on. What is
    still to come when the training ends never does. It says the same as the other teacher, only later.

    Raises:
        SettingError: `delay_steps` is not a whole number above 0, or the other teacher cannot be.
    """

    delay_steps: int
    """Environment steps from question to answer, over all environments."""
    teacher: str = "simulated"
    """Name of the other teacher."""
    teacher_settings: Mapping[str, Any] = field(default_factory=dict)
    """Its settings."""
    seed: int = 0
    """Of the other teacher, unless its settings say it."""

    name = "slow"

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is asked."""
        delay = self.delay_steps
        if isinstance(delay, bool) or not isinstance(delay, int) or delay < 1:
            raise SettingError(
                f"`delay_steps` of a slow teacher must be a whole number above 0. Received {delay!r}."
            )
        if delay_of(self.inner_teachers[0]):
            raise SettingError(
                "A slow teacher is slow once: `teacher` of it must be another one. Received 'slow'."
            )

    @cached_property
    def inner_teachers(self) -> tuple[Teacher, ...]:
        """The other teacher."""
        return (make_inner(self.teacher, self.teacher_settings, seed=self.seed, whose="a slow teacher"),)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all for whom the other teacher speaks, or its own."""
        [teacher] = self.inner_teachers
        return tuple(names_of(teacher)) if hasattr(teacher, "names") else (self.name,)

    def name_of(self, query: Query) -> str:
        """Return the name under which a query is answered."""
        [teacher] = self.inner_teachers
        return name_for(teacher, query) if hasattr(teacher, "names") else self.name

    def teacher_for(self, query: Query) -> Teacher:
        """Return the other teacher."""
        return self.inner_teachers[0]


class Asked(NamedTuple):
    """A query that is to be answered."""

    query_id: str
    num_timesteps: int
    """Environment steps when it was made."""
    mean_env_reward: float | None
    """As in the query; the store does not keep it."""


class SlowTeacherLabels(TeacherLabels):
    """Comparisons of a teacher whose answers come late.

    Args:
        teacher: Who answers; `delay_steps` says how late.
        store: Where queries and answers are kept; answers from when they come.
        run: The store's number of this run.
        maker: Makes the queries.
        kind: What is said of them.
    """

    def __init__(
        self, teacher: Teacher, store: Store, run: int, maker: QueryMaker, kind: FeedbackKind = PAIR
    ) -> None:
        super().__init__(teacher, store, run, maker, kind)
        self._delay = delay_of(teacher)
        self._waiting: list[Asked] = []
        """What is still to be answered, the oldest first."""

    @property
    def n_open(self) -> int:
        """Queries whose answers are still to come."""
        return len(self._waiting)

    def collect(self, wanted: Wanted, num_timesteps: int) -> Iterator[News]:
        """Hand out the answers that come by now, and ask what is due besides those that are still to come.

        Raises:
            SettingError: The teacher's answers are set aside.
        """
        yield from self._heed()
        if self._reads_on:
            yield from self._read()
            self._reads_on = False
            answered = self._store.answered([asked.query_id for asked in self._waiting])
            self._waiting = [asked for asked in self._waiting if asked.query_id not in answered]
        n_ripe = sum(asked.num_timesteps + self._delay <= num_timesteps for asked in self._waiting)
        while n_ripe > 0:
            part = self._waiting[: min(n_ripe, self._maker.most_at_once)]
            news = self._heard(part)
            n_ripe -= len(part)
            yield news
        due = self._due(wanted, self._n_labels + len(self._waiting))
        while due > 0:
            part_due = min(due, self._maker.most_at_once)
            queries = self._store.add_queries(self._maker.make(part_due, num_timesteps), run=self._run)
            self._waiting += [Asked(query.id, num_timesteps, query.mean_env_reward) for query in queries]
            due -= part_due

    def state(self) -> State:
        """Return how far asking and reading have come, and what is still to be answered."""
        arrays, values = super().state()
        return arrays, values | {"waiting": [list(asked) for asked in self._waiting]}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken."""
        super().restore(arrays, values)
        self._waiting = [Asked(*asked) for asked in values.get("waiting", [])]

    def _heard(self, part: Sequence[Asked]) -> News:
        """Have the teacher answer the oldest queries, and return what has come of it."""
        try:
            self._answer(
                [
                    replace(self._store.query(asked.query_id), mean_env_reward=asked.mean_env_reward)
                    for asked in part
                ]
            )
            comparisons = list(self._store.comparisons_of([asked.query_id for asked in part]))
        except BaseException:
            self.read_on()
            raise
        self._waiting = self._waiting[len(part) :]
        self._count(comparisons)
        return News(comparisons, [])
