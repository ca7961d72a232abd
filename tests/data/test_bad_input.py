"""What cannot come in, or go out: one sentence, and nothing is there afterwards."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from gymnasium import spaces
from pyarrow import parquet

from prefrl.data import export_labels, export_pairs, import_labels
from prefrl.data import parquet as own_parquet
from prefrl.errors import MissingDependencyError, PrefRLError, RunError, StoreError
from prefrl.segments import Segment
from prefrl.store import RunAbout, Store
from prefrl.store.blobs import FolderBlobs

MakeLabels = Callable[..., Path]
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def whole(make_labels: MakeLabels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    export_labels(make_labels(folder / "run"), folder / "export")
    return folder


@pytest.fixture
def export(whole: Path, tmp_path: Path) -> Path:
    """A folder of labels to be damaged; the run that it is of lies beside it."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path / "export"


def about(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        file = folder / "about.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def about_run(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        runs = json.loads((folder / "about.json").read_text())["runs"]
        runs[0]["about"] |= changes
        about(runs=runs)(folder)

    return change


def run_id(value: Any) -> Damage:
    def change(folder: Path) -> None:
        runs = json.loads((folder / "about.json").read_text())["runs"]
        about(runs=[runs[0] | {"id": value}, *runs[1:]])(folder)

    return change


def whole_column(file: str, column: str, value: Any) -> Damage:
    def change(folder: Path) -> None:
        path = folder / f"{file}.parquet"
        table = parquet.read_table(path)
        values = pyarrow.array([value] * len(table))
        parquet.write_table(table.set_column(table.column_names.index(column), column, values), path)

    return change


def lists_of_labelers(folder: Path) -> None:
    about(settings=None)(folder)
    whole_column("answers", "labeler", ["a"])(folder)


def two_tasks(folder: Path) -> None:
    runs = json.loads((folder / "about.json").read_text())["runs"]
    about(runs=[*runs, runs[0] | {"id": 2, "about": runs[0]["about"] | {"task": "other"}}])(folder)


def first_segment(folder: Path) -> Path:
    return min((folder / "segments").iterdir())


def other_spaces(folder: Path) -> None:
    """A segment of another task, under its true name, in the place of one of this."""
    wide = Segment(observations=np.zeros((3, 9)), actions=np.zeros((3, 2)), env_rewards=np.zeros(3, np.float32))
    FolderBlobs(folder / "segments").write({wide.id: wide})
    change_cell("queries", "segments", lambda cell: [wide.id, *cell[1:]])(folder)


def change_cell(file: str, column: str, new: Callable[[Any], Any], row: int = 0) -> Damage:
    def change(folder: Path) -> None:
        path = folder / f"{file}.parquet"
        table = parquet.read_table(path)
        rows = table.to_pylist()
        rows[row][column] = new(rows[row][column])
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=table.schema), path)

    return change


def without_column(file: str, column: str) -> Damage:
    def change(folder: Path) -> None:
        path = folder / f"{file}.parquet"
        parquet.write_table(parquet.read_table(path).drop_columns([column]), path)

    return change


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (about(schema=2, prefrl="9.1"), r"has schema 2, written by prefrl 9.1; this one knows 1: upgrade prefrl"),
        (about(schema="1"), "names no schema"),
        (about(runs=None), "lists no runs"),
        (lambda folder: (folder / "about.json").unlink(), r"is no export of labels: it has no about\.json"),
        (lambda folder: (folder / "about.json").write_text("{"), "about.json cannot be read"),
        (about(settings={"config": {"task": "t", "labels": -1}}), "`labels` must be at least 1"),
        (about(record={"task": "t"}), "RunRecord in the store cannot be read: `env_id` is missing"),
        (about_run(observation_space={"kind": "Graph"}), "^Expected the description of a space"),
        (about_run(observation_space={"kind": "Box", "shape": "x", "dtype": "float32"}), "of a space is damaged"),
        (about_run(observation_space={"kind": "Box", "shape": [9], "dtype": "f99"}), "of a space is damaged"),
        (about_run(action_space={"kind": "Discrete"}), "of a space is damaged"),
        (about_run(frame_stack=0), "`frame_stack` must be at least 1. Received 0"),
        (run_id([1]), r"the `id` of a run is \[1\], no number"),
        (whole_column("queries", "cut_at", 5), "`segments` and `cut_at` must be lists"),
        (lists_of_labelers, "export is damaged: its rows do not fit together"),
        (two_tasks, "mixes labels of two tasks: their task is 'a task' and 'other'"),
        (other_spaces, r"mixes labels of two tasks: the observations of segment .* have shape \(9,\)"),
        (lambda folder: first_segment(folder).unlink(), r"\.safetensors is missing; .* copy of the export"),
        (lambda folder: first_segment(folder).write_bytes(b"no"), r"\.safetensors is damaged"),
        (lambda folder: (folder / "gold.parquet").unlink(), r"gold\.parquet cannot be read"),
        (lambda folder: (folder / "answers.parquet").write_bytes(b"no"), r"answers\.parquet cannot be read"),
        (without_column("queries", "segments"), "has no column 'segments'"),
        (
            without_column("queries", "ordinal"),
            r"export is damaged: .* \(NOT NULL constraint failed: query.ordinal\)\.$",
        ),
        (change_cell("queries", "cut_at", lambda cell: cell[1:]), "not as many `cut_at` as segments"),
        (change_cell("queries", "segments", lambda cell: ["../x", *cell[1:]]), "names segments that cannot be"),
        (change_cell("queries", "run_id", lambda cell: 7), r"export is damaged: .*FOREIGN KEY constraint failed"),
        (
            change_cell("answers", "value", lambda cell: '"third"'),
            "Answer 'answer-1' cannot be read: 'third' is not",
        ),
        (change_cell("answers", "value", lambda cell: "{"), "Answer 'answer-1' cannot be read"),
        (change_cell("answers", "kind", lambda cell: "verse"), "Answer 'answer-1' cannot be read: `kind` must be"),
        (
            change_cell("queries", "segments", lambda cell: cell * 2, row=1),
            "not as many `cut_at` as segments",
        ),
    ],
)
def test_an_export_that_is_not_whole_leaves_nothing(export: Path, damage: Damage, sentence: str) -> None:
    damage(export)
    out = export.parent / "folder" / "imported"
    with pytest.raises(PrefRLError, match=sentence) as refused:
        import_labels(export, out)
    assert "\n" not in str(refused.value)
    assert not out.parent.exists()


