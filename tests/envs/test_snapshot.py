"""A restored environment goes on exactly as the one that was saved."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from stable_baselines3.common.monitor import Monitor

from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.snapshot import EnvState, restore, snapshot
from prefrl_envs.tasks import TASKS
from prefrl_envs.testing import CountingEnv

# Atari games have longer episodes and their own tests: tests/envs/atari.
IDS = [task.env_id for task in TASKS.values() if task.family != "atari"]


def made(env_id: str) -> Any:
    """Make an environment as a run wraps it, with episodes short enough to see several borders."""
    return Monitor(SimulatorState(gymnasium.make(env_id, max_episode_steps=20)))


def on_disk(state: EnvState, folder: Path) -> EnvState:
    """Store and load a state the way a checkpoint does."""
    (folder / "state.json").write_text(json.dumps(state.document))
    save_file(state.arrays, folder / "state.safetensors")
    return EnvState(json.loads((folder / "state.json").read_text()), load_file(folder / "state.safetensors"))


def transitions(env: Any, actions: Any) -> list[bytes]:
    """Step with automatic reset and return everything that comes back, as bytes."""
    seen: list[bytes] = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            seen.append(np.asarray(info["episode"]["r"], dtype=np.float64).tobytes())
            seen.append(str(info.get("task_metrics")).encode())
            observation, info = env.reset()
        seen.append(np.asarray(observation).tobytes())
        seen.append(np.float64(reward).tobytes() + info["render_state"].tobytes())
    return seen


def sampled(env: Any, n_actions: int) -> list[Any]:
    env.action_space.seed(11)
    return [env.action_space.sample() for _ in range(n_actions)]


@pytest.mark.parametrize("env_id", IDS)
def test_stepping_on_after_a_restore_is_bit_identical(env_id: str, tmp_path: Path) -> None:
    env = made(env_id)
    actions = sampled(env, 130)
    env.reset(seed=5)
    transitions(env, actions[:33])  # into the second episode
    state = on_disk(snapshot(env), tmp_path)
    expected = transitions(env, actions[33:])  # over four borders
    other = made(env_id)  # neither seeded nor reset
    restore(other, state)
    assert transitions(other, actions[33:]) == expected
    restore(other, state)  # and again, now in an environment that has gone somewhere else
    assert transitions(other, actions[33:]) == expected
    env.close()
    other.close()


@pytest.mark.parametrize("env_id", ["prefrl/Ant-v0", "prefrl/Reacher-v0", "prefrl/HopperBackflip-v0"])
def test_taking_a_snapshot_disturbs_nothing(env_id: str) -> None:
    saved, plain = made(env_id), made(env_id)
    actions = sampled(saved, 50)
    results = []
    for env in (saved, plain):
        env.reset(seed=5)
        first = transitions(env, actions[:25])
        if env is saved:
            snapshot(env)
        results.append(first + transitions(env, actions[25:]))
    assert results[0] == results[1]
    saved.close()
    plain.close()


def test_every_moment_of_an_episode_can_be_saved() -> None:
    env, other = made("prefrl/Ant-v0"), made("prefrl/Ant-v0")
    actions = sampled(env, 60)
    env.reset(seed=5)
    for step in range(45):
        state = snapshot(env)
        expected = transitions(env, actions[step : step + 1])
        restore(other, state)
        assert transitions(other, actions[step : step + 1]) == expected
    env.close()
    other.close()


def test_the_state_of_the_integrator_alone_would_not_be_enough(tmp_path: Path) -> None:
    """Ant's reward reads positions that belong to the moment before the last integration."""
    env, other = made("prefrl/Ant-v0"), made("prefrl/Ant-v0")
    actions = sampled(env, 11)
    env.reset(seed=5)
    transitions(env, actions[:10])
    state = snapshot(env)
    expected = transitions(env, actions[10:])
    stale = [name for name in state.arrays if name.endswith(":mujoco:xpos")]
    assert len(stale) == 1
    state.arrays[stale[0]][:] = 0.0
    restore(other, state)
    assert transitions(other, actions[10:]) != expected
    env.close()
    other.close()


def test_the_monitors_counts_are_kept() -> None:
    env, other = made("prefrl/Reacher-v0"), made("prefrl/Reacher-v0")
    env.reset(seed=5)
    transitions(env, sampled(env, 50))
    restore(other, snapshot(env))
    assert other.get_episode_lengths() == [20, 20]
    assert other.get_episode_rewards() == env.get_episode_rewards()
    assert other.get_total_steps() == 50
    env.close()
    other.close()


def test_how_an_environment_was_made_stays_its_own() -> None:
    env = gymnasium.make("prefrl/Hopper-v0")
    other: Any = gymnasium.make("prefrl/Hopper-v0", render_mode="rgb_array", width=64, height=64)
    env.reset(seed=0)
    state = snapshot(env)
    assert "hopper.xml" not in json.dumps(state.document)  # the path of a file is this machine's own
    restore(other, state)
    assert (other.render_mode, other.unwrapped.width) == ("rgb_array", 64)
    env.close()
    other.close()


def test_another_chain_of_wrappers_is_refused() -> None:
    env = gymnasium.make("prefrl/GridWorld-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="is one of TimeLimit > GridWorld, but `env` is CountingEnv"):
        restore(CountingEnv(), snapshot(env))


def test_another_model_is_refused(tmp_path: Path) -> None:
    env = gymnasium.make("prefrl/Swimmer-v0")
    env.reset(seed=0)
    state = snapshot(env)
    key = next(name for name in state.arrays if name.endswith(":mujoco:xpos"))
    state.arrays[key] = np.zeros((99, 3))
    with pytest.raises(ValueError, match=r"does not fit this model.*xpos"):
        restore(env, state)
    env.close()
