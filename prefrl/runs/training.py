"""A training: its parts put together from the settings, saved and restored."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack
from threadpoolctl import threadpool_limits

from prefrl.agents import LearnedRewardVecEnv, PreferenceLearning, make_agent
from prefrl.agents.algorithms import Agent
from prefrl.agents.callback import steps_between_looks
from prefrl.agents.environments import check_segment_length, frame_stack_of
from prefrl.agents.learned_reward import WINDOW
from prefrl.agents.old_labels import OldLabels
from prefrl.agents.policy_drift import PolicyDrift
from prefrl.agents.replay import Replay
from prefrl.agents.restarts import PolicyRestarts
from prefrl.agents.reward_fn import RewardFn, reward_fn_of
from prefrl.config import RunConfig
from prefrl.errors import RunError, StoreError
from prefrl.parts import Part
from prefrl.registry import OFF_POLICY
from prefrl.reward import RewardEnsemble, RewardTrainer, resolve_device
from prefrl.runs.advice import environment_advice
from prefrl.runs.checkpoint import AnswersRead, Checkpoint, write_checkpoint
from prefrl.runs.folder import RunFolder
from prefrl.runs.log_writers import make_logger
from prefrl.runs.memory_limits import check_memory, fitting_buffer_size, fitting_recorder_steps
from prefrl.runs.old_labels import old_labels_of
from prefrl.runs.policy_view import SavedNormalizer, make_normalizer, stack_frames
from prefrl.runs.run_teacher import run_teacher
from prefrl.runs.saved_parts import (
    Progress,
    RandomStreams,
    SavedAgent,
    SavedFrames,
    check_agent_fits,
    saved_agent,
)
from prefrl.runs.saved_replay import SavedReplay
from prefrl.runs.simulators import Simulators
from prefrl.runs.stepping import make_stepped_environments, resolve_stepping
from prefrl.seeding import Streams
from prefrl.segments.spaces import check_space
from prefrl.settings import AgentSettings
from prefrl.store import Store

# A line in the log for about this many environment steps.
LOG_EVERY = 4096
# And of a short training about this many lines.
LINES_AT_LEAST = 20
RESTORE_STORE = "restore store.sqlite and segments from a copy of the run."


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
        RunError: The store has lost answers that the checkpoint was trained on, or a log cannot begin.
        MissingDependencyError: A log needs a package that is not installed.
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
        for note in environment_advice(config, self.stacked):
            warnings.warn(note, stacklevel=2)
        self.store: Store | None = None
        self.preferences: PreferenceLearning | None = None
        if config.reward == "preferences":
            self.store = Store(folder.path)
            self.store.counts()  # what is wrong with it is said now, not at the first question
            old_labels = old_labels_of(config, self.store, self.stacked)
            self.preferences = _preferences(config, folder, self.stacked, self.store, old_labels)
            self.rewarded = self.preferences.venv
            self.restarts = self.preferences.restarts
        else:
            pays = _saved_reward(config, folder, self.stacked) if config.reward == "saved" else config.reward
            self.rewarded = LearnedRewardVecEnv(self.stacked, pays, window=_window(config))
            self.restarts = PolicyRestarts(self.rewarded, config.restarts, seeds.integer("restarts"))
            self.restarts.plan(config.total_timesteps)
        self.normalizer = make_normalizer(config, self.rewarded)
        settings = _agent_settings(config, self.stacked)
        agent = make_agent(config.algo, self.normalizer, seed=seeds.integer("agent"), settings=settings)
        # SB3 has given the environments the agent's seed.
        self.normalizer.seed(seeds.integer("environments"))
        self.drift = PolicyDrift(agent)  # before a checkpoint is restored: the first policy is the seed's
        self._saved_agent = SavedAgent(agent, self.normalizer)
        self._replay = SavedReplay(self._saved_agent)
        if self.preferences is not None and isinstance(agent, OffPolicyAlgorithm):
            reads_next = self.preferences.reward_model.inputs.next_observation
            Replay(agent, self.preferences.venv, reads_next=reads_next)  # refuses now what it would refuse later
        self._random = RandomStreams(self._saved_agent)
        self.progress = Progress(self._saved_agent, self.preferences, self.restarts)
        self.parts = self._parts()
        if checkpoint is not None:
            self._restore(checkpoint)
        elif self.preferences is not None:  # said now and not when the training begins: then there is a run
            self.preferences.plan_of_labels.begin(0, config.total_timesteps, self._between_looks)
        self.agent.set_logger(make_logger(config, folder, self.preferences, until=self.agent.num_timesteps))
        self.progress.begin()

    def _parts(self) -> dict[str, Part]:
        """Return everything that has state, by the name it has in checkpoints, in the order of restoring."""
        parts: dict[str, Part] = {
            "environments": Simulators(self.environments),
            "frames": SavedFrames(self.stacked if isinstance(self.stacked, VecFrameStack) else None),
            "normalizer": SavedNormalizer(self.normalizer),
            "agent": self._saved_agent,
            "random": self._random,
            "progress": self.progress,
        }
        if not self.learns_from_rollouts:
            parts["replay"] = self._replay
        if self.preferences is None:
            parts["learned_reward"] = self.rewarded
            parts["restarts"] = self.restarts
        else:
            parts["preferences"] = self.preferences
        return parts

    @property
    def agent(self) -> Agent:
        """The agent; after a restore another object than before."""
        return self._saved_agent.agent

    @property
    def seconds(self) -> float:
        """Wall time of the training so far, over all processes that took part."""
        return self.progress.seconds

    @property
    def log_interval(self) -> int:
        """What SB3 is told: rollouts per line of the log. Off-policy the run itself writes the lines."""
        return self.steps_per_line // self._between_looks if self.learns_from_rollouts else sys.maxsize

    @property
    def steps_per_line(self) -> int:
        """Environment steps per line of the log."""
        wanted = min(LOG_EVERY, self.config.total_timesteps // LINES_AT_LEAST)
        return max(1, wanted // self._between_looks) * self._between_looks

    @property
    def learns_from_rollouts(self) -> bool:
        """Whether the agent is on-policy, and not one with a replay buffer."""
        return isinstance(self.agent, OnPolicyAlgorithm)

    def metrics(self) -> dict[str, float]:
        """Return the mean task metrics of the latest episodes."""
        return {name: float(np.mean(values)) for name, values in self.rewarded.task_metrics.items()}

    def save(self) -> None:
        """Write the learned reward and a checkpoint. Between rollouts only: then going on from it is exactly that.

        Raises:
            RunError: They cannot be written.
        """
        # Before the checkpoint, which may say that the training is over.
        if self.preferences is not None and self.preferences.reward_model.fitted:
            self.preferences.reward_model.save(self.folder.reward_model)
        write_checkpoint(
            self.folder.checkpoints,
            self.agent.num_timesteps,
            self.parts,
            config=self.config.to_json(),
            answers=self._answers_read(),
            replay=self._replay,
        )

    def finish(self) -> None:
        """Save what the run can be extended from.

        Raises:
            RunError: It cannot be written.
        """
        if self.agent.use_sde:  # the first thing that SB3 would do in a rollout to come
            policy: Any = self.agent.policy
            policy.reset_noise(self.config.agent.n_envs)
        self.save()

    @property
    def _between_looks(self) -> int:
        """Environment steps of a rollout, or of several where they are short."""
        return steps_between_looks(self.agent, self.stacked)

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
        assert self.preferences is not None
        run = self.preferences.run
        answers = self.store.answers(run=run)
        until = answers[-1].seq if answers else 0
        return AnswersRead(run=run, until=until, digest=self.store.digest(run, until))

    def _check_answers(self, checkpoint: Checkpoint) -> None:
        """Refuse a store that is not the one that a checkpoint was trained on.

        Raises:
            RunError: An answer, a query or a clip is missing or another one.
        """
        read = checkpoint.answers
        if read is None or self.store is None:
            return
        if self.store.digest(read.run, read.until) != read.digest:
            raise RunError(
                f"The store in {self.folder.path} is not the one that the checkpoint {checkpoint.folder.name} was "
                f"trained on: of its first {read.until} answers and their queries some are missing or were "
                f"changed; {RESTORE_STORE}"
            )

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Put all parts back to where the checkpoint has them.

        Raises:
            RunError: The store is not the one that the checkpoint was trained on, or the environment has changed.
        """
        self._check_answers(checkpoint)
        check_agent_fits(saved_agent(self.config.algo, checkpoint.agent, "cpu"), self.normalizer)
        try:
            checkpoint.restore(self.parts)
            self._replay.fill(checkpoint.read_shared)
        except StoreError as error:
            raise RunError(
                f"The store in {self.folder.path} lacks what the checkpoint {checkpoint.folder.name} was trained "
                f"on ({error}); {RESTORE_STORE}"
            ) from error


