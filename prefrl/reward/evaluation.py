"""What an ensemble says of comparisons that it was not trained on, beside what was answered."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prefrl.reward.ensemble import RewardEnsemble
from prefrl.reward.losses import preference_log_probabilities, preference_logits
from prefrl.segments import Comparison, pairs_of

FloatArray = npt.NDArray[np.float64]

MOST_RATED = 256
"""Rated segments that others are compared with, at most: of thousands, each two would not fit into memory."""


class Predicted(NamedTuple):
    """What members say of one comparison, and what was answered."""

    returns: FloatArray
    """Of its segments, shape [E, K]."""
    preferences: Sequence[float]
    """Of each two of them, as in `Comparison`."""
    rating: int | None
    """As there."""


class Evaluation(NamedTuple):
    """What the ensemble says of comparisons, each of shape [n].

    Of a ranking it is the mean of its pairs of segments. A rating is compared with the others among the
    comparisons: of each two of different levels, the higher one is better. Of one that can be compared with none
    nothing is known, which is NaN.
    """

    right: FloatArray
    """Whether the mean of members ranks each as answered, 1 or 0, or the share of its pairs; NaN for ties."""
    log_loss: FloatArray
    """Of that mean, -log P' of the answer in nats; NaN for ties."""
    disagreement: FloatArray
    """Standard deviation over members of the preference they predict, from 0 to 1/2."""


def predict(ensemble: RewardEnsemble, comparisons: Sequence[Comparison]) -> list[Predicted]:
    """Return what members say of comparisons, of any number of segments each."""
    if not comparisons:
        return []
    returns = ensemble.returns([segment for comparison in comparisons for segment in comparison.segments])
    ends = np.cumsum([len(comparison.segments) for comparison in comparisons])
    own = np.split(returns, ends[:-1], axis=1)
    return [Predicted(these, one.preferences, one.rating) for these, one in zip(own, comparisons, strict=True)]


def evaluate(predicted: Sequence[Predicted], error_rate: float) -> Evaluation:
    """Return how right members are about comparisons, those that were rated beside each other.

    Args:
        predicted: What they say of them.
        error_rate: As in `prefrl.reward.losses.preference_log_probabilities`.
    """
    pairs, n = _pairs(predicted), len(predicted)
    answered = _answered(pairs, error_rate)
    with np.errstate(divide="ignore"):  # without an error rate a preference may be predicted with certainty
        log_loss = -np.log(answered)
    disagreement = pairs.logits.sigmoid().numpy().std(axis=0)
    decided = pairs.preferences != 0.5
    return Evaluation(
        right=_means(answered > 0.5, pairs.owners, decided, n),
        log_loss=_means(log_loss, pairs.owners, decided, n),
        disagreement=_means(disagreement, pairs.owners, np.ones_like(decided), n),
    )


def answered_probabilities(predicted: Sequence[Predicted], error_rate: float) -> FloatArray:
    """Return how probable the members' mean called what was answered, of every decided pair of segments once.

    Args:
        predicted: What they say of comparisons; those that were rated are pairs of each other.
        error_rate: As in `prefrl.reward.losses.preference_log_probabilities`.

    Returns:
        Mean over members of P' of the answer, shape [P]; ties are left out.
    """
    pairs = _pairs(predicted)
    once: FloatArray = _answered(pairs, error_rate)[(pairs.preferences != 0.5) & pairs.is_first_time]
    return once


def probabilities_of(predicted: Sequence[Predicted], error_rate: float) -> FloatArray:
    """Return how probable the members' mean called each comparison.

    Args:
        predicted: As of `answered_probabilities`.
        error_rate: As there.

    Returns:
        P' of the answer, shape [n]: of a ranking the mean of its pairs, of a rating of those that it makes with
        others; NaN for ties.
    """
    pairs = _pairs(predicted)
    return _means(_answered(pairs, error_rate), pairs.owners, pairs.preferences != 0.5, len(predicted))


