"""How much memory a run takes from its first step to its report: resident memory, sampled from outside.

    python -m benchmarks.memory [--runs "halfcheetah a2c" "hopper ppo" …] [--total-timesteps 500000] [--out PATH]

Writes PATH.csv (every sample), PATH.json (peak and growth of each run) and PATH.svg. Linux only.
"""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from matplotlib import rc_context
from matplotlib.figure import Figure
from rich.console import Console

from benchmarks._machine import machine
from prefrl.runs import RunFolder
from prefrl.runs.metrics_log import read_metrics

RESULTS = Path(__file__).parent / "results" / "memory"
STEPS = "time/total_timesteps"
MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure the memory of whole runs."""

    runs: tuple[str, ...] = ("halfcheetah a2c", "halfcheetah ppo", "hopper-backflip ppo")
    """Task and algorithm of each."""
    total_timesteps: int = 500_000
    """Environment steps of each."""
    every: float = 2.0
    """Seconds between two samples."""
    options: str = ""
    """Further options of `prefrl train`, such as --options="--stepping sb3"."""
    goal: float = 700.0
    """Drawn as a line, in MB."""
    out: Path = RESULTS
    """Where to write, without suffix."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Memory of a run at one moment."""

    run: str
    seconds: float
    """Since its process started."""
    num_timesteps: int
    """Environment steps by its latest line of the log."""
    resident: float
    """Resident memory in MB, code and shared libraries included."""
    own: float
    """Of that what is neither code nor a mapped file."""


def measure(name: str, settings: Settings, folder: Path) -> list[Sample]:
    """Train, evaluate and report in a process of its own; return its memory over time."""
    task, algo = name.split()
    command = [sys.executable, "-m", "prefrl", "train", task, "--algo", algo, "--out", str(folder)]
    command += ["--total-timesteps", str(settings.total_timesteps), *shlex.split(settings.options)]
    samples, started = [], time.monotonic()
    log = folder.with_suffix(".log")
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        while process.poll() is None:
            resident, own = memory(process.pid)
            if resident > 0:
                steps = int(max((line[STEPS] for line in metrics(folder)), default=0))
                seconds = time.monotonic() - started
                samples.append(Sample(run=name, seconds=seconds, num_timesteps=steps, resident=resident, own=own))
            time.sleep(settings.every)
    if process.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` ended with {process.returncode}: {log.read_text()[-2000:]}")
    return samples


def metrics(folder: Path) -> list[dict[str, float]]:
    """Return the lines of a run's log so far."""
    return read_metrics(RunFolder(folder).metrics)


def memory(pid: int) -> tuple[float, float]:
    """Return resident and own memory of a process in MB; zeros when it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0, 0.0
    kilobytes = {key: int(value) for key, value in re.findall(r"^(VmRSS|RssAnon):\s+(\d+) kB", text, re.M)}
    return kilobytes.get("VmRSS", 0) * 1024 / MEGABYTE, kilobytes.get("RssAnon", 0) * 1024 / MEGABYTE


def summary(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the peak, and by how much memory grew over the last three quarters of the training, in MB."""
    total = samples[-1].num_timesteps
    training = [s for s in samples if 0 < s.num_timesteps < total]
    late = [s.resident for s in training if s.num_timesteps > 0.9 * total]
    early = [s.resident for s in training if 0.2 * total < s.num_timesteps < 0.3 * total]
    return {
        "peak": max(s.resident for s in samples),
        "peak_training": max((s.resident for s in training), default=0.0),
        "growth": (sum(late) / len(late) - sum(early) / len(early)) if late and early else float("nan"),
    }


def draw(samples: Sequence[Sample], goal: float, path: Path) -> None:
    """Draw resident memory over time, a line for each run, and the goal."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for name in dict.fromkeys(s.run for s in samples):
        own = [s for s in samples if s.run == name]
        axes.plot([s.seconds for s in own], [s.resident for s in own], label=name)
    axes.axhline(goal, color="0.6", linestyle="--", linewidth=0.8)
    axes.set(xlabel="seconds", ylabel="resident memory [MB]", ylim=(0, None))
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    with rc_context({"svg.hashsalt": "prefrl"}):  # the same file from the same figures
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, print and write."""
    settings, console = tyro.cli(Settings), Console()
    os.environ["OMP_NUM_THREADS"] = "1"
    samples: list[Sample] = []
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for index, name in enumerate(settings.runs):
            own = measure(name, settings, Path(folder) / str(index))
            samples += own
            results[name] = summary(own)
            console.print(name, {key: round(value, 1) for key, value in results[name].items()})
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    with settings.out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "seconds", "num_timesteps", "resident_mb", "own_mb"])
        writer.writerows(
            [s.run, f"{s.seconds:.1f}", s.num_timesteps, f"{s.resident:.1f}", f"{s.own:.1f}"] for s in samples
        )
    options = {key: value for key, value in asdict(settings).items() if key != "out"}
    document = {**machine(), "settings": options, "megabytes": results}
    settings.out.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n")
    draw(samples, settings.goal, settings.out.with_suffix(".svg"))
    console.print(f"Written: {settings.out}.csv, .json and .svg")


if __name__ == "__main__":
    main()
