"""What every reward network offers: E members of equal shape, computed as one.

A new kind of network is a file with a subclass of `Members` and a line in `networks.py`.
"""

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

FloatArray = npt.NDArray[np.float32]

# What is evaluated at once, without a gradient, takes about so much memory.
BYTES_AT_ONCE = 2**24


class Predictor(Protocol):
    """A trained network, ready for single steps: what runs at every step of the environments."""

    def __call__(self, steps: npt.NDArray[Any]) -> FloatArray:
        """Return raw rewards of all members for the same steps: normalised inputs [n, K, *shape] to [E, n]."""
        ...


class Members(nn.Module, ABC):
    """E networks with one output each; no member sees another's inputs or gradients.

    Every parameter has the members along its first dimension, which is a multiple of E.
    """

    n_members: int
    bytes_per_step: int
    """Memory that evaluating a step takes."""
    sample_steps: int = 50_000
    """The normalisation of outputs is taken over about as many steps, at most."""

    @abstractmethod
    def forward(
        self, steps: Tensor, *, mask: Tensor | None = None, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Return raw rewards.

        Args:
            steps: Normalised inputs of m segments, each with the K−1 steps before its T: shape
                [E, m, K−1 + T, *shape] with segments of its own for each member, or [m, K−1 + T, *shape] for all
                members alike.
            mask: In training, 1 for the steps that exist and 0 for padding, shape [E, m, T]; all 0 for a member
                that is not trained now. What a network remembers of its inputs leaves out the rest.
            rng: Where random choices come from; given in training only.

        Returns:
            Shape [E, m, T].
        """

    @abstractmethod
    def squared_norms(self) -> Tensor:
        """Return what L2 regularises: each member's sum of squared weights, shape [E]."""

    def predictor(self) -> Predictor:
        """Return the network ready for single steps. It need not follow what is trained after the call."""
        return self._predict_steps

    @property
    def steps_at_once(self) -> int:
        """Steps that fit into memory when many are evaluated without a gradient."""
        return max(1, BYTES_AT_ONCE // self.bytes_per_step)

    @torch.no_grad()
    def _predict_steps(self, steps: npt.NDArray[Any]) -> FloatArray:
        device = next(self.parameters()).device
        rewards: FloatArray = self(torch.as_tensor(steps, device=device)).squeeze(-1).cpu().numpy()
        return rewards
