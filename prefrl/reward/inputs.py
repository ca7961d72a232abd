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

from prefrl.errors import RewardModelError, SpaceError
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
    dtype: type[np.generic]
    """Of what is kept; 8-bit images are worth compressing."""
    is_fixed: bool
    """Whether `normalise` never changes, so that nothing need be given to `update`."""
    next_observation: bool
    """Whether the observation after the action is read, too."""

    @property
    def n_seen(self) -> int:
        """Steps that `normalise` has learned from."""
        ...

    def of_steps(self, observations: Any, actions: Array, next_observations: Any) -> Array:
        """Return what networks read of a batch of single steps, of what environments hand out: [N, K, *shape]."""
        ...

    def of_segment(self, segment: Segment) -> Array:
        """Return what networks read of a segment, [K−1 + T, *shape].

        Raises:
            RewardModelError: The segment lacks what they read.
        """
        ...

    def normalise(self, read: Tensor) -> Tensor:
        """Return it as the networks get it, in training."""
        ...

    def normalise_array(self, read: Array) -> Array:
        """Do the same in NumPy, for the few rows of one environment step."""
        ...

    def update(self, observations: Array, actions: Array) -> None:
        """Take kept observations and actions [n, ...] into account in what `normalise` does."""
        ...

    def learn(self, read: Array) -> None:
        """Do so with what `of_segment` returned, [n, *shape]."""
        ...

    def state_arrays(self) -> dict[str, Array]:
        """Return what `normalise` depends on."""
        ...

    def load_state_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `state_arrays` returned."""
        ...


def make_inputs(
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    *,
    frame_stack: int,
    action: bool = True,
    next_observation: bool,
    device: torch.device,
) -> "RewardInputs":
    """Return the kind that fits: frames for images, else one vector of observation and action.

    Args:
        observation_space: Of raw observations.
        action_space: Of actions as the environment gets them.
        frame_stack: Frames that an image is a stack of.
        action: Whether a vector holds the action.
        next_observation: Whether a vector holds the observation after the action, too.
        device: Where networks compute.

    Raises:
        SpaceError: A space is not Box, Discrete, MultiDiscrete, MultiBinary or Dict, or the stack is not one of
            images.
    """
    check_space(observation_space, what="observation space")
    check_space(action_space, what="action space")
    if isinstance(observation_space, spaces.Box) and is_image(observation_space):
        return PixelInputs(observation_space, frame_stack)
    if frame_stack > 1:
        raise SpaceError(f"Only stacks of images are taken apart. Received {observation_space}.")
    return FeatureInputs(
        observation_space, action_space, action=action, next_observation=next_observation, device=device
    )


def is_image(space: spaces.Space[Any]) -> bool:
    """Return whether a space is one of pictures: 8-bit pixels, with channels first or last, not tiny."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    sides = space.shape[1:] if has_channels_first(space) else space.shape[:2]
    return min(sides) >= SMALLEST_SIDE


def has_channels_first(space: spaces.Box) -> bool:
    """Return whether pictures have the shape [channels, height, width]: the first dimension is the smallest.

    As Stable-Baselines3 decides it for the policy, but for cubes, which have their channels last here.
    """
    return bool(space.shape[0] < min(space.shape[1:]))


