"""The folder of a run and what is written into it: whole or not at all."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prefrl.config import RunConfig
from prefrl.errors import RunError
from prefrl.runs import RunFolder, folder
from prefrl.runs.metrics_log import MetricsLog, read_metrics

MakeConfig = Callable[..., RunConfig]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_folder_has_the_settings(small_config: MakeConfig, tmp_path: Path) -> None:
    config = small_config("ant", "trpo", seed=3)
    made = RunFolder.create(tmp_path / "deep" / "run", config)
    assert names(made.path.parent) == ["run"]
    assert RunFolder.open(made.path).config() == config
    description = made.description()
    assert set(description) == {"config", "fixed_settings_sha256", "versions", "git_revision", "created"}
    assert {"prefrl", "torch", "stable-baselines3", "mujoco"} <= set(description["versions"])


def test_what_exists_is_left_alone(small_config: MakeConfig, tmp_path: Path) -> None:
    """And only a run can be gone on with."""
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"/file exists and is a file; choose another --out\.$"):
        RunFolder.create(tmp_path / "file", small_config())
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match=r"/folder exists already and is no run; choose another --out\.$"):
        RunFolder.create(tmp_path / "folder", small_config())
    run = RunFolder.create(tmp_path / "run", small_config()).path
    with pytest.raises(RunError, match=f"exists already; choose another --out, or go on .* `prefrl resume {run}`"):
        RunFolder.create(run, small_config())
    assert names(tmp_path) == ["file", "folder", "run"]
    assert names(tmp_path / "folder") == []


def test_a_run_that_cannot_start_leaves_no_folder(small_config: MakeConfig, tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "runs" / "deep" / "one", small_config()).discard()
    assert names(tmp_path) == []
    (tmp_path / "runs").mkdir()
    one = RunFolder.create(tmp_path / "runs" / "deep" / "one", small_config())
    RunFolder.create(tmp_path / "runs" / "deep" / "two", small_config())
    one.discard()
    assert names(tmp_path / "runs" / "deep") == ["two"]
    RunFolder.create(tmp_path / "runs" / "three", small_config()).discard()
    assert names(tmp_path / "runs") == ["deep"], "a folder that was there before stays"


def test_a_folder_that_cannot_be_made_leaves_none(
    small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot be made: .*No space left"):
        RunFolder.create(tmp_path / "runs" / "one", small_config())
    assert names(tmp_path) == []


def test_changed_settings_are_written_down(small_config: MakeConfig, tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path / "run", small_config())
    before = made.description()
    made.change_config(made.config())
    assert made.description() == before
    for labels in (25, 30):
        made.change_config(replace(made.config(), labels=labels))
    after = made.description()
    assert made.config() == replace(small_config(), labels=30)
    assert [change["settings"] for change in after["changes"]] == [{"labels": [24, 25]}, {"labels": [25, 30]}]
    assert {key: after[key] for key in before if key != "config"} == {
        key: before[key] for key in before if key != "config"
    }


def test_two_that_make_one_folder(
    small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one fails, also if it looked before the first one had made it."""
    first = RunFolder.create(tmp_path / "run", small_config(seed=1))
    monkeypatch.setattr(folder, "check_free", lambda path: None)
    with pytest.raises(RunError, match=r"cannot be made: .*not empty"):
        RunFolder.create(tmp_path / "run", small_config(seed=2))
    monkeypatch.undo()
    assert first.config().seed == 1
    assert names(tmp_path) == ["run"]


def test_lock(small_config: MakeConfig, tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path / "run", small_config())
    with made.locked(), pytest.raises(RunError, match="is in use by another process; wait for it, or stop"):
        RunFolder(made.path).locked().__enter__()
    with made.locked():
        pass


def test_lock_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(RunError, match="cannot be written: "):
        RunFolder(tmp_path).locked().__enter__()


def test_log_drops_what_was_undone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, until=0)
    for steps in (10, 20, 30):
        log.write(
            {"a": np.float32(0.5 * steps), "nan": float("nan"), "text": "x", "time/iterations": 3}, {}, steps
        )
    log.close()
    assert read_metrics(path)[0] == {"a": 5.0, "time/total_timesteps": 10}
    resumed = MetricsLog(path, until=20)
    resumed.write({"a": 7.0}, {}, 30)
    resumed.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["time/total_timesteps"], line["a"]) for line in lines] == [(10, 5.0), (20, 10.0), (30, 7.0)]


def test_log_that_a_crash_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"a": 1.0, "time/total_timesteps": 10}\n{"a": 2.0, "time/total_ti')
    assert read_metrics(path) == [{"a": 1.0, "time/total_timesteps": 10}]
    assert read_metrics(tmp_path / "none.jsonl") == []
