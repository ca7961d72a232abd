"""The learned reward around `gymnasium.vector` environments, for training loops of one's own.

Gymnasium knows three ways to begin the next episode, which differ in what a step after an end is and in where
the last observation of an episode stands. A reward is paid for transitions that an environment made, and for no
others.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from prefrl.agents.learned_reward import ENV_REWARD
from prefrl.agents.reward_fn import RewardFn, reward_fn_of
from prefrl.errors import FaultyEnvError, SettingError
from prefrl.segments.spaces import check_space

Bools = npt.NDArray[np.bool_]
if TYPE_CHECKING:
    AnyVectorWrapper: TypeAlias = VectorWrapper[Any, Any, Any, Any, Any]
else:
    AnyVectorWrapper = VectorWrapper  # that of gymnasium 1.2 takes no types


class LearnedRewardVectorEnv(AnyVectorWrapper):
    """Replaces the rewards of all environments, in one call per step; the true ones are in `infos["env_reward"]`.

    All three ways in which gymnasium begins the next episode (`autoreset_mode`) are understood:

    - NEXT_STEP: the step after an end only resets. It is paid 0, the reward function does not see it, and
      `infos["_env_reward"]` is False there.
    - SAME_STEP: the observation after the last action of an episode is its `final_obs`.
    - DISABLED: episodes begin with `reset(options={"reset_mask": mask})`.

    What keeps statistics of episodes (`RecordEpisodeStatistics`) goes below, so that they stay those of the true
    reward; what changes observations, actions or rewards for the agent (`NormalizeObservation`, `ClipAction`,
    `NormalizeReward`) goes above.

    >>> import gymnasium
    >>> envs = gymnasium.make_vec("Pendulum-v1", num_envs=2)
    >>> envs = LearnedRewardVectorEnv(envs, lambda before, actions, after: -(actions[:, 0] ** 2))
    >>> _ = envs.reset(seed=0)
    >>> _, rewards, _, _, infos = envs.step(np.array([[2.0], [0.5]], dtype=np.float32))
    >>> rewards.tolist(), sorted(infos)
    ([-4.0, -0.25], ['_env_reward', 'env_reward'])

    Args:
        env: Vector environments, which say in their metadata how they begin the next episode.
        reward_fn: What pays: a function of the observations before the actions, the actions and the observations
            after them; gets a row for each environment that made a step.
        reward_model: In its place the folder of a saved reward model.

    Raises:
        SettingError: `env` is no vector environment or does not say how it resets, or there is not one thing that
            pays and can (see `LearnedReward`).
        RewardModelError: There is no reward model in the folder, it has not learned yet, or it reads other spaces.
        SpaceError: A space is not Box, Discrete, MultiDiscrete, MultiBinary or Dict of these.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        reward_fn: RewardFn | None = None,
        *,
        reward_model: Path | str | None = None,
    ) -> None:
        self._mode = _autoreset_mode(env)
        check_space(env.single_observation_space, what="observation space")
        check_space(env.single_action_space, what="action space")
        super().__init__(env)
        self.reward_fn = reward_fn_of(
            reward_fn, reward_model, env.single_observation_space, env.single_action_space
        )
        self._last_observations: Any = None
        self._only_resets = np.zeros(env.num_envs, dtype=bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all environments, or those of `options["reset_mask"]`."""
        # Looked at first: gymnasium's own vector environments take the mask out of the options.
        mask = np.array((options or {}).get("reset_mask", True)) & np.ones(self.num_envs, dtype=bool)
        observations, infos = self.env.reset(seed=seed, options=options)
        first = _each(np.array, observations)
        if self._last_observations is not None:
            _write(self._last_observations, mask, _each(lambda array: array[mask], first))
        else:
            self._last_observations = first
        self._only_resets = self._only_resets & ~mask
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, npt.NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        """Step, with the learned rewards in place of the true ones.

        Raises:
            FaultyEnvError: An episode ended in SAME_STEP mode without a `final_obs`.
        """
        observations, env_rewards, terminations, truncations, infos = self.env.step(actions)
        ended = np.asarray(terminations) | np.asarray(truncations)
        following = _each(np.array, observations)
        after = following
        if self._mode is AutoresetMode.SAME_STEP and ended.any():
            after = _with_final(following, ended, infos)
        stepped = ~self._only_resets
        rewards = np.zeros(self.num_envs)
        if stepped.any():
            steps = (
                _each(lambda array: np.asarray(array)[stepped], values)
                for values in (self._last_observations, actions, after)
            )
            rewards[stepped] = self.reward_fn(*steps)
        self._last_observations = following
        if self._mode is AutoresetMode.NEXT_STEP:
            self._only_resets = ended
        infos = {**infos, ENV_REWARD: np.array(env_rewards), f"_{ENV_REWARD}": stepped}
        return observations, rewards, terminations, truncations, infos


def _autoreset_mode(env: object) -> AutoresetMode:
    if not isinstance(env, VectorEnv):
        raise SettingError(
            "`env` must be a vector environment of gymnasium, as `gymnasium.make_vec` makes them. Received "
            f"{type(env).__name__}; LearnedReward is for single environments, LearnedRewardVecEnv for VecEnv."
        )
    mode = env.metadata.get("autoreset_mode")
    if mode is None:
        raise SettingError(
            'The environments must say how they begin the next episode: `metadata["autoreset_mode"]`, one of '
            f"gymnasium's AutoresetMode. Received {type(env.unwrapped).__name__} without it; set it."
        )
    return AutoresetMode(mode)


def _with_final(following: Any, ended: Bools, infos: Mapping[str, Any]) -> Any:
    """Return what was observed after the actions; at an episode's end that is not the next one's first."""
    if "final_obs" not in infos:
        raise FaultyEnvError(
            "Environments with autoreset mode SAME_STEP must hand out the last observations of episodes as "
            '`infos["final_obs"]`. Received none where an episode ended; see that no wrapper drops it.'
        )
    after, final = _each(np.array, following), infos["final_obs"]
    for env in np.flatnonzero(ended):
        _write(after, env, _row(final, int(env)))
    return after


def _row(values: Any, env: int) -> Any:
    """Return what belongs to one environment, from an array or from each array of a mapping."""
    return {key: _row(value, env) for key, value in values.items()} if isinstance(values, Mapping) else values[env]


def _each(change: Callable[[Any], Any], values: Any) -> Any:
    """Change an array, or each array of a mapping."""
    if isinstance(values, Mapping):
        return {key: _each(change, value) for key, value in values.items()}
    return change(values)


def _write(batch: Any, rows: Any, values: Any) -> None:
    """Write into some rows of an array, or of each array of a mapping."""
    if isinstance(batch, Mapping):
        for key, array in batch.items():
            _write(array, rows, values[key])
    else:
        batch[rows] = values
