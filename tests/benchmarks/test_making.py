"""Making a table: what is there is not made again, what ends is kept, what does not fit is not begun."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.tables.budget import Budget
from benchmarks.tables.making import make
from benchmarks.tables.plans import PLANS
from benchmarks.tables.rows import Point, Row, Run, append
from benchmarks.tables.table import Table
from benchmarks.tables.training import FailedRunError, Outcome
from prefrl.files import read_json
from tests.benchmarks.conftest import MakeRow, MakeRun


class Log:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.started_runs: list[int] = []
        self.finished_runs: list[int] = []
        self.failed_runs: list[int] = []

    def started(self, run: Run) -> None:
        self.started_runs.append(run.seed)

    def finished(self, row: Row) -> None:
        self.finished_runs.append(row.seed)

    def failed(self, run: Run, error: FailedRunError) -> None:
        self.failed_runs.append(run.seed)


@pytest.fixture
def table(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Sequence[int]], Table]:
    """Tables of runs that differ in their seeds only."""

    def made(seeds: Sequence[int], name: str = "paper") -> Table:
        monkeypatch.setitem(PLANS, name, lambda: [make_run(seed=seed) for seed in seeds])
        return Table(name, tmp_path)

    return made


@pytest.fixture
def train(make_row: MakeRow) -> Callable[[Run], Outcome]:
    """Pretends to train."""

    def outcome(run: Run) -> Outcome:
        point = Point(**vars(run), num_timesteps=1, labels_given=1, minutes=1.0, true_return=1.0, metric=None)
        return Outcome(make_row(run, true_return=float(run.seed), wall_s=300.0), [point])

    return outcome


MakeTable = Callable[..., Table]
Train = Callable[[Run], Outcome]


def run_all(
    table: Table, train: Train, *, budget: float | None = None, jobs: int = 2, log: Log | None = None
) -> Log:
    log = log or Log()
    clock = iter(range(0, 10**9, 100))  # every look at it is 100 seconds later
    limit = Budget(budget, clock=lambda: next(clock))
    make(table, train, jobs=jobs, budget=limit, stop=lambda: None, watcher=log)
    return log


def test_all_runs_are_made_once(table: MakeTable, train: Train) -> None:
    log = run_all(table([3, 1, 2]), train)
    assert log.started_runs == [3, 1, 2]
    assert sorted(log.finished_runs) == [1, 2, 3]
    assert [row.true_return for row in table([3, 1, 2]).rows()] == [3, 1, 2]
    assert len(table([3, 1, 2]).points()) == 3
    assert table([3, 1, 2]).missing() == []
    assert run_all(table([3, 1, 2]), train).started_runs == []


def test_runs_that_are_there_are_not_repeated(table: MakeTable, train: Train) -> None:
    run_all(table([1, 2]), train)
    assert run_all(table([1, 2, 3, 4]), train).started_runs == [3, 4]


def test_a_line_that_was_removed_is_made_again(table: MakeTable, train: Train, tmp_path: Path) -> None:
    run_all(table([1, 2]), train, jobs=1)
    path = tmp_path / "paper.csv"
    head, first, _ = path.read_text().splitlines(keepends=True)
    path.write_text(head + first)
    assert run_all(table([1, 2]), train).started_runs == [2]
    assert len(table([1, 2]).points()) == 2  # those of the second time take the place of the first


def test_points_of_a_row_that_was_removed_are_not_shown(table: MakeTable, train: Train, tmp_path: Path) -> None:
    run_all(table([1, 2]), train, jobs=1)
    path = tmp_path / "paper.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert [point.seed for point in table([1, 2]).points()] == [1]


@pytest.mark.parametrize("name", ["paper", "reliability"])
def test_points_of_a_row_that_was_removed_do_not_mix_with_the_new_ones(
    table: MakeTable, train: Train, tmp_path: Path, name: str
) -> None:
    def at_steps(*steps: int) -> Train:
        def outcome(run: Run) -> Outcome:
            row, [point], _ = train(run)
            return Outcome(row, [replace(point, num_timesteps=step) for step in steps])

        return outcome

    run_all(table([1, 2], "paper"), at_steps(10, 20, 30), jobs=1)
    path = tmp_path / "paper.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    run_all(table([1, 2], name), at_steps(20, 30))
    for shown in ("paper", "reliability"):
        points = table([1, 2], shown).points()
        assert [point.num_timesteps for point in points if point.seed == 1] == [10, 20, 30]
        assert [point.num_timesteps for point in points if point.seed == 2] == [20, 30]


def test_runs_of_other_tables_count(table: MakeTable, train: Train) -> None:
    run_all(table([1, 2], "paper"), train)
    assert run_all(table([2, 3], "reliability"), train).started_runs == [3]
    assert [row.seed for row in table([2, 3], "reliability").rows()] == [2, 3]
    assert len(table([2, 3], "reliability").points()) == 2


def test_no_run_begins_that_does_not_fit(
    table: MakeTable, train: Train, make_row: MakeRow, tmp_path: Path
) -> None:
    append(tmp_path / "paper.csv", [make_row(seed=0, wall_s=300.0)])
    # The clock says 0 at the start, then 100, 200, …: runs of 300 s fit at 100 and 200, and not at 300.
    log = run_all(table([0, 1, 2, 3, 4]), train, budget=500, jobs=1)
    assert log.started_runs == [1, 2]
    assert [run.seed for run in table([0, 1, 2, 3, 4]).missing()] == [3, 4]


def test_a_shorter_run_may_still_fit(table: MakeTable, train: Train, make_run: MakeRun, make_row: MakeRow) -> None:
    made = table([1])
    made.runs = [make_run(seed=1, steps=1_000_000), make_run(seed=2, steps=100_000)]
    made.add(make_row(seed=9, wall_s=500.0), [])
    assert run_all(made, train, budget=300).started_runs == [2]


def test_a_run_that_fails_is_told_of_and_passed_over(table: MakeTable, train: Train) -> None:
    def faulty(run: Run) -> Outcome:
        if run.seed == 2:
            raise FailedRunError("It broke.")
        return train(run)

    log = run_all(table([1, 2, 3]), faulty)
    assert (log.failed_runs, sorted(log.finished_runs)) == ([2], [1, 3])
    assert [run.seed for run in table([1, 2, 3]).missing()] == [2]


def test_a_stop_keeps_what_has_ended_and_drops_the_rest(table: MakeTable, train: Train) -> None:
    stopped = []

    class Stopping(Log):
        def finished(self, row: Row) -> None:
            super().finished(row)
            if row.seed == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(
            table([1, 2, 3]),
            train,
            jobs=1,
            budget=Budget(None),
            stop=lambda: stopped.append(True),
            watcher=Stopping(),
        )
    assert stopped == [True]
    assert [run.seed for run in table([1, 2, 3]).missing()] == [3]


def test_the_versions_of_another_system_are_noted_once(table: MakeTable, train: Train) -> None:
    made = table([1, 2])
    made.note_machine({"hardware": "one", "versions": {}})
    run_all(made, lambda run: train(run)._replace(peer_versions={"imitation": "1.0.1"}))
    noted = read_json(made.folder / "paper.json")
    assert noted["peers"] == [{"imitation": "1.0.1"}]
    assert [about["hardware"] for about in noted["made_on"]] == ["one"]


def test_the_machine_is_noted_once(table: MakeTable) -> None:
    made = table([1])
    for hardware in ("one", "one", "another"):
        made.note_machine({"hardware": hardware, "versions": {"numpy": "2"}, "date": "today"})
    assert [about["hardware"] for about in read_json(made.folder / "paper.json")["made_on"]] == ["one", "another"]


def test_only_runs_of_the_tasks_and_algorithms_that_were_named_are_missing(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planned = [make_run(task=task, algo=algo) for task in ("hopper", "ant", "reacher") for algo in ("ppo", "a2c")]
    monkeypatch.setitem(PLANS, "paper", lambda: planned)
    assert Table("paper", tmp_path, tasks=["ant", "reacher"]).missing() == planned[2:]
    assert Table("paper", tmp_path, algos=["a2c"]).missing() == planned[1::2]
    assert Table("paper", tmp_path, tasks=["hopper"], algos=["a2c"]).missing() == planned[1:2]
    assert Table("paper", tmp_path, tasks=[]).missing() == planned
    assert Table("paper", tmp_path, tasks=["ant"]).runs == planned  # they are still of the table
