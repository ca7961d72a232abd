"""All comparisons, kept so that a batch of them is at hand: as tensors that grow, or as compressed frames."""

import math
import zlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prefrl.reward.inputs import RewardInputs
from prefrl.segments import Strength, pairs_of

Array = npt.NDArray[Any]

SMALLEST_CAPACITY = 64


class ComparisonData(Protocol):
    """What is kept of every comparison: its K segments step by step, and what was said of them."""

    @property
    def preferences(self) -> Tensor:
        """Of each two segments, the probability that the earlier is better, shape [B, P]; NaN for none."""
        ...

    @property
    def strengths(self) -> Tensor | None:
        """`Strength` of each, shape [B]; None while nobody was asked for it."""
        ...

    @property
    def ratings(self) -> Tensor | None:
        """Rating of each, shape [B], 0 where several segments are compared; None while nothing was rated."""
        ...

    def __len__(self) -> int:
        """Return the number of comparisons B."""
        ...

    @property
    def n_segments(self) -> int:
        """Segments K of a comparison, at most; 1 before there is one."""
        ...

    @property
    def n_steps(self) -> int:
        """Steps of all segments, those before them left out."""
        ...

    @property
    def widest(self) -> int:
        """Steps K·T of a comparison, those before them left out, at most."""
        ...

    def append(
        self,
        segments: Sequence[Array],
        preferences: Sequence[float],
        strength: Strength = Strength.UNSAID,
        rating: int | None = None,
    ) -> None:
        """Add one comparison of segments kept as [n_before + T1, *shape], [n_before + T2, *shape], …."""
        ...

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the comparisons for which `kept`, shape [B], is False; the order stays."""
        ...

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return steps [*index, K, n_before + T, *shape] and mask [*index, K, T] of some comparisons.

        Shorter segments, and those that a comparison lacks, are padded with zeros and masked by 0.
        """
        ...


def make_data(inputs: RewardInputs, device: torch.device) -> ComparisonData:
    """Return what keeps comparisons of these inputs: images are compressed, but where there is a GPU to feed."""
    if inputs.dtype is np.uint8 and device.type == "cpu":
        return CompressedComparisons(inputs.shape, n_before=inputs.n_before)
    dtype = torch.uint8 if inputs.dtype is np.uint8 else torch.float32
    return ComparisonTensors(inputs.shape, device, dtype=dtype, n_before=inputs.n_before)


