"""The charts of a report: which data of which runs are drawn, and the words that go with them.

With one run, colours tell series apart; with several, they tell runs apart and the line's style the series.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from prefrl.report.charts import FULL, HALF, SMALL, Line, Values, line_chart, stacked_chart
from prefrl.report.data import Example, RunData, Table
from prefrl.segments import Answer, Rating, feedback_kind
from prefrl.segments.answers import LEVELS, PAIR

_STEPS, _LABELS = "environment steps", "comparisons answered"
_EPISODES = "Mean over the last 100 training episodes."
_WINDOW = 10
"""Rounds of asking that a running mean is over."""
_ANSWERS = {
    Answer.MUCH_FIRST: "first is much better",
    Answer.FIRST: "first is better",
    Answer.SECOND: "second is better",
    Answer.MUCH_SECOND: "second is much better",
    Answer.EQUAL: "equal",
    Answer.CANNOT_TELL: "can't tell",
}
_RANKED = "ranked"
_RATED = {str(Rating(level)): f"rated {Rating(level)}" for level in range(1, LEVELS + 1)}
_WORDS = (*_ANSWERS.values(), _RANKED, *_RATED.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A chart with its words."""

    title: str
    """Heading."""
    svg: str
    """The chart."""
    caption: str
    """What is drawn, in a sentence or two."""
    data: str
    """The CSV file with its numbers, seen from the run's folder."""
    wide: bool = False
    """Takes the whole width of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """A column of a table and how it is drawn."""

    column: str
    colour: int = 0
    label: str | None = None
    style: Literal["-", "--", ":"] = "-"
    faint: bool = False
    smooth: bool = False


def returns_panels(runs: Sequence[RunData]) -> list[Panel]:
    """Return true and predicted return over steps and over labels."""
    true = [_Series(column="true_return")]
    predicted = [_Series(column="predicted_return", colour=2)]
    learned_from = all(run.config.get("reward") == "true" for run in runs)
    what_true = _EPISODES + (
        " This is the reward the agent learned from." if learned_from else " The agent never saw this number."
    )
    what_predicted = (
        f"{_EPISODES} Summed with the learned reward, whose scale is its own, and which moves whenever it is "
        "refitted."
    )
    points = _evaluations(runs)
    final = " The dot is the evaluation of the policy, with the standard deviation over its episodes."
    return [
        *_curves(
            runs,
            "returns",
            true,
            _Chart(
                title="True return over steps",
                caption=what_true + (final if points else ""),
                y_label="true return",
                points=points,
            ),
        ),
        *_curves(
            runs,
            "returns",
            predicted,
            _Chart(title="Predicted return over steps", caption=what_predicted, y_label="predicted return"),
        ),
        *_curves(
            runs,
            "returns",
            true,
            _Chart(
                title="True return over comparisons",
                caption="The same true return, over the comparisons it took.",
                y_label="true return",
                x="labels",
            ),
        ),
        *_curves(
            runs,
            "returns",
            predicted,
            _Chart(
                title="Predicted return over comparisons",
                caption="The same predicted return, over the comparisons it took.",
                y_label="predicted return",
                x="labels",
            ),
        ),
    ]


def metric_panels(runs: Sequence[RunData]) -> list[Panel]:
    """Return what the task counts, over steps; one panel per metric, wide if there is an odd one out."""
    names = {name for run in runs for name in run.tables.get("task_metrics", {})} - {"num_timesteps", "labels"}
    panels = []
    for index, name in enumerate(sorted(names)):
        words = f"{spaced(name)} per episode"
        title = f"{words[0].upper()}{words[1:]} over steps"
        series = [_Series(column=name, colour=4)]
        wide = index == 0 and len(names) % 2 == 1
        panels += _curves(
            runs, "task_metrics", series, _Chart(title=title, caption=_EPISODES, y_label=words, wide=wide)
        )
    return panels


def policy_panels(runs: Sequence[RunData]) -> list[Panel]:
    """Return whether the policy got better, and how much it explored, over steps."""
    return [
        *_curves(
            runs,
            "policy",
            [_Series(column="gain", colour=3)],
            _Chart(
                title="What the policy gained",
                caption="Reward per step of the latest stretches less that of those before, by the reward "
                "of then, in standard deviations. A policy that gains next to nothing is stuck, or as good as it "
                "gets; a fresh one may take its place, and the line begins anew.",
                y_label="gain per step",
            ),
        ),
        *_curves(
            runs,
            "policy",
            [_Series(column="exploration", colour=4)],
            _Chart(
                title="Exploration",
                caption="Standard deviation of the policy's actions, as a share of its first one.",
                y_label="exploration",
            ),
        ),
    ]


def reward_model_panels(runs: Sequence[RunData]) -> list[Panel]:
    """Return accuracy, losses and disagreement of the reward model over labels."""
    accuracy = [
        _Series(column="fresh_accuracy", colour=1, faint=True),
        _Series(column="accuracy", label="held out"),
        _Series(column="fresh_accuracy", colour=1, label="new, running mean", style="--", smooth=True),
    ]
    losses = [
        _Series(column="train_loss", label="trained on", colour=2),
        _Series(column="validation_loss", label="held out", style="--"),
        _Series(column="log_loss", label="held out, which is better alone", style=":", colour=1),
    ]
    # Who guesses among more answers than two loses more.
    kinds = {run.config.get("feedback", {}).get("kind", PAIR.name) for run in runs}
    has_guess = not any(feedback_kind(kind).asks_strength or feedback_kind(kind).is_rating for kind in kinds)
    return [
        *_curves(
            runs,
            "accuracy",
            accuracy,
            _Chart(
                title="Accuracy of the learned reward",
                caption="Share of comparisons that the reward ranks as they were answered. Held out: those that a "
                "member of the ensemble was not trained on. New: those of each round before any training on them "
                f"(thin: each round; dashed: running mean over {_WINDOW} rounds).",
                y_label="accuracy",
                x="labels",
                reference=(0.5, "guessing"),
            ),
        ),
        *_curves(
            runs,
            "losses",
            losses,
            _Chart(
                title="Loss of the learned reward",
                caption="Cross-entropy in nats per comparison, mean over the members of the ensemble.",
                y_label="loss",
                x="labels",
                reference=(float(np.log(2.0)), "guessing") if has_guess else None,
            ),
        ),
        *_curves(
            runs,
            "disagreement",
            [_Series(column="disagreement", colour=3)],
            _Chart(
                title="Disagreement of the ensemble",
                caption="How far the members lie apart.",
                y_label="disagreement",
                x="labels",
            ),
        ),
        *_other_measures(runs),
    ]


def _other_measures(runs: Sequence[RunData]) -> list[Panel]:
    """Return a panel for each measure of the reward's training that has none of its own."""
    names = {name for run in runs for name in run.tables.get("other_measures", {})} - {"num_timesteps", "labels"}
    panels = []
    for name in sorted(names):
        words = spaced(name)
        panels += _curves(
            runs,
            "other_measures",
            [_Series(column=name, colour=3)],
            _Chart(
                title=f"{words[0].upper()}{words[1:]}",
                caption="Of the learned reward, after each round.",
                y_label=words,
                x="labels",
            ),
        )
    return panels


