"""What a policy gets to see: frames stacked, observations normalised, rewards clipped and normalised."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from prefrl.agents import LearnedRewardVecEnv
from prefrl.agents.learned_reward import ClippedRewardVecEnv
from prefrl.agents.normalizer_statistics import packed_statistics, put_statistics
from prefrl.config import RunConfig
from prefrl.errors import SettingError
from prefrl.parts import Arrays, Json, State
from prefrl.reward.inputs import is_image


def stack_frames(config: RunConfig, environments: VecEnv) -> VecEnv:
    """Have agent and reward network see several frames at once, where the settings say so.

    Raises:
        SettingError: The observations are no images.
    """
    if config.agent.frame_stack == 1:
        return environments
    if not is_image(environments.observation_space):
        raise SettingError(
            f"`agent.frame_stack` needs images. Received {config.agent.frame_stack} with observations in "
            f"{environments.observation_space}."
        )
    return VecFrameStack(environments, config.agent.frame_stack)


def make_normalizer(config: RunConfig, venv: LearnedRewardVecEnv) -> VecNormalize:
    """Wrap for the policy; only continuous observations are normalised."""
    agent, space = config.agent, venv.observation_space
    keys = None
    if isinstance(space, spaces.Dict):
        keys = [key for key, inner in space.spaces.items() if isinstance(inner, spaces.Box)]
    continuous = bool(keys) or (isinstance(space, spaces.Box) and not is_image(space))
    normalizer = VecNormalize(
        ClippedRewardVecEnv(venv) if agent.clip_rewards else venv,
        norm_obs=agent.normalize_observations and continuous,
        norm_reward=agent.normalize_rewards,
        gamma=agent.settings.get("gamma", 0.99),
        norm_obs_keys=keys,
    )
    normalizer.ret_rms = QuickMeanStd(shape=())
    if normalizer.norm_obs:
        own = normalizer.obs_rms
        if isinstance(own, dict):
            normalizer.obs_rms = {
                key: QuickMeanStd(shape=statistics.mean.shape) for key, statistics in own.items()
            }
        else:
            normalizer.obs_rms = QuickMeanStd(shape=own.mean.shape)
    return normalizer


class QuickMeanStd(RunningMeanStd):
    """SB3's running mean and variance, to the last bit, in half of the time for the few rows of one step.

    `np.mean` and `np.var` take longer for their own bookkeeping than for the numbers.
    """

    def update(self, arr: npt.NDArray[Any]) -> None:
        """Take rows [n, ...] into account."""
        if arr.dtype not in (np.float32, np.float64):  # those are summed in another precision
            super().update(arr)
            return
        n = len(arr)
        mean = np.add.reduce(arr) / n
        apart = arr - mean
        apart *= apart
        self.update_from_moments(mean, np.add.reduce(apart) / n, n)


class SavedNormalizer:
    """The running statistics of observations and returns, as a part that a checkpoint keeps.

    Args:
        normalizer: From `make_normalizer`.
    """

    def __init__(self, normalizer: VecNormalize) -> None:
        self._normalizer = normalizer

    def state(self) -> State:
        """Return the statistics, and the running returns, shape [N]."""
        arrays: Arrays = {"returns": self._normalizer.returns.copy(), **packed_statistics(self._normalizer)}
        return arrays, {}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Take the statistics over; an evaluation has another number of environments, and no returns yet."""
        put_statistics(self._normalizer, arrays)
        if len(arrays["returns"]) == self._normalizer.num_envs:
            self._normalizer.returns = arrays["returns"].copy()
