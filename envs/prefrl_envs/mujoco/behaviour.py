"""Behaviours that no task of gymnasium's rewards: what a synthetic teacher prefers, and what counts as done.

The two are kept apart on purpose. The reward judges single steps by what a reward network sees, the observation
and the action chosen in it; the count judges whole episodes by the poses gone through. An agent that has found a
way of being paid without doing what was meant shows by a high return and a low count.

Both know nothing of how the simulation is stepped, so that whatever steps many environments at once can use them:
the reward takes batches, and the count of an episode is a dict of plain numbers that its owner keeps.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv

FloatArray = npt.NDArray[np.floating[Any]]
Counts = dict[str, Any]
"""What has been counted in an episode so far: plain data (see `prefrl_envs.plain_data`)."""


class Behaviour(ABC):
    """One behaviour of one robot. It holds no state of an episode."""

    @abstractmethod
    def reward(self, observation: FloatArray, action: FloatArray) -> FloatArray:
        """Return the rewards of steps.

        Args:
            observation: Observations in which the actions were chosen, shape [..., O].
            action: Shape [..., A].

        Returns:
            Shape [...].
        """

    @abstractmethod
    def begin(self, position: FloatArray) -> Counts:
        """Return the counts of an episode that begins in a pose.

        Args:
            position: MuJoCo's generalised positions (`qpos`), shape [P]. They are also the render state.
        """

    @abstractmethod
    def count(self, counts: Counts, position: FloatArray) -> None:
        """Add a step to the counts of its episode.

        Args:
            counts: Of the episode so far; changed.
            position: The pose after the step, shape [P].
        """

    @abstractmethod
    def metrics(self, counts: Counts) -> dict[str, float]:
        """Return what the counts of an episode say, by the names that the task lists."""


class BehavingEnv(MujocoEnv):
    """Mixed into one of gymnasium's MuJoCo environments: it never terminates and has a behaviour to show.

    The reward of step t is a function of the observation o_t in which the action was chosen and of the action
    a_t: the pair that a reward network sees.
    """

    fixed: tuple[str, ...] = ()
    """Arguments of gymnasium's class that decide what the observation is or when an episode ends."""

    behaviour: Behaviour
    """What is rewarded and counted."""
    _get_obs: Callable[[], npt.NDArray[np.float64]]
    _observation: npt.NDArray[np.float64]
    _counts: Counts

    @classmethod
    def check_arguments(cls, kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that are fixed.

        Raises:
            TypeError: There is one.
        """
        for name in cls.fixed:
            if name in kwargs:
                raise TypeError(f"`{name}` is fixed in {cls.__name__}; use gymnasium's own environment to set it.")

    def step(
        self, action: FloatArray
    ) -> tuple[npt.NDArray[np.float64], np.float64, bool, bool, dict[str, np.float64]]:
        """Apply torques for `frame_skip` steps of the simulator.

        Args:
            action: Torques of the joints, shape [A], in the action space.
        """
        reward = np.float64(self.behaviour.reward(self._observation, action))
        self.do_simulation(action, self.frame_skip)
        self._observation = self._get_obs()
        self.behaviour.count(self._counts, self.data.qpos)
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]
        return self._observation.copy(), reward, False, False, {}

    def reset_model(self) -> npt.NDArray[np.float64]:
        """Put the robot into its first pose, with a little noise, and count from zero."""
        self._observation = super().reset_model()
        self._counts = self.behaviour.begin(self.data.qpos)
        return self._observation.copy()

    def task_metrics(self) -> dict[str, float]:
        """Return what this episode has come to so far."""
        return self.behaviour.metrics(self._counts)
