"""kill -9 at random moments of a training: no label is lost or doubled, and the result is the same."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from prefrl.cli import main
from prefrl.registry import OFF_POLICY
from prefrl.runs.checkpoint import checkpoints
from prefrl.runs.metrics_log import read_metrics
from prefrl.store import Store
from prefrl.store.answers import StoredAnswer

SETTINGS = """
segment_length: 8
evaluation_episodes: 2
checkpoint_every: {checkpoint_every}
labels: {labels}
total_timesteps: {total_timesteps}
feedback: {{initial_timesteps: 256, labels_per_round: 3, recorder_steps: 200}}
reward_model: {{hidden_sizes: [16], first_epochs: 3, epochs: 2}}
agent: {{n_envs: 4, hidden_sizes: [16], settings: {agent}}}
"""
ROLLOUTS = "{n_steps: 32, batch_size: 64, n_epochs: 2}"
REPLAY = "{buffer_size: 1200, learning_starts: 100, batch_size: 32, train_freq: 1, gradient_steps: 1}"
"""Smaller than the training is long, so that what is kept is written over."""
WALL_TIME = {"time/fps", "time/time_elapsed", "time/training_seconds", "time/refit_seconds"}


# Processes that start with everything imported, so that what is killed is the training.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["prefrl.cli", "prefrl.runs", "torch._dynamo", "prefrl.store.migrations"])


def prefrl(run: Path, *arguments: str, kill_at: int | None = None) -> int:
    """Run the command line in a process of its own, and kill it soon after its log has reached so many steps.

    Returns the exit code, -9 for a kill.
    """
    log = run / "log" / "metrics.jsonl"
    before = log.stat().st_ino if log.exists() else 0
    process = PROCESSES.Process(target=main, args=([*arguments, str(run)],))
    process.start()
    assert process.pid is not None
    if kill_at is not None:
        # A training that begins or goes on writes its log anew.
        while process.is_alive() and (not log.exists() or log.stat().st_ino == before):
            time.sleep(0.01)
        while process.is_alive() and steps_logged(log) < kill_at:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
    process.join(240)
    assert process.exitcode is not None
    return process.exitcode


def steps_logged(log: Path) -> float:
    lines = read_metrics(log)
    return lines[-1]["time/total_timesteps"] if lines else 0


def answers(run: Path) -> list[StoredAnswer]:
    """Return what the store of a run has acknowledged."""
    with Store(run) as store:
        return store.answers()


def lines(run: Path) -> list[dict[str, float]]:
    """Return the log of a run without wall times."""
    log = read_metrics(run / "log" / "metrics.jsonl")
    return [{key: value for key, value in line.items() if key not in WALL_TIME} for line in log]


def killed_run(run: Path, command: Sequence[str], moments: Sequence[int]) -> None:
    """Train, with a kill soon after each of these steps, and check the labels after each."""
    acknowledged: list[StoredAnswer] = []
    for index, steps in enumerate(moments):
        arguments = [*command, "--out"] if index == 0 else ["resume"]
        assert prefrl(run, *arguments, kill_at=steps) == -signal.SIGKILL
        known = answers(run)
        assert known[: len(acknowledged)] == acknowledged
        acknowledged = known
    assert prefrl(run, "resume") == 0
    final = answers(run)
    assert final[: len(acknowledged)] == acknowledged
    assert len({answer.query_id for answer in final}) == len(final)


def check_against_whole_run(killed: Path, whole: Path, n_labels: int) -> None:
    for run in (killed, whole):
        with Store(run) as store:
            assert store.counts().comparisons == n_labels
        assert (run / "report.html").stat().st_size > 10_000
    assert [a.query_id for a in answers(killed)] == [a.query_id for a in answers(whole)]
    assert lines(killed) == lines(whole)
    one, other = (json.loads((run / "evaluation.json").read_text()) for run in (killed, whole))
    for key in ("true_return", "labels", "num_timesteps"):
        assert one[key] == other[key]
    assert (killed / "reward_model" / "reward_model.safetensors").read_bytes() == (
        whole / "reward_model" / "reward_model.safetensors"
    ).read_bytes()
    assert kept_steps(killed) == kept_steps(whole)


def kept_steps(run: Path) -> dict[str, bytes]:
    """Return the files that hold the replay buffer in the last checkpoint; on-policy there are none."""
    last = checkpoints(run / "checkpoints")[-1]
    return {file.name: file.read_bytes() for file in last.glob("replay-*")}


SLOW = pytest.mark.slow


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("algo", "total_timesteps", "n_labels", "n_kills"),
    [
        ("ppo", 1024, 16, 2),
        pytest.param("ppo", 20_000, 120, 10, marks=SLOW),
        *(pytest.param(algo, 6_000, 60, 10, marks=SLOW) for algo in ("sac", "td3", "dqn")),
    ],
)
def test_kills_at_random_moments(
    algo: str, total_timesteps: int, n_labels: int, n_kills: int, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        SETTINGS.format(
            total_timesteps=total_timesteps,
            labels=n_labels,
            checkpoint_every=total_timesteps // 10,
            agent=REPLAY if algo in OFF_POLICY else ROLLOUTS,
        )
    )
    task = "cartpole" if algo == "dqn" else "pendulum"
    command = ("train", task, "--algo", algo, "--config", str(settings))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert prefrl(whole, *command, "--out") == 0
    assert bool(kept_steps(whole)) == (algo in OFF_POLICY)
    moments = sorted(random.randrange(int(0.9 * total_timesteps)) for _ in range(n_kills))
    killed_run(killed, command, moments)
    check_against_whole_run(killed, whole, n_labels)
