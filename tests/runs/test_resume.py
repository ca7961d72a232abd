"""A run that was stopped or killed and resumed ends as one that was never stopped, to the last bit."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from prefrl.agents import callback
from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError, RunError
from prefrl.registry import ALGORITHMS
from prefrl.reward import RewardEnsemble
from prefrl.runs import RunFolder, TrainingProgress, resume, start, train, training
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.metrics_log import read_metrics
from prefrl.runs.saved_parts import saved_agent
from prefrl.store import Store

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]
WholeOf = Callable[[RunConfig], dict[str, Any]]

pytestmark = pytest.mark.usefixtures("train_only")
WALL_TIME = {"time/fps", "time/time_elapsed", "time/training_seconds", "time/refit_seconds"}
FEW_LABELS = {"crop_least": 0.6, "pseudo_weight": 1.0, "pseudo_threshold": 0.6, "bonus": 0.5, "pessimism": 0.5}
WALL_TIME |= {"seconds", "refit_seconds", "t_start", "episode_times"}  # the last two are Monitor's


@pytest.fixture(autouse=True)
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of the log for two rollouts of PPO, eight of A2C or thirty-two off-policy."""
    monkeypatch.setattr(training, "LOG_EVERY", 128)
    monkeypatch.setattr(training, "LINES_AT_LEAST", 1)
    monkeypatch.setattr(callback, "LOOK_EVERY", 64)
    monkeypatch.setattr(train, "TELL_EVERY", 16)


class Killed(BaseException):
    """Ends a training as a kill would: nothing more is saved."""


def ctrl_c_at(steps: int) -> Listener:
    def listener(progress: TrainingProgress) -> None:
        if progress.num_timesteps == steps:
            os.kill(os.getpid(), signal.SIGINT)

    return listener


def killed_at(steps: int) -> Listener:
    def listener(progress: TrainingProgress) -> None:
        if progress.num_timesteps == steps:
            raise Killed

    return listener


def without_wall_times(values: Any) -> Any:
    """Return nested values without those that differ from one time to the next."""
    if isinstance(values, dict):
        return {key: without_wall_times(value) for key, value in values.items() if key not in WALL_TIME}
    return [without_wall_times(value) for value in values] if isinstance(values, list) else values


def outcome(path: Path) -> dict[str, Any]:
    """Everything that a finished training leaves, without wall times."""
    folder = RunFolder(path)
    checkpoint = Checkpoint(checkpoints(folder.checkpoints)[-1])
    values = without_wall_times(checkpoint.values)
    arrays = {name: array for name, array in checkpoint.arrays.items() if name != "agent/zip"}
    config = folder.config()
    agent = saved_agent(config.algo, checkpoint.agent, "cpu")
    with Store(path) as store:
        answers = [(a.seq, a.query_id, a.answer, a.labeler, a.id) for a in store.answers()]
        counts = store.counts()
    return {
        "num_timesteps": checkpoint.num_timesteps,
        "values": values,
        "arrays": arrays,
        "replay": [checkpoint.read_shared(file.name) for file in sorted(checkpoint.folder.glob("replay-*"))],
        "parameters": agent.get_parameters(),
        "episodes": [(e["r"], e["l"]) for e in agent.ep_info_buffer or []],
        "updates": agent._n_updates,
        "answers": answers,
        "counts": counts,
        "metrics": [without_wall_times(line) for line in read_metrics(folder.metrics)],
        "reward_model": {file.name: file.read_bytes() for file in sorted(folder.reward_model.glob("*"))},
    }


