"""The table of tasks agrees with what is registered."""

import gymnasium
import pytest

from prefrl_envs.tasks import TASKS, Task


def test_every_registered_id_is_a_task_and_the_other_way_round() -> None:
    registered = {env_id for env_id in gymnasium.registry if env_id.startswith("prefrl/")}
    assert {task.env_id for task in TASKS.values()} == registered
    assert list(TASKS) == [task.name for task in TASKS.values()]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_a_tasks_facts_are_those_of_its_environment(task: Task) -> None:
    spec = gymnasium.spec(task.env_id)
    assert spec.max_episode_steps == task.horizon
    env = gymnasium.make(task.env_id, max_episode_steps=1)
    env.action_space.seed(0)
    env.reset(seed=0)
    info = env.step(env.action_space.sample())[4]
    assert tuple(info.get("task_metrics", {})) == task.metrics
    env.close()


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_a_task_says_what_it_is_in_a_line_each(task: Task) -> None:
    assert task.family in ("mujoco", "behaviour", "atari", "small")
    assert task.question.endswith(("?", "."))
    assert task.description.endswith(".")
    assert task.oracle.endswith(".")
    assert all(text and "\n" not in text and len(text) <= 110 for text in (task.description, task.oracle))
    assert "?" in task.question


def test_questions_are_asked_of_one_task_each() -> None:
    for field in ("question", "description"):
        texts = [getattr(task, field) for task in TASKS.values() if task.family != "atari"]
        assert len(set(texts)) == len(texts)
