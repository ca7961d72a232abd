"""The learned reward for every other library: a gymnasium wrapper with the same reward function."""

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from prefrl.agents.vec_env import ENV_REWARD, RewardFn


class LearnedReward(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Replaces the reward of one environment by `reward_fn`; the true one is in `info["env_reward"]`.

    The reward belongs to the observation seen BEFORE the action, as in `LearnedRewardVecEnv`.

    >>> env = LearnedReward(gym.make("Pendulum-v1"), lambda observations, actions: -(actions[:, 0] ** 2))
    >>> _ = env.reset(seed=0)
    >>> _, reward, _, _, info = env.step(np.array([2.0], dtype=np.float32))
    >>> reward, sorted(info)
    (-4.0, ['env_reward'])

    Args:
        env: Any environment whose spaces the reward function reads.
        reward_fn: Rewards of a batch; gets batches of one.
    """

    def __init__(self, env: gym.Env[Any, Any], reward_fn: RewardFn) -> None:
        """Wrap; the environment is not reset."""
        gym.utils.RecordConstructorArgs.__init__(self, _disable_deepcopy=True, reward_fn=reward_fn)
        gym.Wrapper.__init__(self, env)
        self.reward_fn = reward_fn
        self._last_observation: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._last_observation = _batch_of_one(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step, with the learned reward in place of the true one."""
        observation, env_reward, terminated, truncated, info = self.env.step(action)
        reward = self.reward_fn(self._last_observation, _batch_of_one(action))
        self._last_observation = _batch_of_one(observation)
        info = {**info, ENV_REWARD: float(env_reward)}
        return observation, float(reward[0]), terminated, truncated, info


def _batch_of_one(value: Any) -> Any:
    """Copy, because an environment may write over its last observation in the next step."""
    if isinstance(value, dict):
        return {key: _batch_of_one(item) for key, item in value.items()}
    return np.array(value)[None]
