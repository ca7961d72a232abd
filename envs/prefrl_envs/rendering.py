"""Pictures of stored steps, drawn off-screen without stepping an environment. `prefrl_envs.clips` makes videos.

Shadows, reflections and multisampling are off: a 256 x 256 Hopper then takes a few milliseconds on a CPU,
about a tenth of what gymnasium's default takes. Draw in a process of its own (started by spawn, not fork) if
the other process trains.
"""

import importlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.classic_control.pendulum import PendulumEnv

from prefrl_envs.drawing import draw_gridworld, draw_pendulum
from prefrl_envs.gridworld import GridWorld
from prefrl_envs.live_frames import is_live_frame, unpack_frame

Frame = npt.NDArray[np.uint8]
State = npt.NDArray[Any]

DEFAULT_FPS = 30.0
"""Steps per second of an environment that does not say how long its step is; gymnasium assumes the same."""


class StateRenderer:
    """Draws frames of one environment from what `SimulatorState` or `LiveFrames` put beside its observations.

    The environment is made once, for its model and its camera settings (gymnasium's
    `default_camera_config`), and not stepped. For MuJoCo the camera follows the body that the config tracks
    (the first one where it names none) along the floor, at a constant height, so that a jump looks like one.
    A frame of `LiveFrames` is shown as it was kept.

    >>> with StateRenderer("prefrl/Hopper-v0", 256, 256) as renderer:  # doctest: +SKIP
    ...     frames = renderer.frames(segment.render_states)

    Args:
        env_id: Any id that gymnasium makes.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        env_kwargs: What else the environment was made with.
    """

    step_seconds: float
    """Simulated time of one step of the environment."""

    def __init__(
        self, env_id: str, width: int, height: int, *, env_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Make the environment's model. What drawing needs besides (OpenGL) is fetched at the first frame."""
        self._env_id = env_id
        self._width, self._height = width, height
        self._draw: Callable[[State], Frame] | None = None
        self._close: Callable[[], None] | None = None
        env = _make(env_id, dict(env_kwargs or {}))
        try:
            self._env: Any = env.unwrapped
            self.step_seconds = step_seconds(env)
        finally:
            env.close()

    def frame(self, render_state: State) -> Frame:
        """Return the picture of one state [S]: RGB, shape [height, width, 3].

        Raises:
            ValueError: The state has not the size that this environment's states have, or is a damaged frame.
            TypeError: Frames of this environment cannot be drawn from simulator states.
            RenderingUnavailableError: The machine lacks what off-screen OpenGL needs.
        """
        if is_live_frame(render_state):
            return unpack_frame(render_state, self._width, self._height)
        self.prepare()
        assert self._draw is not None
        return self._draw(render_state)

    def prepare(self) -> None:
        """Fetch what the first simulator state would wait for: for MuJoCo an OpenGL context, up to a second.

        Raises:
            TypeError, RenderingUnavailableError: As in `frame`.
        """
        if self._draw is None:
            self._draw = self._drawing_function()

    def frames(self, render_states: State) -> Frame:
        """Return the pictures of consecutive states [T, S]: RGB, shape [T, height, width, 3].

        Raises:
            ValueError, TypeError, RenderingUnavailableError: As in `frame`.
        """
        frames = np.empty((len(render_states), self._height, self._width, 3), dtype=np.uint8)
        for frame, state in zip(frames, render_states, strict=True):
            frame[...] = self.frame(state)
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

    def _drawing_function(self) -> Callable[[State], Frame]:
        env = self._env
        if isinstance(env, PendulumEnv):
            return lambda state: draw_pendulum(_checked(state, 3), self._width, self._height)
        if isinstance(env, GridWorld):
            return lambda state: draw_gridworld(_checked(state, 1), self._width, self._height)
        if not is_drawable(env):
            raise TypeError(
                f"No frames of {self._env_id} can be drawn from states: it is no MuJoCo environment. Keep its "
                "frames with `prefrl_envs.live_frames.LiveFrames`."
            )
        from prefrl_envs.mujoco_rendering import MujocoStateRenderer

        renderer = MujocoStateRenderer(env, self._width, self._height)
        self._close = renderer.close
        return lambda state: renderer.frame(_checked(state, renderer.state_size))


def is_drawable(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether frames of an environment can be drawn from its `SimulatorState`; else use `LiveFrames`."""
    inner = env.unwrapped
    return isinstance(inner, PendulumEnv | GridWorld) or hasattr(inner, "mujoco_renderer")


def step_seconds(env: gymnasium.Env[Any, Any]) -> float:
    """Return the simulated time of one step.

    That is MuJoCo's (and Pendulum's) `dt`; else one frame of the `render_fps` in the environment's metadata.
    """
    inner: Any = env.unwrapped
    if isinstance(inner, PendulumEnv) or hasattr(inner, "mujoco_renderer"):
        return float(inner.dt)
    return 1.0 / float(inner.metadata.get("render_fps") or DEFAULT_FPS)


def _make(env_id: str, env_kwargs: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    module, _, name = env_id.rpartition(":")
    if module:  # registers its ids
        importlib.import_module(module)
    if "mujoco" not in str(gymnasium.spec(name).entry_point):
        return gymnasium.make(name, **env_kwargs)
    from prefrl_envs.mujoco_warnings import deprecations_hidden

    with deprecations_hidden():
        return gymnasium.make(name, **env_kwargs)


def _checked(state: State, size: int) -> State:
    if state.shape != (size,):
        raise ValueError(f"A render state of this environment has shape ({size},). Received {state.shape}.")
    return state
