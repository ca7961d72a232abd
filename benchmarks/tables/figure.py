"""Learning curves of a table: a panel per task, a line with a band per arm."""

import io
import re
from collections import defaultdict
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from benchmarks.tables.plans import GOALS, ONE_BY_ONE
from benchmarks.tables.rows import Point
from prefrl.files import write_whole

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
N_COLUMNS = 3
PANEL = 3.1, 2.3
"""Inches."""
_CONTROLS = {"true": "black", "shuffled": "tab:gray", "constant": "tab:gray"}
# Text stays text, and the same data give the same file.
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "prefrl",
    "font.size": 8,
    "path.simplify": True,
}
_DECIMALS = re.compile(r"(\d\.\d\d)\d+")
"""A hundredth of a point is finer than any screen; more digits double the file."""

Curve = tuple[list[int], list[float], list[float], list[float]]


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw the curves: medians over seeds, in bands from the lower to the upper quartile.

    What is drawn is the metric where a task has a goal, else the true return.
    """
    panels: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        panels[point.task if point.algo == "ppo" else f"{point.task}, {point.algo}"].append(point)
    with mpl.rc_context(_STYLE):
        n_rows = ceil(len(panels) / N_COLUMNS)
        size = (PANEL[0] * min(N_COLUMNS, len(panels)), PANEL[1] * n_rows)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        for number, (title, inside) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(n_rows, min(N_COLUMNS, len(panels)), number)
            _panel(axes, title, inside)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _DECIMALS.sub(r"\1", drawn.getvalue()))


def _panel(axes: Axes, title: str, points: Sequence[Point]) -> None:
    arms: dict[str, list[Point]] = defaultdict(list)
    for point in sorted(points, key=lambda point: (point.reward, point.labels, point.variant)):
        arms[arm_name(point)].append(point)
    goal = GOALS.get(points[0].task)
    for name, inside in arms.items():
        steps, low, middle, high = curve(inside)
        millions = np.array(steps) / 1e6
        [line] = axes.plot(millions, middle, label=name, color=_CONTROLS.get(name), linewidth=1.2)
        axes.fill_between(millions, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set_title(title, fontsize=8)
    axes.set_xlabel("million steps")
    axes.set_ylabel(goal.metric.replace("_", " ") if goal else "true return")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=6, loc="upper left")  # where what rises is not yet


def arm_name(point: Point) -> str:
    """Return what tells a run's line from the others of its task."""
    if point.reward != "preferences":
        return point.reward
    return f"{point.labels:,} labels" if point.variant in ("", ONE_BY_ONE) else point.variant


def curve(points: Sequence[Point]) -> Curve:
    """Return steps, lower quartile, median and upper quartile over the seeds of an arm.

    Only where all seeds have a point: a line that goes on with fewer of them would jump.
    """
    by_step: dict[int, list[float]] = defaultdict(list)
    for point in points:
        by_step[point.num_timesteps].append(point.true_return if point.metric is None else point.metric)
    n_seeds = len({point.seed for point in points})
    steps = sorted(step for step, values in by_step.items() if len(values) == n_seeds)
    quartiles = [np.quantile(by_step[step], [0.25, 0.5, 0.75]) for step in steps]
    low, middle, high = ([float(part[i]) for part in quartiles] for i in range(3))
    return steps, low, middle, high
