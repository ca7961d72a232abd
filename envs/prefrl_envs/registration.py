"""The ids of our tasks, and how gymnasium builds each of them.

Every episode of every id has the same length: nothing the agent does ends it, because the mere length of an
episode, and the sign of any constant reward with it, would otherwise give the task away (Christiano et al.
2017, appendix A: "we replaced the termination conditions").

The rewards are those of gymnasium's environments, with what the fixed horizon makes of them:

- Hopper, Walker2d, Ant: the healthy reward is paid in healthy steps only (gymnasium v5). It is a function of
  the state, hence visible in a segment.
- InvertedDoublePendulum: the alive bonus is paid only while the tip is above 1 m; later steps are worth 0
  minus the distance and velocity penalties, and the poles go on swinging.
- Swimmer, HalfCheetah, Reacher, Pendulum never ended early and are unchanged.

Cameras differ from gymnasium's where its default shows too little to a person: Hopper, Walker2d and HalfCheetah
near, and from so low that one sees whether a foot is on the ground; Reacher from above, InvertedDoublePendulum
near enough, Ant and Swimmer followed.

gymnasium's `PassiveEnvChecker` and `OrderEnforcing` are left out: our environments are checked by tests.
"""

import gymnasium
from gymnasium.envs.registration import WrapperSpec

_MUJOCO = "gymnasium.envs.mujoco"
_NO_TERMINATION: dict[str, object] = {"terminate_when_unhealthy": False}
_SIDE: dict[str, object] = {"trackbodyid": 1, "distance": 3.2, "elevation": -10.0, "lookat": (0.0, 0.0, 0.6)}
_UPRIGHT: dict[str, object] = {"trackbodyid": 1, "distance": 2.6, "elevation": -8.0, "lookat": (0.0, 0.0, 0.95)}
_SLANT: dict[str, object] = {"trackbodyid": 1, "distance": 5.0, "elevation": -45.0}
_ABOVE: dict[str, object] = {"trackbodyid": 0, "distance": 0.8, "elevation": -90.0, "lookat": (0.0, 0.0, 0.0)}
_RAIL: dict[str, object] = {"trackbodyid": 0, "distance": 4.0, "elevation": -25.0, "lookat": (0.0, 0.0, 0.1)}
_HIDE_TERMINATION = WrapperSpec("HideTermination", "prefrl_envs.fixed_horizon:HideTermination", {})
_TASK_METRICS = WrapperSpec("TaskMetrics", "prefrl_envs.task_metrics:TaskMetrics", {})


def register_all() -> None:
    """Register every id of this package with gymnasium; ids that are registered already are left alone."""
    _register("Hopper", f"{_MUJOCO}.hopper_v5:HopperEnv", 1000, kwargs=_NO_TERMINATION, camera=_UPRIGHT)
    _register("HalfCheetah", "prefrl_envs.fixed_horizon:HalfCheetah", 1000, camera=_SIDE)
    _register("Walker2d", f"{_MUJOCO}.walker2d_v5:Walker2dEnv", 1000, kwargs=_NO_TERMINATION, camera=_UPRIGHT)
    _register("Swimmer", f"{_MUJOCO}.swimmer_v5:SwimmerEnv", 1000, camera=_SLANT)
    _register("Ant", f"{_MUJOCO}.ant_v5:AntEnv", 1000, kwargs=_NO_TERMINATION, camera=_SLANT)
    _register("Reacher", f"{_MUJOCO}.reacher_v5:ReacherEnv", 50, camera=_ABOVE)
    _register(
        "InvertedDoublePendulum",
        f"{_MUJOCO}.inverted_double_pendulum_v5:InvertedDoublePendulumEnv",
        50,
        wrappers=(_HIDE_TERMINATION,),
        camera=_RAIL,
    )
    _register("Pendulum", "gymnasium.envs.classic_control.pendulum:PendulumEnv", 200)
    _register("GridWorld", "prefrl_envs.gridworld:GridWorld", 20)
    _register(
        "HopperBackflip",
        "prefrl_envs.backflip:HopperBackflip",
        500,
        wrappers=(_TASK_METRICS,),
        camera=_UPRIGHT,
    )


def _register(
    name: str,
    entry_point: str,
    horizon: int,
    *,
    kwargs: dict[str, object] | None = None,
    camera: dict[str, object] | None = None,
    wrappers: tuple[WrapperSpec, ...] = (),
) -> None:
    env_id = f"prefrl/{name}-v0"
    if env_id in gymnasium.registry:
        return
    gymnasium.register(
        env_id,
        entry_point,
        max_episode_steps=horizon,
        order_enforce=False,
        disable_env_checker=True,
        additional_wrappers=wrappers,
        kwargs={**(kwargs or {}), **({} if camera is None else {"default_camera_config": camera})},
    )
