"""Clips from frames, and how fast a segment is shown."""

import io
import math
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl_envs.clips import MAX_FPS, MAX_SPEED, Codec, clip_timing, encode_clip


@pytest.mark.parametrize(
    ("n_steps", "step_seconds", "n_frames", "fps", "speed"),
    [
        (25, 0.008, 25, 25.0, 0.2),  # 0.2 s of a Hopper: five times slower, for a second
        (60, 0.008, 60, 40.0, 0.32),  # the paper's clip: 60 steps at 40 frames per second
        (120, 0.004, 60, 30.0, 0.24),  # more steps than 2 s can show: every second one
        (20, 0.05, 20, 20.0, 1.0),  # a second of a HalfCheetah
        (150, 0.01, 50, 100 / 3, 1.0),  # real time, but at most 40 frames per second
        (50, 0.05, 50, 25.0, 1.25),  # 2.5 s in 2 s
        (80, 0.05, 80, 40.0, 2.0),  # 4 s in 2 s
        (1000, 0.05, 1000, 40.0, 2.0),  # a whole episode: faster could not be read
        (500, 0.008, 72, 250 / 7, 2.0),
        (3, 0.25, 3, 3.0, 0.75),
        (1, 0.05, 1, 1.0, 0.05),
    ],
)
def test_timing_by_hand(n_steps: int, step_seconds: float, n_frames: int, fps: float, speed: float) -> None:
    timing = clip_timing(n_steps, step_seconds)
    assert len(timing.steps) == n_frames
    assert timing.fps == pytest.approx(fps)
    assert timing.speed == pytest.approx(speed)


@given(st.integers(1, 5000), st.floats(0.0005, 2.0))
def test_every_clip_can_be_followed(n_steps: int, step_seconds: float) -> None:
    timing = clip_timing(n_steps, step_seconds)
    steps, real = list(timing.steps), n_steps * step_seconds
    assert steps[-1] == n_steps - 1
    assert 0 <= steps[0] < timing.stride
    assert set(np.diff(steps)) <= {timing.stride}
    assert timing.fps <= MAX_FPS * (1 + 1e-9)
    assert timing.speed <= MAX_SPEED * (1 + 1e-9)
    motion_seconds = real / timing.speed
    assert motion_seconds >= 1 - 1e-9
    assert motion_seconds <= max(2.0, real / MAX_SPEED) + 1e-9
    if 1 <= real <= 2:
        assert timing.speed == pytest.approx(1)
    # The file lasts as long as its motion, within a frame, and rests on the last one for 0.2 s, at least a frame.
    rest = max(0.2, 1 / timing.fps)
    assert timing.duration_seconds == pytest.approx(motion_seconds + rest, abs=1.5 / timing.fps)


def test_the_duration_is_that_of_the_file(tmp_path: Path) -> None:
    timing = clip_timing(25, 0.008)
    encode_clip(moving_square(25, 64, 96), tmp_path / "clip.mp4", timing.fps)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(timing.duration_seconds, abs=1e-3)


@pytest.mark.parametrize(
    ("n_steps", "step_seconds", "message"),
    [
        (0, 0.1, "`n_steps` must be at least 1. Received 0"),
        (5, 0.0, "`step_seconds` must be above 0. Received 0.0"),
        (5, math.nan, "`step_seconds` must be above 0. Received nan"),
        (5, math.inf, "`step_seconds` must be above 0. Received inf"),
    ],
)
def test_timings_that_cannot_be_are_refused(n_steps: int, step_seconds: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clip_timing(n_steps, step_seconds)


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


@pytest.mark.parametrize(("codec", "name"), [("h264", "h264"), ("vp9", "vp9")])
@pytest.mark.parametrize(("fps", "n_rest"), [(10, 2), (15.625, 3), (60, 12), (2, 1)])
def test_a_clip_holds_every_frame_and_rests_on_the_last(
    fps: float, n_rest: int, codec: Codec, name: str, tmp_path: Path
) -> None:
    frames = moving_square(12, 64, 80)
    encode_clip(frames, tmp_path / "clip", fps, codec=codec)
    (seen_codec, pixels, rate), seen = decoded(str(tmp_path / "clip"))
    assert (seen_codec, pixels) == (name, "yuv420p")
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


def test_a_buffer_gets_the_same_clip_as_a_file(tmp_path: Path) -> None:
    """The same pictures; the encoder's bytes have been seen to differ on a busy machine."""
    frames = moving_square(6, 64, 80)
    buffer = io.BytesIO()
    encode_clip(frames, buffer, 10)
    encode_clip(iter(frames), tmp_path / "clip.mp4", 10)  # one after another
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    (tmp_path / "buffer.mp4").write_bytes(buffer.getvalue())
    (about, seen), (_, expected) = (decoded(str(tmp_path / name)) for name in ("buffer.mp4", "clip.mp4"))
    assert about == ("h264", "yuv420p", 10.0)
    assert len(seen) == len(expected) == 8
    np.testing.assert_allclose(np.array(seen, dtype=float), np.array(expected, dtype=float), atol=3.0)
    assert buffer.getvalue().index(b"moov") < buffer.getvalue().index(b"mdat")  # plays before it is all there


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), 10.0, "at least one frame"),
        (np.zeros((2, 8, 8), np.uint8), 10.0, "must be uint8, each of shape"),
        (np.zeros((2, 8, 8, 3), np.float32), 10.0, "Received float32"),
        (np.zeros((2, 8, 8, 3), np.uint8), 0.0, "`fps` must be above 0"),
    ],
)
def test_clips_that_cannot_be_are_refused(frames: Any, fps: float, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        encode_clip(frames, tmp_path / "clip.mp4", fps)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    codec: Any = "gif"
    with pytest.raises(ValueError, match=r"`codec` must be one of h264, vp9\. Received 'gif'"):
        encode_clip(moving_square(3, 64, 80), tmp_path / "clip", 10, codec=codec)


def test_a_failed_encoding_leaves_the_old_clip_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")

    def fail(frames: Any, part: Path, *_: object) -> None:
        part.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("prefrl_envs.clips._encode", fail)
    with pytest.raises(OSError, match="no space left"):
        encode_clip(moving_square(3, 64, 80), path, 10)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"clip.mp4": b"old"}
