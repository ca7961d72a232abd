"""The simulated teacher that fits somebody's answers best.

By maximum likelihood, from the answers and the true rewards of the clips, with intervals of 95 %. Nothing of it is
exact about people: it says which of the simulated teachers comes closest to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log
from typing import Any, TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits

from prefrl.errors import FitError
from prefrl.feedback.likelihood import DROP, Interval, Maximum, Parameter
from prefrl.feedback.teacher_chances import Array, PairsSaid, RankingsSaid, RatingsSaid, Settings
from prefrl.feedback.teachers import OracleTeacher, deviation, true_returns
from prefrl.segments import Answer, FeedbackKind, Judgement, Query, Ranking, Rating

Said: TypeAlias = tuple[Query, Judgement]
"""A query in the order in which it was shown, and what was said of it in that order."""

FEWEST = 30
"""Answers, "can't tell" left out, below which nothing is fitted."""
THRESHOLD_DROP = log(40)
"""As `DROP`, for a threshold: on either side of the true one, answers gain more than x by chance with probability
exp(−x) at most, which is no χ²."""
LARGEST_RATIONALITY = 300.0
"""Is as good as infinite: of a difference of a hundredth of a deviation it sees 95 %."""
RATIONALITY = Parameter(
    name="rationality",
    low=0.02,
    high=LARGEST_RATIONALITY,
    starts=(0.5, 3.0, 30.0),
    scale="log",
    neutral=LARGEST_RATIONALITY,
)
MISTAKES = Parameter(name="mistakes", low=0.0, high=1.0, starts=(0.03, 0.2, 0.9), scale="share", neutral=0.0)
FIRST_BIAS = Parameter(name="first_bias", low=0.0, high=1.0, starts=(0.02, 0.3), scale="share", neutral=0.0)
TIE_SLIPS = Parameter(name="tie_slips", low=0.0, high=0.5, starts=(0.01, 0.15), scale="share", neutral=0.0)
"""Up to ½: beyond, it would be as if all that is alike were apart, and the other way round."""


@dataclass(frozen=True, kw_only=True)
class TeacherFit:
    """The settings of a `SimulatedTeacher` under which somebody's answers are most probable.

    Mistakes and rationality trade off: who errs as often where one clip is clearly better as where it hardly is
    makes mistakes, who errs where the difference is small lacks rationality. Where few clips differ clearly, or
    few answers err, both explain the same, and both intervals are wide. So do slips of ties and `equal_below`, and
    "can't tell" without a reason and `skip_below`. Intervals are of the profile likelihood, in which all other
    settings are free, so that they say so; those of thresholds are wider than a χ² would have them, rightly.
    """

    kind: str
    """Kind of feedback."""
    n_answers: int
    """Answers that it was fitted to."""
    intervals: Mapping[str, Interval]
    """Best value and interval by name: fields of `SimulatedTeacher`; `worst` and `best` are its `rating_range`."""
    notes: Sequence[str]
    """Sentences about what these answers say nothing of."""

    @property
    def fitted(self) -> set[str]:
        """Names of the settings that were looked for, with those that were found to be the defaults."""
        return {{"worst": "rating_range", "best": "rating_range"}.get(name, name) for name in self.intervals}

    def settings(self) -> dict[str, Any]:
        """Return them as `teacher_settings` of the teacher "simulated", without those that are its defaults."""
        found = {name: interval.value for name, interval in self.intervals.items()}
        settings: dict[str, Any] = {}
        if "worst" in found:
            settings["rating_range"] = [found.pop("worst"), found.pop("best")]
        neutral = {"rationality": inf, "skip_below": -inf}
        return settings | {name: value for name, value in found.items() if value != neutral.get(name, 0.0)}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values; what is infinite is null."""
        return {
            "kind": self.kind,
            "answers": self.n_answers,
            "settings": {
                name: {end: _finite(value) for end, value in interval._asdict().items()}
                for name, interval in self.intervals.items()
            },
            "notes": list(self.notes),
        }


