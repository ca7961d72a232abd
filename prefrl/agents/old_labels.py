"""Labels that a store holds already: which of its runs a training is, and whether it may be that one."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

from prefrl.errors import SettingError, StoreError
from prefrl.feedback import News
from prefrl.feedback.labels import news_in_parts
from prefrl.parts import Arrays, Json, State
from prefrl.store import RunAbout, Store, StoredRun

OldLabels: TypeAlias = Literal["refuse", "continue", "ignore", "learn", "replay"]
"""What is done with labels that a store holds already; see `PreferenceLearning`."""

NO_LABELS = "`n_labels` must be at least 1 where no old labels are learned. Received 0."


def run_in(store: Store, about: RunAbout, old_labels: OldLabels, *, asks: bool = True) -> int:
    """Begin a run in the store, or find the one to go on with.

    Args:
        store: Where it is.
        about: The environments and segments of the training.
        old_labels: What is done with the labels of earlier runs.
        asks: Whether the training will ask for any of its own.

    Returns:
        The number of the run.

    Raises:
        SettingError: `old_labels` is none of the choices, or there are labels and nobody has said what is to be
            done with them, or nothing is asked and nothing is learned. No run has begun then.
        StoreError: Labels that are to be learned from are of other spaces.
    """
    if old_labels not in get_args(OldLabels):
        raise SettingError(f"`old_labels` must be one of {get_args(OldLabels)}. Received {old_labels!r}.")
    runs = store.runs()
    n_old = sum(run.n_comparisons for run in runs)
    if n_old and old_labels == "refuse":
        raise SettingError(
            f"The store holds {n_old} labels of an earlier run. Say what is to be done with them: "
            'old_labels="continue" goes on with the latest run, "learn" begins one that learns from them '
            'first, "ignore" begins a new one without them.'
        )
    goes_on = old_labels == "replay" or (n_old and old_labels == "continue")
    if goes_on and runs:
        _check_same_spaces(runs[-1], about)
        if not asks and not runs[-1].n_comparisons and not learned_first(store, runs[-1].id):
            raise SettingError(NO_LABELS)
        return runs[-1].id
    if not asks and (old_labels != "learn" or not n_old):
        raise SettingError(NO_LABELS)
    if old_labels == "learn":
        for run in runs:
            _check_same_spaces(run, about)
        about = replace(about, learns_from=tuple(run.id for run in runs))
    return store.begin_run(about)


class EarlierLabels:
    """Comparisons of earlier runs that the reward of a run learns before its own, as far as they hold.

    Args:
        store: Where they are.
        run: The run that learns them.
    """

    def __init__(self, store: Store, run: int) -> None:
        self._store, self._run = store, run
        self._seqs: list[int] = []
        self._aside: frozenset[str] | None = None
        self.has_runs = bool(_runs_before(store, run))
        """Whether the run learns from any."""
        self.n = len(learned_first(store, run))
        """Comparisons, as of the last look."""

    def read(self, most_at_once: int) -> Iterator[News]:
        """Yield what is to be learned at first, and later what has changed as people were set aside, or back.

        Args:
            most_at_once: Comparisons that memory has room for.
        """
        if not self.has_runs:  # the store is not asked at every look of runs that learn from none
            return
        aside = self._store.aside()
        if aside == self._aside:
            return
        now = learned_first(self._store, self._run)
        outdated, found = sorted(set(self._seqs) - set(now)), sorted(set(now) - set(self._seqs))
        self._seqs, self._aside, self.n = now, aside, len(now)
        yield from news_in_parts(self._store, found, outdated, most_at_once)

    def state(self) -> State:
        """Return what was learned, and who was set aside then; null before the first look."""
        return {}, {"seqs": self._seqs, "aside": None if self._aside is None else sorted(self._aside)}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken."""
        aside = values["aside"]
        self._seqs, self._aside = list(values["seqs"]), None if aside is None else frozenset(aside)


def learned_first(store: Store, run: int) -> list[int]:
    """Return the numbers of the comparisons of earlier runs that the reward of a run learns before its own."""
    return store.comparison_seqs_of(_runs_before(store, run))


def _runs_before(store: Store, run: int) -> tuple[int, ...]:
    """Return the numbers of the runs that a run learns from first."""
    about = next((one.about for one in store.runs() if one.id == run), None)
    return () if about is None else about.learns_from


def _check_same_spaces(run: StoredRun, about: RunAbout) -> None:
    for name in ("observation_space", "action_space", "frame_stack"):
        if run.about is not None and getattr(run.about, name) != getattr(about, name):
            raise StoreError(
                f"Run {run.id} in the store has another {name}, {getattr(run.about, name)}, than these "
                f'environments, {getattr(about, name)}; use old_labels="ignore", or a store of its own.'
            )
