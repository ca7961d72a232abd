"""The pace of a run that people label: the agent trains ahead of them by a slack, then waits for their labels.

A machine takes a million steps in minutes, a person gives some hundred labels in an hour. So the agent stops where
the label schedule wants more answers than there are, less the slack; meanwhile the reward is refitted with what
comes. Nothing that a person does waits for the agent: queries lie ready in the store all the time. In the
same way the agent waits while the owner has paused it.
"""

import time
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from prefrl.agents import PreferenceCallback, PreferenceLearning, Refit
from prefrl.runs.live_status import LiveStatus
from prefrl.runs.training import Training
from prefrl.runs.wishes import Wishes
from prefrl.store import TrainerState

POLL_SECONDS = 0.5
"""How often the store is looked at while the agent waits; one look takes about a millisecond."""
REFIT_SECONDS = 5.0
"""While the agent waits, the reward is refitted no oftener than this."""
SAVE_SECONDS = 30.0
"""A wait that lasts this long is worth a checkpoint: nobody knows how long it will be."""


class PacedCallback(PreferenceCallback):
    """Refits between rollouts as `PreferenceCallback` does, and holds the agent back until people have caught up.

    So it does for as long as the owner wishes a pause.

    Args:
        preferences: Whose `venv` the algorithm learns in; its teacher is `People`.
        training: Is saved when a wait becomes long; its settings say how far the agent may be ahead.
        status: Told of what the agent does.
        wishes: What the owner wishes.
        waiting: Called now and then while the agent waits, with whether it is paused.
        save_and_stop: Called when the user wants to stop while the agent waits; raises. Without it, a rollout with
            a reward that nobody has taught would follow.
    """

    def __init__(
        self,
        preferences: PreferenceLearning,
        training: Training,
        status: LiveStatus,
        wishes: Wishes,
        *,
        waiting: Callable[[bool], None],
        save_and_stop: Callable[[], NoReturn],
    ) -> None:
        super().__init__(preferences, replay_is_paid=True)
        self.run = training
        self.status = status
        self.wishes = wishes
        self.waiting = waiting
        self.save_and_stop = save_and_stop

    @property
    def n_missing(self) -> int:
        """Labels without which the agent does not go on: those due by the schedule, less the slack.

        0 where people have nothing to answer: then only new experience helps.
        """
        if not self.preferences.labels.n_open:
            return 0
        # The first fit needs answers: without any the agent would go on with no reward at all.
        at_least = 0 if self.preferences.reward_model.fitted else 1
        due = self.preferences.n_due()
        wanted = max(due - self.run.config.feedback.slack, min(at_least, due))
        return max(0, wanted - self.preferences.labels.n_labels)

    def update(self, *, at_least: int | None = None) -> Refit | None:
        """Read, restock and refit, and tell what came of it."""
        refit = super().update(at_least=at_least)
        if refit is not None:
            self.status.tell_refit(refit)
        return refit

    def _on_rollout_start(self) -> None:
        if not self.is_time_to_look:
            return
        self.update()
        if self.n_missing or self.wishes.pause:
            self._wait()
        self.settle()
        self.status.tell("training", self.num_timesteps)

    def _on_rollout_end(self) -> None:
        super()._on_rollout_end()
        self.logger.record("time/waited_seconds", self.run.progress.waited_seconds)
        if not self.is_time_to_look:
            return
        returns = [episode["r"] for episode in self.model.ep_info_buffer or []]
        true_return = float(np.mean(returns)) if returns else None
        self.status.tell("training", self.num_timesteps, true_return=true_return)
        self.status.show(self.num_timesteps)

    def _wait(self) -> None:
        """Wait for labels and for the end of a pause, refitting now and then, or until it is to stop."""
        self._tell_waiting()
        started = last_fit = time.monotonic()
        saved = False
        while (self.n_missing or self.wishes.pause) and not self.wishes.stop.wait(POLL_SECONDS):
            now = time.monotonic()
            due_for_refit = now - last_fit >= REFIT_SECONDS
            if self.update(at_least=1 if due_for_refit else None) is not None:
                last_fit = time.monotonic()
            self._tell_waiting()
            self.waiting(self.wishes.pause)
            if not saved and now - started >= SAVE_SECONDS:
                self.run.save()
                saved = True
        self.run.progress.waited_seconds += time.monotonic() - started
        if self.wishes.stop.is_set():
            self.save_and_stop()
        self.update(at_least=1)

    def _tell_waiting(self) -> None:
        state: TrainerState = "paused" if self.wishes.pause else "waiting"
        self.status.tell(state, self.num_timesteps, waits_for=self.n_missing)
