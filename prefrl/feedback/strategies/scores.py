"""Strategies that ask about the queries of highest score, where the score is how unsure the ensemble is."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from prefrl.feedback.strategies.coverage import farthest_first, features_of_groups
from prefrl.feedback.strategies.interface import Group, PredictReturns, SegmentSource
from prefrl.feedback.strategies.pools import POOL_FACTOR, cut, look_at, without_repeats
from prefrl.feedback.strategies.uniform import UniformStrategy
from prefrl.segments import pairs_of
from prefrl.settings import FeedbackSettings

Returns = npt.NDArray[np.floating[Any]]
"""Predicted returns by member and query, shape [E, B]."""

COVER_FACTOR = 5
"""How many queries of highest score the varied ones are chosen from, for each; half of the pool, as in B-Pref."""


class ScoredStrategy(ABC):
    """The queries of highest score, out of a random pool ten times as large.

    Of more than two segments, the score is the mean over their pairs. Where each is rated alone, it is that of the
    segment against the mean of the pool. Before the first fit, when every prediction is 0, all scores are the same
    and those drawn first are taken. A kind of score is a subclass.

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
        """Draw a pool and return the `n` groups of highest score, the highest first."""
        if n == 0:
            return []
        pool = self._pool.draw(source, n * POOL_FACTOR, n_segments=n_segments, length=length, rng=rng)
        if n_segments == 1:
            pool = without_repeats(pool, at_least=n)
        returns = look_at(pool.reshape(-1, 3), source, predict_returns)
        scores = self.scores(returns.reshape(len(returns), len(pool), n_segments))
        return cut(source, self._best(pool[np.argsort(-scores, kind="stable")], n, source))

    @abstractmethod
    def score(self, returns_1: Returns, returns_2: Returns) -> npt.NDArray[np.float64]:
        """Return how much is to be learned from each pair, shape [B], whichever segment is the first.

        Args:
            returns_1: Predicted returns of the first segments, shape [E, B].
            returns_2: Predicted returns of the second segments, shape [E, B].
        """

    def scores(self, returns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the score of each group, shape [n], from predicted returns [E, n, K]."""
        if returns.shape[-1] == 1:
            pairs = [self.score(returns[..., 0], returns[..., 0].mean(axis=1, keepdims=True))]
        else:
            pairs = [self.score(returns[..., i], returns[..., j]) for i, j in pairs_of(returns.shape[-1])]
        means: npt.NDArray[np.float64] = np.mean(pairs, axis=0)
        return means

    def _best(self, ranked: npt.NDArray[np.int64], n: int, source: SegmentSource) -> npt.NDArray[np.int64]:
        """Choose `n` of the pool's groups, shape [n_pool, K, 3], of which those of highest score come first."""
        return ranked[:n]


def disagreement(returns_1: Returns, returns_2: Returns) -> npt.NDArray[np.float64]:
    """Return how much the members of an ensemble disagree on each pair.

    Args:
        returns_1: Predicted returns of the first segments, shape [E, B].
        returns_2: Predicted returns of the second segments, shape [E, B].

    Returns:
        Variance across members of sigmoid(returns_1 - returns_2), shape [B], from 0 to 1/4.
    """
    variances: npt.NDArray[np.float64] = _preferences(returns_1, returns_2).var(axis=0)
    return variances


def entropy(returns_1: Returns, returns_2: Returns) -> npt.NDArray[np.float64]:
    """Return how unsure an ensemble is of each pair, whatever the reason: the members disagree, or call it even.

    Args:
        returns_1: Predicted returns of the first segments, shape [E, B].
        returns_2: Predicted returns of the second segments, shape [E, B].

    Returns:
        Entropy of the mean over members of sigmoid(returns_1 - returns_2), shape [B], in nats: 0 to log 2.
    """
    return _entropy(_preferences(returns_1, returns_2).mean(axis=0))


def mutual_information(returns_1: Returns, returns_2: Returns) -> npt.NDArray[np.float64]:
    """Return how much an answer to each pair would tell about which member is right.

    That is the entropy less what would be left of it if it were known which member is right: pairs that every
    member calls even tell nothing. (BALD, Houlsby et al. 2011, equation 2; for comparisons Biyik et al. 2019.)

    Args:
        returns_1: Predicted returns of the first segments, shape [E, B].
        returns_2: Predicted returns of the second segments, shape [E, B].

    Returns:
        Mutual information of answer and member, shape [B], in nats: 0 to log 2.
    """
    of_members = _entropy(_preferences(returns_1, returns_2)).mean(axis=0)
    information: npt.NDArray[np.float64] = np.maximum(entropy(returns_1, returns_2) - of_members, 0.0)
    return information  # it was below 0 by rounding only


class DisagreementStrategy(ScoredStrategy):
    """The pairs on which an ensemble disagrees most, out of a random pool ten times as large.

    Disagreement is the variance, across members, of the predicted probability that the first segment is
    preferred (Christiano et al. 2017, section 2.2.4); of more segments, the mean of that over their pairs. Where
    each is rated alone, it is that of how far a segment lies above the mean of the pool.

    Args:
        settings: As for `UniformStrategy`, which draws the pool.
    """

    def score(self, returns_1: Returns, returns_2: Returns) -> npt.NDArray[np.float64]:
        """Return the variance of the predicted preference."""
        return disagreement(returns_1, returns_2)


class EntropyStrategy(ScoredStrategy):
    """The pairs of which an ensemble is least sure, out of a random pool ten times as large.

    By the entropy of the mean predicted preference (Lee et al. 2021, B-Pref), for which one member is enough. It
    is as large where two segments are equally good, or the same, as where members contradict each other.

    Args:
        settings: As for `UniformStrategy`, which draws the pool.
    """

    least_members = 1

    def score(self, returns_1: Returns, returns_2: Returns) -> npt.NDArray[np.float64]:
        """Return the entropy of the mean predicted preference."""
        return entropy(returns_1, returns_2)


class MutualInformationStrategy(ScoredStrategy):
    """The pairs whose answer tells most about which member is right, out of a random pool ten times as large.

    By `mutual_information`, which leaves out of the entropy what members agree to be even.

    Args:
        settings: As for `UniformStrategy`, which draws the pool.
    """

    def score(self, returns_1: Returns, returns_2: Returns) -> npt.NDArray[np.float64]:
        """Return the mutual information of answer and member."""
        return mutual_information(returns_1, returns_2)


class DisagreementDiverseStrategy(DisagreementStrategy):
    """Of the half of the pool on which an ensemble disagrees most, queries that differ from each other.

    What is asked in one round is otherwise often the same thing many times over. The varied ones are chosen as by
    `DiverseStrategy` (disagreement and coverage in B-Pref, Lee et al. 2021).

    Args:
        settings: As for `UniformStrategy`, which draws the pool.
    """

    def _best(self, ranked: npt.NDArray[np.int64], n: int, source: SegmentSource) -> npt.NDArray[np.int64]:
        ranked = ranked[: n * COVER_FACTOR]
        return ranked[farthest_first(features_of_groups(ranked, source), n)]


def _preferences(returns_1: Returns, returns_2: Returns) -> npt.NDArray[np.float64]:
    """Return the sigmoid of the differences, without overflow, shape [E, B]."""
    differences = np.asarray(returns_1, dtype=np.float64) - returns_2
    preferences: npt.NDArray[np.float64] = 0.5 + 0.5 * np.tanh(0.5 * differences)
    return preferences


def _entropy(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the entropies of coins, in nats."""
    tiny = np.finfo(np.float64).tiny  # 0 log 0 is 0
    entropies: npt.NDArray[np.float64] = -p * np.log(np.maximum(p, tiny)) - (1 - p) * np.log(
        np.maximum(1 - p, tiny)
    )
    return entropies