def answer_panels(runs: Sequence[RunData], *, wide: bool) -> list[Panel]:
    """Return the answers over steps: by what was said for one run, totals for several."""
    size = FULL if wide else HALF
    labelled = [(index, run) for index, run in enumerate(runs) if "answers" in run.tables]
    if not labelled:
        return []
    if len(runs) == 1:
        return [_answers_of_one(runs[0], size, wide=wide)]
    lines = []
    for index, run in labelled:
        asked, counts = np.unique(run.tables["answers"]["num_timesteps"], return_counts=True)
        x = np.concatenate([[0], np.repeat(asked, 2), [run.num_timesteps]])
        y = np.repeat(np.concatenate([[0], np.cumsum(counts)]), 2)
        lines.append(Line(x=x, y=y, colour=index))
    words = [f"{run.name}: {shares(run.tables['answers'])}" for _, run in labelled]
    svg = line_chart(
        lines,
        key="answers",
        alt=f"Answers over steps. {'; '.join(words)}.",
        x_label=_STEPS,
        y_label="answers so far",
        size=size,
    )
    return [
        Panel(
            title="When the answers came",
            svg=svg,
            caption="; ".join(words) + ".",
            data="report/answers.csv",
            wide=wide,
        )
    ]


def _answers_of_one(run: RunData, size: tuple[float, float], *, wide: bool) -> Panel:
    table = run.tables["answers"]
    x = np.unique(np.concatenate([[0], table["num_timesteps"], [run.num_timesteps]]))
    layers = {}
    said = np.array([_words(answer) for answer in table["answer"]])
    for label in _WORDS:
        times = np.sort(table["num_timesteps"][said == label])
        if len(times):
            layers[label] = np.searchsorted(times, x, side="right")
    svg = stacked_chart(
        x,
        layers,
        key="answers",
        alt=f"Cumulative answers over environment steps, stacked by what was said: {shares(table)}.",
        x_label=_STEPS,
        y_label="answers so far",
        size=size,
    )
    caption = (
        f"All answers so far, by what was said: {shares(table)}. Placed at the step at which the query was made."
    )
    return Panel(title="When the answers came", svg=svg, caption=caption, data="report/answers.csv", wide=wide)


