"""A run from start to end: train, save on the way, evaluate."""

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from prefrl.agents import PreferenceCallback
from prefrl.agents.callback import watch_policy
from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError, RunError
from prefrl.files import read_json
from prefrl.memory import give_back_memory
from prefrl.runs.evaluation import evaluate
from prefrl.runs.folder import RunFolder
from prefrl.runs.live_status import LiveStatus
from prefrl.runs.log_writers import check_log_writers
from prefrl.runs.pace import PacedCallback
from prefrl.runs.settings_changes import check_budget, extended, latest_checkpoint
from prefrl.runs.stepping import resolve_stepping
from prefrl.runs.training import Training
from prefrl.runs.wishes import Wishes
from prefrl.store import LogKey

TELL_EVERY = 256
"""Environment steps between two messages to the listener where rollouts are shorter: off-policy."""


class TrainingProgress(NamedTuple):
    """What a training tells of itself after each rollout."""

    num_timesteps: int
    total_timesteps: int
    labels: int
    n_labels: int
    """Labels there will be; 0 where none are asked."""
    true_return: float
    """Mean true return of the latest episodes; NaN before the first one ended."""
    metrics: dict[str, float]
    """Mean task metrics of the latest episodes."""
    waiting: bool = False
    """Whether the agent is ahead of the people who label, and waits for them."""
    paused: bool = False
    """Whether it waits because the owner has paused it."""
    stopping: bool = False
    """Whether it was asked to stop, and will have saved and done so after the next line of the log."""
    policies: int = 1
    """Policies so far: more than one where one got no better and a fresh one took its place."""
    notes: tuple[str, ...] = ()
    """What people should know of the policies so far."""


ProgressListener = Callable[[TrainingProgress], None]


def start(
    config: RunConfig, out: Path, listener: ProgressListener, *, opened: Callable[[Path], None] | None = None
) -> dict[str, Any]:
    """Train a new run to its end and evaluate it.

    Args:
        config: The settings.
        out: Folder of the run; must not exist.
        listener: Told of the progress after every rollout.
        opened: Called with the folder once the training is set up, before its first step.

    Returns:
        What `evaluation.json` holds (see `evaluate`).

    Raises:
        PrefRLError: A setting cannot be, or the folder cannot be had. No folder is left behind if the training
            could not even start.
        InterruptedRunError: Ctrl-C; a checkpoint was written.
    """
    check_log_writers(config)
    config = replace(config, stepping=resolve_stepping(config))  # what "auto" comes to is written down
    folder = RunFolder.create(out, config)
    with folder.locked():
        try:
            training = Training(config, folder)
        except BaseException:
            folder.discard()
            raise
        if opened is not None:
            opened(out)
        with _explain_interruption(folder):
            _learn(training, listener)
            del training  # a clip takes as much memory as all that it holds
            return _finish(folder)


def resume(
    path: Path,
    listener: ProgressListener,
    *,
    labels: int | None = None,
    total_timesteps: int | None = None,
    tensorboard: bool | None = None,
    wandb: bool | None = None,
    opened: Callable[[Path], None] | None = None,
) -> dict[str, Any]:
    """Finish a run that was stopped or died, from its last checkpoint on; or extend a finished one.

    Without a checkpoint it begins anew; questions that were answered before are not asked again.

    Args:
        path: Folder of the run.
        listener: As for `start`.
        labels: Comparisons in all, from now on; written into the run's settings.
        total_timesteps: Environment steps in all, from now on; written into the run's settings. The schedules of
            labels and learning rate follow the new totals; what was learned until then stays as it is.
        tensorboard: Whether the log goes to TensorBoard, from now on; written into the run's settings.
        wandb: Whether it goes to Weights & Biases, likewise.
        opened: As for `start`.

    Returns:
        What `evaluation.json` holds (see `evaluate`).

    Raises:
        RunError: The folder is no run or in use, its checkpoint is damaged, its settings were edited, the store is
            another one, the budget is below what is used up, a log cannot begin, or the run is complete.
        SettingError: The budget cannot be.
        MissingDependencyError: A log needs a package that is not installed.
        InterruptedRunError: Ctrl-C; a checkpoint was written.
    """
    folder = RunFolder.open(path)
    with folder.locked():
        config = folder.config()
        checkpoint = latest_checkpoint(folder)
        if labels is not None or total_timesteps is not None:
            config = extended(config, labels=labels, total_timesteps=total_timesteps)
        config = replace(
            config,
            tensorboard=config.tensorboard if tensorboard is None else tensorboard,
            wandb=config.wandb if wandb is None else wandb,
        )
        check_log_writers(config)
        if checkpoint is not None:
            check_budget(config, checkpoint)
        with _explain_interruption(folder):
            if checkpoint is None or checkpoint.num_timesteps < config.total_timesteps:
                training = Training(config, folder, checkpoint)
                del checkpoint  # it may hold a gigabyte of experience
                folder.change_config(config)
                if opened is not None:
                    opened(path)
                _learn(training, listener)
                del training
            elif _has_final_report(folder, config):
                raise RunError(
                    f"{path} is complete; its report is {folder.report} (`prefrl resume {path} "
                    "--total-timesteps N` trains it further)."
                )
            return _finish(folder)


