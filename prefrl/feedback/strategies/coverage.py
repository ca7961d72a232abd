"""Coverage: what segments look like, in numbers, and queries that differ in it."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from prefrl.feedback.strategies.interface import Group, Places, PredictReturns, SegmentSource
from prefrl.feedback.strategies.pools import POOL_FACTOR, cut, in_parts, without_repeats
from prefrl.feedback.strategies.uniform import UniformStrategy
from prefrl.segments import Segment, pairs_of
from prefrl.settings import FeedbackSettings

GRID = 8
"""Cells along each axis of an image, which are looked at by their means."""
STEPS_LOOKED_AT = 8
"""Steps of a segment of images that are looked at."""

Features = npt.NDArray[np.float64]


class DiverseStrategy:
    """Queries that differ from each other: of a random pool ten times as large, those that cover it best.

    The first of the pool, and then again and again the one that is farthest from all that were chosen (the greedy
    algorithm for k centres: Gonzalez 1985; Sener and Savarese 2018, algorithm 1; "coverage" in Lee et al. 2021).
    How far two queries are apart says `features_of_groups`; what was learned counts for nothing.

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
        """Draw a pool and return `n` groups of it, in the order in which they were chosen."""
        if n == 0:
            return []
        pool = self._pool.draw(source, n * POOL_FACTOR, n_segments=n_segments, length=length, rng=rng)
        pool = without_repeats(pool, at_least=n)
        return cut(source, pool[farthest_first(features_of_groups(pool, source), n)])


class NearPolicyStrategy:
    """Queries about what the policy does now, whose segments differ.

    All segments are of the `recent_steps` last of their environment, whatever `recent_share` says: labels are
    worth most where the agent is (query-policy alignment, Hu et al. 2024). A policy does much the same most of the
    time, and people cannot compare what looks the same. So twice as many groups are drawn at random, and those are
    asked whose two most similar segments differ more. Segments that are rated alone are drawn at random.

    Args:
        settings: `recent_steps` tells what is recent.

    Raises:
        SettingError: No segment fits into `recent_steps`.
    """

    least_members = 1

    def __init__(self, settings: FeedbackSettings = FeedbackSettings()) -> None:
        self._pool = UniformStrategy(replace(settings, recent_share=1.0))

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
        """Draw twice as many groups and return the `n` whose segments differ more, in the order drawn."""
        if n == 0 or n_segments == 1:
            return cut(source, self._pool.draw(source, n, n_segments=n_segments, length=length, rng=rng))
        pool = self._pool.draw(source, 2 * n, n_segments=n_segments, length=length, rng=rng)
        pool = without_repeats(pool, at_least=n)
        features = features_of(pool.reshape(-1, 3), source).reshape(len(pool), n_segments, -1)
        gaps = [((features[:, i] - features[:, j]) ** 2).sum(axis=1) for i, j in pairs_of(n_segments)]
        order = np.argsort(-np.min(gaps, axis=0), kind="stable")
        return cut(source, pool[np.sort(order[:n])])


def features_of(places: Places, source: SegmentSource) -> Features:
    """Return what the segments at `places` look like, shape [n, F], each number with mean 0 and sd 1 over them.

    That is mean and standard deviation, over the steps of a segment, of everything observed and done. Images,
    which are arrays of two axes and more, are first made small: means over a grid of cells, at some of the steps.
    No reward is needed, so the same is said before the first fit; categories count as their numbers.
    """
    features = np.concatenate(
        [np.stack([_features(segment) for segment in part]) for part in in_parts(places, source)]
    )
    least = 1e-9 * np.abs(features).max(axis=0)  # what varies by less does so by rounding
    features -= features.mean(axis=0)
    sds = features.std(axis=0)
    features /= np.where(sds > least, sds, np.inf)
    return features


def features_of_groups(groups: npt.NDArray[np.int64], source: SegmentSource) -> Features:
    """Return what groups of segments look like, shape [n, 2 F]: mean and sd over the segments of each.

    So their order does not count. Two pairs are near each other where they show the same on average, and the two
    segments of each differ by as much.

    Args:
        groups: Places, shape [n, K, 3].
        source: Where segments are cut.
    """
    features = features_of(groups.reshape(-1, 3), source).reshape(*groups.shape[:2], -1)
    return np.concatenate([features.mean(axis=1), features.std(axis=1)], axis=1)


def farthest_first(points: Features, n: int) -> npt.NDArray[np.int64]:
    """Return which `n` points cover all best, nearly: the first one, then ever the one farthest from all chosen.

    No point is farther from those chosen than twice what is possible with `n` (Gonzalez 1985). O(n · points · F).

    Args:
        points: Shape [m, F], with m at least `n`.
        n: How many.
    """
    chosen = np.zeros(n, dtype=np.int64)
    gaps = np.full(len(points), np.inf)
    for i in range(1, n):
        gaps = np.minimum(gaps, ((points - points[chosen[i - 1]]) ** 2).sum(axis=1))
        gaps[chosen[:i]] = -1.0  # not again, where all others look the same as one that was chosen
        chosen[i] = gaps.argmax()
    return chosen


def _features(segment: Segment) -> Features:
    parts = []
    for values in (segment.observations, segment.actions):
        if values.ndim > 2:
            values = _small(values[:: -(-len(values) // STEPS_LOOKED_AT)])
        flat = values.reshape(len(values), -1).astype(np.float64)
        parts += [flat.mean(axis=0), flat.std(axis=0)]
    return np.concatenate(parts)


def _small(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the means over cells of images [T, ...], with no axis but the first longer than GRID."""
    for axis in range(1, images.ndim):
        starts = np.arange(0, images.shape[axis], -(-images.shape[axis] // GRID))
        sizes = np.diff(starts, append=images.shape[axis])
        sums = np.add.reduceat(images, starts, axis=axis, dtype=np.float64)
        images = sums / np.expand_dims(sizes, tuple(i for i in range(sums.ndim) if i != axis))
    return images
