"""Frames from states, and clips from frames."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import gymnasium
import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.rendering import StateRenderer, encode_clip
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.tasks import TASKS

IDS = [task.env_id for task in TASKS.values()]


def recorded(env_id: str, n_steps: int) -> npt.NDArray[np.float64]:
    env = SimulatorState(gymnasium.make(env_id))
    env.action_space.seed(0)
    states = [env.reset(seed=0)[1]["render_state"]]
    states += [env.step(env.action_space.sample())[4]["render_state"] for _ in range(n_steps)]
    env.close()
    return np.array(states)


@pytest.mark.parametrize("env_id", IDS)
def test_frames_show_what_happens_and_depend_on_the_state_alone(env_id: str) -> None:
    states = recorded(env_id, 15)
    with StateRenderer(env_id, 96, 64) as renderer:
        frames = renderer.frames(states)
        again = renderer.frame(states[3])
    assert frames.shape == (16, 64, 96, 3)
    assert frames.dtype == np.uint8
    assert frames[0].std() > 5  # something is seen
    assert (frames[0] != frames[-1]).any()
    assert (again == frames[3]).all()


def test_the_robot_is_drawn_where_the_state_says() -> None:
    """A level Hopper's body reaches less high in the picture than one that stands."""
    states = np.zeros((2, 6))
    states[:, 1] = [1.25, 0.1]
    states[1, 2] = np.pi / 2
    with StateRenderer("prefrl/Hopper-v0", 128, 128) as renderer:
        standing, lying = renderer.frames(states).astype(int)
    red_minus_blue = [frame[:, :, 0] - frame[:, :, 2] > 40 for frame in (standing, lying)]  # the body is orange
    rows = [np.flatnonzero(mask.any(axis=1)) for mask in red_minus_blue]
    columns = [np.flatnonzero(mask.any(axis=0)) for mask in red_minus_blue]
    assert np.ptp(rows[0]) > 1.5 * np.ptp(columns[0])
    assert np.ptp(rows[1]) < 0.5 * np.ptp(columns[1])


def test_the_camera_follows_and_the_floor_does_not_end() -> None:
    here, far = np.zeros((2, 6))
    here[1] = far[1] = 1.25
    far[0] = 240.0  # metres; a multiple of the floor's pattern
    with StateRenderer("prefrl/Hopper-v0", 64, 64) as renderer:
        frames = renderer.frames(np.array([here, far])).astype(int)
    robots = [frame[:, :, 0] - frame[:, :, 2] > 40 for frame in frames]  # the body is orange
    assert robots[0].sum() > 40
    assert np.logical_xor(*robots).sum() <= 0.1 * robots[0].sum()  # the same place in the picture
    assert np.abs(frames[0, 40:] - frames[1, 40:]).mean() < 60  # floor, not sky


def test_a_state_of_another_size_is_refused() -> None:
    renderer = StateRenderer("prefrl/Pendulum-v0", 32, 32)
    with pytest.raises(ValueError, match=r"has shape \(3,\). Received \(2,\)"):
        renderer.frame(np.zeros(2))


def test_an_environment_without_states_is_refused() -> None:
    with pytest.raises(TypeError, match="No frames of Acrobot-v1 can be drawn"):
        StateRenderer("Acrobot-v1", 32, 32)


def test_a_machine_without_opengl_is_told_what_to_install() -> None:
    code = (
        "from prefrl_envs.rendering import StateRenderer\n"
        "from prefrl_envs.errors import RenderingUnavailableError\n"
        "try:\n    StateRenderer('prefrl/Hopper-v0', 32, 32)\n"
        "except RenderingUnavailableError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert (
        "apt-get install -y --no-install-recommends libegl1 libegl-mesa0 libopengl0 libgl1-mesa-dri"
        in result.stdout
    )
    assert issubclass(RenderingUnavailableError, RuntimeError)


def moving_square(n_frames: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    frames = np.zeros((n_frames, height, width, 3), dtype=np.uint8)
    for step, frame in enumerate(frames):
        frame[10:26, 3 * step : 3 * step + 16] = (220, 60, 30)
    return frames


def decoded(source: Any) -> tuple[Any, list[npt.NDArray[Any]]]:
    with av.open(source) as container:
        stream = container.streams.video[0]
        about = (stream.codec_context.name, stream.codec_context.pix_fmt, float(stream.average_rate or 0))
        return about, [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


@pytest.mark.parametrize(("fps", "n_rest"), [(10, 2), (15.625, 3), (60, 12), (2, 1)])
def test_a_clip_holds_every_frame_and_rests_on_the_last(fps: float, n_rest: int, tmp_path: Path) -> None:
    frames = moving_square(12, 64, 80)
    encode_clip(frames, tmp_path / "clip.mp4", fps)
    (codec, pixels, rate), seen = decoded(str(tmp_path / "clip.mp4"))
    assert (codec, pixels) == ("h264", "yuv420p")
    assert rate == pytest.approx(fps)
    assert len(seen) == 12 + n_rest
    for frame, original in zip(seen, [*frames, *[frames[-1]] * n_rest], strict=True):
        assert np.abs(frame.astype(int) - original.astype(int)).mean() < 6  # lossy, but the same picture


def test_equal_frames_are_all_kept(tmp_path: Path) -> None:
    encode_clip(np.full((20, 32, 32, 3), 90, dtype=np.uint8), tmp_path / "clip.mp4", 10)
    assert len(decoded(str(tmp_path / "clip.mp4"))[1]) == 22


def test_odd_sizes_gain_one_row_and_column(tmp_path: Path) -> None:
    encode_clip(moving_square(3, 63, 79), tmp_path / "clip.mp4", 10)
    assert decoded(str(tmp_path / "clip.mp4"))[1][0].shape == (64, 80, 3)


def test_a_buffer_gets_the_same_bytes_as_a_file(tmp_path: Path) -> None:
    frames = moving_square(6, 64, 80)
    buffer = io.BytesIO()
    encode_clip(frames, buffer, 10)
    encode_clip(frames, tmp_path / "clip.mp4", 10)
    assert buffer.getvalue() == (tmp_path / "clip.mp4").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert buffer.getvalue().index(b"moov") < buffer.getvalue().index(b"mdat")  # plays before it is all there


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), 10.0, "T of at least 1"),
        (np.zeros((2, 8, 8), np.uint8), 10.0, "must be uint8 of shape"),
        (np.zeros((2, 8, 8, 3), np.float32), 10.0, "Received float32"),
        (np.zeros((2, 8, 8, 3), np.uint8), 0.0, "`fps` must be above 0"),
    ],
)
def test_clips_that_cannot_be_are_refused(frames: Any, fps: float, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        encode_clip(frames, tmp_path / "clip.mp4", fps)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_encoding_leaves_the_old_clip_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")

    def fail(frames: Any, part: Path, fps: float) -> None:
        part.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("prefrl_envs.rendering._encode", fail)
    with pytest.raises(OSError, match="no space left"):
        encode_clip(moving_square(3, 64, 80), path, 10)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"clip.mp4": b"old"}
