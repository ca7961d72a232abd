"""Labels that went out and came in again: what is learned from them, who said them, and what must not go along."""

import json
import re
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from prefrl.agents.old_labels import run_in
from prefrl.data import ExportedLabels, export_labels, import_labels
from prefrl.errors import RunError, SettingError
from prefrl.report import write_report
from prefrl.runs import RunFolder, resume
from prefrl.segments import Answer, Query
from prefrl.store import NewAnswer, RunRecord, Store, StoredAnswer, TrainerRecord

MakeLabels = Callable[..., Path]
Fitted = Callable[..., dict[str, np.ndarray[Any, Any]]]


def there_and_back(run: Path, tmp_path: Path, **options: Any) -> Path:
    export_labels(run, tmp_path / "export", **options)
    import_labels(tmp_path / "export", tmp_path / "imported")
    return tmp_path / "imported"


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


@pytest.mark.parametrize(
    ("kind", "space"),
    [
        ("pair", "vectors"),
        ("strength", "vectors"),
        ("ranking", "vectors"),
        ("rating", "vectors"),
        ("pair", "dicts"),
        ("pair", "images"),
    ],
)
def test_the_same_labels_make_the_same_reward_to_the_bit(
    make_labels: MakeLabels, fitted: Fitted, tmp_path: Path, kind: str, space: str
) -> None:
    run = make_labels(tmp_path / "run", kind=kind, space=space)
    imported = there_and_back(run, tmp_path)
    before, after = fitted(run, space), fitted(imported, space)
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], err_msg=name, strict=True)
    with Store(run) as one, Store(imported) as other:
        assert one.counts() == other.counts()
        assert one.comparison_seqs() == other.comparison_seqs()
        assert [(q.query_id, q.n_answers) for q in one.open_queries()] == [
            (q.query_id, q.n_answers) for q in other.open_queries()
        ]
        assert [r.about for r in one.runs()] == [r.about for r in other.runs()]
        assert one.published(RunRecord) == other.published(RunRecord)
        for query in one.open_queries():
            assert other.query(query.query_id).id == query.query_id


def without(answer: StoredAnswer) -> StoredAnswer:
    return replace(answer, id="i", labeler="l", supersedes="s", query_id="q", comment=None)


def test_with_names_everything_that_was_said_is_the_same(make_labels: MakeLabels, tmp_path: Path) -> None:
    run = make_labels(tmp_path / "run")
    imported = there_and_back(run, tmp_path, names=True)
    with Store(run) as one, Store(imported) as other:
        assert one.answers() == other.answers()
        assert one.history(None) == other.history(None)
        assert one.settled() == other.settled()
        assert one.disagreements() == other.disagreements()
        assert one.aside() == other.aside() == {"Bob"}
        assert other.published(TrainerRecord) is not None
        ann = other.labeler("Ann Smith")
        assert ann is not None
        assert (ann.role, ann.token_hash, ann.quota) == ("labeler", None, None)


def test_names_and_what_tells_them_stay_here(make_labels: MakeLabels, tmp_path: Path) -> None:
    run = make_labels(tmp_path / "run")
    imported = there_and_back(run, tmp_path)
    content = b"".join(
        json.dumps(table(tmp_path / "export", file.stem)).encode()
        if file.suffix == ".parquet"
        else file.read_bytes()
        for file in sorted((tmp_path / "export").iterdir())
        if file.is_file()
    )
    with Store(run) as one, Store(imported) as other:
        again = {row.query_id for row in one.answers()} - {row.query_id for row in other.answers()}
        assert len(again) == 1, "the id of what was asked again is a hash of a name"
        for secret in (b"Ann", b"Bob", b"Carl", b"Rex", b"secret", again.pop().encode()):
            assert secret not in content
        assert [without(row) for row in one.answers()] == [without(row) for row in other.answers()]
        assert {row.labeler for row in other.answers()} == {"person-1", "person-2", "oracle"}
        assert other.aside() == {"person-2"}
        assert set(other.settled().values()) == {"oracle"}
        assert [row.supersedes is None for row in one.answers()] == [
            row.supersedes is None for row in other.answers()
        ]


