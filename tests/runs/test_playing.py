"""A policy at play without learning."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from prefrl.config import RunConfig
from prefrl.runs import TrainingProgress, start
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.environments import make_environments
from prefrl.runs.playing import play, play_at_random
from prefrl.runs.saved_parts import saved_agent

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]


@pytest.mark.usefixtures("train_only")
def test_the_policy_sees_what_it_saw_when_it_was_saved(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    """Observations are normalised by the statistics of then, however many steps are played."""
    config = small_config("pendulum", reward="true", time_limit=20, agent={"normalize_observations": True})
    start(config, tmp_path / "run", quiet)
    checkpoint = Checkpoint(checkpoints(tmp_path / "run" / "checkpoints")[-1])
    mean = checkpoint.arrays["normalizer/observation:.mean"]
    var = checkpoint.arrays["normalizer/observation:.var"]
    agent = saved_agent(config.algo, checkpoint.agent, "cpu")
    environments = make_environments(config, n_envs=2, seed=5)
    steps = list(islice(play(config, environments, checkpoint), 60))
    environments.close()
    for step in steps:
        seen = np.clip((step.observations - mean) / np.sqrt(var + 1e-8), -10, 10).astype(np.float32)
        assert step.actions == pytest.approx(agent.predict(seen, deterministic=True)[0], abs=1e-4)
    assert [int(step.dones[0]) for step in steps].count(1) == 3


def test_actions_by_chance_are_of_their_seed(small_config: MakeConfig) -> None:
    config = small_config("pendulum", time_limit=20)

    def actions(seed: int) -> list[list[float]]:
        environments = make_environments(config, n_envs=2, seed=5)
        found = [step.actions.ravel().tolist() for step in islice(play_at_random(config, environments, seed), 5)]
        environments.close()
        return found

    assert actions(1) == actions(1)
    assert actions(1) != actions(2)
    assert len({value for step in actions(1) for value in step}) == 10  # nor do two environments do the same
