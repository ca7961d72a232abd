"""The logs for TensorBoard and Weights & Biases: what is in them, and what they do not touch."""

import io
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import av
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image as PillowImage
from stable_baselines3.common.logger import Image, KVWriter

from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError, MissingDependencyError, RunError
from prefrl.runs import RunFolder, TrainingProgress, resume, start, training
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.illustrated_log import REFIT_KEY, IllustratedLog, untouched_randomness
from prefrl.runs.log_writers import LOG_EXTRAS, TENSORBOARD, WANDB
from prefrl.runs.metrics_log import read_metrics
from prefrl.runs.refit_pictures import CLIP_KEY, CLIP_SIZE, TRACE_KEY, Clip, RefitPictures, reward_traces
from prefrl.runs.tensorboard_log import gif
from prefrl.runs.wandb_log import WandbLog
from prefrl.segments import Segment
from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.rendering import StateRenderer

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]
ReadEvents = Callable[[Path], SimpleNamespace]

pytestmark = pytest.mark.usefixtures("train_only")


@pytest.fixture(autouse=True)
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LOG_EVERY", 128)
    monkeypatch.setattr(training, "LINES_AT_LEAST", 1)


def stop_at(steps: int) -> Listener:
    def listener(progress: TrainingProgress) -> None:
        if progress.num_timesteps == steps:
            raise KeyboardInterrupt

    return listener


# --- TensorBoard ------------------------------------------------------------------------------------------


def test_tensorboard_has_the_lines_of_the_log(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, read_events: ReadEvents
) -> None:
    start(small_config("hopper-backflip", time_limit=50, tensorboard=True), tmp_path / "run", quiet)
    lines = read_metrics(tmp_path / "run" / "log" / "metrics.jsonl")
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        step = int(line.pop("time/total_timesteps"))
        for key in ("time/time_elapsed", "train/n_updates"):  # SB3 keeps these and the steps from TensorBoard
            line.pop(key, None)
        for key, value in line.items():
            expected.setdefault(key, []).append((step, float(np.float32(value))))
    assert {"reward_model/accuracy", "labels/total", "policy/number", "task/backflips"} <= set(expected)
    events = read_events(tmp_path / "run" / "log" / "tensorboard")
    assert events.scalars == expected
    refits = [step for step, _ in expected[REFIT_KEY]]
    assert 0 < len(refits) < len(lines)
    assert set(events.images) == {TRACE_KEY, CLIP_KEY}
    assert [step for step, _ in events.images[TRACE_KEY]] == refits
    assert [step for step, _ in events.images[CLIP_KEY]] == refits
    clips = [PillowImage.open(io.BytesIO(file)) for _, file in events.images[CLIP_KEY]]
    assert all(clip.format == "GIF" and clip.size == CLIP_SIZE for clip in clips)
    assert all(getattr(clip, "n_frames", 1) == 8 for clip in clips), "as many as the segment has steps"


def test_a_run_on_the_true_reward_has_no_pictures(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, read_events: ReadEvents
) -> None:
    start(small_config("pendulum", reward="true", tensorboard=True), tmp_path / "run", quiet)
    events = read_events(tmp_path / "run" / "log" / "tensorboard")
    assert [step for step, _ in events.scalars["rollout/ep_rew_mean"]] == [512, 640]
    assert events.images == {}


def test_it_can_be_switched_on_and_off_between_two_stretches(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, read_events: ReadEvents
) -> None:
    run = tmp_path / "run"
    with pytest.raises(InterruptedRunError):  # stopped
        start(small_config("pendulum"), run, stop_at(320))
    assert not (run / "log" / "tensorboard").exists()
    with pytest.raises(InterruptedRunError):
        resume(run, stop_at(320), tensorboard=True)
    with pytest.raises(InterruptedRunError):  # the settings say so by now, and those of the checkpoint do not
        resume(run, stop_at(576))
    assert RunFolder(run).config().tensorboard
    resume(run, quiet, tensorboard=False)
    assert not RunFolder(run).config().tensorboard
    steps = [step for step, _ in read_events(run / "log" / "tensorboard").scalars["labels/total"]]
    assert steps == [384, 512]


