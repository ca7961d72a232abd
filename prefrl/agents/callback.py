"""The callback: has `PreferenceLearning` ask and refit between rollouts, and logs what came of it.

Off-policy algorithms learn from their replay buffer, which is paid anew after every refit. Their rollouts are one
step long by default, so for them the clock of asking is in steps.
"""

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents.critics import reset_critic
from prefrl.agents.environments import horizon_of, layers
from prefrl.agents.kept_policy import can_be_kept
from prefrl.agents.replay import Replay
from prefrl.agents.restarts import PolicyRestarts
from prefrl.agents.reward_alarm import RewardAlarm
from prefrl.errors import SettingError
from prefrl.seeding import Streams

if TYPE_CHECKING:
    from prefrl.agents.preference_learning import PreferenceLearning
    from prefrl.agents.refits import Refit


LOOK_EVERY = 256
"""Environment steps between two looks at the labels where rollouts are shorter: off-policy."""


def rollout_steps(model: BaseAlgorithm, venv: VecEnv) -> int:
    """Return how many environment steps of all environments a rollout has, at most.

    Args:
        model: The agent, on-policy or off-policy.
        venv: The environments below the learned reward: where rollouts are whole episodes, they say how long.

    Raises:
        SettingError: Rollouts are whole episodes, and nothing ends these.
    """
    if isinstance(model, OnPolicyAlgorithm):
        return model.n_steps * model.n_envs
    assert isinstance(model, OffPolicyAlgorithm)
    assert isinstance(model.train_freq, TrainFreq)
    rollout = model.train_freq.frequency * model.n_envs
    if model.train_freq.unit is TrainFrequencyUnit.STEP:
        return rollout
    horizon = horizon_of(venv)
    if horizon is None:
        raise SettingError(
            "`train_freq` counts episodes, and no time limit ends those of these environments: the agent might "
            "never learn. Count steps, or wrap the environments with gymnasium's TimeLimit."
        )
    return rollout * horizon


