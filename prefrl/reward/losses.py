"""From returns of segments to the loss of the Bradley-Terry model, in log space throughout.

Pure functions on tensors. Christiano et al. 2017, section 2.2.3, with the label error of appendix A and of
Ibarz et al. 2018, A.3: P' = (1 - e) P + e / 2 with e = 0.1, a mixture (not label smoothing, not a clip), so that a
label which strongly contradicts the model stops pulling at it.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from prefrl.segments import Strength


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


def strength_log_probabilities(
    logits: Tensor, strengths: Tensor, error_rate: float, much_from: float
) -> tuple[Tensor, Tensor]:
    """Return log P'[first better, by so much] and log P'[second better, by so much].

    An ordinal model (McCullagh 1980, section 2.1): somebody perceives the logit and noise of the logistic
    distribution, says that the first is better where the sum is above 0, and that it is much better where it is
    above c. So P[much] = sigmoid(logit - c), P[slightly] = sigmoid(logit) - sigmoid(logit - c), and both together
    are what `preference_log_probabilities` says where no strength was asked.

    Args:
        logits: Return of the first segment minus return of the second, any shape.
        strengths: `Strength` of each answer, of the shape of `logits`.
        error_rate: Share e in [0, 1) of answers that are assumed to be drawn evenly from all that could be said.
        much_from: Logit c > 0.
    """
    # sigmoid(x) - sigmoid(x - c) = sigmoid(x) sigmoid(c - x) (1 - exp(-c)), which never loses its digits.
    both = math.log(-math.expm1(-much_from))

    def side(x: Tensor) -> Tensor:
        slight = F.logsigmoid(x) + F.logsigmoid(much_from - x) + both
        said = torch.where(strengths == Strength.MUCH, F.logsigmoid(x - much_from), slight)
        return torch.where(strengths == Strength.UNSAID, F.logsigmoid(x), said)

    first, second = side(logits), side(-logits)
    if error_rate == 0.0:
        return first, second
    n_answers = torch.where(strengths == Strength.UNSAID, 2.0, 4.0).to(logits)
    chance, heard = math.log(error_rate) - n_answers.log(), math.log1p(-error_rate)
    return torch.logaddexp(first + heard, chance), torch.logaddexp(second + heard, chance)


def preference_loss(
    logits: Tensor,
    preferences: Tensor,
    error_rate: float,
    *,
    strengths: Tensor | None = None,
    much_from: float = 1.0,
    reliabilities: Tensor | None = None,
) -> Tensor:
    """Return the cross-entropy of what is said of each two segments, in nats, of the shape of `logits`.

    Args:
        logits: Return of the first segment minus return of the second, any shape.
        preferences: Probability that the first is better, as answered: 1, 0 or 1/2, of the same shape.
        error_rate: As in `preference_log_probabilities`.
        strengths: `Strength` of each answer, broadcastable; None where none was asked.
        much_from: As in `strength_log_probabilities`.
        reliabilities: Probability in (0, 1) that whoever answered means what is said, and not the opposite,
            broadcastable; it takes the place of the error rate, 1 - error_rate / 2 is the same. None for none.
    """
    if reliabilities is not None:
        error_rate = 0.0
    if strengths is None:
        log_first, log_second = preference_log_probabilities(logits, error_rate)
    else:
        strengths = strengths.expand_as(logits)
        log_first, log_second = strength_log_probabilities(logits, strengths, error_rate, much_from)
    if reliabilities is not None:
        meant, opposite = reliabilities.log(), torch.log1p(-reliabilities)
        log_first, log_second = (
            torch.logaddexp(log_first + meant, log_second + opposite),
            torch.logaddexp(log_second + meant, log_first + opposite),
        )
    return -(preferences * log_first + (1 - preferences) * log_second)


def comparison_loss(
    returns: Tensor,
    preferences: Tensor,
    error_rate: float,
    *,
    strengths: Tensor | None = None,
    much_from: float = 1.0,
    reliabilities: Tensor | None = None,
) -> Tensor:
    """Return the loss of each comparison: the mean of those of its pairs of segments, shape [...].

    All pairs of a ranking lie in one batch and come from one forward pass of each segment: spread over batches,
    each segment would be seen K - 1 times an epoch, which overfits (Ouyang et al. 2022, section 3.5).

    Args:
        returns: Of the K segments, shape [..., K].
        preferences: Of each two, in the order of `prefrl.segments.pairs_of`, shape [..., P]; NaN for pairs that a
            comparison of fewer segments has not.
        error_rate: As in `preference_log_probabilities`.
        strengths: `Strength` of each comparison, shape [...]; None where none was asked.
        much_from: As in `strength_log_probabilities`.
        reliabilities: As in `preference_loss`, of each comparison, shape [...].
    """
    there = ~preferences.isnan()
    losses = preference_loss(
        preference_logits(returns),
        preferences.nan_to_num(),
        error_rate,
        strengths=None if strengths is None else strengths[..., None],
        much_from=much_from,
        reliabilities=None if reliabilities is None else reliabilities[..., None],
    )
    return (losses * there).sum(dim=-1) / there.sum(dim=-1).clamp(min=1)


def preference_logits(returns: Tensor) -> Tensor:
    """Return the logit that the earlier of each two segments is preferred, [..., K] to [..., P].

    The pairs are in the order of `prefrl.segments.pairs_of`.
    """
    n_segments = returns.shape[-1]
    second, first = torch.tril_indices(n_segments, n_segments, -1, device=returns.device)
    return returns[..., first] - returns[..., second]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values where mask is 1, over the last dimension; NaN where there is none."""
    return (values * mask).sum(dim=-1) / mask.sum(dim=-1)
