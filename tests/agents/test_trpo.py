from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sb3_contrib import TRPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import EntropyTRPO

MakeVenv = Callable[..., VecEnv]
Weights = Callable[[OnPolicyAlgorithm], npt.NDArray[np.float32]]
SETTINGS: dict[str, Any] = {"n_steps": 32, "batch_size": 128, "seed": 0, "device": "cpu"}


class SameAdvantages(BaseCallback):
    """Makes all advantages zero, so that nothing but the bonus is left to follow."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, TRPO)
        self.model.rollout_buffer.advantages = np.zeros_like(self.model.rollout_buffer.advantages)


def entropy(model: TRPO) -> float:
    observations = torch.zeros((1, 2))
    with torch.no_grad():
        value = model.policy.get_distribution(observations).entropy()
    assert value is not None
    return float(value)


def test_without_a_bonus_it_is_trpo_to_the_last_bit(drift_venv: MakeVenv, policy_weights: Weights) -> None:
    ours = EntropyTRPO("MlpPolicy", drift_venv(), ent_coef=0.0, **SETTINGS).learn(384)
    theirs = TRPO("MlpPolicy", drift_venv(), **SETTINGS).learn(384)
    np.testing.assert_array_equal(policy_weights(ours), policy_weights(theirs))


@pytest.mark.parametrize("normalize_advantage", [True, False])
def test_with_equal_advantages_the_bonus_raises_the_entropy(
    drift_venv: MakeVenv, normalize_advantage: bool
) -> None:
    model = EntropyTRPO(
        "MlpPolicy", drift_venv(), ent_coef=0.01, normalize_advantage=normalize_advantage, **SETTINGS
    )
    before = entropy(model)
    model.learn(128 * 3, callback=SameAdvantages())
    # Each step goes as far as the trust region of KL 0.01 lets it; on log sd alone that is 0.1.
    assert entropy(model) > before + 0.05


def test_the_larger_the_bonus_the_larger_the_entropy(drift_venv: MakeVenv) -> None:
    entropies = []
    for ent_coef in (0.0, 0.01, 1.0):
        model = EntropyTRPO("MlpPolicy", drift_venv(), ent_coef=ent_coef, **SETTINGS)
        entropies.append(entropy(model.learn(128 * 8)))
    assert entropies[0] < entropies[2]
    assert entropies[1] < entropies[2]


def test_the_bonus_is_added_to_normalised_advantages(drift_venv: MakeVenv) -> None:
    """By hand: (A - mean) / sd - c log pi, whatever the scale of the reward."""
    seen: dict[str, npt.NDArray[np.float32]] = {}

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            buffer = model.rollout_buffer
            seen["advantages"] = buffer.advantages.copy()
            seen["log_probs"] = buffer.log_probs.copy()

    model = EntropyTRPO("MlpPolicy", drift_venv(), ent_coef=0.3, **SETTINGS)
    model.learn(128, callback=Look())
    a = seen["advantages"].astype(np.float64)
    # The buffer was flattened, environment by environment, when it was read in batches.
    expected = (a - a.mean()) / a.std(ddof=1) - 0.3 * seen["log_probs"]
    used = model.rollout_buffer.advantages.reshape(4, 32).T
    np.testing.assert_allclose(used, expected, atol=1e-4)
    assert model.normalize_advantage, "as it was set"


def test_the_bonus_survives_saving(drift_venv: MakeVenv, tmp_path: Any) -> None:
    model = EntropyTRPO("MlpPolicy", drift_venv(), ent_coef=0.25, **SETTINGS)
    model.save(tmp_path / "model.zip")
    assert EntropyTRPO.load(tmp_path / "model.zip", device="cpu").ent_coef == 0.25
