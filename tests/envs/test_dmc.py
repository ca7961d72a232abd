"""Tasks of the DeepMind Control Suite: the suite's own numbers, exact to resume, to be drawn from states."""

import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

from prefrl_envs.dmc.env import ControlSuite, control_suite
from prefrl_envs.dmc.tasks import TASKS
from prefrl_envs.rendering import StateRenderer
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.snapshot import restore, snapshot

EACH = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def made(task: Any) -> SimulatorState:
    return SimulatorState(gymnasium.make(task.env_id))


def actions_of(env: gymnasium.Env[Any, Any], n: int) -> Any:
    shape = env.action_space.shape
    assert shape is not None
    return np.random.default_rng(0).uniform(-1, 1, (n, *shape)).astype(np.float32)


@EACH
def test_every_number_is_the_suites_own(task: Any) -> None:
    """The same first state and the same forces by the suite's environment, which counts its steps itself."""
    ours = made(task)
    theirs = control_suite().load(task.kwargs["domain"], task.kwargs["task"], task_kwargs={"random": 1})
    actuators = theirs.action_spec()
    middle, reach = (actuators.maximum + actuators.minimum) / 2, (actuators.maximum - actuators.minimum) / 2
    for seed in range(2):
        theirs.task.random.seed(int(np.random.default_rng(seed).integers(2**32)))
        observation, _ = ours.reset(seed=seed)
        assert np.array_equal(observation, flat(theirs.reset().observation))
        for action in actions_of(ours, 60):
            step = theirs.step(middle + reach * np.asarray(action, np.float64))
            observation, reward, *_ = ours.step(action)
            assert np.array_equal(observation, flat(step.observation))
            assert reward == step.reward


def flat(parts: dict[str, Any]) -> Any:
    return np.concatenate([np.ravel(part) for part in parts.values()]).astype(np.float32)


@EACH
def test_actions_time_and_camera(task: Any) -> None:
    env: Any = made(task).unwrapped
    assert (env.action_space.low == -1).all()
    assert (env.action_space.high == 1).all()
    assert env.dt == {"walker-walk": 0.025, "cheetah-run": 0.01, "quadruped-walk": 0.02}[task.name]
    followed = env.mujoco_renderer.default_cam_config["trackbodyid"]
    assert env.model.body(followed).name == "torso"


@EACH
def test_episodes_have_a_thousand_steps_and_earn_no_more(task: Any) -> None:
    env = made(task)
    env.reset(seed=0)
    rewards, truncated = [], False
    while not truncated:
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        rewards.append(float(reward))
        assert not terminated
    assert len(rewards) == 1000
    assert 0 <= min(rewards) <= max(rewards) <= 1
    assert env.observation_space.contains(observation)


@EACH
def test_a_restored_environment_goes_on_as_it_would_have_done(task: Any) -> None:
    """In the middle of contacts, which MuJoCo's state does not hold, and over a reset."""
    env, other = made(task), made(task)
    env.reset(seed=3)
    actions = actions_of(env, 240)
    for action in actions[:140]:
        env.step(action)
    restore(other, snapshot(env))
    for action in actions[140:]:
        one, another = env.step(action), other.step(action)
        assert np.array_equal(one[0], another[0])
        assert one[1] == another[1]
    assert np.array_equal(env.reset()[0], other.reset()[0])
    assert np.array_equal(env.step(actions[0])[0], other.step(actions[0])[0])


@EACH
def test_episodes_differ_and_the_same_seed_gives_the_same(task: Any) -> None:
    env = made(task)
    first, second, again = env.reset(seed=1)[0], env.reset()[0], env.reset(seed=1)[0]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


@EACH
def test_clips_show_what_moves(task: Any) -> None:
    env = made(task)
    states = [env.reset(seed=0)[1]["render_state"]]
    states += [env.step(action)[4]["render_state"] for action in actions_of(env, 25)]
    with StateRenderer(task.env_id, 96, 64) as renderer:
        first, last = renderer.frame(states[0]), renderer.frame(states[-1])
        again = renderer.frame(states[0])
        assert renderer.step_seconds == env.unwrapped.dt  # type: ignore[attr-defined]
    assert np.array_equal(first, again)
    assert (first != last).any(axis=-1).mean() > 0.001
    assert first.std() > 5, "there is something to be seen"


def test_actions_reach_the_ends_of_what_actuators_can() -> None:
    env = ControlSuite("quadruped", "walk")
    env.reset(seed=0)
    low, high = env.model.actuator_ctrlrange.T
    for end, expected in ((1.0, high), (-1.0, low)):
        env.step(np.full(12, end, np.float32))
        assert np.allclose(env.data.ctrl, expected)


def test_warnings_of_mujoco_go_where_they_went_before() -> None:
    """dm_control puts a handler of its own in place when it is imported for the first time."""
    code = (
        "import mujoco; before = mujoco.get_mju_user_warning();"
        "from prefrl_envs.dmc.env import control_suite; control_suite();"
        "assert mujoco.get_mju_user_warning() is before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dm_control", None)
    with pytest.raises(gymnasium.error.DependencyNotInstalled, match=r"pip install 'prefrl\[dmc\]'"):
        gymnasium.make("prefrl/WalkerWalk-v0")
