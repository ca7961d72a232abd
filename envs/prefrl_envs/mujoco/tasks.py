"""The MuJoCo tasks, and how gymnasium builds each of them.

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

Cameras differ from gymnasium's where its default shows too little to a person: Hopper, Walker2d and HalfCheetah as
near as a jump allows, and from so low that one sees whether a foot is on the ground; Reacher from above, the
pendulums near enough, Ant, Swimmer and Humanoid followed, and from higher up where the Ant is to turn.
"""

from prefrl_envs.mujoco import bodies
from prefrl_envs.mujoco import envpool_stepping as envpool
from prefrl_envs.task import HIDE_TERMINATION, Task

_ROBOTS = "prefrl_envs.mujoco.robots"
_NO_TERMINATION: dict[str, object] = {"terminate_when_unhealthy": False}


def _camera(**settings: object) -> dict[str, object]:
    return {"default_camera_config": settings}


_SIDE = _camera(trackbodyid=1, distance=2.9, elevation=-11.0, lookat=(0.0, 0.0, 0.78))
_UPRIGHT = _camera(trackbodyid=1, distance=2.55, elevation=-9.0, lookat=(0.0, 0.0, 1.0))
_SLANT = _camera(trackbodyid=1, distance=4.2, elevation=-45.0)
_FLAT = _camera(trackbodyid=1, distance=4.8, elevation=-45.0)
_STEEP = _camera(trackbodyid=1, distance=3.5, elevation=-65.0)
_FRONT = _camera(trackbodyid=1, distance=2.7, elevation=-10.0, lookat=(0.0, 0.0, 0.8))
_ABOVE = _camera(trackbodyid=0, distance=0.8, elevation=-90.0, lookat=(0.0, 0.0, 0.0))
_RAIL = _camera(trackbodyid=0, distance=4.0, elevation=-25.0, lookat=(0.0, 0.0, 0.1))
_CART = _camera(trackbodyid=0, distance=2.4, elevation=-12.0, lookat=(0.0, 0.0, 0.2))

