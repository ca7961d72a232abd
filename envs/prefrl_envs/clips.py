"""Clips: which frames of a segment are shown and how fast, and video files made of frames.

The frames themselves come from `prefrl_envs.rendering`.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

Frame = npt.NDArray[np.uint8]
Codec = Literal["h264", "vp9"]

MIN_SECONDS, MAX_SECONDS = 1.0, 2.0
"""How long the motion of a clip lasts: the clips of Christiano et al. (2017) took 1 to 2 seconds."""
MAX_FPS = 40.0
"""Frames per second that are drawn at most: those of the paper's Hopper (60 steps in 1.5 s)."""
MAX_SPEED = 2.0
"""Faster than that a gait cannot be read any more, so longer segments make longer clips."""
DEFAULT_SIZE = 512
"""Width and height of a clip that people compare, in pixels: near what it takes up on a large screen."""
LAST_FRAME_SECONDS = 0.2
"""How long a clip rests on its last frame, so that a clip that starts again shows where it ended."""

SUFFIXES: dict[Codec, str] = {"h264": ".mp4", "vp9": ".webm"}
"""File name suffix by codec; `encode_clip` chooses the container by the codec, not by the name."""
_FORMATS: dict[Codec, tuple[str, dict[str, str]]] = {
    "h264": ("mp4", {"movflags": "+faststart"}),  # the index in front, so that a clip plays while it loads
    "vp9": ("webm", {}),
}
_ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    # No frame waits for a later one: a third of the time of "veryfast" with them, for twice the bytes. Nor are
    # cuts looked for, which no clip has: a sixth less time, for as many bytes.
    "h264": (
        "libx264",
        {
            "crf": "23",
            "preset": "superfast",
            "bf": "0",
            "refs": "1",
            "rc-lookahead": "0",
            "sc_threshold": "0",
        },
    ),
    "vp9": ("libvpx-vp9", {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "6"}),
}
_SMALL = {"crf": "27", "preset": "veryslow", "bf": "8", "refs": "8", "rc-lookahead": "60"}


class ClipTiming(NamedTuple):
    """Which steps of a segment a clip shows, and how fast."""

    n_steps: int
    """Steps T of the segment."""
    stride: int
    """Every that many steps one is shown, the last one always."""
    fps: float
    """Frames per second."""
    speed: float
    """Simulated seconds per second of the clip: below 1 in slow motion, 1 in real time."""

    @property
    def steps(self) -> range:
        """The steps that are shown, in order, numbered from 0."""
        return range((self.n_steps - 1) % self.stride, self.n_steps, self.stride)

    @property
    def duration_seconds(self) -> float:
        """How long the file plays, the rest on the last frame included."""
        return (len(self.steps) + rest_frames(self.fps)) / self.fps


def clip_timing(n_steps: int, step_seconds: float) -> ClipTiming:
    """Return how a segment is shown, so that a person can follow it and soon has seen it.

    In real time if that takes 1 to 2 seconds. A shorter segment is slowed down until it takes 1 second, or up
    to 2 if it has more steps than `MAX_FPS`; a longer one is sped up until it takes 2 seconds, but to double
    speed at most. Where steps follow each other faster than `MAX_FPS`, every k-th is shown.

    Args:
        n_steps: Steps T of the segment, at least 1.
        step_seconds: Simulated time of one step, above 0.

    Raises:
        ValueError: A number is too small.
    """
    if n_steps < 1:
        raise ValueError(f"`n_steps` must be at least 1. Received {n_steps}.")
    if not 0 < step_seconds < math.inf:
        raise ValueError(f"`step_seconds` must be above 0. Received {step_seconds}.")
    real = n_steps * step_seconds
    if real >= MIN_SECONDS:
        seconds = max(min(real, MAX_SECONDS), real / MAX_SPEED)
    else:
        seconds = min(max(n_steps / MAX_FPS, MIN_SECONDS), MAX_SECONDS)
    stride = math.ceil(n_steps / (seconds * MAX_FPS) - 1e-9)
    fps = n_steps / stride / seconds
    return ClipTiming(n_steps, stride, fps, speed=stride * step_seconds * fps)


def rest_frames(fps: float) -> int:
    """Return how often the last frame is repeated so that the clip rests on it for 0.2 s."""
    return max(1, round(LAST_FRAME_SECONDS * fps))


def encode_clip(
    frames: Iterable[Frame],
    path_or_buffer: str | os.PathLike[str] | BinaryIO,
    fps: float,
    *,
    codec: Codec = "h264",
    small: bool = False,
) -> None:
    """Write frames as a video that browsers play, resting on the last frame for 0.2 s.

    A path appears only once it is complete. Frames of odd width or height, which the formats do not know,
    get their last column or row doubled.

    Args:
        frames: RGB, each of shape [height, width, 3], at least one; an array [T, height, width, 3], or one frame
            after another, so that they need not all be in memory.
        path_or_buffer: A file name, or a binary file open for writing.
        fps: Frames per second of the clip.
        codec: "h264" makes an MP4 that every browser plays, "vp9" a WebM that needs no licence.
        small: Take many times as long for a third of the bytes; for "h264" only.

    Raises:
        ValueError: There is no frame, the array is no RGB clip, `fps` is not above 0, the codec is unknown, or it
            knows no `small`.
    """
    if not fps > 0:
        raise ValueError(f"`fps` must be above 0. Received {fps}.")
    if codec not in _ENCODERS:
        raise ValueError(f"`codec` must be one of {', '.join(_ENCODERS)}. Received {codec!r}.")
    if small and codec != "h264":
        raise ValueError(f"`small` is for the codec h264. Received {codec!r}.")
    even = map(_evened, frames)
    if not isinstance(path_or_buffer, str | os.PathLike):
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "clip"
            _encode(even, part, fps, codec, small)
            with part.open("rb") as file:
                shutil.copyfileobj(file, path_or_buffer)
        return
    path = Path(path_or_buffer)
    part = path.with_name(f".{path.name}.part")
    try:
        _encode(even, part, fps, codec, small)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _evened(frame: Frame) -> Frame:
    """Return a frame of even width and height."""
    if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise ValueError(
            "`frames` must be uint8, each of shape [height, width, 3]. "
            f"Received {frame.dtype} of shape {frame.shape}."
        )
    height, width, _ = frame.shape
    if height % 2 == width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _encode(frames: Iterator[Frame], path: Path, fps: float, codec: Codec, small: bool) -> None:
    """Encode frames of even size."""
    first = next(frames, None)
    if first is None:
        raise ValueError("`frames` must hold at least one frame. Received none.")
    rate = Fraction(fps).limit_denominator(1000)
    container_format, container_options = _FORMATS[codec]
    encoder, options = _ENCODERS[codec]
    options = options | _SMALL if small else options
    with av.open(str(path), "w", format=container_format, options=container_options) as container:
        stream = container.add_stream(encoder, rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # clips are small; threads cost more than they bring
        reformatter = VideoReformatter()
        for frame in chain([first], frames):
            picture = reformatter.reformat(
                av.VideoFrame.from_ndarray(frame, format="rgb24"),
                format="yuv420p",
                interpolation=Interpolation.AREA,
            )
            container.mux(stream.encode(picture))
        for _ in range(rest_frames(fps)):
            picture.pts = None
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
