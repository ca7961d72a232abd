"""Learning from preferences around any on-policy algorithm of Stable-Baselines3.

`PreferenceLearning` puts the parts together; its `venv` goes to the algorithm, its `callback()` to `learn`. One
rollout sees one reward: everything happens between rollouts (Christiano et al. 2017, section 2.2).
"""

import math
import time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, unwrap_vec_wrapper

from prefrl.agents.learned_reward import WINDOW, LearnedRewardVecEnv
from prefrl.agents.questioner import People, Questioner
from prefrl.errors import SettingError
from prefrl.feedback import LabelSchedule, Selector, Teacher, UniformSelector, make_schedule
from prefrl.feedback.schedules import ScheduleName
from prefrl.feedback.strategies import disagreement
from prefrl.memory import give_back_memory
from prefrl.reward import RewardEnsemble, RewardMetrics, RewardTrainer
from prefrl.reward.inputs import is_image
from prefrl.seeding import Streams
from prefrl.segments import Comparison, SegmentRecorder
from prefrl.store import Store


class Refit(NamedTuple):
    """One round of asking and fitting."""

    metrics: RewardMetrics
    fresh_accuracy: float
    """Accuracy on the new comparisons before they were trained on; NaN in the first round."""
    fresh_log_loss: float
    """Log-loss on the same."""
    fresh_disagreement: float
    """Standard deviation over members of the preference they predict for the same, mean over comparisons."""
    seconds: float
    """Wall time of asking and fitting."""


class Fresh(NamedTuple):
    """What the reward said of a comparison before it was trained on it; NaN before the first fit."""

    seq: int
    right: float
    """1 or 0; NaN for a tie."""
    log_loss: float
    """In nats; NaN for a tie."""
    disagreement: float
    """Standard deviation over members of the preference they predict."""