TASKS: tuple[Task, ...] = (
    Task(
        name="hopper-backflip",
        env_name="HopperBackflip",
        family="behaviour",
        entry_point="prefrl_envs.mujoco.flips:HopperBackflip",
        kwargs=_UPRIGHT,
        horizon=500,
        description="A one-legged robot does backflips.",
        question="Which clip comes closer to a backflip? Look for the body turning over backward, to the left.",
        oracle="The hand-written backflip reward published beside the paper: backward rotation, height, effort.",
        metrics=("backflips",),
        per_episode=("backflips",),
        parts=bodies.HOPPER,
        fast=envpool.TURNING_HOPPER,
    ),
    Task(
        name="hopper-front-flip",
        env_name="HopperFrontFlip",
        family="behaviour",
        entry_point="prefrl_envs.mujoco.flips:HopperFrontFlip",
        kwargs=_UPRIGHT,
        horizon=500,
        description="A one-legged robot does front flips.",
        question="Which clip comes closer to a front flip? Look for the body turning over forward, to the right.",
        oracle="Speed of turning forward [rad/s] times height of the torso [m].",
        metrics=("front_flips",),
        per_episode=("front_flips",),
        parts=bodies.HOPPER,
        fast=envpool.TURNING_HOPPER,
    ),
    Task(
        name="halfcheetah-one-leg",
        env_name="HalfCheetahOneLeg",
        family="behaviour",
        entry_point="prefrl_envs.mujoco.one_leg:HalfCheetahOneLeg",
        kwargs=_SIDE,
        horizon=500,
        description="A two-legged robot moves to the right on its back leg alone.",
        question="In which clip does the robot come along better on its back leg, with the front foot in the air?",
        oracle="Speed forward (up to 1 m/s) times height of the front foot (up to 40 cm), unless turned over.",
        metrics=("one_leg_share",),
        parts=bodies.HALFCHEETAH,
        fast=envpool.HALFCHEETAH,
    ),
    Task(
        name="halfcheetah-backwards",
        env_name="HalfCheetahBackwards",
        family="behaviour",
        entry_point="prefrl_envs.mujoco.backwards:HalfCheetahBackwards",
        kwargs=_SIDE,
        horizon=500,
        description="A two-legged robot runs backwards, to the left.",
        question="In which clip does the robot run faster backwards, to the left?",
        oracle="Speed backwards [m/s].",
        metrics=("backward_speed",),
        parts=bodies.HALFCHEETAH,
        fast=envpool.HALFCHEETAH,
    ),
    Task(
        name="walker2d-one-foot",
        env_name="Walker2dOneFoot",
        family="behaviour",
        entry_point="prefrl_envs.mujoco.one_leg:Walker2dOneFoot",
        kwargs=_UPRIGHT,
        horizon=500,
        description="A two-legged robot stands or hops on one foot.",
        question="In which clip does the robot stand better on one foot, with the left one (blue) in the air?",
        oracle="Height of the torso plus ten times how high (to 20 cm) and still the left foot is, if straight.",
        metrics=("one_foot_share",),
        parts=bodies.WALKER2D,
        fast=envpool.WALKER2D,
    ),
    Task(
        name="ant-turning",
        env_name="AntTurning",
        family="behaviour",
        entry_point="prefrl_envs.mujoco.turning:AntTurning",
        kwargs=_STEEP,
        horizon=500,
        description="A four-legged robot turns on the spot.",
        question="In which clip does the robot turn faster to its left (against the clock) on the spot?",
        oracle="Speed of turning left while upright [rad/s] minus a fifth of the speed over the floor [m/s].",
        metrics=("turns_per_minute", "drift"),
        parts=bodies.ANT,
        fast=envpool.ANT_WITHOUT_FORCES,
    ),
    Task(
        name="hopper",
        env_name="Hopper",
        family="mujoco",
        entry_point=f"{_ROBOTS}:Hopper",
        kwargs=_NO_TERMINATION | _UPRIGHT,
        horizon=1000,
        description="A one-legged robot hops to the right and stays upright.",
        question="In which clip does the robot move better to the right while it stays upright?",
        oracle="Speed forward, 1 while upright, minus control cost.",
        paper_oracle="Speed plus height of the torso.",
        parts=bodies.HOPPER,
        fast=envpool.HOPPER,
    ),
    Task(
        name="halfcheetah",
        env_name="HalfCheetah",
        family="mujoco",
        entry_point=f"{_ROBOTS}:HalfCheetah",
        kwargs=_SIDE,
        horizon=1000,
        description="A two-legged robot runs to the right.",
        question="In which clip does the robot run faster to the right?",
        oracle="Speed forward minus control cost.",
        paper_oracle="Speed forward.",
        parts=bodies.HALFCHEETAH,
        fast=envpool.HALFCHEETAH,
    ),
    Task(
        name="walker2d",
        env_name="Walker2d",
        family="mujoco",
        entry_point=f"{_ROBOTS}:Walker2d",
        kwargs=_NO_TERMINATION | _UPRIGHT,
        horizon=1000,
        description="A two-legged robot walks to the right and stays upright.",
        question="In which clip does the robot walk better to the right while it stays upright?",
        oracle="Speed forward, 1 while upright, minus control cost.",
        paper_oracle="Speed plus height of the torso.",
        parts=bodies.WALKER2D,
        fast=envpool.WALKER2D,
    ),
    Task(
        name="swimmer",
        env_name="Swimmer",
        family="mujoco",
        entry_point=f"{_ROBOTS}:Swimmer",
        kwargs=_FLAT,
        horizon=1000,
        description="A chain of three links swims to the right.",
        question="In which clip does the chain swim faster to the right?",
        oracle="Speed forward minus control cost.",
        paper_oracle="Speed forward.",
        parts=bodies.SWIMMER,
        fast=envpool.SWIMMER,
    ),
    Task(
        name="ant",
        env_name="Ant",
        family="mujoco",
        entry_point=f"{_ROBOTS}:Ant",
        kwargs=_NO_TERMINATION | _SLANT,
        horizon=1000,
        description="A four-legged robot walks to the right and stays on its feet.",
        question="In which clip does the robot walk faster to the right without falling over?",
        oracle="Speed forward, 1 at a healthy height, minus control and contact cost.",
        paper_oracle="Speed plus height of the torso.",
        parts=bodies.ANT,
        fast=envpool.ANT,
    ),
    Task(
        name="reacher",
        env_name="Reacher",
        family="mujoco",
        entry_point=f"{_ROBOTS}:Reacher",
        kwargs=_ABOVE,
        horizon=50,
        description="An arm of two joints puts its fingertip on a target.",
        question="In which clip is the fingertip closer to the red target?",
        oracle="Minus the distance of the fingertip from the target, minus control cost.",
        paper_oracle="Minus the distance of the fingertip from the target.",
        fast=envpool.REACHER,
    ),
    Task(
        name="inverted-pendulum",
        env_name="InvertedPendulum",
        family="mujoco",
        entry_point=f"{_ROBOTS}:InvertedPendulum",
        kwargs=_CART,
        horizon=25,
        wrappers=(HIDE_TERMINATION,),
        description="A cart balances a pole.",
        question="In which clip does the pole stand more upright?",
        oracle="1 while the pole is within 0.2 rad of upright.",
        paper_oracle="1 minus the square of the pole's angle.",
        fast=envpool.INVERTED_PENDULUM,
    ),
    Task(
        name="inverted-double-pendulum",
        env_name="InvertedDoublePendulum",
        family="mujoco",
        entry_point=f"{_ROBOTS}:InvertedDoublePendulum",
        kwargs=_RAIL,
        horizon=50,
        wrappers=(HIDE_TERMINATION,),
        description="A cart balances two poles, one on top of the other.",
        question="In which clip do the poles stand more upright?",
        oracle="10 while the tip is above 1 m, minus penalties.",
        paper_oracle="10 times the height of the tip, minus penalties.",
    ),
    Task(
        name="humanoid",
        env_name="Humanoid",
        family="mujoco",
        entry_point="gymnasium.envs.mujoco.humanoid_v5:HumanoidEnv",
        kwargs=_NO_TERMINATION | _FRONT,
        horizon=1000,
        description="A robot of two arms and two legs walks to the right and stays upright.",
        question="In which clip does the figure walk better to the right without falling over?",
        oracle="Speed forward, 5 while upright, minus control and contact cost.",
        parts=bodies.HUMANOID,
        fast=envpool.HUMANOID,
    ),
)
