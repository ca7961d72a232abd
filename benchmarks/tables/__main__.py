"""One of the published tables: makes the runs that are missing, and shows what came of all.

    python -m benchmarks.tables flagship --budget 2h
    python -m benchmarks.tables flagship --task ant-turning
    python -m benchmarks.tables paper --list
    python -m benchmarks.tables paper --summary

Each run is one `prefrl train` in a process of its own with one thread of torch. What came of it is appended to
benchmarks/results/NAME.csv, its learning curve to NAME-curves.csv, and a run that is there is not made again:
delete its line to repeat it. Ctrl-C keeps all that has ended. The curves are drawn in docs/pictures/NAME.svg;
`make docs` writes the tables of the pages.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import _imitation
from benchmarks._machine import machine
from benchmarks.tables.budget import Budget, estimate, hours, seconds_of
from benchmarks.tables.figure import PICTURES, draw
from benchmarks.tables.making import make
from benchmarks.tables.markdown import page
from benchmarks.tables.peers import is_peer
from benchmarks.tables.plans import PLANS
from benchmarks.tables.rows import Row, Run
from benchmarks.tables.table import RESULTS, Table
from benchmarks.tables.training import FailedRunError, TrainingProcesses
from prefrl.errors import PrefRLError


class Display:
    """A bar, and a line per run that has ended, on standard error; a context manager.

    Args:
        table: Whose runs.
        jobs: How many at a time.
    """

    def __init__(self, table: Table, jobs: int) -> None:
        self.n_failed = 0
        self._table = table
        self._jobs = jobs
        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[left]}"), console=self._console)
        n_runs = len(table.runs)
        n_made = n_runs - len(table.missing())
        self._bar = self._progress.add_task(table.name, total=n_runs, completed=n_made, left=self._left())

    def __enter__(self) -> Self:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the bar as it is."""
        self._progress.stop()

    def started(self, run: Run) -> None:
        """Say nothing: the bar shows that it goes on."""

    def finished(self, row: Row) -> None:
        """Show what came of a run."""
        metric = "" if row.metric is None else f", {row.metric_name} {row.metric:.2f}"
        self._say(f"{named(row)}: true return {row.true_return:.1f}{metric}, {row.training_s / 60:.1f} min")
        self._progress.update(self._bar, advance=1, left=self._left())

    def failed(self, run: Run, error: FailedRunError) -> None:
        """Show why a run has no result."""
        self.n_failed += 1
        self._say(f"{named(run)}: failed. {error}")

    def _left(self) -> str:
        return f"about {hours(self._table.missing(), self._table.all_rows(), self._jobs):.1f} h left"

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)


def named(run: Run) -> str:
    """Return a run in words."""
    labels = f" {run.labels} labels" if run.labels else ""
    variant = f", {run.variant}" if run.variant else ""
    return f"{run.task} {run.algo} {run.reward}{labels}{variant}, seed {run.seed}"


def main(arguments: Sequence[str] | None = None, *, results: Path = RESULTS, pictures: Path = PICTURES) -> int:
    """Make what is missing, draw the curves, and print the table; return the exit status."""
    options = _parser().parse_args(arguments)
    table = Table(options.name, results, tasks=options.task, algos=options.algo)
    if options.list:
        _list(table, options.jobs)
        return 0
    status = 0 if options.summary else _make(table, options)
    points = table.points()
    if points:
        draw(points, pictures / f"{table.name}.svg")
    print(page(table.name, table.rows()))
    _say_missing(table, options.jobs)
    return status


def _make(table: Table, options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    if any(map(is_peer, table.missing())):
        _imitation.install()
    table.note_machine(machine())
    training = TrainingProcesses(table.name, options.jobs)
    budget = Budget(options.budget)
    with Display(table, options.jobs) as display:
        try:
            make(table, training, jobs=options.jobs, budget=budget, stop=training.stop, watcher=display)
        except KeyboardInterrupt:
            return 130
    return 1 if display.n_failed else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _list(table: Table, jobs: int) -> None:
    missing, rows = set(table.missing()), table.all_rows()
    for run in table.runs:
        state = f"about {estimate(run, rows) / 60:.1f} min" if run in missing else "there"
        print(f"{named(run)}, {run.steps:,} steps: {state}")
    _say_missing(table, jobs)


def _say_missing(table: Table, jobs: int) -> None:
    missing = table.missing()
    if missing:
        time = f"about {hours(missing, table.all_rows(), jobs):.1f} h with {jobs} at a time"
        print(f"\n{len(missing)} of {len(table.runs)} runs are missing, {time}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=list(PLANS), help="the table")
    parser.add_argument(
        "--budget", type=_duration, help="start no run that would end later than this, such as 90m"
    )
    parser.add_argument("--task", action="append", default=[], help="only runs of this task; may be repeated")
    parser.add_argument("--algo", action="append", default=[], help="only of this algorithm; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default 2)")
    parser.add_argument("--summary", action="store_true", help="make nothing; draw and print what is there")
    parser.add_argument("--list", action="store_true", help="make nothing; list the runs")
    return parser


def _duration(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PrefRLError as error:
        sys.exit(str(error))
