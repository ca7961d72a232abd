"""Runs and what came of them, a line of CSV each."""

import csv
import os
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args

from prefrl.errors import RunError
from prefrl.files import write_whole


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
    """What is unlike the preset besides labels and steps (see `plans.VARIANTS`), or the system that makes it."""
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
    """Most memory that the process had before its evaluation ended, 10^6 bytes; empty where it was not looked at.

    In rows without `stepping` before the command ended, with the final clip.
    """
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
    agent_steps: int | None = None
    """Steps that the agent learned from, in whole rollouts; empty in older rows, as all that follows."""
    stepping: str | None = None
    """What stepped the environments, as `prefrl train --stepping` calls it."""


@dataclass(frozen=True, kw_only=True)
class Point(Run):
    """A point of a run's learning curve: running means over its latest episodes."""

    num_timesteps: int
    labels_given: int
    minutes: float
    true_return: float
    metric: float | None


T = TypeVar("T", Row, Point)


def read(path: Path, kind: type[T]) -> list[T]:
    """Read the lines of a file as `kind`; none where there is no file.

    An older file may lack columns that have a default.

    Raises:
        RunError: A line is cut short, or the columns are others.
    """
    if not path.exists():
        return []
    types: dict[str, Any] = {field.name: field.type for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    found: list[T] = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, line in enumerate(csv.DictReader(file), start=2):
            if not needed <= set(line) <= set(types) or None in line.values():
                raise RunError(
                    f"Line {number} of {path} does not have the columns {', '.join(types)}; mend it or remove it."
                )
            found.append(kind(**{name: _value(text, types[name]) for name, text in line.items()}))
    return found


def append(path: Path, things: Sequence[T]) -> None:
    """Add rows or points to a file, all of them in one write, so that a stop leaves whole lines.

    A file with older columns is written anew.
    """
    if not things:
        return
    kind: type[T] = type(things[0])
    if path.exists() and _head(path) != _names(kind):
        older: list[T] = read(path, kind)
        write(path, kind, older + list(things))
        return
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(",".join(_names(kind)) + "\n" + _lines(things) if new else _lines(things))
        file.flush()
        os.fsync(file.fileno())


def write(path: Path, kind: type[T], things: Sequence[T]) -> None:
    """Write a file anew, whole or not at all."""
    write_whole(path, ",".join(_names(kind)) + "\n" + _lines(things))


def _head(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return file.readline().rstrip("\n").split(",")


def _names(kind: type[Row] | type[Point]) -> list[str]:
    """Return the columns; the table's comes first, as people look for it there."""
    return sorted((field.name for field in fields(kind)), key=lambda name: name != "table")


def _lines(things: Sequence[Row] | Sequence[Point]) -> str:
    return "".join(",".join(_text(asdict(thing)[name]) for name in _names(type(thing))) + "\n" for thing in things)


def _text(value: Any) -> str:
    """Return a value as a field that needs no quotes."""
    text = "" if value is None else str(value)
    if any(mark in text for mark in ',"\n'):
        raise ValueError(f"{text!r} has a mark in it that separates fields.")
    return text


def _value(text: str, kind: Any) -> Any:
    if kind in (str, int, float):
        return kind(text)
    [inner] = set(get_args(kind)) - {NoneType}
    return inner(text) if text else None
