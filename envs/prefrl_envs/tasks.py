"""The tasks that are there: what they are called, what is to be done, and what a person is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task, as the command line lists it."""

    name: str
    """What the user types, in lower case with hyphens."""
    env_id: str
    """The gymnasium id, registered by `import prefrl_envs`."""
    description: str
    """What the agent is to do, in one line."""
    question: str
    """What a person who compares two clips is asked."""
    horizon: int
    """Steps of every episode."""
    metrics: tuple[str, ...] = ()
    """Names of what is counted per episode besides the reward, as in `info["task_metrics"]`."""


_ALL = (
    Task(
        name="hopper-backflip",
        env_id="prefrl/HopperBackflip-v0",
        description="A one-legged robot does backflips.",
        question="Which clip comes closer to a backflip? Look for the body turning over backward, to the left.",
        horizon=500,
        metrics=("backflips",),
    ),
    Task(
        name="hopper",
        env_id="prefrl/Hopper-v0",
        description="A one-legged robot hops to the right and stays upright.",
        question="In which clip does the robot move better to the right while it stays upright?",
        horizon=1000,
    ),
    Task(
        name="halfcheetah",
        env_id="prefrl/HalfCheetah-v0",
        description="A two-legged robot runs to the right.",
        question="In which clip does the robot run faster to the right?",
        horizon=1000,
    ),
    Task(
        name="walker2d",
        env_id="prefrl/Walker2d-v0",
        description="A two-legged robot walks to the right and stays upright.",
        question="In which clip does the robot walk better to the right while it stays upright?",
        horizon=1000,
    ),
    Task(
        name="swimmer",
        env_id="prefrl/Swimmer-v0",
        description="A chain of three links swims to the right.",
        question="In which clip does the chain swim faster to the right?",
        horizon=1000,
    ),
    Task(
        name="ant",
        env_id="prefrl/Ant-v0",
        description="A four-legged robot walks to the right and stays on its feet.",
        question="In which clip does the robot walk faster to the right without falling over?",
        horizon=1000,
    ),
    Task(
        name="reacher",
        env_id="prefrl/Reacher-v0",
        description="An arm of two joints puts its fingertip on a target.",
        question="In which clip is the fingertip closer to the red target?",
        horizon=50,
    ),
    Task(
        name="inverted-double-pendulum",
        env_id="prefrl/InvertedDoublePendulum-v0",
        description="A cart balances two poles, one on top of the other.",
        question="In which clip do the poles stand more upright?",
        horizon=50,
    ),
    Task(
        name="pendulum",
        env_id="prefrl/Pendulum-v0",
        description="A pendulum too heavy to be lifted at once swings up and stands still.",
        question="In which clip is the pendulum closer to standing upright and still?",
        horizon=200,
    ),
    Task(
        name="gridworld",
        env_id="prefrl/GridWorld-v0",
        description="Walk to the green cell of a small grid by the best way, and stay there.",
        question="Which walk is better? Green is best, coins are good, sand is bad, mud worse, bumping bad.",
        horizon=20,
    ),
)

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in _ALL})
"""Every task by its name, in the order in which they are listed."""
