"""What the pages show of a run besides clips: the run, the trainer, progress. Read from the store twice a second.

Whoever asks gets what was last seen, so nobody waits for the database here.
"""

import math
import time
from dataclasses import asdict

from prefrl.store import RunRecord, Store, TrainerRecord, Wish, WishRecord
from prefrl_labeling_gui.answer_index import AnswerIndex, Worker, seconds_until
from prefrl_labeling_gui.messages import Progress, TrainerProgress

ALIVE_SECONDS = 15.0
"""A trainer that has said nothing for longer is not running."""
WORKING_MS = 180_000
"""Who has answered within that time is at work."""
_OVER = ("finished", "stopped")


class TrainingView:
    """What was last seen of a run.

    Args:
        store: Where the trainer publishes it.
        answer_index: What was answered.
    """

    def __init__(self, store: Store, answer_index: AnswerIndex) -> None:
        self._store = store
        self._answer_index = answer_index
        self._trainer: TrainerRecord | None = None
        self._wish: WishRecord | None = None
        self._open: tuple[str, ...] = ()
        self.overlap = 1
        """People who are to answer each query, as far as one was seen."""
        self._workers: list[Worker] = []  # read with all else, as every page asks for progress twice a second
        self.run: RunRecord | None = None
        """What the run is about; None while the trainer has not begun."""
        self.n_news = 0
        """Grows whenever queries have been added."""

    @property
    def open_queries(self) -> tuple[str, ...]:
        """Queries that still want an answer, newest first, as they are asked."""
        return self._open

    @property
    def n_open(self) -> int:
        """Queries that still want an answer."""
        return len(self._open)

    @property
    def budget(self) -> int | None:
        """Comparisons that the run wants in all."""
        return None if self.run is None else self.run.n_labels

    @property
    def budget_is_used(self) -> bool:
        """Whether all comparisons have been made."""
        return self.budget is not None and self._answer_index.n_comparisons >= self.budget

    @property
    def is_finished(self) -> bool:
        """Whether the training is over for good."""
        return self._trainer is not None and self._trainer.state == "finished"

    @property
    def listening(self) -> str | None:
        """The training that runs and does what the owner wishes; None where there is none."""
        return self._trainer.training or None if self._trainer is not None and _is_alive(self._trainer) else None

    @property
    def wish(self) -> Wish | None:
        """What the owner has wished of this training."""
        is_own = self._wish is not None and self._wish.training == self.listening
        return self._wish.wish if self._wish is not None and is_own else None

    def warnings_of(self, name: str) -> list[str]:
        """Return what the training has its owner look at in this person's answers; for the owner only."""
        said = {} if self._trainer is None else self._trainer.warnings
        return [said[name]] if name in said else []

    def tell(self, wish: Wish, by: str) -> bool:
        """Wish something of the training that runs; False where none listens.

        Raises:
            StoreError: The store cannot be written.
        """
        training = self.listening
        if training is None:
            return False
        record = WishRecord(training=training, wish=wish, by=by, updated_at=time.time_ns() // 1_000_000)
        self._store.publish(record)
        self._wish = record
        return True

    def look(self) -> None:
        """Read what the trainer has published and what is open.

        Raises:
            StoreError: The store cannot be read.
        """
        self._answer_index.refresh()
        self._workers = self._answer_index.workers(since=time.time_ns() // 1_000_000 - WORKING_MS)
        self._trainer = self._store.published(TrainerRecord)
        self._wish = self._store.published(WishRecord)
        found = self._store.open_queries(run=self._answer_index.run)
        found.sort(key=lambda query: -query.num_timesteps)  # of one time they stay in their order
        now_open = tuple(query.query_id for query in found)
        if set(now_open) - set(self._open):
            self.n_news += 1
        self._open = now_open
        self.overlap = max((query.overlap for query in found), default=self.overlap)
        self.run = self._store.published(RunRecord)

    def progress(self, name: str) -> Progress:
        """Return how far this person and all together have come."""
        account = self._answer_index.account(name)
        trainer = self._trainer_progress()
        return Progress(
            answered=len(account.current),
            cannot_tell=account.n_cannot_tell,
            total=self._answer_index.n_comparisons,
            budget=self.budget,
            per_minute=number_or_none(account.per_minute),
            seconds_left=number_or_none(self._seconds_left(name, alive=trainer.alive)),
            quota=self._answer_index.quota(name),
            counted=self._answer_index.n_counted(name),
            open=self.n_open,
            trainer=trainer,
        )

    @property
    def n_missing(self) -> int:
        """Comparisons that the run still wants; 0 where it is over, or not known."""
        if self.budget is None or self.is_finished:
            return 0
        return max(0, self.budget - self._answer_index.n_comparisons)

    def _seconds_left(self, name: str, *, alive: bool) -> float:
        """Return how long this person has yet to answer, NaN where nobody knows or nobody waits.

        That is as long as everybody who is at work, or until their own quota is given. More answers than
        comparisons are needed where some say "can't tell", and where some are asked twice.
        """
        share = self._answer_index.comparison_share
        if self.budget is None or not alive or share == 0:
            return math.nan
        team = seconds_until(self.n_missing, self._workers, share)
        own = [worker.n_left / (worker.per_second * share) for worker in self._workers if worker.name == name]
        known = [seconds for seconds in (team, *own) if math.isfinite(seconds)]
        return min(known, default=math.nan)

    def _trainer_progress(self) -> TrainerProgress:
        said = self._trainer
        if said is None:
            return TrainerProgress(alive=False)
        waits_for = said.waits_for
        if waits_for is not None:  # it reads answers now and then only, and what it has yet to read is given
            waits_for = max(0, waits_for - max(0, self._answer_index.n_comparisons - said.labels))
        told = {**asdict(said), "waits_for": waits_for}
        return TrainerProgress(**told, alive=_is_alive(said), listens=self.listening is not None, wish=self.wish)


def _is_alive(trainer: TrainerRecord) -> bool:
    age = time.time() - trainer.updated_at / 1000
    return trainer.state not in _OVER and age <= ALIVE_SECONDS


def number_or_none(value: float) -> float | None:
    """Return the number, None for NaN: JSON has no word for it."""
    return None if math.isnan(value) else value
