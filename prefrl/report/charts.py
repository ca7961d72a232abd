"""Charts as SVG that sit inside an HTML page and take their colours and their font from it.

matplotlib draws with placeholder colours, which are then replaced by the page's CSS variables, so that one
drawing is readable on a light and on a dark page. Nothing here knows what a run is.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator
from matplotlib.typing import RcKeyType

Values = npt.NDArray[Any]

N_COLOURS = 8
"""Colours of series that the page defines: --series-0 to --series-7."""
HALF, FULL, SMALL = (5.4, 2.9), (11.2, 3.0), (4.4, 1.7)
"""Sizes in inches of a chart in half the page's width, in all of it, and under a clip."""

_LETTERS_PER_INCH = 10
"""Of a legend in one row, samples of its lines included."""

_INK, _GRID = "#010101", "#010102"
_SERIES = tuple(f"#0102{index:02x}" for index in range(N_COLOURS))
_VARIABLES = {
    _INK: "var(--chart-ink)",
    _GRID: "var(--chart-grid)",
    **{c: f"var(--series-{i})" for i, c in enumerate(_SERIES)},
}
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",  # text stays text, in the page's font
    "svg.hashsalt": "prefrl",  # the same data give the same file
    "font.size": 9,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.02,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.2,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One series of a line chart."""

    x: Values
    """Shape [n]."""
    y: Values
    """Shape [n]."""
    colour: int | None
    """Number of the colour; counted round. None is the colour of the text."""
    label: str | None = None
    """What the legend calls it; None leaves it out."""
    style: Literal["-", "--", ":", "."] = "-"
    """How the line is drawn; "." draws the points alone."""
    faint: bool = False
    """Drawn thin, behind the others."""
    errors: Values | None = None
    """Half lengths of error bars, shape [n], or below and above, [2, n]; with them, points are drawn instead of a
    line."""


def line_chart(
    lines: Sequence[Line],
    *,
    key: str,
    alt: str,
    x_label: str,
    y_label: str,
    reference: tuple[float, str] | None = None,
    size: tuple[float, float] = HALF,
) -> str:
    """Return a line chart.

    Args:
        lines: What is drawn, in this order.
        key: Letters and digits that no other chart of the page has.
        alt: What the chart shows, for those who do not see it.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        reference: A height to mark by a dotted line, and what it means.
        size: Width and height in inches.

    Returns:
        An `<svg>` element.
    """
    with _axes(size, x_label, y_label) as axes:
        for line in lines:
            _draw(axes, line)
        if reference is not None:
            height, meaning = reference
            axes.axhline(height, color=_INK, linewidth=0.9, linestyle=(0, (1, 2)), label=meaning)
        _legend(axes)
        return _svg(axes, key, alt)


def stacked_chart(
    x: Values,
    layers: Mapping[str, Values],
    *,
    key: str,
    alt: str,
    x_label: str,
    y_label: str,
    size: tuple[float, float] = HALF,
) -> str:
    """Return a chart of counts that grow in steps, one on top of the other.

    Args:
        x: Where the counts change, ascending, shape [n].
        layers: Counts from x on, by name, each of shape [n].
        key: As in `line_chart`.
        alt: As in `line_chart`.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        size: Width and height in inches.
    """
    with _axes(size, x_label, y_label) as axes:
        floor = np.zeros(len(x))
        for index, (name, counts) in enumerate(layers.items()):
            colour = _SERIES[index % N_COLOURS]
            axes.fill_between(
                x, floor, floor + counts, step="post", color=colour, alpha=0.75, linewidth=0, label=name
            )
            floor = floor + counts
        axes.set_ylim(bottom=0)
        _legend(axes)
        return _svg(axes, key, alt)


@contextmanager
def _axes(size: tuple[float, float], x_label: str, y_label: str) -> Iterator[Axes]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained", facecolor="none")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot(facecolor="none")
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        yield axes


def _short(value: float) -> str:
    """Return counts of thousands and millions as k and M, and small numbers as they are."""
    return EngFormatter(sep="")(value) if abs(value) >= 1000 else f"{value:g}"


def _draw(axes: Axes, line: Line) -> None:
    colour = _INK if line.colour is None else _SERIES[line.colour % N_COLOURS]
    if line.errors is not None:
        axes.errorbar(
            line.x, line.y, line.errors, fmt="o", color=colour, markersize=5, capsize=4, label=line.label
        )
        return
    if line.style == ".":
        axes.plot(line.x, line.y, "o", color=colour, markersize=3, alpha=0.6, label=line.label)
        return
    axes.plot(
        line.x,
        line.y,
        color=colour,
        linestyle=line.style,
        linewidth=0.9 if line.faint else 1.6,
        alpha=0.45 if line.faint else 1.0,
        marker="o" if len(line.x) == 1 else "",
        markersize=4,
        label=line.label,
        solid_joinstyle="round",
    )


def _legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    fits = sum(map(len, labels)) <= _LETTERS_PER_INCH * figure.get_figwidth()
    n_columns = len(labels) if fits else -(-len(labels) // 2)
    axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1), ncols=n_columns, borderaxespad=0.2)


def _svg(axes: Axes, key: str, alt: str) -> str:
    """Return the figure of these axes as an element of an HTML page."""
    buffer = io.StringIO()
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]  # an element needs no XML declaration and no document type
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    # Style and identifiers are the page's, not the drawing's.
    body = re.sub(r"<style.*?</style>|font-family: [^;]*; ", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{key}-", body)
    return f'<svg {box[0]} role="img" aria-label="{escape(alt, quote=True)}">{body}'
