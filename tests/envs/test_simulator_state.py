"""The render state in infos: of which moment it is, and how large."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from prefrl_envs.simulator_state import SimulatorState, render_state_size
from prefrl_envs.tasks import TASKS
from prefrl_envs.testing import CountingEnv

# Atari screens are bytes, not numbers: tests/envs/atari.
IDS = [task.env_id for task in TASKS.values() if task.family != "atari"]


@pytest.mark.parametrize("env_id", IDS)
def test_every_reset_and_step_carries_a_state_of_its_own(env_id: str) -> None:
    env = SimulatorState(gymnasium.make(env_id))
    size = render_state_size(env)
    env.action_space.seed(0)
    states = [env.reset(seed=0)[1]["render_state"]]
    states += [env.step(env.action_space.sample())[4]["render_state"] for _ in range(5)]
    assert {(state.shape, state.dtype) for state in states} == {((size,), states[0].dtype)}
    assert len({state.tobytes() for state in states}) > 1  # kept states do not change with the simulation
    env.close()


@pytest.mark.parametrize(
    ("env_id", "size"), [("Hopper", 6), ("Ant", 15), ("Pendulum", 3), ("GridWorld", 1), ("CartPole", 2)]
)
def test_state_sizes(env_id: str, size: int) -> None:
    env = gymnasium.make(f"prefrl/{env_id}-v0")
    assert render_state_size(env) == size
    env.close()


def test_hoppers_state_is_the_pose_in_which_the_observation_was_seen() -> None:
    env = SimulatorState(gymnasium.make("prefrl/Hopper-v0"))
    env.action_space.seed(0)
    observation, info = env.reset(seed=0)
    for _ in range(20):
        assert info["render_state"][1:].tolist() == observation[:5].tolist()
        observation, _, _, _, info = env.step(env.action_space.sample())
    env.close()


def test_pendulums_state_is_angle_velocity_and_torque() -> None:
    env = SimulatorState(gymnasium.make("prefrl/Pendulum-v0"))
    observation, info = env.reset(seed=0)
    assert info["render_state"][2] == 0.0
    observation, _, _, _, info = env.step(np.array([1.5], dtype=np.float32))
    angle, velocity, torque = info["render_state"]
    np.testing.assert_allclose(observation, [np.cos(angle), np.sin(angle), velocity], rtol=1e-6)
    assert torque == 1.5
    env.close()


def test_the_environments_own_info_is_not_written_to() -> None:
    own: dict[str, Any] = {"x": 1}

    class Own(CountingEnv):
        def step(self, action: Any) -> Any:
            return (*super().step(action)[:4], own)

        def render_state(self) -> Any:
            return np.array([float(self._n_steps)])

        def draw_state(self, state: Any, width: int, height: int) -> Any:
            raise AssertionError("nothing is drawn while an agent trains")

    env = SimulatorState(Own())
    assert env.reset()[1]["render_state"].tolist() == [0.0]
    assert env.step(np.zeros(1))[4]["render_state"].tolist() == [1.0]
    assert own == {"x": 1}


def test_an_environment_without_a_state_is_refused_and_has_size_zero() -> None:
    assert render_state_size(CountingEnv()) == 0
    with pytest.raises(TypeError, match="CountingEnv is none of these"):
        SimulatorState(CountingEnv())
