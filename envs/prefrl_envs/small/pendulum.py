"""gymnasium's Pendulum, drawn from its states without a window system."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.envs.classic_control.pendulum import PendulumEnv


class Pendulum(PendulumEnv):
    """gymnasium's Pendulum-v1, whose frames can be drawn from stored states (`prefrl_envs.redrawing`).

    Its `render_fps` is that of its time: a step is 0.05 s.

    Args:
        render_mode: As in gymnasium.
        g: Acceleration of gravity, in m/s².
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 20}  # noqa: RUF012 - gymnasium's convention

    def __init__(self, render_mode: str | None = None, g: float = 10.0) -> None:
        super().__init__(render_mode, g)
        self.state = np.zeros(2)
        self.last_u: float | None = None

    def render_state(self) -> npt.NDArray[np.float64]:
        """Return angle from upright [rad], angular velocity [rad/s] and last torque [N m], shape [3]."""
        return np.array([*self.state, 0.0 if self.last_u is None else self.last_u])

    def draw_state(self, state: npt.NDArray[Any], width: int, height: int) -> npt.NDArray[np.uint8]:
        """Draw the pendulum and its torque; see `prefrl_envs.redrawing`."""
        from prefrl_envs.small.drawing import draw_pendulum

        return draw_pendulum(state, width, height)
