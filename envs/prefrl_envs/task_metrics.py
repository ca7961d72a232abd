"""What a task counts besides its reward, reported once per episode."""

from typing import Any, Protocol, SupportsFloat, cast

import gymnasium
from gymnasium.utils import RecordConstructorArgs


class HasTaskMetrics(Protocol):
    """An environment that counts something over an episode."""

    def task_metrics(self) -> dict[str, float]:
        """Return the counts of the episode so far, by name."""
        ...


class TaskMetrics(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts `info["task_metrics"]` (a `dict[str, float]`) into the last step of each episode.

    Must sit outside the time limit, to see the episode end. The innermost environment counts: it has a method
    `task_metrics() -> dict[str, float]`.

    Raises:
        TypeError: The innermost environment has no method `task_metrics`.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Keep the environment and check that it counts something."""
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        if not callable(getattr(env.unwrapped, "task_metrics", None)):
            raise TypeError(f"`env` needs a method task_metrics(); {type(env.unwrapped).__name__} has none.")

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment; at the end of an episode add its metrics to a copy of `info`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            counted = cast("HasTaskMetrics", self.env.unwrapped)
            info = {**info, "task_metrics": counted.task_metrics()}
        return observation, reward, terminated, truncated, info
