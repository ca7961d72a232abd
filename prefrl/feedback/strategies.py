"""Which segments are put to somebody: pairs at random, spread over what is predicted, or most disputed.

All favour what the present policy does: a share of the segments is drawn from recent experience.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from prefrl.errors import NotEnoughExperienceError, SettingError
from prefrl.segments import Segment

Pair: TypeAlias = tuple[Segment, Segment]
PredictReturns: TypeAlias = Callable[[Sequence[Segment]], npt.NDArray[np.float64]]
"""Predicted return of each segment by each member of an ensemble, shape [E, n]."""

_MAX_REDRAWS = 100
"""With two start positions a redraw fails one time in two, so 100 failures in a row mean there is one."""


class SegmentSource(Protocol):
    """Experience that segments can be cut from, such as a `SegmentRecorder`."""

    def sample(
        self, n: int, *, length: int, rng: np.random.Generator, recent_steps: int | None = None
    ) -> list[Segment]:
        """Return `n` segments, uniform over all start positions, or over those in the `recent_steps` last."""


class Selector(Protocol):
    """A rule by which segments are paired for queries."""

    def select(
        self,
        recorder: SegmentSource,
        n: int,
        *,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Pair]:
        """Return `n` pairs of segments of `length` steps."""


class UniformSelector:
    """Pairs of segments drawn independently of each other and of what was learned.

    Args:
        recent_share: Share of the segments that is drawn from recent experience only, 0 to 1. The default of
            0.7 keeps the comparisons near the present policy, and three in ten anywhere in what is recorded.
        recent_steps: What counts as recent: that many last steps of each environment. The default is ten
            rollouts of 256 steps.

    Raises:
        SettingError: A value cannot be.
    """

    def __init__(self, *, recent_share: float = 0.7, recent_steps: int = 2560) -> None:
        """Check and keep the settings."""
        if not 0 <= recent_share <= 1:
            raise SettingError(f"`recent_share` must lie between 0 and 1. Received {recent_share}.")
        if recent_steps < 1:
            raise SettingError(f"`recent_steps` must be at least 1. Received {recent_steps}.")
        self._recent_share = recent_share
        self._recent_steps = recent_steps

    def select(
        self,
        recorder: SegmentSource,
        n: int,
        *,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Pair]:
        """Draw `n` pairs; no pair holds the same segment twice.

        Args:
            recorder: What to cut segments from.
            n: Number of pairs.
            length: Steps per segment.
            rng: Random numbers.
            predict_returns: Not asked.

        Raises:
            NotEnoughExperienceError: There is not enough recorded to cut two different segments from.
            SettingError: `length` is greater than `recent_steps`.
        """
        return self.draw(recorder, n, length=length, rng=rng)

    def draw(self, recorder: SegmentSource, n: int, *, length: int, rng: np.random.Generator) -> list[Pair]:
        """Draw `n` pairs, as `select` does, without a prediction to hand."""
        if self._recent_share > 0 and self._recent_steps < length:
            raise SettingError(
                f"No segment of {length} steps fits into `recent_steps`={self._recent_steps}; make it larger."
            )
        is_recent = np.arange(2 * n) < round(2 * n * self._recent_share)
        rng.shuffle(is_recent)
        recent = iter(self._sample(recorder, int(is_recent.sum()), True, length=length, rng=rng))
        older = iter(self._sample(recorder, int((~is_recent).sum()), False, length=length, rng=rng))
        drawn = [next(recent if flag else older) for flag in is_recent]
        pairs = []
        for first, second, flag in zip(drawn[::2], drawn[1::2], is_recent[1::2], strict=True):
            pairs.append((first, self._other(recorder, first, second, bool(flag), length=length, rng=rng)))
        return pairs

    def _sample(
        self, recorder: SegmentSource, n: int, recent: bool, *, length: int, rng: np.random.Generator
    ) -> list[Segment]:
        if n == 0:
            return []
        return recorder.sample(n, length=length, rng=rng, recent_steps=self._recent_steps if recent else None)

    def _other(
        self,
        recorder: SegmentSource,
        first: Segment,
        second: Segment,
        recent: bool,
        *,
        length: int,
        rng: np.random.Generator,
    ) -> Segment:
        """Return `second`, or another one drawn like it if it is the same segment as `first`."""
        for _ in range(_MAX_REDRAWS):
            if not _same(first, second):
                return second
            (second,) = self._sample(recorder, 1, recent, length=length, rng=rng)
        raise NotEnoughExperienceError(
            f"Only one segment of {length} steps can be cut from what was recorded; a query needs two "
            "different ones, so record more steps or make segments shorter."
        )


class DisagreementSelector:
    """The pairs on which an ensemble disagrees most, out of a larger random pool.

    Disagreement is the variance, across members, of the predicted probability that the first segment is
    preferred (Christiano et al. 2017, section 2.2.4).

    Args:
        pool_factor: How many pairs are looked at for each one chosen; the paper has 10.
        recent_share: As for `UniformSelector`, which draws the pool.
        recent_steps: As for `UniformSelector`.

    Raises:
        SettingError: A value cannot be.
    """

    def __init__(self, *, pool_factor: int = 10, recent_share: float = 0.7, recent_steps: int = 2560) -> None:
        """Check and keep the settings."""
        if pool_factor < 1:
            raise SettingError(f"`pool_factor` must be at least 1. Received {pool_factor}.")
        self._pool_factor = pool_factor
        self._pool = UniformSelector(recent_share=recent_share, recent_steps=recent_steps)

    def select(
        self,
        recorder: SegmentSource,
        n: int,
        *,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Pair]:
        """Draw a pool and return the `n` pairs of most disagreement, the most first.

        Args:
            recorder: What to cut segments from.
            n: Number of pairs.
            length: Steps per segment.
            rng: Random numbers.
            predict_returns: Predicted return per member and segment, shape [E, n]; asked once.

        Raises:
            NotEnoughExperienceError: There is not enough recorded to cut two different segments from.
            SettingError: The ensemble has a single member, which cannot disagree, or `length` is greater than
                `recent_steps`.
        """
        if n == 0:
            return []
        pool = self._pool.draw(recorder, n * self._pool_factor, length=length, rng=rng)
        returns = predict_returns([segment for pair in pool for segment in pair])
        if len(returns) < 2:
            raise SettingError(
                f"Choosing by disagreement needs an ensemble of at least 2 members. Received {len(returns)}."
            )
        order = np.argsort(-disagreement(returns[:, ::2], returns[:, 1::2]), kind="stable")
        return [pool[i] for i in order[:n]]


class SpreadSelector:
    """Segments spread evenly over the range of predicted return.

    Most of what an agent does is alike, and comparisons of the like teach little: of a Hopper's clips most show it
    lying on the floor between two flips. This draws a larger random pool, sorts its segments into bins of equal
    width by their predicted return (mean over members), draws from all bins alike, and pairs at random. Before the
    first fit, when every prediction is 0, it draws uniformly.

    Args:
        pool_factor: How many segments are looked at for each one chosen.
        n_bins: Bins over the range of predicted return.
        recent_share: As for `UniformSelector`, which draws the pool.
        recent_steps: As for `UniformSelector`.

    Raises:
        SettingError: A value cannot be.
    """

    def __init__(
        self,
        *,
        pool_factor: int = 10,
        n_bins: int = 8,
        recent_share: float = 0.7,
        recent_steps: int = 2560,
    ) -> None:
        """Check and keep the settings."""
        if pool_factor < 1 or n_bins < 1:
            raise SettingError(
                f"`pool_factor` and `n_bins` must be at least 1. Received {pool_factor} and {n_bins}."
            )
        self._pool_factor = pool_factor
        self._n_bins = n_bins
        self._pool = UniformSelector(recent_share=recent_share, recent_steps=recent_steps)

    def select(
        self,
        recorder: SegmentSource,
        n: int,
        *,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Pair]:
        """Draw a pool and return `n` pairs from it; no segment is in two of them.

        Args:
            recorder: What to cut segments from.
            n: Number of pairs.
            length: Steps per segment.
            rng: Random numbers.
            predict_returns: Predicted return per member and segment, shape [E, n]; asked once.

        Raises:
            NotEnoughExperienceError: There is not enough recorded to cut that many different segments from.
            SettingError: `length` is greater than `recent_steps`.
        """
        if n == 0:
            return []
        drawn = self._pool.draw(recorder, n * self._pool_factor, length=length, rng=rng)
        pool = list({segment.id: segment for pair in drawn for segment in pair}.values())
        if len(pool) < 2 * n:
            return drawn[:n]
        weights = spread_weights(predict_returns(pool).mean(axis=0), self._n_bins)
        chosen = rng.choice(len(pool), size=2 * n, replace=False, p=weights)
        return [(pool[i], pool[j]) for i, j in zip(chosen[::2], chosen[1::2], strict=True)]


def spread_weights(values: npt.NDArray[np.floating], n_bins: int) -> npt.NDArray[np.float64]:
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
    returns_1: npt.NDArray[np.floating], returns_2: npt.NDArray[np.floating]
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


def _same(first: Segment, second: Segment) -> bool:
    """Tell whether two segments are one; the hash is computed only where their places agree."""
    places = [(segment.env_index, segment.episode, segment.start) for segment in (first, second)]
    return places[0] == places[1] and first.id == second.id
