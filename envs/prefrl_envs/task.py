"""A task: its environment, and all that is known of it besides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gymnasium.envs.registration import WrapperSpec

from prefrl_envs.body_parts import BodyPart
from prefrl_envs.extras import Extra
from prefrl_envs.fast_stepping import FastStepping

Family = Literal["behaviour", "mujoco", "dmc", "small", "atari"]

HIDE_TERMINATION = WrapperSpec("HideTermination", "prefrl_envs.fixed_horizon:HideTermination", {})
"""For environments without a switch of their own for going on after a failure."""
TASK_METRICS = WrapperSpec("TaskMetrics", "prefrl_envs.task_metrics:TaskMetrics", {})
"""For environments that count something over an episode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task. Registration, the command line, the choice of oracle and of stepping follow from it."""

    name: str
    """What the user types, in lower case with hyphens."""
    env_name: str
    """Name in the gymnasium id, in camel case."""
    family: Family
    """What it is listed under."""
    entry_point: str
    """"module:class" of the environment, imported when one is made."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of that class."""
    horizon: int
    """Steps of every episode: the time limit is all that ends one."""
    wrappers: tuple[WrapperSpec, ...] = ()
    """Around the time limit, from the inside out. What counts `metrics` is added outside of them."""
    description: str
    """What the agent is to do, in one line."""
    question: str
    """What a person who compares two clips is asked."""
    oracle: str
    """What the synthetic teacher prefers: the environment's own reward, in one line."""
    paper_oracle: str = ""
    """The reward of Christiano et al. (2017) where the class takes `oracle="paper"`, in one line; else empty."""
    metrics: tuple[str, ...] = ()
    """Names of what is counted per episode besides the reward, as in `info["task_metrics"]`."""
    per_episode: tuple[str, ...] = ()
    """Those of `metrics` that are numbers of something per episode; the others are shares, speeds and the like."""
    parts: tuple[BodyPart, ...] = ()
    """How the robot's parts are coloured in clips, in the order of the legend; empty: as its model says."""
    fast: FastStepping | None = None
    """How a simulator steps many of its environments at once, where one can."""
    extra: Extra | None = None
    """What has to be installed besides prefrl itself."""

    @property
    def env_id(self) -> str:
        """The gymnasium id, registered by `import prefrl_envs`."""
        return f"prefrl/{self.env_name}-v0"

    @property
    def rating_question(self) -> str:
        """What a person who rates one clip is asked."""
        return f"How well is this done? {self.description}"

    @property
    def oracles(self) -> tuple[str, ...]:
        """The rewards that the synthetic teacher can go by, the default first."""
        return ("gymnasium", "paper") if self.paper_oracle else ("gymnasium",)

    @property
    def all_wrappers(self) -> tuple[WrapperSpec, ...]:
        """Every wrapper around the time limit, from the inside out."""
        return (*self.wrappers, TASK_METRICS) if self.metrics else self.wrappers

    def facts(self) -> dict[str, Any]:
        """Return what a user wants to know, as JSON-able values."""
        return {
            "name": self.name,
            "family": self.family,
            "env_id": self.env_id,
            "description": self.description,
            "question": self.question,
            "oracle": self.oracle,
            "paper_oracle": self.paper_oracle,
            "horizon": self.horizon,
            "metrics": list(self.metrics),
            "fast_stepping": None if self.fast is None else self.fast.name,
            "extra": None if self.extra is None else self.extra.name,
            "installed": self.extra is None or self.extra.is_installed,
            "install": "" if self.extra is None else self.extra.command,
        }
