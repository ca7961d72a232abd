"""Who answers: the oracle that knows the true reward, the control that knows nothing, and people.

Any object with a `name` and an `answer` method is a teacher: a program, a model. People are none, and answer
when they like, through the store; `People` says how they are asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from hashlib import blake2b
from math import copysign, inf, isfinite, log, sqrt
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from prefrl.errors import SegmentError, SettingError
from prefrl.registry import TEACHERS, look_up
from prefrl.segments import Answer, FeedbackKind, Judgement, Query, Ranking, Rating
from prefrl.segments.answers import LEVELS, PAIR, RANKING, RATING, STRENGTH

FloatArray = npt.NDArray[np.floating[Any]]

EULER = 0.5772156649015329
"""Mean of Gumbel's distribution."""


class Teacher(Protocol):
    """Whoever answers queries without being waited for.

    For another kind of feedback than "pair" it has the method that `FeedbackKind.method` names, too. Where it
    needs something more for one, a method `lacks(kind)` returns what, in a few words, or None. One that speaks for
    several has `names`, and a method `name_of(query)` that returns under which of them a query is answered. One
    that goes by `mean_env_reward` of a query says so by `follows_returns`, and one that is slow has `delay_steps`.
    """

    @property
    def name(self) -> str:
        """Name under which the answers are stored."""

    def answer(self, query: Query) -> Judgement:
        """Return the answer, at once."""


@dataclass(frozen=True, kw_only=True)
class OracleTeacher:
    """Prefers the segment of greater true return, and calls exactly equal returns equal.

    The oracle of Christiano et al. 2017: no noise, and no discount unless one is set.

    Raises:
        SettingError: `much_from` is not above 0, `discount` not above 0 and at most 1, or `rating_range` not two
            numbers, the lower first.
    """

    much_from: float = 0.8
    """Where strength is asked, one segment is much better from so many standard deviations of the true reward of a
    step, inside of the two segments, between their means: Cohen's d, whose "large" is 0.8 (Cohen 1988, 2.2)."""
    rating_range: tuple[float, float] | None = None
    """Where ratings are asked: the mean true rewards of a step between which the levels lie, all equally wide.
    What is lower, or higher, is of the worst, or best, level. Nobody can say how good one clip is without knowing
    what can be; some presets say it."""
    discount: float = 1.0
    """How much less a step counts than the one after it; below 1 the teacher is myopic, and goes by how a clip
    ends (B-Pref: 0.9; Lee et al. 2021). Levels and effect sizes are then of means in which steps weigh so."""

    name = "oracle"

    def __post_init__(self) -> None:
        """Refuse what is no effect size, no range and no discount, before anything is asked."""
        if not isinstance(self.much_from, float | int) or not 0 < self.much_from < inf:
            raise SettingError(f"`much_from` of an oracle must be finite and above 0. Received {self.much_from}.")
        if self.rating_range is not None and not _is_range(self.rating_range):
            raise SettingError(
                "`rating_range` must be two finite numbers, the lower first, such as [0, 3]. Received "
                f"{self.rating_range}."
            )
        if not isinstance(self.discount, float | int) or not 0 < self.discount <= 1:
            raise SettingError(f"`discount` must be above 0, and at most 1. Received {self.discount}.")

    def lacks(self, kind: FeedbackKind) -> str | None:
        """Return what is needed for a kind of feedback and not there."""
        if kind.is_rating and self.rating_range is None:
            return (
                "`rating_range`, the mean true rewards of a step that are worst and best, such as "
                '"teacher_settings: {rating_range: [0, 3]}" in a file for `--config`'
            )
        return None

    def answer(self, query: Query) -> Answer:
        """Compare two segments.

        Raises:
            SegmentError: There are more than two segments, or a true return is not finite.
        """
        return self.strength(query).direction

    def strength(self, query: Query) -> Answer:
        """Compare two segments, and say where the difference is large.

        Raises:
            SegmentError: As `answer`.
        """
        if len(query.segments) != 2:
            raise SegmentError(f"The oracle compares two segments. Received {len(query.segments)}.")
        first, second = self.seen_returns(query)
        if first == second:
            return Answer.EQUAL
        perceived = self._perceived(query)
        if abs(perceived) < self.much_from:
            return Answer.FIRST if perceived > 0 else Answer.SECOND
        return Answer.MUCH_FIRST if perceived > 0 else Answer.MUCH_SECOND

    def rank(self, query: Query) -> Judgement:
        """Order segments by their returns, as it perceives them; exactly equal ones share a rank.

        Raises:
            SegmentError: A true return is not finite.
        """
        return Ranking.by(self._perceived_returns(query))

    def rate(self, query: Query) -> Judgement:
        """Say in which part of `rating_range` the mean true reward of a segment lies.

        Raises:
            SegmentError: There are more segments than one, or the true return is not finite.
            SettingError: There is no `rating_range`.
        """
        if len(query.segments) != 1:
            raise SegmentError(f"The oracle rates one segment. Received {len(query.segments)}.")
        if self.rating_range is None:
            raise SettingError("An oracle rates by its `rating_range`. Received none.")
        [perceived] = self._perceived_returns(query)
        low, high = self.rating_range
        share = (perceived / query.segments[0].n_steps - low) / (high - low)
        return Rating(1 + int(min(max(LEVELS * share, 0), LEVELS - 1)))

    def seen_returns(self, query: Query) -> list[float]:
        """Return the true return of each segment, with this teacher's discount and no noise.

        It is as if all of its steps were as those that count.

        Raises:
            SegmentError: One is not finite.
        """
        returns = true_returns(query)
        if self.discount == 1:
            return returns
        return [_myopic_return(segment.env_rewards, self.discount) for segment in query.segments]

    def seen_effect(self, query: Query) -> float:
        """Return how much better the first is, as an effect size, with this teacher's discount and no noise."""
        return effect_size(query, self.seen_returns(query))

    def _perceived(self, query: Query) -> float:
        """Return how much better it finds the first, as an effect size."""
        return self.seen_effect(query)

    def _perceived_returns(self, query: Query) -> list[float]:
        """Return what it takes for the true return of each segment."""
        return self.seen_returns(query)


