"""True and predicted return of an agent on a frozen reward, over how far its policy went."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from prefrl.report.charts import Line, Values, line_chart
from prefrl.report.data import RunData
from prefrl.report.panels import Panel
from prefrl.report.words import number


def distance_panels(runs: Sequence[RunData]) -> list[Panel]:
    """Return a panel for each run on a reward that was learned before, where distances are known."""
    return [
        _panel(run, index, alone=len(runs) == 1)
        for index, run in enumerate(runs)
        if run.config.get("reward") == "saved" and "distance" in run.tables
    ]


def _panel(run: RunData, index: int, *, alone: bool) -> Panel:
    table = run.tables["distance"]
    x, true, predicted = np.sqrt(table["kl"]), table["true_return"], table["predicted_return"]
    title = "Predicted and true return over distance" + ("" if alone else f": {run.name}")
    lines = [
        Line(x=x, y=_from_0_to_1(predicted), colour=2, label="predicted"),
        Line(x=x, y=_from_0_to_1(true), colour=0, label="true"),
    ]
    ends = [number(float(value)) for value in (true[0], true.max(), true[-1])]
    caption = (
        "Each between its lowest and its highest, over the square root of the KL divergence from the first "
        "policy, in the order of the training. Where the predicted return goes on rising and the true one falls, "
        f"the reward is exploited. True return: {ends[0]} first, {ends[1]} at best, {ends[2]} last."
    )
    svg = line_chart(
        lines,
        key=f"distance{index}",
        alt=f"{title}. {caption}",
        x_label="√KL from the first policy",
        y_label="share of the range",
    )
    return Panel(title=title, svg=svg, caption=caption, data="report/distance.csv")


def _from_0_to_1(values: Values) -> npt.NDArray[np.float64]:
    width = np.ptp(values)
    scaled: npt.NDArray[np.float64] = (values - values.min()) / width if width > 0 else np.zeros(len(values))
    return scaled
