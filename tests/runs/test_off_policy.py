"""Runs of algorithms with a replay buffer: their log, what they tell, and how much they may keep."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from prefrl.agents import callback
from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError, SettingError
from prefrl.registry import OFF_POLICY
from prefrl.runs import RunFolder, TrainingProgress, evaluation, start
from prefrl.runs import train as runs_train
from prefrl.runs import training as runs_training
from prefrl.runs.checkpoint import checkpoints
from prefrl.runs.metrics_log import read_metrics
from prefrl.runs.training import Training

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]


COMPACT = {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}}


@pytest.fixture(autouse=True)
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_training, "LOG_EVERY", 128)
    monkeypatch.setattr(runs_training, "LINES_AT_LEAST", 1)
    monkeypatch.setattr(callback, "LOOK_EVERY", 64)
    monkeypatch.setattr(runs_train, "TELL_EVERY", 40)


@pytest.mark.usefixtures("train_only")
def test_the_log_has_a_line_for_so_many_steps_and_one_at_the_end(small_config: MakeConfig, tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    config = small_config("pendulum", "sac", total_timesteps=600, time_limit=20)
    start(config, tmp_path / "run", told.append)
    lines = read_metrics(RunFolder(tmp_path / "run").metrics)
    assert [line["time/total_timesteps"] for line in lines] == [128, 256, 384, 512, 600]
    keys = {"rollout/ep_rew_mean", "rollout/ep_predicted_rew_mean", "labels/total", "time/training_seconds"}
    assert all(keys <= set(line) for line in lines)
    assert all("train/critic_loss" in line for line in lines[1:])
    assert any("reward_model/accuracy" in line for line in lines)
    assert lines[-1]["labels/total"] == 24
    assert [progress.num_timesteps for progress in told] == [*range(40, 601, 40), 600]
    assert told[-1].labels == 24


@pytest.mark.usefixtures("train_only")
def test_who_stops_it_is_told_so_until_it_is_saved(small_config: MakeConfig, tmp_path: Path) -> None:
    """It is saved after a line of the log, which may take a while."""
    told: list[TrainingProgress] = []

    def listener(progress: TrainingProgress) -> None:
        told.append(progress)
        if progress.num_timesteps == 160:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="Stopped and saved"):
        start(small_config("pendulum", "sac", total_timesteps=600), tmp_path / "run", listener)
    assert [progress.num_timesteps for progress in told if progress.stopping] == [200, 240]
    last = checkpoints(RunFolder(tmp_path / "run").checkpoints)[-1]
    assert int(last.name) == 256


@pytest.mark.parametrize("algo", OFF_POLICY)
def test_a_run_from_start_to_report(
    algo: str, small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "draw_clip", lambda *arguments: None)
    task = "cartpole" if algo in ("dqn", "qrdqn") else "pendulum"
    result = start(small_config(task, algo, total_timesteps=320), tmp_path / "run", quiet)
    assert result["algo"] == algo
    assert result["true_return"]["episodes"] == 2
    assert result["labels"] == 24
    assert result["refit_seconds"] <= result["training_seconds"]


def made(config: RunConfig, path: Path) -> Training:
    return Training(config, RunFolder.create(path, config))


@pytest.mark.parametrize(
    ("task", "n_bytes"), [("pendulum", 3 * 4 * 2 + 4 + 12), ("moving-dot", 7056 * 2 + 8 + 12)]
)
def test_the_buffer_has_room_for_a_million_or_what_fits(
    task: str, n_bytes: int, small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the training's length, which may be extended."""
    monkeypatch.setattr("prefrl.runs.memory_limits.REPLAY_BYTES", 10**8)
    algo = "sac" if task == "pendulum" else "dqn"
    for name, settings, expected in (
        ("own", {"buffer_size": 90}, 90),
        ("default", {"buffer_size": None}, min(10**6, 10**8 // n_bytes)),
    ):
        training = made(small_config(task, algo, agent={"settings": settings}), tmp_path / name)
        assert isinstance(training.agent, OffPolicyAlgorithm)
        assert training.agent.replay_buffer is not None
        assert training.agent.replay_buffer.buffer_size == expected // 2
        training.close()


@pytest.mark.parametrize(
    ("task", "algo", "changes"),
    [
        ("gridworld", "dqn", {}),
        ("gridworld", "qrdqn", {"reward": "true"}),
        ("pendulum", "sac", {"agent": {"normalize_observations": True}}),
        ("moving-dot", "dqn", {"agent": {"frame_stack": 2, "clip_rewards": True, "settings": COMPACT}}),
    ],
)
@pytest.mark.usefixtures("train_only")
def test_whatever_is_observed_goes_into_the_buffer(
    task: str, algo: str, changes: dict[str, Any], small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config(task, algo, total_timesteps=320, labels=12, time_limit=20, **changes)
    start(config, tmp_path / "run", quiet)
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_starts": 640}, "Nothing would be learned: .* Received 640 and 1"),
        ({"gradient_steps": 0}, "Nothing would be learned: .* Received 64 and 0"),
        ({"train_freq": [1, "episode"]}, "with one environment only"),
        ({"buffer_size": "1e5"}, "`buffer_size` of the agent must be a whole number of steps. Received '1e5'"),
        ({"learning_rate": "1e-3"}, "'1e-3' is a text to YAML; write it with a point and a sign"),
        ({"optimize_memory_usage": True}, "sac does not take these settings: ReplayBuffer does not support"),
        ({"action_noise": "0.1"}, "'0.1' is a text to YAML"),
    ],
)
def test_settings_that_cannot_be_are_said_before_there_is_a_run(
    settings: dict[str, Any], message: str, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    with pytest.raises(SettingError, match=message):
        start(small_config("pendulum", "sac", agent={"settings": settings}), tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ({"settings": COMPACT}, "forgets at the end of an episode"),
        ({"normalize_observations": True}, "keeps another one than was observed"),
    ],
)
def test_a_reward_that_reads_what_follows_needs_a_buffer_that_has_it(
    agent: dict[str, Any], message: str, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config("pendulum", "sac", agent=agent, reward_model={"next_observation": True})
    with pytest.raises(SettingError, match=message):
        start(config, tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


# Screens of this and of the next step, 7,056 bytes each, and the action; then without those of the next step.
@pytest.mark.parametrize(("settings", "gigabytes"), [({}, "56.5"), (COMPACT, "28.3")])
def test_a_buffer_that_would_fill_the_machine_is_refused(
    settings: dict[str, object],
    gigabytes: str,
    small_config: MakeConfig,
    tmp_path: Path,
    quiet: Listener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("prefrl.runs.memory_limits.memory_bytes", lambda: 16 * 10**9)
    agent = {"settings": {"buffer_size": 4_000_000, **settings}}
    config = small_config("moving-dot", "dqn", agent=agent)
    message = rf"the replay buffer {gigabytes} GB.*or the buffer \(agent\.settings\.buffer_size\)\."
    with pytest.raises(SettingError, match=message):
        start(config, tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()
