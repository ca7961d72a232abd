"""The reliability diagram of a report: how often the reward was right, over how sure it was."""

from collections.abc import Sequence

import numpy as np

from prefrl.feedback.likelihood import wilson
from prefrl.report.charts import Line, line_chart
from prefrl.report.data import RunData, Table
from prefrl.report.panels import Panel

_DIAGONAL = Line(
    x=np.array([0.5, 1.0]), y=np.array([0.5, 1.0]), colour=None, label="as right as it is sure", style=":"
)


def calibration_panels(runs: Sequence[RunData]) -> list[Panel]:
    """Return the diagram of all runs whose rewards were asked about comparisons that they had not learned from."""
    lines, words = [], []
    for index, run in enumerate(runs):
        calibration = run.calibration
        if calibration is None:
            continue
        lines.append(_points(run.tables["calibration"], colour=index if len(runs) > 1 else 1))
        words.append(
            f"{run.name}: {calibration.n:,} pairs, expected calibration error {calibration.error:.3f}, Brier "
            f"score {calibration.brier:.3f}"
        )
    if not lines:
        return []
    title = "How sure the reward is, and how right"
    svg = line_chart(
        [_DIAGONAL, *lines],
        key="calibration",
        alt=f"{title}. {'; '.join(words)}.",
        x_label="how sure",
        y_label="share right",
    )
    caption = (
        "Comparisons that were new, by the probability that the reward gave to what it took for better, before "
        "any training on them; 95 % intervals. Below the line it is surer than right. The errors that answers "
        f"are assumed to have bound how sure it can be. {'; '.join(words)} (a guess has 0.25)."
    )
    return [Panel(title=title, svg=svg, caption=caption, data="report/calibration.csv")]


def _points(table: Table, *, colour: int) -> Line:
    """Return the bins as points with Wilson's intervals."""
    accuracy, pairs = table["accuracy"], table["pairs"]
    ends = np.array([wilson(int(right), int(n)) for right, n in zip(table["right"], pairs, strict=True)]).T
    # Rounding may put an end on the wrong side of a share of 0 or 1.
    errors = np.maximum(0, np.stack([accuracy - ends[0], ends[1] - accuracy]))
    return Line(x=table["confidence"], y=accuracy, colour=colour, errors=errors)
