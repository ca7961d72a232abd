"""A table on disk: its plan, and what came of the runs so far."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables.plans import PLANS
from benchmarks.tables.rows import Point, Row, Run, append, read, write
from prefrl.files import read_json, write_json

RESULTS = Path(__file__).parents[1] / "results"


class Table:
    """A table's runs, and what came of them so far.

    Args:
        name: In `PLANS`.
        folder: Where the rows and learning curves of all tables lie.
        tasks: Of which runs may be missing; all by default.
        algos: By which; all by default.
    """

    def __init__(
        self, name: str, folder: Path = RESULTS, *, tasks: Sequence[str] = (), algos: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.folder = folder
        self.runs = PLANS[name]()
        self._tasks = set(tasks or (run.task for run in self.runs))
        self._algos = set(algos or (run.algo for run in self.runs))

    def all_rows(self) -> list[Row]:
        """Return the rows of all tables, this one's last."""
        return [row for name in self._names for row in read(self.folder / f"{name}.csv", Row)]

    def rows(self) -> list[Row]:
        """Return this table's rows, in the order of the plan; those of runs that other tables share, too."""
        made = {row.run: row for row in self.all_rows()}
        return [made[run] for run in self.runs if run in made]

    def points(self) -> list[Point]:
        """Return the learning curves of those rows."""
        wanted = {row.run for row in self.rows()}
        return [point for name in self._names for point in read(self._curves(name), Point) if point.run in wanted]

    def missing(self) -> list[Run]:
        """Return the runs that have no row yet, of the tasks and algorithms that were named."""
        made = {row.run for row in self.all_rows()}
        wanted = (run for run in self.runs if run.task in self._tasks and run.algo in self._algos)
        return [run for run in wanted if run not in made]

    def add(self, row: Row, points: Sequence[Point]) -> None:
        """Keep what came of a run; the row comes last, as it says that the run need not be made again."""
        self._forget_points(row.run)
        append(self._curves(self.name), points)
        append(self.folder / f"{self.name}.csv", [row])

    def note_machine(self, about: Mapping[str, Any]) -> None:
        """Write down on what machine and with which versions runs are made; rows have the revision."""
        self._note("made_on", {name: about[name] for name in ("hardware", "versions")})

    def note_peer(self, versions: Mapping[str, str]) -> None:
        """Write down the versions of the packages that another system's runs are made with."""
        self._note("peers", dict(versions))

    def _note(self, key: str, said: dict[str, Any]) -> None:
        """Add to a list in the table's JSON what it does not hold yet."""
        path = self.folder / f"{self.name}.json"
        noted = read_json(path) if path.exists() else {}
        if said not in noted.get(key, []):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {**noted, key: [*noted.get(key, []), said]})

    def _forget_points(self, run: Run) -> None:
        """Remove the curve of a run whose row somebody has deleted, in whichever table it was."""
        for name in self._names:
            points = read(self._curves(name), Point)
            kept = [point for point in points if point.run != run]
            if len(kept) < len(points):
                write(self._curves(name), Point, kept)

    def _curves(self, name: str) -> Path:
        return self.folder / f"{name}-curves.csv"

    @property
    def _names(self) -> list[str]:
        return [*(name for name in PLANS if name != self.name), self.name]