def _words(said: str) -> str:
    """Return in words what a row of the table of answers says; rankings alike, whatever the order."""
    if said in set(Answer):
        return _ANSWERS[Answer(said)]
    return _RATED.get(said, _RANKED)


def shares(table: Table) -> str:
    """Return how many answers said what, in words."""
    n = len(table["answer"])
    counts = Counter(_words(answer) for answer in table["answer"])
    parts = [f"{100 * counts[label] / n:.0f} % {label}" for label in _WORDS if counts[label]]
    return f"{n:,} answers, {', '.join(parts)}"


def episode_panels(runs: Sequence[RunData]) -> list[Panel]:
    """Return the reward along each run's evaluated episode."""
    return [
        _episode_panel(run, index, alone=len(runs) == 1)
        for index, run in enumerate(runs)
        if "episode_rewards" in run.tables
    ]


def _episode_panel(run: RunData, index: int, *, alone: bool) -> Panel:
    table = run.tables["episode_rewards"]
    x, true = table["step"], table["true_reward"]
    title = "Reward along an episode of the policy" + ("" if alone else f": {run.name}")
    data, size = "report/episode_rewards.csv", FULL if alone else HALF
    if "predicted_reward" not in table:
        caption = f"True reward of each of the {len(x):,} steps."
        line = Line(x=x, y=true, colour=0, label="true")
        svg = line_chart([line], key=f"episode{index}", alt=caption, x_label="step", y_label="reward", size=size)
        return Panel(title=title, svg=svg, caption=caption, data=data, wide=alone)
    predicted = table["predicted_reward"]
    lines = [
        Line(x=x, y=_standardised(true), colour=1, label="true"),
        Line(x=x, y=_standardised(predicted), colour=0, label="predicted"),
    ]
    caption = (
        f"Each of the {len(x):,} steps of one episode. Both rewards are standardised (mean 0, standard deviation "
        f"1): rankings are learned, not a scale. {_correlation(true, predicted)}"
    )
    svg = line_chart(
        lines,
        key=f"episode{index}",
        alt=f"{title}. {caption}",
        x_label="step",
        y_label="standardised reward",
        size=size,
    )
    return Panel(title=title, svg=svg, caption=caption, data=data, wide=alone)


def _standardised(values: Values) -> Values:
    sd = values.std()
    centred: Values = values - values.mean()
    return centred / sd if sd > 0 else centred


