"""Strategies that choose segments by their predicted return, and then put them together."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from prefrl.feedback.strategies.interface import Group, Places, PredictReturns, SegmentSource
from prefrl.feedback.strategies.pools import POOL_FACTOR, cut, look_at
from prefrl.feedback.strategies.uniform import UniformStrategy
from prefrl.settings import FeedbackSettings

N_BINS = 8
"""Bins over the range of predicted return, for the spread."""


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
            weights = spread_weights(look_at(pool, source, predict_returns).mean(axis=0), N_BINS)
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
            returns = look_at(pool, source, predict_returns)
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
    return cut(source, choose(pool).reshape(n, -1, 3) if len(pool) >= n * n_segments else drawn[:n])
