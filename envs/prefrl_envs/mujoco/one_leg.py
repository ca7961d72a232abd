"""Robots with two legs that are to use one: a HalfCheetah on its back leg, a Walker2d on its right foot."""

from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

from prefrl_envs.mujoco.behaviour import BehavingEnv, Behaviour, Counts, FloatArray
from prefrl_envs.mujoco.floor import FloorContacts
from prefrl_envs.mujoco.halfcheetah import HalfCheetah
from prefrl_envs.mujoco.limbs import CHEETAH_FRONT_LEG, WALKER_LEG, foot_height

CHEETAH_TORSO_HEIGHT = 0.7
"""How high the origin of the Cheetah's torso is where its observation says 0, in metres."""
CHEETAH_LIFT, CHEETAH_SPEED = 0.4, 1.0
"""Higher [m] and faster [m/s] than that pays the Cheetah no more, so that it need not race. In a gallop on
both legs the foot is above 23 cm half of the time: were that enough, a gallop would earn nearly as much."""
WALKER_LIFT = 0.2
"""The same for the left foot of the Walker2d, above its right one."""
WALKER_LIFT_WEIGHT = 10.0
"""What the foot in the air is worth beside standing."""
WALKER_STILL = 8.0
"""Joints of the left leg that turn so fast [rad/s, mean of the three] make its foot in the air worth nothing."""
WALKER_HEIGHT = 1.25
"""Height of the Walker2d's torso when it stands straight, in metres."""
STRETCH_SECONDS = 1.0
"""How long nothing but one leg must touch the floor for the time to count."""
LEAST_SPEED = 0.25
"""How fast the Cheetah must come forward meanwhile, in m/s."""


def cheetah_reward(observation: FloatArray, action: FloatArray) -> FloatArray:
    """Return how fast the Cheetah moves forward and how high it holds its front foot meanwhile.

    That is the forward speed in m/s (between -1 and 1) times the height of the lowest point of the front foot in
    units of 40 cm (between 0 and 1), and 0 while the torso is turned by more than 90°.

    Args:
        observation: gymnasium's HalfCheetah observation: 0 height, 1 torso angle, 2-4 joints of the back leg, 5-7
            joints of the front leg, 8 forward velocity, ...; shape [..., 17].
        action: Plays no part.

    Returns:
        Shape [...].
    """
    height, angle, joints = observation[..., 0] + CHEETAH_TORSO_HEIGHT, observation[..., 1], observation[..., 5:8]
    lift = np.clip(foot_height(CHEETAH_FRONT_LEG, height, angle, joints) / CHEETAH_LIFT, 0.0, 1.0)
    speed = np.clip(observation[..., 8] / CHEETAH_SPEED, -1.0, 1.0)
    return np.asarray(np.where(np.cos(angle) > 0.0, speed * lift, 0.0))


def walker_reward(observation: FloatArray, action: FloatArray) -> FloatArray:
    """Return how straight a Walker2d stands, and how much higher it holds its left foot than its right meanwhile.

    Standing is the height of the torso in units of 1.25 m, at most 1. To it comes, while the torso is higher than
    0.8 m, ten times the height of the lowest point of the left foot above that of the right, in units of 20 cm
    (between 0 and 1): were it three times, clips would differ more in how the robot stands than in what it does
    with its foot, and it would learn to stand on both; and were it the height above the floor, jumping with both
    feet would be paid. The foot counts less the faster its leg moves: otherwise walking, in which each foot is up
    half of the time, earns half, and a policy that walks gets no better. All of that counts less the more the
    torso is tilted, nothing from 1 rad on: otherwise the robot leans on both feet.

    Args:
        observation: gymnasium's Walker2d observation: 0 height, 1 torso angle, 2-4 joints of the right leg, 5-7
            joints of the left leg, 8-13 velocities of torso and right leg, 14-16 of the left one; shape [..., 17].
        action: Plays no part.

    Returns:
        Shape [...].
    """
    height, angle = observation[..., 0], observation[..., 1]
    right, left = (foot_height(WALKER_LEG, height, angle, observation[..., i : i + 3]) for i in (2, 5))
    lift = np.clip((left - right) / WALKER_LIFT, 0.0, 1.0)
    still = np.clip(1.0 - np.abs(observation[..., 14:17]).mean(-1) / WALKER_STILL, 0.0, 1.0)
    standing = np.clip(height / WALKER_HEIGHT, 0.0, 1.0)
    straight = np.clip(1.0 - np.abs(angle), 0.0, 1.0)
    return np.asarray(straight * (standing + np.where(height > 0.8, WALKER_LIFT_WEIGHT * lift * still, 0.0)))