@dataclass(frozen=True, kw_only=True)
class BoltzmannTeacher(OracleTeacher):
    """Errs as people do: seldom where the difference is large, often where it is small.

    It perceives the effect size d with noise of the logistic distribution, so that it prefers the first with
    probability sigmoid(β d): Boltzmann-rational, the "Stoc" of B-Pref (Lee et al. 2021), by a measure that is the
    same in every task. What it says of strength goes by the same perception. It ranks several by perceiving each
    with noise of Gumbel's distribution, so that of each two it says the same as of a pair (Plackett 1975); and so
    it perceives one that it rates. The noise is a function of seed and query, so a run that is replayed is
    answered alike.

    Raises:
        SettingError: `rationality` or `much_from` is not above 0.
    """

    rationality: float = 2.0
    """Inverse temperature β: at 2 it is right in 83 % of the pairs whose difference is just large (d = 0.8), at
    infinity in all."""
    seed: int = 0
    """Of the noise."""

    name = "boltzmann"

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is asked."""
        super().__post_init__()
        if not isinstance(self.rationality, float | int) or not self.rationality > 0:
            raise SettingError(f"`rationality` must be above 0. Received {self.rationality}.")

    def _perceived_returns(self, query: Query) -> list[float]:
        returns = self.seen_returns(query)
        perceived: dict[float, float] = {}  # by return, so that exactly equal ones are equal
        for place, value in enumerate(returns):
            gumbel = -log(-log(chance_of(f"{self.seed}:{query.id}:{place}"))) - EULER
            perceived.setdefault(value, value + self._in_returns(query, gumbel))
        return [perceived[value] for value in returns]

    def _in_returns(self, query: Query, draw: float) -> float:
        """Return a draw of the standard distribution as noise of a return."""
        # A deviation for a segment of mean length; where it is 0, every difference is infinitely large.
        scale = deviation(query) * sum(segment.n_steps for segment in query.segments) / len(query.segments)
        return scale * draw / self.rationality

    def _perceived(self, query: Query) -> float:
        return super()._perceived(query) + self._logistic(query) / self.rationality

    def _logistic(self, query: Query) -> float:
        """Return the draw of the logistic distribution that belongs to a query."""
        chance = chance_of(f"{self.seed}:{query.id}")
        return log(chance / (1 - chance))


def true_returns(query: Query) -> list[float]:
    """Return the true return of each segment.

    Raises:
        SegmentError: One is not finite.
    """
    returns = [segment.env_return for segment in query.segments]
    if not all(map(isfinite, returns)):
        raise SegmentError(f"True returns must be finite to be compared. Received {', '.join(map(str, returns))}.")
    return returns


def effect_size(query: Query, returns: Sequence[float] | None = None) -> float:
    """Return Cohen's d of the true rewards of two segments: their difference over the deviation within both.

    It needs no scale of the task: what counts as large is measured by how much reward changes within a clip. The
    difference is that of the returns, for a step of a segment of mean length: of segments of one length, that of
    the means. Where reward does not change within them at all, every difference is infinitely large.

    Args:
        query: Of two segments.
        returns: What is compared in place of their true returns.
    """
    first, second = true_returns(query) if returns is None else returns
    difference = 2 * (first - second) / sum(segment.n_steps for segment in query.segments)
    if difference == 0:
        return 0.0
    spread = deviation(query)
    return difference / spread if spread > 0 else copysign(inf, difference)


def deviation(query: Query) -> float:
    """Return the standard deviation of the true rewards within the segments, over the steps of all."""
    rewards = [segment.env_rewards.astype(np.float64) for segment in query.segments]
    return sqrt(sum(own.var() * len(own) for own in rewards) / sum(map(len, rewards)))


def _myopic_return(rewards: FloatArray, discount: float) -> float:
    """Return the mean of rewards in which each weighs `discount` times the next, times their number."""
    weights = discount ** np.arange(len(rewards) - 1, -1, -1, dtype=np.float64)
    return len(rewards) * float(weights @ rewards.astype(np.float64)) / float(weights.sum())


def _is_range(given: object) -> bool:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return False
    low, high = given
    return all(isinstance(one, float | int) and isfinite(one) for one in given) and low < high


def chance_of(key: str) -> float:
    """Return a number between 0 and 1, both left out, that looks random and belongs to a key."""
    return (int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) + 0.5) / 2**64


class ShuffledTeacher:
    """A control: another teacher's answers, each turned round with probability ½, or mixed, or by chance.

    Rankings are mixed, and any level is given as a rating. Which segment is preferred then carries no information,
    so an agent that still learns has a leak. "Equal" and "can't tell" stay as they are, and so do their shares.
    The coin is a function of the seed and of the query, so a run that is replayed gets the same answers.

    Args:
        teacher: Whose answers are turned round.
        seed: Of the coin.
    """

    def __init__(self, teacher: Teacher, *, seed: int) -> None:
        self.name = f"{teacher.name}, shuffled"
        self._teacher = teacher
        self._seed = seed

    def answer(self, query: Query) -> Judgement:
        """Return the other teacher's answer, turned round or not."""
        return self._turned_or_not(query, PAIR)

    def strength(self, query: Query) -> Judgement:
        """Return the other teacher's answer with its strength, turned round or not."""
        return self._turned_or_not(query, STRENGTH)

    def rank(self, query: Query) -> Judgement:
        """Return the other teacher's ranks, each given to any of the segments."""
        said = ask(self._teacher, RANKING, query)
        if not isinstance(said, Ranking):
            return said
        order = sorted(range(len(said.ranks)), key=lambda place: chance_of(f"{self._seed}:{query.id}:{place}"))
        return Ranking(tuple(said.ranks[place] for place in order))

    def rate(self, query: Query) -> Judgement:
        """Return any level, where the other teacher gives one."""
        said = ask(self._teacher, RATING, query)
        if not isinstance(said, Rating):
            return said
        return Rating(1 + int(LEVELS * chance_of(f"{self._seed}:{query.id}")))

    def lacks(self, kind: FeedbackKind) -> str | None:
        """Return what the other teacher needs for a kind of feedback and has not."""
        return lack_of(self._teacher, kind)

    @property
    def delay_steps(self) -> int:
        """Environment steps after which the other teacher's answers come."""
        return delay_of(self._teacher)

    @property
    def follows_returns(self) -> bool:
        """Whether the other teacher goes by the mean reward of late."""
        return follows_returns(self._teacher)

    def _turned_or_not(self, query: Query, kind: FeedbackKind) -> Judgement:
        answer = ask(self._teacher, kind, query)
        coin = blake2b(f"{self._seed}:{query.id}".encode(), digest_size=1).digest()[0] % 2
        return answer.turned_round if coin else answer


