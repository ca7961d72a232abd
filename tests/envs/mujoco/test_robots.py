"""The eight tasks of the paper under both oracles: each reward computed anew from the simulation."""

from collections.abc import Callable
from typing import Any

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs.tasks import TASKS, Task

Array = npt.NDArray[np.float64]
TWO_ORACLES = [task.env_id for task in TASKS.values() if task.paper_oracle]


def distance(env: Any, data: mujoco.MjData) -> float:
    tip, target = (data.body(name).xpos for name in ("fingertip", "target"))
    return float(np.sqrt(sum((a - b) ** 2 for a, b in zip(tip, target, strict=True))))


RECOMPUTED: dict[str, Callable[[Any, Array, mujoco.MjData], float]] = {
    # What the authors' code adds to gym's old rewards: x velocity + 1 alive - 1e-3 |a|² for Hopper and Walker2d.
    "Hopper": lambda env, before, after: (after.qpos[0] - before[0]) / env.dt + 1 + (after.qpos[1] - 1),
    "Walker2d": lambda env, before, after: (after.qpos[0] - before[0]) / env.dt + 1 + (after.qpos[1] - 2),
    "HalfCheetah": lambda env, before, after: (after.qpos[0] - before[0]) / env.dt,
    "Swimmer": lambda env, before, after: (after.qpos[0] - before[0]) / env.dt,
    "Reacher": lambda env, before, after: -distance(env, env.data),
    "InvertedPendulum": lambda env, before, after: 1 - float(after.qpos[1]) ** 2,
}


def made(name: str, **kwargs: Any) -> tuple[Any, Any]:
    env: Any = gymnasium.make(f"prefrl/{name}-v0", **kwargs)
    env.action_space.seed(0)
    env.reset(seed=0)
    return env, env.unwrapped


@pytest.mark.parametrize("name", RECOMPUTED)
def test_the_papers_oracle_computed_anew(name: str) -> None:
    env, inner = made(name, oracle="paper")
    for _ in range(25):
        before = inner.data.qpos.copy()
        reward = env.step(env.action_space.sample())[1]
        assert reward == pytest.approx(RECOMPUTED[name](inner, before, inner.data), rel=1e-9)
    env.close()


def test_the_papers_oracle_of_ant_computed_anew() -> None:
    """gymnasium takes the place of the torso from the moment before the last of five simulator steps."""
    env, inner = made("Ant", oracle="paper")
    for _ in range(25):
        before = inner.data.body("torso").xpos[0]
        reward = env.step(env.action_space.sample())[1]
        forward = (inner.data.body("torso").xpos[0] - before) / 0.05
        assert reward == pytest.approx(forward + inner.data.qpos[2] - 1.2, rel=1e-9)
    env.close()


def test_the_papers_oracle_of_the_double_pendulum_computed_anew() -> None:
    env, inner = made("InvertedDoublePendulum", oracle="paper")
    exact = mujoco.MjData(inner.model)
    for _ in range(50):
        reward = env.step(env.action_space.sample())[1]
        exact.qpos[:] = inner.data.qpos
        mujoco.mj_kinematics(inner.model, exact)
        tip, lagging = exact.site("tip").xpos, inner.data.site("tip").xpos
        speeds = 1e-3 * inner.data.qvel[1] ** 2 + 5e-3 * inner.data.qvel[2] ** 2
        penalty = (
            0.01 * lagging[0] ** 2 + (lagging[2] - 2.0) ** 2 + speeds
        )  # gymnasium's, a simulator step earlier
        assert reward == pytest.approx(10.0 - penalty + 10.0 * (tip[2] - 1.0), rel=1e-6)
    assert tip[2] < 0.5  # it has fallen: no termination, no end to the formula
    env.close()


@pytest.mark.parametrize("env_id", TWO_ORACLES)
def test_both_oracles_see_the_same_world(env_id: str) -> None:
    choices: list[dict[str, Any]] = [{}, {"oracle": "gymnasium"}, {"oracle": "paper"}]
    default, own, paper = (gymnasium.make(env_id, **choice) for choice in choices)
    for env in (default, own, paper):
        env.reset(seed=3)
    default.action_space.seed(3)
    rewards = []
    for _ in range(20):
        action = default.action_space.sample()
        steps = [env.step(action) for env in (default, own, paper)]
        assert steps[0][0].tobytes() == steps[1][0].tobytes() == steps[2][0].tobytes()
        rewards.append([float(step[1]) for step in steps])
    assert all(one == other for one, other, _ in rewards)
    assert all(one != different for one, _, different in rewards)
    for env in (default, own, paper):
        env.close()


@pytest.mark.parametrize("env_id", TWO_ORACLES)
def test_the_papers_rewards_take_batches(env_id: str) -> None:
    env = gymnasium.make(env_id, oracle="paper")
    env.action_space.seed(0)
    env.reset(seed=0)
    steps: list[Any] = [env.step(env.action_space.sample()) for _ in range(8)]
    observations = np.array([step[0] for step in steps])
    infos = {key: np.array([step[4][key] for step in steps]) for key in steps[0][4]}
    rewards = env.unwrapped.paper_reward(observations, infos)  # type: ignore[attr-defined]
    assert rewards.tolist() == pytest.approx([step[1] for step in steps], rel=1e-12)
    env.close()


@pytest.mark.parametrize("task", [task for task in TASKS.values() if not task.extra], ids=lambda task: task.name)
def test_exactly_the_tasks_with_two_oracles_say_so(task: Task) -> None:
    entry_point: Any = gymnasium.envs.registration.load_env_creator(task.entry_point)
    assert hasattr(entry_point, "paper_reward") == bool(task.paper_oracle)
    assert task.oracles == (("gymnasium", "paper") if task.paper_oracle else ("gymnasium",))
    if not task.paper_oracle:
        with pytest.raises(TypeError, match="oracle"):
            gymnasium.make(task.env_id, oracle="paper")


def test_the_eight_tasks_of_the_paper_have_its_oracle() -> None:
    assert len(TWO_ORACLES) == 8


def test_an_unknown_oracle_is_refused() -> None:
    with pytest.raises(ValueError, match=r'`oracle` must be "gymnasium" or "paper"\. Received \'human\''):
        gymnasium.make("prefrl/Hopper-v0", oracle="human")