def steps_between_looks(model: BaseAlgorithm, venv: VecEnv) -> int:
    """Return the environment steps between two looks at the labels: whole rollouts; see `rollout_steps`."""
    rollout = rollout_steps(model, venv)
    return rollout if isinstance(model, OnPolicyAlgorithm) else -(-LOOK_EVERY // rollout) * rollout


def watch_policy(restarts: PolicyRestarts, model: BaseAlgorithm, alarm: RewardAlarm | None = None) -> None:
    """Have the policy looked at between two rollouts, and log what was found.

    Nothing is done where policies are not replaced: off-policy, and where they are not PyTorch's.

    Args:
        restarts: Looks at it.
        model: Has it.
        alarm: Of a reward that is learned.
    """
    if not can_be_kept(model):
        return
    n_notes = len(restarts.notes)
    progress = restarts.update(model)
    if progress is not None and alarm is not None:
        said = alarm.look(progress.gain, restarts.settings.least_gain)
        if said is not None:
            restarts.note(said)
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
        replay_is_paid: Whether what the replay buffer holds at first has been paid by the reward of now: that of
            a training which goes on exactly where it was.
    """

    def __init__(self, preferences: "PreferenceLearning", *, replay_is_paid: bool = False) -> None:
        super().__init__()
        self.preferences = preferences
        self._replay: Replay | None = None
        self._replay_is_paid = replay_is_paid
        self._rollout, self._between_looks = 1, 1
        self._is_told_of_rollouts = False

    def init_callback(self, model: BaseAlgorithm) -> None:
        """Refuse a model that cannot learn here, before its first step.

        Raises:
            SettingError: It has neither rollouts nor a replay buffer, keeps experience that cannot be paid anew
                (see `Replay`), learns in other environments than `prefs.venv`, or has a policy that is not
                replaced, as off-policy and in SBX, where there are to be first policies.
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
        if preferences.restarts.settings.first_policies and not can_be_kept(model):
            is_off = isinstance(model, OffPolicyAlgorithm)
            because = "it learns from a replay buffer" if is_off else "its weights are not PyTorch's"
            raise SettingError(
                f"`first_policies` are followed by fresh ones, and the policy of {type(model).__name__} is "
                f"not replaced, as {because}. Set it to 0."
            )
        if isinstance(model, OffPolicyAlgorithm):
            reads_next = preferences.reward_model.inputs.next_observation
            self._replay = Replay(model, preferences.venv, reads_next=reads_next)
        preferences.restarts.attend(can_be_kept(model))
        inner = preferences.venv.venv
        self._rollout, self._between_looks = rollout_steps(model, inner), steps_between_looks(model, inner)

    def _on_training_start(self) -> None:
        model = self.model
        self.preferences.venv.look_back(model._stats_window_size)
        self.preferences.begin(model._total_timesteps - model.num_timesteps, self._between_looks)
        if not self._replay_is_paid:  # it may have been filled elsewhere
            self._pay_anew()

    @property
    def is_time_to_look(self) -> bool:
        """Whether the labels are looked at now, at the beginning of a rollout.

        That follows from the steps alone, so that a training which goes on looks when it would have looked.
        """
        return self.preferences.num_timesteps % self._between_looks < self._rollout

    def on_rollout_start(self) -> None:
        """Take note that it is told of rollouts, whatever is done there."""
        self._is_told_of_rollouts = True
        super().on_rollout_start()

    def _on_rollout_start(self) -> None:
        if self.is_time_to_look:
            self.update()
            self.settle()

    def update(self, *, at_least: int | None = None) -> "Refit | None":
        """Ask, read and refit as `PreferenceLearning.update` does, and log what came of it."""
        has_paid_novelty = self.preferences.has_paid_novelty
        refit = self.preferences.update(at_least=at_least)
        if refit is not None:
            self.preferences.critic_is_of_novelty |= has_paid_novelty
            self._pay_anew()
        if self.preferences.critic_is_of_novelty:  # of now, or of a refit after which the training was stopped
            assert isinstance(self.model, (OnPolicyAlgorithm, OffPolicyAlgorithm))
            reset_critic(self.model, Streams(self.preferences.seed).integer("critic"))
            self.preferences.critic_is_of_novelty = False
        if refit is None:
            return None
        for key, value in refit.metrics._asdict().items():
            self._record(f"reward_model/{key}", value)
        is_distrusted = self.preferences.trainer.is_distrusted
        if len(is_distrusted):
            self._record("reward_model/distrusted", float(is_distrusted.mean()))
        self._record("reward_model/fresh_accuracy", refit.fresh_accuracy)
        self._record("reward_model/fresh_log_loss", refit.fresh_log_loss)
        self._record("reward_model/disagreement", refit.fresh_disagreement)
        self._record("reward_model/pseudo_labels", refit.pseudo_labels)
        if self.preferences.reward_model.settings.sd_weight_changes:
            self._record("reward_model/sd_weight", self.preferences.sd_weight)
        return refit

    def _pay_anew(self) -> None:
        """Have all that the replay buffer keeps paid what it is worth now; it counts as time of the refits."""
        if self._replay is None:
            return
        started = time.perf_counter()
        self._replay.relabel(self.preferences.reward_now)
        self.preferences.refit_seconds += time.perf_counter() - started

    def settle(self) -> None:
        """See to the agent once the reward of the next rollout is known.

        After the first fit its policy is looked at; before, when no policy can get better, what was new when it
        was kept is paid what it is worth now.
        """
        if self.preferences.reward_model.fitted:
            watch_policy(self.preferences.restarts, self.model, self.preferences.alarm)
        elif self.preferences.is_pretraining and self._is_worth_paying():
            self._pay_anew()

    def _is_worth_paying(self) -> bool:
        """Whether enough is new since what is kept was last paid for novelty: later, at fewer looks."""
        look = self.preferences.num_timesteps // self._between_looks
        apart: int = 1 << max(0, look.bit_length() - 5)
        return look % apart == 0

    def _on_step(self) -> bool:
        if not self._is_told_of_rollouts:
            raise SettingError(
                "`prefs.callback()` is not told when rollouts begin, so it could never ask: it lies within a "
                "callback that calls others now and then, such as EveryNTimesteps. Give it to `learn` itself, or "
                "in a list."
            )
        # What a squashing policy draws is no action of the environments, and what it sends was not clipped.
        squashes = getattr(self.model.policy, "squash_output", False)
        if "clipped_actions" in self.locals and not squashes:
            self.preferences.recorder.note_drawn_actions(self.locals["actions"])
        return True

    def _on_rollout_end(self) -> None:
        preferences = self.preferences
        self._record("labels/total", preferences.labels.n_labels)
        self._record("labels/asked", preferences.labels.n_asked)
        if preferences.venv.predicted_returns:
            self._record("rollout/ep_predicted_rew_mean", float(np.mean(preferences.venv.predicted_returns)))

    def _on_training_end(self) -> None:
        if can_be_kept(self.model):
            self.preferences.restarts.end(self.model)
        self.preferences.end()

    def _record(self, key: str, value: float) -> None:
        if not math.isnan(value):
            self.logger.record(key, value)
