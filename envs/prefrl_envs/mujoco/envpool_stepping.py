"""How EnvPool steps our MuJoCo robots instead of gymnasium, and how what it gives becomes what we give.

EnvPool's simulators are gymnasium's, in C++. With the same version of MuJoCo the two agree to the last bit
(EnvPool 1.2.5 brings MuJoCo 3.6.0). Beside MuJoCo 4.0 they agree to rounding, but for Ant and Humanoid: MuJoCo
itself moves those a little differently now. EnvPool steps them on request only.

Not shared: InvertedDoublePendulum. Its reward depends on whether the tip is above 1 m at a moment inside the
step, of which EnvPool says nothing but by ending the episode.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from prefrl_envs.extras import FAST, Extra
from prefrl_envs.fast_stepping import FastStepper, FastStepping
from prefrl_envs.mujoco.angles import TORSO_ANGLE, as_sine_and_cosine

if TYPE_CHECKING:
    from prefrl_envs.mujoco.envpool_vector import EnvpoolVector
    from prefrl_envs.task import Task

FloatArray = npt.NDArray[np.floating[Any]]
RewardFn = Callable[[FloatArray], FloatArray]
"""Rewards [N] of steps, from the observations after them [N, O]."""


@dataclass(frozen=True, kw_only=True)
class EnvpoolStepping(FastStepping):
    """How EnvPool steps a robot."""

    name: ClassVar[FastStepper] = "envpool"
    extra: ClassVar[Extra] = FAST
    scope: ClassVar[str] = "MuJoCo tasks"

    pool_id: str
    """EnvPool's id."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Settings of EnvPool's that make it the same task; beside them positions are asked for, see `n_hidden`."""
    n_hidden: int = 0
    """Leading numbers of an observation of EnvPool's that ours has not: positions that only a picture needs."""
    seen: Callable[[FloatArray], FloatArray] | None = None
    """Our observations [N, ...] from EnvPool's without its hidden numbers [N, O], where they are not the same."""
    positions: Callable[[FloatArray], FloatArray]
    """Joint positions [N, nq] from EnvPool's observations [N, n_hidden + O]."""
    terms: Mapping[str, str] = field(default_factory=dict)
    """EnvPool's names of those terms in gymnasium's infos that the paper's reward needs, by gymnasium's."""
    reward: RewardFn | None = None
    """The reward, where it is neither EnvPool's nor the paper's nor that of a `Behaviour`."""
    same_trajectories: bool = True
    """Whether single steps agree to rounding with those of gymnasium under MuJoCo 4.0."""

    def accepts(self, task: "Task", env_kwargs: Mapping[str, Any]) -> bool:
        """Return whether nothing but the time limit, and the oracle of a task that has two, is asked for."""
        allowed = {"max_episode_steps", "oracle"} if task.paper_oracle else {"max_episode_steps"}
        return env_kwargs.keys() <= allowed

    def make(
        self, task: "Task", n_envs: int, *, n_threads: int = 1, env_kwargs: Mapping[str, Any] | None = None
    ) -> "EnvpoolVector":
        """Make the environments.

        Raises:
            ValueError: EnvPool cannot step a task that is made with such arguments.
            ImportError: EnvPool is not installed.
        """
        from prefrl_envs.mujoco.envpool_vector import EnvpoolVector

        return EnvpoolVector(task.env_id, n_envs, n_threads=n_threads, env_kwargs=env_kwargs)


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

HOPPER = EnvpoolStepping(
    pool_id="Hopper-v5", options=_ENDLESS, n_hidden=1, positions=_leading(6), terms={"x_velocity": "x_velocity"}
)
TURNING_HOPPER = replace(HOPPER, seen=lambda observations: as_sine_and_cosine(observations, TORSO_ANGLE))
HALFCHEETAH = EnvpoolStepping(
    pool_id="HalfCheetah-v5", options=_WITH_POSITIONS, n_hidden=1, positions=_leading(9), terms=_FORWARD
)
WALKER2D = EnvpoolStepping(
    pool_id="Walker2d-v5", options=_ENDLESS, n_hidden=1, positions=_leading(9), terms={"x_velocity": "x_velocity"}
)
SWIMMER = EnvpoolStepping(
    pool_id="Swimmer-v5", options=_WITH_POSITIONS, n_hidden=2, positions=_leading(5), terms=_FORWARD
)
ANT = EnvpoolStepping(
    pool_id="Ant-v5", options=_ENDLESS, n_hidden=2, positions=_leading(15), terms=_FORWARD, same_trajectories=False
)
ANT_WITHOUT_FORCES = replace(ANT, options={**_ENDLESS, "use_contact_force": False})
HUMANOID = EnvpoolStepping(
    pool_id="Humanoid-v5", options=_ENDLESS, n_hidden=2, positions=_leading(24), same_trajectories=False
)
REACHER = EnvpoolStepping(pool_id="Reacher-v5", positions=_reacher_positions, terms={"reward_dist": "reward_dist"})
INVERTED_PENDULUM = EnvpoolStepping(
    pool_id="InvertedPendulum-v5",
    options={"healthy_z_min": -_FAR, "healthy_z_max": _FAR},  # so that it never ends
    positions=_leading(2),
    reward=_upright,
)