def ask(teacher: Teacher, kind: FeedbackKind, query: Query) -> Judgement:
    """Return what a teacher says of a query.

    Raises:
        SettingError: It does not give this kind of feedback, or answers otherwise.
    """
    check_gives(teacher, kind)
    said: Judgement = getattr(teacher, kind.method)(query)
    kind.check(said, teacher.name)
    if not kind.fits(said, len(query.segments)):
        raise SettingError(
            f"Of {len(query.segments)} segments {teacher.name} cannot say {said!r}; feedback of kind "
            f"{kind.name!r} is about {kind.least_segments} to {kind.most_segments}, and a ranking ranks each."
        )
    return said


def check_gives(teacher: object, kind: FeedbackKind) -> None:
    """Refuse a teacher that does not give this kind of feedback; one that passes on another's is asked for that.

    Raises:
        SettingError: It lacks the method, or something else that it needs.
    """
    if not callable(getattr(teacher, kind.method, None)):
        raise SettingError(
            f"`teacher` gives no feedback of kind {kind.name!r}: it needs a method `{kind.method}(query)`. "
            f"Received {teacher!r}."
        )
    lack = lack_of(teacher, kind)
    if lack is not None:
        raise SettingError(
            f"`teacher` gives feedback of kind {kind.name!r} only with {lack}. Received {teacher!r}."
        )