class FeatureInputs:
    """Observation and action as one vector; numbers are centred, scaled and clipped, indicators stay as they are.

    Args:
        observation_space: Of raw observations.
        action_space: Of actions as the environment gets them.
        action: Whether the action is part of the vector.
        next_observation: Whether the observation after the action follows, centred and scaled as the one before
            it, so that a difference of the two is one of what was observed.
        device: Where `normalise` computes.
    """

    n_before = 0
    dtype: type[np.generic] = np.float32
    is_fixed = False

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        action: bool = True,
        next_observation: bool,
        device: torch.device,
    ) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.next_observation = next_observation
        n_observed = n_features(observation_space)
        self._action = action
        self._n_before = n_observed + (n_features(action_space) if action else 0)
        self._again = slice(0, n_observed if next_observation else 0)
        self.n_features = self._n_before + self._again.stop
        self.shape: tuple[int, ...] = (self.n_features,)
        self.moments = RunningMoments.of_size(self._n_before)
        """Of observation and action."""
        self._device = device
        # A one-hot feature stays as it is: scaling a rare state's indicator would blow it up.
        indicator = np.concatenate([_is_indicator(observation_space), _is_indicator(action_space)])
        self._indicator = indicator[: self._n_before]
        self._refresh()

    @property
    def n_seen(self) -> int:
        """Steps that mean and standard deviation are of."""
        return self.moments.count

    def of_steps(self, observations: Any, actions: Array, next_observations: Any) -> Array:
        """Return the features of a batch of single steps, float32, shape [N, 1, F]."""
        kept = as_array(self.observation_space, observations), as_array(self.action_space, actions)
        if not self.next_observation:
            return self.features(*kept)[:, None]
        return self.features(*kept, as_array(self.observation_space, next_observations))[:, None]

    def features(
        self, observations: Array, actions: Array, next_observations: Array | None = None
    ) -> npt.NDArray[np.float32]:
        """Return features [n, F] of kept observations [n, *obs] and actions [n, *act].

        Without the observations after the actions their features are left out.
        """
        parts = [encode(self.observation_space, observations, batch_dims=1)]
        if self._action:
            parts.append(encode(self.action_space, actions, batch_dims=1))
        if next_observations is not None:
            parts.append(encode(self.observation_space, next_observations, batch_dims=1))
        return np.concatenate(parts, axis=-1)

    def of_segment(self, segment: Segment) -> Array:
        """Return the features of every step, shape [T, F].

        Raises:
            RewardModelError: The segment lacks the observation after its last action.
        """
        if not self.next_observation:
            return self.features(segment.observations, segment.actions)
        if segment.next_observation is None:
            raise RewardModelError(
                "A segment lacks the observation after its last action, which this reward reads; record it, or "
                "make the reward with `next_observation` false."
            )
        following = np.concatenate([segment.observations[1:], segment.next_observation[None]])
        return self.features(segment.observations, segment.actions, following)

    def normalise(self, read: Tensor) -> Tensor:
        """Centre, scale and clip features of shape [..., F]; differentiable."""
        return ((read - self._mean_tensor) * self._scale_tensor).clamp(-CLIP, CLIP)

    def normalise_array(self, read: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Do the same in NumPy, for the few rows of one environment step."""
        scaled: npt.NDArray[np.float32] = read - self._mean
        scaled *= self._scale
        # `clip` takes longer for the rows of one step than these two.
        np.minimum(scaled, CLIP, out=scaled)
        np.maximum(scaled, -CLIP, out=scaled)
        return scaled

    def update(self, observations: Array, actions: Array) -> None:
        """Merge observations [n, *obs] and actions [n, *act] into mean and standard deviation."""
        self.learn(self.features(observations, actions))

    def learn(self, read: Array) -> None:
        """Merge features [n, F] into mean and standard deviation; those of next observations are not needed."""
        self.moments.update(read[:, : self._n_before])
        self._refresh()

    def state_arrays(self) -> dict[str, Array]:
        """Return mean, variance and count."""
        return {
            "input_mean": self.moments.mean.copy(),
            "input_variance": self.moments.variance.copy(),
            "input_count": np.array([self.moments.count], dtype=np.int64),
        }

    def load_state_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Take over mean, variance and count."""
        self.moments = RunningMoments(
            mean=np.array(arrays["input_mean"], dtype=np.float64),
            variance=np.array(arrays["input_variance"], dtype=np.float64),
            count=int(arrays["input_count"][0]),
        )
        self._refresh()

    def _refresh(self) -> None:
        sd = np.maximum(np.sqrt(self.moments.variance), SD_FLOOR)
        mean = np.where(self._indicator, 0.0, self.moments.mean).astype(np.float32)
        scale = np.where(self._indicator, 1.0, 1.0 / sd).astype(np.float32)
        self._mean, self._scale = (np.concatenate([values, values[self._again]]) for values in (mean, scale))
        self._mean_tensor = torch.as_tensor(self._mean, device=self._device)
        self._scale_tensor = torch.as_tensor(self._scale, device=self._device)


class PixelInputs:
    """The last K frames; actions are not read (Christiano et al. 2017, A.2).

    Args:
        observation_space: Of observations that are stacks of K frames, shape [height, width, K·C], or single
            images of shape [C, height, width]. A stack of such images is one image of more channels.
        frame_stack: Number K.

    Raises:
        SpaceError: The observations are not K frames along the last axis.
    """

    dtype: type[np.generic] = np.uint8
    is_fixed = True
    next_observation = False
    n_seen = 0

    def __init__(self, observation_space: spaces.Box, frame_stack: int) -> None:
        self._channels_first = has_channels_first(observation_space)
        shape = observation_space.shape
        height, width, n_channels = (*shape[1:], shape[0]) if self._channels_first else shape
        if frame_stack > 1 and (self._channels_first or n_channels % frame_stack):
            raise SpaceError(
                f"Only stacks of images along their last axis are taken apart. Received {observation_space} as a "
                f"stack of {frame_stack}; give `frame_stack` as 1 to read it as one image."
            )
        self.shape: tuple[int, ...] = (height, width, n_channels // frame_stack)
        self.n_before = frame_stack - 1

    def of_steps(self, observations: Any, actions: Array, next_observations: Any) -> Array:
        """Return the frames of stacks [N, height, width, K·C] one by one, uint8, [N, K, height, width, C]."""
        stacks = self._with_channels_last(np.asarray(observations))
        apart = stacks.reshape(*stacks.shape[:3], self.n_before + 1, self.shape[2])
        return np.moveaxis(apart, 3, 1)

    def of_segment(self, segment: Segment) -> Array:
        """Return every frame of a segment once, uint8, shape [K−1 + T, height, width, C]."""
        if segment.lead_in is None:
            return self._with_channels_last(segment.observations)
        return np.concatenate([segment.lead_in, segment.observations])

    def normalise(self, read: Tensor) -> Tensor:
        """Return the argument: the range of pixels is known to the network."""
        return read

    def normalise_array(self, read: Array) -> Array:
        """Return the argument."""
        return read

    def update(self, observations: Array, actions: Array) -> None:
        """Do nothing."""

    def learn(self, read: Array) -> None:
        """Do nothing."""

    def state_arrays(self) -> dict[str, Array]:
        """Return nothing."""
        return {}

    def load_state_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Take over nothing."""

    def _with_channels_last(self, images: Array) -> Array:
        return np.moveaxis(images, 1, 3) if self._channels_first else images


def _is_indicator(space: spaces.Space[Any]) -> npt.NDArray[np.bool_]:
    """Which features of a space are indicators rather than numbers, shape [F]."""
    if isinstance(space, spaces.Dict):
        return np.concatenate([_is_indicator(inner) for inner in space.spaces.values()])
    return np.full(n_features(space), not isinstance(space, spaces.Box))
