"""A training: its parts put together from the settings, saved and restored."""

import io
import time
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack
from threadpoolctl import threadpool_limits

from prefrl.agents import ALGORITHMS, LearnedRewardVecEnv, People, PreferenceLearning, make_agent
from prefrl.agents.algorithms import use_channels_last
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
from prefrl.reward import RewardEnsemble, RewardTrainer, resolve_device
from prefrl.runs.advice import environment_advice
from prefrl.runs.checkpoint import (
    Arrays,
    Checkpoint,
    load_random_state,
    prefixed,
    random_state,
    unprefixed,
    write_checkpoint,
)
from prefrl.runs.folder import RunFolder
from prefrl.runs.memory_limits import check_memory, fitting_recorder_steps
from prefrl.runs.metrics_log import MetricsLog
from prefrl.runs.policy_view import load_normalizer, make_normalizer, normalizer_arrays, stack_frames
from prefrl.runs.simulators import restore_simulators, save_simulators
from prefrl.runs.stepping import horizon_of, make_stepped_environments, resolve_stepping
from prefrl.seeding import Streams
from prefrl.segments.spaces import check_space
from prefrl.store import Store

# A line in the log for about this many environment steps.
LOG_EVERY = 4096
# And of a short training about this many lines.
LINES_AT_LEAST = 20


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
        # A run goes on with what it began with, also where "auto" has come to mean something else.
        stepping = resolve_stepping(config) if checkpoint is None else checkpoint.state.get("stepping", "sb3")
        self.config = config = replace(config, stepping=stepping)
        self.folder = folder
        seeds = Streams(config.seed)
        self.environments = make_stepped_environments(
            config, n_envs=config.agent.n_envs, seed=seeds.integer("environments")
        )
        _check_segment_length(config, self.environments)
        check_space(self.environments.observation_space, what="observation space")
        self.stacked = stack_frames(config, self.environments)
        check_memory(config, self.stacked)
        for note in environment_advice(config, self.stacked):
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
        self._unused_random_state: tuple[Arrays, dict[str, Any]] | None = None
        self.seconds_before = 0.0
        """Training time before this process took over."""
        if checkpoint is None:
            self.agent = make_agent(
                config.algo,
                self.normalizer,
                seed=seeds.integer("agent"),
                device=config.agent.device,
                hidden_sizes=config.agent.hidden_sizes,
                cnn=config.agent.cnn,
                log_std_init=config.agent.log_std_init,
                settings=config.agent.settings,
            )
        else:
            self.agent = self._restored(checkpoint)
        self.agent.set_logger(Logger(None, [MetricsLog(folder.metrics, until=self.agent.num_timesteps)]))
        if checkpoint is not None:
            for key, value in checkpoint.state["logged"].items():
                self.agent.logger.record(key, value)
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time of the training so far, over all processes that took part."""
        return self.seconds_before + time.perf_counter() - self._started

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
        agent = io.BytesIO()
        self.agent.save(agent)
        arrays, numbers = random_state()
        state: dict[str, Any] = {
            "num_timesteps": self.agent.num_timesteps,
            "stepping": self.config.stepping,
            "seconds": self.seconds,
            "random": numbers,
            "rewarded": self.rewarded.state_dict(),
            "logged": {k: float(v) for k, v in self.agent.logger.name_to_value.items()},
        }
        arrays |= prefixed("noise", _noise_arrays(self.agent))
        simulators, state["environments"] = save_simulators(self.environments)
        arrays |= simulators
        arrays |= _observation_arrays(self.rewarded)
        arrays |= prefixed("normalizer", normalizer_arrays(self.normalizer))
        if self.preferences is not None:
            arrays |= prefixed("recorder", self.preferences.recorder.state_dict())
            arrays |= prefixed("reward", self.preferences.reward_model.state_arrays())
            trainer_arrays, state["trainer"] = self.preferences.trainer.state_dict()
            arrays |= prefixed("trainer", trainer_arrays)
            state["preferences"] = self.preferences.state_dict()
            state["reward_fitted"] = self.preferences.reward_model.fitted
        write_checkpoint(
            self.folder.checkpoints,
            self.agent.num_timesteps,
            agent=agent.getvalue(),
            arrays=arrays,
            state=state,
        )

    @property
    def _rollout(self) -> int:
        """Environment steps of a rollout."""
        return self.agent.n_steps * self.config.agent.n_envs

    def begin_rollout(self) -> None:
        """Continue the random streams of a checkpoint; to be called when a rollout begins.

        Not before: with gSDE the agent draws its noise first of all, which the checkpoint has already.
        """
        if self._unused_random_state is None:
            return
        arrays, numbers = self._unused_random_state
        self._unused_random_state = None
        for name, array in unprefixed("noise", arrays).items():
            setattr(self.agent.policy.action_dist, name, torch.as_tensor(array, device=self.agent.device))
        load_random_state(arrays, numbers)

    def close(self) -> None:
        """Close log, store and environments."""
        self.agent.logger.close()
        if self.store is not None:
            self.store.close()
        self.environments.close()

    def _restored(self, checkpoint: Checkpoint) -> OnPolicyAlgorithm:
        arrays, state = checkpoint.arrays, checkpoint.state
        agent = ALGORITHMS[self.config.algo].load(
            checkpoint.agent, env=self.normalizer, device=self.config.agent.device, force_reset=False
        )
        use_channels_last(agent)
        self.seconds_before = state["seconds"]
        restore_simulators(self.environments, arrays, state["environments"])
        observations, render_states = _load_observations(arrays)
        self.rewarded.load_state_dict(state["rewarded"], observations, render_states)
        if isinstance(self.stacked, VecFrameStack):
            self.stacked.stacked_obs.stacked_obs[...] = observations
        load_normalizer(self.normalizer, unprefixed("normalizer", arrays))
        if self.preferences is not None:
            self._restore_preferences(self.preferences, arrays, state)
        self._unused_random_state = (arrays, state["random"])
        return agent

    def _restore_preferences(self, preferences: PreferenceLearning, arrays: Arrays, state: dict[str, Any]) -> None:
        preferences.recorder.load_state_dict(unprefixed("recorder", arrays))
        preferences.reward_model.load_state_arrays(unprefixed("reward", arrays))
        preferences.reward_model.fitted = state["reward_fitted"]
        preferences.load_state_dict(state["preferences"])
        seqs = [int(seq) for seq in arrays["trainer.seqs"]]
        known = preferences.store.comparisons_at(seqs)
        try:
            preferences.trainer.load_state_dict(unprefixed("trainer", arrays), state["trainer"], known)
        except StoreError as error:
            raise RunError(
                f"The store in {self.folder.path} lacks some of the {len(seqs)} comparisons that the checkpoint "
                f"was trained on ({error}); restore store.sqlite and segments from a copy of the run."
            ) from error


def _noise_arrays(agent: OnPolicyAlgorithm) -> Arrays:
    """Return the exploration noise of the rollout that begins, where it is not drawn step by step (gSDE)."""
    distribution = agent.policy.action_dist
    if not isinstance(distribution, StateDependentNoiseDistribution):
        return {}
    names = ("exploration_mat", "exploration_matrices")
    return {name: getattr(distribution, name).detach().cpu().numpy() for name in names}


def _observation_arrays(rewarded: LearnedRewardVecEnv) -> Arrays:
    last = rewarded.last_observations
    named = last if isinstance(last, dict) else {"": last}
    arrays = {f"observations.{key}": value for key, value in named.items()}
    if rewarded.render_states is not None:
        arrays["render_states"] = rewarded.render_states
    return arrays


def _load_observations(arrays: Arrays) -> tuple[Any, npt.NDArray[np.float64] | None]:
    named = unprefixed("observations", arrays)
    return named.get("", named), arrays.get("render_states")


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
