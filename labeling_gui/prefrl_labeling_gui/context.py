"""All that the routes of one labelling server share."""

import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from prefrl.segments import FeedbackKind, feedback_kind
from prefrl.store import Labeler, RunRecord, Store
from prefrl_envs.rendering import DEFAULT_FPS
from prefrl_envs.tasks import TASKS, body_parts
from prefrl_labeling_gui.answer_index import AnswerIndex
from prefrl_labeling_gui.assignment import Assignment
from prefrl_labeling_gui.clip_worker import Style
from prefrl_labeling_gui.clips import ClipError, Clips
from prefrl_labeling_gui.events import Streams
from prefrl_labeling_gui.examples import Examples, examples_in, shipped_examples
from prefrl_labeling_gui.foreign_module import module_folder
from prefrl_labeling_gui.messages import ClipReply, LegendEntry
from prefrl_labeling_gui.people import People
from prefrl_labeling_gui.security import LoginLimit
from prefrl_labeling_gui.settings import Settings
from prefrl_labeling_gui.training_view import TrainingView
from prefrl_labeling_gui.used_tickets import UsedTickets

MOST_IN_STOCK = 500
"""Queries whose clips are drawn before anybody is given them: more than an hour of answers."""

LOG = logging.getLogger("prefrl_labeling_gui")


