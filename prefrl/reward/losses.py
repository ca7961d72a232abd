"""From returns of segments to the loss of the Bradley-Terry model, in log space throughout.

Pure functions on tensors. Christiano et al. 2017, section 2.2.3, with the label error of appendix A and of
Ibarz et al. 2018, A.3: P' = (1 - e) P + e / 2 with e = 0.1, a mixture (not label smoothing, not a clip), so that a
label which strongly contradicts the model stops pulling at it.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def segment_returns(rewards: Tensor, mask: Tensor) -> Tensor:
    """Sum rewards over the steps of a segment, undiscounted.

    Args:
        rewards: Predicted reward per step, shape [..., T].
        mask: 1 for steps of the segment, 0 for padding, broadcastable to `rewards`.

    Returns:
        Shape [...].
    """
    return (rewards * mask).sum(dim=-1)


def preference_log_probabilities(logits: Tensor, error_rate: float) -> tuple[Tensor, Tensor]:
    """Return log P'[first better] and log P'[second better].

    Args:
        logits: Return of the first segment minus return of the second, any shape.
        error_rate: Share e in [0, 1) of answers that are assumed to be a fair coin's.

    Returns:
        Two tensors of the shape of `logits`, P' = (1 - e) sigmoid(+-logits) + e / 2.
    """
    first, second = F.logsigmoid(logits), F.logsigmoid(-logits)
    if error_rate == 0.0:
        return first, second
    coin = torch.tensor(math.log(error_rate / 2), dtype=logits.dtype, device=logits.device)
    heard = math.log1p(-error_rate)
    return torch.logaddexp(first + heard, coin), torch.logaddexp(second + heard, coin)


def preference_loss(returns: Tensor, preferences: Tensor, error_rate: float) -> Tensor:
    """Return the cross-entropy of each comparison of two segments, in nats, shape [...].

    Args:
        returns: Of both segments, shape [..., 2].
        preferences: Probability that the first is better, as answered: 1, 0 or 1/2, broadcastable to [...].
        error_rate: As in `preference_log_probabilities`.
    """
    log_first, log_second = preference_log_probabilities(preference_logits(returns), error_rate)
    return -(preferences * log_first + (1 - preferences) * log_second)


def preference_logits(returns: Tensor) -> Tensor:
    """Return the logit that the first of two segments is preferred, [..., 2] to [...]."""
    first, second = returns.unbind(-1)
    return first - second


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values where mask is 1, over the last dimension; NaN where there is none."""
    return (values * mask).sum(dim=-1) / mask.sum(dim=-1)
