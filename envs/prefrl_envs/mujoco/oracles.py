"""The synthetic teacher's rewards of Christiano et al. (2017), which are not gymnasium's.

The paper took the torque penalties away, because a person cannot see a torque, and put terms in place of the
terminations that it hid: the height of the torso for Hopper, Walker2d and Ant, how upright the pole is for the
pendulums. The formulas are those of the authors' code (rl-teacher). Returns under them compare neither with
gymnasium's nor with those of other papers.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
PaperReward = Callable[[FloatArray, Mapping[str, Any]], FloatArray]
"""Rewards [...] of steps, from the observations after them [..., O] and the terms in gymnasium's infos."""


def hopper(observation: FloatArray, info: Mapping[str, Any]) -> FloatArray:
    """Forward speed plus the height of the torso: gym's reward + (z - 1) + 1e-3 |a|²."""
    return np.asarray(info["x_velocity"] + observation[..., 0])


def walker2d(observation: FloatArray, info: Mapping[str, Any]) -> FloatArray:
    """Forward speed plus the height of the torso above 1 m: gym's reward + (z - 2) + 1e-3 |a|²."""
    return np.asarray(info["x_velocity"] + observation[..., 0] - 1.0)


def halfcheetah(observation: FloatArray, info: Mapping[str, Any]) -> FloatArray:
    """Forward speed."""
    return np.asarray(info["reward_forward"])


def swimmer(observation: FloatArray, info: Mapping[str, Any]) -> FloatArray:
    """Forward speed."""
    return np.asarray(info["reward_forward"])


def ant(observation: FloatArray, info: Mapping[str, Any]) -> FloatArray:
    """Forward speed plus the height of the torso above 1.2 m, which it does not reach."""
    return np.asarray(info["reward_forward"] + observation[..., 0] - 1.2)


def reacher(observation: FloatArray, info: Mapping[str, Any]) -> FloatArray:
    """Minus the distance of the fingertip from the target."""
    return np.asarray(info["reward_dist"])


def inverted_pendulum(observation: FloatArray, info: Mapping[str, Any]) -> FloatArray:
    """1 minus the square of the pole's angle."""
    return np.asarray(1.0 - observation[..., 1] ** 2)


def inverted_double_pendulum(observation: FloatArray, info: Mapping[str, Any]) -> FloatArray:
    """10 times the height of the tip minus gymnasium's penalties: gym's reward + 10 (y - 1).

    gym paid its 10 in every step; gymnasium's v5, which pays them while the tip is up only, does not enter.
    """
    sine, cosine = observation[..., 1:3], observation[..., 3:5]
    both = cosine[..., 0] * cosine[..., 1] - sine[..., 0] * sine[..., 1]  # of the sum of the angles
    tip = 0.6 * (cosine[..., 0] + both)
    return np.asarray(10.0 * tip + info["distance_penalty"] + info["velocity_penalty"])