class ComparisonTensors:
    """Steps, mask and what was said of every comparison in tensors on the device.

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
        self._n = 0
        self._n_before = n_before
        self._steps = torch.zeros((0, 1, n_before, *shape), dtype=dtype, device=device)
        self._mask = torch.zeros((0, 1, 0), device=device)
        self._preferences = torch.zeros((0, 0), device=device)
        self._strengths = torch.zeros(0, dtype=torch.int8, device=device)
        self._ratings = torch.zeros(0, dtype=torch.int8, device=device)
        self._has_strengths = self._has_ratings = False

    def __len__(self) -> int:
        """Return the number of comparisons B."""
        return self._n

    @property
    def n_segments(self) -> int:
        """Segments K of a comparison, at most; 1 before there is one."""
        return self._mask.shape[1]

    @property
    def n_steps(self) -> int:
        """Steps of all segments, those before them left out."""
        return int(self._mask[: self._n].sum())

    @property
    def widest(self) -> int:
        """Steps K·T of a comparison, those before them left out, at most."""
        return self._mask.shape[1] * self._mask.shape[2]

    @property
    def preferences(self) -> Tensor:
        """Of each two segments, the probability that the earlier is better, shape [B, P]."""
        return self._preferences[: self._n]

    @property
    def strengths(self) -> Tensor | None:
        """`Strength` of each, shape [B]; None while nobody was asked for it."""
        return self._strengths[: self._n] if self._has_strengths else None

    @property
    def ratings(self) -> Tensor | None:
        """Rating of each, shape [B], 0 where several segments are compared; None while nothing was rated."""
        return self._ratings[: self._n] if self._has_ratings else None

    def append(
        self,
        segments: Sequence[Array],
        preferences: Sequence[float],
        strength: Strength = Strength.UNSAID,
        rating: int | None = None,
    ) -> None:
        """Add one comparison of segments kept as [n_before + T1, *shape], [n_before + T2, *shape], …."""
        self._reserve(self._n + 1, len(segments), max(len(steps) for steps in segments))
        self._steps[self._n], self._mask[self._n] = 0, 0.0
        for place, steps in enumerate(segments):
            self._steps[self._n, place, : len(steps)] = torch.as_tensor(np.require(steps, requirements="W"))
            self._mask[self._n, place, : len(steps) - self._n_before] = 1.0
        self._preferences[self._n], self._strengths[self._n] = torch.nan, strength
        self._preferences[self._n, : len(preferences)] = torch.tensor(preferences)
        self._ratings[self._n] = rating or 0
        self._has_strengths |= strength is not Strength.UNSAID
        self._has_ratings |= rating is not None
        self._n += 1

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the comparisons for which `kept`, shape [B], is False; the order stays.

        What is left is as long as its longest segment, and has as many as the comparison of most segments, so that
        it is computed as if the rest had never been there.
        """
        rows = torch.as_tensor(np.flatnonzero(kept), device=self._steps.device)
        self._n = len(rows)
        lengths = self._mask[rows].sum(dim=-1)
        n_steps = int(lengths.max()) if self._n else 0
        n_segments = max(1, int((lengths > 0).sum(dim=-1).max())) if self._n else 1
        capacity = max(SMALLEST_CAPACITY, 2 * self._n)
        for values in (self._steps, self._mask, self._preferences, self._strengths, self._ratings):
            values[: self._n] = values[rows]
        if capacity < len(self._steps) or (n_segments, n_steps) != self._mask.shape[1:]:
            self._steps = self._steps[:capacity, :n_segments, : self._n_before + n_steps].clone()
            self._mask = self._mask[:capacity, :n_segments, :n_steps].clone()
            self._preferences = self._preferences[:capacity, : len(pairs_of(n_segments))].clone()
            self._strengths = self._strengths[:capacity].clone()
            self._ratings = self._ratings[:capacity].clone()

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return steps [*index, K, n_before + T, *shape] and mask [*index, K, T] of some comparisons."""
        return self._steps[index], self._mask[index]

    def _reserve(self, n: int, n_segments: int, n_steps: int) -> None:
        """Make room for `n` comparisons; capacity doubles, so appending stays linear."""
        capacity, most, length, *shape = self._steps.shape
        if n <= capacity and n_segments <= most and n_steps <= length:
            return
        grown, wider, longer = max(capacity, SMALLEST_CAPACITY), max(most, n_segments), max(length, n_steps)
        while grown < n:
            grown *= 2
        steps = self._steps.new_zeros((grown, wider, longer, *shape))
        mask = self._mask.new_zeros((grown, wider, longer - self._n_before))
        preferences = self._preferences.new_full((grown, len(pairs_of(wider))), torch.nan)
        strengths, ratings = self._strengths.new_zeros(grown), self._ratings.new_zeros(grown)
        steps[:capacity, :most, :length] = self._steps
        mask[:capacity, :most, : self._mask.shape[2]] = self._mask
        preferences[:capacity, : self._preferences.shape[1]] = self._preferences
        strengths[:capacity], ratings[:capacity] = self._strengths, self._ratings
        self._steps, self._mask = steps, mask
        self._preferences, self._strengths, self._ratings = preferences, strengths, ratings


class CompressedComparisons:
    """Frames of every comparison, deflated in main memory, for CPUs.

    3,000 comparisons of 2 x 28 frames of 84 x 84 pixels are 1.2 GB; so kept, those of Pong take 16 MB, and to
    inflate a comparison takes 1.7 ms, a small part of the time that training on it takes.

    Args:
        shape: Of one frame.
        n_before: Frames kept before each segment, which belong to none.
    """

    def __init__(self, shape: tuple[int, ...], *, n_before: int = 0) -> None:
        self._shape = shape
        self._n_before = n_before
        self._packed: list[list[bytes]] = []
        self._lengths: list[list[int]] = []
        """Steps of every segment, those before it left out."""
        self._said: list[Sequence[float]] = []
        self._preferences: Tensor | None = None
        """Of `_said`, once it was asked for: of thousands it takes as long as a step of the training."""
        self._strengths: list[Strength] = []
        self._ratings: list[int] = []

    def __len__(self) -> int:
        """Return the number of comparisons B."""
        return len(self._packed)

    @property
    def n_segments(self) -> int:
        """Segments K of a comparison, at most; 1 before there is one."""
        return max(map(len, self._lengths), default=1)

    @property
    def n_steps(self) -> int:
        """Steps of all segments, those before them left out."""
        return sum(map(sum, self._lengths))

    @property
    def widest(self) -> int:
        """Steps K·T of a comparison, those before them left out, at most."""
        return self.n_segments * max(map(max, self._lengths), default=0)

    @property
    def n_bytes(self) -> int:
        """Memory of the frames, in bytes."""
        return sum(len(frames) for packed in self._packed for frames in packed)

    @property
    def preferences(self) -> Tensor:
        """Of each two segments, the probability that the earlier is better, shape [B, P]."""
        if self._preferences is None:
            n_pairs = len(pairs_of(self.n_segments))
            rows = [[*own, *[math.nan] * (n_pairs - len(own))] for own in self._said]
            self._preferences = torch.tensor(rows, dtype=torch.float32).view(len(rows), n_pairs)
        return self._preferences

    @property
    def strengths(self) -> Tensor | None:
        """`Strength` of each, shape [B]; None while nobody was asked for it."""
        return torch.tensor(self._strengths, dtype=torch.int8) if any(self._strengths) else None

    @property
    def ratings(self) -> Tensor | None:
        """Rating of each, shape [B], 0 where several segments are compared; None while nothing was rated."""
        return torch.tensor(self._ratings, dtype=torch.int8) if any(self._ratings) else None

    def append(
        self,
        segments: Sequence[Array],
        preferences: Sequence[float],
        strength: Strength = Strength.UNSAID,
        rating: int | None = None,
    ) -> None:
        """Add one comparison of segments kept as uint8 [n_before + T1, *shape], [n_before + T2, *shape], …."""
        self._packed.append([zlib.compress(frames.tobytes(), level=1) for frames in segments])
        self._lengths.append([len(frames) - self._n_before for frames in segments])
        self._said.append(preferences)
        self._preferences = None
        self._strengths.append(strength)
        self._ratings.append(rating or 0)

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the comparisons for which `kept`, shape [B], is False; the order stays."""
        rows = np.flatnonzero(kept)
        self._packed = [self._packed[row] for row in rows]
        self._lengths = [self._lengths[row] for row in rows]
        self._said = [self._said[row] for row in rows]
        self._preferences = None
        self._strengths = [self._strengths[row] for row in rows]
        self._ratings = [self._ratings[row] for row in rows]

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames [*index, K, n_before + T, *shape] and mask [*index, K, T] of some comparisons."""
        rows = index.reshape(-1).tolist()
        longest = max((length for row in rows for length in self._lengths[row]), default=0)
        frames = np.zeros((len(rows), self.n_segments, self._n_before + longest, *self._shape), dtype=np.uint8)
        mask = np.zeros((len(rows), self.n_segments, longest), dtype=np.float32)
        for place, row in enumerate(rows):
            for which, (packed, length) in enumerate(zip(self._packed[row], self._lengths[row], strict=True)):
                own = np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(-1, *self._shape)
                frames[place, which, : len(own)] = own
                mask[place, which, :length] = 1.0
        shape = tuple(index.shape)
        return (
            torch.as_tensor(frames).view(*shape, *frames.shape[1:]),
            torch.as_tensor(mask).view(*shape, *mask.shape[1:]),
        )
