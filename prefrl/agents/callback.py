"""The callback: has `PreferenceLearning` ask and refit between rollouts, and logs what came of it.

Off-policy algorithms learn from their replay buffer, which is paid anew after every refit. Their rollouts are one
step long by default, so for them the clock of asking is in steps.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit

from prefrl.agents.environments import horizon_of, layers
from prefrl.agents.replay import Replay
from prefrl.agents.restarts import PolicyRestarts
from prefrl.errors import SettingError

if TYPE_CHECKING:
    from prefrl.agents.preference_learning import PreferenceLearning
    from prefrl.agents.refits import Refit


LOOK_EVERY = 256
"""Environment steps between two looks at the labels where rollouts are shorter: off-policy."""


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
        self._replay: Replay | None = None
        self._between_looks, self._next_look = 0, 0

    def init_callback(self, model: BaseAlgorithm) -> None:
        """Refuse a model that cannot learn here, before its first step.

        Raises:
            SettingError: It has neither rollouts nor a replay buffer, keeps experience that cannot be paid anew
                (see `Replay`), learns in other environments than `prefs.venv`, or is off-policy where there are to
                be first policies.
        """
        if not isinstance(model, (OnPolicyAlgorithm, OffPolicyAlgorithm)):
            raise SettingError(
                f"{type(model).__name__} is no on-policy or off-policy algorithm of Stable-Baselines3. Use PPO, "
                "SAC or another one of those."
            )
        wrappers = list(layers(model.env)) if model.env is not None else []
        if self.preferences.venv not in wrappers:
            raise SettingError(
                "The model does not learn in `prefs.venv`, so it would be paid the true reward: make it with "
                "`prefs.venv`, or with wrappers around that."
            )
        super().init_callback(model)
        preferences = self.preferences
        if isinstance(model, OffPolicyAlgorithm):
            if preferences.restarts.settings.first_policies:
                raise SettingError(
                    f"`first_policies` are followed by fresh ones, and the policy of {type(model).__name__} is "
                    "not replaced, as it learns from a replay buffer. Set it to 0."
                )
            reads_next = preferences.reward_model.inputs.next_observation
            self._replay = Replay(model, preferences.venv, reads_next=reads_next)
        # Policies are replaced where they learn from rollouts only.
        preferences.restarts.attend(self._replay is None)

    def _on_training_start(self) -> None:
        model = self.model
        self.preferences.venv.look_back(model._stats_window_size)
        self._between_looks = self._rollout()
        self.preferences.begin(model._total_timesteps - model.num_timesteps, self._between_looks)
        if self._replay is not None:
            self._replay.relabel(self.preferences.reward_model.predict)  # it may have been filled elsewhere

    def _on_rollout_start(self) -> None:
        if self._replay is not None:
            if self.preferences.num_timesteps < self._next_look:
                return
            self._next_look = self.preferences.num_timesteps + self._between_looks
        self.update()
        self.watch_policy()

    def update(self, *, at_least: int | None = None) -> "Refit | None":
        """Ask, read and refit as `PreferenceLearning.update` does, and log what came of it."""
        refit = self.preferences.update(at_least=at_least)
        if refit is None:
            return None
        if self._replay is not None:
            self._replay.relabel(self.preferences.reward_model.predict)
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
        if not self.preferences.reward_model.fitted or self._replay is not None:
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
        if isinstance(self.model, OnPolicyAlgorithm):
            self.preferences.restarts.end(self.model)
        self.preferences.end()

    def _rollout(self) -> int:
        """Return the environment steps from one look at the labels to the next: whole rollouts."""
        model = self.model
        if isinstance(model, OnPolicyAlgorithm):
            return model.n_steps * model.n_envs
        assert isinstance(model, OffPolicyAlgorithm)
        assert isinstance(model.train_freq, TrainFreq)
        rollout = model.train_freq.frequency * model.n_envs
        if model.train_freq.unit is TrainFrequencyUnit.EPISODE:
            rollout *= horizon_of(self.preferences.venv.venv) or 1
        return -(-LOOK_EVERY // rollout) * rollout

    def _record(self, key: str, value: float) -> None:
        if not math.isnan(value):
            self.logger.record(key, value)
