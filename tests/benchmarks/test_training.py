"""One run of a table: what is read from its log, and a real one."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.tables import peers, training
from benchmarks.tables.training import (
    FailedRunError,
    TrainingProcesses,
    points_of,
    reached,
    revision_of,
    row_of,
)
from prefrl.errors import PrefRLError
from tests.benchmarks.conftest import MakeRun

FACTS = {
    "table": "flagship",
    "jobs": 2,
    "revision": "abc",
    "wall_s": 1.0,
    "peak_mb": 500.0,
    "stepping": "envpool",
}


def line(steps: int, seconds: float, *, flips: float | None = None, labels: int = 0) -> dict[str, float]:
    found = {"time/total_timesteps": steps, "time/training_seconds": seconds, "labels/total": labels}
    if flips is not None:
        found |= {"task/backflips": flips, "rollout/ep_rew_mean": 100 * flips}
    return found


LOG = [
    line(100, 6.0),
    line(200, 12.0, flips=0.5, labels=10),
    line(300, 18.0, flips=1.0, labels=20),
    line(400, 24.0, flips=0.5, labels=30),
    line(500, 33.0, flips=2.25, labels=40),
]


def test_what_it_took_is_read_from_the_first_line_that_reaches_it() -> None:
    assert reached(LOG, "backflips", 1) == (20, 0.3)
    assert reached(LOG, "backflips", 2) == (40, 0.55)
    assert reached(LOG, "backflips", 3) == (None, None)
    assert reached(LOG, "front_flips", 0) == (None, None)


def test_a_row_is_made_of_the_result_and_the_log(make_run: MakeRun) -> None:
    result = {
        "num_timesteps": 503_808,
        "labels": 300,
        "policies": 2,
        "training_seconds": 33.0,
        "refit_seconds": 2.0,
        "true_return": {"mean": 200.00049, "std": 1.0, "episodes": 20},
        "metrics": {"backflips_per_episode": 3.5},
    }
    row = row_of(make_run(task="hopper-backflip"), result, LOG, **FACTS)
    assert (row.true_return, row.metric_name, row.metric, row.policies) == (200.0, "backflips", 3.5, 2)
    assert (row.agent_steps, row.stepping) == (503_808, "envpool")
    assert (row.half_labels, row.half_minutes, row.goal_labels, row.goal_minutes) == (20, 0.3, 40, 0.55)
    plain = row_of(make_run(), result | {"metrics": {}}, LOG, **FACTS)
    assert (plain.metric_name, plain.metric, plain.goal_labels) == ("", None, None)


def test_curves_have_evenly_spaced_points(make_run: MakeRun) -> None:
    points = points_of(make_run(task="hopper-backflip", steps=800), LOG)
    assert [point.num_timesteps for point in points] == list(range(200, 801, 20))
    assert [point.metric for point in points][::5] == [0.5, 1.0, 0.5, 2.25, 2.25, 2.25, 2.25]
    assert (points[0].true_return, points[0].labels_given, points[0].minutes) == (50, 10, 0.2)
    assert points_of(make_run(), LOG)[-1].metric is None


def test_the_revision_is_that_of_what_decides_learning(make_run: MakeRun) -> None:
    if not (training.TREE / ".git").exists():
        pytest.skip("This is no clone.")
    assert len(revision_of(make_run()).removesuffix("+")) == 12
    assert all((training.TREE / path).exists() for path in (*training.DECIDES, *peers.DECIDES))


def test_another_systems_revision_is_that_of_other_files(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def git(*arguments: str) -> str:
        asked.append(arguments[arguments.index("--") + 1 :])
        return "abc" if arguments[0] == "log" else ""

    monkeypatch.setattr(training, "_git", git)
    assert revision_of(make_run(variant=peers.IMITATION)) == revision_of(make_run()) == "abc"
    assert asked == [peers.DECIDES, peers.DECIDES, training.DECIDES, training.DECIDES]


@pytest.fixture
def revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "revision_of", lambda run: "abc+")


@pytest.mark.usefixtures("revision")
def test_a_run_is_trained_in_a_process_of_its_own(make_run: MakeRun) -> None:
    run = make_run(task="gridworld", labels=40, steps=9000, seed=3)
    row, points, peer_versions = TrainingProcesses("flagship", 1)(run)
    assert row.run == run
    assert (row.stepping, peer_versions) == ("sb3", None)
    assert row.agent_steps is not None
    assert 9000 <= row.agent_steps < 18_000
    assert (row.table, row.labels_given, row.policies, row.jobs, row.revision) == ("flagship", 40, 1, 1, "abc+")
    assert 0 < row.training_s < row.wall_s
    assert row.peak_mb is not None
    assert 100 < row.peak_mb < 5_000
    assert points[-1].num_timesteps == 9000
    assert points[-1].labels_given > 0


@pytest.mark.usefixtures("revision")
def test_what_another_system_says_becomes_a_row(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "agent_steps": 507_904,
        "seconds": 12.34,
        "refit_seconds": 5.0,
        "true_return": {"mean": 321.0, "std": 1.0, "episodes": 20},
        "versions": {"imitation": "1.0.1"},
    }
    fake = [sys.executable, "-c", f"print({json.dumps(json.dumps(said))})"]
    monkeypatch.setattr(peers, "command", lambda run: fake)
    run = make_run(task="halfcheetah", labels=700, variant=peers.IMITATION, seed=7)
    row, points, peer_versions = TrainingProcesses("imitation", 1)(run)
    assert (row.true_return, row.training_s, row.refit_s, row.labels_given) == (321.0, 12.3, 5.0, 700)
    assert (row.agent_steps, row.stepping) == (507_904, "sb3")
    assert points == []
    assert peer_versions == {"imitation": "1.0.1"}


CLIP_DRAWER = """
import json, pathlib, sys, time
time.sleep(0.5)
pathlib.Path({out!r}, "evaluation.json").write_text("{{}}")
memory = b"1" * 300_000_000
time.sleep(0.5)
print(json.dumps({{}}))
"""


def test_memory_is_looked_at_until_the_evaluation_is_over(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CLIP_DRAWER.format(out=str(tmp_path))]
    monkeypatch.setattr(training, "command_of", lambda run, out: command)
    monkeypatch.setattr(training, "LOOK_EVERY", 0.05)
    _, peak_mb = TrainingProcesses("flagship", 1)._train(make_run(), tmp_path)
    assert peak_mb is not None
    assert 1 < peak_mb < 300


@pytest.mark.usefixtures("revision")
def test_what_a_failed_run_said_is_passed_on(make_run: MakeRun) -> None:
    with pytest.raises(FailedRunError, match="no-such-task"):
        TrainingProcesses("flagship", 1)(make_run(task="no-such-task"))


@pytest.mark.usefixtures("revision")
def test_after_a_stop_nothing_begins(make_run: MakeRun) -> None:
    processes = TrainingProcesses("flagship", 1)
    processes.stop()
    with pytest.raises(FailedRunError, match="Stopped"):
        processes(make_run())


def test_outside_a_clone_the_revision_is_asked_for(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(training, "TREE", tmp_path)
    with pytest.raises(PrefRLError, match="clone"):
        revision_of(make_run())
