"""Query strategies: which segments are put to somebody together.

A strategy chooses among *places* in recorded experience, which cost nothing, and cuts only the segments that it
needs to look at, a few at a time: a clip of screens is large.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from prefrl.errors import NotEnoughExperienceError, SettingError
from prefrl.registry import STRATEGIES, look_up
from prefrl.segments import Segment, pairs_of
from prefrl.settings import FeedbackSettings

Group: TypeAlias = tuple[Segment, ...]
"""Segments of one query: a pair, as many as are ranked, or one that is rated."""
Places: TypeAlias = npt.NDArray[np.int64]
"""Where segments could be cut: rows (position, environment, steps) that the recorder understands, shape [n, 3]."""
PredictReturns: TypeAlias = Callable[[Sequence[Segment]], npt.NDArray[np.float64]]
"""Predicted return of each segment by each member of an ensemble, shape [E, n]."""

AT_ONCE = 64
"""Segments that are cut at the same time only to be looked at."""
POOL_FACTOR = 10
"""How many segments are looked at for each one chosen, as in Christiano et al. 2017, section 2.2.4."""
N_BINS = 8
"""Bins over the range of predicted return, for the spread."""


class SegmentSource(Protocol):
    """Experience that segments can be cut from, such as a `SegmentRecorder`."""

    def places(self, length: int, *, recent_steps: int | None = None) -> Places:
        """Return every place of a segment of `length` steps, or those that start in the `recent_steps` last."""
        ...

    def segment_at(self, place: npt.NDArray[np.int64]) -> Segment:
        """Return the segment at a place."""
        ...


class QueryStrategy(Protocol):
    """A rule by which segments are put together in queries.

    Made of `FeedbackSettings`, listed in `prefrl.registry`.
    """

    least_members: int
    """Members that an ensemble needs for the rule to say anything."""

    def select(
        self,
        source: SegmentSource,
        n: int,
        *,
        n_segments: int = 2,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Group]:
        """Return `n` groups of segments of `length` steps; those of a group differ.

        Args:
            source: What to cut segments from.
            n: Number of groups.
            n_segments: Segments of a group: 2 for pairs, 1 where each is rated alone.
            length: Steps per segment.
            rng: Random numbers.
            predict_returns: Predicted return per member and segment, shape [E, n]; 0 before the first fit.

        Raises:
            NotEnoughExperienceError: There is not enough recorded to cut so many different segments from.
            SettingError: The settings do not go together with `length` or with the ensemble.
        """
        ...


def make_strategy(settings: FeedbackSettings) -> QueryStrategy:
    """Return the strategy that the settings name.

    Raises:
        SettingError: There is none of that name.
    """
    strategy: QueryStrategy = look_up(STRATEGIES, settings.strategy, "strategy")(settings)
    return strategy


def check_members(settings: FeedbackSettings, n_members: int) -> None:
    """Refuse an ensemble that is too small for the strategy to choose by.

    Raises:
        SettingError: It is, or there is no strategy of that name.
    """
    least: int = look_up(STRATEGIES, settings.strategy, "strategy").least_members
    if n_members < least:
        raise SettingError(
            f"`strategy` {settings.strategy} needs an ensemble of at least {least} members. Received {n_members}; "
            "give the reward model more (`n_members`), or choose another strategy."
        )


class UniformStrategy:
    """Segments drawn independently of each other and of what was learned.

    Args:
        settings: `recent_share` of the segments start within the `recent_steps` last steps of their environment,
            the others anywhere in what is recorded.
    """

    least_members = 1

    def __init__(self, settings: FeedbackSettings = FeedbackSettings()) -> None:
        self._settings = settings

    def select(
        self,
        source: SegmentSource,
        n: int,
        *,
        n_segments: int = 2,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Group]:
        """Draw `n` groups; none holds the same segment twice."""
        return _cut(source, self.draw(source, n, n_segments=n_segments, length=length, rng=rng))

    def draw(
        self, source: SegmentSource, n: int, *, n_segments: int = 2, length: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Return the places of `n` groups, shape [n, n_segments, 3]; those of a group differ.

        Raises:
            NotEnoughExperienceError: There is not enough recorded to cut so many different segments from.
            SettingError: No segment of `length` steps fits into `recent_steps`.
        """
        everywhere = _enough(source.places(length), n_segments, length)
        if n_segments == 1:
            return self._draw_alone(source, n, length, everywhere, rng)
        n_all = n * n_segments
        is_recent = np.arange(n_all) < round(n_all * self._settings.recent_share)
        rng.shuffle(is_recent)
        drawn = everywhere[rng.integers(len(everywhere), size=n_all)]
        lately = everywhere
        if is_recent.any():
            lately = self._lately(source, n_segments, length, everywhere)
            drawn[is_recent] = lately[rng.integers(len(lately), size=int(is_recent.sum()))]
        groups = drawn.reshape(n, n_segments, 3)
        for place in range(1, n_segments):
            earlier = groups[:, :place]
            for group in np.flatnonzero((earlier == groups[:, place, None]).all(axis=2).any(axis=1)):
                among = lately if is_recent[n_segments * group + place] else everywhere
                is_taken = (among[:, None] == earlier[group]).all(axis=2).any(axis=1)
                others = among[~is_taken]
                groups[group, place] = others[rng.integers(len(others))]
        return groups

    def _draw_alone(
        self, source: SegmentSource, n: int, length: int, everywhere: Places, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Return the places of `n` single segments, shape [n, 1, 3]: none twice, unless there are too few.

        Two pairs that share a segment tell two things; the same segment, alone, is asked about for nothing.
        """
        recent_share = self._settings.recent_share
        lately = self._lately(source, 1, length, everywhere) if recent_share > 0 else everywhere
        first = lately[_some(rng, len(lately), min(round(n * recent_share), len(lately)))]
        sizes = tuple(everywhere.max(axis=0) + 1)
        others = everywhere[~np.isin(_numbers(everywhere, sizes), _numbers(first, sizes))]
        n_others = n - len(first)
        rest = others[_some(rng, len(others), min(n_others, len(others)))]
        drawn = rng.permutation(np.concatenate([first, rest]))
        repeated = drawn[rng.integers(len(drawn), size=n - len(drawn))]
        return np.concatenate([drawn, repeated])[:, None]  # where only some are taken, these come last

    def _lately(self, source: SegmentSource, n_segments: int, length: int, everywhere: Places) -> Places:
        """Return the recent places; where episodes have just begun and there are none, all."""
        recent_steps = self._settings.recent_steps
        if recent_steps < length:
            raise SettingError(
                f"No segment of {length} steps fits into `recent_steps`={recent_steps}; make it larger."
            )
        places = source.places(length, recent_steps=recent_steps)
        return places if len(places) >= n_segments else everywhere


class DisagreementStrategy:
    """The pairs on which an ensemble disagrees most, out of a random pool ten times as large.

    Disagreement is the variance, across members, of the predicted probability that the first segment is
    preferred (Christiano et al. 2017, section 2.2.4); of more segments, the mean of that over their pairs. Where
    each is rated alone, it is that of how far a segment lies above the mean of the pool.

    Args:
        settings: As for `UniformStrategy`, which draws the pool.
    """

    least_members = 2

    def __init__(self, settings: FeedbackSettings = FeedbackSettings()) -> None:
        self._pool = UniformStrategy(settings)

    def select(
        self,
        source: SegmentSource,
        n: int,
        *,
        n_segments: int = 2,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Group]:
        """Draw a pool and return the `n` groups of most disagreement, the most first."""
        if n == 0:
            return []
        pool = self._pool.draw(source, n * POOL_FACTOR, n_segments=n_segments, length=length, rng=rng)
        if n_segments == 1:
            pool = _without_repeats(pool, at_least=n)
        returns = _look_at(pool.reshape(-1, 3), source, predict_returns)
        returns = returns.reshape(len(returns), len(pool), n_segments)
        if n_segments == 1:
            pairs = [disagreement(returns[..., 0], returns[..., 0].mean(axis=1, keepdims=True))]
        else:
            pairs = [disagreement(returns[..., i], returns[..., j]) for i, j in pairs_of(n_segments)]
        order = np.argsort(-np.mean(pairs, axis=0), kind="stable")
        return _cut(source, pool[order[:n]])


class SpreadStrategy:
    """Segments spread evenly over the range of predicted return.

    Most of what an agent does is alike, and comparisons of the like teach little: of a Hopper's clips most show
    it lying on the floor between two flips. This draws a random pool ten times as large, sorts its segments into
    bins of equal width by their predicted return (mean over members), draws from all bins alike, and puts them
    together at random. Before the first fit, when every prediction is 0, it draws uniformly.

    Args:
        settings: As for `UniformStrategy`, which draws the pool.
    """

    least_members = 1

    def __init__(self, settings: FeedbackSettings = FeedbackSettings()) -> None:
        self._pool = UniformStrategy(settings)

    def select(
        self,
        source: SegmentSource,
        n: int,
        *,
        n_segments: int = 2,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Group]:
        """Draw a pool and return `n` groups from it; no segment is in two of them."""

        def evenly(pool: Places) -> Places:
            weights = spread_weights(_look_at(pool, source, predict_returns).mean(axis=0), N_BINS)
            return pool[rng.choice(len(pool), size=n * n_segments, replace=False, p=weights)]

        return _from_pool(self._pool, source, n, evenly, n_segments=n_segments, length=length, rng=rng)


class ThompsonStrategy:
    """What could be the best, against what else could be.

    What an agent comes to do is what the reward of now likes best, rightly or wrongly. Asked about it, people tell
    which of the two it is, before the agent has gone far with it. Each clip is the one of largest predicted return
    among ten random ones, by a member of the ensemble drawn at random. Before the first fit, when every prediction
    is 0, clips are drawn uniformly. (Double Thompson sampling: Wu and Liu 2016, for duels; Novoseller et al.
    2020, Dueling Posterior Sampling, for behaviour; Dwaracherla et al. 2024, for text.)

    Args:
        settings: As for `UniformStrategy`, which draws the pool.
    """

    least_members = 2

    def __init__(self, settings: FeedbackSettings = FeedbackSettings()) -> None:
        self._pool = UniformStrategy(settings)

    def select(
        self,
        source: SegmentSource,
        n: int,
        *,
        n_segments: int = 2,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Group]:
        """Draw a pool and return `n` groups from it; no segment is in two of them."""

        def best_of_ten(pool: Places) -> Places:
            pool = rng.permutation(pool)
            returns = _look_at(pool, source, predict_returns)
            groups = np.array_split(np.arange(len(pool)), n * n_segments)
            members = rng.integers(len(returns), size=n * n_segments)
            best = [group[returns[member, group].argmax()] for member, group in zip(members, groups, strict=True)]
            return pool[best]

        return _from_pool(self._pool, source, n, best_of_ten, n_segments=n_segments, length=length, rng=rng)


def spread_weights(values: npt.NDArray[np.floating[Any]], n_bins: int) -> npt.NDArray[np.float64]:
    """Return probabilities, shape [n], with which every non-empty bin of equal width is drawn alike.

    Args:
        values: Numbers, shape [n].
        n_bins: Bins between the smallest and the largest of them.
    """
    span = values.max() - values.min()
    scaled = (values - values.min()) / (span if span > 0 else 1.0)
    bins = np.minimum((scaled * n_bins).astype(np.int64), n_bins - 1)
    weights = 1.0 / np.bincount(bins, minlength=n_bins)[bins]
    normalised: npt.NDArray[np.float64] = weights / weights.sum()
    return normalised


def disagreement(
    returns_1: npt.NDArray[np.floating[Any]], returns_2: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float64]:
    """Return how much the members of an ensemble disagree on each pair.

    Args:
        returns_1: Predicted returns of the first segments, shape [E, B].
        returns_2: Predicted returns of the second segments, shape [E, B].

    Returns:
        Variance across members of sigmoid(returns_1 - returns_2), shape [B], from 0 to 1/4.
    """
    differences = np.asarray(returns_1, dtype=np.float64) - returns_2
    preferences = 0.5 + 0.5 * np.tanh(0.5 * differences)  # the sigmoid, without overflow
    variances: npt.NDArray[np.float64] = preferences.var(axis=0)
    return variances


def _from_pool(
    uniform: UniformStrategy,
    source: SegmentSource,
    n: int,
    choose: Callable[[Places], Places],
    *,
    n_segments: int,
    length: int,
    rng: np.random.Generator,
) -> list[Group]:
    """Draw a pool ten times as large, have as many of its places chosen as are needed, and group them.

    Where the pool has fewer, as little is recorded, the groups are those drawn first.
    """
    if n == 0:
        return []
    drawn = uniform.draw(source, n * POOL_FACTOR, n_segments=n_segments, length=length, rng=rng)
    pool = np.unique(drawn.reshape(-1, 3), axis=0)
    return _cut(source, choose(pool).reshape(n, -1, 3) if len(pool) >= n * n_segments else drawn[:n])


def _cut(source: SegmentSource, groups: npt.NDArray[np.int64]) -> list[Group]:
    """Return the segments at places [n, K, 3]."""
    return [tuple(source.segment_at(place) for place in places) for places in groups]


def _look_at(places: Places, source: SegmentSource, predict_returns: PredictReturns) -> npt.NDArray[np.float64]:
    """Return predicted returns of the segments at `places`, shape [E, n], cutting a few at a time."""

    def parts() -> Iterator[npt.NDArray[np.float64]]:
        for start in range(0, len(places), AT_ONCE):
            yield predict_returns([source.segment_at(place) for place in places[start : start + AT_ONCE]])

    return np.concatenate(list(parts()), axis=1)


def _without_repeats(groups: npt.NDArray[np.int64], *, at_least: int) -> npt.NDArray[np.int64]:
    """Return the different groups in their order; all of them where the different ones are fewer than that."""
    _, first = np.unique(groups, axis=0, return_index=True)
    return groups[np.sort(first)] if len(first) >= at_least else groups


def _numbers(places: Places, sizes: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return a number for each place, shape [n], the same for the same one."""
    numbers: npt.NDArray[np.int64] = np.ravel_multi_index(tuple(places.T), sizes)
    return numbers


def _some(rng: np.random.Generator, n: int, size: int) -> npt.NDArray[np.int64]:
    """Return `size` numbers below `n`, none twice."""
    return rng.choice(n, size=size, replace=False)


def _enough(places: Places, n_segments: int, length: int) -> Places:
    if len(places) < n_segments:
        raise NotEnoughExperienceError(
            f"A query needs {n_segments} different segments of {length} steps, and {len(places)} can be cut from "
            "what was recorded; record more steps or make segments shorter."
        )
    return places
