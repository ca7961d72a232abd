"""The ids of our tasks: `prefrl/NAME-v0`, family by family.

Every episode of every id has the same length: nothing the agent does ends it, because the mere length of an
episode, and the sign of any constant reward with it, would otherwise give the task away (Christiano et al.
2017, appendix A: "we replaced the termination conditions").
"""

from prefrl_envs.atari.registration import register as register_atari
from prefrl_envs.mujoco.registration import register as register_mujoco
from prefrl_envs.small.registration import register as register_small


def register_all() -> None:
    """Register every id of this package with gymnasium; ids that are registered already are left alone."""
    register_mujoco()
    register_small()
    register_atari()