def _check_segment_length(config: RunConfig, environments: VecEnv) -> None:
    if config.reward == "preferences":
        check_segment_length(environments, config.segment_length)


def _preferences(
    config: RunConfig, folder: RunFolder, environments: VecEnv, store: Store, old_labels: OldLabels
) -> PreferenceLearning:
    seeds = Streams(config.seed)
    ensemble = RewardEnsemble(
        environments.observation_space,
        environments.action_space,
        settings=config.reward_model,
        frame_stack=frame_stack_of(environments),
        seed=seeds.integer("reward-model"),
        device=config.device,
    )
    preferences = PreferenceLearning(
        environments,
        teacher=run_teacher(config, folder),
        n_labels=config.labels,
        seed=seeds.integer("preferences"),
        store=store,
        old_labels=old_labels,
        feedback=replace(config.feedback, recorder_steps=fitting_recorder_steps(config, environments)),
        reward=RewardTrainer(ensemble),
        restarts=config.restarts,
    )
    preferences.plan(config.total_timesteps)
    return preferences


def _saved_reward(config: RunConfig, folder: RunFolder, environments: VecEnv) -> RewardFn:
    """Return the reward that was learned before; the run goes on with its own copy.

    Raises:
        RunError: Where it is said to be is nothing.
        RewardModelError: It has learned nothing, or was learned in other environments.
    """
    if not RewardEnsemble.is_in(folder.reward_model):
        RewardEnsemble.load(_reward_folder(config.reward_from)).save(folder.reward_model)
    spaces = environments.observation_space, environments.action_space
    return reward_fn_of(None, folder.reward_model, *spaces, device=config.device)


def _reward_folder(said: str) -> Path:
    """Return where a reward lies of which this was said."""
    path = Path(said)
    if not path.is_dir():
        raise RunError(f"`reward_from` is {said}, which is no folder; give that of a run, or of a saved reward.")
    run = RunFolder(path)
    return run.reward_model if run.reward_model.is_dir() else path


def _agent_settings(config: RunConfig, environments: VecEnv) -> AgentSettings:
    """Return the agent's settings, with a replay buffer of the size it needs."""
    own = config.agent
    if config.algo not in OFF_POLICY:
        return own
    return replace(own, settings={**own.settings, "buffer_size": fitting_buffer_size(config, environments)})


def _window(config: RunConfig) -> int:
    """Return over how many episodes running means are taken: as many as SB3 takes its own over."""
    return int(config.agent.settings.get("stats_window_size", WINDOW))
