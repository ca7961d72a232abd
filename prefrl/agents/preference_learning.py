"""Learning from preferences around an on-policy algorithm of Stable-Baselines3.

`PreferenceLearning` puts the parts together: labels, the reward that learns from them, the environments it pays,
and the plan of how many labels are due when. Its `venv` goes to the algorithm, its `callback()` to `learn`. One
rollout sees one reward: everything happens between rollouts (Christiano et al. 2017, section 2.2).
"""

import time
import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents.callback import PreferenceCallback
from prefrl.agents.environments import check_segment_length, check_venv, frame_stack_of
from prefrl.agents.label_plan import LabelPlan
from prefrl.agents.learned_reward import LearnedRewardVecEnv
from prefrl.agents.old_labels import EarlierLabels, OldLabels, run_in
from prefrl.agents.preference_checks import check_crops, check_kinds, check_reward
from prefrl.agents.refits import Refit, Refits
from prefrl.agents.restarts import PolicyRestarts
from prefrl.agents.reward_alarm import RewardAlarm
from prefrl.agents.saved_preferences import check_answers, read_preferences, write_preferences
from prefrl.agents.state_entropy import StateEntropy
from prefrl.agents.unlabelled_pairs import UnlabelledPairs
from prefrl.errors import SettingError, StoreError
from prefrl.feedback import Labels, People, PeopleLabels, QueryMaker, Teacher, TeacherLabels, Wanted
from prefrl.feedback.repeats import coin_share
from prefrl.feedback.slow_teacher import SlowTeacherLabels
from prefrl.feedback.strategies import check_members
from prefrl.feedback.teachers import delay_of, follows_returns
from prefrl.parts import Arrays, Json, Part, State, joined, restore_parts
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.seeding import Streams
from prefrl.segments import SegmentRecorder, feedback_kind
from prefrl.settings import FeedbackSettings, RestartSettings, RewardSettings
from prefrl.store import RunAbout, Store


