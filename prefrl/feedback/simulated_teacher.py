"""A teacher with the faults that people have, each of them switched off unless it is set."""

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TypeVar

from prefrl.errors import SettingError
from prefrl.feedback.teachers import BoltzmannTeacher, chance_of, deviation, effect_size, true_returns
from prefrl.segments import Answer, Judgement, Query, Ranking, Rating
from prefrl.segments.answers import LEVELS

Said = TypeVar("Said", Answer, Ranking, Rating)


@dataclass(frozen=True, kw_only=True)
class SimulatedTeacher(BoltzmannTeacher):
    """A simulated person: any of the faults of B-Pref's teachers (Lee et al. 2021), and of those who click.

    They come in the order of B-Pref: what one cannot tell, what is too alike, which looks better, and a slip of
    the finger at last. All draws are functions of seed and query, so a run that is replayed is answered alike.
    Without settings it is the oracle.

    Raises:
        SettingError: A share is not from 0 to 1, `equal_below` is negative, or another setting cannot be; both
            `rationality` and `beta` are given.
    """

    rationality: float = inf
    """As of the Boltzmann teacher; infinite for one who sees every difference."""
    beta: float = inf
    """The same for the difference of returns G, in place of that of effect sizes: P = σ(β (G₁ − G₂)), with the
    discounted sum Σ γ^(H−1−t) r_t where there is a `discount` (B-Pref: 1). It has a unit, 1 over a return."""
    mistakes: float = 0.0
    """Share of answers that say the opposite of what was meant: the other side, the ranks in reverse order, the
    level as far from the other end. "Equal" and "can't tell" are left alone. B-Pref: 0.1."""
    equal_below: float = 0.0
    """Two segments are equal whose true returns, without discount and noise, differ by less than this, as an
    effect size (see `much_from`). Of a ranking, one shares the rank of the one before it where it is perceived as
    so little worse."""
    tie_slips: float = 0.0
    """Share of pairs in which it takes a side where it would say equal, or says equal where it would take a side:
    nobody's "equal" goes by one threshold."""
    skip_below: float = -inf
    """Mean true reward of a step, without discount, below which a clip shows nothing; where all do, it cannot
    tell."""
    cannot_tell: float = 0.0
    """Share of queries of which it cannot tell anything, whatever they show."""
    first_bias: float = 0.0
    """Share of pairs of which it names the first without looking, and of rankings that it leaves in the order in
    which they came."""

    name = "simulated"

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is asked."""
        super().__post_init__()
        for setting in ("mistakes", "tie_slips", "cannot_tell", "first_bias"):
            share = getattr(self, setting)
            if not isinstance(share, float | int) or not 0 <= share <= 1:
                raise SettingError(f"`{setting}` of a simulated teacher must be from 0 to 1. Received {share}.")
        if not isinstance(self.beta, float | int) or not self.beta > 0:
            raise SettingError(f"`beta` must be above 0. Received {self.beta}.")
        if max(self.beta, self.rationality) < inf:
            raise SettingError(
                "`rationality` and `beta` are the same noise in two units; give one of them. Received "
                f"{self.rationality} and {self.beta}."
            )
        if not isinstance(self.equal_below, float | int) or not self.equal_below >= 0:
            raise SettingError(f"`equal_below` must be 0 or more. Received {self.equal_below}.")
        if not isinstance(self.skip_below, float | int) or not self.skip_below < inf:
            raise SettingError(f"`skip_below` must be a number. Received {self.skip_below}.")

    def strength(self, query: Query) -> Answer:
        """Say which of two segments is better, and whether it is much better.

        Raises:
            SegmentError: As an oracle's.
        """
        meant = super().strength(query)
        if self._cannot_tell(query):
            return Answer.CANNOT_TELL
        if self._happens("bias", self.first_bias, query):
            return Answer.FIRST
        alike = meant is Answer.EQUAL or self._is_alike(query)
        if alike is not self._happens("tie", self.tie_slips, query):
            return Answer.EQUAL
        if meant is Answer.EQUAL:  # of what is exactly equal, noise alone decides
            meant = Answer.FIRST if chance_of(f"{self.seed}:{query.id}") > 0.5 else Answer.SECOND
        return self._slipped(query, meant, meant.turned_round)

    def rank(self, query: Query) -> Judgement:
        """Order segments.

        Raises:
            SegmentError: As an oracle's.
        """
        perceived = self._perceived_returns(query)
        if self._cannot_tell(query):
            return Answer.CANNOT_TELL
        if self._happens("bias", self.first_bias, query):
            return Ranking(tuple(range(len(perceived))))
        meant = self._ranking(query, perceived)
        return self._slipped(query, meant, Ranking(tuple(max(meant.ranks) - rank for rank in meant.ranks)))

    def rate(self, query: Query) -> Judgement:
        """Say how good a segment is.

        Raises:
            SegmentError, SettingError: As an oracle's.
        """
        meant = super().rate(query)
        if self._cannot_tell(query):
            return Answer.CANNOT_TELL
        assert isinstance(meant, Rating)
        return self._slipped(query, meant, Rating(1 + LEVELS - meant.level))

    def _ranking(self, query: Query, perceived: list[float]) -> Ranking:
        """Return the ranking by what is perceived, in which equal is what follows closely enough."""
        close = self._close(query)
        order = sorted(range(len(perceived)), key=lambda place: -perceived[place])
        groups = [[order[0]]]
        for before, place in pairwise(order):
            is_equal = perceived[before] - perceived[place] < close or perceived[before] == perceived[place]
            if is_equal:
                groups[-1].append(place)
            else:
                groups.append([place])
        return Ranking.of(groups)

    def _perceived(self, query: Query) -> float:
        if self.beta == inf:
            return super()._perceived(query)
        first, second = self.seen_returns(query)
        return effect_size(query, [first + self._in_returns(query, self._logistic(query)), second])

    def _in_returns(self, query: Query, draw: float) -> float:
        if self.beta == inf:
            return super()._in_returns(query, draw)
        # The returns that it sees are as if all steps weighed 1, and β is of sums in which they weigh less.
        n_steps = mean_length(query)
        weight = n_steps if self.discount == 1 else (1 - self.discount**n_steps) / (1 - self.discount)
        return draw / self.beta * n_steps / weight

    def _plain_returns(self, query: Query) -> list[float]:
        """Return what thresholds go by: returns without discount and noise."""
        return true_returns(query)

    def _is_alike(self, query: Query) -> bool:
        """Say whether two segments are too alike to take a side."""
        return abs(effect_size(query, self._plain_returns(query))) < self.equal_below

    def _close(self, query: Query) -> float:
        """Return the difference of returns below which neighbours in a ranking are equal."""
        return self.equal_below * deviation(query) * mean_length(query)

    def _shows_nothing(self, query: Query) -> bool:
        """Say whether there is nothing to see in any of the segments."""
        returns = self._plain_returns(query)
        best = max(one / segment.n_steps for one, segment in zip(returns, query.segments, strict=True))
        return best < self.skip_below

    def _cannot_tell(self, query: Query) -> bool:
        return self._shows_nothing(query) or self._happens("cannot tell", self.cannot_tell, query)

    def _slipped(self, query: Query, meant: Said, opposite: Said) -> Said:
        return opposite if self._happens("mistake", self.mistakes, query) else meant

    def _happens(self, what: str, share: float, query: Query) -> bool:
        return chance_of(f"{self.seed}:{what}:{query.id}") < share


def mean_length(query: Query) -> float:
    """Return the mean number of steps of the segments."""
    return sum(segment.n_steps for segment in query.segments) / len(query.segments)
