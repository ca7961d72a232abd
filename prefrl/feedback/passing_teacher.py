"""Teachers that pass a query on to another one, and may choose for each query to which."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from prefrl.errors import SettingError
from prefrl.feedback.teachers import People, Teacher, ask, delay_of, follows_returns, lack_of, make_teacher
from prefrl.segments import FeedbackKind, Judgement, Query
from prefrl.segments.answers import PAIR, RANKING, RATING, STRENGTH


class PassingTeacher(ABC):
    """Says what another teacher says, of every kind of feedback that this one gives."""

    @abstractmethod
    def teacher_for(self, query: Query) -> Teacher:
        """Return the teacher who answers a query: a function of it and of settings alone."""

    @property
    @abstractmethod
    def inner_teachers(self) -> tuple[Teacher, ...]:
        """Teachers that stand for all who may answer."""

    @property
    def follows_returns(self) -> bool:
        """Whether somebody who may be asked goes by the mean reward of late."""
        return any(map(follows_returns, self.inner_teachers))

    def answer(self, query: Query) -> Judgement:
        """Return what the other teacher says."""
        return ask(self.teacher_for(query), PAIR, query)

    def strength(self, query: Query) -> Judgement:
        """Return what the other teacher says, with strength."""
        return ask(self.teacher_for(query), STRENGTH, query)

    def rank(self, query: Query) -> Judgement:
        """Return the other teacher's ranking."""
        return ask(self.teacher_for(query), RANKING, query)

    def rate(self, query: Query) -> Judgement:
        """Return the other teacher's rating."""
        return ask(self.teacher_for(query), RATING, query)

    def lacks(self, kind: FeedbackKind) -> str | None:
        """Return what somebody who may be asked needs for a kind of feedback and has not."""
        for teacher in self.inner_teachers:
            if not callable(getattr(teacher, kind.method, None)):
                return f"a method `{kind.method}(query)` of its teacher {teacher.name!r}"
            lack = lack_of(teacher, kind)
            if lack is not None:
                return lack
        return None


def make_inner(name: object, settings: object, *, seed: int, whose: str) -> Teacher:
    """Return a teacher that another one passes queries on to.

    Args:
        name: One of `prefrl.registry.TEACHERS`, but people, who do not answer at once.
        settings: Fields of its dataclass.
        seed: Where the settings have none.
        whose: Words for the other teacher in a sentence.

    Raises:
        SettingError: There is no such teacher or setting, or it is people.
    """
    if not isinstance(name, str):
        raise SettingError(f"`teacher` of {whose} must be the name of a teacher. Received {name!r}.")
    if not isinstance(settings, Mapping) or not all(isinstance(one, str) for one in settings):
        raise SettingError(f"`teacher_settings` of {whose} must be settings by name. Received {settings!r}.")
    given: Mapping[str, Any] = settings
    teacher = make_teacher(name, given, seed=seed)
    if isinstance(teacher, People) or delay_of(teacher):
        raise SettingError(
            f"`teacher` of {whose} must be one that answers at once (a slow one may have another inside, and not "
            f"the other way round). Received {name!r}."
        )
    return teacher