def fit_teacher(said: Sequence[Said], kind: FeedbackKind, *, discount: float = 1.0) -> TeacherFit:
    """Return the simulated teacher that fits answers best.

    Args:
        said: Queries as they were shown, and what one person (or several, taken for one) said of them.
        kind: What could be said.
        discount: Of the teacher that is looked for; it is not found out.

    Raises:
        FitError: There are too few answers, all clips are equally good, all ratings are of one level, or so many
            clips are ranked as equals that it would take too long.
        SegmentError: A true return is not finite.
    """
    told = [(query, judgement) for query, judgement in said if judgement is not Answer.CANNOT_TELL]
    if len(told) < FEWEST:
        raise FitError(
            f'A teacher is fitted to {FEWEST} answers or more, besides "can\'t tell". Received {len(told)}.'
        )
    if not any_rewards([query for query, _ in told]):
        raise FitError("All clips have the same true reward, so that nothing says which answers are right.")
    fitted = _skips(said)
    with threadpool_limits(1, user_api="blas"):  # of matrices this small, threads only wait for each other
        fitted |= _fitted(told, kind, OracleTeacher(discount=discount))
    notes = ["Ratings say nothing of ties, nor of a bias for the first."] if kind.is_rating else []
    return TeacherFit(kind=kind.name, n_answers=len(said), intervals=fitted, notes=notes)


def _fitted(told: Sequence[Said], kind: FeedbackKind, oracle: OracleTeacher) -> dict[str, Interval]:
    if kind.is_rating:
        return _ratings([(query, one) for query, one in told if isinstance(one, Rating)], oracle)
    if kind.is_ranking:
        return _rankings([(query, one) for query, one in told if isinstance(one, Ranking)], oracle)
    answers = [(query, one) for query, one in told if isinstance(one, Answer)]
    return _pairs(PairsSaid.of(answers, oracle, asks_strength=kind.asks_strength))


def any_rewards(queries: Sequence[Query]) -> bool:
    """Say whether true rewards tell any clips apart.

    Raises:
        SegmentError: A true return is not finite.
    """
    means = {value / query.segments[0].n_steps for query in queries for value in true_returns(query)}
    return len(means) > 1 or any(deviation(query) > 0 for query in queries)


def _pairs(said: PairsSaid) -> dict[str, Interval]:
    parameters = [RATIONALITY, MISTAKES, FIRST_BIAS, TIE_SLIPS]
    if said.asks_strength:
        parameters.append(Parameter(name="much_from", low=1e-3, high=100.0, starts=(0.4, 1.5), scale="log"))
    threshold = _Threshold(said)
    best = Maximum.find(parameters, lambda settings: threshold.heights(settings).max(axis=1))
    found = {parameter.name: _whole(best.interval(parameter.name)) for parameter in parameters}
    return found | {"equal_below": threshold.interval(best)}


class _Threshold:
    """Where "equal" ends: as good anywhere between two gaps, so that all places between are tried.

    Args:
        said: The pairs.
    """

    def __init__(self, said: PairsSaid) -> None:
        self._said = said
        self._order = np.argsort(said.gap, kind="stable")
        self._gaps = said.gap[self._order]
        n_same = int(np.searchsorted(self._gaps, 0.0))  # they are equal whatever the threshold is
        ends = np.flatnonzero(np.diff(self._gaps) > 0) + 1
        self.places = np.unique([n_same, *ends[ends > n_same], len(self._gaps)])
        """How many pairs may be alike, ascending, [k]."""

    def heights(self, settings: Settings) -> Array:
        """Return the log-likelihood with each of the places as the threshold, [P, k]."""
        alike, apart = (np.log(chances[..., self._order]) for chances in self._said.chances(settings))
        gained = np.cumsum(alike - apart, axis=-1)
        sums = np.concatenate([np.zeros((len(gained), 1)), gained], axis=-1)
        return np.asarray(apart.sum(axis=-1, keepdims=True) + sums[:, self.places])

    def interval(self, best: Maximum) -> Interval:
        """Return the best threshold, and its interval with all other parameters free."""
        heights = self.heights({name: np.array([[value]]) for name, value in best.values.items()})[0]
        place = int(heights.argmax())
        low = high = place
        # Other parameters can only make it better, so what is near already need not be tried.
        for one in np.flatnonzero(heights > best.greatest - 3 * THRESHOLD_DROP):
            if not low <= one <= high and self._is_near(best, int(one)):
                low, high = min(low, int(one)), max(high, int(one))
        return Interval(self._between(place)[2], self._between(low)[0], self._between(high)[1])

    def _is_near(self, best: Maximum, place: int) -> bool:
        return best.profile(lambda settings: self.heights(settings)[:, place]) >= best.greatest - THRESHOLD_DROP

    def _between(self, place: int) -> tuple[float, float, float]:
        """Return the least and the greatest threshold of a place, and one between."""
        n = self.places[place]
        low = max(0.0, float(self._gaps[n - 1])) if n else 0.0
        if n == len(self._gaps):
            return low, inf, low * 1.01
        return low, float(self._gaps[n]), 0.0 if place == 0 else (low + float(self._gaps[n])) / 2