@pytest.mark.filterwarnings("ignore:An episode ended before its time limit", "ignore:.*answers are ties")
def test_what_cannot_be_drawn_is_said_once(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, read_events: ReadEvents
) -> None:
    note = "No clips of CartPole-v1 are logged, as nothing can draw them: it keeps neither states nor frames"
    config = small_config("CartPole-v1", tensorboard=True, feedback={"segment_length": 4})
    with pytest.warns(UserWarning, match=note) as warned:
        start(config, tmp_path / "run", quiet)
    assert len([warning for warning in warned if note in str(warning.message)]) == 1
    events = read_events(tmp_path / "run" / "log" / "tensorboard")
    [texts] = events.texts.values()
    assert [text.startswith(note) for _, text in texts] == [True]
    assert len(events.images[TRACE_KEY]) > 1
    assert set(events.images) == {TRACE_KEY}


def test_a_machine_that_cannot_draw_trains_all_the_same(
    small_config: MakeConfig,
    tmp_path: Path,
    quiet: Listener,
    read_events: ReadEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: Any) -> None:
        raise RenderingUnavailableError("there is no OpenGL.")

    monkeypatch.setattr(StateRenderer, "prepare", fail)
    with pytest.warns(
        UserWarning, match=r"prefrl/Hopper-v0 .* nothing can draw them: there is no OpenGL\."
    ) as warned:
        start(small_config("hopper", time_limit=50, tensorboard=True), tmp_path / "run", quiet)
    assert len(warned) == 1
    assert len(read_events(tmp_path / "run" / "log" / "tensorboard").images[TRACE_KEY]) > 1


def test_a_clip_becomes_a_gif_of_its_frames_and_speed() -> None:
    frames = np.zeros((3, 16, 24, 3), dtype=np.uint8)
    for number, colour in enumerate(([250, 0, 0], [0, 250, 0], [0, 0, 250])):
        frames[number] = colour
    picture = PillowImage.open(io.BytesIO(gif(Clip(frames, fps=20.0))))
    assert picture.size == (24, 16)
    assert (picture.info["duration"], picture.info["loop"]) == (50, 0)
    for number, frame in enumerate(frames):
        picture.seek(number)
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), frame)


# --- pictures ---------------------------------------------------------------------------------------------


def test_reward_traces_show_both_rewards_and_where_the_clip_is(make_segment: Callable[..., Segment]) -> None:
    piece = make_segment(7, n_steps=6, rewards=[0, 1, 2, 3, 4, 5])
    predicted = np.array([5, 3, 1, 1, 3, 5.0])
    above, below = reward_traces(piece, predicted, 2).axes
    for axes, values in ((above, piece.env_rewards), (below, predicted)):
        [line] = axes.lines
        np.testing.assert_array_equal(line.get_xdata(), np.arange(7, 13))
        np.testing.assert_array_equal(line.get_ydata(), values)
        [span] = axes.patches
        box = span.get_extents().transformed(axes.transData.inverted())
        np.testing.assert_allclose([box.x0, box.x1], [11, 12])


class Newest:
    """A recorder and a reward that say of each step its number."""

    def __init__(self, piece: Segment, n_steps: int) -> None:
        self.piece = piece
        self.recorder = self.reward_model = self
        self._n_steps = n_steps

    def latest(self, length: int) -> Segment | None:
        return self.piece if length <= self._n_steps else None

    def predict_segment(self, piece: Segment) -> npt.NDArray[np.float32]:
        return np.arange(piece.n_steps, dtype=np.float32)