class OneLeg(Behaviour):
    """Standing, hopping or moving on one leg, counted by what touches the floor.

    Time counts if it belongs to a stretch of at least a second in which nothing but one leg, always the same,
    touched the floor, and in which the robot came forward fast enough. Hops count, falls do not. Whichever leg
    comes off better is taken.

    Args:
        env: For its model and time.
        legs: The bodies that are the one leg, and those that are the other.
        least_speed: How fast the robot must come forward over such a stretch, in m/s.
        name: Of the metric.
    """

    def __init__(self, env: Any, legs: tuple[set[str], set[str]], *, least_speed: float, name: str) -> None:
        model: mujoco.MjModel = env.model
        self._legs = [{int(model.body(body).id) for body in leg} for leg in legs]
        self._floor = FloorContacts(model)
        self._least_steps = round(STRETCH_SECONDS / env.dt)
        self._least_progress = least_speed * env.dt
        self._name = name

    def begin(self, position: FloatArray) -> Counts:
        """Begin a stretch for each leg."""
        x = float(position[0])
        return {
            "steps": 0,
            "now": x,
            "stretches": [{"steps": 0, "start": x, "touches": 0, "counted": 0} for _ in self._legs],
        }

    def count(self, counts: Counts, position: FloatArray) -> None:
        """Look what touches the floor; a stretch ends where something else than its leg does."""
        touching = self._floor.touching(position)
        for leg, stretch in zip(self._legs, counts["stretches"], strict=True):
            if touching <= leg:
                stretch["steps"] += 1
                stretch["touches"] += bool(touching)
            else:
                stretch["counted"] += self._worth(stretch, counts["now"])
                stretch |= {"steps": 0, "touches": 0, "start": float(position[0])}
        counts["now"] = float(position[0])
        counts["steps"] += 1

    def metrics(self, counts: Counts) -> dict[str, float]:
        """Return the share of the episode's time that counts, between 0 and 1."""
        steps = [stretch["counted"] + self._worth(stretch, counts["now"]) for stretch in counts["stretches"]]
        return {self._name: max(steps) / max(counts["steps"], 1)}

    def _worth(self, stretch: Counts, end: float) -> int:
        """Return the steps of a stretch that ends at a place, or 0 if it does not count."""
        steps = int(stretch["steps"])
        long_enough = steps >= self._least_steps and stretch["touches"] > 0
        far_enough = end - stretch["start"] >= self._least_progress * steps
        return steps if long_enough and far_enough else 0


class CheetahOneLeg(OneLeg):
    """Moving forward on one leg; a leg is shin and foot."""

    def __init__(self, env: Any) -> None:
        legs = ({"bshin", "bfoot"}, {"fshin", "ffoot"})
        super().__init__(env, legs, least_speed=LEAST_SPEED, name="one_leg_share")

    def reward(self, observation: FloatArray, action: FloatArray) -> FloatArray:
        """Return `cheetah_reward`."""
        return cheetah_reward(observation, action)


class WalkerOneFoot(OneLeg):
    """Standing or hopping on one foot, wherever that leads."""

    def __init__(self, env: Any) -> None:
        super().__init__(env, ({"foot"}, {"foot_left"}), least_speed=-np.inf, name="one_foot_share")

    def reward(self, observation: FloatArray, action: FloatArray) -> FloatArray:
        """Return `walker_reward`."""
        return walker_reward(observation, action)


class HalfCheetahOneLeg(BehavingEnv, HalfCheetah):
    """gymnasium's HalfCheetah-v5, rewarded for moving forward with its front foot up.

    Args:
        **kwargs: Any argument of gymnasium's `HalfCheetahEnv` but those that change the observation.

    Raises:
        TypeError: An argument would change the layout of the observation.
    """

    fixed = ("exclude_current_positions_from_observation",)

    def __init__(self, **kwargs: Any) -> None:
        self.check_arguments(kwargs)
        HalfCheetah.__init__(self, **kwargs)
        self.behaviour = CheetahOneLeg(self)


class Walker2dOneFoot(BehavingEnv, Walker2dEnv):
    """gymnasium's Walker2d-v5 that never terminates, rewarded for standing and for holding its left foot up.

    Args:
        **kwargs: Any argument of gymnasium's `Walker2dEnv` but those that change the observation.

    Raises:
        TypeError: An argument would change the layout of the observation or end episodes early.
    """

    fixed = ("exclude_current_positions_from_observation", "terminate_when_unhealthy")

    def __init__(self, **kwargs: Any) -> None:
        self.check_arguments(kwargs)
        Walker2dEnv.__init__(self, terminate_when_unhealthy=False, **kwargs)
        self.behaviour = WalkerOneFoot(self)
