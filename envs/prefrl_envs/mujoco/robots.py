"""The eight MuJoCo environments of Christiano et al. (2017): gymnasium's, with the choice between two rewards."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.inverted_double_pendulum_v5 import InvertedDoublePendulumEnv
from gymnasium.envs.mujoco.inverted_pendulum_v5 import InvertedPendulumEnv
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
from gymnasium.envs.mujoco.reacher_v5 import ReacherEnv
from gymnasium.envs.mujoco.swimmer_v5 import SwimmerEnv
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

from prefrl_envs.mujoco import oracles
from prefrl_envs.mujoco.halfcheetah import HalfCheetah as SilentHalfCheetah
from prefrl_envs.mujoco.oracles import FloatArray, PaperReward

Oracle = Literal["gymnasium", "paper"]


class TwoOracles(MujocoEnv):
    """Mixed into one of gymnasium's MuJoCo environments: its reward can be the paper's.

    Args:
        oracle: "gymnasium" for the environment's own reward, "paper" for that of Christiano et al. (2017); see
            `prefrl_envs.mujoco.oracles`.
        **kwargs: Any argument of gymnasium's class.

    Raises:
        ValueError: There is no such oracle.
    """

    paper_reward: "ClassVar[staticmethod[[FloatArray, Mapping[str, Any]], FloatArray]]"
    """The paper's reward for this robot, see `prefrl_envs.mujoco.oracles`."""

    def __init_subclass__(cls, *, paper: PaperReward) -> None:
        """Keep the paper's reward for this robot."""
        super().__init_subclass__()
        cls.paper_reward = staticmethod(paper)

    def __init__(self, *, oracle: Oracle = "gymnasium", **kwargs: Any) -> None:
        if oracle not in ("gymnasium", "paper"):
            raise ValueError(f'`oracle` must be "gymnasium" or "paper". Received {oracle!r}.')
        super().__init__(**kwargs)
        self.oracle = oracle

    def step(
        self, action: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float64], np.float64, bool, bool, dict[str, np.float64]]:
        """Step the environment; its reward is the chosen one."""
        observation, reward, terminated, truncated, info = super().step(action)
        if self.oracle == "paper":
            reward = np.float64(self.paper_reward(observation, info))
        return observation, reward, terminated, truncated, info


class Hopper(TwoOracles, HopperEnv, paper=oracles.hopper):
    """gymnasium's Hopper-v5 with two oracles."""


class HalfCheetah(TwoOracles, SilentHalfCheetah, paper=oracles.halfcheetah):
    """gymnasium's HalfCheetah-v5 with two oracles."""


class Walker2d(TwoOracles, Walker2dEnv, paper=oracles.walker2d):
    """gymnasium's Walker2d-v5 with two oracles."""


class Swimmer(TwoOracles, SwimmerEnv, paper=oracles.swimmer):
    """gymnasium's Swimmer-v5 with two oracles."""


class Ant(TwoOracles, AntEnv, paper=oracles.ant):
    """gymnasium's Ant-v5 with two oracles."""


class Reacher(TwoOracles, ReacherEnv, paper=oracles.reacher):
    """gymnasium's Reacher-v5 with two oracles."""


class InvertedPendulum(TwoOracles, InvertedPendulumEnv, paper=oracles.inverted_pendulum):
    """gymnasium's InvertedPendulum-v5 with two oracles."""


class InvertedDoublePendulum(TwoOracles, InvertedDoublePendulumEnv, paper=oracles.inverted_double_pendulum):
    """gymnasium's InvertedDoublePendulum-v5 with two oracles."""