def lack_of(teacher: object, kind: FeedbackKind) -> str | None:
    """Return what a teacher says that it needs for a kind of feedback and has not; None where nothing."""
    lacks = getattr(teacher, "lacks", None)
    lack: str | None = lacks(kind) if callable(lacks) else None
    return lack


def follows_returns(teacher: object) -> bool:
    """Say whether a teacher goes by the mean true reward of late, so that queries have to know it."""
    return bool(getattr(teacher, "follows_returns", False))


def delay_of(teacher: object) -> int:
    """Return how many environment steps after a question a teacher's answer comes; 0 for at once."""
    return int(getattr(teacher, "delay_steps", 0))


def names_of(teacher: Teacher) -> frozenset[str]:
    """Return the names under which answers of a teacher may be stored."""
    return frozenset(getattr(teacher, "names", None) or [teacher.name])


def name_for(teacher: Teacher, query: Query) -> str:
    """Return the name under which a teacher's answer to a query is stored."""
    name_of = getattr(teacher, "name_of", None)
    return str(name_of(query)) if callable(name_of) else teacher.name


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
        SettingError: There is no such teacher, it has not one of the settings, or one that it needs is missing.
    """
    kind = look_up(TEACHERS, name, "teacher")
    known = {field.name for field in fields(kind) if field.init}
    unknown = sorted(set(settings) - known)
    if unknown:
        has = ", ".join(sorted(known)) or "none"
        raise SettingError(f"The teacher {name!r} has no setting `{unknown[0]}`; it has {has}.")
    given = {"seed": seed} | dict(settings) if "seed" in known else dict(settings)
    needed = [one.name for one in fields(kind) if one.init and one.default is one.default_factory is MISSING]
    if missing := [one for one in needed if one not in given]:
        raise SettingError(
            f"The teacher {name!r} needs `{missing[0]}`: say it in `teacher_settings`, in a file for `--config`. "
            f"Received {dict(settings)!r}."
        )
    teacher: Teacher | People = kind(**given)
    return teacher