def _rankings(said: Sequence[tuple[Query, Ranking]], oracle: OracleTeacher) -> dict[str, Interval]:
    rankings = RankingsSaid.of(said, oracle)
    equal = Parameter(
        name="equal_below", low=0.0, high=25.0, starts=(0.0025, 0.25, 1.0), scale="root", neutral=0.0
    )
    return _smooth([RATIONALITY, MISTAKES, FIRST_BIAS, equal], rankings.chances)


def _ratings(said: Sequence[tuple[Query, Rating]], oracle: OracleTeacher) -> dict[str, Interval]:
    ratings = RatingsSaid.of(said, oracle)
    if len(set(ratings.level)) == 1:
        raise FitError(f"All ratings are {Rating(int(ratings.level[0]))}, which says nothing of who gave them.")
    low, *_, high = np.quantile(ratings.mean, [0.02, 0.98])
    width = max(high - low, float(np.ptp(ratings.mean)), 1e-9)
    starts = [low - width / 2, low, low + width / 4], [high - width / 4, high, high + width / 2]
    ends = [
        Parameter(name=name, low=low - 10 * width, high=high + 10 * width, starts=tuple(start))
        for name, start in zip(("worst", "best"), starts, strict=True)
    ]

    def chances(settings: Settings) -> Array:
        least = settings["worst"] + width / 1000  # the best is above the worst
        return ratings.chances({**settings, "best": np.maximum(settings["best"], least)})

    return _smooth([RATIONALITY, MISTAKES, *ends], chances)


def _smooth(parameters: Sequence[Parameter], chances: Any) -> dict[str, Interval]:
    def likelihood(settings: Settings) -> Array:
        return np.asarray(np.log(chances(settings)).sum(axis=-1))

    best = Maximum.find(parameters, likelihood)
    return {parameter.name: _whole(best.interval(parameter.name)) for parameter in parameters}


def _whole(interval: Interval) -> Interval:
    """Return the interval with what is as good as infinite as infinite, and what is as good as nothing as 0."""
    value, low, high = (inf if one > 0.99 * LARGEST_RATIONALITY else one for one in interval)
    return Interval(*(0.0 if 0 < one < 1e-5 else one for one in (value, low, high)))


def _skips(said: Sequence[Said]) -> dict[str, Interval]:
    """Return where somebody cannot tell: below which mean reward of the best clip always, and how often else.

    Whoever said anything of a query was above that threshold; below it "can't tell" is certain, above it a share.
    """
    best = np.array([max(one.env_return / one.n_steps for one in query.segments) for query, _ in said])
    skipped = np.array([judgement is Answer.CANNOT_TELL for _, judgement in said])
    least_told = float(best[~skipped].min())
    n_told = int((~skipped).sum())
    above = best[skipped & (best >= least_told)]
    below = np.sort(best[skipped & (best < least_told)])[::-1]
    n_above = np.arange(len(below) + 1) + len(above)
    """"Can't tell" that are a share, where the threshold is above all but so many of `below`."""

    def height(n: Array | int, share: Array | float) -> Array:
        return np.asarray(_times_log(n, share) + _times_log(n_told, 1 - np.asarray(share)))

    heights = height(n_above, n_above / (n_above + n_told))
    bottoms = [*below, -inf]
    last = int(np.flatnonzero(heights >= heights[0] - THRESHOLD_DROP)[-1])
    threshold = -inf if not len(below) else (least_told + float(below[0])) / 2
    shares = np.sin(np.linspace(0, np.pi / 2, 4001)) ** 2
    reach = np.max([height(int(n), shares) for n in n_above], axis=0) >= heights[0] - DROP
    share = float(n_above[0] / (n_above[0] + n_told))
    return {
        "skip_below": Interval(threshold, float(bottoms[last]), least_told),
        "cannot_tell": Interval(share, float(shares[reach].min()), float(shares[reach].max())),
    }


def _times_log(n: Array | int, share: Array | float) -> Array:
    """Return n log(share), 0 where n is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(np.asarray(n) == 0, 0.0, n * np.log(share)))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
