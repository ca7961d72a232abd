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
    is_rated = np.array([one.rating is not None for one in predicted], dtype=bool)
    found = np.full((3, len(predicted)), np.nan)
    if not is_rated.all():
        of_several = [one for one in predicted if one.rating is None]
        found[:, ~is_rated] = _of_several(of_several, error_rate)
    if is_rated.any():
        levels = np.array([one.rating for one in predicted if one.rating is not None])
        returns = np.hstack([one.returns for one in predicted if one.rating is not None])
        found[:, is_rated] = _of_rated(returns, levels, error_rate)
    return Evaluation(*found)


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


def _of_several(predicted: Sequence[Predicted], error_rate: float) -> FloatArray:
    """Return rightness, loss and disagreement, shape [3, n], of comparisons of two segments or more."""
    returns = np.hstack([one.returns for one in predicted])
    sizes = np.array([one.returns.shape[1] for one in predicted])
    pairs = [pairs_of(size) for size in sizes]
    counts = np.array([len(own) for own in pairs])
    begins = np.cumsum(sizes) - sizes
    both = np.array([(i + at, j + at) for at, own in zip(begins, pairs, strict=True) for i, j in own])
    logits = preference_logits(torch.as_tensor(returns[:, both]))[..., 0]
    preferences = np.concatenate([one.preferences for one in predicted])
    right, log_loss, disagreement = _of_pairs(logits, preferences, error_rate)
    decided = preferences != 0.5
    return np.stack(
        [
            _means(right, decided, counts),
            _means(log_loss, decided, counts),
            _means(disagreement, np.ones_like(decided), counts),
        ]
    )


def _of_rated(returns: FloatArray, levels: npt.NDArray[np.int64], error_rate: float) -> FloatArray:
    """Return the same of rated segments, each compared with the others: returns [E, n] and levels [n]."""
    n = len(levels)
    others = np.arange(0, n, 1 + n // (MOST_RATED + 1))
    logits = torch.as_tensor(returns[:, :, None] - returns[:, None, others])
    preferences = 0.5 + 0.5 * np.sign(levels[:, None] - levels[None, others])
    right, log_loss, disagreement = _of_pairs(logits, preferences, error_rate)
    decided, is_other = preferences != 0.5, np.arange(n)[:, None] != others[None, :]
    return np.stack(
        [_row_means(right, decided), _row_means(log_loss, decided), _row_means(disagreement, is_other)]
    )


def _of_pairs(
    logits: Tensor, preferences: FloatArray, error_rate: float
) -> tuple[npt.NDArray[np.bool_], FloatArray, FloatArray]:
    """Return rightness, loss and disagreement of pairs with logits [E, *shape] and preferences [*shape]."""
    log_first, _ = preference_log_probabilities(logits, error_rate)
    probability = log_first.exp().mean(dim=0).numpy()
    right = np.where(preferences > 0.5, probability > 0.5, probability < 0.5)
    chosen = np.where(preferences > 0.5, probability, 1 - probability)
    with np.errstate(divide="ignore"):  # without an error rate a preference may be predicted with certainty
        log_loss = -np.log(chosen)
    return right, log_loss, logits.sigmoid().numpy().std(axis=0)


def _means(values: npt.NDArray[Any], counted: npt.NDArray[np.bool_], sizes: npt.NDArray[np.int64]) -> FloatArray:
    """Return the mean of what counts in each of some groups, one behind the other; NaN where nothing does."""
    begins = np.cumsum(sizes) - sizes
    n_counted = np.add.reduceat(counted.astype(np.int64), begins)
    sums = np.add.reduceat(np.where(counted, values, 0.0), begins)
    means: FloatArray = np.divide(sums, n_counted, out=np.full(len(sizes), np.nan), where=n_counted > 0)
    return means


def _row_means(values: npt.NDArray[Any], counted: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the mean of what counts in each row; NaN where nothing does."""
    n_counted = counted.sum(axis=1)
    sums = np.where(counted, values, 0.0).sum(axis=1)
    means: FloatArray = np.divide(sums, n_counted, out=np.full(len(values), np.nan), where=n_counted > 0)
    return means
