"""Which answers are trained on as they were said: a filter of wrong ones.

After RIME (Cheng et al. 2024, "RIME: Robust preference-based reinforcement learning with noisy preferences", ICML,
section 4.1), which trusts an answer by KL = -log P[answer]. Three things differ here. An answer is judged by the
members that are not trained on it (Northcutt et al. 2021, "Confident learning", section 3): a network that has
learned a wrong answer by heart calls it probable. P is without the error rate of the loss, with which no KL could
be beyond -log(error_rate / 2). And the bound is not RIME's, -log rho + rho / 2 + beta s, which finds a few of the
wrong answers where answers are noisy (docs/method.md); it comes from the share of wrong ones that the same KL tell
of.
"""

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from prefrl.reward.wrong_answers import Answered, wrong_share

FLIP_FROM = -math.log(0.001)
"""KL from which on an answer is turned round, where that is wanted: RIME's upper bound."""
AS_LIKELY_AS_NOT = math.log(2)
"""What the reward itself would have said is never distrusted."""


class Heard(NamedTuple):
    """What of the answers is trained on."""

    preferences: Tensor
    """Of each two segments, shape [n, P]; NaN for pairs that are left out, or that a comparison has not."""
    is_distrusted: Tensor
    """Whether a pair of the comparison is not trained on as it was said, shape [n]."""
    is_left_out: Tensor
    """Whether nothing of the comparison is trained on, shape [n]."""


def trust_bound(said: Answered, error_rate: float) -> float:
    """Return the KL below which answers are trusted.

    Of an answer of probability P, where a share w of all is wrong, the odds of being wrong are w (1 - P) to
    (1 - w) P. They are above 1 where P < w, so the bound is -log w.

    Args:
        said: What the reward says of the answers.
        error_rate: Twice the share of wrong answers that is assumed before there are any.
    """
    known = said.is_decided.cpu().numpy()
    probabilities, weights = said.probabilities.cpu().numpy()[known], said.weights.cpu().numpy()[known]
    share = wrong_share(probabilities.astype(np.float64), weights.astype(np.float64), error_rate / 2)
    return max(AS_LIKELY_AS_NOT, -math.log(share))


def heard(said: Answered, preferences: Tensor, bound: float, *, flips: bool) -> Heard:
    """Return what is trained on: pairs that are not decided as they are, others where they are trusted.

    Args:
        said: What the reward says of the answers.
        preferences: The answers, as of `answered`.
        bound: From `trust_bound`.
        flips: Whether what lies beyond `FLIP_FROM` is turned round instead of left out.
    """
    kl = -said.probabilities.log()
    is_distrusted = said.is_decided & (kl >= bound)
    kept = preferences.masked_fill(is_distrusted, math.nan)
    if flips:
        kept = kept.where(~(is_distrusted & (kl > FLIP_FROM)), 1 - preferences)
    were_there = ~preferences.isnan()  # a rating has no pair, and is trained on
    is_left_out = were_there.any(dim=1) & kept.isnan().all(dim=1)
    return Heard(kept, is_distrusted.any(dim=1), is_left_out)
