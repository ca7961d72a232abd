"""The learned reward around environments: a VecEnv wrapper for Stable-Baselines3, a gymnasium one for all else.

The order is: environment, `Monitor`, VecEnv, this wrapper, `VecNormalize`. So `rollout/ep_rew_mean` stays the
TRUE return, the reward network sees raw observations and clipped actions, and the agent sees the learned reward
only.
"""

import warnings
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, SupportsFloat, TypeAlias, get_args

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from prefrl.agents.environments import check_venv
from prefrl.agents.progress_watch import ProgressWatch, Steps
from prefrl.agents.reward_fn import RewardFn, check_takes_three, reward_fn_of
from prefrl.errors import FaultyEnvError, SettingError
from prefrl.parts import Arrays, Json, State, under
from prefrl.segments import SegmentRecorder

WINDOW = 100
"""Episodes that running means are taken over, as in SB3 (`stats_window_size`)."""
LATEST = 10
"""Episodes whose true return teachers may go by that follow it (Lee et al. 2021)."""
RENDER_STATE = "render_state"
ENV_REWARD = "env_reward"
EARLY_END = (
    "An episode ended before its time limit. The moment at which episodes end tells the agent about the task "
    "behind the learned reward's back; hide such ends if you can (`prefrl train --hide-termination`, MuJoCo's "
    "terminate_when_unhealthy=False, or a prefrl task)."
)


NamedReward: TypeAlias = Literal["true", "constant"]
"""The controls: the environment's own reward, or 0 at every step."""


