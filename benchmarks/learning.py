"""Learning quality: true return from preferences as a share of the same agent's on the true reward.

    python benchmarks/learning.py --tasks halfcheetah hopper --algos ppo a2c trpo --seeds 0 1 2
    python benchmarks/learning.py --tasks hopper-backflip --seeds 0 1 2 3 4 --arms preferences shuffled true
    python benchmarks/learning.py --summary

Each run is one `prefrl train` with the task's preset, in a process of its own; `--jobs` of them at a time, one
thread each. Results are appended to benchmarks/results/learning.csv, one line per run; runs that are in it are
not repeated.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean
from typing import Any

RESULTS = Path(__file__).parent / "results" / "learning.csv"
ARMS = {
    "preferences": [],
    "disagreement": ["--feedback.strategy", "disagreement"],
    "shuffled": ["--shuffle-labels"],
    "true": ["--reward", "true"],
    "constant": ["--reward", "constant"],
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run's result."""

    task: str
    algo: str
    arm: str
    seed: int
    labels: int
    total_timesteps: int
    segment_length: int
    true_return: float
    true_return_std: float
    metrics: str
    """JSON of the task metrics per episode."""
    training_seconds: float
    refit_seconds: float
    jobs: int
    """Runs that shared the machine."""
    versions: str
    git_revision: str

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What makes a run the same run."""
        return self.task, self.algo, self.arm, self.seed, self.total_timesteps


def train(run: tuple[str, str, str, int], options: argparse.Namespace) -> Row:
    """Run one training (task, algorithm, arm, seed) and return its result."""
    task, algo, arm, seed = run
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        command = [sys.executable, "-m", "prefrl", "train", task, "--algo", algo, "--seed", str(seed)]
        command += ["--out", str(out), "--json", *ARMS[arm]]
        if options.total_timesteps is not None:
            command += ["--total-timesteps", str(options.total_timesteps)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        result: dict[str, Any] = json.loads(done.stdout)
        description = json.loads((out / "config.json").read_text())
    return Row(
        task=task,
        algo=algo,
        arm=arm,
        seed=seed,
        labels=result["labels"],
        total_timesteps=description["config"]["total_timesteps"],
        segment_length=description["config"]["feedback"]["segment_length"],
        true_return=round(result["true_return"]["mean"], 2),
        true_return_std=round(result["true_return"]["std"], 2),
        metrics=json.dumps(result["metrics"]),
        training_seconds=result["training_seconds"],
        refit_seconds=result["refit_seconds"],
        jobs=options.jobs,
        versions=json.dumps(description["versions"]),
        git_revision=description["git_revision"] or "",
    )


def read() -> list[Row]:
    """Return the results so far."""
    if not RESULTS.exists():
        return []
    kinds = {field.name: field.type for field in fields(Row)}
    with RESULTS.open(newline="") as file:
        return [
            Row(**{name: kinds[name](value) for name, value in line.items()})  # type: ignore[operator]
            for line in csv.DictReader(file)
        ]


def append(row: Row) -> None:
    """Add one result to the file."""
    RESULTS.parent.mkdir(exist_ok=True)
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        if new:
            writer.writeheader()
        writer.writerow({field.name: getattr(row, field.name) for field in fields(Row)})


def summary(rows: Sequence[Row]) -> str:
    """Return the table of means over seeds, and the share of the true-reward arm, as Markdown."""
    groups: dict[tuple[str, str, int, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.task, row.algo, row.total_timesteps, row.arm].append(row)
    lines = [
        "| task | algo | steps | arm | labels | true return (seeds) | share | metrics | seconds | refit |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (task, algo, steps, arm), group in sorted(groups.items()):
        returns = [row.true_return for row in sorted(group, key=lambda row: row.seed)]
        reference = groups.get((task, algo, steps, "true"))
        share = f"{mean(returns) / mean(r.true_return for r in reference):.2f}" if reference else ""
        seconds = [row.training_seconds for row in group]
        refit = mean(row.refit_seconds / row.training_seconds for row in group)
        lines.append(
            f"| {task} | {algo} | {steps:,} | {arm} | {group[0].labels} | "
            f"{mean(returns):.0f} ({', '.join(f'{value:.0f}' for value in returns)}) | {share} | "
            f"{_metrics(group)} | {mean(seconds):.0f} | {refit:.1%} |"
        )
    return "\n".join(lines)


def _metrics(group: Sequence[Row]) -> str:
    parsed = [json.loads(row.metrics) for row in sorted(group, key=lambda row: row.seed)]
    parts = []
    for name in parsed[0]:
        values = [metrics[name] for metrics in parsed]
        label = name.removesuffix("_per_episode")
        parts.append(f"{label} {mean(values):.2f} ({', '.join(f'{value:.2f}' for value in values)})")
    return "; ".join(parts)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["halfcheetah", "hopper"])
    parser.add_argument("--algos", nargs="+", default=["ppo"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=["preferences", "true"])
    parser.add_argument("--total-timesteps", type=int, default=None, help="by default the preset's")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--summary", action="store_true", help="only print the table of what is there")
    options = parser.parse_args()
    if not options.summary:
        known = {row.key for row in read()}
        todo = [
            (task, algo, arm, seed)
            for seed in options.seeds
            for task in options.tasks
            for algo in options.algos
            for arm in options.arms
            if options.total_timesteps is None or (task, algo, arm, seed, options.total_timesteps) not in known
        ]
        with ThreadPoolExecutor(options.jobs) as pool:
            for row in pool.map(lambda run: train(run, options), todo):
                append(row)
                print(
                    f"{row.task} {row.algo} {row.arm} seed {row.seed}: {row.true_return} {row.metrics}", flush=True
                )
    print(summary(read()))


if __name__ == "__main__":
    main()
