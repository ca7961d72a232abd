"""SB3's own `tensorboard_log=` in somebody's script has all that the callback logs."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env

from prefrl.agents import PreferenceLearning
from prefrl.feedback import OracleTeacher
from prefrl.settings import FeedbackSettings

Learn = Callable[[PreferenceLearning, Path], None]

LABELS = {"labels/total", "labels/asked"}
RETURNS = {"rollout/ep_rew_mean", "rollout/ep_predicted_rew_mean"}
REWARD = {
    f"reward_model/{name}"
    for name in (
        "accuracy",
        "disagreement",
        "fresh_accuracy",
        "fresh_log_loss",
        "l2",
        "log_loss",
        "n_comparisons",
        "train_loss",
        "validation_loss",
    )
}
POLICY = {"policy/exploration", "policy/gain", "policy/is_stuck", "policy/number"}


def ppo(prefs: PreferenceLearning, folder: Path) -> None:
    model = PPO("MlpPolicy", prefs.venv, n_steps=256, n_epochs=1, tensorboard_log=str(folder))
    model.learn(6_144, callback=prefs.callback(), tb_log_name="run")


def sac(prefs: PreferenceLearning, folder: Path) -> None:
    """It writes a line with every fourth episode; the last one ends with the training."""
    model = SAC("MlpPolicy", prefs.venv, train_freq=8, batch_size=8, tensorboard_log=str(folder))
    model.learn(2_400, callback=prefs.callback(), tb_log_name="run")


@pytest.mark.parametrize(("learn", "ours"), [(ppo, POLICY | REWARD), (sac, REWARD)])
def test_sb3s_own_log_has_all_keys(
    learn: Learn, ours: set[str], tmp_path: Path, read_events: Callable[[Path], SimpleNamespace]
) -> None:
    prefs = PreferenceLearning(
        make_vec_env("Pendulum-v1", n_envs=2),
        teacher=OracleTeacher(),
        n_labels=40,
        feedback=FeedbackSettings(initial_timesteps=512, labels_per_round=5, segment_length=10),
    )
    learn(prefs, tmp_path)
    scalars = read_events(tmp_path / "run_1").scalars
    own = {key for key in scalars if key.split("/")[0] in ("labels", "reward_model", "policy")}
    assert own == LABELS | ours
    assert set(scalars) >= RETURNS
    asked = [value for _, value in scalars["labels/total"]]
    assert asked == sorted(asked)
    assert asked[-1] == 40
    refits = scalars["reward_model/n_comparisons"]
    assert len(refits) > 2
    assert refits[-1] == (refits[-1][0], 40)
