"""gymnasium's CartPole as a task that never ends: the pole may fall, swing round and come up again."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

TRACK = 2.4
"""The track reaches that far to either side, in metres, as in gymnasium."""
BUFFER = 3.0
"""There the cart is stopped, in metres."""
UPRIGHT = math.radians(12.0)
"""The pole counts as upright within that angle, as in gymnasium."""


class CartPole(CartPoleEnv):
    """gymnasium's CartPole-v1 without an end: a step pays 1 if the pole is upright and the cart on the track.

    A pole that has fallen swings freely, and a cart that leaves the track runs against a buffer; both can come
    back. Hence the observation holds the angle as cosine and sine: position [m], velocity [m/s], cosine, sine,
    angular velocity [rad/s]. The reward of a step is a function of the observation in which the action was chosen.

    Args:
        render_mode: None or "rgb_array".
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 - gymnasium's own convention

    def __init__(self, *, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.observation_space = spaces.Box(-np.inf, np.inf, (5,), np.float32)
        self.state: Any = np.zeros(4)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Stand the pole up in the middle, with a little noise."""
        super().reset(seed=seed, options=options)
        return self._observation(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Push the cart to the left (0) or to the right (1) for 20 ms."""
        position, _, angle, _ = (float(value) for value in self.state)
        angle = math.remainder(angle, 2.0 * math.pi)
        reward = float(abs(position) <= TRACK and abs(angle) <= UPRIGHT)
        self.steps_beyond_terminated = None  # gymnasium would warn that the task is over
        super().step(action)  # type: ignore[no-untyped-call]
        position, velocity, angle, turning = (float(value) for value in self.state)
        if abs(position) >= BUFFER:
            position = math.copysign(BUFFER, position)
            velocity = 0.0 if velocity * position > 0 else velocity
        self.state = np.array([position, velocity, angle, turning])
        return self._observation(), reward, False, False, {}

    def render(self) -> Any:
        """Return a picture of 400 x 256 pixels if `render_mode` is "rgb_array"."""
        return None if self.render_mode is None else self.draw_state(self.render_state(), 400, 256)

    def render_state(self) -> npt.NDArray[np.float64]:
        """Return position [m] and angle [rad] (0 upright, growing to the right), shape [2]."""
        return np.array([self.state[0], self.state[2]], dtype=np.float64)

    def draw_state(self, state: npt.NDArray[Any], width: int, height: int) -> npt.NDArray[np.uint8]:
        """Draw cart, pole and track; see `prefrl_envs.redrawing`."""
        from prefrl_envs.small.drawing import draw_cartpole

        return draw_cartpole(state, width, height)

    def _observation(self) -> npt.NDArray[np.float32]:
        position, velocity, angle, turning = (float(value) for value in self.state)
        return np.array([position, velocity, math.cos(angle), math.sin(angle), turning], dtype=np.float32)
