"""Teachers of runs: one who goes by another run's critic, and one who follows what the agent gets."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from prefrl.cli.parsing import train_settings
from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError, RunError
from prefrl.feedback import MixtureTeacher, RegretTeacher
from prefrl.runs import RunFolder, TrainingProgress, resume, start
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.environments import make_environments
from prefrl.runs.policy_view import SavedNormalizer
from prefrl.runs.run_teacher import run_teacher
from prefrl.runs.saved_parts import saved_agent
from prefrl.runs.value_function import value_function_of
from prefrl.store import Store

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]
pytestmark = pytest.mark.usefixtures("train_only")


def answers_of(run: Path) -> list[tuple[str, Any]]:
    with Store(run) as store:
        return [(one.query_id, one.answer) for one in store.answers(run=store.newest_run())]


def test_regret_goes_by_the_critic_of_a_run(small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    source = tmp_path / "source"
    start(small_config("pendulum", reward="true", time_limit=32), source, quiet)
    settings = {"values_from": str(source)}
    config = small_config("pendulum", teacher="regret", teacher_settings=settings, time_limit=32)
    folder = RunFolder.create(tmp_path / "run", config)
    teacher = run_teacher(config, folder)
    assert isinstance(teacher, RegretTeacher)
    assert teacher.value is not None

    checkpoint = Checkpoint(checkpoints(source / "checkpoints")[-1])
    agent: Any = saved_agent("ppo", checkpoint.agent, "cpu")
    normalizer = VecNormalize(make_environments(config, n_envs=1, seed=0), gamma=0.9)
    assert isinstance(normalizer.venv.unwrapped, DummyVecEnv)
    checkpoint.restore_part("normalizer", SavedNormalizer(normalizer))
    seen = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    with torch.no_grad():
        own = agent.policy.predict_values(torch.as_tensor(normalizer.normalize_obs(seen))).numpy()[:, 0]
    np.testing.assert_allclose(teacher.value(seen), normalizer.unnormalize_reward(own), rtol=1e-4, atol=1e-4)
    assert teacher.value(seen).std() > 0
    assert teacher.gamma == agent.gamma

    other = small_config("cartpole", teacher="regret", teacher_settings=settings)
    with pytest.raises(RunError, match="of the same task"):
        value_function_of(source, other)
    people = [{"name": "ann"}, {"name": "bob", "teacher": "regret", "teacher_settings": settings}]
    mixture = run_teacher(small_config("pendulum", teacher="mixture", teacher_settings={"people": people}), folder)
    assert isinstance(mixture, MixtureTeacher)

    shutil.rmtree(source)
    again = run_teacher(config, folder)
    assert isinstance(again, RegretTeacher)
    assert again.value is not None
    assert np.array_equal(again.value(seen), teacher.value(seen)), "the run keeps a copy"
    with pytest.raises(RunError, match="must be of the true reward"):
        value_function_of(folder.path, config)


def test_the_command_line_takes_a_run(tmp_path: Path) -> None:
    _, config = train_settings(["pendulum", "--teacher", f"regret:{tmp_path}"])
    assert (config.teacher, config.teacher_settings) == ("regret", {"values_from": str(tmp_path)})


@pytest.mark.parametrize("teacher", ["bpref", "slow"])
def test_what_was_said_is_the_same_after_a_resume(
    teacher: str, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    own: dict[str, Any] = {"equal": 0.3, "skip": 0.1}
    settings = own if teacher == "bpref" else {"delay_steps": 100, "teacher": "bpref", "teacher_settings": own}
    config = small_config("cartpole", teacher=teacher, teacher_settings=settings)

    def stop(progress: TrainingProgress) -> None:
        if progress.num_timesteps >= 320:
            raise InterruptedRunError("enough")

    start(config, tmp_path / "whole", quiet)
    with pytest.raises(InterruptedRunError):
        start(config, tmp_path / "parts", stop)
    resume(tmp_path / "parts", quiet)
    said = answers_of(tmp_path / "whole")
    assert said == answers_of(tmp_path / "parts")
    assert len(said) > 8
    last = Checkpoint(checkpoints(tmp_path / "whole" / "checkpoints")[-1])
    parts = Checkpoint(checkpoints(tmp_path / "parts" / "checkpoints")[-1])
    assert last.values["preferences"]["labels"] == parts.values["preferences"]["labels"]
