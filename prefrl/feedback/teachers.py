"""Who answers without a person: the oracle that knows the true reward, and the control that knows nothing.

Anything with a `name` and an `answer` method is a teacher: a program, a model. People are none: they answer when
they like, through the store.
"""

from hashlib import blake2b
from math import isfinite
from typing import Protocol

from prefrl.errors import SegmentError
from prefrl.segments import Answer, Query


class Teacher(Protocol):
    """Whoever answers queries without being waited for."""

    @property
    def name(self) -> str:
        """Name under which the answers are stored."""

    def answer(self, query: Query) -> Answer:
        """Return the answer, at once."""


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

    Which segment is preferred then carries no information, so an agent that still learns has a leak. "Equal"
    and "can't tell" stay as they are, and so do their shares. The coin is a function of the seed and of the
    query, so a run that is replayed gets the same answers.

    Args:
        teacher: Whose answers are turned round.
        seed: Of the coin.
    """

    def __init__(self, teacher: Teacher, *, seed: int) -> None:
        """Keep the teacher and the seed."""
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