class LearnedRewardVecEnv(VecEnvWrapper):
    """Gives the agent the reward of `reward`, for all environments in one call per step.

    The environment's own reward goes to the recorder and into `info["env_reward"]`, and nowhere else unless
    `reward` is "true".

    Args:
        venv: The environments, each with SB3's `Monitor` (as `make_vec_env` does).
        reward: What pays the agent: a function of the observation seen before an action, that action and the
            observation after it, "true" for the environment's own reward, or "constant" for 0.
        recorder: Gets every transition, with `info["render_state"]` where the environments give one.
        window: Episodes over which predicted returns and task metrics are kept.

    Raises:
        SettingError: `reward` is none of these, or `venv` is nothing that a reward can be learned on (see
            `check_venv`).
    """

    changes_reward = True

    def __init__(
        self,
        venv: VecEnv,
        reward: RewardFn | NamedReward,
        recorder: SegmentRecorder | None = None,
        *,
        window: int = WINDOW,
    ) -> None:
        check_venv(venv)
        if callable(reward):
            check_takes_three(reward)
        elif reward not in get_args(NamedReward):
            raise SettingError(
                f"`reward` must be a function or one of {get_args(NamedReward)}. Received {reward!r}."
            )
        super().__init__(venv)
        self.reward = reward
        self.recorder = recorder
        self.window = window
        self.num_timesteps = 0
        """Steps of all environments so far, over all resets and calls of `learn`."""
        self.predicted_returns: deque[float] = deque(maxlen=window)
        self.task_metrics: dict[str, deque[float]] = {}
        self.keeps_episodes = False
        """Whether `mean_env_reward` is asked for."""
        self._episodes: deque[tuple[float, int]] = deque(maxlen=LATEST)
        """True return and length of the latest episodes, where they are asked for."""
        self._last_observations: Any = None
        self._next_observations: Any = None
        self._render_states: npt.NDArray[Any] | None = None
        self._actions: npt.NDArray[Any] = np.empty(0)
        self._running_returns = np.zeros(self.num_envs)
        self._warned = False
        self._is_torn = False
        """Whether a step was stopped when some environments had made it: what comes next does not follow."""
        self.watch: ProgressWatch | None = None
        """Takes note of every step, where somebody wants to know whether the policy gets better."""

    def reset(self) -> VecEnvObs:
        """Reset all environments; episodes under way end here without having been finished."""
        self._cut()
        observations = self.venv.reset()
        self._is_torn = False
        self._last_observations = _copy(observations)
        self._render_states = _stacked_states(self.venv.unwrapped.reset_infos)
        self._running_returns[:] = 0.0
        return observations

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Send the actions on."""
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Return observations, the rewards that pay the agent, dones and infos of the step under way."""
        try:
            observations, env_rewards, dones, infos = self.venv.step_wait()
        except BaseException:
            self._is_torn = True
            raise
        following = _copy(observations)
        ended = np.flatnonzero(dones)
        self._next_observations = _with_terminal(following, ended, infos)
        rewards = self._rewards(env_rewards)
        if self._is_torn:
            self._cut()
        elif self.recorder is not None:
            self.recorder.record(
                self._last_observations,
                self._actions,
                env_rewards,
                dones,
                next_observations=self._next_observations,
                render_states=self._render_states,
            )
        self.num_timesteps += self.num_envs
        if self.watch is not None and not self._is_torn:
            steps = Steps(self._last_observations, self._actions, self._next_observations, rewards)
            self.watch.record(steps, dones, self.num_timesteps)
        self._is_torn = False
        self._running_returns += rewards
        for info, env_reward in zip(infos, env_rewards.tolist(), strict=True):
            info[ENV_REWARD] = env_reward
        if len(ended):
            self._end_episodes(ended, infos)
        if self._render_states is not None:
            self._render_states = _next_states(infos, ended, self.venv.unwrapped.reset_infos)
        self._last_observations = following
        # A fresh array: SB3 adds the bootstrap at time limits into it.
        return observations, rewards.astype(np.float32, copy=True), dones, infos

    def look_back(self, window: int) -> None:
        """Take running means over so many episodes from now on."""
        self.window = window
        self.predicted_returns = deque(self.predicted_returns, maxlen=window)
        self.task_metrics = {name: deque(values, maxlen=window) for name, values in self.task_metrics.items()}

    def mean_env_reward(self) -> float | None:
        """Return the mean true reward of a step over the last ten episodes; None where none has ended.

        For teachers, who know the true reward; it is kept where `keeps_episodes` says so.
        """
        if not self._episodes:
            return None
        return sum(true for true, _ in self._episodes) / sum(length for _, length in self._episodes)

    def state(self) -> State:
        """Return what a resumed run needs of the episodes under way."""
        last = self._last_observations
        named = last if isinstance(last, dict) else {} if last is None else {"": last}
        arrays: Arrays = {f"observations.{key}": value for key, value in named.items()}
        arrays["running_returns"] = self._running_returns.copy()
        if self._render_states is not None:
            arrays["render_states"] = self._render_states
        return arrays, {
            "num_timesteps": self.num_timesteps,
            "predicted_returns": list(self.predicted_returns),
            "task_metrics": {name: list(values) for name, values in self.task_metrics.items()},
            "episodes": [list(episode) for episode in self._episodes],
        }

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Continue in the middle of episodes."""
        self.num_timesteps = values["num_timesteps"]
        self._running_returns[:] = arrays["running_returns"]
        self.predicted_returns = deque(values["predicted_returns"], maxlen=self.window)
        self.task_metrics = {
            name: deque(numbers, maxlen=self.window) for name, numbers in values["task_metrics"].items()
        }
        episodes = values.get("episodes", [])  # earlier checkpoints have none
        self._episodes = deque(((true, length) for true, length in episodes), maxlen=LATEST)
        named = under("observations.", arrays)
        self._last_observations = named.get("", named or None)
        self._render_states = arrays.get("render_states")

    @property
    def last_observations(self) -> Any:
        """The latest raw observations, shape [N, *obs]; None before the first reset."""
        return self._last_observations

    @property
    def next_observations(self) -> Any:
        """What was observed after the latest actions, at the end of an episode the terminal observation."""
        return self._next_observations

    @property
    def render_states(self) -> npt.NDArray[Any] | None:
        """Simulator states of the latest observations, shape [N, S]; None where there are none."""
        return self._render_states

    def _cut(self) -> None:
        """Have no recorded segment or window go on over this step."""
        if self.recorder is not None:
            self.recorder.cut()
        if self.watch is not None:
            self.watch.cut()

    def _rewards(self, env_rewards: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if callable(self.reward):
            rewards = self.reward(self._last_observations, self._actions, self._next_observations)
            _check_paid(rewards, self.num_envs)
            return rewards
        return env_rewards if self.reward == "true" else np.zeros_like(env_rewards)

    def _end_episodes(self, ended: npt.NDArray[np.int64], infos: list[dict[str, Any]]) -> None:
        for env in ended:
            self.predicted_returns.append(float(self._running_returns[env]))
            self._running_returns[env] = 0.0
            if self.keeps_episodes:
                self._episodes.append(_episode_of(infos[env]))
            for name, value in infos[env].get("task_metrics", {}).items():
                self.task_metrics.setdefault(name, deque(maxlen=self.window)).append(float(value))
            hides = self.reward != "true"  # with the true reward there is nothing to give away
            if hides and not self._warned and not infos[env].get("TimeLimit.truncated", False):
                self._warned = True
                warnings.warn(EARLY_END, stacklevel=2)


class LearnedReward(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Replaces the reward of one environment by a learned one; the true one is in `info["env_reward"]`.

    The reward belongs to the step from the observation seen BEFORE the action, as in `LearnedRewardVecEnv`.

    >>> env = LearnedReward(gym.make("Pendulum-v1"), lambda before, actions, after: -(actions[:, 0] ** 2))
    >>> _ = env.reset(seed=0)
    >>> _, reward, _, _, info = env.step(np.array([2.0], dtype=np.float32))
    >>> reward, sorted(info)
    (-4.0, ['env_reward'])

    Args:
        env: Any environment whose spaces the reward reads.
        reward_fn: Rewards of a batch; gets batches of one.
        reward_model: In its place the folder of a saved reward model (`prefs.reward_model.save`), which a file of
            settings or an environment's spec can name. It does not learn any more.

    Raises:
        SettingError: Both are given or neither, `reward_fn` cannot be called with three batches, or a saved model
            would read actions without bounds (`ClipAction` goes above).
        RewardModelError: There is no reward model in the folder, it has not learned yet, or it reads other spaces.
    """

    changes_reward = True

    def __init__(
        self,
        env: gym.Env[Any, Any],
        reward_fn: RewardFn | None = None,
        *,
        reward_model: Path | str | None = None,
    ) -> None:
        self.reward_fn = reward_fn_of(reward_fn, reward_model, env.observation_space, env.action_space)
        # A path as text, so that a spec can be written as JSON.
        kept = {"reward_fn": reward_fn} if reward_model is None else {"reward_model": str(reward_model)}
        gym.utils.RecordConstructorArgs.__init__(self, _disable_deepcopy=True, **kept)
        gym.Wrapper.__init__(self, env)
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
        following = _batch_of_one(observation)
        reward = self.reward_fn(self._last_observation, _batch_of_one(action), following)
        self._last_observation = following
        info = {**info, ENV_REWARD: float(env_reward)}
        return observation, float(reward[0]), terminated, truncated, info


