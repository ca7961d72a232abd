"""What the user should know of an environment before a training: what is done instead where it lacks something."""

import time
from collections.abc import Iterator

from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.config import RunConfig
from prefrl.reward.inputs import is_image
from prefrl.runs.environments import DEFAULT_TIME_LIMIT, OWN_ENVIRONMENT, DefaultTimeLimit
from prefrl.runs.memory_limits import fitting_recorder_steps, keeps_frames
from prefrl.segments import n_features
from prefrl_envs.live_frames import N_BYTES
from prefrl_envs.redrawing import layers

MANY_NUMBERS = 4096
"""Observations of more numbers than this are slow where they are no images."""


def environment_advice(config: RunConfig, environments: VecEnv) -> Iterator[str]:
    """Yield a sentence for each thing that is not as it could be.

    Args:
        config: Of the run.
        environments: Its environments, frames stacked, reset or not.
    """
    inner = environments.unwrapped
    if isinstance(inner, DummyVecEnv) and any(isinstance(e, DefaultTimeLimit) for e in layers(inner.envs[0])):
        yield (
            f"{config.env_id} names no time limit: its episodes are cut off after {DEFAULT_TIME_LIMIT:,} steps "
            "(`--time-limit` changes that)."
        )
    if keeps_frames(environments):
        assert isinstance(inner, DummyVecEnv)
        started = time.perf_counter()
        inner.envs[0].render()
        seconds = time.perf_counter() - started
        kept = fitting_recorder_steps(config, environments) * environments.num_envs * N_BYTES
        yield (
            f"{config.env_id} cannot be drawn from a stored state, so every step is drawn and kept for the people "
            f"who answer: about {1000 * seconds:.1f} ms per step, and {kept / 1e6:.0f} MB; {OWN_ENVIRONMENT} "
            "shows the two methods that make it nearly free."
        )
    observations = environments.observation_space
    if not is_image(observations) and n_features(observations) > MANY_NUMBERS:
        yield (
            f"Observations of {n_features(observations):,} numbers are slow. An image is read by a convolutional "
            "network instead if it is uint8 of shape [height, width, channels] or [channels, height, width], and "
            "all there is to an observation."
        )
    steps = fitting_recorder_steps(config, environments) if config.reward == "preferences" else None
    if steps is not None and steps < config.feedback.recorder_steps:
        yield (
            f"The observations are large: of each environment the latest {steps:,} steps are kept to ask "
            f"about, not {config.feedback.recorder_steps:,} (feedback.recorder_steps); smaller ones leave room."
        )
