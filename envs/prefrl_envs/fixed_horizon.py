"""Episodes whose length tells nothing: terminations are hidden, only the time limit ends an episode."""

from typing import Any, SupportsFloat

import gymnasium
from gymnasium.utils import RecordConstructorArgs


class HideTermination(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Turns every termination into an ordinary step, so that only a time limit ends the episode.

    For environments that have no switch of their own (`terminate_when_unhealthy=False` of gymnasium's
    Hopper, Walker2d, Ant and Humanoid), and that can be stepped on after they terminated.

    >>> env = HideTermination(gymnasium.make("InvertedPendulum-v5"))  # doctest: +SKIP
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment and report `terminated=False` whatever it says."""
        observation, reward, _, truncated, info = self.env.step(action)
        return observation, reward, False, truncated, info
