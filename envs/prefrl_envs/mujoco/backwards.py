"""A HalfCheetah that is to run backwards."""

from typing import Any

import numpy as np

from prefrl_envs.mujoco.behaviour import BehavingEnv, Behaviour, Counts, FloatArray
from prefrl_envs.mujoco.halfcheetah import HalfCheetah


def backwards_reward(observation: FloatArray, action: FloatArray) -> FloatArray:
    """Return the speed of the torso backwards [m/s].

    Args:
        observation: gymnasium's HalfCheetah observation, of which 8 is the forward velocity, shape [..., 17].
        action: Plays no part.

    Returns:
        Shape [...].
    """
    return np.asarray(-observation[..., 8])


class Backwards(Behaviour):
    """Running backwards, counted by the way that was made.

    Args:
        step_seconds: Simulated time of a step.
    """

    def __init__(self, step_seconds: float) -> None:
        self._step_seconds = step_seconds

    def reward(self, observation: FloatArray, action: FloatArray) -> FloatArray:
        """Return `backwards_reward`."""
        return backwards_reward(observation, action)

    def begin(self, position: FloatArray) -> Counts:
        """Remember where the episode begins."""
        return {"start": float(position[0]), "now": float(position[0]), "steps": 0}

    def count(self, counts: Counts, position: FloatArray) -> None:
        """Remember where the torso is."""
        counts["now"] = float(position[0])
        counts["steps"] += 1

    def metrics(self, counts: Counts) -> dict[str, float]:
        """Return `backward_speed`, the metres made backwards per second over the whole episode."""
        seconds = max(counts["steps"], 1) * self._step_seconds
        return {"backward_speed": (counts["start"] - counts["now"]) / seconds}


class HalfCheetahBackwards(BehavingEnv, HalfCheetah):
    """gymnasium's HalfCheetah-v5, rewarded for its speed backwards.

    Args:
        **kwargs: Any argument of gymnasium's `HalfCheetahEnv` but those that change the observation.

    Raises:
        TypeError: An argument would change the layout of the observation.
    """

    fixed = ("exclude_current_positions_from_observation",)

    def __init__(self, **kwargs: Any) -> None:
        self.check_arguments(kwargs)
        HalfCheetah.__init__(self, **kwargs)
        self.behaviour = Backwards(self.dt)
