"""Runs of a few hundred steps, which are a whole training all the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.config import RunConfig, load_preset
from prefrl.runs import TrainingProgress, train

MakeConfig = Callable[..., RunConfig]
Train = Callable[..., Path]

_ROLLOUT: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 32, "batch_size": 64, "n_epochs": 2},
    "a2c": {"n_steps": 8},
    "trpo": {"n_steps": 32, "batch_size": 32},
    "ppo_lstm": {"n_steps": 32, "batch_size": 64, "n_epochs": 1},
}
_REPLAY = {"learning_starts": 64, "batch_size": 8, "train_freq": 2, "gradient_steps": 1, "buffer_size": 400}


def small_config_of(task: str = "pendulum", algo: str = "ppo", **changes: Any) -> RunConfig:
    """Settings of 10 rollouts of 64 steps (A2C: 40 of 16, off-policy 160 of 4), asking 24 labels from step 128."""
    values = load_preset(task, algo, teacher=changes.get("teacher")).to_json()
    values |= {
        "total_timesteps": 640,
        "labels": 24,
        "segment_length": 8,
        "checkpoint_every": 128,
        "evaluation_episodes": 2,
        "stepping": "sb3",
    }
    values["feedback"] |= {"initial_timesteps": 128, "labels_per_round": 4, "recorder_steps": 80}
    values["reward_model"] |= {"hidden_sizes": [16], "first_epochs": 3, "epochs": 2, "batch_size": 8}
    values["agent"] |= {"n_envs": 2, "hidden_sizes": [16]}
    values["agent"]["settings"] |= _ROLLOUT.get(algo, _REPLAY)
    _merge(values, changes)
    return RunConfig.from_json(values)


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and key in values:
            _merge(values[key], value)
        else:
            values[key] = value


@pytest.fixture
def small_config() -> MakeConfig:
    """Make settings of a short run; keyword arguments change them, mappings key by key."""
    return small_config_of


@pytest.fixture
def train_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the evaluation after the training."""
    monkeypatch.setattr(train, "_finish", lambda folder: {})


@pytest.fixture
def quiet() -> Callable[[TrainingProgress], None]:
    """A listener that does nothing."""
    return lambda progress: None
