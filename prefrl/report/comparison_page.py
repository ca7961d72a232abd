"""The page on which runs are compared by who answered in them, and the short table of the same for a terminal."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import numpy as np

from prefrl.errors import RunError
from prefrl.feedback.likelihood import Interval, wilson
from prefrl.files import write_whole
from prefrl.report.charts import FULL, HALF, Line, line_chart
from prefrl.report.comparison import GAPS, ComparedRun, Person, Share, compared
from prefrl.report.page import template_of
from prefrl.report.panels import Panel

COMPARISON_FILE = "comparison.html"
COLUMNS = ("who", "answers", "minutes", "agrees", "names left", "mistakes ε", "rationality β")
_NONE = "–"


def compare_runs(folders: Sequence[Path]) -> list[ComparedRun]:
    """Return what runs are compared by; a run that is named twice is taken once.

    Raises:
        RunError: There is no folder, or one of them is no run or too damaged.
    """
    paths = list({Path(folder).resolve(): Path(folder) for folder in folders}.values())
    if not paths:
        raise RunError("Nothing is compared without a run; give folders that `train` made.")
    runs = [compared(path) for path in paths]
    tasks = sorted({str(run.data.config.get("task")) for run in runs})
    if len(tasks) > 1:
        for run in runs:
            run.notes.append(f"Returns of several tasks ({', '.join(tasks)}) are not on one scale.")
    return runs


def write_comparison(runs: Sequence[ComparedRun], out: Path | None = None) -> Path:
    """Write the page.

    Args:
        runs: As `compare_runs` returned them.
        out: The page; by default `comparison.html` in the run, and for several in the folder that holds the first.

    Returns:
        The page.

    Raises:
        RunError: It cannot be written.
    """
    first = runs[0].data.path
    target = out or (first if len(runs) == 1 else first.resolve().parent) / COMPARISON_FILE
    people = _people(runs)
    page = template_of("comparison.html").render(
        title=f"{len(runs)} run{'s' if len(runs) > 1 else ''} by who answered",
        notes=[(run.data.name, note) for run in runs for note in dict.fromkeys(run.notes)]
        + [(name, note) for name, person in people for note in person.notes],
        sections=[
            one
            for one in [
                ("What it came to", [run.data.name for run in runs], _return_panels(runs)),
                ("Who answered", [name for name, _ in people], _answer_panels([person for _, person in people])),
            ]
            if one[2]
        ],
        tables=[
            ("In numbers", "Shares with Wilson's intervals of 95 %.", COLUMNS, table_rows(runs)),
            ("The simulated teacher that fits best", _FIT_WORDS, *_fit_table(people)),
        ],
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, page)
    except OSError as error:
        raise RunError(f"The comparison cannot be written to {target}: {error}.") from error
    return target


_FIT_WORDS = (
    "By maximum likelihood, with profile intervals of 95 %. Mistakes and rationality trade off: where few "
    "clips differ clearly, both intervals are wide. `prefrl train TASK --teacher like:RUN` plays it."
)


def table_rows(runs: Sequence[ComparedRun]) -> list[list[str]]:
    """Return a row of text for everybody who answered, under `COLUMNS`."""
    rows = []
    for name, person in _people(runs):
        fitted = {} if person.fit is None else person.fit.intervals
        rows.append(
            [
                name,
                f"{person.n_answers:,}",
                _NONE if person.minutes is None else f"{person.minutes:.1f}",
                _share(person.agreement),
                _share(person.left),
                *(_interval(fitted.get(setting)) for setting in ("mistakes", "rationality")),
            ]
        )
    return rows


def _people(runs: Sequence[ComparedRun]) -> list[tuple[str, Person]]:
    return [(f"{run.data.name}, {person.name}", person) for run in runs for person in run.people]


def _share(share: Share) -> str:
    if not share.of:
        return _NONE
    low, high = wilson(*share)
    return f"{100 * share.value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return _NONE
    value, low, high = (f"{one:.3g}".replace("-", "−").replace("inf", "∞") for one in interval)
    return f"{value} [{low}, {high}]"


def _fit_table(people: Sequence[tuple[str, Person]]) -> tuple[list[str], list[list[str]]]:
    fitted = [(name, person.fit) for name, person in people if person.fit is not None]
    settings = list(dict.fromkeys(setting for _, fit in fitted for setting in fit.intervals))
    rows = [[name, *(_interval(fit.intervals.get(setting)) for setting in settings)] for name, fit in fitted]
    return ["who", *settings], rows


def _return_panels(runs: Sequence[ComparedRun]) -> list[Panel]:
    panels = []
    alone = not any(run.curve.get("person_minutes") for run in runs)
    for column, words in (("labels", "comparisons answered"), ("person_minutes", "person-minutes")):
        lines = [
            Line(x=np.array(run.curve[column]), y=np.array(run.curve["true_return"]), colour=index)
            for index, run in enumerate(runs)
            if run.curve.get(column)
        ]
        caption = "Mean true return over the last 100 training episodes."
        if column == "person_minutes":
            caption += " Minutes are the active time of all who answered, without pauses; a teacher needs none."
        panels += _panel(f"True return over {words}", lines, words, "true return", caption, wide=alone)
    return panels


def _answer_panels(people: Sequence[Person]) -> list[Panel]:
    errors = [_error_line(person, colour) for colour, person in enumerate(people) if person.agreement.of]
    speed = [
        Line(x=np.array([n for n, _ in person.speed]), y=np.array([s for _, s in person.speed]), colour=colour)
        for colour, person in enumerate(people)
        if person.speed
    ]
    sides = [
        Line(x=np.array([colour + 1]), y=np.array([person.left.value]), errors=_arms([person.left]), colour=colour)
        for colour, person in enumerate(people)
        if person.left.of
    ]
    bounds = ", ".join(f"{gap:g}" for gap in GAPS[1:-1])
    gap_words = (
        "Share of pairs in which the clip of the lower true return was preferred, with Wilson's intervals, "
        f"by Cohen's d of the two: 1 is below {GAPS[1]:g}; classes end at {bounds}."
    )
    return [
        *_panel("Errors by gap", errors, "gap of the two returns, in classes", "errors", gap_words),
        *_panel(
            "Left or right",
            sides,
            "who, in the order above",
            "names the left",
            "Share of choices that named the clip on the left. Sides are drawn by chance: half is expected.",
        ),
        *_panel(
            "Speed over the session",
            speed,
            "answers so far",
            "seconds an answer",
            "Median time from answer to answer, pauses left out, of each part of what a person said.",
        ),
    ]


def _error_line(person: Person, colour: int) -> Line:
    places = [place for place, one in enumerate(person.errors) if one.of]
    shares = [person.errors[place] for place in places]
    x = np.array(places) + 1 + 0.06 * colour
    return Line(x=x, y=np.array([one.value for one in shares]), errors=_arms(shares), colour=colour)


def _arms(shares: Sequence[Share]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return how far the ends of intervals are from the shares, below and above, [2, n]."""
    ends = [(one.value, *wilson(*one)) for one in shares]
    return np.maximum(0, [[value - low for value, low, _ in ends], [high - value for value, _, high in ends]])


def _panel(
    title: str, lines: Sequence[Line], x_label: str, y_label: str, caption: str, *, wide: bool = False
) -> list[Panel]:
    if not lines:
        return []
    key = "".join(c for c in title if c.isalnum())
    last = "; ".join(f"{line.y[-1]:.3g}" for line in lines if len(line.y) and isfinite(line.y[-1]))
    size = FULL if wide else HALF
    svg = line_chart(lines, key=key, alt=f"{title}; last: {last}.", x_label=x_label, y_label=y_label, size=size)
    return [Panel(title=title, svg=svg, caption=caption, data="")]
