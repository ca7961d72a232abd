"""Every Atari id is a well-behaved environment whose episodes tell nothing by their length."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common import env_checker as sb3_checker

from prefrl_envs.atari.env import AtariGame
from prefrl_envs.snapshot import restore, snapshot
from prefrl_envs.tasks import TASKS

ATARI = [task for task in TASKS.values() if task.family == "atari"]
SLOW = [pytest.param(task.env_id, marks=[] if task.name == "pong" else pytest.mark.slow) for task in ATARI]


@pytest.mark.parametrize("env_id", SLOW)
def test_both_checkers_accept_it(env_id: str) -> None:
    env = gymnasium.make(env_id)
    check_env(env.unwrapped, skip_render_check=True)
    sb3_checker.check_env(env, warn=False, skip_render_check=True)
    env.close()


def test_all_have_the_same_horizon() -> None:
    assert len(ATARI) == 9
    assert {gymnasium.spec(task.env_id).max_episode_steps for task in ATARI} == {4000}


@pytest.mark.parametrize("env_id", SLOW)
def test_neither_games_that_end_nor_the_policy_change_the_length_of_an_episode(env_id: str) -> None:
    env = gymnasium.make(env_id, max_episode_steps=1200)
    env.action_space.seed(0)
    lengths, n_games = [], 0.0
    for still in (True, False):
        env.reset(seed=0)
        n_steps, truncated = 0, False
        while not truncated:
            _, _, terminated, truncated, info = env.step(0 if still else env.action_space.sample())
            assert not terminated
            n_steps += 1
        lengths.append(n_steps)
        n_games += info["task_metrics"].get("games", 0.0)
    assert lengths == [1200, 1200]
    assert n_games >= (0 if "Enduro" in env_id else 1)
    env.close()


@pytest.mark.parametrize("env_id", SLOW)
def test_a_restored_game_goes_on_as_the_one_that_was_saved(env_id: str) -> None:
    def transitions(env: gymnasium.Env, actions: list[int]) -> list[tuple[bytes, float, str]]:
        seen = []
        for action in actions:
            observation, reward, _, truncated, info = env.step(action)
            seen.append((observation.tobytes(), float(reward), str(info)))
            if truncated:
                seen.append((env.reset()[0].tobytes(), 0.0, ""))
        return seen

    env, other = (gymnasium.make(env_id, max_episode_steps=200) for _ in range(2))
    actions = np.random.default_rng(0).integers(env.action_space.n, size=500).tolist()  # type: ignore[attr-defined]
    env.reset(seed=2)
    transitions(env, actions[:133])
    state = snapshot(env)
    expected = transitions(env, actions[133:])
    restore(other, state)
    assert transitions(other, actions[133:]) == expected
    restore(other, state)  # and again, in an emulator that has gone somewhere else
    assert transitions(other, actions[133:190]) == expected[:57]
    env.close()
    other.close()


def test_qbert_goes_on_in_an_emulator_that_has_never_run() -> None:
    """It reads what the last instruction left on the data bus, which is no part of a saved state."""
    env, other = AtariGame(game="qbert"), AtariGame(game="qbert")
    env.reset(seed=2)
    actions = np.random.default_rng(0).integers(6, size=200)
    for action in actions[:150]:
        env.step(action)
    restore(other, snapshot(env))
    for action in actions[150:]:
        np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])


def test_without_ale_py_one_is_told_what_to_install() -> None:
    code = (
        "import sys; sys.modules['ale_py'] = None\n"
        "import gymnasium, prefrl_envs\n"
        "try:\n    gymnasium.make('prefrl/Pong-v0')\n"
        "except gymnasium.error.DependencyNotInstalled as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'prefrl[atari]'" in result.stdout


def test_listing_the_tasks_loads_no_emulator_and_no_opencv() -> None:
    code = "import sys, prefrl_envs.tasks; print(*{'ale_py', 'cv2', 'mujoco', 'torch'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
