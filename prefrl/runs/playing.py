"""A policy at play in the environments of a run, without exploration and without learning."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prefrl.agents import LearnedRewardVecEnv
from prefrl.agents.learned_reward import ENV_REWARD
from prefrl.config import RunConfig
from prefrl.reward.inputs import is_image
from prefrl.runs.checkpoint import Checkpoint
from prefrl.runs.policy_view import SavedNormalizer, make_normalizer, stack_frames
from prefrl.runs.saved_parts import check_agent_fits, saved_agent
from prefrl.runs.serial_vec_env import SerialVecEnv

Array = npt.NDArray[Any]


class Played(NamedTuple):
    """One step of all environments."""

    observations: Any
    """Before the actions, as reward networks read them, shape [N, *obs]; a mapping of such for `Dict`."""
    actions: Array
    """Shape [N, *act]."""
    next_observations: Any
    """After the actions; at the end of an episode the terminal ones."""
    env_rewards: npt.NDArray[np.float32]
    """True rewards, shape [N]."""
    dones: npt.NDArray[np.bool_]
    """Where an episode ended, shape [N]."""
    infos: list[dict[str, Any]]
    """Of each environment."""
    render_states: Array | None
    """Before the actions, shape [N, S]; None where there are none."""


def play(config: RunConfig, environments: SerialVecEnv, checkpoint: Checkpoint) -> Iterator[Played]:
    """Yield step after step of the policy of a checkpoint, for ever.

    Without exploration; only policies that see images draw their actions, as is usual for Atari: the most probable
    action alone can stand still for ever where a picture does not change.

    Args:
        config: Of the run that the policy is of.
        environments: Where it plays.
        checkpoint: Holds the policy.

    Raises:
        RunError: The environment is not the one that the policy learned in.
    """
    rewarded = LearnedRewardVecEnv(stack_frames(config, environments), "true")
    normalizer = make_normalizer(config, rewarded)
    agent = saved_agent(config.algo, checkpoint.agent, config.agent.device)
    check_agent_fits(agent, normalizer)
    checkpoint.restore_part("normalizer", SavedNormalizer(normalizer))
    normalizer.training = False
    normalizer.norm_reward = False
    draws = is_image(rewarded.observation_space)
    seen: Any = normalizer.reset()
    remembered, begins = None, np.ones(environments.num_envs, dtype=bool)
    while True:
        raw, render_states = rewarded.last_observations, rewarded.render_states
        actions, remembered = agent.predict(seen, remembered, begins, deterministic=not draws)
        seen, _, begins, infos = normalizer.step(actions)  # these rewards are the agent's: clipped, say
        yield _played(rewarded, raw, actions, begins, infos, render_states)


def play_at_random(config: RunConfig, environments: SerialVecEnv, seed: int) -> Iterator[Played]:
    """Yield step after step of actions drawn uniformly, for ever.

    Args:
        config: Of the run whose environments they are.
        environments: Where they are tried.
        seed: Decides the actions.
    """
    rewarded = LearnedRewardVecEnv(stack_frames(config, environments), "true")
    space = rewarded.action_space
    space.seed(seed)
    rewarded.reset()
    while True:
        raw, render_states = rewarded.last_observations, rewarded.render_states
        actions = np.array([space.sample() for _ in range(environments.num_envs)])
        _, _, dones, infos = rewarded.step(actions)
        yield _played(rewarded, raw, actions, dones, infos, render_states)


def _played(
    rewarded: LearnedRewardVecEnv,
    raw: Any,
    actions: Array,
    dones: Array,
    infos: list[dict[str, Any]],
    render_states: Array | None,
) -> Played:
    env_rewards = np.array([info[ENV_REWARD] for info in infos], dtype=np.float32)
    return Played(raw, actions, rewarded.next_observations, env_rewards, dones, infos, render_states)
