"""Who answers: the oracle that knows the true reward, the control that knows nothing, and people.

Any object with a `name` and an `answer` method is a teacher: a program, a model. People are none, and answer
when they like, through the store; `People` says how they are asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from math import isfinite
from typing import Any, Protocol

from prefrl.errors import SegmentError, SettingError
from prefrl.registry import TEACHERS, look_up
from prefrl.segments import Answer, Query


class Teacher(Protocol):
    """Whoever answers queries without being waited for."""

    @property
    def name(self) -> str:
        """Name under which the answers are stored."""

    def answer(self, query: Query) -> Answer:
        """Return the answer, at once."""


@dataclass(frozen=True)
class OracleTeacher:
    """Prefers the segment of greater true return, and calls exactly equal returns equal.

    The oracle of Christiano et al. 2017: no noise, no discount.
    """

    name = "oracle"

    def answer(self, query: Query) -> Answer:
        """Compare the true returns of two segments.

        Raises:
            SegmentError: There are more than two segments, or a true return is not finite.
        """
        if len(query.segments) != 2:
            raise SegmentError(f"The oracle compares two segments. Received {len(query.segments)}.")
        first, second = (segment.env_return for segment in query.segments)
        if not (isfinite(first) and isfinite(second)):
            raise SegmentError(f"True returns must be finite to be compared. Received {first} and {second}.")
        if first == second:
            return Answer.EQUAL
        return Answer.FIRST if first > second else Answer.SECOND


class ShuffledTeacher:
    """A control: another teacher's answers, each turned round with probability ½.

    Which segment is preferred then carries no information, so an agent that still learns has a leak. "Equal" and
    "can't tell" stay as they are, and so do their shares. The coin is a function of the seed and of the query,
    so a run that is replayed gets the same answers.

    Args:
        teacher: Whose answers are turned round.
        seed: Of the coin.
    """

    def __init__(self, teacher: Teacher, *, seed: int) -> None:
        self.name = f"{teacher.name}, shuffled"
        self._teacher = teacher
        self._seed = seed

    def answer(self, query: Query) -> Answer:
        """Return the other teacher's answer, turned round or not."""
        answer = self._teacher.answer(query)
        coin = blake2b(f"{self._seed}:{query.id}".encode(), digest_size=1).digest()[0] % 2
        if coin == 0:
            return answer
        return _TURNED_ROUND.get(answer, answer)


_TURNED_ROUND = {Answer.FIRST: Answer.SECOND, Answer.SECOND: Answer.FIRST}


@dataclass(frozen=True)
class People:
    """In place of a teacher: people answer, whenever they do, through the store, as `FeedbackSettings` says."""

    name = "people"


def make_teacher(name: str, settings: Mapping[str, Any], *, seed: int) -> "Teacher | People":
    """Return the teacher of that name.

    Args:
        name: One of `prefrl.registry.TEACHERS`.
        settings: Fields of the teacher's dataclass.
        seed: Goes to its field `seed`, where it has one and the settings say nothing of it.

    Raises:
        SettingError: There is no such teacher, or it has not one of the settings.
    """
    kind = look_up(TEACHERS, name, "teacher")
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(settings) - known)
    if unknown:
        has = ", ".join(sorted(known)) or "none"
        raise SettingError(f"The teacher {name!r} has no setting `{unknown[0]}`; it has {has}.")
    given = {"seed": seed} | dict(settings) if "seed" in known else dict(settings)
    teacher: Teacher | People = kind(**given)
    return teacher
