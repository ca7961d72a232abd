"""Hidden terminations, and what happens to a simulation that goes wrong in mid-episode."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from prefrl_envs.fixed_horizon import HideTermination
from prefrl_envs.testing import CountingEnv


def test_termination_is_hidden_and_nothing_else_changes() -> None:
    env = HideTermination(CountingEnv((3,), terminates=True))
    env.reset()
    action = np.zeros(1, dtype=np.float32)
    steps = [env.step(action) for _ in range(3)]
    assert [(obs[0], reward, ended, cut) for obs, reward, ended, cut, _ in steps] == [
        (1.0, 0.0, False, False),
        (2.0, 10.0, False, False),
        (3.0, 20.0, False, False),
    ]


def test_truncation_passes() -> None:
    env = HideTermination(CountingEnv((1,)))
    env.reset()
    assert env.step(np.zeros(1, dtype=np.float32))[2:4] == (False, True)


def test_a_termination_that_coincides_with_the_time_limit_leaves_the_time_limit() -> None:
    env = HideTermination(CountingEnv((2,), terminates=True, truncates=True))
    env.reset()
    assert [env.step(np.zeros(1, dtype=np.float32))[2:4] for _ in range(2)] == [(False, False), (False, True)]


@pytest.mark.parametrize(
    ("name", "height_index", "unhealthy_height"), [("Hopper", 1, 0.15), ("Walker2d", 1, 0.15), ("Ant", 2, 3.0)]
)
def test_an_unhealthy_robot_goes_on_without_its_healthy_reward(
    name: str, height_index: int, unhealthy_height: float
) -> None:
    env = gymnasium.make(f"prefrl/{name}-v0")
    env.reset(seed=0)
    simulator: Any = env.unwrapped
    position = simulator.data.qpos.copy()
    position[height_index] = unhealthy_height  # metres above the floor
    simulator.set_state(position, simulator.data.qvel.copy())
    _, _, terminated, truncated, info = env.step(np.zeros(env.action_space.shape or ()))
    assert (terminated, truncated) == (False, False)
    assert info["reward_survive"] == 0.0
    env.close()


def test_the_double_pendulum_is_paid_for_being_up_only() -> None:
    env = gymnasium.make("prefrl/InvertedDoublePendulum-v0")
    env.reset(seed=0)
    simulator: Any = env.unwrapped
    assert env.step(np.zeros(1))[4]["reward_survive"] == 10.0
    simulator.set_state(np.array([0.0, np.pi, 0.0]), np.zeros(3))
    _, reward, terminated, _, info = env.step(np.zeros(1))
    assert not terminated
    assert info["reward_survive"] == 0.0
    assert float(reward) == pytest.approx(-((-1.2 - 2.0) ** 2), rel=1e-3)  # the tip hangs 1.2 m below the cart
    env.close()


@pytest.mark.parametrize("name", ["Hopper", "Ant", "InvertedDoublePendulum", "Reacher"])
def test_a_simulation_that_diverges_is_reset_by_mujoco_and_goes_on_finite(
    name: str, capfd: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log there
    env = gymnasium.make(f"prefrl/{name}-v0")
    env.reset(seed=0)
    simulator: Any = env.unwrapped
    simulator.data.qvel[:] = 1e12
    action = np.zeros(env.action_space.shape or ())
    for _ in range(5):
        observation, reward, terminated, truncated, _ = env.step(action)
        assert np.isfinite(observation).all()
        assert np.isfinite(float(reward))
        assert (terminated, truncated) == (False, False)
    assert "unstable" in capfd.readouterr().err
    env.close()
