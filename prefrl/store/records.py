"""What trainer and labelling page tell each other: records that both import, and names in the log that both know.

A change on one side then fails the type check on the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias

TrainerState: TypeAlias = Literal["starting", "training", "waiting", "paused", "finished", "stopped"]
Wish: TypeAlias = Literal["go_on", "pause", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What a run is about, for people to see and for their clips to be drawn."""

    key: ClassVar[str] = "run"

    task: str
    """Preset or environment id."""
    env_id: str
    """Environment that draws the clips."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """What it is made with."""
    question: str
    """What people are asked."""
    n_labels: int
    """Comparisons that the run wants in all."""
    segment_length: int
    """Steps T of a segment."""
    feedback: str = "pair"
    """Kind of feedback that is asked for; one of `prefrl.registry.FEEDBACK_KINDS`."""
    total_timesteps: int | None = None
    """Environment steps of the whole training."""
    seed: int | None = None
    """Seed of the training."""
    algo: str | None = None
    """Name of the algorithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerRecord:
    """What a training does at the moment."""

    key: ClassVar[str] = "trainer"

    state: TrainerState
    """What it is at."""
    training: str = ""
    """Name of this training, another one each time a run is begun or resumed; empty where it follows no wishes."""
    num_timesteps: int = 0
    """Environment steps so far."""
    labels: int = 0
    """Comparisons it knows."""
    labels_due: float = 0
    """Comparisons it should know by now, according to the schedule."""
    waits_for: int | None = None
    """Answers that are missing until the agent goes on, where it waits."""
    refits: int = 0
    """How often the reward has been fitted."""
    true_return: float | None = None
    """Mean true return of the latest episodes."""
    held_out_accuracy: float | None = None
    """Accuracy of the reward model on comparisons that it was not trained on."""
    policies: int = 1
    """Policies so far: more than one where one got no better and a fresh one took its place."""
    note: str | None = None
    """The latest that people should know of the policy: that it got no better, and what is done about it."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """What the owner should look at, by the name of whose answers contradict the reward; a sentence each."""
    updated_at: int
    """When this was said, milliseconds since 1970 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WishRecord:
    """What the owner of a run wishes of its agent, said on the page."""

    key: ClassVar[str] = "wish"

    training: str
    """The one training that it is for, by `TrainerRecord.training`: no wish outlives it."""
    wish: Wish
    """What it should do: "stop" saves, and is the end of this training."""
    by: str
    """Who wishes it."""
    updated_at: int
    """When this was said, milliseconds since 1970 UTC."""


class LogKey(StrEnum):
    """Names in the run's log that the page's curves and the report read."""

    NUM_TIMESTEPS = "time/total_timesteps"
    TRUE_RETURN = "rollout/ep_rew_mean"
    PREDICTED_RETURN = "rollout/ep_predicted_rew_mean"
    ACCURACY = "reward_model/accuracy"
    FRESH_ACCURACY = "reward_model/fresh_accuracy"
    LABELS = "labels/total"


TASK_METRICS = "task/"
"""What the names of a task's own metrics begin with."""
