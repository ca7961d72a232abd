"""All comparisons, kept so that a batch of them is at hand: as tensors that grow, or as compressed frames."""

import zlib
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]


class ComparisonData(Protocol):
    """What is kept of every comparison: both segments step by step, and the preference."""

    @property
    def preferences(self) -> Tensor:
        """Probability that the first is better, shape [B]."""
        ...

    def __len__(self) -> int:
        """Return the number of comparisons B."""
        ...

    @property
    def n_steps(self) -> int:
        """Steps of all segments, those before them left out."""
        ...

    def append(self, first: Array, second: Array, preference: float) -> None:
        """Add one comparison of segments kept as [n_before + T1, *shape] and [n_before + T2, *shape]."""
        ...

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the comparisons for which `kept`, shape [B], is False; the order stays."""
        ...

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return steps [*index, 2, n_before + T, *shape] and mask [*index, 2, T] of some comparisons."""
        ...


class ComparisonTensors:
    """Steps, mask and preference of every comparison in tensors on the device.

    Shorter segments are padded with zeros and masked.

    Args:
        shape: Of what is kept of one step.
        device: Where the tensors live.
        dtype: Of what is kept.
        n_before: Steps kept before each segment, which belong to none.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        n_before: int = 0,
    ) -> None:
        """Start empty."""
        self._n = 0
        self._n_before = n_before
        self._steps = torch.zeros((0, 2, n_before, *shape), dtype=dtype, device=device)
        self._mask = torch.zeros((0, 2, 0), device=device)
        self._preferences = torch.zeros(0, device=device)

    def __len__(self) -> int:
        """Return the number of comparisons B."""
        return self._n

    @property
    def n_steps(self) -> int:
        """Steps of all segments, those before them left out."""
        return int(self._mask[: self._n].sum())

    @property
    def preferences(self) -> Tensor:
        """Probability that the first is better, shape [B]."""
        return self._preferences[: self._n]

    def append(self, first: Array, second: Array, preference: float) -> None:
        """Add one comparison of segments kept as [n_before + T1, *shape] and [n_before + T2, *shape]."""
        self._reserve(self._n + 1, max(len(first), len(second)))
        for side, steps in enumerate((first, second)):
            self._steps[self._n, side, : len(steps)] = torch.as_tensor(steps)
            self._mask[self._n, side, : len(steps) - self._n_before] = 1.0
        self._preferences[self._n] = preference
        self._n += 1

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the comparisons for which `kept`, shape [B], is False; the order stays."""
        rows = torch.as_tensor(np.flatnonzero(kept), device=self._steps.device)
        self._n = len(rows)
        self._steps, self._mask = self._steps[rows], self._mask[rows]
        self._preferences = self._preferences[rows]

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return steps [*index, 2, n_before + T, *shape] and mask [*index, 2, T] of some comparisons."""
        return self._steps[index], self._mask[index]

    def _reserve(self, n: int, n_steps: int) -> None:
        """Make room for `n` comparisons of `n_steps` steps; capacity doubles, so appending stays linear."""
        capacity, _, length, *shape = self._steps.shape
        if n <= capacity and n_steps <= length:
            return
        grown, longer = max(capacity, 64), max(length, n_steps)
        while grown < n:
            grown *= 2
        steps = self._steps.new_zeros((grown, 2, longer, *shape))
        mask = self._mask.new_zeros((grown, 2, longer - self._n_before))
        preferences = self._preferences.new_zeros(grown)
        steps[:capacity, :, :length] = self._steps
        mask[:capacity, :, : self._mask.shape[2]] = self._mask
        preferences[:capacity] = self._preferences
        self._steps, self._mask, self._preferences = steps, mask, preferences


class CompressedComparisons:
    """Frames of every comparison, deflated in main memory, for CPUs.

    3,000 comparisons of 2 x 28 frames of 84 x 84 pixels are 1.2 GB; so kept, those of Pong take 16 MB, and to
    inflate a comparison takes 1.7 ms, a small part of the time that training on it takes.

    Args:
        shape: Of one frame.
        n_before: Frames kept before each segment, which belong to none.
    """

    def __init__(self, shape: tuple[int, ...], *, n_before: int = 0) -> None:
        """Start empty."""
        self._shape = shape
        self._n_before = n_before
        self._pairs: list[tuple[bytes, bytes]] = []
        self._n_steps = np.zeros((0, 2), dtype=np.int64)
        self._preferences: list[float] = []

    def __len__(self) -> int:
        """Return the number of comparisons B."""
        return len(self._pairs)

    @property
    def n_steps(self) -> int:
        """Steps of all segments, those before them left out."""
        return int((self._n_steps - self._n_before).sum())

    @property
    def n_bytes(self) -> int:
        """Memory of the frames, in bytes."""
        return sum(len(frames) for pair in self._pairs for frames in pair)

    @property
    def preferences(self) -> Tensor:
        """Probability that the first is better, shape [B]."""
        return torch.tensor(self._preferences, dtype=torch.float32)

    def append(self, first: Array, second: Array, preference: float) -> None:
        """Add one comparison of segments kept as uint8 [n_before + T1, *shape] and [n_before + T2, *shape]."""
        self._pairs.append((zlib.compress(first.tobytes(), level=1), zlib.compress(second.tobytes(), level=1)))
        self._n_steps = np.append(self._n_steps, [[len(first), len(second)]], axis=0)
        self._preferences.append(preference)

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the comparisons for which `kept`, shape [B], is False; the order stays."""
        self._pairs = [pair for pair, stays in zip(self._pairs, kept, strict=True) if stays]
        self._preferences = [p for p, stays in zip(self._preferences, kept, strict=True) if stays]
        self._n_steps = self._n_steps[kept]

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames [*index, 2, n_before + T, *shape] and mask [*index, 2, T] of some comparisons."""
        flat = index.reshape(-1).numpy()
        n_steps = self._n_steps[flat]
        longest = int(n_steps.max(initial=self._n_before))
        frames = np.zeros((len(flat), 2, longest, *self._shape), dtype=np.uint8)
        for row, comparison in enumerate(flat):
            for side, packed in enumerate(self._pairs[comparison]):
                own = np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(-1, *self._shape)
                frames[row, side, : len(own)] = own
        mask = np.arange(longest - self._n_before) < (n_steps - self._n_before)[..., None]
        shape = tuple(index.shape)
        return (
            torch.as_tensor(frames).view(*shape, *frames.shape[1:]),
            torch.as_tensor(mask, dtype=torch.float32).view(*shape, *mask.shape[1:]),
        )