@pytest.mark.parametrize(
    ("task", "length", "n_known", "shown", "fps"),
    [
        pytest.param("pendulum", 8, 40, range(8), 8.0, id="eight steps in a second"),
        pytest.param("pendulum", 8, 8, range(8), 8.0, id="an episode shorter than five segments"),
        pytest.param("hopper", 35, 175, range(0, 35, 2), 17.5, id="every other step, the last one too"),
        pytest.param("hopper", 36, 180, range(1, 36, 2), 18.0, id="every other step, the first one not"),
    ],
)
def test_a_clip_shows_the_last_segment(
    task: str,
    length: int,
    n_known: int,
    shown: range,
    fps: float,
    small_config: MakeConfig,
    make_segment: Callable[..., Segment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    piece = make_segment(0, n_steps=n_known)
    newest: Any = Newest(piece, n_known)
    drawn: list[npt.NDArray[Any]] = []
    made: list[StateRenderer] = []

    def frames(self: StateRenderer, states: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        made.append(self)
        drawn.append(states)
        return np.zeros((len(states), 2, 2, 3), dtype=np.uint8)

    monkeypatch.setattr(StateRenderer, "frames", frames)
    config = small_config(task, segment_length=length)
    pictures = RefitPictures(config, newest)
    for _ in range(2):
        found = pictures.draw()
        assert set(found) == {TRACE_KEY, CLIP_KEY}
    assert made[0] is made[1], "one renderer is enough"
    assert piece.render_states is not None
    np.testing.assert_array_equal(drawn[0], piece.render_states[-length:][list(shown)])
    clip = found[CLIP_KEY]
    assert isinstance(clip, Clip)
    assert clip.fps == fps
    pictures.close()
    newest = Newest(piece, length - 1)
    assert RefitPictures(config, newest).draw() == {}


class Kept(KVWriter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, dict[str, Any]]] = []
        self.closed = False

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        assert sorted(key_values) == sorted(key_excluded)
        self.lines.append((step, dict(key_values)))

    def close(self) -> None:
        self.closed = True


def lines_until(steps: int) -> Iterator[dict[str, float]]:
    """Lines of a log, of which every other one comes with a refit."""
    for number, step in enumerate(range(10, steps + 1, 10)):
        yield {"time/total_timesteps": step} | ({REFIT_KEY: 3.0} if number % 2 else {})


@pytest.mark.parametrize("stopped", [0, 250, 260, 700])
def test_some_forty_lines_have_pictures_the_same_after_a_resume(stopped: int) -> None:
    class Counted:
        n = closed = 0

        def draw(self) -> dict[str, Any]:
            random.random()
            self.n += 1
            return {"pictures/x": self.n}

        def close(self) -> None:
            self.closed += 1

    earlier = list(lines_until(stopped))
    kept, pictures = Kept(), Counted()
    log = IllustratedLog([kept], pictures, 1_000, earlier)  # type: ignore[arg-type]
    before = random.getstate()
    for line in list(lines_until(1_000))[len(earlier) :]:
        values = {key: value for key, value in line.items() if key == REFIT_KEY}
        log.write(
            values | {"time/iterations": 4, "a": 1.0},
            dict.fromkeys([*values, "time/iterations", "a"], ("",)),
            int(line["time/total_timesteps"]),
        )
    # A refit every 20 steps, pictures no oftener than every 25.
    shown = [step for step, values in kept.lines if "pictures/x" in values]
    assert shown == [step for step in range(20, 1_001, 40) if step > stopped]
    assert random.getstate() == before
    assert all("time/iterations" not in values and values["a"] == 1.0 for _, values in kept.lines)
    log.close()
    assert kept.closed
    assert pictures.closed == 1


def test_random_numbers_are_those_of_before() -> None:
    def drawn() -> list[float]:
        return [random.random(), float(np.random.random()), float(torch.rand(()))]  # noqa: NPY002

    torch.manual_seed(1)
    with untouched_randomness():
        first = drawn()
    assert drawn() == first


# --- Weights & Biases -------------------------------------------------------------------------------------


class FakeWandb(ModuleType):
    """Keeps what wandb is told, of all runs."""

    runs: ClassVar[list["FakeWandb"]] = []

    class Error(Exception):
        pass

    def __init__(self, **settings: Any) -> None:
        super().__init__("wandb")
        self.settings = settings
        self.lines: list[tuple[int, dict[str, Any]]] = []
        self.finished = False

    def init(self, **settings: Any) -> "FakeWandb":
        random.random()
        self.runs.append(FakeWandb(**settings))
        return self.runs[-1]

    def log(self, values: dict[str, Any], step: int) -> None:
        self.lines.append((step, values))

    def finish(self) -> None:
        self.finished = True

    @staticmethod
    def Settings(**settings: Any) -> dict[str, Any]:
        return settings

    @staticmethod
    def Image(image: npt.NDArray[np.uint8]) -> tuple[int, ...]:
        return image.shape

    @staticmethod
    def Video(path: str, format: str) -> tuple[str, int]:
        with av.open(path) as container:
            return format, sum(1 for _ in container.decode(video=0))


@pytest.fixture
def wandb_runs(monkeypatch: pytest.MonkeyPatch) -> list[FakeWandb]:
    runs: list[FakeWandb] = []
    monkeypatch.setattr(FakeWandb, "runs", runs)
    monkeypatch.setitem(sys.modules, "wandb", FakeWandb())
    monkeypatch.setattr("prefrl_envs.extras.find_spec", lambda name: True)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return runs


def random_state(run: Path) -> Any:
    """Where Python's own random numbers were at the end, from which wandb draws as it begins."""
    return Checkpoint(checkpoints(run / "checkpoints")[-1]).values["random"]["python"]


def test_wandb_begins_without_drawing_the_numbers_of_the_training(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, wandb_runs: list[FakeWandb]
) -> None:
    config = small_config("pendulum", total_timesteps=256)
    start(config, tmp_path / "without", quiet)
    start(replace(config, wandb=True), tmp_path / "with", quiet)
    assert len(wandb_runs) == 1
    assert random_state(tmp_path / "with") == random_state(tmp_path / "without")


def test_wandb_has_every_line_once_in_one_run(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, wandb_runs: list[FakeWandb]
) -> None:
    run = tmp_path / "a name"
    config = small_config("pendulum", wandb=True, checkpoint_every=256)
    for stop in (192, 448):  # each undoes a line
        go_on = partial(resume, run) if run.exists() else partial(start, config, run)
        with pytest.raises(InterruptedRunError):
            go_on(stop_at(stop))
    resume(run, quiet)
    assert len(wandb_runs) == 3
    assert all(part.finished for part in wandb_runs)
    settings = [part.settings for part in wandb_runs]
    assert len({one["id"] for one in settings}) == 1
    assert settings[0]["id"] == json.loads((run / "log" / "wandb.json").read_text())["id"]
    for one in settings:
        assert (one["name"], one["project"], one["resume"]) == ("a name", "prefrl", "allow")
        assert one["dir"] == str(run / "log")
        assert one["config"] == config.to_json()
    told = [line for part in wandb_runs for line in part.lines]
    lines = read_metrics(run / "log" / "metrics.jsonl")
    assert (
        [step for step, _ in told] == [line["time/total_timesteps"] for line in lines] == [*range(128, 641, 128)]
    )
    for (_, values), line in zip(told, lines, strict=True):
        wall = {key for key in line if key.startswith("time/")}
        numbers = {key: value for key, value in values.items() if not key.startswith(("time/", "pictures/"))}
        assert numbers == {key: value for key, value in line.items() if key not in wall}
        assert ("pictures/clip" in values) == (REFIT_KEY in line)
    assert {values["pictures/clip"] for _, values in told if "pictures/clip" in values} == {("mp4", 8 + 2)}
    assert {values["pictures/rewards"] for _, values in told if "pictures/rewards" in values} == {(360, 640, 3)}


def test_wandb_listens_to_its_variables_and_leaves_out_what_is_excluded(
    small_config: MakeConfig, tmp_path: Path, wandb_runs: list[FakeWandb], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "another")
    config = small_config("pendulum", wandb=True)
    log = WandbLog(RunFolder.create(tmp_path / "run", config), config)
    values = {
        "a": 1.0,
        "b": np.float32(2.0),
        "c": "words",
        "d": 3.0,
        "e": [1],
        "f": Image(np.zeros((4, 5, 3)), "HWC"),
    }
    log.write(values, {key: ("wandb",) if key == "d" else ("",) for key in values}, 5)
    [run] = wandb_runs
    assert run.lines == [(5, {"a": 1.0, "b": np.float32(2.0), "c": "words", "f": (4, 5, 3)})]
    assert run.settings["project"] == "another"


def test_wandb_that_cannot_begin_leaves_no_run(
    small_config: MakeConfig,
    tmp_path: Path,
    quiet: Listener,
    wandb_runs: list[FakeWandb],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: FakeWandb, **settings: Any) -> None:
        raise FakeWandb.Error("No API key configured.\nUse `wandb login` to log in.")

    monkeypatch.setattr(FakeWandb, "init", refuse)
    with pytest.raises(
        RunError, match=r"^Weights & Biases cannot begin: No API key configured\. Use `wandb login`"
    ):
        start(small_config("pendulum", wandb=True), tmp_path / "run", quiet)
    assert list(tmp_path.iterdir()) == []


def records(file: bytes) -> Iterator[bytes]:
    """Yield the records of a log of LevelDB's format, behind wandb's header of seven bytes."""
    block, header, whole, last = 32_768, 7, 1, 4
    place, parts = header, b""
    while place + header <= len(file):
        if block - place % block < header:  # padding
            place += block - place % block
        length, kind = int.from_bytes(file[place + 4 : place + 6], "little"), file[place + 6]
        place += header
        parts += file[place : place + length]
        place += length
        if kind in (whole, last):
            yield parts
            parts = b""


def test_the_real_wandb_offline_goes_on_under_the_same_id(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    with pytest.raises(InterruptedRunError):
        start(small_config("pendulum", wandb=True, checkpoint_every=256), run, stop_at(448))
    resume(run, quiet)
    files = sorted((run / "log" / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    assert len(files) == 2
    assert {file.stem for file in files} == {f"run-{json.loads((run / 'log' / 'wandb.json').read_text())['id']}"}
    steps: list[int] = []
    for file in files:
        for data in records(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                steps.append(record.history.step.num)
    assert steps == [128, 256, 384, 512, 640]
    media = {path.suffix for path in (run / "log" / "wandb").rglob("media/**/*") if path.is_file()}
    assert media == {".png", ".mp4"}


# --- packages that are not there --------------------------------------------------------------------------


@pytest.mark.parametrize("extra", LOG_EXTRAS, ids=lambda extra: extra.name)
def test_a_missing_package_is_one_sentence_before_there_is_a_run(
    extra: Any, small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InterruptedRunError):
        start(small_config("pendulum"), tmp_path / "stopped", stop_at(192))
    monkeypatch.setattr("prefrl_envs.extras.find_spec", lambda name: None)
    monkeypatch.setattr(RunFolder, "create", None)
    command = rf"`pip install 'prefrl\[{extra.name}\]'`"
    sentence = rf"^`{extra.name}` needs the package {extra.package}; install it by {command}\.$"
    with pytest.raises(MissingDependencyError, match=sentence):
        start(small_config("pendulum", **{extra.name: True}), tmp_path / "a" / "run", quiet)
    with pytest.raises(MissingDependencyError, match=sentence):
        resume(tmp_path / "stopped", quiet, tensorboard=extra is TENSORBOARD, wandb=extra is WANDB)
    assert [path.name for path in tmp_path.iterdir()] == ["stopped"]
    assert not getattr(RunFolder(tmp_path / "stopped").config(), extra.name)
