"""Runs and what came of them, a line of CSV each."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from prefrl.errors import RunError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: two with the same figures are the same run, whichever table they were made for."""

    task: str
    algo: str
    reward: str
    """preferences, true, shuffled or constant."""
    labels: int
    """Comparisons to be given; 0 where none are asked."""
    variant: str
    """What is unlike the preset besides labels and steps (see `plans.VARIANTS`); empty for nothing."""
    steps: int
    seed: int

    @property
    def run(self) -> "Run":
        """The run alone, without what came of it."""
        return Run(**{field.name: getattr(self, field.name) for field in fields(Run)})


@dataclass(frozen=True, kw_only=True)
class Row(Run):
    """What came of a run."""

    table: str
    """The table that it was made for."""
    true_return: float
    """Of the final policy, mean over the episodes of the evaluation."""
    metric_name: str
    """Which metric of the task; empty where it has none."""
    metric: float | None
    """Its mean over the same episodes."""
    labels_given: int
    policies: int
    """Policies tried: more than one where one was stuck."""
    wall_s: float
    """Of the whole command, with start, evaluation and report."""
    training_s: float
    refit_s: float
    """Of that, for the reward's training."""
    peak_mb: float | None
    """Most memory that the process had, 10^6 bytes; empty where it was not looked at."""
    jobs: int
    """Runs that shared the machine."""
    half_labels: int | None
    """Labels when the metric first reached half of the task's goal while it trained."""
    half_minutes: float | None
    goal_labels: int | None
    """The same for the whole goal."""
    goal_minutes: float | None
    revision: str
    """Of what decides learning, with "+" where files were changed."""


@dataclass(frozen=True, kw_only=True)
class Point(Run):
    """A point of a run's learning curve: running means over its latest episodes."""

    num_timesteps: int
    labels_given: int
    minutes: float
    true_return: float
    metric: float | None


def read(path: Path, kind: type[T]) -> list[T]:
    """Read the lines of a file as `kind`, one of the dataclasses here; none where there is no file.

    Raises:
        RunError: A line is cut short, or the columns are others.
    """
    if not path.exists():
        return []
    types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    found: list[T] = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, line in enumerate(csv.DictReader(file), start=2):
            if set(line) != set(types) or None in line.values():
                raise RunError(
                    f"Line {number} of {path} does not have the columns {', '.join(types)}; mend it or remove it."
                )
            found.append(kind(**{name: _value(text, types[name]) for name, text in line.items()}))
    return found


def append(path: Path, things: Sequence[Run]) -> None:
    """Add rows or points to a file, all of them in one write, so that a stop leaves whole lines."""
    if not things:
        return
    names = _columns(things)
    new = not path.exists()
    lines = [",".join(names) + "\n"] if new else []
    lines += [",".join(_text(asdict(thing)[name]) for name in names) + "\n" for thing in things]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(lines))
        file.flush()
        os.fsync(file.fileno())


def _columns(things: Iterable[Run]) -> list[str]:
    """Return the fields' names; the table's comes first, as people look for it there."""
    [names] = {tuple(field.name for field in fields(thing)) for thing in things}
    return sorted(names, key=lambda name: name != "table")


def _text(value: Any) -> str:
    """Return a value as a field that needs no quotes."""
    text = "" if value is None else str(value)
    if any(mark in text for mark in ',"\n'):
        raise ValueError(f"{text!r} has a mark in it that separates fields.")
    return text


def _value(text: str, kind: Any) -> Any:
    if kind in (str, int, float):
        return kind(text)
    number = {int | None: int, float | None: float}[kind]
    return number(text) if text else None
