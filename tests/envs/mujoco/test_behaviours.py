"""What all behaviours have in common, and that metric and oracle are two things."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.tasks import TASKS

IDS = [
    task.env_id
    for task in TASKS.values()
    if task.family == "behaviour" and "mujoco" in str(gymnasium.spec(task.env_id).entry_point)
]


def test_the_behaviours_are_there() -> None:
    assert len(IDS) == 6


@pytest.mark.parametrize("env_id", IDS)
def test_a_reward_is_that_of_the_observation_before_the_step(env_id: str) -> None:
    """And of the action: what a reward network sees. Writing into a returned observation changes nothing."""
    env: Any = gymnasium.make(env_id).unwrapped
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    rewards = []
    for _ in range(50):
        action, kept = env.action_space.sample(), observation.copy()
        observation[:] = 100.0
        observation, reward, _, _, _ = env.step(action)
        assert reward == env.behaviour.reward(kept, action)
        rewards.append(reward)
    assert len(set(rewards)) > 10
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_rewards_take_batches(env_id: str, rng: np.random.Generator) -> None:
    env: Any = gymnasium.make(env_id).unwrapped
    observations = rng.normal(size=(4, 5, *env.observation_space.shape))
    actions = rng.uniform(-1, 1, size=(4, 5, *env.action_space.shape))
    together = env.behaviour.reward(observations, actions)
    assert together.shape == (4, 5)
    for i, j in np.ndindex(4, 5):
        assert together[i, j] == pytest.approx(env.behaviour.reward(observations[i, j], actions[i, j]), abs=1e-12)
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_what_is_counted_is_told_from_the_render_states_alone(env_id: str) -> None:
    """So that whatever steps an environment, or has stored its episodes, can count."""
    env: Any = SimulatorState(gymnasium.make(env_id, max_episode_steps=120))
    behaviour = env.unwrapped.behaviour
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    counts, over = behaviour.begin(info["render_state"]), False
    while not over:
        _, _, _, over, info = env.step(env.action_space.sample())
        behaviour.count(counts, info["render_state"])
    assert info["task_metrics"] == behaviour.metrics(counts)
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_counts_begin_anew_with_each_episode(env_id: str) -> None:
    env: Any = gymnasium.make(env_id, max_episode_steps=40)

    def metrics() -> dict[str, float]:
        env.reset(seed=1)
        env.action_space.seed(1)
        return dict([env.step(env.action_space.sample())[4] for _ in range(40)][-1]["task_metrics"])

    assert metrics() == metrics()
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_arguments_that_would_change_the_task_are_refused(env_id: str) -> None:
    env: Any = gymnasium.make(env_id).unwrapped
    assert "exclude_current_positions_from_observation" in env.fixed
    for name in env.fixed:
        with pytest.raises(TypeError, match=f"`{name}` is fixed in {type(env).__name__}"):
            gymnasium.make(env_id, **{name: True})
    env.close()
