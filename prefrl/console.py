"""What the command line shows while a run trains: a progress bar, or plain lines where there is no terminal.

Everything here goes to stderr, so that stdout holds results only.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from prefrl.runs import TrainingProgress

SECONDS_BETWEEN_LINES = 10.0


class TrainingDisplay:
    """Shows the progress of one training; a context manager.

    Args:
        title: What is trained.
        console: Where to; stderr by default.
    """

    def __init__(self, title: str, console: Console | None = None) -> None:
        """Keep the title; nothing is shown yet."""
        self.title = title
        self.console = console or Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._last_line = -math.inf
        self._last_facts = ""
        self._n_notes: int | None = None

    def __enter__(self) -> Self:
        """Show the empty bar, where there is a terminal."""
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[facts]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self.console)
            self._task = self._bar.add_task(self.title, total=None, facts="starting")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Show a line of its own."""
        self.console.print(text, soft_wrap=True, markup=False)

    def __call__(self, progress: TrainingProgress) -> None:
        """Show how far the training has come, and once what it has to say of its policies."""
        if self._n_notes is None:  # of a run that is resumed these were said before
            self._n_notes = len(progress.notes)
        for note in progress.notes[self._n_notes :]:
            self.say(f"{self.title}: {note}")
        self._n_notes = len(progress.notes)
        facts = describe(progress)
        if self._bar is not None:
            self._bar.update(
                self._task, completed=progress.num_timesteps, total=progress.total_timesteps, facts=facts
            )
        elif facts != self._last_facts and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            # What says the same as the line before, as while people are waited for, is not said again.
            self._last_line, self._last_facts = time.monotonic(), facts
            # The last rollout is finished, also where fewer steps were asked for.
            share = min(1.0, progress.num_timesteps / progress.total_timesteps)
            self.console.print(f"{self.title}: {share:4.0%}, {facts}", soft_wrap=True, markup=False)


@contextmanager
def counted(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many of some steps are done, where there is a terminal; yields what is told of it."""
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def describe(progress: TrainingProgress) -> str:
    """Return the progress as one line."""
    parts = [f"{progress.num_timesteps:,}/{progress.total_timesteps:,} steps"]
    if progress.n_labels:
        parts.append(f"{progress.labels}/{progress.n_labels} labels")
    if not math.isnan(progress.true_return):
        parts.append(f"true return {progress.true_return:.1f}")
    parts += [f"{name} {value:.2f}" for name, value in progress.metrics.items()]
    if progress.policies > 1:
        parts.append(f"policy {progress.policies}")
    if progress.waiting:
        parts.append("waiting for labels")
    if progress.paused:
        parts.append("paused on the page")
    if progress.stopping:
        parts.append("saving soon, then stopping (Ctrl-C again: at once)")
    return ", ".join(parts)
