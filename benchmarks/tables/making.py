"""Makes the missing runs of a table: several at a time, within a budget, each kept as soon as it has ended."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol

from benchmarks.tables.budget import Budget
from benchmarks.tables.rows import Row, Run
from benchmarks.tables.table import Table
from benchmarks.tables.training import FailedRunError, Outcome


class Watcher(Protocol):
    """Is told of what happens while runs are made."""

    def started(self, run: Run) -> None:
        """A run begins."""

    def finished(self, row: Row) -> None:
        """A run has ended, and its row is kept."""

    def failed(self, run: Run, error: FailedRunError) -> None:
        """A run has ended without a result."""


def make(
    table: Table,
    train: Callable[[Run], Outcome],
    *,
    jobs: int,
    budget: Budget,
    stop: Callable[[], None],
    watcher: Watcher,
) -> None:
    """Make the missing runs.

    A run that fails is told of and passed over. On Ctrl-C those under way are dropped and the others are kept.

    Args:
        table: Whose runs; it keeps what comes of them.
        train: Makes one run.
        jobs: How many at a time.
        budget: No run is started that does not fit any more.
        stop: Ends all calls of `train` at once.
        watcher: Told of what happens.
    """
    waiting, rows = table.missing(), table.all_rows()
    under_way: dict[Future[Outcome], Run] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                while len(under_way) < jobs and (run := _next(waiting, rows, budget)):
                    watcher.started(run)
                    under_way[pool.submit(train, run)] = run
                if not under_way:
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    run = under_way.pop(future)
                    try:
                        outcome = future.result()
                    except FailedRunError as error:
                        watcher.failed(run, error)
                        continue
                    table.add(outcome.row, outcome.points)
                    if outcome.peer_versions is not None:
                        table.note_peer(outcome.peer_versions)
                    rows.append(outcome.row)
                    watcher.finished(outcome.row)
        except BaseException:
            stop()
            raise


def _next(waiting: list[Run], rows: Sequence[Row], budget: Budget) -> Run | None:
    """Take the first run that still fits."""
    for number, run in enumerate(waiting):
        if budget.fits(run, rows):
            return waiting.pop(number)
    return None