def _correlation(a: Values, b: Values) -> str:
    if a.std() == 0 or b.std() == 0:
        return "One of the two is constant, so there is no correlation."
    return f"Their correlation is {np.corrcoef(a, b)[0, 1]:.2f}."


def example_chart(example: Example, key: str) -> str:
    """Return the predicted reward along the segments of a labelled pair or ranking."""
    names = [name if len(example.names) == 2 else f"clip {name}" for name in example.names]
    lines = [
        Line(x=np.arange(len(rewards)), y=rewards, colour=colour, label=name)
        for colour, (name, rewards) in enumerate(zip(names, example.rewards, strict=True))
    ]
    means = ", ".join(f"{name} {rewards.mean():.2f}" for name, rewards in zip(names, example.rewards, strict=True))
    alt = f"Predicted reward along the clips; means: {means}."
    return line_chart(lines, key=key, alt=alt, x_label="step", y_label="predicted reward", size=SMALL)


@dataclass(frozen=True, kw_only=True)
class _Chart:
    """What a chart of curves says, beside its curves."""

    title: str
    caption: str
    y_label: str
    x: Literal["num_timesteps", "labels"] = "num_timesteps"
    reference: tuple[float, str] | None = None
    """A height, and what it means."""
    points: Sequence[Line] = ()
    wide: bool = False


def _curves(runs: Sequence[RunData], table: str, series: Sequence[_Series], chart: _Chart) -> list[Panel]:
    """Return one panel with columns of all runs that have them, overlaid; none if no run has them."""
    lines: list[Line] = []
    words: list[str] = []
    for index, run in enumerate(runs):
        columns = run.tables.get(table, {})
        for one in series:
            if not np.isfinite(columns.get(one.column, np.empty(0))).any() or (
                chart.x == "labels" and not run.labels
            ):
                continue
            line = _line(columns, one, chart.x, colour=index if len(runs) > 1 else one.colour)
            lines.append(line if len(runs) == 1 else replace(line, label=None))
            words.append(f"{run.name}, {one.label or chart.y_label}: {line.y[0]:.3g} first, {line.y[-1]:.3g} last")
    if not lines:
        return []
    if len(runs) > 1:  # colours are runs; what the styles mean is said in the colour of the text
        nothing = np.empty(0)
        lines += [
            Line(x=nothing, y=nothing, colour=None, label=one.label, style=one.style)
            for one in series
            if one.label
        ]
    svg = line_chart(
        [*lines, *chart.points],
        key="".join(c for c in chart.title if c.isalnum()),
        alt=f"{chart.title}. {'; '.join(words)}.",
        x_label=_STEPS if chart.x == "num_timesteps" else _LABELS,
        y_label=chart.y_label,
        reference=chart.reference,
        size=FULL if chart.wide else HALF,
    )
    return [Panel(title=chart.title, svg=svg, caption=chart.caption, data=f"report/{table}.csv", wide=chart.wide)]


def _line(columns: Table, series: _Series, x: str, *, colour: int) -> Line:
    known = np.isfinite(columns[series.column])
    values = columns[series.column][known]
    return Line(
        x=columns[x][known],
        y=_running_mean(values) if series.smooth else values,
        colour=colour,
        label=series.label,
        style=series.style,
        faint=series.faint,
    )


def _running_mean(values: Values) -> Values:
    """Return the mean of each value and the up to nine before it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - _WINDOW, 0)
    means: Values = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def _evaluations(runs: Sequence[RunData]) -> list[Line]:
    """Return each run's evaluation as a point with its standard deviation."""
    return [
        Line(
            x=np.array([run.evaluation["num_timesteps"]]),
            y=np.array([run.evaluation["true_return"]["mean"]]),
            errors=np.array([run.evaluation["true_return"]["std"]]),
            colour=index if len(runs) > 1 else 0,
        )
        for index, run in enumerate(runs)
        if run.evaluation is not None
    ]


def spaced(name: str) -> str:
    """Return a name of code as words."""
    return name.replace("_", " ")
