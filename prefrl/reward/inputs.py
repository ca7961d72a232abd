"""What a reward network reads: numbers and categories as one vector, or the frames of a screen.

Both kinds offer the same few things (`RewardInputs`), so that ensemble and trainer hardly need to know which one
they have. What is constant in one rollout changes between refits only.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from torch import Tensor

from prefrl.errors import SpaceError
from prefrl.reward.normalization import RunningMoments
from prefrl.segments import Segment, as_array, encode, n_features
from prefrl.segments.spaces import check_space

# Normalised numbers are kept within this many standard deviations: a simulator that explodes must not take the
# reward with it.
CLIP = 10.0
SD_FLOOR = 1e-3
# Smaller images would vanish in the convolutions of the paper's network.
SMALLEST_SIDE = 43

Array = npt.NDArray[Any]


class RewardInputs(Protocol):
    """How observations and actions become what the networks read."""

    shape: tuple[int, ...]
    """Of what is kept of one step."""
    n_before: int
    """Earlier steps K−1 that are read with each step."""
    is_fixed: bool
    """Whether `normalise` never changes, so that nothing need be given to `update`."""

    def of_steps(self, observations: Any, actions: Array) -> Array:
        """Return what networks read of a batch of single steps, of what environments hand out: [N, K, *shape]."""
        ...

    def of_segment(self, segment: Segment) -> Array:
        """Return what networks read of a segment, [K−1 + T, *shape]."""
        ...

    def normalise(self, read: Tensor) -> Tensor:
        """Return it as the networks get it."""
        ...

    def update(self, observations: Array, actions: Array) -> None:
        """Take kept observations and actions [n, ...] into account in what `normalise` does."""
        ...

    def state_arrays(self) -> dict[str, Array]:
        """Return what `normalise` depends on."""
        ...

    def load_state_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `state_arrays` returned."""
        ...


def make_inputs(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any], frame_stack: int, device: torch.device
) -> "RewardInputs":
    """Return the kind that fits: frames for images, else one vector of observation and action.

    Raises:
        SpaceError: A space is not Box, Discrete, MultiDiscrete, MultiBinary or Dict, or the stack is not one of
            images.
    """
    check_space(observation_space, what="observation space")
    check_space(action_space, what="action space")
    if is_image(observation_space):
        return PixelInputs(observation_space, frame_stack)
    if frame_stack > 1:
        raise SpaceError(f"Only stacks of images are taken apart. Received {observation_space}.")
    return FeatureInputs(observation_space, action_space, device)


def is_image(space: spaces.Space[Any]) -> bool:
    """Return whether a space is one of pictures: 8-bit pixels, shape [height, width, channels], not tiny."""
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and min(space.shape[:2]) >= SMALLEST_SIDE
    )


