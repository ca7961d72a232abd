"""The learned reward around environments: a VecEnv wrapper for Stable-Baselines3, a gymnasium one for all else.

The order is: environment, `Monitor`, VecEnv, this wrapper, `VecNormalize`. So `rollout/ep_rew_mean` stays the TRUE
return, the reward network sees raw observations and clipped actions, and the agent sees the learned reward only.
"""

import warnings
from collections import deque
from typing import Any, Protocol, SupportsFloat

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from prefrl.segments import SegmentRecorder

WINDOW = 100
"""Episodes that running means are taken over, as in SB3 (`stats_window_size`)."""
RENDER_STATE = "render_state"
ENV_REWARD = "env_reward"
EARLY_END = (
    "An episode ended before its time limit. The moment at which episodes end tells the agent about the task "
    "behind the learned reward's back; hide such ends if you can (`prefrl train --hide-termination`, MuJoCo's "
    "terminate_when_unhealthy=False, or a prefrl task)."
)


class RewardFn(Protocol):
    """Rewards for a batch of steps."""

    def __call__(self, observations: Any, actions: npt.NDArray[Any], /) -> npt.NDArray[np.float32]:
        """Return shape [N] for observations [N, *obs] (a mapping for `Dict`) and actions [N, *act]."""
        ...


class LearnedRewardVecEnv(VecEnvWrapper):
    """Gives the agent the reward of `reward_fn`, for all environments in one call per step.

    The environment's own reward goes to the recorder and into `info["env_reward"]`, and nowhere else.

    Args:
        venv: The environments, each with SB3's `Monitor` (as `make_vec_env` does).
        reward_fn: Reward of the observation seen before an action, and that action; None leaves the
            environment's own in place (the control that learns from the true reward).
        recorder: Gets every transition, with `info["render_state"]` where the environments give one.
        window: Episodes over which predicted returns and task metrics are kept.
    """

    def __init__(
        self,
        venv: VecEnv,
        reward_fn: RewardFn | None,
        recorder: SegmentRecorder | None = None,
        *,
        window: int = WINDOW,
    ) -> None:
        """Wrap; the environments are not reset."""
        super().__init__(venv)
        self.reward_fn = reward_fn
        self.recorder = recorder
        self.window = window
        self.predicted_returns: deque[float] = deque(maxlen=window)
        self.task_metrics: dict[str, deque[float]] = {}
        self._last_observations: Any = None
        self._render_states: npt.NDArray[Any] | None = None
        self._actions: npt.NDArray[Any] = np.empty(0)
        self._running_returns = np.zeros(self.num_envs)
        self._warned = False

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        observations = self.venv.reset()
        self._last_observations = _copy(observations)
        self._render_states = _render_states(self.venv.unwrapped.reset_infos)
        self._running_returns[:] = 0.0
        return observations

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Send the actions on, and remember them for the reward."""
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Return observations, LEARNED rewards, dones and infos of the step under way."""
        observations, env_rewards, dones, infos = self.venv.step_wait()
        rewards = env_rewards
        if self.reward_fn is not None:
            rewards = self.reward_fn(self._last_observations, self._actions)
        if self.recorder is not None:
            self.recorder.record(
                self._last_observations, self._actions, env_rewards, dones, render_states=self._render_states
            )
        self._running_returns += rewards
        for env, info in enumerate(infos):
            info[ENV_REWARD] = float(env_rewards[env])
        if dones.any():
            self._end_episodes(dones, infos)
        if self._render_states is not None:
            self._render_states = _next_render_states(infos, dones, self.venv.unwrapped.reset_infos)
        self._last_observations = _copy(observations)
        # A fresh array: SB3 adds the bootstrap at time limits into it.
        return observations, rewards.astype(np.float32, copy=True), dones, infos

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs of the episodes under way, ready for JSON."""
        return {
            "running_returns": self._running_returns.tolist(),
            "predicted_returns": list(self.predicted_returns),
            "task_metrics": {name: list(values) for name, values in self.task_metrics.items()},
        }

    def load_state_dict(
        self,
        state: dict[str, Any],
        observations: VecEnvObs,
        render_states: npt.NDArray[Any] | None,
    ) -> None:
        """Continue in the middle of episodes.

        Args:
            state: From `state_dict`.
            observations: The latest raw observations, shape [N, *obs].
            render_states: The simulator state in which they were seen, shape [N, S].
        """
        self._running_returns[:] = state["running_returns"]
        self.predicted_returns.extend(state["predicted_returns"])
        for name, values in state["task_metrics"].items():
            self.task_metrics[name] = deque(values, maxlen=self.window)
        self._last_observations = _copy(observations)
        self._render_states = render_states

    @property
    def last_observations(self) -> Any:
        """The latest raw observations, shape [N, *obs]; None before the first reset."""
        return self._last_observations

    @property
    def render_states(self) -> npt.NDArray[Any] | None:
        """Simulator states of the latest observations, shape [N, S]; None where there are none."""
        return self._render_states

    def _end_episodes(self, dones: npt.NDArray[np.bool_], infos: list[dict[str, Any]]) -> None:
        for env in np.flatnonzero(dones):
            self.predicted_returns.append(float(self._running_returns[env]))
            self._running_returns[env] = 0.0
            for name, value in infos[env].get("task_metrics", {}).items():
                self.task_metrics.setdefault(name, deque(maxlen=self.window)).append(float(value))
            learned = self.reward_fn is not None  # with the true reward there is nothing to give away
            if learned and not self._warned and not infos[env].get("TimeLimit.truncated", False):
                self._warned = True
                warnings.warn(EARLY_END, stacklevel=2)


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


class ClippedRewardVecEnv(VecEnvWrapper):
    """Gives the agent no reward beyond ±1, as is usual for Atari (Mnih et al. 2015)."""

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Return the step under way with its rewards clipped."""
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, np.clip(rewards, -1.0, 1.0), dones, infos


def _copy(observations: VecEnvObs) -> Any:
    """Copy what the environments may write over in their next step."""
    if isinstance(observations, dict):
        return {key: value.copy() for key, value in observations.items()}
    assert isinstance(observations, np.ndarray)
    return observations.copy()


def _render_states(infos: list[dict[str, Any]]) -> npt.NDArray[Any] | None:
    if any(RENDER_STATE not in info for info in infos):
        return None
    return np.stack([info[RENDER_STATE] for info in infos])


def _next_render_states(
    infos: list[dict[str, Any]], dones: npt.NDArray[np.bool_], reset_infos: list[dict[str, Any]]
) -> npt.NDArray[Any]:
    """State of each returned observation: after a `done` that is the first of the next episode."""
    sources = [reset if done else info for done, info, reset in zip(dones, infos, reset_infos, strict=True)]
    return np.stack([source[RENDER_STATE] for source in sources])


def _batch_of_one(value: Any) -> Any:
    """Copy, because an environment may write over its last observation in the next step."""
    if isinstance(value, dict):
        return {key: _batch_of_one(item) for key, item in value.items()}
    return np.array(value)[None]
