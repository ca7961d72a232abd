"""gymnasium's HalfCheetah, made in silence."""

from typing import Any

from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

from prefrl_envs.mujoco.deprecations import hide_deprecations


class HalfCheetah(HalfCheetahEnv):
    """gymnasium's HalfCheetah-v5, built without the deprecation note that MuJoCo 4 prints for its model."""

    def _initialize_simulation(self) -> Any:
        with hide_deprecations():
            return super()._initialize_simulation()
