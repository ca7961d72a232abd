"""Learned and true return of clips, by the policy that made them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prefrl.report.charts import Line, line_chart
from prefrl.report.data import RunData
from prefrl.report.panels import Panel

_COLOURS = {"random": 3, "current": 0, "expert": 2}
_POLICIES = {"random": "actions at random", "current": "the policy of the run", "expert": "an expert"}


def reward_check_panels(runs: Sequence[RunData]) -> list[Panel]:
    """Return a panel for each run whose reward was checked."""
    return [
        _panel(run.name, run.reward_check, index, alone=len(runs) == 1)
        for index, run in enumerate(runs)
        if run.reward_check is not None
    ]


def _panel(name: str, check: Mapping[str, Any], index: int, *, alone: bool) -> Panel:
    title = "Learned and true return of clips" + ("" if alone else f": {name}")
    lines, words = [], []
    for policy, found in check["policies"].items():
        true, predicted = np.array(found["shown"]["true"]), np.array(found["shown"]["predicted"])
        lines.append(
            Line(
                x=true,
                y=predicted,
                colour=_COLOURS.get(policy, 4),
                label=_POLICIES.get(policy, policy),
                style=".",
            )
        )
        words.append(f"{_POLICIES.get(policy, policy)} {_figure(found['clip_correlation'])}")
    caption = (
        f"Clips of {check['segment_length']} steps that no reward was trained on. Where the points of all "
        "policies lie on one rising line, the reward can be trusted wherever the agent goes. Correlation: "
        f"{'; '.join(words)}."
    )
    svg = line_chart(
        lines,
        key=f"rewardcheck{index}",
        alt=f"{title}. {caption}",
        x_label="true return of a clip",
        y_label="learned return of it",
    )
    return Panel(title=title, svg=svg, caption=caption, data="reward_check.json")


def _figure(value: float | None) -> str:
    return "cannot be told" if value is None else f"{value:.2f}"