class PreferenceLearning:
    """A reward that is learned while an agent trains on it.

    >>> prefs = PreferenceLearning(venv, teacher=OracleTeacher(), n_labels=700, seed=0)  # doctest: +SKIP
    >>> model = PPO("MlpPolicy", prefs.venv, seed=0)  # doctest: +SKIP
    >>> model.learn(1_000_000, callback=prefs.callback())  # doctest: +SKIP

    Args:
        venv: Environments with `Monitor` below, as `make_vec_env` makes them; `VecFrameStack` goes below
            `prefs.venv`, `VecNormalize` above it.
        teacher: Who compares; `People()` where answers come through the store, from a labelling page.
        n_labels: Comparisons in all; "can't tell" costs none. 0 asks nothing, where there are old labels to learn.
        seed: Decides all random choices made here.
        store: Where queries and answers go; in memory by default.
        old_labels: What is done with the labels of earlier runs in this store: "refuse" raises an error;
            "continue" goes on with the latest run, whose labels are learned first and count against `n_labels`;
            "ignore" begins a new run; "learn" begins a new run whose reward learns from all of them first, at no
            cost; "replay" plays the latest run again from its beginning or a checkpoint, and asks nothing twice.
            What the latest run learned first, the reward learns first where it is gone on with or played again.
        feedback: When, about what and how people are asked.
        reward: Settings of the reward and its training, or a trainer without labels; its ensemble pays the agent.
        restarts: When a policy that gets no better is replaced by a fresh one.

    Raises:
        SettingError: A figure is out of range, `venv` is no VecEnv, a segment is longer than an episode, or the
            store has labels and `old_labels` is "refuse".
        SpaceError: No reward network reads the environments' spaces.
        StoreError: The store cannot be read, or its latest run has other spaces and is to be continued.
    """

    def __init__(
        self,
        venv: VecEnv,
        *,
        teacher: Teacher | People,
        n_labels: int = 700,
        seed: int = 0,
        store: Store | None = None,
        old_labels: OldLabels = "refuse",
        feedback: FeedbackSettings = FeedbackSettings(),
        reward: RewardSettings | RewardTrainer = RewardSettings(),
        restarts: RestartSettings = RestartSettings(),
    ) -> None:
        check_venv(venv)
        check_kinds(teacher, store, feedback)
        check_segment_length(venv, feedback.segment_length)
        self.seed = Streams(seed).seed
        self.plan_of_labels = LabelPlan(n_labels, feedback)
        self.feedback = feedback
        if isinstance(reward, RewardSettings):
            reward = RewardTrainer(_ensemble(venv, reward, seed))
        self.trainer = reward
        check_reward(venv, self.trainer)
        check_members(feedback, self.trainer.ensemble.n_members)
        check_crops(self.trainer.settings, feedback.segment_length)
        self.reward_model = self.trainer.ensemble
        self.recorder = SegmentRecorder(
            venv.observation_space,
            venv.action_space,
            venv.num_envs,
            capacity=max(feedback.recorder_steps, feedback.segment_length),
            frame_stack=self.reward_model.frame_stack,
        )
        self.venv = LearnedRewardVecEnv(venv, self._pay, self.recorder)
        self._pretraining = (
            StateEntropy(venv.observation_space) if feedback.pretraining == "state-entropy" else None
        )
        self.restarts = PolicyRestarts(self.venv, restarts, Streams(seed).integer("restarts"))
        self.store = store if store is not None else Store()
        self.run = run_in(
            self.store,
            RunAbout.of(
                venv.observation_space,
                venv.action_space,
                segment_length=feedback.segment_length,
                frame_stack=self.reward_model.frame_stack,
            ),
            old_labels,
            asks=self.plan_of_labels.n_labels > 0,
        )
        self._earlier = EarlierLabels(self.store, self.run)
        self._recalls = old_labels == "continue"
        if old_labels == "continue":
            self.plan_of_labels.given = sum(run.n_comparisons for run in self.store.runs() if run.id == self.run)
        maker = QueryMaker(
            self.recorder,
            feedback,
            Streams(seed).generator("selection"),
            self.reward_model.returns,
            mean_env_reward=self.venv.mean_env_reward,
        )
        self.venv.keeps_episodes = follows_returns(teacher)
        kind = feedback_kind(feedback.kind)
        self.labels: Labels
        if isinstance(teacher, People):
            self.labels = PeopleLabels(self.store, self.run, maker, feedback)
        else:
            of_teacher = SlowTeacherLabels if delay_of(teacher) else TeacherLabels
            self.labels = of_teacher(teacher, self.store, self.run, maker, kind)
        self.refit_seconds = 0.0
        """Wall time spent asking, fitting, and paying a replay buffer anew so far."""
        self.has_begun = False
        """Whether a callback of this object has been given to `learn`."""
        self._is_at_work = False
        """Whether a training goes on that was begun and not ended."""
        self.critic_is_of_novelty = False
        """Whether labels are learned and the agent's critic still judges by novelty: it is to begin anew."""
        self.sd_weight = self.reward_model.settings.sd_weight_at(1.0)
        """Multiple of the standard deviation over members that is paid now; it changes at refits only."""
        self._unlabelled = self._unlabelled_pairs()
        self._refits = Refits(self.trainer, self.recorder, self._unlabelled)
        self._has_warned: set[str] = set()

    @property
    def num_timesteps(self) -> int:
        """Steps of all environments so far, over all calls of `learn`: the clock of everything here."""
        return self.venv.num_timesteps

    @property
    def n_learned_first(self) -> int:
        """Labels of earlier runs that the reward learns before the first step."""
        return self._earlier.n

    def callback(self) -> PreferenceCallback:
        """Return the callback for `model.learn`; give one to every call."""
        return PreferenceCallback(self)

    def evaluation_venv(self, venv: VecEnv) -> LearnedRewardVecEnv:
        """Wrap environments for SB3's `EvalCallback`: the same layer as `prefs.venv`, with the true reward.

        `EvalCallback` wants training and evaluation wrapped alike, and copies what `VecNormalize` has learned.
        """
        return LearnedRewardVecEnv(venv, "true")

    def plan(self, total_timesteps: int) -> None:
        """Say how many environment steps all calls of `learn` take together; needed only where there are several.

        The labels are spread over these steps. Without it, over those of the first call.
        """
        self.plan_of_labels.fix(total_timesteps)
        self.restarts.plan(self.plan_of_labels.total_timesteps)

    def begin(self, n_steps: int, rollout: int) -> None:
        """Take note of a call of `learn`; the callback does it.

        Args:
            n_steps: Environment steps it asks for.
            rollout: Environment steps of a rollout. No question is asked after the last one began, so all labels
                are due by then at the latest.

        Raises:
            SettingError: The training would end before a single question is asked.
        """
        self.has_begun = self._is_at_work = True
        self.plan_of_labels.begin(self.num_timesteps, n_steps, rollout)
        self.restarts.plan(self.plan_of_labels.total_timesteps)
        n_labels = self.plan_of_labels.n_labels
        if 0 < n_labels <= self._n_given and not self.plan_of_labels.is_fixed:
            self._warn(
                "spent",
                f"All {n_labels} labels have been given; this call of `learn` trains on the "
                "reward as it is. A larger `n_labels`, which counts all of the run, asks for more; "
                "`plan(total_timesteps)` before the first call spreads them over all calls.",
            )

    def end(self) -> None:
        """Take note of the end of a call of `learn`; the callback does it."""
        self._is_at_work = False
        is_over = self.num_timesteps >= self.plan_of_labels.total_timesteps
        if is_over and self.reward_model.fitted and self.plan_of_labels.n_labels and not self._n_given:
            self._warn(
                "no own label",
                f"Not one of the {self.plan_of_labels.n_labels} labels was given: the reward is what was learned "
                f"of earlier ones. {self.labels.n_asked} queries were asked; see that somebody answers them, or "
                "ask for more than `slack`, so that the agent waits for people.",
            )
        if is_over and not self.reward_model.fitted:
            self._warn(
                "no label",
                f"{self.num_timesteps:,} steps and not one label: the reward was 0 all the time. "
                f"{self.labels.n_asked} queries were asked; see that somebody answers them, and that episodes "
                f"last at least two segments of {self.feedback.segment_length} steps.",
            )

    def n_due(self, num_timesteps: int | None = None) -> int:
        """Return how many labels there should be in all at this step (by default now), by the schedule."""
        at = self.num_timesteps if num_timesteps is None else num_timesteps
        return max(0, self.plan_of_labels.n_due(at))

    def update(self, *, at_least: int | None = None) -> Refit | None:
        """Ask what is due and refit the reward if enough answers have come.

        To be called between rollouts, after `begin`. Where people answer it never waits for them: it takes in
        what they have said, sees that they find queries, and refits if there is enough that is new.

        Args:
            at_least: Answers, changes and withdrawals included, that are enough for a refit; by default a round.

        Returns:
            What was learned; None if nothing was due and not enough has come.
        """
        started = time.perf_counter()
        recalled = self._recall()
        plan = self.plan_of_labels
        wanted = Wanted(plan.n_due(self.num_timesteps), plan.n_labels, plan.per_round)
        for news in self.labels.collect(wanted, self.num_timesteps):
            self._refits.take(news)
        mean = self.venv.mean_env_reward()
        if mean is not None and mean <= 0:  # it is kept where a teacher goes by it
            self._warn(
                "no share",
                f"The teacher's thresholds are shares of what a step earns, which is {mean:.3g} on average: no "
                "cost has a share, so there are none as long as it is not above 0. Say them by `mean_reward`, or "
                "by `skip_below` and `equal_below`.",
            )
        refit = None
        if (recalled or self._refits.n_new >= (at_least or self._round())) and self.trainer.n_known:
            if self.trainer.settings.error_rate_from_repeats:
                self.trainer.error_rate = self._coin_share()
            refit = self._refits.fit(self.store.aside())
            self.sd_weight = self.reward_model.settings.sd_weight_at(self._share_to_come)
        seconds = time.perf_counter() - started
        self.refit_seconds += seconds
        return refit._replace(seconds=seconds) if refit else None

    def save(self, path: Path | str) -> None:
        """Write all but the store and the policy into one file, with which `load` goes on.

        Args:
            path: The file, such as "my_run/preferences.safetensors"; one that is there is replaced once the new
                one is whole.

        Raises:
            SettingError: The store is in memory, and what was asked and answered would be lost with it.
            OSError: The file cannot be written.
        """
        if self.store.is_in_memory:
            raise SettingError(
                "The labels are in memory only and would not be there to go on with; make PreferenceLearning with "
                "`store=Store(Path(...))`, a store in a folder."
            )
        write_preferences(self, Path(path))

    @classmethod
    def load(
        cls,
        path: Path | str,
        venv: VecEnv,
        *,
        teacher: Teacher | People,
        store: Store,
        n_labels: int | None = None,
    ) -> Self:
        """Go on where `save` was called, with the labels in the store.

        The environments begin an episode anew, and what was kept of their experience ends before it. The policy is
        loaded by its own class, `PPO.load(…, env=prefs.venv)`, and goes on with `reset_num_timesteps=False`.

        Args:
            path: The file.
            venv: Environments like those of then, and as many.
            teacher: Who compares.
            store: The one of then.
            n_labels: Another number of comparisons in all.

        Raises:
            SettingError: The file cannot be read, or was made with other environments.
            StoreError: The store is another one, or lacks what was learned from.
        """
        check_venv(venv)
        saved = read_preferences(Path(path), venv)
        check_answers(Path(path), saved.answers, store)
        ensemble = _ensemble(venv, saved.reward, saved.reward_seed)
        preferences = cls(
            venv,
            teacher=teacher,
            n_labels=saved.n_labels if n_labels is None else n_labels,
            seed=saved.seed,
            store=store,
            old_labels="replay",
            feedback=saved.feedback,
            reward=RewardTrainer(ensemble, settings=saved.training, seed=saved.training_seed),
            restarts=saved.restarts,
        )
        preferences.restore(saved.arrays, saved.values)
        # The environments begin anew, so what was asked after the file was written is not come upon again.
        preferences.labels.read_on(after=max(preferences.trainer.seqs.tolist(), default=0))
        return preferences

    def state(self) -> State:
        """Return everything but the store: recorder, reward and its training, labels, plan, what is pending."""
        arrays, values = joined(self._parts)
        return arrays, values | {
            "run": self.run,
            "has_begun": self.has_begun,
            "critic_is_of_novelty": self.critic_is_of_novelty,
            "refit_seconds": self.refit_seconds,
            "sd_weight": self.sd_weight,
            "recalls": self._recalls,
            **self._refits.values(),
        }

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Continue where `state` was taken, with the same store and settings.

        Raises:
            StoreError: The state is of another run in the store, or the store lacks comparisons.
        """
        if values["run"] != self.run:
            raise StoreError(
                f"The state is of run {values['run']} in the store, and this object asks in run {self.run}; make "
                'it with old_labels="replay" to go on with the latest run.'
            )
        restore_parts(self._parts, arrays, values)
        if values.get("recalls") == "learn":
            raise StoreError(
                "The state is of an earlier version, and of before the labels of earlier runs were learned; begin "
                'anew with old_labels="learn".'
            )
        self._recalls = values.get("recalls") in (True, "continue")
        self.has_begun = values["has_begun"]
        self.critic_is_of_novelty = values.get("critic_is_of_novelty", False)
        self.refit_seconds = values["refit_seconds"]
        self.sd_weight = values.get("sd_weight", self.sd_weight)  # before it was saved it did not change
        self._refits.restore(values)
        self.trainer.refill(self.store.comparisons_at(self.trainer.seqs.tolist()))

    @property
    def _parts(self) -> dict[str, Part]:
        optional = {"pretraining": self._pretraining, "unlabelled": self._unlabelled}
        return {
            "venv": self.venv,
            "recorder": self.recorder,
            "reward": self.reward_model,
            "trainer": self.trainer,
            "labels": self.labels,
            "plan": self.plan_of_labels,
            **({"earlier": self._earlier} if self._earlier.has_runs else {}),
            "restarts": self.restarts,
            **{name: part for name, part in optional.items() if part is not None},
        }

    def _pay(
        self, observations: Any, actions: npt.NDArray[Any], next_observations: Any
    ) -> npt.NDArray[np.float32]:
        """Return the reward of the agent."""
        if not self.has_begun and self.num_timesteps > 2 * max(self.feedback.initial_timesteps, 1):
            self._warn(
                "no callback",
                f"{self.num_timesteps:,} steps and nothing has been asked: no callback is at work, and the reward "
                "stays as it is, 0 where nothing was learned before. Give `callback=prefs.callback()` to every "
                "call of `learn`.",
            )
        elif self.has_begun and not self._is_at_work:
            self._warn(
                "stepped alone",
                "`prefs.venv` is stepped while no call of `learn` with its callback is at work: nothing is asked "
                "or learned, and these steps count as experience of the agent all the same. Give "
                "`callback=prefs.callback()` to every call of `learn`, and evaluate in "
                "`prefs.evaluation_venv(...)`.",
            )
        if self.is_pretraining:
            assert self._pretraining is not None
            return self._pretraining.pay(observations)
        return self.reward_model.predict(observations, actions, next_observations, sd_weight=self.sd_weight)

    @property
    def alarm(self) -> RewardAlarm:
        """Says where the agent may exploit mistakes of the reward."""
        return self._refits.alarm

    @property
    def is_pretraining(self) -> bool:
        """Whether the agent is paid for seeing what it has not seen, as nothing has been learned from labels."""
        return self._pretraining is not None and not self.reward_model.fitted

    @property
    def warnings_of_people(self) -> dict[str, str]:
        """What somebody should look at, by the name of whose answers contradict the reward; a sentence each."""
        return self._refits.warnings_of_people(self.store.aside())

    @property
    def has_paid_novelty(self) -> bool:
        """Whether the agent that learns now has been paid so."""
        return self.is_pretraining and self._pretraining is not None and self._pretraining.n_seen > 0

    def reward_now(
        self, observations: Any, actions: npt.NDArray[Any], next_observations: Any
    ) -> npt.NDArray[np.float32]:
        """Return what steps that were made before are worth now; a `RewardFn`."""
        if self.is_pretraining:
            assert self._pretraining is not None
            return self._pretraining.predict(observations)
        return self.reward_model.predict(observations, actions, next_observations, sd_weight=self.sd_weight)

    @property
    def _n_given(self) -> int:
        """Labels of the budget that there are."""
        return max(self.labels.n_labels, self.plan_of_labels.given)

    @property
    def _share_to_come(self) -> float:
        """Share of the budget of labels that there is not yet."""
        n_labels = self.plan_of_labels.n_labels
        return max(0.0, 1.0 - self._n_given / n_labels) if n_labels else 0.0  # all were there before

    def _unlabelled_pairs(self) -> UnlabelledPairs | None:
        """Return what draws pairs that nobody is asked about; None where nothing is learned of such."""
        training = self.trainer.settings
        if not training.pseudo_weight:
            return None
        return UnlabelledPairs(
            self.recorder,
            length=self.feedback.segment_length,
            n=training.pseudo_ratio * training.batch_size,
            rng=Streams(self.seed).generator("unlabelled-pairs"),
        )

    def _recall(self) -> bool:
        """Take in what earlier runs and, once, earlier processes have been told; return whether any was new."""
        n_before = self._refits.n_new
        for news in self._earlier.read(self.labels.most_at_once):
            self._refits.take(news, is_new=False)
        if self._recalls:
            self._recalls = False
            for news in self.labels.recall():
                self._refits.take(news, is_new=False)
        return self._refits.n_new > n_before

    def _coin_share(self) -> float:
        """Return the error rate that repeats tell of."""
        history, assumed = self.store.history(None, limit=None), self.trainer.settings.error_rate
        return coin_share(history, assumed, self.store.aside())

    def _round(self) -> int:
        """Labels that make a round; at the end of the budget what is left of it."""
        n_fitted = self.labels.n_labels - self._refits.n_fresh
        return min(self.plan_of_labels.per_round, max(self.plan_of_labels.n_labels - n_fitted, 1))

    def _warn(self, kind: str, message: str) -> None:
        """Warn once of each kind of thing."""
        if kind not in self._has_warned:
            self._has_warned.add(kind)
            warnings.warn(message, stacklevel=3)


def _ensemble(venv: VecEnv, settings: RewardSettings, seed: int) -> RewardEnsemble:
    return RewardEnsemble(
        venv.observation_space,
        venv.action_space,
        settings=settings,
        frame_stack=frame_stack_of(venv),
        seed=seed,
    )
