"""Learning curves of finished runs: one figure, and its numbers as CSV.

    python benchmarks/curves.py task/score runs/pong runs/pong-shuffled --names preferences shuffled --out pong

Writes benchmarks/results/pong.csv and docs/pictures/pong.svg. What is plotted is the running mean over the latest
episodes that a run logs.
"""

import argparse
import csv
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from prefrl.runs import RunFolder
from prefrl.runs.metrics_log import read_metrics

ROOT = Path(__file__).parents[1]
N_POINTS = 60
COLUMNS = ("run", "num_timesteps", "labels", "training_seconds", "value")

Point = tuple[str, int, int, float, float]


def curve(run: Path, name: str, metric: str) -> list[Point]:
    """Return about 60 points of a run: its name, steps, labels, seconds of training, the metric."""
    points: list[Point] = []
    for line in read_metrics(RunFolder.open(run).metrics):
        if metric in line:
            steps, labels = int(line["time/total_timesteps"]), int(line.get("labels/total", 0))
            points.append((name, steps, labels, round(line["time/training_seconds"], 1), round(line[metric], 3)))
    return points[:: max(1, len(points) // N_POINTS)]


def draw(curves: list[list[Point]], metric: str, path: Path) -> None:
    """Draw the curves over steps, with the minutes of the first run along the top."""
    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for points in curves:
        axes.plot([point[1] / 1e6 for point in points], [point[4] for point in points], label=points[0][0])
    axes.set_xlabel("environment steps, millions")
    axes.set_ylabel(metric.removeprefix("task/"))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Read, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metric", help="as in the log, such as task/score or rollout/ep_rew_mean")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--names", nargs="+", required=True, help="one for each run")
    parser.add_argument("--out", required=True, help="name of the files")
    options = parser.parse_args()
    curves = [curve(run, name, options.metric) for run, name in zip(options.runs, options.names, strict=True)]
    with (ROOT / "benchmarks" / "results" / f"{options.out}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for points in curves:
            writer.writerows(points)
    draw(curves, options.metric, ROOT / "docs" / "pictures" / f"{options.out}.svg")


if __name__ == "__main__":
    main()
