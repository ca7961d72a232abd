"""What synthetic and human answers of several runs are compared by: numbers only, nothing is drawn here.

What a run lacks becomes a note, a sentence for the page, and the rest is shown.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from prefrl.errors import PrefRLError
from prefrl.feedback.agreement import PAUSE_SECONDS, gaps_of, seconds_per_answer
from prefrl.feedback.likelihood import wilson
from prefrl.feedback.teacher_fit import TeacherFit, any_rewards, fit_teacher
from prefrl.feedback.teachers import effect_size
from prefrl.report.data import RunData, read_run
from prefrl.runs.fitted_teacher import Remembered, remembered, said_of
from prefrl.segments import Answer, Query, Ranking, pairs_of
from prefrl.store import Store

GAPS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, np.inf)
"""Between which effect sizes errors are counted; 0.8 is Cohen's "large"."""
PARTS = 8
"""Of a session, to see whether somebody gets faster or slower."""


class Share(NamedTuple):
    """A count of some of all, with Wilson's interval of 95 % of the share."""

    n: int
    of: int

    @property
    def value(self) -> float:
        """The share; NaN of none."""
        return self.n / self.of if self.of else nan

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        low, high = wilson(self.n, self.of)
        return {"n": self.n, "of": self.of, "share": self.value if self.of else None, "low": low, "high": high}


