"""The chances with which a `SimulatedTeacher` says what it says: the same rules, looked at from the other side.

A teacher draws its noise, so that a run that is replayed is answered alike; what fits a teacher to answers needs
the chance of each answer. A test holds the teacher's draws against these chances for every kind of feedback.

Settings come as arrays of shape [P, 1], P candidates side by side, and chances go out with shape [P, n] for n
answers. Nothing is below `FLOOR`: one answer that the teacher could never give is improbable, and not the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from prefrl.errors import FitError
from prefrl.feedback.teachers import EULER, OracleTeacher, deviation, effect_size
from prefrl.segments import Answer, Query, Ranking, Rating
from prefrl.segments.answers import LEVELS

Array: TypeAlias = npt.NDArray[Any]
Settings: TypeAlias = Mapping[str, Array]

FLOOR = 1e-12
LARGEST_GAP = 1e6
"""Effect sizes beyond it, infinite ones among them, count as it."""
MOST_TERMS = 200_000
"""Terms that the chances of all rankings may have; who calls six clips equal alone makes 23,040."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairsSaid:
    """What was said of pairs, with strength or without; n of them, none of them "can't tell"."""

    perceived: Array
    """Effect size by which the first is better, as the teacher sees it but for its noise, [n]."""
    gap: Array
    """How far apart the two are, as an effect size, without discount; −1 where they are exactly equal, [n]."""
    side: Array
    """1 for the first, −1 for the second, 0 for equal, [n]."""
    much: Array
    """Whether it was said to be much better, [n]."""
    asks_strength: bool
    """Whether it could have been said."""

    @classmethod
    def of(
        cls, said: Sequence[tuple[Query, Answer]], oracle: OracleTeacher, *, asks_strength: bool
    ) -> "PairsSaid":
        """Return what counts of queries and answers, as an oracle sees the queries."""
        sizes = np.array([oracle.seen_effect(query) for query, _ in said])
        gaps = np.array([abs(effect_size(query)) for query, _ in said])
        return cls(
            perceived=np.clip(sizes, -LARGEST_GAP, LARGEST_GAP),
            gap=np.where(sizes == 0, -1.0, np.clip(gaps, 0, LARGEST_GAP)),
            side=np.array([_SIDES[answer.direction] for _, answer in said]),
            much=np.array([answer.is_much for _, answer in said]),
            asks_strength=asks_strength,
        )

    def chances(self, settings: Settings) -> tuple[Array, Array]:
        """Return the chance of each answer if the two were alike enough to be equal, and if they were not.

        Which it is, `gap` and `equal_below` say.

        Args:
            settings: Rationality, mistakes, tie_slips, first_bias, and much_from where strength is asked.
        """
        slip, bias = settings["mistakes"], settings["first_bias"]
        looked = (1 - slip) * self._seen(settings, 1) + slip * self._seen(settings, -1)
        named = bias * ((self.side == 1) & ~self.much)

        def chances(takes_side: Array) -> Array:
            by_looks = np.where(self.side == 0, 1 - takes_side, takes_side * looked)
            return np.asarray(np.maximum(named + (1 - bias) * by_looks, FLOOR))

        return chances(settings["tie_slips"]), chances(1 - settings["tie_slips"])

    def _seen(self, settings: Settings, sign: int) -> Array:
        """Return the chance that what was said, or its opposite, is what is seen where a side is taken."""
        rationality = settings["rationality"]
        seen = rationality * sign * self.side * self.perceived
        if not self.asks_strength:
            return np.asarray(expit(seen))
        least = rationality * settings["much_from"]
        slightly = -np.expm1(-least) * expit(seen) * expit(least - seen)  # σ(seen) − σ(seen − least), exactly
        return np.asarray(np.where(self.much, expit(seen - least), slightly))


_SIDES = {Answer.FIRST: 1, Answer.SECOND: -1, Answer.EQUAL: 0}


class _Term(NamedTuple):
    """One term of the chance of a ranking: an order of what is perceived, and how far apart neighbours are."""

    values: list[float]
    """Returns over the deviation of one, the one that is perceived as best first, [K]."""
    apart: list[bool]
    """Whether it is that each is far enough from the next, or only that it is better, [K − 1]."""
    sign: int


