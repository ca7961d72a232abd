"""The callback: has `PreferenceLearning` ask and refit between rollouts, and logs what came of it."""

import math
from typing import TYPE_CHECKING

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from prefrl.agents.environments import layers
from prefrl.agents.restarts import PolicyRestarts
from prefrl.errors import SettingError

if TYPE_CHECKING:
    from prefrl.agents.preference_learning import PreferenceLearning, Refit


def watch_policy(restarts: PolicyRestarts, model: BaseAlgorithm) -> None:
    """Have the policy looked at between two rollouts, and log what was found."""
    assert isinstance(model, OnPolicyAlgorithm)
    n_notes = len(restarts.notes)
    progress = restarts.update(model)
    for note in restarts.notes[n_notes:]:
        model.logger.info(note.text)
    if progress is None:
        return
    for name, value in progress._asdict().items():
        if not math.isnan(value):
            model.logger.record(f"policy/{name}", float(value))


class PreferenceCallback(BaseCallback):
    """Asks and refits between rollouts, and logs what came of it.

    Keys: `reward_model/*`, `labels/*`, `policy/*`, and `rollout/ep_predicted_rew_mean` beside SB3's
    `rollout/ep_rew_mean`, which is the TRUE return.

    Args:
        preferences: Whose `venv` the algorithm learns in.
    """

    def __init__(self, preferences: "PreferenceLearning") -> None:
        super().__init__()
        self.preferences = preferences

    def init_callback(self, model: BaseAlgorithm) -> None:
        """Refuse a model that cannot learn here, before its first step.

        Raises:
            SettingError: It is off-policy, or learns in other environments than `prefs.venv`.
        """
        if not isinstance(model, OnPolicyAlgorithm):
            raise SettingError(
                f"{type(model).__name__} is no on-policy algorithm of Stable-Baselines3: its replay buffer would "
                "keep rewards of every age. Use PPO, A2C, TRPO or another on-policy one."
            )
        wrappers = list(layers(model.env)) if model.env is not None else []
        if self.preferences.venv not in wrappers:
            raise SettingError(
                "The model does not learn in `prefs.venv`, so it would be paid the true reward: make it with "
                "`prefs.venv`, or with wrappers around that."
            )
        super().init_callback(model)

    def _on_training_start(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        self.preferences.venv.look_back(self.model._stats_window_size)
        n_steps = self.model._total_timesteps - self.model.num_timesteps
        self.preferences.begin(n_steps, self.model.n_steps * self.model.n_envs)

    def _on_rollout_start(self) -> None:
        self.update()
        self.watch_policy()

    def update(self, *, at_least: int | None = None) -> "Refit | None":
        """Ask, read and refit as `PreferenceLearning.update` does, and log what came of it."""
        refit = self.preferences.update(at_least=at_least)
        if refit is None:
            return None
        for key, value in refit.metrics._asdict().items():
            self._record(f"reward_model/{key}", value)
        self._record("reward_model/fresh_accuracy", refit.fresh_accuracy)
        self._record("reward_model/fresh_log_loss", refit.fresh_log_loss)
        self._record("reward_model/disagreement", refit.fresh_disagreement)
        return refit

    def watch_policy(self) -> None:
        """Look whether the policy still gets better, once the reward of the next rollout is known.

        Not before the first fit: as long as the reward is 0 no policy can get better.
        """
        if not self.preferences.reward_model.fitted:
            return
        watch_policy(self.preferences.restarts, self.model)

    def _on_step(self) -> bool:
        if "clipped_actions" in self.locals:
            self.preferences.recorder.note_drawn_actions(self.locals["actions"])
        return True

    def _on_rollout_end(self) -> None:
        preferences = self.preferences
        self._record("labels/total", preferences.labels.n_labels)
        self._record("labels/asked", preferences.labels.n_asked)
        if preferences.venv.predicted_returns:
            self._record("rollout/ep_predicted_rew_mean", float(np.mean(preferences.venv.predicted_returns)))

    def _on_training_end(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        self.preferences.restarts.end(self.model)
        self.preferences.end()

    def _record(self, key: str, value: float) -> None:
        if not math.isnan(value):
            self.logger.record(key, value)