class ClippedRewardVecEnv(VecEnvWrapper):
    """Gives the agent no reward beyond ±1, as is usual for Atari (Mnih et al. 2015)."""

    changes_reward = True

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Return the step under way with its rewards clipped."""
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, self.paid(rewards), dones, infos

    @staticmethod
    def paid(rewards: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what the agent gets of these rewards."""
        return np.clip(rewards, -1.0, 1.0)


def _episode_of(info: Mapping[str, Any]) -> tuple[float, int]:
    """Return the true return and the length of the episode that ended."""
    if "episode" not in info:
        raise SettingError(
            "The teacher goes by the returns of episodes, which nobody counts: put SB3's `Monitor` around each "
            "environment, as `make_vec_env` does, or `VecMonitor` around all."
        )
    return float(info["episode"]["r"]), int(info["episode"]["l"])


def _check_paid(rewards: Any, n_envs: int) -> None:
    """Refuse what would pay the wrong environment, or make the agent's values NaN for good."""
    if not isinstance(rewards, np.ndarray) or rewards.shape != (n_envs,):
        raise SettingError(
            f"`reward` must return an array of shape ({n_envs},), a reward for each environment. Received "
            f"{getattr(rewards, 'shape', rewards)!r}."
        )
    if not np.isfinite(rewards).all():
        raise FaultyEnvError(
            f"The reward of a step is NaN or infinite: {rewards}. See that what the environments return is finite."
        )


def _copy(observations: VecEnvObs) -> Any:
    """Copy what the environments may write over in their next step."""
    if isinstance(observations, dict):
        return {key: value.copy() for key, value in observations.items()}
    assert isinstance(observations, np.ndarray)
    return observations.copy()


def _with_terminal(observations: Any, ended: npt.NDArray[np.int64], infos: list[dict[str, Any]]) -> Any:
    """Return what was observed after the actions; at an episode's end that is not the next one's first."""
    if not len(ended):
        return observations
    if isinstance(observations, Mapping):
        result = {key: value.copy() for key, value in observations.items()}
        for env in ended:
            for key in result:
                result[key][env] = infos[env]["terminal_observation"][key]
        return result
    result = observations.copy()
    for env in ended:
        result[env] = infos[env]["terminal_observation"]
    return result


def _stacked_states(infos: list[dict[str, Any]]) -> npt.NDArray[Any] | None:
    if any(RENDER_STATE not in info for info in infos):
        return None
    # A third of the time of `np.stack`: this runs at every step.
    return np.array([info[RENDER_STATE] for info in infos])


def _next_states(
    infos: list[dict[str, Any]], ended: npt.NDArray[np.int64], reset_infos: list[dict[str, Any]]
) -> npt.NDArray[Any]:
    """State of each returned observation: after an end that is the first of the next episode."""
    if len(ended):
        infos = list(infos)
        for env in ended:
            infos[env] = reset_infos[env]
    return np.array([info[RENDER_STATE] for info in infos])


def _batch_of_one(value: Any) -> Any:
    """Copy, because an environment may write over its last observation in the next step."""
    if isinstance(value, dict):
        return {key: _batch_of_one(item) for key, item in value.items()}
    return np.array(value)[None]
