"""How high above the floor the end of a leg is, from the joint angles that an observation holds.

The robots of the plane (Hopper, HalfCheetah, Walker2d) have legs that are chains of hinges. The lengths are those
of gymnasium's model files; a test compares the heights with MuJoCo's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limb:
    """A leg of three hinges with a foot that is a capsule. Points are (forward, up), in metres."""

    joints: tuple[Point, Point, Point]
    """Each hinge as seen from the one before it, in the frame of the part between them; the first as seen from the
    origin of the torso."""
    foot: tuple[Point, Point]
    """The centres of the foot's round ends, as seen from the last hinge in the foot's frame."""
    radius: float
    """Of the foot."""
    sense: float
    """1 if a growing joint angle turns as a growing torso angle does (forward), -1 if it turns the other way."""


CHEETAH_FRONT_LEG = Limb(
    joints=((0.5, 0.0), (-0.14, -0.24), (0.13, -0.18)),
    foot=((0.0055, -0.0122), (0.0845, -0.1278)),
    radius=0.046,
    sense=1.0,
)
CHEETAH_BACK_LEG = Limb(
    joints=((-0.5, 0.0), (0.16, -0.25), (-0.28, -0.14)),
    foot=((0.0049, -0.0064), (0.0551, -0.1876)),
    radius=0.046,
    sense=1.0,
)
WALKER_LEG = Limb(
    joints=((0.0, -0.2), (0.0, -0.45), (0.0, -0.5)),
    foot=((0.0, 0.0), (0.2, 0.0)),
    radius=0.06,
    sense=-1.0,
)


def foot_height(limb: Limb, height: FloatArray, torso_angle: FloatArray, joint_angles: FloatArray) -> FloatArray:
    """Return how high the lowest point of a foot is above the floor, in metres (below 0 where it is pressed in).

    Args:
        limb: Which leg.
        height: Of the torso's origin above the floor, in metres, shape [...].
        torso_angle: 0 upright, growing forward, in radians, shape [...].
        joint_angles: From the torso down, in radians, shape [..., 3].

    Returns:
        Shape [...].
    """
    angles = torso_angle[..., None] + limb.sense * np.cumsum(joint_angles, axis=-1)
    above = height + _rise(limb.joints[0], torso_angle)
    above = above + _rise(limb.joints[1], angles[..., 0]) + _rise(limb.joints[2], angles[..., 1])
    ends = [_rise(end, angles[..., 2]) for end in limb.foot]
    return np.asarray(above + np.minimum(*ends) - limb.radius)


def _rise(point: Point, angle: FloatArray) -> FloatArray:
    """Return how much higher a point lies than its frame's origin when the frame is turned forward by an angle."""
    return np.asarray(point[1] * np.cos(angle) - point[0] * np.sin(angle))
