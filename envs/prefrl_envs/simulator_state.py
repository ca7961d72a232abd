"""The simulator's state beside each observation, so that any step can be drawn later, exactly.

Nothing is drawn while an agent trains: a few numbers per step are kept, and `prefrl_envs.rendering` makes
pictures of those steps that somebody looks at.
"""

import sys
from collections.abc import Callable
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.utils import RecordConstructorArgs

StateArray = npt.NDArray[np.float64]


class SimulatorState(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts `info["render_state"]` (float64, shape [S]) into every reset and step.

    It is the state in which the returned observation was seen. For MuJoCo: joint positions, activations and
    mocap poses, all that a frame depends on (not velocities; to restore a simulation see
    `prefrl_envs.snapshot`). For Pendulum: angle, angular velocity, last torque. An environment of one's own
    has a method `render_state() -> float64 array of fixed size`.

    >>> env = SimulatorState(gymnasium.make("prefrl/Hopper-v0"))  # doctest: +SKIP

    Raises:
        TypeError: The environment has no state that this package could draw.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Find out how the state of this environment is read."""
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        reader = _reader(env.unwrapped)
        if reader is None:
            raise TypeError(
                f"`env` must be a MuJoCo environment, Pendulum, or have a method render_state(); "
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
    if isinstance(env.unwrapped, PendulumEnv):
        return 3
    reader = _reader(env.unwrapped)
    return 0 if reader is None else reader().size


def _reader(env: gymnasium.Env[Any, Any]) -> Callable[[], StateArray] | None:
    """Return what reads the render state of an innermost environment, or None."""
    mujoco = sys.modules.get("mujoco")  # an environment that uses MuJoCo has imported it
    if mujoco is not None and isinstance(getattr(env, "model", None), mujoco.MjModel):
        return _mujoco_reader(env)
    if isinstance(env, PendulumEnv):
        return lambda: np.array([*env.state, 0.0 if env.last_u is None else env.last_u])
    own = getattr(env, "render_state", None)
    return own if callable(own) else None


def _mujoco_reader(env: Any) -> Callable[[], StateArray]:
    import mujoco

    from prefrl_envs.mujoco_state import RENDER_STATE

    model, signature = env.model, RENDER_STATE
    size = mujoco.mj_stateSize(model, signature)

    def read() -> StateArray:
        state = np.empty(size)
        mujoco.mj_getState(model, env.data, state, signature)
        return state

    return read
