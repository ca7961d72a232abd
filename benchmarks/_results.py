"""Figures of a benchmark: one row each, shown as tables and written as JSON and CSV."""

import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure."""

    section: str
    """The table it belongs to."""
    case: str
    """Its line in the table."""
    measure: str
    """Its column, with the unit."""
    value: float
    """What the rounds come to: their median unless said otherwise."""
    rounds: tuple[float, ...]
    """What each round gave."""


def row(section: str, case: str, measure: str, rounds: Sequence[float], value: float | None = None) -> Row:
    """Return a row of `rounds`, by default with their median."""
    if value is None:
        value = statistics.median(rounds)
    return Row(section=section, case=case, measure=measure, value=value, rounds=tuple(rounds))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Divide round by round, so that what slows the machine for a while slows both sides."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]


def progress(cases: Sequence[T], description: str) -> Iterable[T]:
    """Go through the cases of a section with a progress bar on standard error."""
    return track(cases, description, console=Console(stderr=True))


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Print rows of one section as a table: cases down, measures across."""
    measures = list(dict.fromkeys(r.measure for r in rows))
    table = Table(title=rows[0].section, title_justify="left")
    table.add_column("")
    for measure in measures:
        table.add_column(measure, justify="right")
    for case in dict.fromkeys(r.case for r in rows):
        values = {r.measure: r.value for r in rows if r.case == case}
        table.add_row(case, *(_format(values.get(measure)) for measure in measures))
    console.print(table)


def write(rows: Sequence[Row], about: dict[str, Any], out: Path) -> None:
    """Write OUT.json (all rounds, and what they were measured with) and OUT.csv (the medians)."""
    out.parent.mkdir(parents=True, exist_ok=True)
    document = {**about, "rows": [asdict(r) for r in rows]}
    out.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n")
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["section", "case", "measure", "value"])
        writer.writerows([r.section, r.case, r.measure, f"{r.value:.6g}"] for r in rows)


def _format(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
