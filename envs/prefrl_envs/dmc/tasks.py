"""Tasks of the DeepMind Control Suite on which preference learning is compared, as in B-Pref (Lee et al. 2021)."""

from prefrl_envs.body_parts import BodyPart
from prefrl_envs.extras import DMC
from prefrl_envs.mujoco import bodies
from prefrl_envs.task import Task

HORIZON = 1000
"""Steps of every episode, as in the suite. A step earns from 0 to 1, so that returns are out of 1,000."""


def _task(
    domain: str,
    task: str,
    *,
    camera: dict[str, object],
    parts: tuple[BodyPart, ...],
    description: str,
    question: str,
    oracle: str,
) -> Task:
    return Task(
        name=f"{domain}-{task}",
        env_name=f"{domain.capitalize()}{task.capitalize()}",
        family="dmc",
        entry_point="prefrl_envs.dmc.env:ControlSuite",
        kwargs={"domain": domain, "task": task, "default_camera_config": camera},
        horizon=HORIZON,
        description=description,
        question=question,
        oracle=oracle,
        parts=parts,
        extra=DMC,
    )


TASKS: tuple[Task, ...] = (
    _task(
        "walker",
        "walk",
        camera={"trackbodyid": 1, "distance": 3.0, "elevation": -9.0, "lookat": (0.0, 0.0, 0.9)},
        parts=bodies.DMC_WALKER,
        description="A two-legged robot walks to the right, upright.",
        question="In which clip does the robot walk better to the right, upright?",
        oracle="The suite's: up to 1 a step for height, upright torso and 1 m/s forward.",
    ),
    _task(
        "cheetah",
        "run",
        camera={"trackbodyid": 1, "distance": 2.9, "elevation": -10.0, "lookat": (0.0, 0.0, 0.6)},
        parts=bodies.HALFCHEETAH,
        description="A two-legged robot runs to the right, at 10 m/s at best.",
        question="In which clip does the robot run to the right faster?",
        oracle="The suite's: speed forward, 1 a step from 10 m/s on.",
    ),
    _task(
        "quadruped",
        "walk",
        camera={"trackbodyid": 1, "distance": 4.5, "elevation": -30.0},
        parts=bodies.DMC_QUADRUPED,
        description="A four-legged robot walks forward.",
        question="In which clip does the robot walk better, upright and forward, the way its eyes look?",
        oracle="The suite's: up to 1 a step for an upright torso and 0.5 m/s forward.",
    ),
)
