"""Agents in JAX, of SBX, learn from preferences as SB3's own do; they are tried where SBX is installed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import PreferenceLearning
from prefrl.errors import SettingError
from prefrl.feedback import OracleTeacher
from prefrl.settings import FeedbackSettings, RestartSettings

sbx = pytest.importorskip("sbx")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # JAX and what it brings warn of their own matters
]

FEEDBACK = FeedbackSettings(segment_length=5, initial_timesteps=200, labels_per_round=20)
ALWAYS_STUCK = RestartSettings(window_share=0.05, patience=1, least_gain=1e9)
OF_ALGORITHM: dict[str, dict[str, Any]] = {
    "PPO": {"n_steps": 64, "batch_size": 64},
    "SAC": {"learning_starts": 100},
    "TD3": {"learning_starts": 100},
    "TQC": {"learning_starts": 100},
    "CrossQ": {"learning_starts": 100},
}


def learn(name: str, venv: VecEnv, steps: int, **settings: Any) -> tuple[PreferenceLearning, Any]:
    prefs = PreferenceLearning(venv, teacher=OracleTeacher(), n_labels=60, seed=0, feedback=FEEDBACK, **settings)
    model = getattr(sbx, name)("MlpPolicy", prefs.venv, seed=0, **OF_ALGORITHM[name])
    model.learn(steps, callback=prefs.callback())
    return prefs, model


def test_ppo_moves_to_where_it_is_paid(drift_venv: Callable[..., VecEnv]) -> None:
    prefs, model = learn("PPO", drift_venv(), 8192)
    assert prefs.labels.n_labels == 60
    actions, _ = model.predict(np.zeros((1, 2), dtype=np.float32), deterministic=True)
    assert float(actions[0, 0]) > 0.5


def test_a_stuck_policy_is_left_alone(drift_venv: Callable[..., VecEnv]) -> None:
    prefs, _ = learn("PPO", drift_venv(), 4096, restarts=ALWAYS_STUCK)
    assert prefs.restarts.n_policies == 1
    assert prefs.restarts.notes == []


def test_first_policies_are_refused(drift_venv: Callable[..., VecEnv]) -> None:
    with pytest.raises(SettingError, match=r"policy of PPO is not replaced.*not PyTorch's"):
        learn("PPO", drift_venv(), 512, restarts=RestartSettings(first_policies=1))


@pytest.mark.parametrize("name", ["SAC", "TD3", "TQC", "CrossQ"])
def test_a_replay_buffer_is_paid_by_the_reward_of_now(drift_venv: Callable[..., VecEnv], name: str) -> None:
    prefs, model = learn(name, drift_venv(), 800)
    assert prefs.reward_model.fitted
    buffer = model.replay_buffer
    size = buffer.size()
    kept = buffer.observations[:size].reshape(-1, 2), buffer.actions[:size].reshape(-1, 1)
    expected = prefs.reward_model.predict(*kept)  # actions of these points lie in −1 to 1: scaled as they are
    np.testing.assert_allclose(buffer.rewards[:size].reshape(-1), expected, atol=1e-5)
