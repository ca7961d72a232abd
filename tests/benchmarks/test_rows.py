"""Rows of the published tables as CSV."""

from pathlib import Path

import pytest

from benchmarks.tables.rows import Point, Row, append, read
from prefrl.errors import RunError
from tests.benchmarks.conftest import RUN, MakeRow, MakeRun


def test_rows_come_back_as_they_were(make_row: MakeRow, tmp_path: Path) -> None:
    rows = [
        make_row(seed=1, true_return=-1.25),
        make_row(seed=2, metric_name="backflips", metric=0.1, half_labels=0, half_minutes=1.5, revision="abc+"),
        make_row(seed=3, variant="no L2", agent_steps=503_808, stepping="envpool"),
    ]
    append(tmp_path / "new" / "t.csv", rows[:1])
    append(tmp_path / "new" / "t.csv", rows[1:])
    append(tmp_path / "new" / "t.csv", [])
    assert read(tmp_path / "new" / "t.csv", Row) == rows
    head = (tmp_path / "new" / "t.csv").read_text().splitlines()[0]
    assert head.startswith("table,task,algo,reward,labels,")


def test_points_come_back_as_they_were(tmp_path: Path) -> None:
    points = [
        Point(**RUN, num_timesteps=n, labels_given=n, minutes=0.5, true_return=-2.0, metric=metric)
        for n, metric in ((1, None), (2, 0.25))
    ]
    append(tmp_path / "t-curves.csv", points)
    assert read(tmp_path / "t-curves.csv", Point) == points


def test_a_missing_file_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", Row) == []


def test_a_line_that_is_cut_short_is_named(make_row: MakeRow, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    append(path, [make_row(seed=1), make_row(seed=2)])
    path.write_text(path.read_text()[:-30])
    with pytest.raises(RunError, match=r"Line 3 of .*t\.csv"):
        read(path, Row)


def test_other_columns_are_refused(make_row: MakeRow, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    append(path, [make_row()])
    path.write_text(path.read_text().replace("true_return", "return"))
    with pytest.raises(RunError, match="columns"):
        read(path, Row)


OLD = """table,task,algo,reward,labels,variant,steps,seed,true_return,metric_name,metric,labels_given,policies,\
wall_s,training_s,refit_s,peak_mb,jobs,half_labels,half_minutes,goal_labels,goal_minutes,revision
paper,hopper,ppo,preferences,700,,500000,1,1.0,,,700,1,150.0,120.0,6.0,500.0,2,,,,,abc
"""


def test_older_columns_are_read(make_row: MakeRow, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(OLD)
    assert read(tmp_path / "t.csv", Row) == [make_row(seed=1)]
    assert (make_row().agent_steps, make_row().stepping) == (None, None)


def test_a_file_with_older_columns_is_written_anew(make_row: MakeRow, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(OLD)
    new = make_row(seed=2, agent_steps=503_808, stepping="envpool")
    append(path, [new])
    append(path, [make_row(seed=3)])
    assert read(path, Row) == [make_row(seed=1), new, make_row(seed=3)]
    assert {line.count(",") for line in path.read_text().splitlines()} == {24}
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


def test_what_would_need_quotes_is_refused(make_row: MakeRow, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="separates"):
        append(tmp_path / "t.csv", [make_row(variant="a,b")])


def test_a_row_knows_its_run(make_run: MakeRun, make_row: MakeRow) -> None:
    assert make_row(seed=7).run == make_run(seed=7)
    assert make_row(seed=7).run != make_run(seed=8)
    assert len({make_row(seed=7).run, make_run(seed=7)}) == 1