def _has_final_report(folder: RunFolder, config: RunConfig) -> bool:
    """Return whether the report shows the end of the training; one can be asked for before."""
    if not (folder.evaluation.exists() and folder.report.exists()):
        return False
    evaluated_late = read_json(folder.evaluation)["num_timesteps"] >= config.total_timesteps
    return evaluated_late and folder.report.stat().st_mtime_ns >= folder.evaluation.stat().st_mtime_ns


@contextmanager
def _explain_interruption(folder: RunFolder) -> Iterator[None]:
    """Turn Ctrl-C, and what the system refuses, into an error that says how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"Stopped; go on with `prefrl resume {folder.path}`.") from error
    except OSError as error:
        raise RunError(
            f"The run cannot go on: {error}; mend that and go on with `prefrl resume {folder.path}`."
        ) from error


def _finish(folder: RunFolder) -> dict[str, Any]:
    gc.collect()
    give_back_memory()
    return evaluate(folder)


def _learn(training: Training, listener: ProgressListener) -> None:
    """Train to the end, and save; also save what there is when the user stops it."""
    config, agent = training.config, training.agent
    try:
        with _stop_requests() as stop, _callbacks(training, listener, stop) as callbacks:
            agent.learn(
                config.total_timesteps - agent.num_timesteps,
                callback=callbacks,
                log_interval=training.log_interval,
                # A new agent starts at 0 anyway; one that was stopped at 0 has reset its environments already.
                reset_num_timesteps=False,
            )
        training.finish()
    except ValueError as error:
        if _are_finite(training.rewarded.last_observations):
            raise
        raise RunError(
            "The environment handed out observations that are not finite (NaN or infinite), and nothing can act "
            "on those; mend that and train anew."
        ) from error
    finally:
        training.close()


def _are_finite(observations: Any) -> bool:
    parts = observations.values() if isinstance(observations, dict) else [observations]
    return all(bool(np.isfinite(part).all()) for part in parts)


@contextmanager
def _callbacks(
    training: Training, listener: ProgressListener, stop: threading.Event
) -> Iterator[list[BaseCallback]]:
    """Give what is called between rollouts; where people answer, tell them what goes on as long as it lasts."""
    run, preferences = _RunCallback(training, listener, stop), training.preferences
    if preferences is None:
        yield [run]
    elif training.config.teacher != "human":
        yield [run, PreferenceCallback(preferences, replay_is_paid=True)]
    else:
        assert training.store is not None
        wishes = Wishes(training.store, stop)
        with LiveStatus(training.store, training.config, preferences, wishes) as status:
            paced = PacedCallback(
                preferences,
                training,
                status,
                wishes,
                waiting=lambda paused: run.tell(waiting=not paused, paused=paused),
                save_and_stop=run.save_and_stop,
            )
            yield [run, paced]


class _RunCallback(BaseCallback):
    """Saves between rollouts, logs what episodes reported, tells the listener, and stops on request.

    Saves come right after a line of the log: SB3 counts the rollouts of a line from where `learn` starts, so that
    a resumed run would write its lines at other steps.
    """

    def __init__(self, training: Training, listener: ProgressListener, stop: threading.Event) -> None:
        super().__init__()
        self.run = training
        self.listener = listener
        self.stop = stop
        self._last_line = self._last_saved = self._last_told = 0

    def _on_training_start(self) -> None:
        # Lines are counted from here on, not from 0: a run may have been extended in between two of them.
        self._last_line = self._last_saved = self._last_told = self.num_timesteps

    def _on_rollout_start(self) -> None:
        self.run.begin_rollout()
        if self.run.preferences is None:  # else its callback does it, after the reward was refitted
            watch_policy(self.run.restarts, self.model)
        since_line = self.num_timesteps - self._last_line
        if 0 < since_line < self.run.steps_per_line:
            return
        self._last_line = self.num_timesteps
        if since_line and not self.run.learns_from_rollouts:
            self._write_line()
        if self.stop.is_set():
            self.save_and_stop()
        if self.num_timesteps - self._last_saved >= self.run.config.checkpoint_every:
            self.run.save()
            self._last_saved = self.num_timesteps

    def save_and_stop(self) -> NoReturn:
        """Save and end the training; between rollouts only."""
        self.run.save()
        raise InterruptedRunError(f"Stopped and saved; go on with `prefrl resume {self.run.folder.path}`.")

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if isinstance(self.model, OnPolicyAlgorithm):
            self.run.restarts.end(self.model)
        else:
            self._write_line()
        self.tell()

    def _on_rollout_end(self) -> None:
        if self.run.learns_from_rollouts:
            self._record()
        elif self.num_timesteps - self._last_told < TELL_EVERY:
            return
        self._last_told = self.num_timesteps
        self.tell()

    def _record(self) -> None:
        for name, value in self.run.metrics().items():
            self.logger.record(f"task/{name}", value)
        self.logger.record("time/training_seconds", self.run.seconds)
        returns = [episode["r"] for episode in self.model.ep_info_buffer or []]
        if returns:
            self.logger.record("rollout/ep_rew_std", float(np.std(returns)))
        if self.num_timesteps - self._last_line >= self.run.steps_per_line:  # now a line is written
            kl = self.run.drift.measure(self.model)
            if kl is not None:
                self.logger.record("policy/kl", kl)
        preferences, rewarded = self.run.preferences, self.run.rewarded
        if preferences is not None:
            self.logger.record("time/refit_seconds", preferences.refit_seconds)
        elif callable(rewarded.reward) and rewarded.predicted_returns:
            self.logger.record(LogKey.PREDICTED_RETURN, float(np.mean(rewarded.predicted_returns)))

    def _write_line(self) -> None:
        """Write a line of the log for an off-policy agent, as SB3 does for others."""
        assert isinstance(self.model, OffPolicyAlgorithm)
        self._record()
        self.model.dump_logs()

    def tell(self, *, waiting: bool = False, paused: bool = False) -> None:
        """Tell the listener how far the training has come."""
        preferences = self.run.preferences
        episodes: list[dict[str, float]] = list(self.model.ep_info_buffer or [])
        self.listener(
            TrainingProgress(
                num_timesteps=self.num_timesteps,
                total_timesteps=self.run.config.total_timesteps,
                labels=preferences.labels.n_labels if preferences else 0,
                n_labels=self.run.config.labels if preferences else 0,
                true_return=float(np.mean([e["r"] for e in episodes])) if episodes else float("nan"),
                metrics=self.run.metrics(),
                waiting=waiting,
                paused=paused,
                stopping=self.stop.is_set(),
                policies=self.run.restarts.n_policies,
                notes=tuple(note.text for note in self.run.restarts.notes),
            )
        )


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or SIGTERM) into a request to stop; the second one interrupts as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    received: list[int] = []  # the page may have asked for a stop before, which is no signal

    def request(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        stop.set()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
