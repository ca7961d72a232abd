"""A table on disk: its plan, and what came of the runs so far."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables.plans import PLANS
from benchmarks.tables.rows import Point, Row, Run, append, read
from prefrl.files import read_json, write_json

RESULTS = Path(__file__).parents[1] / "results"


class Table:
    """A table's runs, and what came of them so far.

    Args:
        name: In `PLANS`.
        folder: Where the rows and learning curves of all tables lie.
    """

    def __init__(self, name: str, folder: Path = RESULTS) -> None:
        self.name = name
        self.folder = folder
        self.runs = PLANS[name]()

    def all_rows(self) -> list[Row]:
        """Return the rows of all tables, this one's last."""
        return [row for name in self._names for row in read(self.folder / f"{name}.csv", Row)]

    def rows(self) -> list[Row]:
        """Return this table's rows, in the order of the plan; those of runs that other tables share, too."""
        made = {row.run: row for row in self.all_rows()}
        return [made[run] for run in self.runs if run in made]

    def points(self) -> list[Point]:
        """Return the learning curves of those rows."""
        wanted, found = set(self.runs), {}
        for name in self._names:
            for point in read(self.folder / f"{name}-curves.csv", Point):
                if point.run in wanted:
                    found[point.run, point.num_timesteps] = point
        return list(found.values())

    def missing(self) -> list[Run]:
        """Return the runs that have no row yet."""
        made = {row.run for row in self.all_rows()}
        return [run for run in self.runs if run not in made]

    def add(self, row: Row, points: Sequence[Point]) -> None:
        """Keep what came of a run; the row comes last, as it says that the run need not be made again."""
        append(self.folder / f"{self.name}-curves.csv", points)
        append(self.folder / f"{self.name}.csv", [row])

    def note_machine(self, about: Mapping[str, Any]) -> None:
        """Write down on what machine and with which versions runs are made; rows have the revision."""
        path = self.folder / f"{self.name}.json"
        said = {name: about[name] for name in ("hardware", "versions")}
        made_on = read_json(path)["made_on"] if path.exists() else []
        if said not in made_on:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"made_on": [*made_on, said]})

    @property
    def _names(self) -> list[str]:
        return [*(name for name in PLANS if name != self.name), self.name]
