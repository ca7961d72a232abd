"""A dot to be moved to the middle of a picture: the smallest task whose observations are pixels."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

SIDE = 84
"""Of the picture, in pixels: what Atari games are scaled to."""
DOT = 6
"""Side of the dot, in pixels."""
STRIDE = 3
"""How far it moves in a step, in pixels."""
MOVES = ((0, 0), (-1, 0), (0, 1), (1, 0), (0, -1))
"""Change of (row, column) by each action: stay, up, right, down, left."""

_FARTHEST = SIDE - DOT
_MIDDLE = _FARTHEST / 2.0

Frame = npt.NDArray[np.uint8]


class MovingDot(gymnasium.Env[Frame, np.int64]):
    """Move a white dot to the middle of a black picture and keep it there.

    An observation is one frame, `Box(0, 255, (84, 84, 1), uint8)`. The reward of a step is 1 minus the distance of
    the dot from the middle along the farther axis, as a share of the largest one, in the frame in which the action
    was chosen: 1 in the middle, 0 at the border.

    Args:
        render_mode: None or "rgb_array".
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012 - gymnasium's own convention

    def __init__(self, *, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(0, 255, (SIDE, SIDE, 1), np.uint8)
        self.action_space = spaces.Discrete(len(MOVES))
        self.render_mode = render_mode
        self._row = self._column = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Put the dot anywhere."""
        super().reset(seed=seed)
        self._row, self._column = self.np_random.integers(_FARTHEST + 1, size=2).tolist()
        return self._frame(), {}

    def step(self, action: np.int64) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Move the dot; the border stops it."""
        reward = 1.0 - max(abs(self._row - _MIDDLE), abs(self._column - _MIDDLE)) / _MIDDLE
        down, right = MOVES[action]
        self._row = min(max(self._row + STRIDE * down, 0), _FARTHEST)
        self._column = min(max(self._column + STRIDE * right, 0), _FARTHEST)
        return self._frame(), reward, False, False, {}

    def render(self) -> Frame | None:
        """Return a picture of 252 x 252 pixels if `render_mode` is "rgb_array"."""
        return None if self.render_mode is None else self.draw_state(self.render_state(), 3 * SIDE, 3 * SIDE)

    def render_state(self) -> npt.NDArray[np.uint8]:
        """Return row and column of the dot's upper left pixel, shape [2]."""
        return np.array([self._row, self._column], dtype=np.uint8)

    def draw_state(self, state: npt.NDArray[Any], width: int, height: int) -> Frame:
        """Draw the frame larger; see `prefrl_envs.redrawing`."""
        from prefrl_envs.small.drawing import draw_pixels

        row, column = state.tolist()
        return draw_pixels(_picture(row, column), width, height)

    def _frame(self) -> Frame:
        return _picture(self._row, self._column)


def _picture(row: int, column: int) -> Frame:
    """Return the observation with the dot at a place, shape [84, 84, 1]."""
    frame = np.zeros((SIDE, SIDE, 1), dtype=np.uint8)
    frame[row : row + DOT, column : column + DOT] = 255
    return frame