class PreferenceLearning:
    """A reward that is learned while an agent trains on it.

    >>> prefs = PreferenceLearning(venv, teacher=OracleTeacher(), n_labels=700, seed=0)  # doctest: +SKIP
    >>> model = PPO("MlpPolicy", prefs.venv, seed=0)  # doctest: +SKIP
    >>> model.learn(1_000_000, callback=prefs.callback())  # doctest: +SKIP

    Args:
        venv: Environments with `Monitor` below, as `make_vec_env` makes them; `VecFrameStack` goes below
            `prefs.venv`, `VecNormalize` above it.
        teacher: Who compares; `People()` where answers come through the store, from a labelling page.
        n_labels: Comparisons in all; "can't tell" costs none.
        seed: Decides all random choices made here.
        segment_length: Steps T of a segment.
        store: Where queries and answers go; in memory by default.
        schedule: A schedule, or the name of one ("hyperbolic", "constant", "increasing") over the
            `total_timesteps` of the call to `learn`.
        selector: Which pairs are asked; uniform by default.
        initial_timesteps: Steps of all environments before the first questions. Until the first fit the
            learned reward is 0.
        initial_share: Share of the labels that is asked then.
        time_constant: Steps c of the hyperbolic schedule, whose rate is proportional to c / (steps + c).
        asking_share: Share of the training after which the last label has been asked; what is asked at the
            very end teaches nobody.
        labels_per_round: Labels that have to be due before a round of asking and fitting starts.
        first_epochs: Passes over the comparisons in the first fit.
        epochs: Passes in every other fit.
        recorder_steps: Steps kept per environment to cut segments from.
        reward_model: An ensemble to go on with; a new one by default.
        trainer: Its trainer; a new one by default.
        window: Episodes over which running means are taken.

    Raises:
        SettingError: A number is out of range.
        SpaceError: No reward network reads the environments' spaces.
    """

    def __init__(
        self,
        venv: VecEnv,
        *,
        teacher: Teacher | People,
        n_labels: int = 700,
        seed: int = 0,
        segment_length: int = 50,
        store: Store | None = None,
        schedule: LabelSchedule | ScheduleName = "hyperbolic",
        selector: Selector | None = None,
        initial_timesteps: int = 4096,
        initial_share: float = 0.25,
        time_constant: float = 2e6,
        asking_share: float = 0.9,
        labels_per_round: int = 10,
        first_epochs: int = 20,
        epochs: int = 4,
        recorder_steps: int = 2560,
        reward_model: RewardEnsemble | None = None,
        trainer: RewardTrainer | None = None,
        window: int = WINDOW,
    ) -> None:
        """Put the parts together; no environment is stepped or reset."""
        if n_labels < 1 or segment_length < 1 or labels_per_round < 1:
            raise SettingError(
                "`n_labels`, `segment_length` and `labels_per_round` must be at least 1. Received "
                f"{n_labels}, {segment_length} and {labels_per_round}."
            )
        if not 0 < asking_share <= 1 or not 0 <= initial_share <= 1:
            raise SettingError(
                "Expected 0 < `asking_share` <= 1 and 0 <= `initial_share` <= 1. Received "
                f"{asking_share} and {initial_share}."
            )
        self.n_labels = n_labels
        self.segment_length = segment_length
        self.initial_timesteps = initial_timesteps
        self.initial_share = initial_share
        self.time_constant = time_constant
        self.asking_share = asking_share
        self.labels_per_round = labels_per_round
        self.first_epochs, self.epochs = first_epochs, epochs
        self.streams = Streams(seed)
        self.store = store if store is not None else Store()
        self.reward_model = reward_model or RewardEnsemble(
            venv.observation_space, venv.action_space, frame_stack=frame_stack_of(venv), seed=seed
        )
        self.trainer = trainer or RewardTrainer(self.reward_model, seed=seed)
        self.recorder = SegmentRecorder(
            venv.observation_space,
            venv.action_space,
            venv.num_envs,
            capacity=max(recorder_steps, segment_length),
            frame_stack=self.reward_model.frame_stack,
        )
        self.venv = LearnedRewardVecEnv(venv, self.reward_model.predict, self.recorder, window=window)
        self.questioner = Questioner(
            self.recorder,
            self.store,
            teacher,
            selector=selector or UniformSelector(),
            segment_length=segment_length,
            rng=self.streams.generator("selection"),
            predict_returns=self.reward_model.returns,
        )
        self.refit_seconds = 0.0
        """Wall time spent asking and fitting so far."""
        self._schedule = schedule
        self._normalised_until = 0
        self._fresh: list[Fresh] = []
        self._n_changed = 0

    def callback(self) -> "PreferenceCallback":
        """Return the callback for `model.learn`."""
        return PreferenceCallback(self)

    def plan(self, total_timesteps: int, rollout_timesteps: int = 1) -> None:
        """Fix the label schedule; the callback does it when training starts.

        Args:
            total_timesteps: Environment steps of the training.
            rollout_timesteps: Environment steps of a rollout. No question is asked after the last one began, so
                all labels are due by then at the latest.
        """
        if isinstance(self._schedule, str):
            last_rollout = (total_timesteps - 1) // rollout_timesteps * rollout_timesteps
            asking = min(self.asking_share * total_timesteps, last_rollout)
            self._schedule = make_schedule(
                self._schedule,
                self.n_labels,
                max(1, int(asking)),
                initial_share=self.initial_share,
                time_constant=self.time_constant,
            )

    def n_due(self, num_timesteps: int) -> int:
        """Return how many labels there should be in all at this step, according to the schedule."""
        assert not isinstance(self._schedule, str), "plan() comes first"
        return self._schedule.n_labels(num_timesteps) if num_timesteps >= self.initial_timesteps else 0

    def update(self, num_timesteps: int, *, at_least: int | None = None) -> Refit | None:
        """Ask what is due at this step and refit the reward if answers have come.

        To be called between rollouts, after `plan`. Where people answer it never waits for them: it takes in what
        they have said, sees that they find queries, and refits if there is enough that is new.

        Args:
            num_timesteps: Environment steps so far.
            at_least: Answers of people, changes and withdrawals included, that are enough for a refit; by default
                `labels_per_round`.

        Returns:
            What was learned; None if nothing was due and not enough has come.
        """
        started = time.perf_counter()
        if isinstance(self.questioner.teacher, People):
            waiting = self.store.open_queries(run=self.questioner.run)
            self._read()
            if num_timesteps >= self.initial_timesteps:
                self.questioner.restock(waiting, self.n_labels - self.trainer.n_known, num_timesteps)
            enough = len(self._fresh) + self._n_changed >= (at_least or self._round())
        else:
            due = self.n_due(num_timesteps) - self.trainer.n_known
            if due >= self._round() and self.recorder.n_starts(self.segment_length) >= 2:
                self._ask(due, num_timesteps)
            enough = bool(self._fresh)
        refit = self._refit() if enough and self.trainer.n_known else None
        seconds = time.perf_counter() - started
        self.refit_seconds += seconds
        return refit._replace(seconds=seconds) if refit else None

    def _ask(self, due: int, num_timesteps: int) -> None:
        """Ask a teacher, in parts: a pair of clips of screens is 0.6 MB here and 5 kB with the trainer."""
        while due > 0:
            part = min(due, self.questioner.most_at_once)
            asked = self.questioner.ask(part, num_timesteps)
            self._take_in(asked)
            due -= part
            if len(asked) < part:  # the teacher cannot tell too often
                return

    def _read(self) -> None:
        """Take in what people have answered, changed and withdrawn."""
        comparisons, outdated = self.questioner.read()
        self._fresh = [fresh for fresh in self._fresh if fresh.seq not in outdated]
        self.trainer.forget(outdated)
        self._n_changed += len(outdated)
        self._take_in(comparisons)

    def _take_in(self, comparisons: list[Comparison]) -> None:
        """Have the trainer keep what it needs of comparisons; what the reward says of them is asked first."""
        if self.reward_model.fitted and comparisons:
            right, log_loss = self.trainer.evaluate(comparisons)
            spread = self._disagreement(comparisons)
        else:
            right = log_loss = spread = np.full(len(comparisons), np.nan)
        seqs = [comparison.seq for comparison in comparisons]
        self._fresh += map(Fresh, seqs, right.tolist(), log_loss.tolist(), spread.tolist())
        self.trainer.add(comparisons)

    def _round(self) -> int:
        """Labels that make a round; at the end of the budget what is left of it."""
        n_fitted = self.trainer.n_known - len(self._fresh)
        return min(self.labels_per_round, max(self.n_labels - n_fitted, 1))

    def _refit(self) -> Refit:
        """Train the reward on all comparisons, the fresh ones included."""
        fresh, self._fresh, self._n_changed = self._fresh, [], 0
        n_new = self.recorder.n_recorded - self._normalised_until
        self._normalised_until = self.recorder.n_recorded
        inputs = self.reward_model.inputs
        if not inputs.is_fixed:
            inputs.update(self.recorder.latest_observations(n_new), self.recorder.latest_actions(n_new))
        metrics = self.trainer.fit(self.epochs if self.reward_model.fitted else self.first_epochs)
        give_back_memory()
        return Refit(
            metrics,
            fresh_accuracy=_mean([one.right for one in fresh]),
            fresh_log_loss=_mean([one.log_loss for one in fresh]),
            fresh_disagreement=_mean([one.disagreement for one in fresh]),
            seconds=0.0,
        )

    def _disagreement(self, comparisons: list[Comparison]) -> npt.NDArray[np.float64]:
        """Standard deviation over members of the predicted preference, shape [n]."""
        first = self.reward_model.returns([comparison.first for comparison in comparisons])
        second = self.reward_model.returns([comparison.second for comparison in comparisons])
        return np.sqrt(disagreement(first, second))

    def state_dict(self) -> dict[str, Any]:
        """Return what is neither in the store, the recorder, the reward nor its trainer, ready for JSON."""
        return {
            "questioner": self.questioner.state_dict(),
            "streams": self.streams.state_dict(),
            "normalised_until": self._normalised_until,
            "refit_seconds": self.refit_seconds,
            "fresh": [[None if value != value else value for value in fresh] for fresh in self._fresh],
            "n_changed": self._n_changed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.questioner.load_state_dict(state["questioner"])
        self.streams.load_state_dict(state["streams"])
        self._normalised_until = state["normalised_until"]
        self.refit_seconds = state["refit_seconds"]
        self._fresh = [
            Fresh._make(math.nan if value is None else value for value in fresh) for fresh in state["fresh"]
        ]
        self._n_changed = state["n_changed"]


def _mean(values: list[float]) -> float:
    """Mean of those that are numbers; NaN if none is."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(np.mean(numbers)) if numbers else math.nan


def frame_stack_of(venv: VecEnv) -> int:
    """Return how many frames SB3's `VecFrameStack` stacks into an image; 1 where there is none.

    Each of them is then recorded once only. Stacks of anything but images are left as they are.
    """
    if not is_image(venv.observation_space):
        return 1
    stack = unwrap_vec_wrapper(venv, VecFrameStack)
    return stack.stacked_obs.n_stack if isinstance(stack, VecFrameStack) else 1


class PreferenceCallback(BaseCallback):
    """Asks and refits between rollouts, and logs what came of it.

    Keys: `reward_model/*`, `labels/*`, and `rollout/ep_predicted_rew_mean` beside SB3's `rollout/ep_rew_mean`,
    which is the TRUE return.

    Args:
        preferences: Whose `venv` the algorithm learns in.
    """

    def __init__(self, preferences: PreferenceLearning) -> None:
        """Keep the parts."""
        super().__init__()
        self.preferences = preferences

    def _on_training_start(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        rollout_timesteps = self.model.n_steps * self.model.n_envs
        self.preferences.plan(self.model._total_timesteps, rollout_timesteps)

    def _on_rollout_start(self) -> None:
        self.update()

    def update(self, *, at_least: int | None = None) -> Refit | None:
        """Ask, read and refit as `PreferenceLearning.update` does, and log what came of it."""
        refit = self.preferences.update(self.num_timesteps, at_least=at_least)
        if refit is None:
            return None
        for key, value in refit.metrics._asdict().items():
            self._record(f"reward_model/{key}", value)
        self._record("reward_model/fresh_accuracy", refit.fresh_accuracy)
        self._record("reward_model/fresh_log_loss", refit.fresh_log_loss)
        self._record("reward_model/disagreement", refit.fresh_disagreement)
        return refit

    def _on_rollout_end(self) -> None:
        preferences = self.preferences
        self._record("labels/total", preferences.trainer.n_known)
        self._record("labels/asked", preferences.questioner.n_asked)
        if preferences.venv.predicted_returns:
            self._record("rollout/ep_predicted_rew_mean", float(np.mean(preferences.venv.predicted_returns)))

    def _on_step(self) -> bool:
        return True

    def _record(self, key: str, value: float) -> None:
        if not math.isnan(value):
            self.logger.record(key, value)
