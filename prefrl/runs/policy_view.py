"""What a policy gets to see: frames stacked, observations normalised, rewards clipped and normalised."""

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from prefrl.agents import LearnedRewardVecEnv
from prefrl.agents.learned_reward import ClippedRewardVecEnv
from prefrl.config import RunConfig
from prefrl.errors import SettingError
from prefrl.reward.inputs import is_image
from prefrl.runs.checkpoint import Arrays


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
    return VecNormalize(
        ClippedRewardVecEnv(venv) if agent.clip_rewards else venv,
        norm_obs=agent.normalize_observations and continuous,
        norm_reward=agent.normalize_rewards,
        gamma=agent.settings.get("gamma", 0.99),
        norm_obs_keys=keys,
    )


def load_normalizer(normalizer: VecNormalize, arrays: Arrays) -> None:
    """Take over the statistics that a checkpoint has of observations and returns."""
    for name, statistics in _statistics(normalizer).items():
        statistics.mean = arrays[f"{name}.mean"].copy()
        statistics.var = arrays[f"{name}.var"].copy()
        statistics.count = float(arrays[f"{name}.count"][0])
    if len(arrays["returns"]) == normalizer.num_envs:
        normalizer.returns = arrays["returns"].copy()


def normalizer_arrays(normalizer: VecNormalize) -> Arrays:
    """Return the statistics that a checkpoint keeps."""
    arrays: Arrays = {"returns": normalizer.returns}
    for name, statistics in _statistics(normalizer).items():
        arrays[f"{name}.mean"] = np.asarray(statistics.mean)
        arrays[f"{name}.var"] = np.asarray(statistics.var)
        arrays[f"{name}.count"] = np.array([statistics.count], dtype=np.float64)
    return arrays


def _statistics(normalizer: VecNormalize) -> dict[str, RunningMeanStd]:
    """Running statistics by name; those of observations only where they are normalised."""
    statistics = {"return": normalizer.ret_rms}
    if normalizer.norm_obs:
        own = normalizer.obs_rms
        named = own if isinstance(own, dict) else {"": own}
        statistics |= {f"observation:{key}": value for key, value in named.items()}
    return statistics
