"""Replay buffers in checkpoints: files that later checkpoints share, exact after any stop."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from prefrl.agents import callback
from prefrl.config import RunConfig
from prefrl.errors import RunError
from prefrl.runs import RunFolder, TrainingProgress, resume, saved_replay, start
from prefrl.runs import train as runs_train
from prefrl.runs import training as runs_training
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.saved_parts import saved_agent
from prefrl.runs.training import Training

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]
pytestmark = pytest.mark.usefixtures("train_only")


@pytest.fixture(autouse=True)
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_training, "LOG_EVERY", 64)
    monkeypatch.setattr(runs_training, "LINES_AT_LEAST", 1)
    monkeypatch.setattr(callback, "LOOK_EVERY", 64)
    monkeypatch.setattr(runs_train, "TELL_EVERY", 4)


class TwoParts(gym.Env[dict[str, Any], Any]):
    """A number to be moved, seen beside a picture of noise."""

    observation_space = spaces.Dict(
        {"camera": spaces.Box(0, 255, (2, 3), np.uint8), "speed": spaces.Box(-9, 9, (2,), np.float32)}
    )
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0.0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self.at += float(action[0]) / 25
        return self._seen(), self.at, False, False, {}

    def _seen(self) -> dict[str, Any]:
        noise = self.np_random.integers(0, 256, (2, 3), dtype=np.uint8)
        return {"camera": noise, "speed": np.full(2, self.at, dtype=np.float32)}


@pytest.fixture
def two_parts() -> Iterator[str]:
    """The name of `TwoParts`, in gymnasium's list while a test lasts."""
    gym.register("TwoParts-v0", lambda **settings: TwoParts())
    yield "TwoParts-v0"
    del gym.registry["TwoParts-v0"]


class Killed(BaseException):
    """Ends a training as a kill would: nothing more is saved."""


def killed_at(steps: int) -> Listener:
    def listener(progress: TrainingProgress) -> None:
        if progress.num_timesteps >= steps:
            raise Killed

    return listener


@contextmanager
def opened(path: Path, *, restored: bool = True) -> Iterator[Training]:
    folder = RunFolder(path)
    checkpoint = Checkpoint(checkpoints(folder.checkpoints)[-1]) if restored else None
    training = Training(folder.config(), folder, checkpoint)
    yield training
    training.close()


def buffer_of(path: Path) -> dict[str, Any]:
    """What the replay buffer of the latest checkpoint holds, and where its next step goes."""
    with opened(path) as training:
        agent = training.agent
        assert isinstance(agent, OffPolicyAlgorithm)
        buffer = agent.replay_buffer
        assert buffer is not None
        arrays = {name: value for name, value in vars(buffer).items() if isinstance(value, np.ndarray | dict)}
        return {"pos": buffer.pos, "full": buffer.full} | arrays


def assert_same(first: Any, second: Any) -> None:
    assert list(first) == list(second)
    for key, value in first.items():
        if isinstance(value, dict):
            assert_same(value, second[key])
        else:
            np.testing.assert_array_equal(value, second[key], err_msg=key)


def of_last_checkpoint(path: Path) -> list[Path]:
    return sorted(checkpoints(RunFolder(path).checkpoints)[-1].glob("replay-*"))


COMPACT = {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}}


