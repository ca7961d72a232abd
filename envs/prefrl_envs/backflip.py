"""A Hopper that is to do backflips: the task with which Christiano et al. (2017) show a novel behaviour.

The true reward is the hand-written one that OpenAI published beside the paper ("Learning from human
preferences", 2017), and which nobody needs once comparisons are there.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv

FloatArray = npt.NDArray[np.floating[Any]]


def backflip_reward(observation: FloatArray, action: FloatArray) -> float:
    """Return the published backflip reward of one step.

    With gym's Hopper observation: 0 height [m], 1 torso angle (backward is negative) [rad], 2-4 joint angles,
    5 forward velocity [m/s], 6 vertical velocity, 7 angular velocity of the torso [rad/s], 8-10 those of the
    thigh, leg and foot joints::

        backroll = -o[7]      backslide = -o[5]      height = o[0]
        vel_act  = a[0] o[8] + a[1] o[9] + a[2] o[10]
        reward   = backroll (1 + 0.3 height + 0.1 vel_act + 0.05 backslide)

    Args:
        observation: Observation in which the action is chosen, shape [11]. gymnasium clips velocities in it
            to ±10, and so did gym in 2017.
        action: Shape [3]; values beyond ±1 count as ±1, as they do for the motors.
    """
    o = observation.tolist()
    a = [min(max(value, -1.0), 1.0) for value in action.tolist()]
    vel_act = a[0] * o[8] + a[1] * o[9] + a[2] * o[10]
    return float(-o[7] * (1.0 + 0.3 * o[0] + 0.1 * vel_act - 0.05 * o[5]))


class HopperBackflip(HopperEnv):
    """gymnasium's Hopper-v5 that never terminates, rewarded for rotating backward.

    The reward of step t is a function of the observation o_t in which the action was chosen and of the action
    a_t: the pair that a reward network sees. `task_metrics()` counts `backflips`: completed turns in the
    furthest net backward rotation of the torso since the reset (so rocking to and fro counts nothing).

    Args:
        render_mode: As in gymnasium.
        **kwargs: Any other argument of gymnasium's `HopperEnv` but those that change the observation.

    Raises:
        TypeError: An argument would change the layout of the observation or end episodes early.
    """

    def __init__(self, *, render_mode: str | None = None, **kwargs: Any) -> None:
        """Build the simulator."""
        for name in ("exclude_current_positions_from_observation", "terminate_when_unhealthy"):
            if name in kwargs:
                raise TypeError(f"`{name}` is fixed in HopperBackflip; use Hopper-v5 to set it.")
        super().__init__(terminate_when_unhealthy=False, render_mode=render_mode, **kwargs)
        self._observation = np.zeros(11)
        self._start_angle = 0.0
        self._furthest_angle = 0.0

    def step(
        self, action: FloatArray
    ) -> tuple[npt.NDArray[np.float64], np.float64, bool, bool, dict[str, np.float64]]:
        """Apply torques for four simulator steps (8 ms).

        Args:
            action: Torques of thigh, leg and foot joint, shape [3], in [-1, 1].
        """
        reward = np.float64(backflip_reward(self._observation, action))
        self.do_simulation(action, self.frame_skip)
        self._observation = self._get_obs()  # type: ignore[no-untyped-call]
        angle = float(self.data.qpos[2])
        self._furthest_angle = min(self._furthest_angle, angle)
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]
        info = {"torso_angle": self.data.qpos[2]}
        return self._observation.copy(), reward, False, False, info

    def reset_model(self) -> npt.NDArray[np.float64]:
        """Stand the Hopper up, with a little noise, and count flips from zero."""
        self._observation = super().reset_model()  # type: ignore[no-untyped-call]
        self._start_angle = self._furthest_angle = float(self.data.qpos[2])
        return self._observation.copy()

    def task_metrics(self) -> dict[str, float]:
        """Return `backflips`, the completed backward turns of this episode so far."""
        return {"backflips": float(math.floor((self._start_angle - self._furthest_angle) / (2.0 * math.pi)))}