@dataclass(slots=True, kw_only=True)
class Person:
    """What one person, or teacher, said in a run."""

    name: str
    """Of the person or teacher."""
    n_answers: int
    """Present answers, "can't tell" and repeats included."""
    minutes: float | None
    """Active time, pauses left out, as the labelling page computes it; None of a teacher, who needs none."""
    seconds_each: float
    """Of an answer, as a rule; NaN of a teacher."""
    left: Share
    """How often the left (first) of two was named, of all times that one of two was."""
    agreement: Share
    """With the true returns, where both prefer one of two."""
    errors: Sequence[Share]
    """How often they differ, by gap: between `GAPS`."""
    speed: Sequence[tuple[float, float]]
    """Answers so far, and median seconds of those since the last: as long as a session lasts."""
    fit: TeacherFit | None = None
    """The simulated teacher that fits best."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what is missing."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {
            "name": self.name,
            "answers": self.n_answers,
            "person_minutes": self.minutes,
            "seconds_each": self.seconds_each if isfinite(self.seconds_each) else None,
            "left": self.left.to_json(),
            "agreement": self.agreement.to_json(),
            "errors": [
                {"from": low, "to": high if isfinite(high) else None} | errors.to_json()
                for low, high, errors in zip(GAPS[:-1], GAPS[1:], self.errors, strict=True)
            ],
            "speed": [{"answers": n, "seconds": seconds} for n, seconds in self.speed],
            "fit": None if self.fit is None else self.fit.to_json(),
            "notes": self.notes,
        }


@dataclass(slots=True, kw_only=True)
class ComparedRun:
    """A run, and who answered in it."""

    data: RunData
    """What a report would show of it."""
    people: Sequence[Person]
    """Who answered, in the order of their first answer."""
    minutes: Sequence[float]
    """Person-minutes, of all together, by when there were 1, 2, … labels; empty where teachers answered."""
    notes: list[str]
    """Sentences on what is missing."""

    @property
    def curve(self) -> dict[str, list[float]]:
        """True return over labels, and over person-minutes where people answered."""
        table = self.data.tables.get("returns", {})
        if not self.data.labels or "true_return" not in table:
            return {}
        known = np.isfinite(table["true_return"])
        labels = table["labels"][known]
        curve = {"labels": labels.tolist(), "true_return": table["true_return"][known].tolist()}
        if self.minutes:
            places = np.minimum(labels, len(self.minutes))
            curve["person_minutes"] = np.concatenate([[0.0], self.minutes])[places].tolist()
        return curve

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        evaluation = self.data.evaluation or {}
        return {
            "run": str(self.data.path),
            "task": self.data.config.get("task"),
            "teacher": self.data.config.get("teacher"),
            "labels": self.data.labels,
            "person_minutes": self.minutes[-1] if self.minutes else None,
            "true_return": evaluation.get("true_return"),
            "curve": self.curve,
            "people": [person.to_json() for person in self.people],
            "notes": self.notes,
        }


def compared(path: Path) -> ComparedRun:
    """Read a run, and measure who answered in it.

    Raises:
        RunError: It is no run, or its settings or its log cannot be read.
    """
    data = read_run(path)
    notes: list[str] = []
    answers: list[Remembered] = []
    labels: list[int] = []
    try:
        if data.labels is not None and (data.path / "store.sqlite").exists():
            with Store(data.path) as store:
                answers = remembered(store)
                labels = store.comparison_seqs(run=store.newest_run())
    except PrefRLError as error:
        notes.append(f"The answers cannot be compared: {error}")
    if data.labels_before:
        whose = data.config["from_labels"]
        notes.append(
            f"Its reward learned {data.labels_before:,} labels of {whose} first; compare that run for them."
        )
    if not answers:
        notes.append("Nobody has answered anything in it, so that only its returns are shown.")
    by_name: dict[str, list[Remembered]] = {}
    for one in answers:
        by_name.setdefault(one.answer.labeler, []).append(one)
    are_people = data.config.get("teacher") == "human"
    if are_people and answers and all(one.answer.client_time is None for one in answers):
        are_people = False  # the page says when; what came in from elsewhere has the time of its import
        notes.append("When the answers were given is not known, so that nothing is said of time.")
    people = [_person(name, own, is_person=are_people) for name, own in by_name.items()]
    return ComparedRun(
        data=data, people=people, minutes=_minutes(answers, set(labels)) if are_people else [], notes=notes
    )


def _person(name: str, answers: Sequence[Remembered], *, is_person: bool) -> Person:
    stored = [one.answer for one in answers]
    gaps = gaps_of(stored)
    sides = [one.said.direction for one in answers if isinstance(one.said, Answer)]
    named = [side for side in sides if side in (Answer.FIRST, Answer.SECOND)]
    person = Person(
        name=name,
        n_answers=len(answers),
        minutes=sum(gap for gap in gaps if gap <= PAUSE_SECONDS) / 60 if is_person else None,
        seconds_each=seconds_per_answer(stored) if is_person else nan,
        left=Share(sum(side is Answer.FIRST for side in named), len(named)),
        agreement=Share(0, 0),
        errors=[Share(0, 0)] * (len(GAPS) - 1),
        speed=_speed(gaps) if is_person else [],
    )
    try:
        if not any_rewards([one.query for one in answers]):
            person.notes.append(
                "There is no true reward that tells clips apart, so that nothing is known of errors."
            )
            return person
        _judge(person, answers)
        person.fit = fit_teacher(*said_of(answers))
        person.notes += person.fit.notes
    except PrefRLError as error:
        person.notes.append(f"No teacher was fitted: {error}")
    return person


def _judge(person: Person, answers: Sequence[Remembered]) -> None:
    """Count where somebody and the true returns prefer the same one of two."""
    judged = np.array([pair for one in answers for pair in _judged(one)]).reshape(-1, 2)
    if not len(judged):
        person.notes.append("None of two clips were compared, so that nothing is known of errors.")
        return
    gaps, is_right = judged[:, 0], judged[:, 1] > 0
    person.agreement = Share(int(is_right.sum()), len(judged))
    places = np.digitize(gaps, GAPS[1:-1])
    person.errors = [
        Share(int((~is_right)[places == place].sum()), int((places == place).sum()))
        for place in range(len(GAPS) - 1)
    ]


def _judged(one: Remembered) -> list[tuple[float, bool]]:
    """Return gap and agreement of each two clips of which both prefer one."""
    if not isinstance(one.said, Answer | Ranking):
        return []
    found = []
    pairs = pairs_of(len(one.query.segments))
    for (i, j), preference in zip(pairs, one.said.preferences or (), strict=one.said.preferences is not None):
        size = effect_size(Query(segments=(one.query.segments[i], one.query.segments[j]), ordinal=0))
        if preference != 0.5 and size != 0:
            found.append((abs(size), (size > 0) == (preference == 1)))
    return found


def _minutes(answers: Sequence[Remembered], labels: Container[int]) -> list[float]:
    """Return the active minutes of all together, by label in the order of the store.

    "Can't tell", repeats, gold, and answers that do not hold take time too, and are no labels.

    Args:
        answers: All, in the order of the store.
        labels: Numbers (`seq`) of those that are trained on.
    """
    latest: dict[str, int] = {}
    total, minutes = 0.0, []
    for one in answers:
        time = one.answer.client_time or one.answer.server_time
        gap = (time - latest.get(one.answer.labeler, time)) / 1000
        total += gap if 0 <= gap <= PAUSE_SECONDS else 0
        latest[one.answer.labeler] = time
        if one.answer.seq in labels:
            minutes.append(total / 60)
    return minutes


def _speed(gaps: Sequence[float]) -> list[tuple[float, float]]:
    parts = np.array_split(np.array(gaps), min(PARTS, max(1, len(gaps) // 5)))
    ends = np.cumsum([len(part) for part in parts]) + 1
    usual = [[gap for gap in part.tolist() if gap <= PAUSE_SECONDS] for part in parts]
    return [(float(end), median(part)) for end, part in zip(ends, usual, strict=True) if part]
