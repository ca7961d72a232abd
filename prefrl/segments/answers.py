"""Answers to a query of two segments, and the kinds of feedback: what may be said, and what it means.

A kind is a value here and a line in `FEEDBACK_KINDS` of `prefrl/registry.py`. Store, teachers, reward and
labelling page read both: the page offers a button for every answer of the run's kind.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from prefrl.errors import SettingError
from prefrl.registry import FEEDBACK_KINDS, look_up


class Answer(StrEnum):
    """What a teacher says of a query of two segments."""

    FIRST = "first"
    SECOND = "second"
    EQUAL = "equal"
    CANNOT_TELL = "cannot_tell"
    MUCH_FIRST = "much_first"
    MUCH_SECOND = "much_second"

    @property
    def preference(self) -> float | None:
        """Probability that the FIRST is better: 1, 0 or ½; None where there is no comparison."""
        return _PREFERENCES[self.direction]

    @property
    def direction(self) -> "Answer":
        """The answer without how much better: FIRST, SECOND, EQUAL or CANNOT_TELL."""
        return _DIRECTIONS.get(self, self)

    @property
    def is_much(self) -> bool:
        """Whether one is said to be much better."""
        return self in _DIRECTIONS

    @property
    def turned_round(self) -> "Answer":
        """What is said of the same segments in the other order."""
        return _TURNED_ROUND.get(self, self)


_PREFERENCES = {Answer.FIRST: 1.0, Answer.SECOND: 0.0, Answer.EQUAL: 0.5, Answer.CANNOT_TELL: None}
_DIRECTIONS = {Answer.MUCH_FIRST: Answer.FIRST, Answer.MUCH_SECOND: Answer.SECOND}
_TURNED_ROUND = {
    Answer.FIRST: Answer.SECOND,
    Answer.SECOND: Answer.FIRST,
    Answer.MUCH_FIRST: Answer.MUCH_SECOND,
    Answer.MUCH_SECOND: Answer.MUCH_FIRST,
}


class Remark(StrEnum):
    """What is the matter with a pair, besides which is better; nothing is learned from it."""

    BROKEN = "broken"
    """A clip is broken, or shows nothing."""
    ALIKE = "alike"
    """The two are too alike."""
    INCOMPARABLE = "incomparable"
    """Each is better in its own way."""
    UNCLEAR = "unclear"
    """The question does not fit."""


LONGEST_COMMENT = 500
"""Characters of what somebody writes about a pair."""


class Strength(IntEnum):
    """How much better the better one is."""

    UNSAID = 0
    """Only the better one was named, or both are equal."""
    SLIGHT = 1
    """Better, where "much better" could have been said."""
    MUCH = 2
    """Much better."""


@dataclass(frozen=True, kw_only=True)
class FeedbackKind:
    """What may be said of a query, and what is learned from it."""

    name: str
    """Under which it is chosen and stored."""
    answers: tuple[Answer, ...]
    """What may be said, in the order of a screen that shows the first segment on the left."""
    method: str
    """Of a teacher: takes a query and returns one of `answers`."""
    n_segments: int = 2
    """Segments of a query."""

    def check(self, answer: object, who: str) -> None:
        """Refuse what this kind of feedback does not know.

        Raises:
            SettingError: It is no answer, or one of another kind.
        """
        if not isinstance(answer, Answer) or answer not in self.answers:
            known = ", ".join(f"Answer.{one.name}" for one in self.answers)
            raise SettingError(
                f"An answer of kind {self.name!r} must be one of {known}. Received {answer!r} from {who}."
            )

    def strength(self, answer: Answer) -> Strength:
        """Return how much better the better one is, as far as this kind of feedback tells."""
        if answer.is_much:
            return Strength.MUCH
        tells = any(one.is_much for one in self.answers) and answer.preference in (0.0, 1.0)
        return Strength.SLIGHT if tells else Strength.UNSAID


PAIR = FeedbackKind(
    name="pair",
    answers=(Answer.FIRST, Answer.EQUAL, Answer.CANNOT_TELL, Answer.SECOND),
    method="answer",
)
"""Which of two is better (Christiano et al. 2017)."""

STRENGTH = FeedbackKind(
    name="strength",
    answers=(
        Answer.MUCH_FIRST,
        Answer.FIRST,
        Answer.EQUAL,
        Answer.CANNOT_TELL,
        Answer.SECOND,
        Answer.MUCH_SECOND,
    ),
    method="strength",
)
"""Which of two is better, and whether it is much better."""


def feedback_kind(name: str) -> FeedbackKind:
    """Return the kind of feedback of that name.

    Raises:
        SettingError: There is none.
    """
    kind: FeedbackKind = look_up(FEEDBACK_KINDS, name, "kind")
    return kind
