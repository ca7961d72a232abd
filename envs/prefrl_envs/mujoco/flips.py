"""A Hopper that is to do somersaults, backward or forward.

The backflip is the task with which Christiano et al. (2017) show a novel behaviour. Its true reward is the
hand-written one that OpenAI published beside the paper ("Learning from human preferences", 2017), and which
nobody needs once comparisons are there.

Both see Hopper-v5's observation, but with the sine and the cosine of the torso's angle instead of the angle, which
grows with each turn (docs/findings/turning-angles.md): 0 height [m], 1-2 sine and cosine, 3-5 joint angles [rad],
6 forward velocity [m/s], 7 vertical velocity, 8 angular velocity of the torso [rad/s], 9-11 those of the thigh,
leg and foot joints. gymnasium clips velocities in it to ±10, and so did gym in 2017.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.spaces import Box

from prefrl_envs.mujoco.angles import TORSO_ANGLE, as_sine_and_cosine
from prefrl_envs.mujoco.behaviour import BehavingEnv, Behaviour, Counts, FloatArray


def backflip_reward(observation: FloatArray, action: FloatArray) -> FloatArray:
    """Return the published backflip reward of steps.

    With observation o and action a::

        backroll = -o[8]      backslide = -o[6]      height = o[0]
        vel_act  = a[0] o[9] + a[1] o[10] + a[2] o[11]
        reward   = backroll (1 + 0.3 height + 0.1 vel_act + 0.05 backslide)

    Args:
        observation: Observations in which the actions are chosen, shape [..., 12].
        action: Shape [..., 3]; values beyond ±1 count as ±1, as they do for the motors.

    Returns:
        Shape [...].
    """
    o, a = np.moveaxis(observation, -1, 0), np.moveaxis(np.clip(action, -1.0, 1.0), -1, 0)
    vel_act = a[0] * o[9] + a[1] * o[10] + a[2] * o[11]
    return np.asarray(-o[8] * (1.0 + 0.3 * o[0] + 0.1 * vel_act - 0.05 * o[6]))


def front_flip_reward(observation: FloatArray, action: FloatArray) -> FloatArray:
    """Return how fast the torso turns forward [rad/s] times how high it is [m].

    The backflip's reward turned round does worse: it pays nearly as much for turning on the floor, so that what
    has been learned of it from comparisons need only be a little wrong there, and a Hopper that has fallen forward
    rocks to and fro for ever.

    Args:
        observation: As in `backflip_reward`, shape [..., 12].
        action: Plays no part.

    Returns:
        Shape [...].
    """
    return np.asarray(observation[..., 8] * observation[..., 0])


class Flips(Behaviour):
    """Completed turns of the torso in one direction.

    Counted are whole turns in the furthest net rotation since the reset, so rocking to and fro counts nothing.

    Args:
        forward: The direction.
    """

    def __init__(self, *, forward: bool) -> None:
        self._sign = 1.0 if forward else -1.0
        self._name = "front_flips" if forward else "backflips"
        self._reward = front_flip_reward if forward else backflip_reward

    def reward(self, observation: FloatArray, action: FloatArray) -> FloatArray:
        """Return `front_flip_reward` or `backflip_reward`."""
        return self._reward(observation, action)

    def begin(self, position: FloatArray) -> Counts:
        """Count from the angle of the torso at the start."""
        angle = float(position[2])
        return {"start": angle, "furthest": angle}

    def count(self, counts: Counts, position: FloatArray) -> None:
        """Remember the furthest angle."""
        angle = float(position[2])
        if self._sign * angle > self._sign * counts["furthest"]:
            counts["furthest"] = angle

    def metrics(self, counts: Counts) -> dict[str, float]:
        """Return `backflips` or `front_flips`."""
        turned = self._sign * (counts["furthest"] - counts["start"])
        return {self._name: float(math.floor(turned / (2.0 * math.pi)))}


class TurningHopper(BehavingEnv, HopperEnv):
    """gymnasium's Hopper-v5 that never terminates and sees the sine and the cosine of its torso's angle.

    Args:
        forward: Which way it is to turn.
        **kwargs: Any argument of gymnasium's `HopperEnv` but those that change the observation.

    Raises:
        TypeError: An argument would change the layout of the observation or end episodes early.
    """

    fixed = ("exclude_current_positions_from_observation", "terminate_when_unhealthy")

    def __init__(self, *, forward: bool, **kwargs: Any) -> None:
        self.check_arguments(kwargs)
        HopperEnv.__init__(self, terminate_when_unhealthy=False, **kwargs)
        self.observation_space = Box(-np.inf, np.inf, (12,), np.float64)
        self.behaviour = Flips(forward=forward)

    def _get_obs(self) -> npt.NDArray[np.float64]:
        return as_sine_and_cosine(HopperEnv._get_obs(self), TORSO_ANGLE)


class HopperBackflip(TurningHopper):
    """A Hopper rewarded for rotating backward by `backflip_reward`; it counts `backflips`, see `Flips`.

    Args:
        **kwargs: As in `TurningHopper`.

    Raises:
        TypeError: As in `TurningHopper`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(forward=False, **kwargs)


class HopperFrontFlip(TurningHopper):
    """A Hopper rewarded for rotating forward by `front_flip_reward`; it counts `front_flips`, see `Flips`.

    Args:
        **kwargs: As in `TurningHopper`.

    Raises:
        TypeError: As in `TurningHopper`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(forward=True, **kwargs)
