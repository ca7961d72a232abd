"""Pictures of the tasks that need no simulator: Pendulum and GridWorld, drawn by OpenCV from their states."""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from prefrl_envs.gridworld import CELLS, LAYOUT

Frame = npt.NDArray[np.uint8]
State = npt.NDArray[np.floating[Any]]

_CELL_COLOURS = {  # RGB
    ".": (236, 236, 228),
    "~": (226, 202, 140),
    "m": (140, 104, 72),
    "c": (236, 236, 228),
    "G": (120, 190, 110),
    "#": (60, 60, 66),
}
_COIN, _AGENT = (222, 170, 30), (50, 90, 200)
_ROD, _AXLE, _TORQUE = (204, 77, 77), (30, 30, 30), (50, 90, 200)


def draw_pendulum(state: State, width: int, height: int) -> Frame:
    """Draw a pendulum, and the torque that last acted on it as an arc around the axle.

    Args:
        state: Angle from upright [rad, counter-clockwise], angular velocity, torque in [-2, 2]; shape [3].
        width: In pixels.
        height: In pixels.

    Returns:
        RGB, shape [height, width, 3].
    """
    angle, _, torque = (float(value) for value in state)
    frame = np.full((height, width, 3), 255, dtype=np.uint8)
    size = min(width, height)
    axle = (width // 2, height // 2)
    tip = (round(axle[0] - 0.42 * size * math.sin(angle)), round(axle[1] - 0.42 * size * math.cos(angle)))
    cv2.line(frame, axle, tip, _ROD, max(2, size // 14), cv2.LINE_AA)
    cv2.circle(frame, axle, max(2, size // 40), _AXLE, cv2.FILLED, cv2.LINE_AA)
    sweep = -torque * 75.0  # image angles grow clockwise, a positive torque turns counter-clockwise
    radius = size // 8
    cv2.ellipse(frame, axle, (radius, radius), -90.0, 0.0, sweep, _TORQUE, max(1, size // 80), cv2.LINE_AA)
    return frame


def draw_gridworld(state: State, width: int, height: int) -> Frame:
    """Draw the grid and the agent in it.

    Args:
        state: The number of the cell, shape [1].
        width: In pixels.
        height: In pixels.

    Returns:
        RGB, shape [height, width, 3].
    """
    frame = np.full((height, width, 3), 255, dtype=np.uint8)
    side = min(width // len(LAYOUT[0]), height // len(LAYOUT))
    left, top = (width - side * len(LAYOUT[0])) // 2, (height - side * len(LAYOUT)) // 2

    def centre(row: int, column: int) -> tuple[int, int]:
        return left + column * side + side // 2, top + row * side + side // 2

    for row, kinds in enumerate(LAYOUT):
        for column, kind in enumerate(kinds):
            corner = (left + column * side, top + row * side)
            far = (corner[0] + side - 2, corner[1] + side - 2)
            cv2.rectangle(frame, corner, far, _CELL_COLOURS[kind], cv2.FILLED)
            if kind == "c":
                cv2.circle(frame, centre(row, column), side // 6, _COIN, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(frame, centre(*CELLS[int(state[0])]), side // 4, _AGENT, max(2, side // 12), cv2.LINE_AA)
    return frame
