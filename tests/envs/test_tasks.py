"""What a task says of itself agrees with what is registered, and nothing else has to be told of it."""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import gymnasium
import pytest

from prefrl_envs import extras
from prefrl_envs.extras import ATARI, DMC, EXTRAS, FAST, Extra
from prefrl_envs.registration import register
from prefrl_envs.task import HIDE_TERMINATION, TASK_METRICS
from prefrl_envs.tasks import TASKS, TASKS_BY_ENV_ID, Task

EACH = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


def test_every_registered_id_is_a_task_and_the_other_way_round() -> None:
    registered = {env_id for env_id in gymnasium.registry if env_id.startswith("prefrl/")}
    assert {task.env_id for task in TASKS.values()} == registered == set(TASKS_BY_ENV_ID)
    assert list(TASKS) == [task.name for task in TASKS.values()]
    assert len(TASKS_BY_ENV_ID) == len(TASKS)


@EACH
def test_a_tasks_facts_are_those_of_its_environment(task: Task) -> None:
    spec = gymnasium.spec(task.env_id)
    assert spec.max_episode_steps == task.horizon
    env = gymnasium.make(task.env_id, max_episode_steps=1)
    env.action_space.seed(0)
    env.reset(seed=0)
    info = env.step(env.action_space.sample())[4]
    assert tuple(info.get("task_metrics", {})) == task.metrics
    env.close()


@EACH
def test_a_task_says_what_it_is_in_a_line_each(task: Task) -> None:
    assert task.family in ("mujoco", "behaviour", "atari", "dmc", "small")
    assert task.question.endswith(("?", "."))
    assert task.description.endswith(".")
    assert task.oracle.endswith(".")
    assert all(text and "\n" not in text and len(text) <= 110 for text in (task.description, task.oracle))
    assert "?" in task.question
    assert not task.paper_oracle or task.paper_oracle.endswith(".")


def test_questions_are_asked_of_one_task_each() -> None:
    for field in ("question", "description"):
        texts = [getattr(task, field) for task in TASKS.values() if task.family != "atari"]
        assert len(set(texts)) == len(texts)


@EACH
def test_facts_are_json(task: Task) -> None:
    facts = task.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["env_id"], facts["horizon"], facts["metrics"]) == (
        task.env_id,
        task.horizon,
        list(task.metrics),
    )
    assert facts["fast_stepping"] == (task.fast.name if task.fast else None)


@EACH
def test_a_task_names_the_extra_without_which_it_cannot_be_made(task: Task) -> None:
    assert task.extra is {"atari": ATARI, "dmc": DMC}.get(task.family)
    assert task.fast is None or task.fast.extra in EXTRAS


@EACH
def test_what_is_counted_per_episode_is_among_the_metrics(task: Task) -> None:
    assert set(task.per_episode) <= set(task.metrics)
    assert ("flip" in task.name) == bool(task.per_episode)


def test_an_extra_that_is_missing_is_told_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (ATARI.command, FAST.command) == ("pip install 'prefrl[atari]'", "pip install 'prefrl[fast]'")
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert not ATARI.is_installed
    assert ATARI.version == ""
    facts = TASKS["pong"].facts()
    assert (facts["extra"], facts["installed"], facts["install"]) == ("atari", False, ATARI.command)
    assert TASKS["hopper"].facts()["installed"], "EnvPool only makes it faster"
    monkeypatch.setattr(extras, "find_spec", lambda name: object())
    assert TASKS["pong"].facts()["installed"]


def test_an_extra_that_is_there_has_a_version() -> None:
    numpy = Extra(name="x", package="numpy", module="numpy", purpose="arrays")
    assert numpy.is_installed
    assert numpy.version[0].isdigit()
    unknown = Extra(name="x", package="no-such-package", module="json", purpose="")
    assert unknown.version == "unknown version"


@pytest.fixture
def counting() -> Any:
    task = Task(
        name="counting",
        env_name="Counting",
        family="small",
        entry_point="prefrl_envs.testing:CountingEnv",
        kwargs={"lengths": (3,), "terminates": True},
        horizon=5,
        description="Counts.",
        question="Which counts better?",
        oracle="Ten times the count.",
    )
    yield task
    gymnasium.registry.pop(task.env_id, None)


def test_one_entry_is_all_that_a_task_takes(counting: Task) -> None:
    """Its id, arguments, wrappers and length follow."""
    register(replace(counting, wrappers=(HIDE_TERMINATION,)))
    assert counting.env_id == "prefrl/Counting-v0"
    env = gymnasium.make("prefrl/Counting-v0")
    env.reset()
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]


def test_what_a_task_counts_is_told_outside_of_its_other_wrappers(counting: Task) -> None:
    assert counting.all_wrappers == ()
    both = replace(counting, wrappers=(HIDE_TERMINATION,), metrics=("n",))
    assert both.all_wrappers == (HIDE_TERMINATION, TASK_METRICS)


def test_a_task_that_is_registered_already_is_left_alone(counting: Task) -> None:
    register(counting)
    register(replace(counting, horizon=9))
    assert gymnasium.spec(counting.env_id).max_episode_steps == 5


def test_listing_the_tasks_loads_no_simulator() -> None:
    code = (
        "import sys, prefrl_envs.tasks; print(*{'ale_py', 'envpool', 'mujoco', 'cv2', 'torch'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
