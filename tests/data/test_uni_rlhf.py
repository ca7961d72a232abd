"""Comparisons of the Uni-RLHF platform come in; what is no such file, or could run code, does not."""

import csv
import io
import json
import pickle  # noqa: TID251 (to be refused)
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

from prefrl import cli
from prefrl.data import ImportedLabels, import_uni_rlhf
from prefrl.errors import RunError
from prefrl.report.comparison import compared
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.segments import Answer, space_from_json
from prefrl.settings import RewardSettings
from prefrl.store import Store

Arrays = dict[str, npt.NDArray[Any]]

META = {
    "project_name": "hop",
    "environment_name": "hopper-medium-v2",
    "feedback_type": "comparative",
    "query_length": 4,
    "question": json.dumps({"Which hops farther?": ["left", "right", "the same", "cannot tell"]}),
}
# As `csv.writer` of the platform writes its dictionaries.
LABELS = ["{'3': {'0': 0}}", "{'3': {'0': 1}, '5': {'0': 0}}", "{'5': {'0': 2}}", ""]
STARTS = [(0, 10), (4, 12), (5, 0), (10, 5)]


@pytest.fixture
def arrays() -> Arrays:
    """Two episodes of ten steps; an observation is its step."""
    steps = np.arange(20, dtype=np.float32)
    return {
        "observations": np.stack([steps, -steps], axis=1),
        "next_observations": np.stack([steps + 1, -steps - 1], axis=1),
        "actions": np.zeros((20, 1), dtype=np.float32),
        "rewards": steps / 10,
        "terminals": np.isin(steps, (9, 19)),
    }


def export(folder: Path, labels: list[str] = LABELS, **meta: Any) -> Path:
    """The zip as the platform's `export_label` writes it: `query_id` has two columns."""
    text = io.StringIO()
    writer = csv.writer(text)
    head = "id query_id project_id completion_time marked_num skip_num video_url start_indices_1 end_indices_1"
    head += " start_indices_2 end_indices_2 query_id feedback_type label extra annotator_id annotator_name"
    writer.writerow(head.split())
    for number, (label, (first, second)) in enumerate(zip(labels, STARTS, strict=False), start=1):
        row = [number, f"q{number}", "p", "", 1, 0, "v.mp4", first, first + 4, second, second + 4, f"q{number}"]
        writer.writerow([*row, "comparative", label, "", 3, "Ann Smith"])
    path = folder / "export_hop.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta_data.json", json.dumps(META | meta, indent=4))
        archive.writestr("label.csv", text.getvalue())
    return path


def data_set(folder: Path, arrays: Arrays) -> Path:
    save_file(arrays, folder / "data.safetensors")
    return folder / "data.safetensors"


def test_comparisons_come_in_with_the_clips_they_are_about(tmp_path: Path, arrays: Arrays) -> None:
    out = tmp_path / "run"
    done = import_uni_rlhf(export(tmp_path), data_set(tmp_path, arrays), out)
    assert done == ImportedLabels(out=out, queries=4, answers=4, comparisons=4)
    with Store(out) as store:
        found = [(one.teacher, one.preference, one.first.start, one.second.start) for one in store.comparisons()]
        assert found == [
            ("annotator 3", 1.0, 0, 10),
            ("annotator 3", 0.0, 4, 12),
            ("annotator 5", 1.0, 4, 12),
            ("annotator 5", 0.5, 5, 0),
        ]
        first = store.comparisons()[0].second
        np.testing.assert_array_equal(first.observations[:, 0], [10, 11, 12, 13])
        np.testing.assert_array_equal(first.env_rewards, np.array([1.0, 1.1, 1.2, 1.3], dtype=np.float32))
        assert first.next_observation is not None
        assert first.next_observation[0] == 14
        [run] = store.runs()
        assert run.about is not None
        assert (run.about.task, run.about.segment_length) == ("hopper-medium-v2", 4)
        ensemble = RewardEnsemble(
            space_from_json(run.about.observation_space),
            space_from_json(run.about.action_space),
            settings=RewardSettings(hidden_sizes=(8,), n_members=1),
            seed=0,
        )
        trainer = RewardTrainer(ensemble)
        trainer.add(store.comparisons())
        assert trainer.fit(1).n_comparisons == 4
    config = json.loads((out / "config.json").read_text())
    assert config["config"] == {
        "task": "hopper-medium-v2",
        "question": "Which hops farther?",
        "reward": "preferences",
        "teacher": "human",
    }
    assert config["imported"]["labels"] == 4
    shown = compared(out)
    assert [(one.name, one.n_answers, one.minutes) for one in shown.people] == [
        ("annotator 3", 2, None),
        ("annotator 5", 2, None),
    ]
    assert "imported" in config
    assert "Ann" not in (out / "store.sqlite").read_bytes().decode(errors="replace")


