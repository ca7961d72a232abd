"""A training: its parts put together from the settings, saved and restored."""

import hashlib
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack
from threadpoolctl import threadpool_limits

from prefrl.agents import LearnedRewardVecEnv, People, PreferenceLearning, make_agent
from prefrl.agents.learned_reward import WINDOW
from prefrl.agents.preference_learning import frame_stack_of
from prefrl.config import RunConfig
from prefrl.errors import RunError, SettingError, StoreError
from prefrl.feedback import (
    DisagreementSelector,
    OracleTeacher,
    Selector,
    ShuffledTeacher,
    SpreadSelector,
    Teacher,
    UniformSelector,
)
from prefrl.parts import Part
from prefrl.reward import RewardEnsemble, RewardTrainer, resolve_device
from prefrl.runs.advice import notes_on
from prefrl.runs.checkpoint import AnswersRead, Checkpoint, write_checkpoint
from prefrl.runs.folder import RunFolder
from prefrl.runs.memory_limits import check_memory, fitting_recorder_steps
from prefrl.runs.metrics_log import MetricsLog
from prefrl.runs.policy_view import SavedNormalizer, make_normalizer, stack_frames
from prefrl.runs.preference_parts import SavedPreferences, SavedRewardedEnvironments
from prefrl.runs.saved_parts import Progress, RandomStreams, SavedAgent, SavedFrames
from prefrl.runs.simulators import Simulators
from prefrl.runs.stepping import horizon_of, make_stepped_environments, resolve_stepping
from prefrl.seeding import Streams
from prefrl.segments.spaces import check_space
from prefrl.store import Store

# A line in the log for about this many environment steps.
LOG_EVERY = 4096
# And of a short training about this many lines.
LINES_AT_LEAST = 20
RESTORE_STORE = "restore store.sqlite and segments from a copy of the run."


RUN = 1


def digest(store: Store, run: int, until: int) -> str:
    rows = [repr(a) for a in store.answers() if a.seq <= until]
    return hashlib.sha256("".join(rows).encode()).hexdigest()