class ServerContext:
    """A run that is being labelled.

    Args:
        store: The run's store.
        settings: How the page is served.
        secret: Signs the cookies.
    """

    def __init__(self, store: Store, settings: Settings, secret: str) -> None:
        self.store = store
        self.settings = settings
        self.people = People(store, secret, UsedTickets(self.folder / "used-tickets"))
        self.answer_index = AnswerIndex(store)
        self.training_view = TrainingView(store, self.answer_index)
        self.assignment = Assignment(
            store,
            self.answer_index,
            repeat_share=settings.repeat_share,
            lease_seconds=60 * settings.lease_minutes,
        )
        self.streams = Streams()
        self.login_limit = LoginLimit()
        self._clips: Clips | None = None
        self._clips_refusal: str | None = None
        self._opening_clips = threading.Lock()
        self._n_news_drawn = 0
        self._own_examples: Examples | None = None
        self._last_seen: dict[str, int] = {}
        self._answering: dict[str, threading.Lock] = {}

    @property
    def folder(self) -> Path:
        """The server's own folder in the run."""
        return self.settings.run / "labeling"

    @property
    def question(self) -> str | None:
        """What people are asked; None while it is not known."""
        run = self.training_view.run
        return self.settings.question or (None if run is None else run.question)

    @property
    def feedback(self) -> FeedbackKind:
        """What may be said of a query; that of the paper while the run is not known."""
        run = self.training_view.run
        return feedback_kind("pair" if run is None else run.feedback)

    @property
    def legend(self) -> list[LegendEntry]:
        """The parts of the agent's body that clips colour; none while the environment is not known."""
        run = self.training_view.run
        parts = () if run is None else body_parts(run.env_id, run.env_kwargs)
        return [LegendEntry(name=part.name, colour=part.colour) for part in parts]

    @property
    def examples(self) -> Examples:
        """Clips that show what is asked for and what is not, and clips to practise on.

        Those of a task go with its own question only.
        """
        if self._own_examples is not None:
            return self._own_examples
        run = self.training_view.run
        task = None if run is None else TASKS.get(run.task)
        is_asked = task is not None and self.question in (task.question, task.rating_question)
        return shipped_examples(task.name if task is not None and is_asked else None)

    def open(self) -> str:
        """Read what is there already, and return the owner's token.

        Raises:
            SettingError: The folder of examples has none, or is not as it should be.
            StoreError: The store cannot be read or written.
        """
        token = self.people.open()
        self.answer_index.open()
        if self.settings.examples is not None:
            self._own_examples = examples_in(self.settings.examples)
        self.look()
        return token

    def look(self) -> None:
        """Look at what the trainer has done, and get ready to draw once it has begun.

        Raises:
            StoreError: The store cannot be read.
        """
        self.training_view.look()
        if self.clips is None:
            return
        self.clips.start()
        if self._n_news_drawn != self.training_view.n_news:
            n_news = self.training_view.n_news
            self._draw_stock(self.clips)
            self._n_news_drawn = n_news

    def _draw_stock(self, clips: Clips) -> None:
        """Have the clips of open queries drawn while nobody waits for any, those that are asked first as first."""
        queries = self.training_view.open_queries[:MOST_IN_STOCK]
        segments = self.store.segment_ids(queries)
        clips.stock([segment_id for query in queries for segment_id in segments.get(query, ())])

    @property
    def clips(self) -> Clips | None:
        """The clips of the run.

        None while the trainer has not said of which environment, and for good where a stranger's module would have
        to be imported; `clips_refusal` then says why.
        """
        run = self.training_view.run
        with self._opening_clips:
            if self._clips is None and self._clips_refusal is None and run is not None:
                try:
                    self._clips = self._open_clips(run)
                except ClipError as error:
                    LOG.warning("%s", error)
                    self._clips_refusal = str(error)
            return self._clips

    @property
    def clips_refusal(self) -> str | None:
        """Why there are no clips of this run; None where there are, or will be."""
        return self._clips_refusal

    def _open_clips(self, run: RunRecord) -> Clips:
        folder = module_folder(self.settings.run, run.env_id, trusted=self.settings.trust_env)
        if folder is not None:
            LOG.info("to draw clips, %s is imported as a module of the user's own", run.env_id)
        size = self.settings.clip_size
        style = Style(run.env_id, run.env_kwargs, width=size, height=size, codec=self.settings.codec)
        return Clips(
            self.store, self.folder / "clips", style, module_folder=folder, n_processes=drawing_processes()
        )

    def clip(self, segment_id: str) -> ClipReply:
        """Return where the clip of a segment is and how it plays; where clips are refused, so is that address.

        Raises:
            ClipError: The run's environment cannot be drawn here.
            StoreError: The segment cannot be read.
        """
        clips = self.clips
        if self._clips_refusal is not None:
            return ClipReply(
                clip=f"/clips/{segment_id}.mp4",
                poster=f"/clips/{segment_id}.jpg",
                duration_s=1.0,
                fps=DEFAULT_FPS,
                speed=1.0,
            )
        assert clips is not None  # a segment comes from a run that has begun
        timing = clips.timing(segment_id)
        return ClipReply(
            clip=f"/clips/{segment_id}{clips.suffix}",
            poster=f"/clips/{segment_id}.jpg",
            duration_s=timing.duration_seconds,
            fps=timing.fps,
            speed=timing.speed,
        )

    def draw_ahead(self, segment_ids: Sequence[str]) -> None:
        """Have clips drawn before they are asked for."""
        if self.clips is not None:
            self.clips.prefetch(segment_ids)

    def answering(self, name: str) -> AbstractContextManager[object]:
        """Hold while an answer of this person is looked at and stored; others go on meanwhile."""
        return self._answering.setdefault(name, threading.Lock())

    def saw(self, person: Labeler) -> None:
        """Take note that somebody is here."""
        self._last_seen[person.name] = time.time_ns() // 1_000_000

    def last_seen(self, name: str) -> int | None:
        """Return when somebody last asked for anything, or answered, milliseconds since 1970 UTC."""
        times = (self._last_seen.get(name), self.answer_index.account(name).last_time)
        return max((moment for moment in times if moment is not None), default=None)

    def close(self) -> None:
        """End the drawing processes."""
        if self._clips is not None:
            self._clips.close()


def drawing_processes() -> int:
    """Return how many processes draw: half of the cores, four at most; training and page want the others."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, mine // 2))
