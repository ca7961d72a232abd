"""What a task counts besides its reward, reported once per episode."""

from typing import Any, Protocol, SupportsFloat, cast

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from prefrl_envs.redrawing import layers


class HasTaskMetrics(Protocol):
    """An environment, or a wrapper around one, that counts something over an episode."""

    def task_metrics(self) -> dict[str, float]:
        """Return the counts of the episode so far, by name."""
        ...


class TaskMetrics(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts `info["task_metrics"]` (a `dict[str, float]`) into the last step of each episode.

    Must sit outside the time limit, to see the episode end. The outermost layer counts that has a method
    `task_metrics() -> dict[str, float]`.

    Raises:
        TypeError: No layer has a method `task_metrics`.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        counting = [layer for layer in layers(env) if callable(getattr(layer, "task_metrics", None))]
        if not counting:
            raise TypeError(f"`env` needs a method task_metrics(); {type(env.unwrapped).__name__} has none.")
        self._counting = cast("HasTaskMetrics", counting[0])

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment; at the end of an episode add its metrics to a copy of `info`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            info = {**info, "task_metrics": self._counting.task_metrics()}
        return observation, reward, terminated, truncated, info
