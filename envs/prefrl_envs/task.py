"""What is known of a task besides its environment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task, as the command line lists it."""

    name: str
    """What the user types, in lower case with hyphens."""
    family: str
    """One of "mujoco", "behaviour", "atari" and "small"."""
    env_id: str
    """The gymnasium id, registered by `import prefrl_envs`."""
    description: str
    """What the agent is to do, in one line."""
    question: str
    """What a person who compares two clips is asked."""
    oracle: str
    """What the synthetic teacher prefers: the environment's own reward, in one line."""
    horizon: int
    """Steps of every episode."""
    metrics: tuple[str, ...] = ()
    """Names of what is counted per episode besides the reward, as in `info["task_metrics"]`."""