@pytest.mark.parametrize(
    ("file_bytes", "buffer_size"), [(1, 100), (2000, 400), (2**26, 400), (2000, 640), (2**26, 5000)]
)
@pytest.mark.parametrize("settings", [{}, COMPACT])
def test_what_comes_back_is_what_was_there(
    file_bytes: int,
    buffer_size: int,
    settings: dict[str, Any],
    small_config: MakeConfig,
    tmp_path: Path,
    quiet: Listener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a buffer with room left, of one that is just full, and of two that were filled more than once."""
    kept: list[dict[str, Any]] = []
    save = Training.save

    def saved(training: Training) -> None:
        save(training)
        agent = training.agent
        assert isinstance(agent, OffPolicyAlgorithm)
        buffer = agent.replay_buffer
        assert buffer is not None
        kept.append(
            {"pos": buffer.pos, "full": buffer.full}
            | {name: value.copy() for name, value in vars(buffer).items() if isinstance(value, np.ndarray)}
        )

    monkeypatch.setattr(saved_replay, "FILE_BYTES", file_bytes)
    monkeypatch.setattr(Training, "save", saved)
    agent = {"settings": {"buffer_size": buffer_size, **settings}}
    start(small_config("pendulum", "sac", agent=agent, time_limit=30), tmp_path / "run", quiet)
    assert len(kept) == 5
    assert kept[-1]["full"] == (buffer_size <= 640)
    assert_same(buffer_of(tmp_path / "run"), kept[-1])


def test_observations_of_several_parts(
    two_parts: str, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config(two_parts, "td3", total_timesteps=320, labels=12, time_limit=25)
    start(config, tmp_path / "whole", quiet)
    with pytest.raises(Killed):
        start(config, tmp_path / "run", killed_at(200))
    resume(tmp_path / "run", quiet)
    whole = buffer_of(tmp_path / "whole")
    assert set(whole["observations"]) == {"camera", "speed"}
    assert whole["observations"]["camera"].std() > 10
    assert_same(buffer_of(tmp_path / "run"), whole)


@pytest.mark.parametrize("algo", ["sac", "td3", "dqn"])
def test_killed_at_ten_random_points(algo: str, small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    task = "cartpole" if algo == "dqn" else "pendulum"
    config = small_config(task, algo, checkpoint_every=64, agent={"settings": {"buffer_size": 300}})
    start(config, tmp_path / "whole", quiet)
    begin: Callable[[Listener], Any] = lambda listener: start(config, tmp_path / "run", listener)  # noqa: E731
    for steps in sorted(np.random.default_rng(0).choice(np.arange(20, 640, 4), 10, replace=False)):
        with pytest.raises(Killed):
            begin(killed_at(int(steps)))
        begin = lambda listener: resume(tmp_path / "run", listener)  # noqa: E731
    begin(quiet)
    assert_same(buffer_of(tmp_path / "run"), buffer_of(tmp_path / "whole"))
    one, other = (Checkpoint(checkpoints(tmp_path / run / "checkpoints")[-1]) for run in ("run", "whole"))
    assert_same(*({name: array for name, array in c.arrays.items() if name != "agent/zip"} for c in (one, other)))
    names = [[file.name for file in of_last_checkpoint(tmp_path / run)] for run in ("run", "whole")]
    assert names[0] == names[1]


def test_a_checkpoint_shares_what_the_one_before_it_wrote(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    start(small_config("pendulum", "sac", agent={"settings": {"buffer_size": 5000}}), tmp_path / "run", quiet)
    before, last = checkpoints(RunFolder(tmp_path / "run").checkpoints)
    shared = {file.name for file in before.glob("replay-*")}
    assert {file.name for file in last.glob("replay-*")} > shared
    assert len(shared) == 4
    assert all(os.path.samefile(before / name, last / name) for name in shared)


def test_files_that_nothing_is_needed_of_any_more_are_left_behind(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    start(small_config("pendulum", "sac", agent={"settings": {"buffer_size": 200}}), tmp_path / "run", quiet)
    assert len(of_last_checkpoint(tmp_path / "run")) == 2  # of 128 steps each


def test_where_there_are_no_hard_links_files_are_copied(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config("pendulum", "sac")
    start(config, tmp_path / "whole", quiet)

    def refused(*paths: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refused)
    start(config, tmp_path / "run", quiet)
    assert {file.stat().st_nlink for file in of_last_checkpoint(tmp_path / "run")} == {1}
    assert_same(buffer_of(tmp_path / "run"), buffer_of(tmp_path / "whole"))


def test_a_file_that_is_gone_with_its_checkpoint_is_written_anew(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody tidied up while the training ran."""
    config = small_config("pendulum", "sac")
    start(config, tmp_path / "whole", quiet)
    save = Training.save

    def saved(training: Training) -> None:
        for folder in checkpoints(training.folder.checkpoints):
            shutil.rmtree(folder)
        save(training)

    monkeypatch.setattr(Training, "save", saved)
    start(config, tmp_path / "run", quiet)
    assert_same(buffer_of(tmp_path / "run"), buffer_of(tmp_path / "whole"))


@pytest.mark.parametrize("damage", ["cut short", "changed", "gone"])
def test_a_damaged_file_is_said(damage: str, small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    with pytest.raises(Killed):
        start(small_config("pendulum", "sac"), tmp_path / "run", killed_at(400))
    file = of_last_checkpoint(tmp_path / "run")[0]
    content = file.read_bytes()
    file.unlink()  # the checkpoint before keeps it
    if damage != "gone":
        file.write_bytes(content[:-1] if damage == "cut short" else content[:-1] + b"\x01\x02")
    with pytest.raises(RunError, match=r"is damaged \(.*replay-.*\); remove that folder and resume"):
        resume(tmp_path / "run", quiet)
    shutil.rmtree(file.parent)
    resume(tmp_path / "run", quiet)


def test_a_disk_that_is_full_leaves_the_checkpoint_before(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config("pendulum", "sac")
    with pytest.raises(Killed):
        start(config, tmp_path / "run", killed_at(200))

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(saved_replay, "write_whole", full)
        with pytest.raises(RunError, match=r"cannot be written: No space left on device; free some space"):
            resume(tmp_path / "run", quiet)
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))
    resume(tmp_path / "run", quiet)
    start(config, tmp_path / "whole", quiet)
    assert_same(buffer_of(tmp_path / "run"), buffer_of(tmp_path / "whole"))


def test_what_is_only_looked_at_needs_no_buffer(small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    start(small_config("pendulum", "sac", total_timesteps=256), tmp_path / "run", quiet)
    checkpoint = Checkpoint(checkpoints(RunFolder(tmp_path / "run").checkpoints)[-1])
    agent = saved_agent("sac", checkpoint.agent, "cpu")
    assert isinstance(agent, OffPolicyAlgorithm)
    assert agent.replay_buffer is not None
    assert agent.replay_buffer.buffer_size == 1
