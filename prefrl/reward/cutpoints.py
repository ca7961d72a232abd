"""Where one level of a rating ends and the next begins, learned beside the reward.

A rating is read by the ordinal model of McCullagh 1980 (section 2.1): somebody perceives the return of a segment
with noise of the logistic distribution, as with two that are compared, and names the level in which the sum lies.
Where levels end is not known, and is learned, by each member for itself. Cutpoints belong to the training: the
reward that comes of it pays without them.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from prefrl.errors import RewardModelError
from prefrl.parts import Arrays, under
from prefrl.reward.adam import MemberAdam
from prefrl.segments.answers import LEVELS

LEAST_GAP = 1e-3
"""A level that is never named gets narrower and narrower; of no width, its likelihood would have no gradient."""
LEARNING_RATE = 0.01
"""Ten times that of networks: their returns are sums over many steps, and move as much faster."""


class Cutpoints:
    """The ends of all levels but the best, rising, of each member of an ensemble.

    At first each level is as likely as the others at a return of 0.

    Args:
        n_members: Members E.
        device: Where they live.
    """

    def __init__(self, n_members: int, device: torch.device) -> None:
        shares = np.arange(1, LEVELS) / LEVELS
        ends = torch.as_tensor(np.log(shares / (1 - shares)), dtype=torch.float32, device=device)
        self._first = nn.Parameter(ends[:1].repeat(n_members, 1))
        # Softplus of these is from one end to the next, so that ends stay in their order.
        self._gaps = nn.Parameter(torch.expm1(ends.diff() - LEAST_GAP).log().repeat(n_members, 1))
        self.optimizer = MemberAdam([self._first, self._gaps], n_members, learning_rate=LEARNING_RATE)

    def ends(self) -> Tensor:
        """Return the return at which each level but the best ends, shape [E, LEVELS - 1]."""
        gaps = nn.functional.softplus(self._gaps) + LEAST_GAP
        return torch.cat([self._first, self._first + gaps.cumsum(dim=1)], dim=1)

    def state(self) -> Arrays:
        """Return what they are and how they move, as copies."""
        own: Arrays = {"first": self._first.detach().cpu().numpy().copy()}
        own["gaps"] = self._gaps.detach().cpu().numpy().copy()
        return own | {f"adam.{name}": array for name, array in self.optimizer.state().items()}

    def restore(self, arrays: Arrays) -> None:
        """Go on where `state` was taken.

        Raises:
            RewardModelError: An array is missing or has another shape.
        """
        for name, parameter in (("first", self._first), ("gaps", self._gaps)):
            found: npt.NDArray[np.float32] | None = arrays.get(name)
            if found is None or found.shape != tuple(parameter.shape):
                raise RewardModelError(
                    f"The ends of levels (`{name}`) in the state of the reward's training must have shape "
                    f"{tuple(parameter.shape)}; the checkpoint is damaged, or of other ratings."
                )
            with torch.no_grad():
                parameter.copy_(torch.as_tensor(found))
        self.optimizer.restore(under("adam.", arrays))


def rating_log_probabilities(returns: Tensor, ends: Tensor, error_rate: float) -> Tensor:
    """Return log P'[level] of every level.

    P[level ≤ k] = sigmoid(end k - return), so that P[level k] = sigmoid(b - return) - sigmoid(a - return) between
    the ends a < b of the level.

    Args:
        returns: Of segments as each member sees them, shape [E, b].
        ends: Of levels, shape [E, LEVELS - 1], rising.
        error_rate: Share e in [0, 1) of ratings that are assumed to be drawn evenly from all levels.

    Returns:
        Shape [E, b, LEVELS]; P' = (1 - e) P + e / LEVELS.
    """
    logits = ends[:, None, :] - returns[..., None]
    lower, upper = logits[..., :-1], logits[..., 1:]
    # sigmoid(y) - sigmoid(x) = sigmoid(y) sigmoid(-x) (1 - exp(x - y)), which never loses its digits.
    between = (
        nn.functional.logsigmoid(upper) + nn.functional.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
    )
    worst, best = nn.functional.logsigmoid(logits[..., :1]), nn.functional.logsigmoid(-logits[..., -1:])
    log_p = torch.cat([worst, between, best], dim=-1)
    if error_rate == 0.0:
        return log_p
    chance = log_p.new_tensor(math.log(error_rate / LEVELS))
    return torch.logaddexp(log_p + math.log1p(-error_rate), chance)


def rating_loss(returns: Tensor, ratings: Tensor, ends: Tensor, error_rate: float) -> Tensor:
    """Return -log P' of ratings in nats, shape [E, b]; 0 where nothing was rated.

    Args:
        returns: As in `rating_log_probabilities`.
        ratings: From 1 to LEVELS, 0 for none, shape [E, b].
        ends: As in `rating_log_probabilities`.
        error_rate: As there.
    """
    log_p = rating_log_probabilities(returns, ends, error_rate)
    chosen = log_p.gather(-1, (ratings.long() - 1).clamp(min=0)[..., None])[..., 0]
    return -torch.where(ratings > 0, chosen, torch.zeros_like(chosen))
