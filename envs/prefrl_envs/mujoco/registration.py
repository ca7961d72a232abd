"""The ids of the MuJoCo tasks, and how gymnasium builds each of them.

The eight tasks of the paper take `oracle="paper"` for the paper's reward. By default their rewards are those of
gymnasium's environments, with what the fixed horizon makes of them:

- Hopper, Walker2d, Ant, Humanoid: the healthy reward is paid in healthy steps only (gymnasium v5). It is a
  function of the state, hence visible in a segment.
- InvertedPendulum, InvertedDoublePendulum: the alive bonus is paid only while the pole stands (within 0.2 rad of
  upright; the tip above 1 m); later steps are worth 0, minus the double pendulum's penalties, and the poles go on
  swinging.
- Swimmer, HalfCheetah and Reacher never ended early and are unchanged.

The horizons are those of the paper's code where it gives one. The pendulums are that short there because a pole
that has fallen does not come up again: InvertedPendulum's is down within a second, 25 steps, and longer episodes
would consist of poles that lie.

Cameras differ from gymnasium's where its default shows too little to a person: Hopper, Walker2d and HalfCheetah
near, and from so low that one sees whether a foot is on the ground; Reacher from above, the pendulums near enough,
Ant, Swimmer and Humanoid followed, and from higher up where the Ant is to turn.
"""

from prefrl_envs.ids import HIDE_TERMINATION, TASK_METRICS
from prefrl_envs.ids import register as register_id

_ROBOTS = "prefrl_envs.mujoco.robots"
_HUMANOID = "gymnasium.envs.mujoco.humanoid_v5:HumanoidEnv"
_NO_TERMINATION: dict[str, object] = {"terminate_when_unhealthy": False}
_HIDDEN = (HIDE_TERMINATION,)


def _camera(**settings: object) -> dict[str, object]:
    return {"default_camera_config": settings}


_SIDE = _camera(trackbodyid=1, distance=3.2, elevation=-10.0, lookat=(0.0, 0.0, 0.6))
_UPRIGHT = _camera(trackbodyid=1, distance=2.6, elevation=-8.0, lookat=(0.0, 0.0, 0.95))
_SLANT = _camera(trackbodyid=1, distance=5.0, elevation=-45.0)
_STEEP = _camera(trackbodyid=1, distance=4.0, elevation=-65.0)
_FRONT = _camera(trackbodyid=1, distance=3.6, elevation=-10.0, lookat=(0.0, 0.0, 0.9))
_ABOVE = _camera(trackbodyid=0, distance=0.8, elevation=-90.0, lookat=(0.0, 0.0, 0.0))
_RAIL = _camera(trackbodyid=0, distance=4.0, elevation=-25.0, lookat=(0.0, 0.0, 0.1))
_CART = _camera(trackbodyid=0, distance=2.4, elevation=-12.0, lookat=(0.0, 0.0, 0.2))


def register() -> None:
    """Register the ids of this family."""
    register_id("Hopper", f"{_ROBOTS}:Hopper", 1000, kwargs=_NO_TERMINATION | _UPRIGHT)
    register_id("HalfCheetah", f"{_ROBOTS}:HalfCheetah", 1000, kwargs=_SIDE)
    register_id("Walker2d", f"{_ROBOTS}:Walker2d", 1000, kwargs=_NO_TERMINATION | _UPRIGHT)
    register_id("Swimmer", f"{_ROBOTS}:Swimmer", 1000, kwargs=_SLANT)
    register_id("Ant", f"{_ROBOTS}:Ant", 1000, kwargs=_NO_TERMINATION | _SLANT)
    register_id("Reacher", f"{_ROBOTS}:Reacher", 50, kwargs=_ABOVE)
    register_id("InvertedPendulum", f"{_ROBOTS}:InvertedPendulum", 25, wrappers=_HIDDEN, kwargs=_CART)
    register_id("InvertedDoublePendulum", f"{_ROBOTS}:InvertedDoublePendulum", 50, wrappers=_HIDDEN, kwargs=_RAIL)
    register_id("Humanoid", _HUMANOID, 1000, kwargs=_NO_TERMINATION | _FRONT)
    _register_behaviour("HopperBackflip", "flips:HopperBackflip", _UPRIGHT)
    _register_behaviour("HopperFrontFlip", "flips:HopperFrontFlip", _UPRIGHT)
    _register_behaviour("HalfCheetahBackwards", "backwards:HalfCheetahBackwards", _SIDE)
    _register_behaviour("HalfCheetahOneLeg", "one_leg:HalfCheetahOneLeg", _SIDE)
    _register_behaviour("Walker2dOneFoot", "one_leg:Walker2dOneFoot", _UPRIGHT)
    _register_behaviour("AntTurning", "turning:AntTurning", _STEEP)


def _register_behaviour(name: str, entry_point: str, camera: dict[str, object]) -> None:
    register_id(name, f"prefrl_envs.mujoco.{entry_point}", 500, wrappers=(TASK_METRICS,), kwargs=camera)
