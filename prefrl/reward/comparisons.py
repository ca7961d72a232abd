"""All comparisons as three tensors that grow, so that a batch is one indexing operation."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class ComparisonTensors:
    """Features, mask and preference of every comparison, on the device.

    Shorter segments are padded with zeros and masked.

    Args:
        n_features: Features F of one step.
        device: Where the tensors live.
    """

    def __init__(self, n_features: int, device: torch.device) -> None:
        """Start empty."""
        self._n = 0
        self._features = torch.zeros((0, 2, 0, n_features), device=device)
        self._mask = torch.zeros((0, 2, 0), device=device)
        self._preferences = torch.zeros(0, device=device)

    def __len__(self) -> int:
        """Return the number of comparisons B."""
        return self._n

    @property
    def preferences(self) -> Tensor:
        """Probability that the first is better, shape [B]."""
        return self._preferences[: self._n]

    def append(self, first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], preference: float) -> None:
        """Add one comparison of features of shapes [T1, F] and [T2, F]."""
        self._reserve(self._n + 1, max(len(first), len(second)))
        for side, features in enumerate((first, second)):
            self._features[self._n, side, : len(features)] = torch.as_tensor(features)
            self._mask[self._n, side, : len(features)] = 1.0
        self._preferences[self._n] = preference
        self._n += 1

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the comparisons for which `kept`, shape [B], is False; the order stays."""
        rows = torch.as_tensor(np.flatnonzero(kept), device=self._features.device)
        self._n = len(rows)
        self._features, self._mask = self._features[rows], self._mask[rows]
        self._preferences = self._preferences[rows]

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [*index, 2, T, F] and mask [*index, 2, T] of some comparisons."""
        return self._features[index], self._mask[index]

    def steps(self) -> Tensor:
        """Return the features of every step of every comparison, without padding, shape [n, F]."""
        return self._features[: self._n][self._mask[: self._n] > 0]

    def _reserve(self, n: int, n_steps: int) -> None:
        """Make room for `n` comparisons of `n_steps` steps; capacity doubles, so appending stays linear."""
        capacity, _, length, n_features = self._features.shape
        if n <= capacity and n_steps <= length:
            return
        grown, longer = max(capacity, 64), max(length, n_steps)
        while grown < n:
            grown *= 2
        features = self._features.new_zeros((grown, 2, longer, n_features))
        mask = self._mask.new_zeros((grown, 2, longer))
        preferences = self._preferences.new_zeros(grown)
        features[:capacity, :, :length] = self._features
        mask[:capacity, :, :length] = self._mask
        preferences[:capacity] = self._preferences
        self._features, self._mask, self._preferences = features, mask, preferences
