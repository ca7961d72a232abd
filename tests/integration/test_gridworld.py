"""A small world from preferences alone: the policy that comes out is the one that value iteration computes."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.agents import algorithm
from prefrl.config import RunConfig, load_preset
from prefrl.reward import RewardEnsemble
from prefrl.runs import start, train
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl_envs.small.gridworld import CELLS, MOVES, optimal_actions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(autouse=True)
def train_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "_finish", lambda folder: {})


def missed_cells(path: Path, **changes: Any) -> tuple[list[int], list[int]]:
    """Train; return the cells in which the policy, and the best one for the learned reward, are not optimal."""
    values: Mapping[str, Any] = load_preset("gridworld", "ppo").to_json() | changes
    config = RunConfig.from_json(values)
    start(config, path, lambda progress: None)
    gamma = config.agent.settings["gamma"]
    best = optimal_actions(gamma)
    agent = algorithm("ppo").load(io.BytesIO(Checkpoint(checkpoints(path / "checkpoints")[-1]).agent))
    chosen, _ = agent.predict(np.arange(len(CELLS)), deterministic=True)
    cells, actions = np.divmod(np.arange(len(CELLS) * len(MOVES)), len(MOVES))
    rewards = RewardEnsemble.load(path / "reward_model").predict(cells, actions).astype(np.float64)
    best_learned = optimal_actions(gamma, rewards.reshape(len(CELLS), len(MOVES)))
    return (
        [cell for cell in range(len(CELLS)) if int(chosen[cell]) not in best[cell]],
        [cell for cell in range(len(CELLS)) if not best_learned[cell] <= best[cell]],
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_policy_is_optimal_in_every_cell(seed: int, tmp_path: Path) -> None:
    missed, missed_by_reward = missed_cells(tmp_path / "run", seed=seed)
    assert missed_by_reward == []
    assert missed == []


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_without_information_teach_nothing(seed: int, tmp_path: Path) -> None:
    missed, missed_by_reward = missed_cells(tmp_path / "run", seed=seed, shuffle_labels=True)
    # A random policy is right in a quarter of the 14 cells.
    assert len(missed) >= 5
    assert len(missed_by_reward) >= 5
