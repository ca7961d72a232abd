"""How much of an environment's observations a run can keep.

What the recorder keeps follows from the settings and the spaces alone, so that a run goes on exactly on another
machine.
"""

import inspect
import os
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.agents.algorithms import algorithm
from prefrl.agents.environments import frame_stack_of
from prefrl.config import RunConfig
from prefrl.errors import SettingError
from prefrl.registry import OFF_POLICY
from prefrl.reward.inputs import is_image
from prefrl.segments import SegmentRecorder, n_features
from prefrl_envs.live_frames import N_BYTES, LiveFrames
from prefrl_envs.redrawing import layers

RECORDER_BYTES = 2**30
"""So much the recorder takes at most, if two segments of each environment fit."""

REPLAY_BYTES = 2**31
"""A replay buffer takes no more unless the settings say how many steps it has room for."""


def fitting_recorder_steps(config: RunConfig, environments: VecEnv) -> int:
    """Return how many steps per environment the recorder keeps: as the settings say, or what fits.

    Args:
        config: Of the run.
        environments: Its environments, frames stacked.
    """
    row = _recorded_bytes(environments) * environments.num_envs
    return min(config.feedback.recorder_steps, max(RECORDER_BYTES // row, 2 * config.segment_length))


def check_memory(config: RunConfig, environments: VecEnv) -> None:
    """Refuse observations that would fill this machine.

    Args:
        config: Of the run.
        environments: Its environments, frames stacked.

    Raises:
        SettingError: Rollout, recorder and comparisons would take more than half of its memory.
    """
    observations, n_envs = environments.observation_space, environments.num_envs
    if config.algo in OFF_POLICY:
        n_bytes = fitting_buffer_size(config, environments) * _step_bytes(config, environments)
        needed = {"the replay buffer": n_bytes}
    else:
        needed = {"a rollout": config.agent.settings.get("n_steps", 1) * n_envs * _kept_bytes(observations)}
    if config.reward == "preferences":
        steps = fitting_recorder_steps(config, environments)
        needed["the recorder"] = steps * n_envs * _recorded_bytes(environments)
        if not is_image(observations):  # images are compressed
            looks = 2 if config.reward_model.next_observation else 1
            numbers = looks * n_features(observations) + n_features(environments.action_space)
            n_comparisons = min(config.labels, config.reward_model.memory or config.labels)
            needed["the comparisons"] = n_comparisons * 2 * config.segment_length * numbers * 4
    total = sum(needed.values())
    if total > memory_bytes() / 2:
        parts = ", ".join(f"{part} {n_bytes / 1e9:.1f} GB" for part, n_bytes in needed.items())
        raise SettingError(
            f"The observations {observations} are too large for the {memory_bytes() / 1e9:.0f} GB of this "
            f"machine: {parts}; make them smaller (gymnasium's ResizeObservation), or "
            + (
                "the buffer (agent.settings.buffer_size)."
                if config.algo in OFF_POLICY
                else "use fewer environments (agent.n_envs)."
            )
        )


def memory_bytes() -> int:
    """Return the memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _recorded_bytes(environments: VecEnv) -> int:
    """Bytes of one step of one environment in the recorder."""
    one = SegmentRecorder(
        environments.observation_space,
        environments.action_space,
        1,
        capacity=1,
        frame_stack=frame_stack_of(environments),
    )
    return one.n_bytes + (N_BYTES if keeps_frames(environments) else 0)


def keeps_frames(environments: VecEnv) -> bool:
    """Return whether every step is drawn and kept as a picture."""
    inner = environments.unwrapped
    return isinstance(inner, DummyVecEnv) and any(isinstance(layer, LiveFrames) for layer in layers(inner.envs[0]))


def fitting_buffer_size(config: RunConfig, environments: VecEnv) -> int:
    """Return how many steps the replay buffer has room for: as the settings say, or SB3's million, or what fits.

    Args:
        config: Of a run with an off-policy algorithm.
        environments: Its environments, frames stacked.

    Raises:
        SettingError: The settings say something that is no number.
    """
    size = config.agent.settings.get("buffer_size")
    if size is None:
        default = int(inspect.signature(algorithm(config.algo)).parameters["buffer_size"].default)
        return min(default, max(REPLAY_BYTES // _step_bytes(config, environments), 1))
    if not isinstance(size, int):
        raise SettingError(f"`buffer_size` of the agent must be a whole number of steps. Received {size!r}.")
    return size


def _step_bytes(config: RunConfig, environments: VecEnv) -> int:
    """Bytes of a step in the replay buffer; SB3 keeps observations as they are."""
    looks = 1 if config.agent.settings.get("optimize_memory_usage") else 2
    return looks * _raw_bytes(environments.observation_space) + _raw_bytes(environments.action_space) + 12


def _raw_bytes(space: spaces.Space[Any]) -> int:
    if isinstance(space, spaces.Dict):
        return sum(_raw_bytes(inner) for inner in space.spaces.values())
    return int(np.prod(space.shape or ())) * np.dtype(space.dtype).itemsize


def _kept_bytes(space: spaces.Space[Any]) -> int:
    """Bytes of one observation in an agent's rollout; numbers are float32 once they are normalised."""
    if isinstance(space, spaces.Dict):
        return sum(_kept_bytes(inner) for inner in space.spaces.values())
    n = int(np.prod(space.shape or ()))
    return n if space.dtype == np.uint8 else 4 * n
