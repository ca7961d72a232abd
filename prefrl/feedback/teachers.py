"""Who answers: the oracle that knows the true reward, the control that knows nothing, and people.

Any object with a `name` and an `answer` method is a teacher: a program, a model. People are none, and answer
when they like, through the store; `People` says how they are asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from math import copysign, inf, isfinite, log, sqrt
from typing import Any, Protocol

import numpy as np

from prefrl.errors import SegmentError, SettingError
from prefrl.registry import TEACHERS, look_up
from prefrl.segments import Answer, FeedbackKind, Query
from prefrl.segments.answers import PAIR, STRENGTH


class Teacher(Protocol):
    """Whoever answers queries without being waited for.

    For another kind of feedback than "pair" it has the method that `FeedbackKind.method` names, too.
    """

    @property
    def name(self) -> str:
        """Name under which the answers are stored."""

    def answer(self, query: Query) -> Answer:
        """Return the answer, at once."""


@dataclass(frozen=True, kw_only=True)
class OracleTeacher:
    """Prefers the segment of greater true return, and calls exactly equal returns equal.

    The oracle of Christiano et al. 2017: no noise, no discount.

    Raises:
        SettingError: `much_from` is not above 0.
    """

    much_from: float = 0.8
    """Where strength is asked, one segment is much better from so many standard deviations of the true reward of a
    step, inside of the two segments, between their means: Cohen's d, whose "large" is 0.8 (Cohen 1988, 2.2)."""

    name = "oracle"

    def __post_init__(self) -> None:
        """Refuse what is no effect size, before anything is asked."""
        if not isinstance(self.much_from, float | int) or not 0 < self.much_from < inf:
            raise SettingError(f"`much_from` of an oracle must be finite and above 0. Received {self.much_from}.")

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

    def strength(self, query: Query) -> Answer:
        """Compare the true returns of two segments, and say where the difference is large.

        Raises:
            SegmentError: As `answer`.
        """
        answer = self.answer(query)
        if answer is Answer.EQUAL or abs(self._perceived(query)) < self.much_from:
            return answer
        return Answer.MUCH_FIRST if answer is Answer.FIRST else Answer.MUCH_SECOND

    def _perceived(self, query: Query) -> float:
        """Return how much better the first is, as an effect size."""
        return effect_size(query)


@dataclass(frozen=True, kw_only=True)
class BoltzmannTeacher(OracleTeacher):
    """Errs as people do: seldom where the difference is large, often where it is small.

    It perceives the effect size d with noise of the logistic distribution, so that it prefers the first with
    probability sigmoid(β d): Boltzmann-rational, the "Stoc" of B-Pref (Lee et al. 2021), by a measure that is the
    same in every task. What it says of strength goes by the same perception. The noise is a function of seed and
    query, so a run that is replayed is answered alike.

    Raises:
        SettingError: `rationality` or `much_from` is not above 0.
    """

    rationality: float = 2.0
    """Inverse temperature β: at 2 it is right in 83 % of the pairs whose difference is just large (d = 0.8)."""
    seed: int = 0
    """Of the noise."""

    name = "boltzmann"

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is asked."""
        super().__post_init__()
        if not isinstance(self.rationality, float | int) or not 0 < self.rationality < inf:
            raise SettingError(f"`rationality` must be finite and above 0. Received {self.rationality}.")

    def answer(self, query: Query) -> Answer:
        """Say which of two segments it perceives as better; exactly equal returns are equal to it, too.

        Raises:
            SegmentError: As an oracle's.
        """
        if super().answer(query) is Answer.EQUAL:
            return Answer.EQUAL
        return Answer.FIRST if self._perceived(query) > 0 else Answer.SECOND

    def _perceived(self, query: Query) -> float:
        digest = blake2b(f"{self.seed}:{query.id}".encode(), digest_size=8).digest()
        chance = (int.from_bytes(digest) + 0.5) / 2**64
        return effect_size(query) + log(chance / (1 - chance)) / self.rationality


def effect_size(query: Query) -> float:
    """Return Cohen's d of the true rewards of two segments: their difference over the deviation within both.

    It needs no scale of the task: what counts as large is measured by how much reward changes within a clip. The
    difference is that of the returns, for a step of a segment of mean length: of segments of one length, that of
    the means. Where reward does not change within them at all, every difference is infinitely large.
    """
    first, second = (segment.env_rewards.astype(np.float64) for segment in query.segments)
    n_steps = len(first) + len(second)
    difference = 2 * float(first.sum() - second.sum()) / n_steps
    variance = (first.var() * len(first) + second.var() * len(second)) / n_steps
    if difference == 0:
        return 0.0
    return difference / sqrt(variance) if variance > 0 else copysign(inf, difference)


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
        return self._turned_or_not(query, PAIR)

    def strength(self, query: Query) -> Answer:
        """Return the other teacher's answer with its strength, turned round or not."""
        return self._turned_or_not(query, STRENGTH)

    def _turned_or_not(self, query: Query, kind: FeedbackKind) -> Answer:
        answer = ask(self._teacher, kind, query)
        coin = blake2b(f"{self._seed}:{query.id}".encode(), digest_size=1).digest()[0] % 2
        return answer.turned_round if coin else answer


def ask(teacher: Teacher, kind: FeedbackKind, query: Query) -> Answer:
    """Return what a teacher says of a query.

    Raises:
        SettingError: It does not give this kind of feedback, or answers otherwise.
    """
    check_gives(teacher, kind)
    answer: Answer = getattr(teacher, kind.method)(query)
    kind.check(answer, teacher.name)
    return answer


def check_gives(teacher: object, kind: FeedbackKind) -> None:
    """Refuse a teacher that does not give this kind of feedback; one that passes on another's is asked for that.

    Raises:
        SettingError: It lacks the method.
    """
    if not callable(getattr(teacher, kind.method, None)):
        raise SettingError(
            f"`teacher` gives no feedback of kind {kind.name!r}: it needs a method `{kind.method}(query)`. "
            f"Received {teacher!r}."
        )


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
