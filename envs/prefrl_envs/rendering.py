"""Pictures of stored simulator states, drawn off-screen without stepping an environment, and clips of them.

Shadows, reflections and multisampling are off: a 256 x 256 Hopper then takes a few milliseconds on a CPU,
about a tenth of what gymnasium's default takes. Draw in a process of its own (started by spawn, not fork) if
the other process trains.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import av
import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.classic_control.pendulum import PendulumEnv

from prefrl_envs.drawing import draw_gridworld, draw_pendulum
from prefrl_envs.gridworld import GridWorld

Frame = npt.NDArray[np.uint8]
State = npt.NDArray[np.floating[Any]]

LAST_FRAME_SECONDS = 0.2
"""How long a clip rests on its last frame, so that a looping clip shows where it ends."""


class StateRenderer:
    """Draws frames of one environment from the render states that `SimulatorState` recorded.

    The environment is made once, for its model and its camera settings (gymnasium's
    `default_camera_config`), and not stepped. For MuJoCo the camera follows the body that the config tracks
    (the first one where it names none) along the floor, at a constant height, so that a jump looks like one.

    >>> with StateRenderer("prefrl/Hopper-v0", 256, 256) as renderer:  # doctest: +SKIP
    ...     frames = renderer.frames(segment.render_states)

    Args:
        env_id: Any id that gymnasium makes.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        env_kwargs: What else the environment was made with.

    Raises:
        TypeError: Frames of this environment cannot be drawn from states.
        RenderingUnavailableError: The machine lacks what off-screen OpenGL needs.
    """

    def __init__(
        self, env_id: str, width: int, height: int, *, env_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Make the environment's model and, for MuJoCo, an OpenGL context."""
        self._width, self._height = width, height
        self._close: Callable[[], None] | None = None
        env = _make(env_id, dict(env_kwargs or {}))
        try:
            self._draw = self._drawing_function(env.unwrapped, env_id)
        finally:
            env.close()

    def frame(self, render_state: State) -> Frame:
        """Return the picture of one state [S]: RGB, shape [height, width, 3].

        Raises:
            ValueError: The state has not the size that this environment's states have.
        """
        return self._draw(render_state)

    def frames(self, render_states: State) -> Frame:
        """Return the pictures of consecutive states [T, S]: RGB, shape [T, height, width, 3]."""
        frames = np.empty((len(render_states), self._height, self._width, 3), dtype=np.uint8)
        for frame, state in zip(frames, render_states, strict=True):
            frame[...] = self._draw(state)
        return frames

    def close(self) -> None:
        """Free the OpenGL context; the renderer cannot be used any more."""
        if self._close is not None:
            self._close()
            self._close = None

    def __enter__(self) -> Self:
        """Return the renderer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the renderer."""
        self.close()

    def _drawing_function(self, env: gymnasium.Env[Any, Any], env_id: str) -> Callable[[State], Frame]:
        if isinstance(env, PendulumEnv):
            return lambda state: draw_pendulum(_checked(state, 3), self._width, self._height)
        if isinstance(env, GridWorld):
            return lambda state: draw_gridworld(_checked(state, 1), self._width, self._height)
        if not hasattr(env, "mujoco_renderer"):
            raise TypeError(f"No frames of {env_id} can be drawn from states: it is no MuJoCo environment.")
        from prefrl_envs.mujoco_rendering import MujocoStateRenderer

        renderer = MujocoStateRenderer(env, self._width, self._height)
        self._close = renderer.close
        return lambda state: renderer.frame(_checked(state, renderer.state_size))


def encode_clip(frames: Frame, path_or_buffer: str | os.PathLike[str] | BinaryIO, fps: float) -> None:
    """Write frames as an H.264 MP4 that every browser plays, resting on the last frame for 0.2 s.

    A path appears only once it is complete. Frames of odd width or height, which the format does not know,
    get their last column or row doubled.

    Args:
        frames: RGB, shape [T, height, width, 3], at least one frame.
        path_or_buffer: A file name, or a binary file open for writing.
        fps: Frames per second of the clip.

    Raises:
        ValueError: There is no frame, the array is no RGB clip, or `fps` is not above 0.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
        raise ValueError(
            "`frames` must be uint8 of shape [T, height, width, 3] with T of at least 1. "
            f"Received {frames.dtype} of shape {frames.shape}."
        )
    if not fps > 0:
        raise ValueError(f"`fps` must be above 0. Received {fps}.")
    _, height, width, _ = frames.shape
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    if not isinstance(path_or_buffer, str | os.PathLike):
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "clip.mp4"
            _encode(even, part, fps)
            with part.open("rb") as file:
                shutil.copyfileobj(file, path_or_buffer)
        return
    path = Path(path_or_buffer)
    part = path.with_name(f".{path.name}.part")
    try:
        _encode(even, part, fps)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _encode(frames: Frame, path: Path, fps: float) -> None:
    """Encode frames of even size; the index goes to the front, so that a clip plays while it loads."""
    rate = Fraction(fps).limit_denominator(1000)
    options = {"crf": "23", "preset": "veryfast"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # clips are small; threads cost more than they bring
        n_rest = max(1, round(LAST_FRAME_SECONDS * fps))
        for frame in (*frames, *[frames[-1]] * n_rest):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _make(env_id: str, env_kwargs: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    spec = gymnasium.spec(env_id)
    if "mujoco" not in str(spec.entry_point):
        return gymnasium.make(env_id, **env_kwargs)
    from prefrl_envs.mujoco_warnings import deprecations_hidden

    with deprecations_hidden():
        return gymnasium.make(env_id, **env_kwargs)


def _checked(state: State, size: int) -> State:
    if state.shape != (size,):
        raise ValueError(f"A render state of this environment has shape ({size},). Received {state.shape}.")
    return state
