"""The somersaults: their rewards, their directions, and the count of flips."""

import math
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from prefrl_envs.mujoco.flips import HopperBackflip, HopperFrontFlip, backflip_reward, front_flip_reward


def test_reward_by_hand() -> None:
    #                      z   sin  cos thigh leg foot vx  vz  ω  thigh leg foot
    observation = np.array([2.0, 9.0, 9.0, 9.0, 9.0, 9.0, -4.0, 9.0, -3.0, 1.0, 2.0, 5.0])
    action = np.array([1.0, -0.5, 0.2])
    # backroll 3; 1 + 0.3*2 + 0.1*(1 - 1 + 1) + 0.05*4 = 1.9
    assert backflip_reward(observation, action) == pytest.approx(5.7, abs=1e-12)


def test_actions_beyond_the_motors_range_count_as_the_range() -> None:
    observation = np.arange(1.0, 13.0)
    beyond = backflip_reward(observation, np.array([7.0, -9.0, 0.5]))
    assert beyond == backflip_reward(observation, np.array([1.0, -1.0, 0.5]))


def test_front_flip_reward_by_hand() -> None:
    observation = np.array([1.5, 9.0, 9.0, 9.0, 9.0, 9.0, -4.0, 9.0, 3.0, 1.0, 2.0, 5.0])
    assert front_flip_reward(observation, np.ones(3)) == 4.5
    backward = np.where(np.arange(12) == 8, -observation, observation)
    assert front_flip_reward(backward, np.ones(3)) == -4.5


def test_rocking_on_the_floor_is_worth_little() -> None:
    """Beside the same at the height of a jump."""
    low, high = np.zeros(12), np.zeros(12)
    low[[0, 8]], high[[0, 8]] = [0.1, 5.0], [1.5, 5.0]
    assert front_flip_reward(low, np.zeros(3)) < 0.1 * front_flip_reward(high, np.zeros(3))


@pytest.mark.parametrize("reward", [backflip_reward, front_flip_reward])
def test_rewards_take_batches(reward: Any, rng: np.random.Generator) -> None:
    observations, actions = rng.normal(size=(4, 5, 12)), rng.normal(size=(4, 5, 3))
    together = reward(observations, actions)
    assert together.shape == (4, 5)
    for i, j in np.ndindex(4, 5):
        assert together[i, j] == reward(observations[i, j], actions[i, j])


def test_observation_holds_what_the_reward_reads() -> None:
    env: Any = HopperBackflip()
    env.reset(seed=0)
    env.set_state(np.array([0.5, 1.1, -6.6, -0.1, -0.2, 0.4]), np.array([1.0, 2.0, 3.0, 4.0, 5.0, 60.0]))
    joints = [mujoco.mj_id2name(env.model, mujoco.mjtObj.mjOBJ_JOINT, j) for j in range(6)]
    observation = env._get_obs()
    assert joints == ["rootx", "rootz", "rooty", "thigh_joint", "leg_joint", "foot_joint"]
    assert observation.tolist() == [
        1.1, math.sin(-6.6), math.cos(-6.6), -0.1, -0.2, 0.4, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0
    ]  # fmt: skip


def test_a_turn_later_it_looks_the_same() -> None:
    env: Any = HopperBackflip()
    env.reset(seed=0)
    seen = []
    for turns in (0, -5):
        env.set_state(np.array([0.0, 1.1, -0.3 + 2.0 * math.pi * turns, -0.1, -0.2, 0.4]), np.ones(6))
        seen.append(env._get_obs())
        assert env.observation_space.contains(seen[-1])
    np.testing.assert_allclose(seen[0], seen[1], rtol=0.0, atol=1e-12)


def test_backward_means_that_the_head_moves_against_the_hopping_direction() -> None:
    env: Any = HopperBackflip()
    env.reset(seed=0)

    def head_x(angle: float) -> float:
        position = np.array([0.0, 1.25, angle, 0.0, 0.0, 0.0])
        env.set_state(position, np.zeros(6))
        top_of_torso = env.data.xmat[1].reshape(3, 3) @ np.array([0.0, 0.0, 0.2])
        return float(top_of_torso[0])

    assert head_x(-0.5) == pytest.approx(-0.2 * np.sin(0.5))
    rotating_backward = np.zeros(12)
    rotating_backward[8] = -1.0
    assert backflip_reward(rotating_backward, np.zeros(3)) > 0 > backflip_reward(-rotating_backward, np.zeros(3))


def test_reward_belongs_to_the_observation_before_the_step() -> None:
    env: Any = HopperBackflip()
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(50):
        action = env.action_space.sample()
        following, reward, _, _, _ = env.step(action)
        assert reward == backflip_reward(observation, action)
        observation = following


def test_writing_into_a_returned_observation_changes_no_reward() -> None:
    env: Any = HopperBackflip()
    observation, _ = env.reset(seed=0)
    for _ in range(2):
        kept = observation.copy()
        observation[:] = 100.0
        observation, reward, _, _, _ = env.step(np.zeros(3))
        assert reward == backflip_reward(kept, np.zeros(3))


def turn(env: Any, angles: list[float]) -> dict[str, float]:
    """Put the torso at each angle in turn and return what is counted."""
    env.reset(seed=0)
    for angle in angles:
        position = np.array([0.0, 10.0, angle, 0.0, 0.0, 0.0])
        env.set_state(position, np.zeros(6))
        env.step(np.zeros(3))
    return dict(env.task_metrics())


@pytest.mark.parametrize(
    ("angles", "flips"),
    [
        ([], 0.0),
        ([-3.0, -6.2], 0.0),
        ([-3.0, -6.4], 1.0),
        ([-3.0, -6.4, -9.0, -12.7], 2.0),
        ([3.0, 6.4], 0.0),  # forward
        ([-6.4, 0.0], 1.0),  # a flip done stays done
        ([-4.0, 0.0, -4.0, 0.0, -4.0], 0.0),  # rocking to and fro is no flip
        ([6.4, 0.0], 0.0),  # a forward turn undone is no backflip
    ],
)
def test_flips_are_completed_net_turns(angles: list[float], flips: float) -> None:
    back: Any = HopperBackflip()
    front: Any = HopperFrontFlip()
    assert turn(back, angles) == {"backflips": flips}
    assert turn(front, [-angle for angle in angles]) == {"front_flips": flips}
    back.close()
    front.close()


def test_flips_are_reported_at_the_end_of_the_episode_and_counted_anew() -> None:
    env = gymnasium.make("prefrl/HopperBackflip-v0", max_episode_steps=3)
    simulator: Any = env.unwrapped
    env.reset(seed=0)
    simulator.set_state(np.array([0.0, 10.0, -6.4, 0.0, 0.0, 0.0]), np.zeros(6))
    infos = [env.step(np.zeros(3))[4] for _ in range(3)]
    assert ["task_metrics" in info for info in infos] == [False, False, True]
    assert infos[-1]["task_metrics"] == {"backflips": 1.0}
    env.reset()
    infos = [env.step(np.zeros(3))[4] for _ in range(3)]
    assert infos[-1]["task_metrics"] == {"backflips": 0.0}
    env.close()
