"""An Ant that is to turn on the spot."""

import math
from typing import Any

import numpy as np
from gymnasium.envs.mujoco.ant_v5 import AntEnv

from prefrl_envs.mujoco.behaviour import BehavingEnv, Behaviour, Counts, FloatArray

MOVING = 0.2
"""What a metre over the floor costs, beside a radian turned."""


def turning_reward(observation: FloatArray, action: FloatArray) -> FloatArray:
    """Return how fast the Ant turns to its left [rad/s] minus a fifth of how fast it moves over the floor [m/s].

    The turning is multiplied by how upright the torso is: 1 level, 0 on its side or on its back. A fifth, because
    an Ant that cannot turn yet moves whatever it does: at a half, it was taught to keep still for a quarter of a
    million steps, and turning came later.

    Args:
        observation: gymnasium's Ant observation: 0 height, 1-4 orientation (a quaternion, real part first), 5-12
            joints, 13-15 velocity, 16-18 angular velocity in the frame of the torso, ...; shape [..., 19 or more].
        action: Plays no part.

    Returns:
        Shape [...].
    """
    upright = np.maximum(1.0 - 2.0 * (observation[..., 2] ** 2 + observation[..., 3] ** 2), 0.0)
    moving = np.sqrt(observation[..., 13] ** 2 + observation[..., 14] ** 2)
    return np.asarray(upright * observation[..., 18] - MOVING * moving)


class Turning(Behaviour):
    """Turning on the spot, counted by where the Ant looks and how far it is from where it began.

    Args:
        step_seconds: Simulated time of a step.
    """

    def __init__(self, step_seconds: float) -> None:
        self._step_seconds = step_seconds

    def reward(self, observation: FloatArray, action: FloatArray) -> FloatArray:
        """Return `turning_reward`."""
        return turning_reward(observation, action)

    def begin(self, position: FloatArray) -> Counts:
        """Remember place and heading."""
        heading, _ = _heading(position)
        x, y = position[:2].tolist()
        return {"start": [x, y], "heading": heading, "turned": 0.0, "drift": 0.0, "steps": 0}

    def count(self, counts: Counts, position: FloatArray) -> None:
        """Add the change of heading, unless the Ant lies on its back."""
        heading, upright = _heading(position)
        change = (heading - counts["heading"] + math.pi) % (2.0 * math.pi) - math.pi
        counts["turned"] += change if upright else 0.0
        counts["heading"] = heading
        counts["drift"] = max(counts["drift"], math.dist(position[:2].tolist(), counts["start"]))
        counts["steps"] += 1

    def metrics(self, counts: Counts) -> dict[str, float]:
        """Return `turns_per_minute` to the left, and `drift`, the furthest way from the start in metres."""
        minutes = max(counts["steps"], 1) * self._step_seconds / 60.0
        return {"turns_per_minute": counts["turned"] / (2.0 * math.pi) / minutes, "drift": counts["drift"]}


def _heading(position: FloatArray) -> tuple[float, bool]:
    """Return where the torso looks, in radians from the x axis, and whether its upper side is up."""
    w, x, y, z = position[3:7].tolist()
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)), x * x + y * y < 0.5


class AntTurning(BehavingEnv, AntEnv):
    """gymnasium's Ant-v5 that never terminates and feels no contact forces, rewarded for turning on the spot.

    Without the 78 contact forces an observation has 27 numbers, all of which a person can see.

    Args:
        **kwargs: Any argument of gymnasium's `AntEnv` but those that change the observation.

    Raises:
        TypeError: An argument would change the layout of the observation or end episodes early.
    """

    fixed = (
        "exclude_current_positions_from_observation",
        "include_cfrc_ext_in_observation",
        "terminate_when_unhealthy",
    )

    def __init__(self, **kwargs: Any) -> None:
        self.check_arguments(kwargs)
        AntEnv.__init__(self, terminate_when_unhealthy=False, include_cfrc_ext_in_observation=False, **kwargs)
        self.behaviour = Turning(self.dt)