def test_options_mean_what_one_says(tmp_path: Path, arrays: Arrays) -> None:
    options = (Answer.SECOND, Answer.FIRST, Answer.CANNOT_TELL)
    import_uni_rlhf(export(tmp_path), data_set(tmp_path, arrays), tmp_path / "run", options=options)
    with Store(tmp_path / "run") as store:
        assert [one.preference for one in store.comparisons()] == [0.0, 1.0, 0.0]
        assert store.counts().cannot_tell == 1


def test_the_command(tmp_path: Path, arrays: Arrays, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["data", "import", export(tmp_path), "--trajectories", data_set(tmp_path, arrays)]
    arguments += ["--out", tmp_path / "run", "--options", "first", "second", "cannot_tell"]
    cli.main([str(argument) for argument in arguments])
    assert capsys.readouterr().out == f"{tmp_path / 'run'}: 3 comparisons, of 4 answers to 4 queries\n"


def no_zip(folder: Path) -> Path:
    (folder / "label.csv").write_text("id\n")
    return folder / "label.csv"


def other_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "other.zip", "w") as archive:
        archive.writestr("readme", "")
    return folder / "other.zip"


def damaged(folder: Path) -> Path:
    path = other_zip(folder)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta_data.json", json.dumps(META))
        archive.writestr("label.csv", "id\n" * 100)
    content = bytearray(path.read_bytes())
    start = content.find(b"meta_data.json") + len("meta_data.json")
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    return path


def with_byte(folder: Path, place: int, value: int) -> Path:
    """A zip of which each entry of its table, and each head of a file, has another value at a place."""
    path = export(folder)
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x01\x02", place), (b"PK\x03\x04", place - 2)):
        start = -1
        while (start := content.find(mark, start + 1)) >= 0:
            content[start + at] = value
    path.write_bytes(content)
    return path


def a_pickle(folder: Path) -> Path:
    (folder / "indices.pkl").write_bytes(pickle.dumps([0, 1]))
    return folder / "indices.pkl"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (a_pickle, "^[^:]* is a pickle, which runs code when it is read"),
        (no_zip, "cannot be read as an export of Uni-RLHF: File is not a zip file"),
        (damaged, "cannot be read as an export of Uni-RLHF: Error -3 while decompressing"),
        (lambda folder: with_byte(folder, 8, 1), "cannot be read as an export of Uni-RLHF: .* is encrypted"),
        (lambda folder: with_byte(folder, 10, 99), "compression method is not supported"),
        (other_zip, "no item named 'meta_data.json' in the archive"),
        (
            lambda folder: export(folder, feedback_type="keypoint"),
            "^[^:]* holds 'keypoint' feedback; only 'comparative' is read",
        ),
        (lambda folder: export(folder, labels=[]), "holds no queries"),
        (lambda folder: export(folder, question="?"), "names no question"),
        (
            lambda folder: export(folder, labels=["{'3': {'0': 7}}"]),
            "has answers of option 7, and only 3 have a meaning",
        ),
        (lambda folder: export(folder, labels=["{'3': {'0': 1, '1': 0}}"]), "an answer to 2 questions"),
        (lambda folder: export(folder, labels=["__import__('os')"]), "cannot be read as an export of Uni-RLHF"),
        (lambda folder: export(folder, labels=["[1]"]), "cannot be read as an export of Uni-RLHF"),
    ],
)
def test_what_cannot_come_in(tmp_path: Path, arrays: Arrays, make: Callable[[Path], Path], sentence: str) -> None:
    with pytest.raises(RunError, match=sentence) as refused:
        import_uni_rlhf(make(tmp_path), data_set(tmp_path, arrays), tmp_path / "run")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_the_data_set_must_be_the_one_that_was_compared(tmp_path: Path, arrays: Arrays) -> None:
    labels, out = export(tmp_path), tmp_path / "run"
    with pytest.raises(RunError, match="give it as safetensors by --trajectories"):
        import_uni_rlhf(labels, None, out)
    with pytest.raises(RunError, match="cannot be read as safetensors"):
        import_uni_rlhf(labels, labels, out)
    arrays["terminals"][:] = np.arange(20) == 12
    with pytest.raises(RunError, match="The steps 10 to 14 are no part of one episode"):
        import_uni_rlhf(labels, data_set(tmp_path, arrays), out)
    shorter = {name: array[:15].copy() for name, array in arrays.items() if name != "terminals"}
    with pytest.raises(RunError, match=r"The steps 12 to 16 are no part of one episode in .*, which has 15 steps"):
        import_uni_rlhf(labels, data_set(tmp_path, shorter), out)
    with pytest.raises(RunError, match="all its arrays as many steps"):
        import_uni_rlhf(labels, data_set(tmp_path, shorter | {"rewards": shorter["rewards"][1:].copy()}), out)
    assert not out.exists()
