"""The folder of a run and what is written into it: whole or not at all."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.config import RunConfig
from prefrl.errors import RunError
from prefrl.files import read_json, write_json, write_whole
from prefrl.runs import RunFolder
from prefrl.runs.checkpoint import Checkpoint, checkpoints, write_checkpoint
from prefrl.runs.metrics_log import MetricsLog, read_metrics

MakeConfig = Callable[..., RunConfig]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_folder_has_the_settings(small_config: MakeConfig, tmp_path: Path) -> None:
    config = small_config("ant", "trpo", seed=3)
    folder = RunFolder.create(tmp_path / "deep" / "run", config)
    assert names(folder.path.parent) == ["run"]
    assert RunFolder.open(folder.path).config() == config
    description = folder.description()
    assert set(description) == {"config", "versions", "git_revision", "created"}
    assert {"prefrl", "torch", "stable-baselines3", "mujoco"} <= set(description["versions"])


def test_folder_that_exists_is_left_alone(small_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="exists already; choose another --out, or go on with it"):
        RunFolder.create(tmp_path / "run", small_config())
    assert names(tmp_path / "run") == []


def test_two_that_make_one_folder(
    small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one fails, also if it looked before the first one had made it."""
    first = RunFolder.create(tmp_path / "run", small_config(seed=1))
    monkeypatch.setattr(Path, "exists", lambda path: False)
    with pytest.raises(RunError, match=r"cannot be made: .*not empty"):
        RunFolder.create(tmp_path / "run", small_config(seed=2))
    monkeypatch.undo()
    assert first.config().seed == 1
    assert names(tmp_path) == ["run"]


def test_lock(small_config: MakeConfig, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", small_config())
    with folder.locked(), pytest.raises(RunError, match="is in use by another process; wait for it, or stop"):
        RunFolder(folder.path).locked().__enter__()
    with folder.locked():
        pass


def test_lock_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(RunError, match="cannot be written: "):
        RunFolder(tmp_path).locked().__enter__()


def test_json_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_json(path, {"a": 2})
    assert names(tmp_path) == ["x.json"]
    assert read_json(path) == {"a": 1}
    write_whole(path, b'{"a": 3}')
    assert read_json(path) == {"a": 3}


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), (b'{"a"', "cannot be read"), (b"[]", "holds no JSON object")]
)
def test_json_that_cannot_be_read(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=f"^{re.escape(str(path))} .*{words}"):
        read_json(path)


def saved(folder: Path, steps: int, **state: Any) -> Path:
    arrays = {"a": np.arange(3), "transposed": np.arange(6.0).reshape(2, 3).T}
    return write_checkpoint(folder, steps, agent=b"policy", arrays=arrays, state=state)


def test_checkpoint_and_back(tmp_path: Path) -> None:
    path = saved(tmp_path / "checkpoints", 128, x=[1.5, "y"])
    assert path.name == "000000000128"
    checkpoint = Checkpoint(path)
    assert checkpoint.agent.read_bytes() == b"policy"
    assert checkpoint.state == {"x": [1.5, "y"]}
    np.testing.assert_array_equal(checkpoint.arrays["a"], [0, 1, 2])
    np.testing.assert_array_equal(checkpoint.arrays["transposed"], [[0, 3], [1, 4], [2, 5]])


def test_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for steps in (64, 128, 1_000_000, 200):
        saved(tmp_path, steps)
    assert [folder.name for folder in checkpoints(tmp_path)] == ["000000000200", "000001000000"]


def test_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    saved(tmp_path, 64, version=1)
    saved(tmp_path, 64, version=2)
    assert [Checkpoint(folder).state["version"] for folder in checkpoints(tmp_path)] == [2]


def test_no_checkpoints(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "none") == []
    (tmp_path / ".000000000064.new").mkdir()
    (tmp_path / "000000000064").touch()
    assert checkpoints(tmp_path) == []


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
