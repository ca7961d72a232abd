"""The simulator's state beside each observation, so that any step can be drawn later, exactly.

Nothing is drawn while an agent trains: a few numbers per step are kept, and `prefrl_envs.rendering` makes
pictures of those steps that somebody looks at.
"""

from collections.abc import Callable
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from prefrl_envs.redrawing import State, is_mujoco, redrawable_layer


class SimulatorState(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts `info["render_state"]` (shape [S]) into every reset and step.

    It is the state in which the returned observation was seen: what `render_state()` of the outermost layer
    says that is `prefrl_envs.redrawing.Redrawable`. For MuJoCo environments of gymnasium's kind, which need no
    such method: float64, joint positions, activations and mocap poses, all that a frame depends on (not
    velocities; to restore a simulation see `prefrl_envs.snapshot`).

    >>> env = SimulatorState(gymnasium.make("prefrl/Hopper-v0"))  # doctest: +SKIP

    Raises:
        TypeError: The environment has no state that could be drawn.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        reader = _reader(env)
        if reader is None:
            raise TypeError(
                "`env` must be a MuJoCo environment, or have the methods render_state() and draw_state(); "
                f"{type(env.unwrapped).__name__} is none of these."
            )
        self._read = reader

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment; add the state after the step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "render_state": self._read()}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; add the state of the first observation."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "render_state": self._read()}


def render_state_size(env: gymnasium.Env[Any, Any]) -> int:
    """Return S, the length of an environment's render state, 0 if it has none. It need not have been reset."""
    reader = _reader(env)
    return 0 if reader is None else reader().size


def _reader(env: gymnasium.Env[Any, Any]) -> Callable[[], State] | None:
    """Return what reads the render state of an environment, or None."""
    layer = redrawable_layer(env)
    if layer is not None:
        return layer.render_state
    return _mujoco_reader(env.unwrapped) if is_mujoco(env.unwrapped) else None


def _mujoco_reader(env: Any) -> Callable[[], State]:
    import mujoco

    from prefrl_envs.mujoco.state import RENDER_STATE

    model, signature = env.model, RENDER_STATE
    size = mujoco.mj_stateSize(model, signature)

    def read() -> State:
        state = np.empty(size)
        mujoco.mj_getState(model, env.data, state, signature)
        return state

    return read
