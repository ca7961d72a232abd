"""Which of our MuJoCo tasks EnvPool can step instead of gymnasium, and how what it gives becomes what we give.

EnvPool's simulators are gymnasium's, in C++. With the same version of MuJoCo the two agree to the last bit
(EnvPool 1.2.5 brings MuJoCo 3.6.0). Beside MuJoCo 4.0 they agree to rounding, but for Ant and Humanoid: MuJoCo
itself moves those a little differently now. EnvPool steps them on request only.

Not shared: InvertedDoublePendulum. Its reward depends on whether the tip is above 1 m at a moment inside the
step, of which EnvPool says nothing but by ending the episode.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from prefrl_envs.mujoco.oracles import PAPER

FloatArray = npt.NDArray[np.floating[Any]]
RewardFn = Callable[[FloatArray], FloatArray]
"""Rewards [N] of steps, from the observations after them [N, O]."""


@dataclass(frozen=True, kw_only=True)
class EnvpoolTask:
    """How EnvPool steps one of our ids."""

    pool_id: str
    """EnvPool's id."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Settings of EnvPool's that make it the same task; beside them positions are asked for, see `n_hidden`."""
    n_hidden: int = 0
    """Leading numbers of an observation of EnvPool's that ours has not: positions that only a picture needs."""
    positions: Callable[[FloatArray], FloatArray]
    """Joint positions [N, nq] from EnvPool's observations [N, n_hidden + O]."""
    terms: Mapping[str, str] = field(default_factory=dict)
    """EnvPool's names of those terms in gymnasium's infos that the paper's reward needs, by gymnasium's."""
    reward: RewardFn | None = None
    """The reward, where it is neither EnvPool's nor the paper's nor that of a `Behaviour`."""
    same_physics: bool = True
    """Whether single steps agree to rounding with those of gymnasium under MuJoCo 4.0."""


def envpool_task(env_id: str, env_kwargs: Mapping[str, Any]) -> EnvpoolTask | None:
    """Return how EnvPool steps an environment, or None if it cannot.

    Args:
        env_id: A gymnasium id.
        env_kwargs: What else the environment is to be made with; only its time limit and its oracle can be others.
    """
    if set(env_kwargs) - {"max_episode_steps", "oracle"} or ("oracle" in env_kwargs and env_id not in PAPER):
        return None
    return _TASKS.get(env_id)


def _leading(n: int) -> Callable[[FloatArray], FloatArray]:
    return lambda observations: observations[:, :n]


def _reacher_positions(observations: FloatArray) -> FloatArray:
    """Two angles from their cosines and sines (so modulo a turn), and where the target is."""
    angles = np.arctan2(observations[:, 2:4], observations[:, 0:2])
    return np.concatenate([angles, observations[:, 4:6]], axis=1)


def _upright(observations: FloatArray) -> FloatArray:
    """1 in each step after which the pole is within 0.2 rad of upright."""
    return (np.abs(observations[:, 1]) <= 0.2).astype(np.float64)


_WITH_POSITIONS: dict[str, object] = {"exclude_current_positions_from_observation": False}
_ENDLESS: dict[str, object] = {**_WITH_POSITIONS, "terminate_when_unhealthy": False}
_FAR = 1e9

_FORWARD = {"reward_forward": "x_velocity"}  # the same number where its weight is 1, as it is here

_HOPPER = EnvpoolTask(
    pool_id="Hopper-v5", options=_ENDLESS, n_hidden=1, positions=_leading(6), terms={"x_velocity": "x_velocity"}
)
_HALFCHEETAH = EnvpoolTask(
    pool_id="HalfCheetah-v5", options=_WITH_POSITIONS, n_hidden=1, positions=_leading(9), terms=_FORWARD
)
_WALKER2D = EnvpoolTask(
    pool_id="Walker2d-v5", options=_ENDLESS, n_hidden=1, positions=_leading(9), terms={"x_velocity": "x_velocity"}
)
_SWIMMER = EnvpoolTask(
    pool_id="Swimmer-v5", options=_WITH_POSITIONS, n_hidden=2, positions=_leading(5), terms=_FORWARD
)
_ANT = EnvpoolTask(
    pool_id="Ant-v5", options=_ENDLESS, n_hidden=2, positions=_leading(15), terms=_FORWARD, same_physics=False
)
_ANT_WITHOUT_FORCES = replace(_ANT, options={**_ENDLESS, "use_contact_force": False})
_HUMANOID = EnvpoolTask(
    pool_id="Humanoid-v5", options=_ENDLESS, n_hidden=2, positions=_leading(24), same_physics=False
)
_REACHER = EnvpoolTask(pool_id="Reacher-v5", positions=_reacher_positions, terms={"reward_dist": "reward_dist"})
_INVERTED_PENDULUM = EnvpoolTask(
    pool_id="InvertedPendulum-v5",
    options={"healthy_z_min": -_FAR, "healthy_z_max": _FAR},  # so that it never ends
    positions=_leading(2),
    reward=_upright,
)

_TASKS: Mapping[str, EnvpoolTask] = {
    "prefrl/Hopper-v0": _HOPPER,
    "prefrl/HopperBackflip-v0": _HOPPER,
    "prefrl/HopperFrontFlip-v0": _HOPPER,
    "prefrl/HalfCheetah-v0": _HALFCHEETAH,
    "prefrl/HalfCheetahBackwards-v0": _HALFCHEETAH,
    "prefrl/HalfCheetahOneLeg-v0": _HALFCHEETAH,
    "prefrl/Walker2d-v0": _WALKER2D,
    "prefrl/Walker2dOneFoot-v0": _WALKER2D,
    "prefrl/Swimmer-v0": _SWIMMER,
    "prefrl/Ant-v0": _ANT,
    "prefrl/AntTurning-v0": _ANT_WITHOUT_FORCES,
    "prefrl/Humanoid-v0": _HUMANOID,
    "prefrl/Reacher-v0": _REACHER,
    "prefrl/InvertedPendulum-v0": _INVERTED_PENDULUM,
}

SHARED_IDS = tuple(_TASKS)
"""The ids that EnvPool can step."""