def rated_pairs(returns: Tensor, ratings: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and preferences of each two that were rated, both of shape [E, P].

    Args:
        returns: Of segments, shape [E, n].
        ratings: Their levels, 0 where there is none, shape [E, n].

    Returns:
        The logit that the earlier one is preferred; 1, 0, or ½ where both have the same level, or one has none. Of
        more than `MOST_RATED`, some evenly among them.
    """
    some = torch.arange(0, returns.shape[1], 1 + returns.shape[1] // (MOST_RATED + 1), device=returns.device)
    second, first = torch.tril_indices(len(some), len(some), -1, device=returns.device)
    own = ratings[:, some].float()
    are_rated = (own[:, first] > 0) & (own[:, second] > 0)
    preferences = 0.5 + 0.5 * torch.sign(own[:, first] - own[:, second]) * are_rated
    return preference_logits(returns[:, some]), preferences


class _Pairs(NamedTuple):
    """Each two segments that are compared, as far as members say something of both."""

    logits: Tensor
    """Of the first being better, shape [E, P]."""
    preferences: FloatArray
    """As answered, shape [P]."""
    owners: npt.NDArray[np.int64]
    """Number of the comparison that each belongs to, shape [P]."""
    is_first_time: npt.NDArray[np.bool_]
    """False for the second of the same two, where both of them own the pair, shape [P]."""


def _pairs(predicted: Sequence[Predicted]) -> _Pairs:
    """Return the pairs of comparisons of several segments, and of ratings beside each other."""
    numbers = np.arange(len(predicted))
    is_rated = np.array([one.rating is not None for one in predicted], dtype=bool)
    parts = []
    if not is_rated.all():
        parts.append(_of_several([one for one in predicted if one.rating is None], numbers[~is_rated]))
    if is_rated.any():
        parts.append(_of_rated([one for one in predicted if one.rating is not None], numbers[is_rated]))
    if not parts:
        none = np.empty(0)
        return _Pairs(torch.empty(1, 0), none, none.astype(np.int64), none.astype(bool))
    logits, *others = zip(*parts, strict=True)
    return _Pairs(torch.cat(logits, dim=1), *map(np.concatenate, others))


def _of_several(predicted: Sequence[Predicted], numbers: npt.NDArray[np.int64]) -> _Pairs:
    """Return the pairs of comparisons of two segments or more, which have these numbers."""
    returns = np.hstack([one.returns for one in predicted])
    sizes = np.array([one.returns.shape[1] for one in predicted])
    pairs = [pairs_of(size) for size in sizes]
    begins = np.cumsum(sizes) - sizes
    both = np.array([(i + at, j + at) for at, own in zip(begins, pairs, strict=True) for i, j in own])
    preferences = np.concatenate([one.preferences for one in predicted])
    return _Pairs(
        preference_logits(torch.as_tensor(returns[:, both]))[..., 0],
        preferences,
        np.repeat(numbers, [len(own) for own in pairs]),
        np.ones(len(preferences), dtype=bool),
    )


def _of_rated(predicted: Sequence[Predicted], numbers: npt.NDArray[np.int64]) -> _Pairs:
    """Return the pairs that each segment that was rated makes with the others, or with some of many."""
    levels = np.array([one.rating for one in predicted])
    returns = np.hstack([one.returns for one in predicted])
    n = len(levels)
    some = np.arange(0, n, 1 + n // (MOST_RATED + 1))
    own, others = (index.ravel() for index in np.meshgrid(np.arange(n), some, indexing="ij"))
    own, others = own[own != others], others[own != others]
    return _Pairs(
        torch.as_tensor(returns[:, own] - returns[:, others]),
        0.5 + 0.5 * np.sign(levels[own] - levels[others]),
        numbers[own],
        (own < others) | ~np.isin(own, some),
    )


def _answered(pairs: _Pairs, error_rate: float) -> FloatArray:
    """Return the mean over members of P' of what was answered, shape [P]; of ties that of the second."""
    log_first, _ = preference_log_probabilities(pairs.logits, error_rate)
    first: FloatArray = log_first.exp().mean(dim=0).numpy()
    return np.where(pairs.preferences > 0.5, first, 1 - first)


def _means(
    values: npt.NDArray[Any], owners: npt.NDArray[np.int64], counted: npt.NDArray[np.bool_], n: int
) -> FloatArray:
    """Return the mean of what counts of each of `n` comparisons; NaN where nothing does."""
    n_counted = np.bincount(owners[counted], minlength=n)
    sums = np.bincount(owners[counted], weights=values[counted], minlength=n)
    means: FloatArray = np.divide(sums, n_counted, out=np.full(n, np.nan), where=n_counted > 0)
    return means
