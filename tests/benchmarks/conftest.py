"""Rows of runs that nobody has made."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.tables.rows import Row, Run

MakeRun = Callable[..., Run]
MakeRow = Callable[..., Row]

RUN: dict[str, Any] = {
    "task": "hopper",
    "algo": "ppo",
    "reward": "preferences",
    "labels": 700,
    "variant": "",
    "steps": 500_000,
    "seed": 100,
}
RESULT: dict[str, Any] = {
    "table": "paper",
    "true_return": 1.0,
    "metric_name": "",
    "metric": None,
    "labels_given": 700,
    "policies": 1,
    "wall_s": 150.0,
    "training_s": 120.0,
    "refit_s": 6.0,
    "peak_mb": 500.0,
    "jobs": 2,
    "half_labels": None,
    "half_minutes": None,
    "goal_labels": None,
    "goal_minutes": None,
    "revision": "abc",
}


@pytest.fixture
def make_run() -> MakeRun:
    """A run on the Hopper, but for what is said."""
    return lambda **changes: Run(**RUN | changes)


@pytest.fixture
def make_row() -> MakeRow:
    """What came of it."""

    def made(run: Run | None = None, **changes: Any) -> Row:
        return Row(**RUN | (vars(run) if run else {}) | RESULT | changes)

    return made
