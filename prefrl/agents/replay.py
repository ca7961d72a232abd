"""The replay buffer of an off-policy agent: its rewards are always those of now.

What was done stays worth learning from; what it was paid does not. So all that is kept is paid anew after every
refit (PEBBLE, Lee et al. 2021, section 4.2: a critic that learned from rewards of every age learns no one task).
"""

from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecCheckNan, VecEnv, VecMonitor, VecNormalize, VecTransposeImage
from stable_baselines3.her import HerReplayBuffer

from prefrl.agents.environments import layers
from prefrl.agents.learned_reward import ClippedRewardVecEnv, LearnedRewardVecEnv
from prefrl.agents.reward_fn import RewardFn
from prefrl.errors import SettingError

ROWS = 2048
"""Steps that are paid at once, of images fewer. A million take about a second in parts that fit the caches. Paying
batches when they are drawn, a million times 256, would take minutes."""
BYTES = 2**21
"""Observations that are looked at together are not larger than this: 74 stacks of four screens, which take half of
the time that 600 at once do."""
LEAVES_OBSERVATIONS = (VecMonitor, VecCheckNan, VecNormalize, ClippedRewardVecEnv)
"""Wrappers above the learned reward that do not show in a buffer's observations: SB3 keeps what came before."""

Array = npt.NDArray[Any]


class Replay:
    """What an agent has kept of its experience, as the learned reward reads it.

    Args:
        model: The agent.
        venv: Where it learns, maybe under wrappers.
        reads_next: Whether the reward reads the observation after an action.

    Raises:
        SettingError: The buffer makes up experience of its own, lacks what the reward reads, or holds
            observations that were changed on their way; or rewards are normalised on theirs.
    """

    def __init__(self, model: OffPolicyAlgorithm, venv: LearnedRewardVecEnv, *, reads_next: bool) -> None:
        assert model.env is not None
        self._model = model
        self._spaces = venv.observation_space, venv.action_space
        self._reads_next = reads_next
        self._transposers = list(_transposers(model.env, venv))
        self._clips = [layer.paid for layer in layers(model.env) if isinstance(layer, ClippedRewardVecEnv)]
        buffer = self._buffer
        if isinstance(buffer, HerReplayBuffer):
            raise SettingError(
                "HerReplayBuffer makes up goals and asks the environment what they are worth, which nobody was "
                "asked about. Use the algorithm's own replay buffer."
            )
        normalizer = model.get_vec_normalize_env()
        if normalizer is not None and normalizer.norm_reward:
            raise SettingError(
                "VecNormalize divides rewards by how much they varied so far, which is not at all before the "
                "first fit: all that is kept would be paid ten or minus ten. Make it with `norm_reward=False`; "
                "the learned reward has a standard deviation of its own."
            )
        if normalizer is not None and _moves_channels(model.env, end=normalizer):
            raise SettingError(
                "SB3 moves the channels of images above VecNormalize and keeps them as they are below. Put "
                "`VecTransposeImage(prefs.venv)` below it, or leave VecNormalize out."
            )
        if reads_next and normalizer is not None and normalizer.norm_obs:
            raise SettingError(
                "The reward reads the observation after an action, and at the end of an episode a replay buffer "
                "under VecNormalize keeps another one than was observed (normalised, clipped, and back). Make it "
                "with `norm_obs=False`, or learn a reward with `next_observation` false."
            )
        if reads_next and buffer.optimize_memory_usage:
            raise SettingError(
                "The reward reads the observation after an action, which a replay buffer with "
                "`optimize_memory_usage` forgets at the end of an episode. Leave that out, or learn a reward with "
                "`next_observation` false."
            )

    def relabel(self, reward: RewardFn) -> None:
        """Pay all that is kept anew.

        Args:
            reward: Of observations [n, *obs], actions [n, *act] and next observations, as environments hand them
                out and take them.
        """
        buffer = self._buffer
        size, n_envs = int(buffer.size()), buffer.n_envs
        rows = max(1, self._rows // n_envs)
        for start in range(0, size, rows):
            at = np.arange(start, min(start + rows, size))
            paid = reward(self._observed(buffer.observations, at), self._acted(at), self._following(at))
            for clip in self._clips:
                paid = clip(paid)
            buffer.rewards[at] = paid.reshape(len(at), n_envs)

    @property
    def _buffer(self) -> ReplayBuffer:
        buffer = self._model.replay_buffer
        assert buffer is not None
        return buffer

    @property
    def _rows(self) -> int:
        observations = self._buffer.observations
        arrays = observations.values() if isinstance(observations, Mapping) else [observations]
        bytes_per_row: int = sum(array[0, 0].nbytes for array in arrays)
        return min(ROWS, max(1, BYTES // bytes_per_row))

    def _following(self, at: npt.NDArray[np.int64]) -> Any:
        buffer = self._buffer
        if not self._reads_next:
            return None
        return self._observed(buffer.next_observations, at)

    def _observed(self, kept: Any, at: npt.NDArray[np.int64]) -> Any:
        """Return observations of all environments at these places, as the environments handed them out."""
        space = self._spaces[0]
        observations: Any
        if isinstance(space, spaces.Dict):
            observations = {key: _joined(kept[key][at]) for key in space.spaces}
        else:
            observations = _joined(kept[at])
        for back in self._transposers:
            observations = back(observations)
        if isinstance(space, spaces.Dict):
            return {
                key: observations[key].reshape(-1, *(inner.shape or ())) for key, inner in space.spaces.items()
            }
        return observations.reshape(-1, *(space.shape or ()))

    def _acted(self, at: npt.NDArray[np.int64]) -> Array:
        """Return actions of all environments at these places, as the environments got them."""
        space = self._spaces[1]
        actions: Array = _joined(self._buffer.actions[at]).reshape(-1, *(space.shape or ()))
        return self._model.policy.unscale_action(actions) if isinstance(space, spaces.Box) else actions


def _joined(of_envs: Array) -> Array:
    """Return [n x N, ...] of [n, N, ...]."""
    return of_envs.reshape(-1, *of_envs.shape[2:])


def _moves_channels(outermost: VecEnv, *, end: VecEnv) -> bool:
    """Return whether a wrapper moves the channels of images, above the one that is `end`."""
    above = takewhile(lambda layer: layer is not end, layers(outermost))
    return any(isinstance(layer, VecTransposeImage) and not layer.skip for layer in above)


def _transposers(outermost: VecEnv, venv: VecEnv) -> list[Callable[[Any], Any]]:
    """Return what undoes the wrappers between agent and learned reward, outermost first.

    Raises:
        SettingError: One cannot be undone.
    """
    undo: list[Callable[[Any], Any]] = []
    for layer in layers(outermost):
        if layer is venv:
            break
        if isinstance(layer, VecTransposeImage):
            if not layer.skip:
                undo.append(_channels_last(layer))
        elif not isinstance(layer, LEAVES_OBSERVATIONS):
            raise SettingError(
                f"{type(layer).__name__} lies above the learned reward, and what the replay buffer keeps cannot "
                "be traced back to what the reward reads. Put it around the environments, below `prefs.venv`."
            )
    return undo


def _channels_last(layer: VecTransposeImage) -> Callable[[Any], Any]:
    """Return what puts the channels of images last again."""

    def undo(observations: Any) -> Any:
        if isinstance(observations, Mapping):
            images = layer.image_space_keys
            return {key: np.moveaxis(a, 1, -1) if key in images else a for key, a in observations.items()}
        return np.moveaxis(observations, 1, -1)

    return undo
