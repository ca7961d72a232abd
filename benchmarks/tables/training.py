"""One run: `prefrl train` in a process of its own, and what its folder says in the end."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import prefrl
from benchmarks import _imitation
from benchmarks.tables import peers
from benchmarks.tables.plans import GOALS, options
from benchmarks.tables.rows import Point, Row, Run
from prefrl.errors import PrefRLError
from prefrl.runs import RunFolder
from prefrl.runs.evaluation import metric_key
from prefrl.runs.metrics_log import STEP_KEY, read_metrics

N_POINTS = 40
"""Points of a learning curve, evenly spaced over the steps, so that those of several seeds can be put together."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the memory of a run."""
TREE = Path(prefrl.__file__).parents[1]
DECIDES = (
    *(f"prefrl/{part}" for part in ("agents", "feedback", "presets", "reward", "runs", "segments")),
    *(f"prefrl/{file}.py" for file in ("config", "registry", "seeding", "settings")),
    "envs",
    "constraints.txt",
)
"""Files that decide what our runs learn; a change of others leaves a table's runs comparable."""

Line = dict[str, float]


class FailedRunError(PrefRLError, RuntimeError):
    """A training of a table ended with an error, or was stopped."""


class Outcome(NamedTuple):
    """What came of a run."""

    row: Row
    points: list[Point]
    peer_versions: dict[str, str] | None = None
    """Of another system's packages, where that made the run."""


class TrainingProcesses:
    """Trains runs, several at a time from several threads; all of them can be stopped.

    Args:
        table: The table that the runs are made for.
        jobs: How many there are at a time, to be noted.
    """

    def __init__(self, table: str, jobs: int) -> None:
        self._table = table
        self._jobs = jobs
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def __call__(self, run: Run) -> Outcome:
        """Train a run to its end.

        Raises:
            FailedRunError: It failed, or was stopped.
        """
        with tempfile.TemporaryDirectory(prefix="prefrl-table-") as scratch:
            out, revision, started = Path(scratch) / "run", revision_of(run), time.monotonic()
            said, peak_mb = self._train(run, out)
            facts: dict[str, Any] = {"table": self._table, "jobs": self._jobs, "revision": revision}
            facts |= {"wall_s": round(time.monotonic() - started, 1), "peak_mb": peak_mb}
            if peers.is_peer(run):
                row = row_of(run, peers.result(said, run), [], stepping=peers.STEPPING, **facts)
                return Outcome(row, [], said["versions"])
            folder = RunFolder.open(out)
            lines = read_metrics(folder.metrics)
            row = row_of(run, said, lines, stepping=folder.config().stepping, **facts)
            return Outcome(row, points_of(run, lines))

    def stop(self) -> None:
        """End all that is under way, and start nothing any more."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.kill()  # nothing of it is kept

    def _train(self, run: Run, out: Path) -> tuple[dict[str, Any], float | None]:
        """Return what a run says in the end, and the most memory that it took, in 10^6 bytes.

        Memory is looked at until the evaluation is over: our runs then draw a clip, which others do not.
        """
        command, evaluation = command_of(run, out), RunFolder(out).evaluation
        with self._lock:
            if self._stopped:
                raise FailedRunError("Stopped before it began.")
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment(run)
            )
            self._processes.add(process)
        peak_mb = None
        try:
            while True:
                try:
                    stdout, stderr = process.communicate(timeout=LOOK_EVERY)
                    break
                except subprocess.TimeoutExpired:
                    seen = peak_memory(process.pid)
                    peak_mb = peak_mb if evaluation.exists() else seen or peak_mb
        finally:
            with self._lock:
                self._processes.discard(process)
        if process.returncode != 0:
            last = stderr.strip().splitlines()[-3:]
            raise FailedRunError(f"`{' '.join(command[1:])}` ended with {process.returncode}: {' '.join(last)}")
        said: dict[str, Any] = json.loads(stdout)
        return said, peak_mb


def command_of(run: Run, out: Path) -> list[str]:
    """Return the command of a run; ours writes into the folder `out`."""
    if peers.is_peer(run):
        return peers.command(run)
    return [sys.executable, "-m", "prefrl", "train", *options(run), "--out", str(out), "--json"]


def peak_memory(process: int) -> float | None:
    """Return the most memory that a process had resident so far, in 10^6 bytes; None where nothing tells it."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e6, 1) if found else None