def test_what_a_reader_of_the_tables_finds(make_labels: MakeLabels, tmp_path: Path) -> None:
    run, export = make_labels(tmp_path / "run", kind="ranking"), tmp_path / "export"
    done = export_labels(run, export)
    about = json.loads((export / "about.json").read_text())
    assert (about["schema"], about["task"], about["question"], about["feedback"]) == (
        1,
        "a task",
        "Which?",
        ["ranking"],
    )
    assert about["runs"][0]["about"]["observation_space"] == {"kind": "Box", "shape": [3], "dtype": "float32"}
    answers, queries = table(export, "answers"), {row["id"]: row for row in table(export, "queries")}
    with Store(run) as store:
        comparisons = {one.seq: one for one in store.comparisons()}
        counts = store.counts()
    assert done == ExportedLabels(
        out=export,
        queries=11,
        answers=counts.answers,
        comparisons=counts.comparisons,
        segments=40,
        people=3,
    )
    assert {row["seq"] for row in answers if row["is_trained_on"]} == set(comparisons)
    for row in answers:
        if row["is_trained_on"]:
            own = comparisons[row["seq"]]
            assert tuple(row["preferences"]) == own.preferences
            assert queries[row["query_id"]]["segments"] == [segment.id for segment in own.segments]
    assert {path.stem for path in (export / "segments").iterdir()} == {
        segment_id for row in queries.values() for segment_id in row["segments"]
    }


def test_one_run_of_several_goes_alone(make_labels: MakeLabels, fitted: Fitted, tmp_path: Path) -> None:
    run = make_labels(tmp_path / "run")
    before = fitted(run)
    with Store(run) as store:
        [first] = store.runs()
        assert first.about is not None
        assert store.begin_run(replace(first.about, task="another task")) == 2
    with pytest.raises(Exception, match="labels of two tasks: their task is 'a task' and 'another task'"):
        export_labels(run, tmp_path / "export")
    assert not (tmp_path / "export").exists()
    imported = there_and_back(run, tmp_path, number=1)
    for name, array in fitted(imported).items():
        np.testing.assert_array_equal(array, before[name])


def test_a_training_takes_them_as_labels_of_an_earlier_one(make_labels: MakeLabels, tmp_path: Path) -> None:
    imported = there_and_back(make_labels(tmp_path / "run"), tmp_path)
    with Store(imported) as store:
        seqs = store.comparison_seqs()
        [first] = store.runs()
        assert first.about is not None
        with pytest.raises(SettingError, match=f"holds {len(seqs)} labels of an earlier run"):
            run_in(store, first.about, "refuse")
        run = run_in(store, first.about, "learn")
        assert run == first.id + 1
        assert store.comparison_seqs() == seqs
        [query] = store.add_queries(
            [Query(segments=store.query(store.answers()[0].query_id).segments, ordinal=0)], run=run
        )
        [new] = store.add_answers(
            [NewAnswer(query_id=query.id, answer=Answer.FIRST, labeler="oracle", id=f"oracle:{query.id}")]
        )
        assert new.seq > max(seqs), "what is said from now on comes after what was imported"


def test_it_is_a_run_to_look_at_and_not_one_to_go_on_with(make_labels: MakeLabels, tmp_path: Path) -> None:
    imported = there_and_back(make_labels(tmp_path / "run"), tmp_path)
    assert RunFolder.open(imported).config().task == "a task"
    page = write_report([imported]).read_text()
    assert "a task" in page
    with pytest.raises(RunError, match="holds labels that were imported, and no training to go on with"):
        resume(imported, lambda progress: None)


def test_the_example_of_the_docs_runs(
    make_labels: MakeLabels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export_labels(make_labels(tmp_path / "run"), tmp_path / "labels")
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    [example] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("a task person-1 [")
