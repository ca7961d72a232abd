"""A run of revision 9df563b opens, or says why not: checkpoints of format 1, settings `label`, store 0002.

The folder in `tests/data` is what `prefrl train gridworld` left with 12 labels and 512 steps, without its clip and
its report.
"""

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.cli import main
from prefrl.errors import RunError
from prefrl.report import write_report
from prefrl.reward import RewardEnsemble
from prefrl.runs import RunFolder, TrainingProgress, evaluate, resume, train
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.store import Store

Listener = Callable[[TrainingProgress], None]
ARCHIVE = Path(__file__).parents[1] / "data" / "run_of_format_1.tar.xz"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "run", filter="data")
    return tmp_path / "run"


def test_settings_have_their_present_names(old: Path) -> None:
    assert "label" in json.loads((old / "config.json").read_text())["config"]
    config = RunFolder(old).config()
    assert (config.task, config.labels, config.total_timesteps) == ("gridworld", 12, 512)
    assert (config.feedback.initial_timesteps, config.feedback.initial_share) == (128, 0.7)
    assert (config.feedback.strategy, config.segment_length) == ("uniform", 8)
    assert config.reward_model.bootstrap


def test_the_policy_is_evaluated_as_it_was(old: Path) -> None:
    before = json.loads((old / "evaluation.json").read_text())
    result = evaluate(RunFolder(old))
    same = ("task", "algo", "seed", "num_timesteps", "labels", "true_return", "training_seconds", "refit_seconds")
    assert {key: result[key] for key in same} == {key: before[key] for key in same}
    assert RewardEnsemble.load(old / "reward_model").fitted


def test_its_normaliser_is_restored(old: Path) -> None:
    checkpoint = Checkpoint(checkpoints(old / "checkpoints")[-1])
    assert (checkpoint.format_version, checkpoint.num_timesteps, checkpoint.config) == (1, 512, None)
    assert checkpoint.progress["labels"] == 12
    assert np.isfinite(checkpoint.arrays["normalizer/return.mean"]).all()


def test_its_answers_are_read(old: Path) -> None:
    with Store(old) as store:
        assert store.counts().comparisons == 12
        assert len(store.comparisons()) == 12


def test_the_report_is_written(old: Path) -> None:
    page = write_report([old]).read_text()
    assert "12" in page
    assert "cannot be shown" not in page


def test_a_finished_run_is_complete(old: Path, quiet: Listener) -> None:
    evaluate(RunFolder(old))
    write_report([old])
    with pytest.raises(RunError, match="is complete; its report is"):
        resume(old, quiet)


@pytest.mark.parametrize("extended", [False, True])
def test_its_training_cannot_be_continued_and_that_is_said(
    extended: bool, old: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not extended:
        shutil.rmtree(checkpoints(old / "checkpoints")[-1])
    before = (old / "config.json").read_bytes()
    with pytest.raises(RunError, match=r"by an earlier version of prefrl .*evaluate.*report.*label.* still work"):
        resume(old, quiet, total_timesteps=1024 if extended else None)
    assert (old / "config.json").read_bytes() == before
    if not extended:  # without checkpoints it begins anew
        monkeypatch.setattr(train, "_finish", lambda folder: {})
        shutil.rmtree(old / "checkpoints")
        resume(old, quiet)
        assert Checkpoint(checkpoints(old / "checkpoints")[-1]).format_version == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda v: v["state"].update(num_timesteps=9_999_999),
        lambda v: v["state"].pop("num_timesteps"),
        lambda v: v["state"].pop("seconds"),
        lambda v: v["state"].update(preferences={}),
        lambda v: v.pop("sha256"),
        lambda v: v.update(format_version=0),
        lambda v: v.update(state=3),
    ],
)
def test_damage_is_one_sentence(
    damage: Callable[[dict[str, Any]], Any], old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = checkpoints(old / "checkpoints")[-1] / "state.json"
    values = json.loads(state.read_text())
    damage(values)
    state.write_text(json.dumps(values))
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", os.fspath(old)])
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert err.startswith(f"prefrl: The checkpoint {state.parent} is damaged (")
    assert err.count("\n") == 1
