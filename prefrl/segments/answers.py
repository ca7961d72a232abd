"""What is said of a query, and the kinds of feedback: what may be said, and what it means.

A kind is a value here and a line in `FEEDBACK_KINDS` of `prefrl/registry.py`. Store, teachers, reward and
labelling page read both: the page offers a button for every answer of the run's kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import isnan
from typing import TypeAlias

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
    def preferences(self) -> tuple[float, ...] | None:
        """The preference as that of the one pair of segments there is; None where there is no comparison."""
        return None if self.preference is None else (self.preference,)

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


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a teacher says of a query of several segments: how they follow each other, the best first.

    Raises:
        SettingError: The ranks are not 0, 1, … without a gap.
    """

    ranks: tuple[int, ...]
    """Rank of each segment, in the order of the query: 0 for the best; equals share one, and the next follows."""

    def __post_init__(self) -> None:
        """Refuse ranks that leave one out."""
        whole = all(type(rank) is int for rank in self.ranks)
        if len(self.ranks) < 2 or not whole or set(self.ranks) != set(range(len(set(self.ranks)))):
            raise SettingError(
                "The ranks of two segments or more must be whole numbers from 0 on, none left out. Received "
                f"{self.ranks!r}."
            )

    @classmethod
    def by(cls, values: Sequence[float]) -> "Ranking":
        """Return the ranking of segments by a value each, the greatest first; equal values are equal ranks.

        Raises:
            SettingError: A value is NaN, which is neither greater nor smaller than any.
        """
        if any(map(isnan, values)):
            raise SettingError(f"Segments cannot be ranked by NaN. Received {list(values)}.")
        places = {value: rank for rank, value in enumerate(sorted(set(values), reverse=True))}
        return cls(tuple(places[value] for value in values))

    @property
    def preferences(self) -> tuple[float, ...]:
        """Of each two segments, as in `pairs_of`, the probability that the earlier one is better: 1, 0 or ½."""
        return tuple(
            0.5 if self.ranks[i] == self.ranks[j] else float(self.ranks[i] < self.ranks[j])
            for i, j in pairs_of(len(self.ranks))
        )

    @property
    def turned_round(self) -> "Ranking":
        """What is said of the same segments in the reverse order."""
        return Ranking(self.ranks[::-1])

    @classmethod
    def of(cls, order: Sequence[Sequence[int]]) -> "Ranking":
        """Return the ranking of which `order` is the order."""
        ranks = {place: rank for rank, group in enumerate(order) for place in group}
        return cls(tuple(ranks[place] for place in range(len(ranks))))

    @property
    def order(self) -> list[list[int]]:
        """Places of the segments in the query, the best first; those of equals lie together."""
        return [[i for i, rank in enumerate(self.ranks) if rank == group] for group in sorted(set(self.ranks))]

    def __str__(self) -> str:
        """Return it as text, the segments counted from 1, such as "3 > 1 = 4 > 2"."""
        return " > ".join(" = ".join(str(place + 1) for place in group) for group in self.order)


LEVELS = 5
"""Levels of a rating: as many as most scales have that people are asked to use (Likert 1932)."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What a teacher says of a query of one segment: how good it is.

    Raises:
        SettingError: The level is none from 1 to `LEVELS`.
    """

    level: int
    """From 1 for the worst to `LEVELS` for the best."""

    def __post_init__(self) -> None:
        """Refuse what is no level."""
        if type(self.level) is not int or not 1 <= self.level <= LEVELS:
            raise SettingError(f"A rating must be a whole number from 1 to {LEVELS}. Received {self.level!r}.")

    @property
    def preferences(self) -> tuple[float, ...]:
        """None of any two: there is one segment."""
        return ()

    @property
    def is_good(self) -> float:
        """Whether it is above the level in the middle: 1, or 0 below it, or ½ for that level.

        Two people who use the levels otherwise say the same by it, as long as they agree on what is good.
        """
        middle = (LEVELS + 1) / 2
        return 0.5 if self.level == middle else float(self.level > middle)

    @property
    def turned_round(self) -> "Rating":
        """What is said of the same segment, alone as it is."""
        return self

    def __str__(self) -> str:
        """Return it as text, such as "4 of 5"."""
        return f"{self.level} of {LEVELS}"


Judgement: TypeAlias = Answer | Ranking | Rating
"""What somebody says of a query."""


def pairs_of(n_segments: int) -> list[tuple[int, int]]:
    """Return each two of so many segments, (0, 1), (0, 2), (1, 2), (0, 3), …: those of fewer come first."""
    return [(i, j) for j in range(n_segments) for i in range(j)]


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
    """Of a teacher: takes a query and returns one of `answers`, a ranking or a rating."""
    is_ranking: bool = False
    """Whether `Ranking` may be said."""
    is_rating: bool = False
    """Whether `Rating` may be said."""
    least_segments: int = 2
    """Segments of a query, at least."""
    most_segments: int = 2
    """Segments of a query, at most."""

    @property
    def asks_strength(self) -> bool:
        """Whether it may be said that one is much better."""
        return any(one.is_much for one in self.answers)

    def check(self, said: object, who: str) -> None:
        """Refuse what this kind of feedback does not know.

        Raises:
            SettingError: It is no judgement, or one of another kind.
        """
        is_known = isinstance(said, Answer) and said in self.answers
        others = [*([Ranking] if self.is_ranking else []), *([Rating] if self.is_rating else [])]
        if not is_known and not isinstance(said, tuple(others)):
            known = [*(f"a `{one.__name__}`" for one in others), *(f"Answer.{one.name}" for one in self.answers)]
            raise SettingError(
                f"An answer of kind {self.name!r} must be one of {', '.join(known)}. Received {said!r} from {who}."
            )

    def n_segments(self, wanted: int) -> int:
        """Return how many segments a query has where so many are wanted."""
        return min(max(wanted, self.least_segments), self.most_segments)

    def fits(self, said: Judgement, n_segments: int) -> bool:
        """Say whether this can be said of so many segments."""
        is_whole = not isinstance(said, Ranking) or len(said.ranks) == n_segments
        return is_whole and self.least_segments <= n_segments <= self.most_segments

    def strength(self, said: Judgement) -> Strength:
        """Return how much better the better one is, as far as this kind of feedback tells."""
        if not isinstance(said, Answer):
            return Strength.UNSAID
        if said.is_much:
            return Strength.MUCH
        return Strength.SLIGHT if self.asks_strength and said.preference in (0.0, 1.0) else Strength.UNSAID


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

RANKING = FeedbackKind(
    name="ranking",
    answers=(Answer.CANNOT_TELL,),
    method="rank",
    is_ranking=True,
    least_segments=3,
    most_segments=6,
)
"""How several follow each other; what is learned is which of each two is better (Ouyang et al. 2022)."""

RATING = FeedbackKind(
    name="rating",
    answers=(Answer.CANNOT_TELL,),
    method="rate",
    is_rating=True,
    least_segments=1,
    most_segments=1,
)
"""How good one is; what is learned is what returns the levels stand for (McCullagh 1980; White et al. 2024)."""


def feedback_kind(name: str) -> FeedbackKind:
    """Return the kind of feedback of that name.

    Raises:
        SettingError: There is none.
    """
    kind: FeedbackKind = look_up(FEEDBACK_KINDS, name, "kind")
    return kind
