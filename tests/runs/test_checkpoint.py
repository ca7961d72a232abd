"""Checkpoints: the states of named parts, on disk and back, and every kind of damage to one."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from prefrl.config import RunConfig
from prefrl.errors import RunError
from prefrl.parts import Arrays, Json, State
from prefrl.runs import resume, start, training
from prefrl.runs.checkpoint import AnswersRead, Checkpoint, checkpoints, write_checkpoint
from prefrl.runs.saved_parts import RandomStreams

MakeConfig = Callable[..., RunConfig]
AGENT = np.frombuffer(b"policy", dtype=np.uint8)


class Remembering:
    """A part of any state, which remembers what it was restored from."""

    def __init__(self, arrays: Arrays | None = None, **values: Any) -> None:
        self.current: State = (arrays or {}, values)

    def state(self) -> State:
        return self.current

    def restore(self, arrays: Arrays, values: Json) -> None:
        self.current = (arrays, values)


def saved(folder: Path, steps: int, **values: Any) -> Path:
    arrays = {"a": np.arange(3), "transposed": np.arange(6.0).reshape(2, 3).T}
    parts = {"agent": Remembering({"zip": AGENT}), "reward": Remembering(arrays, **values)}
    answers = AnswersRead(run=2, until=17, digest="d")
    return write_checkpoint(folder, steps, parts, config={"task": "x"}, answers=answers)


def test_checkpoint_and_back(tmp_path: Path) -> None:
    path = saved(tmp_path / "checkpoints", 128, x=[1.5, "y"])
    assert path.name == "000000000128"
    assert {file.name for file in path.iterdir()} == {
        "agent.zip",
        "arrays.safetensors",
        "manifest.json",
        "state.json",
    }
    assert (path / "agent.zip").read_bytes() == b"policy"
    checkpoint = Checkpoint(path)
    assert (checkpoint.num_timesteps, checkpoint.config, checkpoint.agent) == (128, {"task": "x"}, b"policy")
    assert checkpoint.answers == AnswersRead(run=2, until=17, digest="d")
    agent, reward = Remembering(), Remembering()
    checkpoint.restore({"agent": agent, "reward": reward})
    np.testing.assert_array_equal(agent.current[0]["zip"], AGENT)
    arrays, values = reward.current
    assert values == {"x": [1.5, "y"]}
    np.testing.assert_array_equal(arrays["a"], [0, 1, 2])
    np.testing.assert_array_equal(arrays["transposed"], [[0, 3], [1, 4], [2, 5]])


def test_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for steps in (64, 128, 1_000_000, 200):
        saved(tmp_path, steps)
    assert [folder.name for folder in checkpoints(tmp_path)] == ["000000000200", "000001000000"]


def test_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    saved(tmp_path, 64, version=1)
    saved(tmp_path, 64, version=2)
    assert [Checkpoint(folder).values["reward"] for folder in checkpoints(tmp_path)] == [{"version": 2}]


def test_no_checkpoints(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "none") == []
    (tmp_path / ".000000000064.new").mkdir()
    (tmp_path / "000000000064").touch()
    assert checkpoints(tmp_path) == []


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("state.json", lambda v: v["reward"].update(x=2), "state.json was changed or cut short"),
        ("state.json", lambda v: v.pop("reward"), "state.json was changed or cut short"),
        ("manifest.json", lambda v: v.update(num_timesteps=9_999_999), "manifest.json was changed"),
        ("manifest.json", lambda v: v["config"].update(task="y"), "manifest.json was changed"),
        ("manifest.json", lambda v: v["answers"].update(until=3), "manifest.json was changed"),
        ("manifest.json", lambda v: v["sha256"].pop("state.json"), "manifest.json was changed"),
        ("manifest.json", lambda v: v.pop("sha256_of_this"), "no 'sha256_of_this'"),
        ("manifest.json", lambda v: v.pop("format_version"), "no 'format_version'"),
        ("manifest.json", lambda v: v.update(format_version="2"), "manifest.json names format '2'"),
    ],
)
def test_a_changed_value_is_noticed(
    file: str, change: Callable[[dict[str, Any]], Any], words: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, 64, x=1)
    changed(path / file, change)
    with pytest.raises(RunError, match=words) as caught:
        Checkpoint(path)
    assert str(caught.value).startswith(f"The checkpoint {path} is damaged (")
    assert "remove that folder and resume" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_a_later_version_is_not_damaged(tmp_path: Path) -> None:
    path = saved(tmp_path, 64)
    changed(path / "manifest.json", lambda v: v.update(format_version=99))
    with pytest.raises(RunError, match="has format 99, and this prefrl reads up to 2; use the version"):
        Checkpoint(path)


@pytest.mark.parametrize("file", ["agent.zip", "arrays.safetensors", "manifest.json", "state.json"])
def test_a_missing_file_is_noticed(file: str, tmp_path: Path) -> None:
    path = saved(tmp_path, 64)
    (path / file).unlink()
    with pytest.raises(RunError, match=f"is damaged .*{file}.*; remove that folder and resume"):
        Checkpoint(path)


@pytest.mark.parametrize("file", ["agent.zip", "arrays.safetensors", "manifest.json", "state.json"])
def test_any_flipped_bit_is_noticed(file: str, tmp_path: Path) -> None:
    path = saved(tmp_path, 64, x=1)
    content = bytearray((path / file).read_bytes())
    for position in range(0, len(content), max(1, len(content) // 20)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        (path / file).write_bytes(damaged)
        try:
            Checkpoint(path)
        except RunError:
            continue
        # JSON has more than one way to write the same, such as another white space.
        assert file == "manifest.json"
        assert json.loads(damaged) == json.loads(content)


def test_a_renamed_checkpoint_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path, 64)
    other = path.rename(tmp_path / "000000000128")
    with pytest.raises(RunError, match="it says 64 steps, its name 128"):
        Checkpoint(other)


def test_a_part_that_the_checkpoint_lacks_is_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint(saved(tmp_path, 64))
    with pytest.raises(RunError, match="lacks the part 'replay', which this version of prefrl needs to go on"):
        checkpoint.restore({"replay": Remembering()})


# --- the random streams -------------------------------------------------------------------------------------


class NoAgent:
    """Stands in for an agent whose noise is drawn step by step."""

    class agent:
        action_space = spaces.Discrete(2, seed=0)

        class policy:
            action_dist = None


def draws() -> list[float]:
    drawn = [int(NoAgent.agent.action_space.sample()) for _ in range(20)]
    return [*drawn, float(torch.rand(1)), float(np.random.rand()), random.random()]  # noqa: NPY002


def test_random_streams_go_on_when_the_next_rollout_begins() -> None:
    streams: Any = RandomStreams(NoAgent)  # type: ignore[arg-type]
    np.random.randn()  # noqa: NPY002  keeps a second number for later
    state = streams.state()
    following = draws()
    state = (state[0], json.loads(json.dumps(state[1])))
    other: Any = RandomStreams(NoAgent)  # type: ignore[arg-type]
    other.restore(*state)
    assert draws() != following, "not before the rollout begins"
    other.begin_rollout()
    assert draws() == following
    again = draws()
    other.begin_rollout()  # the second rollout goes on by itself
    assert draws() != following
    assert draws() != again


def test_the_random_state_of_every_cuda_device_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [torch.arange(16, dtype=torch.uint8), torch.arange(16, 32, dtype=torch.uint8)]
    put: dict[int, list[int]] = {}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: devices)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, index: put.update({index: state.tolist()}))
    streams: Any = RandomStreams(NoAgent)  # type: ignore[arg-type]
    arrays, values = streams.state()
    assert {name for name in arrays if name.startswith("cuda")} == {"cuda0", "cuda1"}
    streams.restore(arrays, values)
    assert put == {}
    streams.begin_rollout()
    assert put == {0: list(range(16)), 1: list(range(16, 32))}


def test_cuda_that_is_not_used_is_left_alone() -> None:
    assert not torch.cuda.is_initialized()
    arrays, _ = RandomStreams(NoAgent).state()  # type: ignore[arg-type]
    assert not torch.cuda.is_initialized()
    assert not [name for name in arrays if name.startswith("cuda")]


# --- in a run -----------------------------------------------------------------------------------------------


@pytest.fixture
def run(small_config: MakeConfig, tmp_path: Path, train_only: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(training, "LOG_EVERY", 64)
    path = tmp_path / "run"
    start(small_config("pendulum", total_timesteps=256, checkpoint_every=64), path, lambda progress: None)
    return path


def test_parts_of_a_run(run: Path) -> None:
    checkpoint = Checkpoint(checkpoints(run / "checkpoints")[-1])
    names = {"environments", "frames", "normalizer", "preferences", "agent", "random", "progress"}
    assert set(checkpoint.values) == names
    assert checkpoint.progress["labels"] == 24
    assert checkpoint.progress["seconds"] > checkpoint.progress["refit_seconds"] > 0


def test_the_checkpoint_before_a_damaged_one_serves(run: Path) -> None:
    newest = checkpoints(run / "checkpoints")[-1]
    changed(newest / "state.json", lambda v: v["random"].update(numpy=[]))
    with pytest.raises(RunError, match="remove that folder and resume"):
        resume(run, lambda progress: None)
    shutil.rmtree(newest)
    resume(run, lambda progress: None)
    assert checkpoints(run / "checkpoints")[-1] == newest
