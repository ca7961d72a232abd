"""Pictures of the small tasks, drawn by OpenCV from their states."""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from prefrl_envs.small.gridworld import CELLS, LAYOUT

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
_TRACK, _CART, _OFF_TRACK = (120, 120, 120), (50, 90, 200), (222, 170, 30)
_TRACK_HALF, _VIEW_HALF, _POLE = 2.4, 3.4, 1.0  # metres


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


def draw_cartpole(state: State, width: int, height: int) -> Frame:
    """Draw a cart with its pole on a track, which is yellow where the cart is not to be.

    Args:
        state: Position of the cart [m], angle of the pole from upright [rad, to the right]; shape [2].
        width: In pixels.
        height: In pixels.

    Returns:
        RGB, shape [height, width, 3].
    """
    position, angle = (float(value) for value in state)
    frame = np.full((height, width, 3), 255, dtype=np.uint8)
    metre = min(width / (2.0 * _VIEW_HALF), height / 3.0)
    axle = (round(width / 2 + position * metre), round(0.6 * height))

    def column(metres: float) -> int:
        return round(width / 2 + metres * metre)

    rail = axle[1] + round(0.15 * metre)
    cv2.line(frame, (0, rail), (width, rail), _OFF_TRACK, 2, cv2.LINE_8)
    cv2.line(frame, (column(-_TRACK_HALF), rail), (column(_TRACK_HALF), rail), _TRACK, 2, cv2.LINE_8)
    half = (round(0.25 * metre), round(0.15 * metre))
    cv2.rectangle(
        frame, (axle[0] - half[0], axle[1] - half[1]), (axle[0] + half[0], axle[1] + half[1]), _CART, cv2.FILLED
    )
    tip = (
        round(axle[0] + _POLE * metre * math.sin(angle)),
        round(axle[1] - _POLE * metre * math.cos(angle)),
    )
    cv2.line(frame, axle, tip, _ROD, max(2, round(0.08 * metre)), cv2.LINE_AA)
    cv2.circle(frame, axle, max(2, round(0.05 * metre)), _AXLE, cv2.FILLED, cv2.LINE_AA)
    return frame


def draw_pixels(picture: Frame, width: int, height: int) -> Frame:
    """Draw a small grey picture as large as fits, in the middle of a grey ground.

    Args:
        picture: Shape [rows, columns, 1].
        width: In pixels.
        height: In pixels.

    Returns:
        RGB, shape [height, width, 3].
    """
    frame = np.full((height, width, 3), 128, dtype=np.uint8)
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    large = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    frame[top : top + size[1], left : left + size[0]] = large[:, :, None]
    return frame
