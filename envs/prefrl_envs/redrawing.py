"""How an environment says that it can be drawn from a stored state: two methods, the same for everybody.

>>> class Dot(gymnasium.Env):  # doctest: +SKIP
...     def render_state(self):
...         return np.array([self.x, self.y])
...
...     def draw_state(self, state, width, height):
...         frame = np.zeros((height, width, 3), np.uint8)
...         frame[int(state[1] * height), int(state[0] * width)] = 255
...         return frame

MuJoCo environments of gymnasium's kind need neither: their poses are read, and drawn, as they are.
"""

import sys
from collections.abc import Iterator
from typing import Any, Protocol, TypeGuard, cast

import gymnasium
import numpy as np
import numpy.typing as npt

State = npt.NDArray[Any]
Frame = npt.NDArray[np.uint8]


class Redrawable(Protocol):
    """An environment, or a wrapper around one, whose frames can be drawn from stored states."""

    def render_state(self) -> State:
        """Return what a frame depends on now: a new array of shape [S], the same S and dtype at all times.

        It is also asked before the first reset; then only shape and dtype count.
        """
        ...

    def draw_state(self, state: State, width: int, height: int) -> Frame:
        """Draw such a state, of this environment or of another one that was made in the same way.

        Called on an environment that is never reset nor stepped, so nothing else may decide what is drawn.

        Args:
            state: Shape [S].
            width: In pixels.
            height: In pixels.

        Returns:
            RGB, shape [height, width, 3].
        """
        ...


def redrawable_layer(env: gymnasium.Env[Any, Any]) -> Redrawable | None:
    """Return the outermost layer of an environment that has both methods of `Redrawable`, or None."""
    for layer in layers(env):
        if callable(getattr(layer, "render_state", None)) and callable(getattr(layer, "draw_state", None)):
            return cast("Redrawable", layer)
    return None


def is_mujoco(env: gymnasium.Env[Any, Any]) -> TypeGuard[Any]:
    """Return whether an innermost environment is a MuJoCo environment of gymnasium's kind."""
    mujoco = sys.modules.get("mujoco")  # an environment that uses MuJoCo has imported it
    return mujoco is not None and isinstance(getattr(env, "model", None), mujoco.MjModel)


def is_redrawable(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether frames of an environment can be drawn from its `SimulatorState`; else use `LiveFrames`."""
    return redrawable_layer(env) is not None or _has_mujoco_camera(env)


def layers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    """Yield the wrappers from the outermost to the environment itself."""
    layer = env
    while isinstance(layer, gymnasium.Wrapper):
        yield layer
        layer = layer.env
    yield layer


def _has_mujoco_camera(env: gymnasium.Env[Any, Any]) -> bool:
    return is_mujoco(env.unwrapped) and hasattr(env.unwrapped, "mujoco_renderer")
