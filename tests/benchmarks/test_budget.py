"""How long runs take, and whether they fit."""

import pytest

from benchmarks.tables.budget import (
    OFF_POLICY_STEPS_PER_SECOND,
    STEPS_PER_SECOND,
    Budget,
    estimate,
    hours,
    seconds_of,
)
from tests.benchmarks.conftest import MakeRow, MakeRun


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("1.5h", 5400), ("45s", 45)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "2d", "-1h", "1h and 2m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds_of(text)


def test_a_run_takes_as_long_as_its_like(make_run: MakeRun, make_row: MakeRow) -> None:
    rows = [
        make_row(seed=1, wall_s=100.0),
        make_row(seed=2, wall_s=200.0),
        make_row(seed=1, reward="true", labels=0, wall_s=60.0),
        make_row(task="ant", seed=1, wall_s=1240.0),
    ]
    assert estimate(make_run(seed=3), rows) == 150
    # Another number of labels: as the task per step, (100 + 200 + 60) s / 1.5 million steps.
    assert estimate(make_run(labels=200, steps=1_000_000), rows) == pytest.approx(240)
    # Another task: as all of them, 1,600 s / 2 million steps.
    assert estimate(make_run(task="reacher", steps=1_000_000), rows) == pytest.approx(800)
    assert estimate(make_run(), []) == 500_000 / STEPS_PER_SECOND


def test_off_policy_a_run_takes_as_long_as_others_off_policy(make_run: MakeRun, make_row: MakeRow) -> None:
    fast, slow = make_row(seed=1, wall_s=100.0), make_row(task="ant", algo="td3", seed=1, wall_s=6000.0)
    run = make_run(algo="sac", steps=250_000)
    assert estimate(run, [fast]) == 250_000 / OFF_POLICY_STEPS_PER_SECOND
    assert estimate(run, [fast, slow]) == pytest.approx(3000)
    assert estimate(make_run(task="reacher"), [fast, slow]) == pytest.approx(100)


def test_hours_are_shared_by_the_jobs(make_run: MakeRun, make_row: MakeRow) -> None:
    runs = [make_run(seed=seed) for seed in range(4)]
    assert hours(runs, [make_row(seed=9, wall_s=1800.0)], jobs=2) == 1.0
    assert hours([], [], jobs=2) == 0


def test_a_run_fits_if_it_ends_in_time(make_run: MakeRun, make_row: MakeRow) -> None:
    now = [1000.0]
    budget = Budget(300, clock=lambda: now[0])
    rows = [make_row(seed=9, wall_s=150.0)]
    assert budget.fits(make_run(), rows)
    now[0] = 1150.0
    assert budget.fits(make_run(), rows)
    now[0] = 1150.5
    assert not budget.fits(make_run(), rows)
    assert Budget(None, clock=lambda: now[0]).fits(make_run(), rows)
