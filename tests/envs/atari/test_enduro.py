"""Driving level with the other cars."""

import gymnasium
import numpy as np
import pytest

from prefrl_envs.atari.enduro import EnduroEven

NOOP, GAS, BRAKE = 0, 1, 4


def test_the_actions_are_the_ones_meant() -> None:
    env = EnduroEven()
    assert [env._actions[action].name for action in (NOOP, GAS, BRAKE)] == ["NOOP", "FIRE", "DOWN"]


def drive(policy: str, n_steps: int) -> tuple[list[float], dict[str, float], float]:
    env = EnduroEven()
    env.reset(seed=0)
    rewards = []
    for step in range(n_steps + 150):
        speed = int(env.ale.getRAM()[22])
        action = {"stand": NOOP, "race": GAS, "level": GAS if speed < 24 else BRAKE if speed > 25 else NOOP}[
            policy
        ]
        rewards.append(env.step(np.int64(action if step >= 150 else GAS))[1])
        if step == 149:
            env._n_steps = env._n_level = env._n_overtakings = 0  # from here on: cars have been passed before
    return rewards[150:], env.task_metrics(), float(env._score)


def test_who_drives_level_gets_the_most_and_nobody_passes() -> None:
    rewards, metrics, score = drive("level", 300)
    assert score > 0  # others could pass, and would be counted
    assert np.mean(rewards[50:]) > -0.2
    assert metrics["level_share"] > 0.7
    assert metrics["overtakings_per_minute"] < 25


def test_racing_and_standing_are_worse_and_the_game_counts_the_others() -> None:
    raced, racing, _ = drive("race", 300)
    stood, _, _ = drive("stand", 5)
    assert np.mean(raced) < -0.4
    assert racing["level_share"] < 0.3
    assert racing["overtakings_per_minute"] > 25
    assert max(stood) < 0


def test_the_reward_by_hand() -> None:
    env = EnduroEven()
    env.reset(seed=0)
    seen = {}
    for _ in range(80):
        reward = env.step(np.int64(GAS))[1]
        seen[int(env.ale.getRAM()[22])] = reward
    assert seen[24] == 0.0
    assert seen[30] == pytest.approx(-0.25)
    assert min(seen) < 12
    assert seen[min(seen)] == pytest.approx(-(24 - min(seen)) / 24)


def test_the_metrics_come_with_the_end_of_the_episode() -> None:
    env = gymnasium.make("prefrl/EnduroEven-v0", max_episode_steps=2)
    env.reset(seed=0)
    assert "task_metrics" not in env.step(0)[4]
    assert env.step(0)[4]["task_metrics"] == {"level_share": 0.0, "overtakings_per_minute": 0.0}