@dataclass(frozen=True, kw_only=True, eq=False)
class RankingsSaid:
    """How several clips were ranked; n rankings.

    Perceived with Gumbel's noise, one of several is the best with a chance proportional to w = exp(β return), and
    so on with the rest (Plackett 1975). That neighbours are also at least c apart is as if what is left were
    exp(β c) times as much: E = exp(−β perceived) is exponential of rate w, and its logarithms then differ by β c.
    That they are less than c apart is that the one is better, less that it is so by c. Equals may be in any order.
    """

    values: Array
    """[terms, K]; −∞ where there are fewer clips."""
    apart: Array
    """[terms, K − 1]."""
    sign: Array
    """[terms]."""
    meant: Array
    """Number of the first term of each ranking as it was said, [n]."""
    slipped: Array
    """Number of the first term of each in reverse order, which was meant where the finger slipped, [n]."""
    as_came: Array
    """Whether the clips were left in the order in which they came, [n]."""
    _starts: Array = field(init=False)

    def __post_init__(self) -> None:
        """Note where terms of the one and of the other begin: they take turns."""
        object.__setattr__(self, "_starts", np.stack([self.meant, self.slipped], axis=1).ravel())

    @classmethod
    def of(cls, said: Sequence[tuple[Query, Ranking]], oracle: OracleTeacher) -> "RankingsSaid":
        """Return what counts of queries and rankings, as an oracle sees the queries.

        Raises:
            FitError: So many are called equal that it would take too long.
        """
        terms: list[_Term] = []
        starts = []
        for query, ranking in said:
            values = _in_deviations(query, oracle.seen_returns(query))
            groups = _without_copies(ranking, values)
            for order in (groups, groups[::-1]):
                starts.append(len(terms))
                terms += _terms(order)
            if len(terms) > MOST_TERMS:
                raise FitError("Too many clips were ranked as equals for a teacher to be fitted to the rankings.")
        most = max(len(term.values) for term in terms)
        return cls(
            values=np.array([term.values + [-np.inf] * (most - len(term.values)) for term in terms]),
            apart=np.array([term.apart + [False] * (most - len(term.values)) for term in terms]).reshape(
                -1, most - 1
            ),
            sign=np.array([term.sign for term in terms]),
            meant=np.array(starts[::2]),
            slipped=np.array(starts[1::2]),
            as_came=np.array([ranking.ranks == tuple(range(len(ranking.ranks))) for _, ranking in said]),
        )

    def chances(self, settings: Settings) -> Array:
        """Return the chance of each ranking.

        Args:
            settings: Rationality, mistakes, equal_below and first_bias.
        """
        rationality, slip, bias = settings["rationality"], settings["mistakes"], settings["first_bias"]
        weights = rationality[..., None] * self.values
        farther = np.where(self.apart, (rationality * settings["equal_below"])[..., None], 0.0)
        logs = np.zeros(weights.shape[:-1])
        left = weights[..., -1]
        for place in range(weights.shape[-1] - 2, -1, -1):
            left = np.logaddexp(weights[..., place], farther[..., place] + left)
            is_there = np.isfinite(weights[..., place])
            logs += np.where(is_there, np.where(is_there, weights[..., place], 0) - np.where(is_there, left, 0), 0)
        sums = np.add.reduceat(self.sign * np.exp(logs), self._starts, axis=-1)
        by_looks = (1 - slip) * sums[..., 0::2] + slip * sums[..., 1::2]
        chances: Array = np.maximum(bias * self.as_came + (1 - bias) * by_looks, FLOOR)
        return chances


def _in_deviations(query: Query, returns: Sequence[float]) -> list[float]:
    """Return how much less than the best each return is, as an effect size."""
    scale = deviation(query) * sum(segment.n_steps for segment in query.segments) / len(returns)
    best = max(returns)
    if scale == 0:
        return [0.0 if value == best else (value - best) * LARGEST_GAP for value in returns]
    return [max((value - best) / scale, -LARGEST_GAP) for value in returns]


def _without_copies(ranking: Ranking, values: Sequence[float]) -> list[list[float]]:
    """Return the values in groups of equal rank, the best first; of exactly equal ones of a group, one.

    The teacher perceives them as one in any case; somebody who ranks them apart is taken to see two.
    """
    return [sorted({values[place] for place in group}) for group in ranking.order]


def _terms(groups: Sequence[Sequence[float]]) -> list[_Term]:
    terms = []
    for orders in product(*(permutations(group) for group in groups)):
        values = [value for order in orders for value in order]
        ends = {sum(map(len, orders[: index + 1])) for index in range(len(orders))}
        links = [[(True, 1)] if place in ends else [(False, 1), (True, -1)] for place in range(1, len(values))]
        for link in product(*links):
            sign = int(np.prod([one for _, one in link]))
            terms.append(_Term(values, [apart for apart, _ in link], sign))
    return terms


@dataclass(frozen=True, kw_only=True, eq=False)
class RatingsSaid:
    """How good single clips were said to be; n ratings."""

    mean: Array
    """Mean reward of a step, as the teacher sees it but for its noise, [n]."""
    deviation: Array
    """Standard deviation of the true reward of a step within the clip, [n]."""
    level: Array
    """What was said, [n]."""

    @classmethod
    def of(cls, said: Sequence[tuple[Query, Rating]], oracle: OracleTeacher) -> "RatingsSaid":
        """Return what counts of queries and ratings, as an oracle sees the queries."""
        return cls(
            mean=np.array([oracle.seen_returns(query)[0] / query.segments[0].n_steps for query, _ in said]),
            deviation=np.array([deviation(query) for query, _ in said]),
            level=np.array([rating.level for _, rating in said]),
        )

    def chances(self, settings: Settings) -> Array:
        """Return the chance of each rating.

        Args:
            settings: Rationality, mistakes, and `worst` and `best`, the ends of the range.
        """
        slip = settings["mistakes"]
        said = (1 - slip) * self._at(settings, self.level) + slip * self._at(settings, 1 + LEVELS - self.level)
        return np.asarray(np.maximum(said, FLOOR))

    def _at(self, settings: Settings, level: Array) -> Array:
        upper = np.where(level == LEVELS, 1.0, self._below(settings, level))
        lower = np.where(level == 1, 0.0, self._below(settings, level - 1))
        return upper - lower

    def _below(self, settings: Settings, n_levels: Array) -> Array:
        """Return the chance that it is perceived as of the worst so many levels, by Gumbel's distribution."""
        end = settings["worst"] + (settings["best"] - settings["worst"]) * n_levels / LEVELS
        spread = np.maximum(self.deviation, 1 / LARGEST_GAP**2)
        noise = np.clip(settings["rationality"] * (end - self.mean) / spread, -LARGEST_GAP, LARGEST_GAP)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(-np.exp(-(noise + EULER))))
