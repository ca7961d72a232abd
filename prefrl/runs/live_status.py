"""What a running training tells the labelling page: a few numbers, episodes to look at, predictions.

All of it goes through the store. A thread of its own writes it and reads what is wished, so that the page sees a
sign of life, and a wish is known, also while a rollout or a refit takes long.
"""

import math
import threading
import time
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from prefrl.agents import PreferenceLearning, Refit
from prefrl.config import RunConfig
from prefrl.errors import StoreError
from prefrl.runs.wishes import Wishes
from prefrl.segments import feedback_kind
from prefrl.store import RunRecord, Store, TrainerRecord, TrainerState
from prefrl_envs.tasks import TASKS

HEARTBEAT_SECONDS = 2.0
"""What is told is told anew after this long, also where nothing has changed."""
LOOK_SECONDS = 0.5
"""How often it is looked for wishes; a new state is told then, too."""
SHOWCASE_SEGMENTS = 5
"""An episode to look at is as long as this many segments, or as the episode."""
N_SHOWCASES = 40
"""Episodes shown of a whole training."""


def question_of(config: RunConfig) -> str:
    """Return what people are asked: the run's own question, else the task's, else a plain one."""
    task = TASKS.get(config.task)
    if feedback_kind(config.feedback.kind).is_rating:
        return config.question or (task.rating_question if task else "How good is this clip?")
    return config.question or (task.question if task else "Which clip is better?")


class LiveStatus:
    """Publishes the state of a training while it lasts; a context manager.

    Args:
        store: Where to.
        config: The settings of the run.
        preferences: The training's reward and labels.
        wishes: What is wished of it; looked for as long as it lasts.
    """

    def __init__(self, store: Store, config: RunConfig, preferences: PreferenceLearning, wishes: Wishes) -> None:
        """Keep the parts; nothing is published yet."""
        self._store = store
        self._config = config
        self._preferences = preferences
        self._wishes = wishes
        self._record = TrainerRecord(state="starting", training=wishes.training, updated_at=0)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="live-status", daemon=True)
        self._next_showcase = 0
        self._n_refits = 0
        self._predicted_until = 0

    def __enter__(self) -> Self:
        """Publish what the run is about, and start to tell that it lives."""
        config = self._config
        about = RunRecord(
            task=config.task,
            env_id=config.env_id,
            env_kwargs=config.env_kwargs,
            question=question_of(config),
            n_labels=config.labels,
            segment_length=config.segment_length,
            feedback=config.feedback.kind,
            total_timesteps=config.total_timesteps,
            seed=config.seed,
            algo=config.algo,
        )
        self._store.publish(about)
        self._publish()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say that the training is over, or that it was stopped."""
        self._over.set()
        self._thread.join()
        self._set(state="finished" if kind is None else "stopped", **self._news())
        self._publish()

    def tell(
        self,
        state: TrainerState,
        num_timesteps: int,
        *,
        true_return: float | None = None,
        waits_for: int | None = None,
    ) -> None:
        """Take note of what the training does; the thread publishes it.

        Args:
            state: What it does.
            num_timesteps: Environment steps so far.
            true_return: Mean true return of the latest episodes, where there is one.
            waits_for: Answers that are missing until the agent goes on, where it waits.
        """
        preferences = self._preferences
        values: dict[str, Any] = {
            "state": state,
            "num_timesteps": num_timesteps,
            "labels": preferences.labels.n_labels,
            "labels_due": preferences.n_due(num_timesteps),
            "waits_for": waits_for,
            **self._news(),
        }
        if true_return is not None:
            values["true_return"] = true_return
        self._set(**values)

    def tell_refit(self, refit: Refit) -> None:
        """Take note of how good the reward is, and publish what it now predicts for the newest comparisons."""
        self._n_refits += 1
        accuracy = refit.metrics.accuracy
        self._set(refits=self._n_refits, held_out_accuracy=None if math.isnan(accuracy) else accuracy)
        comparisons = self._store.comparisons(self._predicted_until, run=self._preferences.run)
        if not comparisons:
            return
        self._predicted_until = comparisons[-1].seq
        predict = self._preferences.reward_model.predict_segment
        segments = {segment.id: segment for c in comparisons for segment in c.segments}
        self._store.set_predictions(
            {key: predict(segment).tolist() for key, segment in segments.items()},
            self._record.num_timesteps,
        )

    def show(self, num_timesteps: int) -> None:
        """Keep the agent's newest behaviour to be looked at, if it is time for it."""
        if num_timesteps < self._next_showcase:
            return
        recorder, length = self._preferences.recorder, self._config.segment_length
        newest = recorder.latest(SHOWCASE_SEGMENTS * length) or recorder.latest(length)
        if newest is None or newest.render_states is None:
            return
        self._store.add_showcase(newest, num_timesteps)
        self._next_showcase = num_timesteps + self._config.total_timesteps // N_SHOWCASES

    def _news(self) -> dict[str, Any]:
        """Return what people should know of the policy, and the owner of people."""
        restarts = self._preferences.restarts
        return {
            "policies": restarts.n_policies,
            "note": restarts.notes[-1].text if restarts.notes else None,
            "warnings": self._preferences.warnings_of_people,
        }

    def _set(self, **values: Any) -> None:
        with self._lock:
            self._record = replace(self._record, **values)

    def _publish(self) -> None:
        with self._lock:
            record = replace(self._record, updated_at=time.time_ns() // 1_000_000)
        self._store.publish(record)

    def _beat(self) -> None:
        told, told_at = "", -math.inf
        while not self._over.wait(LOOK_SECONDS):
            # A store that is locked for a moment must not end the signs of life; where the fault stays, the
            # training meets it at its next question, and says it there.
            with suppress(StoreError):
                self._wishes.look()
            state, now = self._record.state, time.monotonic()
            if state == told and now - told_at < HEARTBEAT_SECONDS:
                continue
            with suppress(StoreError):
                self._publish()
                told, told_at = state, now
