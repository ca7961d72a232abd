"""How probable a reward calls what was answered, and what share of answers it takes to be wrong.

An answer says the opposite of what is meant with probability w: P[answer] = (1 - w) P + w (1 - P), where P is that
of Bradley and Terry. It is the mixture of `prefrl.reward.losses` with an error rate of 2 w, and the model of one
annotator of Crowd-BT (Chen et al. 2013, "Pairwise ranking aggregation in a crowdsourced setting", section 3) with
eta = 1 - w.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

FloatArray = npt.NDArray[np.float64]

PRIOR_ANSWERS = 20.0
"""So many answers weigh as much as what was assumed before there were any."""
LEAST_PROBABILITY = 1e-6
"""Nothing is called less probable than that: in float32 it would be 0."""
_HALVINGS = 50


class Answered(NamedTuple):
    """What a reward says of answers. Pairs that are called equal, or that are none, are not decided."""

    probabilities: Tensor
    """P of what was answered of each two segments, without an error rate, shape [n, P]."""
    is_decided: Tensor
    """Whether one of the two was preferred, shape [n, P]."""

    @property
    def weights(self) -> Tensor:
        """How much each pair counts, shape [n, P]: all of a ranking together as much as one answer."""
        return self.is_decided / self.is_decided.sum(dim=1, keepdim=True).clamp(min=1)


def answered(logits: Tensor, preferences: Tensor, judges: Tensor) -> Answered:
    """Return how probable answers are to the mean of those members that judge them.

    Args:
        logits: Of the earlier of each two segments being better, shape [E, n, P].
        preferences: As answered, 1, 0 or 1/2, shape [n, P]; NaN for pairs that a comparison has not.
        judges: Whether a member judges a comparison, shape [E, n]; one does, at least.
    """
    shares = judges / judges.sum(dim=0)
    first = (logits.sigmoid() * shares[..., None]).sum(dim=0)
    said = torch.where(preferences > 0.5, first, 1 - first)
    is_decided = ~preferences.isnan() & (preferences != 0.5)
    return Answered(said.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY), is_decided)


def wrong_share(probabilities: FloatArray, weights: FloatArray, assumed: float) -> float:
    """Return the share w of answers that say the opposite of what is meant, by maximum a posteriori.

    The logarithm of the likelihood is concave in w, and so is that of the prior, a beta distribution whose mode is
    `assumed` and which weighs as much as `PRIOR_ANSWERS` answers whose error was seen. So its slope has one zero.

    Args:
        probabilities: P of each answer, in (0, 1), shape [m].
        weights: How much each counts, shape [m].
        assumed: What is returned where there is no answer, in [0, 1).
    """
    slopes = 1 - 2 * probabilities
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        told = float((weights * slopes / (probabilities + share * slopes)).sum())
        before = PRIOR_ANSWERS * (assumed / share - (1 - assumed) / (1 - share))
        low, high = (share, high) if told + before > 0 else (low, share)
    return (low + high) / 2