class FeatureInputs:
    """Observation and action as one vector; numbers are centred, scaled and clipped, indicators stay as they are.

    Args:
        observation_space: Of raw observations.
        action_space: Of actions as the environment gets them.
        device: Where `normalise` computes.
    """

    n_before = 0
    is_fixed = False

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], device: torch.device
    ) -> None:
        """Start with mean 0 and sd 1."""
        self.observation_space, self.action_space = observation_space, action_space
        self.n_features = n_features(observation_space) + n_features(action_space)
        self.shape: tuple[int, ...] = (self.n_features,)
        self.moments = RunningMoments.of_size(self.n_features)
        self._device = device
        # A one-hot feature stays as it is: scaling a rare state's indicator would blow it up.
        self._indicator = np.concatenate([_is_indicator(observation_space), _is_indicator(action_space)])
        self._refresh()

    def of_steps(self, observations: Any, actions: Array) -> Array:
        """Return the features of a batch of single steps, float32, shape [N, 1, F]."""
        kept = as_array(self.observation_space, observations), as_array(self.action_space, actions)
        return self.features(*kept)[:, None]

    def features(self, observations: Array, actions: Array) -> npt.NDArray[np.float32]:
        """Return features [n, F] of kept observations [n, *obs] and actions [n, *act]."""
        parts = (
            encode(self.observation_space, observations, batch_dims=1),
            encode(self.action_space, actions, batch_dims=1),
        )
        return np.concatenate(parts, axis=-1)

    def of_segment(self, segment: Segment) -> Array:
        """Return the features of every step, shape [T, F]."""
        return self.features(segment.observations, segment.actions)

    def normalise(self, read: Tensor) -> Tensor:
        """Centre, scale and clip features of shape [..., F]; differentiable."""
        return ((read - self._mean_tensor) * self._scale_tensor).clamp(-CLIP, CLIP)

    def normalise_array(self, read: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Do the same in NumPy, for the few rows of one environment step."""
        scaled = (read - self._mean) * self._scale
        return scaled.clip(-CLIP, CLIP, out=scaled)

    def update(self, observations: Array, actions: Array) -> None:
        """Merge observations [n, *obs] and actions [n, *act] into mean and standard deviation."""
        self.moments.update(self.features(observations, actions))
        self._refresh()

    def state_arrays(self) -> dict[str, Array]:
        """Return mean, variance and count."""
        return {
            "input_mean": self.moments.mean,
            "input_variance": self.moments.variance,
            "input_count": np.array([self.moments.count], dtype=np.int64),
        }

    def load_state_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Take over mean, variance and count."""
        self.moments = RunningMoments(
            mean=arrays["input_mean"], variance=arrays["input_variance"], count=int(arrays["input_count"][0])
        )
        self._refresh()

    def _refresh(self) -> None:
        sd = np.maximum(np.sqrt(self.moments.variance), SD_FLOOR)
        self._mean = np.where(self._indicator, 0.0, self.moments.mean).astype(np.float32)
        self._scale = np.where(self._indicator, 1.0, 1.0 / sd).astype(np.float32)
        self._mean_tensor = torch.as_tensor(self._mean, device=self._device)
        self._scale_tensor = torch.as_tensor(self._scale, device=self._device)


class PixelInputs:
    """The last K frames; actions are not read (Christiano et al. 2017, A.2).

    Args:
        observation_space: Of observations that are stacks of K frames, shape [height, width, K·C].
        frame_stack: Number K.
    """

    is_fixed = True

    def __init__(self, observation_space: spaces.Space[Any], frame_stack: int) -> None:
        """Take the stack apart."""
        assert observation_space.shape is not None
        height, width, n_channels = observation_space.shape
        self.shape: tuple[int, ...] = (height, width, n_channels // frame_stack)
        self.n_before = frame_stack - 1

    def of_steps(self, observations: Any, actions: Array) -> Array:
        """Return the frames of stacks [N, height, width, K·C] one by one, uint8, [N, K, height, width, C]."""
        stacks = np.asarray(observations)
        apart = stacks.reshape(*stacks.shape[:3], self.n_before + 1, self.shape[2])
        return np.moveaxis(apart, 3, 1)

    def stacked(self, read: Array) -> Array:
        """Return what `of_steps` took apart: [N, K, height, width, C] to [N, height, width, K·C]."""
        together = np.moveaxis(read, 1, 3)
        return together.reshape(*together.shape[:3], -1)

    def of_segment(self, segment: Segment) -> Array:
        """Return every frame of a segment once, uint8, shape [K−1 + T, height, width, C]."""
        if segment.lead_in is None:
            return segment.observations
        return np.concatenate([segment.lead_in, segment.observations])

    def normalise(self, read: Tensor) -> Tensor:
        """Return the argument: the range of pixels is known to the network."""
        return read

    def update(self, observations: Array, actions: Array) -> None:
        """Do nothing."""

    def state_arrays(self) -> dict[str, Array]:
        """Return nothing."""
        return {}

    def load_state_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Take over nothing."""


def _is_indicator(space: spaces.Space[Any]) -> npt.NDArray[np.bool_]:
    """Which features of a space are indicators rather than numbers, shape [F]."""
    if isinstance(space, spaces.Dict):
        return np.concatenate([_is_indicator(inner) for inner in space.spaces.values()])
    return np.full(n_features(space), not isinstance(space, spaces.Box))
