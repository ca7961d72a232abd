"""What was said in a run, with the true rewards of what it was about, and the teacher that fits it best.

`prefrl train --teacher like:RUN` plays it: it becomes the settings of a simulated teacher before the training
begins, and the new run knows nothing of the old one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prefrl.errors import FitError, RunError
from prefrl.feedback.teacher_fit import Said, TeacherFit, fit_teacher
from prefrl.runs.folder import RunFolder
from prefrl.segments import FeedbackKind, Judgement, Query, Segment, feedback_kind
from prefrl.store import Store, StoredAnswer

IN_REWARDS = ("rating_range", "skip_below")
"""Settings of a teacher that are rewards of a step, and so belong to one task; all others have no unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A present answer, as it was given on the screen."""

    answer: StoredAnswer
    """As it stands in the store, which speaks of the query's order."""
    query: Query
    """True rewards and nothing else of the segments, in the order in which they were shown."""
    said: Judgement
    """What was said, of that order."""


def remembered(store: Store) -> list[Remembered]:
    """Return everybody's present answers of the newest run, in the order in which they were stored.

    Raises:
        StoreError: The store or a segment cannot be read.
    """
    newest = {(row.query_id, row.labeler): row for row in store.answers(run=store.newest_run())}
    return [
        _as_shown(store, row) for row in sorted(newest.values(), key=lambda row: row.seq) if row.answer is not None
    ]


def said_of(answers: Sequence[Remembered]) -> tuple[list[Said], FeedbackKind]:
    """Return what a teacher is fitted to, and the kind of feedback: the latest, where there are several.

    Raises:
        FitError: Nothing was said.
    """
    if not answers:
        raise FitError("Nobody has said anything in it.")
    kind = feedback_kind(answers[-1].answer.kind)
    return [(one.query, one.said) for one in answers if one.answer.kind == kind.name], kind


def fit_run(path: Path, *, task: str | None = None) -> TeacherFit:
    """Return the teacher that fits best what all in a run have said whose answers are not set aside.

    Args:
        path: The folder of the run.
        task: Where it is to be played; by default in the run's own task.

    Raises:
        RunError: It is no run, no teacher can be fitted to what was said in it, or it goes by the rewards of
            another task; the sentence says why.
        StoreError: The store of the run cannot be read.
    """
    folder = RunFolder.open(path)
    if not (folder.path / "store.sqlite").exists():
        raise RunError(f"No teacher can be like {path}: nobody was asked anything in it.")
    with Store(folder.path) as store:
        aside = store.aside()
        answers = [one for one in remembered(store) if one.answer.labeler not in aside]
    try:
        said, kind = said_of(answers)
        fit = fit_teacher(said, kind)
    except FitError as error:
        raise RunError(f"No teacher can be like {path}: {error}") from error
    own = folder.description()["config"].get("task")
    in_rewards = [name for name in IN_REWARDS if name in fit.settings()]
    if task not in (None, own) and in_rewards:
        raise RunError(
            f"No teacher can be like {path} in {task}: its `{in_rewards[0]}` is a reward of "
            f"{own or 'another task'}, and rewards of two tasks are not alike."
        )
    return fit


def _as_shown(store: Store, row: StoredAnswer) -> Remembered:
    assert row.answer is not None
    query = store.query(row.query_id)
    segments = tuple(_rewards_of(segment) for segment in query.segments)
    if not row.sides_swapped:
        return Remembered(answer=row, query=replace(query, segments=segments), said=row.answer)
    return Remembered(answer=row, query=replace(query, segments=segments[::-1]), said=row.answer.turned_round)


def _rewards_of(segment: Segment) -> Segment:
    """Return a segment without what it looked like: hundreds of those fill the memory."""
    return Segment(
        observations=np.zeros((segment.n_steps, 0), dtype=np.float32),
        actions=np.zeros(segment.n_steps, dtype=np.float32),
        env_rewards=segment.env_rewards,
    )