def test_an_answer_of_another_number_of_segments_does_not_come_in(export: Path) -> None:
    change_cell("queries", "segments", lambda cell: cell[:1])(export)
    change_cell("queries", "cut_at", lambda cell: cell[:1])(export)
    with pytest.raises(StoreError, match="Answer 'answer-1' cannot be read: it is about 1 segments"):
        import_labels(export, export.parent / "imported")


def test_what_is_there_already_stays_as_it_is(export: Path) -> None:
    run, there = export.parent / "run", export.parent / "there"
    there.mkdir()
    (there / "mine").write_text("mine")
    for write in (
        lambda: import_labels(export, there),
        lambda: export_labels(run, there),
        lambda: export_pairs(run, there),
    ):
        with pytest.raises(RunError, match="there exists already; choose another --out"):
            write()
    assert [path.name for path in there.iterdir()] == ["mine"]


def test_a_folder_without_labels_is_not_made_into_a_store(tmp_path: Path) -> None:
    for export in (export_labels, export_pairs):
        with pytest.raises(RunError, match=r"has no labels: there is no store\.sqlite in it"):
            export(tmp_path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_export_whose_segment_is_missing_is_none(export: Path) -> None:
    run = export.parent / "run"
    first_segment(run).unlink()
    with pytest.raises(StoreError, match="is missing; restore it from a copy of the run"):
        export_labels(run, export.parent / "again")
    assert {path.name for path in export.parent.iterdir()} == {"run", "export"}


def test_only_an_empty_store_takes_labels_over(export: Path) -> None:
    with Store(export.parent / "run") as store, pytest.raises(StoreError, match="Only an empty store"):
        store.fill(store.label_rows(), [])
    with Store() as store, pytest.raises(StoreError, match="The store has no run 3"):
        store.label_rows(run=3)


def test_without_pyarrow_it_says_what_to_install(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(own_parquet, "import_module", absent)
    run, out = export.parent / "run", export.parent / "out"
    for write in (
        lambda: import_labels(export, out),
        lambda: export_labels(run, out),
        lambda: export_pairs(run, out),
    ):
        with pytest.raises(MissingDependencyError, match=r"install it by `pip install 'prefrl\[data\]'`"):
            write()
    assert not out.exists()


def test_a_column_that_this_version_does_not_know_is_passed_over(export: Path) -> None:
    path = export / "people.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.append_column("shoe_size", pyarrow.array([40] * len(table))), path)
    without_column("answers", "remark")(export)
    assert import_labels(export, export.parent / "imported").answers == len(
        parquet.read_table(export / "answers.parquet")
    )


def test_spaces_of_a_run_are_compared_with_its_segments_of_dicts_and_stacks(
    make_labels: MakeLabels, tmp_path: Path
) -> None:
    box = spaces.Box(0, 255, (48, 48, 3), np.uint8)
    other = asdict(RunAbout.of(box, spaces.Box(-1, 1, (2,), np.float32), segment_length=5))["observation_space"]
    export_labels(make_labels(tmp_path / "run", space="images"), tmp_path / "export")
    about_run(observation_space=other, frame_stack=1)(tmp_path / "export")
    with pytest.raises(StoreError, match=r"have shape \(48, 48, 1\), those of its run \(48, 48, 3\)"):
        import_labels(tmp_path / "export", tmp_path / "imported")


def test_a_store_that_gets_fewer_segments_than_queries_name_takes_nothing_over(export: Path) -> None:
    with Store(export.parent / "run") as store, Store() as other:
        rows = store.label_rows()
        missing = rows["query_segment"][0]["segment_id"]
        others = {part["segment_id"] for part in rows["query_segment"]} - {missing}
        with pytest.raises(StoreError, match=f"Segment '{missing}' is missing, which a query is about"):
            other.fill(rows, map(store.segment, others))
        assert other.runs() == []
        other.fill(rows, map(store.segment, others | {missing}))
        assert other.counts() == store.counts()
