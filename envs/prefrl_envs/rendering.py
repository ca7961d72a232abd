"""Pictures of stored steps, drawn off-screen without stepping an environment. `prefrl_envs.clips` makes videos.

Shadows, reflections and multisampling are off: a 256 x 256 Hopper then takes a few milliseconds on a CPU,
about a tenth of what gymnasium's default takes. Draw in a process of its own (started by spawn, not fork) if
the other process trains.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import gymnasium
import numpy as np

from prefrl_envs.ids import find_spec
from prefrl_envs.live_frames import is_live_frame, unpack_frame
from prefrl_envs.redrawing import Frame, State, is_mujoco, is_redrawable, redrawable_layer
from prefrl_envs.tasks import body_parts

DEFAULT_FPS = 30.0
"""Steps per second of an environment that does not say how long its step is; gymnasium assumes the same."""


class StateRenderer:
    """Draws frames of one environment from what `SimulatorState` or `LiveFrames` put beside its observations.

    The environment is made once and neither reset nor stepped. One that is `prefrl_envs.redrawing.Redrawable`
    draws its states itself. For MuJoCo its model and its camera settings (gymnasium's `default_camera_config`)
    are taken; the camera follows the body that the config tracks (the first one where it names none) along the
    floor, at a constant height, so that a jump looks like one. The parts of a robot that is known
    (`prefrl_envs.tasks.body_parts`) are coloured; others keep their model's colours. A frame of `LiveFrames` is
    shown as it was kept.

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
        self._env_id = env_id
        self._parts = body_parts(env_id, env_kwargs or {})
        self._width, self._height = width, height
        self._draw: Callable[[State], Frame] | None = None
        self._env = _make(env_id, dict(env_kwargs or {}))
        self._close: Callable[[], None] = self._env.close
        self.step_seconds = step_seconds(self._env)

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
        """Close the environment and free the OpenGL context; the renderer cannot be used any more."""
        self._close()
        self._close = _nothing

    def __enter__(self) -> Self:
        """Return the renderer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the renderer."""
        self.close()

    def _drawing_function(self) -> Callable[[State], Frame]:
        layer = redrawable_layer(self._env)
        if layer is not None:
            shape = layer.render_state().shape
            return lambda state: layer.draw_state(_checked(state, shape), self._width, self._height)
        if not is_redrawable(self._env):
            raise TypeError(
                f"No frames of {self._env_id} can be drawn from states: it is no MuJoCo environment and has no "
                "methods render_state() and draw_state(). Keep its frames with "
                "`prefrl_envs.live_frames.LiveFrames`."
            )
        from prefrl_envs.mujoco.rendering import MujocoStateRenderer

        renderer = MujocoStateRenderer(self._env.unwrapped, self._width, self._height, self._parts)
        self._env.close()
        self._close = renderer.close
        return lambda state: renderer.frame(_checked(state, (renderer.state_size,)))


def step_seconds(env: gymnasium.Env[Any, Any]) -> float:
    """Return the simulated time of one step.

    That is `dt` of a MuJoCo environment; else one frame of the `render_fps` in the environment's metadata.
    """
    inner: Any = env.unwrapped
    if is_mujoco(inner) and hasattr(inner, "dt"):
        return float(inner.dt)
    return 1.0 / float(inner.metadata.get("render_fps") or DEFAULT_FPS)


def _make(env_id: str, env_kwargs: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    if "mujoco" not in str(find_spec(env_id).entry_point):
        return gymnasium.make(env_id, **env_kwargs)
    from prefrl_envs.mujoco.deprecations import hide_deprecations

    with hide_deprecations():
        return gymnasium.make(env_id, **env_kwargs)


def _checked(state: State, shape: tuple[int, ...]) -> State:
    if state.shape != shape:
        raise ValueError(f"A render state of this environment has shape {shape}. Received {state.shape}.")
    return state


def _nothing() -> None:
    pass