def row_of(run: Run, result: dict[str, Any], lines: Sequence[Line], **facts: Any) -> Row:
    """Return the row of a run.

    Args:
        run: The run.
        result: What `prefrl train --json` printed, or what another system said in its words.
        lines: Its log.
        **facts: The fields of the row that only who started it knows.
    """
    goal = GOALS.get(run.task)
    half_labels, half_minutes = reached(lines, goal.metric, goal.value / 2) if goal else (None, None)
    goal_labels, goal_minutes = reached(lines, goal.metric, goal.value) if goal else (None, None)
    return Row(
        **asdict(run),
        true_return=round(result["true_return"]["mean"], 3),
        metric_name=goal.metric if goal else "",
        metric=round(result["metrics"][metric_key(goal.metric)], 4) if goal else None,
        labels_given=result["labels"],
        agent_steps=result["num_timesteps"],
        policies=result["policies"],
        training_s=result["training_seconds"],
        refit_s=result["refit_seconds"],
        half_labels=half_labels,
        half_minutes=half_minutes,
        goal_labels=goal_labels,
        goal_minutes=goal_minutes,
        **facts,
    )


def reached(lines: Sequence[Line], metric: str, value: float) -> tuple[int | None, float | None]:
    """Return labels and minutes when the running mean of a task's metric first was at least `value`; else None."""
    for line in lines:
        if line.get(f"task/{metric}", -float("inf")) >= value:
            return int(line.get("labels/total", 0)), round(line["time/training_seconds"] / 60, 2)
    return None, None


def points_of(run: Run, lines: Sequence[Line]) -> list[Point]:
    """Return the learning curve: the latest line of the log at each of 40 steps; none before episodes ended."""
    points = []
    metric = GOALS[run.task].metric if run.task in GOALS else None
    for number in range(1, N_POINTS + 1):
        step = round(run.steps * number / N_POINTS)
        latest = [line for line in lines if line[STEP_KEY] <= step and "rollout/ep_rew_mean" in line]
        if not latest:
            continue
        line = latest[-1]
        points.append(
            Point(
                **asdict(run),
                num_timesteps=step,
                labels_given=int(line.get("labels/total", 0)),
                minutes=round(line["time/training_seconds"] / 60, 2),
                true_return=_short(line["rollout/ep_rew_mean"]),
                metric=_short(line[f"task/{metric}"]) if f"task/{metric}" in line else None,
            )
        )
    return points


def revision_of(run: Run) -> str:
    """Return the last commit that changed what decides a run, with "+" where files of it are changed now.

    Raises:
        PrefRLError: prefrl does not lie in a clone: where a figure comes from has to be known.
    """
    decides = peers.DECIDES if peers.is_peer(run) else DECIDES
    try:
        commit = _git("log", "-1", "--format=%h", "--abbrev=12", "--", *decides)
        changed = _git("status", "--porcelain", "--", *decides)
    except (OSError, subprocess.SubprocessError) as error:
        raise PrefRLError(f"The revision of {TREE} cannot be told: {error}; make tables in a clone.") from error
    return f"{commit}+" if changed else commit


def _git(*arguments: str) -> str:
    # Without optional locks, as a run does it: one that is stopped in the middle would leave its lock behind.
    command = ["git", "--no-optional-locks", "-C", str(TREE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def _environment(run: Run) -> dict[str, str]:
    """Return the environment of a training, which imports the packages of this tree where others are installed."""
    if peers.is_peer(run):
        return _imitation.environment()
    own = [str(TREE / folder) for folder in (".", "envs", "labeling_gui")]
    path = os.pathsep.join([*own, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def _short(value: float) -> float:
    return float(f"{value:.5g}")