def assert_same(first: Any, second: Any, where: str = "outcome") -> None:
    """Compare nested values; arrays and tensors to the last bit."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert list(first) == list(second), where
        for key in first:
            assert_same(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_same(one, other, f"{where}[{index}]")
    elif isinstance(first, torch.Tensor):
        assert_same(first.numpy(), second.numpy(), where)
    elif isinstance(first, np.ndarray):
        array: npt.NDArray[Any] = first
        assert array.dtype == second.dtype, where
        np.testing.assert_array_equal(array, second, err_msg=where)
    else:
        assert first == second, where


@pytest.fixture(scope="module")
def whole_of(tmp_path_factory: pytest.TempPathFactory) -> WholeOf:
    """`whole_of(config)`: what a run leaves that was never stopped; many tests compare with the same one."""
    known: dict[str, dict[str, Any]] = {}

    def outcome_of(config: RunConfig) -> dict[str, Any]:
        settings = json.dumps(config.to_json())
        if settings not in known:
            run = tmp_path_factory.mktemp("whole") / "run"
            start(config, run, lambda progress: None)
            known[settings] = outcome(run)
        return known[settings]

    return outcome_of


def start_or_resume(config: RunConfig, path: Path, listener: Listener) -> None:
    if path.exists():
        resume(path, listener)
    else:
        start(config, path, listener)


def stopped_and_resumed(config: RunConfig, path: Path, stops: list[int], quiet: Listener) -> dict[str, Any]:
    """Train with a Ctrl-C at each of these steps."""
    for steps in stops:
        with pytest.raises(InterruptedRunError, match=f"go on with `prefrl resume {path}`"):
            start_or_resume(config, path, ctrl_c_at(steps))
    resume(path, quiet)
    return outcome(path)


@pytest.mark.parametrize(("reward", "first"), [("preferences", 0), ("preferences", 2), ("true", 0)])
def test_a_run_whose_policies_were_replaced_goes_on_exactly(
    reward: str, first: int, small_config: MakeConfig, whole_of: WholeOf, tmp_path: Path, quiet: Listener
) -> None:
    """The learning rate falls from its beginning with each policy, and the best one is kept."""
    config = small_config(
        "pendulum",
        reward=reward,
        time_limit=16,
        restarts={"window_share": 0.1, "patience": 1, "least_gain": 9.0, "first_policies": first},
        agent={"settings": {"learning_rate": "lin_1e-2"}},
    )
    whole = whole_of(config)
    restarts = whole["values"]["restarts"] if reward == "true" else whole["values"]["preferences"]["restarts"]
    assert restarts["n_policies"] >= 3
    # In the first windows, with a fresh policy, with the third.
    assert_same(stopped_and_resumed(config, tmp_path / "stopped", [128, 320, 512], quiet), whole)


LIKE_ANOTHER = ("ddpg", "tqc", "crossq", "qrdqn")
"""Algorithms that keep nothing that SAC, TD3 or DQN would not."""


@pytest.mark.parametrize(
    "algo", [pytest.param(algo, marks=pytest.mark.slow if algo in LIKE_ANOTHER else ()) for algo in ALGORITHMS]
)
def test_stopped_run_ends_as_one_never_stopped(
    algo: str, small_config: MakeConfig, whole_of: WholeOf, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config("cartpole" if algo in ("dqn", "qrdqn") else "pendulum", algo)
    whole = whole_of(config)
    # In the first rollout, when some labels were asked, when all were.
    stopped = stopped_and_resumed(config, tmp_path / "stopped", [64, 192, 448], quiet)
    assert whole["counts"].comparisons == 24
    assert len(whole["metrics"]) == 5
    assert_same(whole, stopped)


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("ant", {}),
        ("hopper-backflip", {}),
        ("gridworld", {"feedback": {"strategy": "disagreement"}, "shuffle_labels": True}),
        ("gridworld", {"feedback": {"strategy": "near-policy:0.3+disagreement-diverse:0.7"}}),
        ("pendulum", {"reward": "true"}),
        ("pendulum", {"teacher": "boltzmann", "feedback": {"kind": "strength"}}),
        (
            "pendulum",
            {
                "teacher": "simulated",
                "teacher_settings": {"rationality": 2.0, "mistakes": 0.2, "cannot_tell": 0.2, "discount": 0.9},
                "feedback": {"kind": "ranking", "strategy": "disagreement"},
            },
        ),
        ("pendulum", {"teacher": "boltzmann", "feedback": {"kind": "rating", "strategy": "disagreement"}}),
        ("pendulum", {"reward_model": {"next_observation": True}, "restarts": {"first_policies": 1}}),
        ("pendulum", {"reward_model": FEW_LABELS}),
        ("pendulum", {"algo": "sac", "reward_model": FEW_LABELS}),
        pytest.param(
            "moving-dot",
            {"agent": {"frame_stack": 3}, "reward_model": FEW_LABELS | {"epochs": 1}},
            marks=pytest.mark.slow,
        ),
        ("pendulum", {"agent": {"settings": {"use_sde": True, "sde_sample_freq": 8}}}),
        ("pendulum", {"agent": {"settings": {"use_sde": True, "sde_sample_freq": -1}}}),  # once per rollout
        ("pendulum", {"algo": "sac", "agent": {"settings": {"use_sde": True, "train_freq": 8}}}),
        ("pendulum", {"algo": "sac", "reward": "true", "agent": {"settings": {"buffer_size": 100}}}),
        ("pendulum", {"algo": "td3", "agent": {"settings": {"action_noise": 0.3, "n_steps": 3}}}),
        ("pendulum", {"algo": "sac", "feedback": {"pretraining": "state-entropy", "initial_timesteps": 200}}),
        ("hopper", {"feedback": {"pretraining": "state-entropy", "initial_timesteps": 200}}),
        pytest.param(
            "moving-dot",
            {"algo": "dqn", "agent": {"frame_stack": 3}, "reward_model": {"epochs": 1}},
            marks=pytest.mark.slow,
        ),
        ("moving-dot", {"agent": {"frame_stack": 3}, "reward_model": {"memory": 10, "dropout": 0.5, "epochs": 1}}),
        pytest.param(
            "pong", {"feedback": {"initial_share": 0.2}, "reward_model": {"epochs": 1}}, marks=pytest.mark.slow
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*answers are ties")  # in a few steps of Pong nobody scores
def test_stopped_run_of_other_kinds(
    task: str,
    changes: dict[str, Any],
    small_config: MakeConfig,
    whole_of: WholeOf,
    tmp_path: Path,
    quiet: Listener,
) -> None:
    config = small_config(task, total_timesteps=384, env_kwargs={"max_episode_steps": 50}, **changes)
    whole = whole_of(config)
    stopped = stopped_and_resumed(config, tmp_path / "stopped", [192], quiet)
    assert_same(whole, stopped)


@pytest.mark.parametrize(
    ("task", "stepping", "package", "changes"),
    [
        ("hopper-backflip", "envpool", "envpool", {}),
        ("hopper", "envpool", "envpool", {"reward": "true"}),
        pytest.param("pong", "ale", "ale_py", {"reward": "true", "total_timesteps": 256}, marks=pytest.mark.slow),
    ],
)
def test_with_simulators_that_cannot_be_saved(
    task: str,
    stepping: str,
    package: str,
    changes: dict[str, Any],
    small_config: MakeConfig,
    whole_of: WholeOf,
    tmp_path: Path,
    quiet: Listener,
) -> None:
    """They come back by doing the episodes under way again: after a stop between two checkpoints, and a kill."""
    pytest.importorskip(package)
    settings = {"total_timesteps": 384, "env_kwargs": {"max_episode_steps": 50}, "checkpoint_every": 256} | changes
    config = small_config(task, stepping=stepping, **settings)
    whole = whole_of(config)
    assert whole["values"]["environments"]["documents"] == []
    stopped = stopped_and_resumed(config, tmp_path / "stopped", [128], quiet)
    assert_same(whole, stopped)
    with pytest.raises(Killed):
        start(config, tmp_path / "killed", killed_at(config.total_timesteps - 64))
    resume(tmp_path / "killed", quiet)
    assert_same(whole, outcome(tmp_path / "killed"))


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_tensorboard_changes_nothing_and_shows_every_line_once(
    algo: str,
    small_config: MakeConfig,
    whole_of: WholeOf,
    tmp_path: Path,
    quiet: Listener,
    read_events: Callable[[Path], SimpleNamespace],
) -> None:
    """With pictures, after stops, a kill that undoes lines, and a kill before the first checkpoint."""
    config = small_config("pendulum", algo, checkpoint_every=256)
    without = whole_of(config)
    config = replace(config, tensorboard=True)
    start(config, tmp_path / "whole", quiet)
    assert_same(without, outcome(tmp_path / "whole"))
    with pytest.raises(Killed):
        start(config, tmp_path / "killed", killed_at(192))
    with pytest.raises(Killed):
        resume(tmp_path / "killed", killed_at(512))
    assert_same(without, stopped_and_resumed(config, tmp_path / "killed", [448], quiet))
    whole, killed = (read_events(tmp_path / name / "log" / "tensorboard") for name in ("whole", "killed"))
    assert without_wall_times(killed.scalars) == without_wall_times(whole.scalars)
    assert {key: [step for step, _ in points] for key, points in killed.scalars.items()} == {
        key: [step for step, _ in points] for key, points in whole.scalars.items()
    }, "those of wall time, too"
    assert killed.images == whole.images
    assert len(whole.images["pictures/clip"]) == len(whole.images["pictures/rewards"]) >= 3


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param([64], id="before the first question"),
        pytest.param([192, 128], id="before the first checkpoint, twice"),
        pytest.param([320, 576], id="labels asked after the checkpoint"),
    ],
)
def test_killed_run_ends_as_one_never_killed(
    kills: list[int], small_config: MakeConfig, whole_of: WholeOf, tmp_path: Path, quiet: Listener
) -> None:
    """What came after the last checkpoint is done again, with the answers that the store has already."""
    config = small_config("pendulum", checkpoint_every=256)
    whole = whole_of(config)
    for steps in kills:
        with pytest.raises(Killed):
            start_or_resume(config, tmp_path / "killed", killed_at(steps))
    with Store(tmp_path / "killed") as store:
        acknowledged = store.answers()
    resume(tmp_path / "killed", quiet)
    with Store(tmp_path / "killed") as store:
        assert store.answers()[: len(acknowledged)] == acknowledged
    assert_same(whole, outcome(tmp_path / "killed"))


def test_queries_without_answers_are_answered_once(
    small_config: MakeConfig, whole_of: WholeOf, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two writes of a round leaves questions that nobody has answered."""
    config = small_config("pendulum")
    whole = whole_of(config)

    def killed(store: Store, answers: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_answers", killed)
        with pytest.raises(Killed):
            start(config, tmp_path / "killed", quiet)
    with Store(tmp_path / "killed") as store:
        counts = store.counts()
    assert counts.queries > 0
    assert counts.answers == 0
    resume(tmp_path / "killed", quiet)
    assert_same(whole, outcome(tmp_path / "killed"))


def test_stopped_before_the_first_step(
    small_config: MakeConfig, whole_of: WholeOf, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environments have been reset by then, and must not be reset again."""
    config = small_config("pendulum", total_timesteps=256)
    whole = whole_of(config)

    @contextmanager
    def stop_at_once() -> Iterator[threading.Event]:
        stop = threading.Event()
        stop.set()
        yield stop

    with monkeypatch.context() as patch:
        patch.setattr(train, "_stop_requests", stop_at_once)
        with pytest.raises(InterruptedRunError, match="go on with"):
            start(config, tmp_path / "stopped", quiet)
    assert [folder.name for folder in checkpoints(tmp_path / "stopped" / "checkpoints")] == ["000000000000"]
    resume(tmp_path / "stopped", quiet)
    assert_same(whole, outcome(tmp_path / "stopped"))


def test_seed_decides_the_outcome(small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    """The comparison above is worth something: another seed fails it."""
    for seed in (0, 1):
        start(small_config("pendulum", total_timesteps=256, seed=seed), tmp_path / str(seed), quiet)
    with pytest.raises(AssertionError):
        assert_same(outcome(tmp_path / "0"), outcome(tmp_path / "1"))


def test_damaged_newest_checkpoint_can_be_removed(
    small_config: MakeConfig, whole_of: WholeOf, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config("pendulum")
    whole = whole_of(config)
    with pytest.raises(Killed):
        start(config, tmp_path / "run", killed_at(512))
    saved = checkpoints(tmp_path / "run" / "checkpoints")
    assert [folder.name for folder in saved] == ["000000000256", "000000000384"]
    (saved[-1] / "arrays.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match="remove that folder and resume"):
        resume(tmp_path / "run", quiet)
    shutil.rmtree(saved[-1])
    resume(tmp_path / "run", quiet)
    assert_same(whole, outcome(tmp_path / "run"))


def test_complete_run_is_not_trained_again(small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    config = small_config("pendulum", total_timesteps=256)
    start(config, tmp_path / "run", quiet)
    before = outcome(tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    # Killed after the training: what is left to do is evaluation and report, also where somebody has asked for
    # a report on the way.
    folder.report.write_text("of step 128")
    resume(folder.path, quiet)
    folder.evaluation.write_text('{"num_timesteps": 128}')
    resume(folder.path, quiet)
    folder.evaluation.write_text('{"num_timesteps": 256}')
    folder.report.write_text("of step 256")
    with pytest.raises(RunError, match=r"is complete; its report is .*report.html"):
        resume(folder.path, quiet)
    assert_same(before, outcome(tmp_path / "run"))


def test_reward_model_is_there_when_the_training_is_over(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the last two writes must not leave a finished training without its reward."""
    config = small_config("pendulum", total_timesteps=256)

    def killed(*arguments: Any, **keywords: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RewardEnsemble, "save", killed)
        with pytest.raises(Killed):
            start(config, tmp_path / "run", quiet)
    assert Checkpoint(checkpoints(tmp_path / "run" / "checkpoints")[-1]).num_timesteps < 256
    resume(tmp_path / "run", quiet)
    assert RewardEnsemble.load(tmp_path / "run" / "reward_model").fitted


def test_second_ctrl_c_stops_at_once(small_config: MakeConfig, tmp_path: Path) -> None:
    def impatient(progress: TrainingProgress) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptedRunError, match=r"Stopped; go on with `prefrl resume .*run`"):
        start(small_config("pendulum"), tmp_path / "run", impatient)
    assert checkpoints(tmp_path / "run" / "checkpoints") == []
    assert signal.getsignal(signal.SIGINT) is before


def test_drafts_of_a_killed_save_are_removed(small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    with pytest.raises(Killed):
        start(small_config("pendulum", total_timesteps=256), tmp_path / "run", killed_at(64))
    draft = tmp_path / "run" / "checkpoints" / ".000000000064.new"
    draft.mkdir(parents=True)
    (draft / "agent.zip").write_bytes(b"cut sho")
    resume(tmp_path / "run", quiet)
    assert sorted(entry.name for entry in draft.parent.iterdir()) == ["000000000128", "000000000256"]


def test_a_stop_that_the_page_asks_for_is_no_first_signal() -> None:
    """So that one Ctrl-C after it still lets the training save."""
    with train._stop_requests() as stop:
        stop.set()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