class Training:
    """Environments, reward and agent of one run.

    Args:
        config: The settings.
        folder: Where the run keeps its things.
        checkpoint: Where to go on; None starts from the beginning.

    Raises:
        SettingError: A setting does not fit the environment.
        DeviceError: A device is not there.
        StoreError: The store of the run is damaged or cannot be written.
        RunError: The store has lost answers that the checkpoint was trained on.
    """

    def __init__(self, config: RunConfig, folder: RunFolder, checkpoint: Checkpoint | None = None) -> None:
        """Make the parts, or make them again as they were."""
        torch.set_num_threads(config.n_threads)
        # NumPy's matrix products would start a thread per core for every step, and spin between them.
        threadpool_limits(config.n_threads, user_api="blas")
        resolve_device(config.agent.device)  # SB3 would take the CPU without a word
        self.config = config = replace(config, stepping=resolve_stepping(config))
        self.folder = folder
        seeds = Streams(config.seed)
        self.environments = make_stepped_environments(
            config, n_envs=config.agent.n_envs, seed=seeds.integer("environments")
        )
        _check_segment_length(config, self.environments)
        check_space(self.environments.observation_space, what="observation space")
        self.stacked = stack_frames(config, self.environments)
        check_memory(config, self.stacked)
        for note in notes_on(config, self.stacked):
            warnings.warn(note, stacklevel=2)
        self.store: Store | None = None
        self.preferences: PreferenceLearning | None = None
        if config.reward == "preferences":
            self.store = Store(folder.path)
            self.store.counts()  # what is wrong with it is said now, not at the first question
            self.preferences = _preferences(config, self.stacked, self.store)
            self.rewarded = self.preferences.venv
        else:
            constant = config.reward == "constant"
            self.rewarded = LearnedRewardVecEnv(
                self.stacked, _constant_reward if constant else None, window=_window(config)
            )
        self.normalizer = make_normalizer(config, self.rewarded)
        agent = make_agent(
            config.algo,
            self.normalizer,
            seed=seeds.integer("agent"),
            device=config.agent.device,
            hidden_sizes=config.agent.hidden_sizes,
            cnn=config.agent.cnn,
            log_std_init=config.agent.log_std_init,
            settings=config.agent.settings,
        )
        # SB3 has given the environments the agent's seed.
        self.normalizer.seed(seeds.integer("environments"))
        self._saved_agent = SavedAgent(agent, self.normalizer)
        self._random = RandomStreams(self._saved_agent)
        self._progress = Progress(self._saved_agent, self.preferences)
        self.parts = self._parts()
        if checkpoint is not None:
            self._restore(checkpoint)
        self.agent.set_logger(Logger(None, [MetricsLog(folder.metrics, until=self.agent.num_timesteps)]))
        self._progress.begin()

    def _parts(self) -> dict[str, Part]:
        """Return everything that has state, by the name it has in checkpoints, in the order of restoring."""
        parts: dict[str, Part] = {
            "environments": Simulators(self.environments),
            "frames": SavedFrames(self.stacked if isinstance(self.stacked, VecFrameStack) else None),
            "learned_reward": SavedRewardedEnvironments(self.rewarded),
            "normalizer": SavedNormalizer(self.normalizer),
            "agent": self._saved_agent,
            "random": self._random,
            "progress": self._progress,
        }
        if self.preferences is not None:
            parts["preferences"] = SavedPreferences(self.preferences)
        return parts

    @property
    def agent(self) -> OnPolicyAlgorithm:
        """The agent; after a restore another object than before."""
        return self._saved_agent.agent

    @property
    def seconds(self) -> float:
        """Wall time of the training so far, over all processes that took part."""
        return self._progress.seconds

    @property
    def log_interval(self) -> int:
        """Rollouts per line of the log."""
        return max(1, min(LOG_EVERY, self.config.total_timesteps // LINES_AT_LEAST) // self._rollout)

    @property
    def steps_per_line(self) -> int:
        """Environment steps per line of the log."""
        return self.log_interval * self._rollout

    def metrics(self) -> dict[str, float]:
        """Return the mean task metrics of the latest episodes."""
        return {name: float(np.mean(values)) for name, values in self.rewarded.task_metrics.items()}

    def save(self) -> None:
        """Write a checkpoint. Between rollouts only: then going on from it is exactly going on.

        Raises:
            RunError: It cannot be written.
        """
        write_checkpoint(
            self.folder.checkpoints,
            self.agent.num_timesteps,
            self.parts,
            config=self.config.to_json(),
            answers=self._answers_read(),
        )

    def finish(self) -> None:
        """Write the learned reward and the last checkpoint, from which the run can be extended.

        Raises:
            RunError: They cannot be written.
        """
        # Before the checkpoint, which says that the training is over.
        if self.preferences is not None:
            self.preferences.reward_model.save(self.folder.reward_model)
        if self.agent.use_sde:  # the first thing that SB3 would do in a rollout to come
            self.agent.policy.reset_noise(self.config.agent.n_envs)
        self.save()

    @property
    def _rollout(self) -> int:
        """Environment steps of a rollout."""
        return self.agent.n_steps * self.config.agent.n_envs

    def begin_rollout(self) -> None:
        """Continue the random streams of a checkpoint; to be called when a rollout begins."""
        self._random.begin_rollout()

    def close(self) -> None:
        """Close log, store and environments."""
        self.agent.logger.close()
        if self.store is not None:
            self.store.close()
        self.environments.close()

    def _answers_read(self) -> AnswersRead | None:
        """Return what the store holds now."""
        if self.store is None:
            return None
        answers = self.store.answers()
        until = answers[-1].seq if answers else 0
        return AnswersRead(run=RUN, until=until, digest=digest(self.store, RUN, until))

    def _check_answers(self, checkpoint: Checkpoint) -> None:
        """Refuse a store that is not the one that a checkpoint was trained on.

        Raises:
            RunError: An answer, a query or a clip is missing or another one.
        """
        read = checkpoint.answers
        if read is None or self.store is None:
            return
        if digest(self.store, read.run, read.until) != read.digest:
            raise RunError(
                f"The store in {self.folder.path} is not the one that the checkpoint {checkpoint.folder.name} was "
                f"trained on: of its first {read.until} answers and their queries some are missing or were changed; "
                f"{RESTORE_STORE}"
            )

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Put all parts back to where the checkpoint has them.

        Raises:
            RunError: The store is not the one that the checkpoint was trained on.
        """
        self._check_answers(checkpoint)
        try:
            checkpoint.restore(self.parts)
        except StoreError as error:
            raise RunError(
                f"The store in {self.folder.path} lacks what the checkpoint {checkpoint.folder.name} was trained "
                f"on ({error}); {RESTORE_STORE}"
            ) from error


def _constant_reward(observations: Any, actions: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.zeros(len(actions), dtype=np.float32)


def _check_segment_length(config: RunConfig, environments: VecEnv) -> None:
    horizon = horizon_of(environments)
    if config.reward == "preferences" and horizon is not None and config.segment_length > horizon:
        raise SettingError(
            f"`segment_length` must not exceed the episode of {horizon} steps. Received {config.segment_length}."
        )


def _check_time_to_ask(config: RunConfig) -> None:
    """Refuse a training in which no rollout begins after the first questions are due."""
    n_steps = config.agent.settings.get("n_steps")
    if not isinstance(n_steps, int) or n_steps < 1:
        raise SettingError(f"`agent.settings` must hold n_steps of at least 1. Received {n_steps!r}.")
    rollout = n_steps * config.agent.n_envs
    last_rollout = (config.total_timesteps - 1) // rollout * rollout
    if last_rollout < config.feedback.initial_timesteps:
        raise SettingError(
            f"No rollout of {rollout} steps begins between the first questions (feedback.initial_timesteps="
            f"{config.feedback.initial_timesteps}) and the end; make `total_timesteps` larger. Received "
            f"{config.total_timesteps}."
        )


def _preferences(config: RunConfig, environments: VecEnv, store: Store) -> PreferenceLearning:
    _check_time_to_ask(config)
    label, model = config.feedback, config.reward_model
    seeds = Streams(config.seed)
    ensemble = RewardEnsemble(
        environments.observation_space,
        environments.action_space,
        n_members=model.n_members,
        hidden_sizes=model.hidden_sizes,
        frame_stack=frame_stack_of(environments),
        dropout=model.dropout,
        reward_sd=model.reward_sd,
        seed=seeds.integer("reward-model"),
        device=config.device,
    )
    trainer = RewardTrainer(
        ensemble,
        learning_rate=model.learning_rate,
        batch_size=model.batch_size,
        error_rate=model.error_rate,
        l2=model.l2,
        memory=model.memory,
        seed=seeds.integer("reward-trainer"),
    )
    return PreferenceLearning(
        environments,
        teacher=_teacher(config),
        n_labels=config.labels,
        seed=seeds.integer("preferences"),
        segment_length=config.segment_length,
        store=store,
        schedule=label.schedule,
        selector=_selector(config),
        initial_timesteps=label.initial_timesteps,
        initial_share=label.initial_share,
        time_constant=label.time_constant,
        asking_share=label.asking_share,
        labels_per_round=label.labels_per_round,
        first_epochs=model.first_epochs,
        epochs=model.epochs,
        recorder_steps=fitting_recorder_steps(config, environments),
        reward_model=ensemble,
        trainer=trainer,
        window=_window(config),
    )


def _window(config: RunConfig) -> int:
    """Return over how many episodes running means are taken: as many as SB3 takes its own over."""
    return int(config.agent.settings.get("stats_window_size", WINDOW))


def _teacher(config: RunConfig) -> Teacher | People:
    label = config.feedback
    if config.teacher == "human":
        return People(stock=label.stock, stale_after=label.stale_after, overlap=label.overlap)
    oracle = OracleTeacher()
    if not config.shuffle_labels:
        return oracle
    return ShuffledTeacher(oracle, seed=Streams(config.seed).integer("shuffled-labels"))


def _selector(config: RunConfig) -> Selector:
    label = config.feedback
    if label.strategy == "disagreement":
        return DisagreementSelector(recent_share=label.recent_share, recent_steps=label.recent_steps)
    if label.strategy == "spread":
        return SpreadSelector(recent_share=label.recent_share, recent_steps=label.recent_steps)
    return UniformSelector(recent_share=label.recent_share, recent_steps=label.recent_steps)
