"""The report: one HTML page that says what happened in a run, or in several side by side, and shows it.

The page stands alone: charts are SVG inside it, clips are inside it as well, nothing is fetched. Data are read in
`data`, charts made in `panels`; here are the words, the numbers in front, and the page.
"""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import gymnasium
import jinja2
import numpy as np
import yaml
from markupsafe import Markup

from prefrl.config import flat, load_preset
from prefrl.errors import PrefRLError, RunError
from prefrl.report import panels
from prefrl.report.data import Example, RunData, read_run, write_tables
from prefrl.runs.environments import OWN_ENVIRONMENT
from prefrl.segments import Answer
from prefrl_envs.clips import encode_clip
from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.rendering import StateRenderer
from prefrl_envs.tasks import TASKS

REPORT_FILE = "report.html"
CLIP_SIZE = 200
"""Pixels along each side of an example's clips."""
CLIP_GAP = 4
"""Pixels between the two."""
CLIP_SECONDS = 1.5
"""How long an example's clip plays, whatever it took in the simulation, so that it can be followed."""

_ON_COMMAND_LINE = ("task", "algo", "reward", "labels", "total_timesteps", "seed", "shuffle_labels")
_VERDICTS = {
    Answer.FIRST: "the first is better",
    Answer.SECOND: "the second is better",
    Answer.EQUAL: "both are equal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A labelled pair as the page shows it."""

    title: str
    answer: str
    sentence: str
    better: int | None
    """0 or 1: which side the answer prefers; None for equal."""
    clip: str | None
    chart: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A run as the page shows it."""

    name: str
    headline: str
    status: str | None
    cards: Mapping[str, tuple[str, str]]
    clip: str | None
    clip_words: str
    notes: Sequence[str]
    pairs: Sequence[_Pair]
    command: str
    settings_file: str | None


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of one run, or of several side by side, and the data of its figures as CSV.

    The data go to `report/*.csv` in the folder of each run. A run may be unfinished; what it lacks the page says.

    Args:
        folders: The run folders.
        out: The page; by default `report.html` in the folder of the run, and for several runs in the folder that
            holds the first.

    Returns:
        The page.

    Raises:
        RunError: There is no folder, one of them is no run or too damaged, or the page cannot be written.
    """
    paths = list({Path(folder).resolve(): Path(folder) for folder in folders}.values())
    if not paths:
        raise RunError("A report needs at least one run; give the folder that `train` made.")
    runs = [read_run(path) for path in paths]
    for run in runs:
        write_tables(run)
    page = _page(runs)
    target = out or (paths[0] if len(paths) == 1 else paths[0].resolve().parent) / REPORT_FILE
    draft = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        raise RunError(f"The report cannot be written to {target}: {error}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return target


def _page(runs: Sequence[RunData]) -> str:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files("prefrl.report").joinpath("template.html").read_text("utf-8"))
    columns = [_column(run, index) for index, run in enumerate(runs)]
    tasks = {run.config.get("task", "") for run in runs}
    task = TASKS.get(tasks.pop()) if len(tasks) == 1 else None
    reward_model = panels.reward_model_panels(runs)
    answers = panels.answer_panels(runs, wide=len(reward_model) % 2 == 0)
    sections = [
        ("How it learned", panels.metric_panels(runs) + panels.returns_panels(runs)),
        ("Answers and learned reward", answers + reward_model),
        ("Reward along an episode", panels.episode_panels(runs)),
    ]
    return template.render(
        title=_title(runs, columns),
        description=task.description if task else None,
        columns=columns,
        sections=[(title, shown) for title, shown in sections if shown],
        facts=_rows([_facts(run) for run in runs]),
        settings=_rows([flat(run.config) for run in runs]),
        versions=_rows([run.description.get("versions", {}) for run in runs]),
        svg=Markup,
    )


def _title(runs: Sequence[RunData], columns: Sequence[_Column]) -> str:
    if len(runs) == 1:
        return columns[0].headline
    tasks = {_task(run) for run in runs}
    return f"{len(runs)} runs{f' of {tasks.pop()}' if len(tasks) == 1 else ''}, side by side"


def _column(run: RunData, index: int) -> _Column:
    pairs, notes = _pairs(run, index)
    command, settings_file = _command(run)
    evaluation = run.evaluation or {}
    words = f"The policy after {evaluation.get('num_timesteps', 0):,} steps, in an episode of its evaluation."
    return _Column(
        name=run.name,
        headline=_headline(run),
        status=None if run.finished else _status(run),
        cards=_cards(run),
        clip=None if run.clip is None else _data_uri(run.clip),
        clip_words=words,
        notes=[*run.notes, *notes],
        pairs=pairs,
        command=command,
        settings_file=settings_file,
    )


def _headline(run: RunData) -> str:
    """Say in one line what happened."""
    what = _task(run).capitalize()
    if not run.finished:
        what += ", not finished"
    elif run.config.get("shuffle_labels") or run.config.get("reward") == "constant":
        what += ", control"
    elif _does_it(run):
        what += " learned"
    result = _result(run)
    return f"{what}: {result} {_source(run)}" if result else f"{what}: nothing measured yet"


def _does_it(run: RunData) -> bool:
    """Return whether the policy does what the task counts, at least once per episode."""
    counts = (run.evaluation or {}).get("metrics", {})
    return bool(counts) and min(counts.values()) >= 1


def _result(run: RunData) -> str:
    """Return the most telling numbers: what the task counts, else how the true return grew."""
    counts = (run.evaluation or {}).get("metrics", {})
    if counts:
        return ", ".join(f"{_number(value)} {panels.spaced(name)}" for name, value in counts.items())
    returns = run.tables.get("returns", {}).get("true_return", np.empty(0))
    returns = returns[np.isfinite(returns)]
    if run.evaluation is not None:
        returns = np.append(returns, run.evaluation["true_return"]["mean"])
    if len(returns) < 2:
        return f"true return {_number(returns[0])}" if len(returns) else ""
    return f"true return from {_number(returns[0])} to {_number(returns[-1])}"


def _source(run: RunData) -> str:
    time = "" if run.seconds is None else f" in {_duration(run.seconds)}"
    if run.labels is not None:
        kind = "shuffled comparisons" if run.config.get("shuffle_labels") else "comparisons"
        return f"{'from' if _does_it(run) else 'after'} {run.labels:,} {kind}{time}"
    return f"on {'its true' if run.config.get('reward') == 'true' else 'a constant'} reward{time}"


def _status(run: RunData) -> str:
    total = run.config.get("total_timesteps", 0)
    return (
        f"This run is not finished: {run.num_timesteps:,} of {total:,} steps "
        f"({100 * run.num_timesteps / total:.0f} %). If nothing trains it any more, go on by "
        f"`prefrl resume {run.path}`."
    )


def _cards(run: RunData) -> dict[str, tuple[str, str]]:
    """Return the numbers in front: value and small print by name."""
    cards: dict[str, tuple[str, str]] = {}
    if run.evaluation is not None:
        true_return = run.evaluation["true_return"]
        n_episodes = f"mean of {true_return['episodes']:,} episodes"
        for name, value in run.evaluation.get("metrics", {}).items():
            cards[panels.spaced(name).capitalize()] = (_number(value), n_episodes)
        mean, std = _number(true_return["mean"]), _number(true_return["std"])
        cards["True return"] = (f"{mean} ± {std}", f"mean and standard deviation of {n_episodes.split(' of ')[1]}")
    elif (latest := run.last("rollout/ep_rew_mean")) is not None:
        cards["True return"] = (_number(latest), "last 100 training episodes; not evaluated yet")
    if run.labels is not None:
        cards["Comparisons"] = (f"{run.labels:,}", f"of {run.config.get('labels', 0):,}; {_teacher(run)}")
    if (accuracy := run.last("reward_model/accuracy")) is not None:
        cards["Held-out accuracy"] = (f"{100 * accuracy:.0f} %", "of comparisons not trained on, last fit")
    cards["Environment steps"] = (f"{run.num_timesteps:,}", f"of {run.config.get('total_timesteps', 0):,}")
    cards |= _time_cards(run)
    return cards


def _time_cards(run: RunData) -> dict[str, tuple[str, str]]:
    seconds = run.seconds
    if seconds is None:
        return {}
    cards = {"Training time": (_duration(seconds), f"{run.num_timesteps / seconds:,.0f} steps per second")}
    refit = run.last("time/refit_seconds")
    if run.labels is not None and refit is not None:
        cards["Asking and fitting"] = (
            f"{100 * refit / seconds:.1f} %",
            f"of the training time, {_duration(refit)}",
        )
    return cards


def _teacher(run: RunData) -> str:
    return f"{run.config.get('teacher', 'unknown')} teacher" + (
        ", answers shuffled" if run.config.get("shuffle_labels") else ""
    )


def _task(run: RunData) -> str:
    return str(run.config.get("task", "run")).removeprefix("prefrl/").replace("-", " ")


def _number(value: float) -> str:
    """Return a number as a reader wants it: about three figures, thousands with commas."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace("-", "−")
    text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".").replace("-", "−")


def _duration(seconds: float) -> str:
    if seconds < 300:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


def _facts(run: RunData) -> dict[str, Any]:
    config = run.config
    facts = {
        "Task": config.get("task"),
        "Environment": config.get("env_id"),
        "Algorithm": str(config.get("algo")).upper(),
        "Learns from": {"preferences": "comparisons", "true": "the true reward", "constant": "a constant"}.get(
            str(config.get("reward")), config.get("reward")
        ),
        **{name: f"{value} ({small})" for name, (value, small) in _cards(run).items()},
        "Seed": config.get("seed"),
        "Started": run.description.get("created"),
        "Code": run.description.get("git_revision") or "not from a git checkout",
        "Folder": str(run.path),
    }
    if run.labels is not None:
        facts["Steps of a clip"] = config.get("feedback", {}).get("segment_length")
    return facts


def _rows(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str], bool]]:
    """Return name, one text per column, and whether the columns differ."""
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, [_text(column.get(name)) for column in columns]) for name in names]
    return [(name, texts, len(set(texts)) > 1) for name, texts in rows]


def _text(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)


def _command(run: RunData) -> tuple[str, str | None]:
    """Return the command that does the run again, and the settings file it needs beside it, if any."""
    config = run.config
    words = ["prefrl train", str(config.get("task"))]
    words += [f"--{name.replace('_', '-')} {config.get(name)}" for name in _ON_COMMAND_LINE[1:-1]]
    if config.get("shuffle_labels"):
        words.append("--shuffle-labels")
    own = _own_settings(config)
    if own:
        words.append("--config settings.yaml")
    words.append(f"--out runs/{run.name}-again")
    return " ".join(words), yaml.safe_dump(own, sort_keys=False) if own else None


def _own_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that neither the preset nor the command line gives, nested as in a settings file."""
    try:
        preset = load_preset(str(config.get("task")), str(config.get("algo"))).to_json()
    except PrefRLError:  # a task or algorithm that this version does not have: then all settings matter
        preset = {}
    given = flat(preset)
    own: dict[str, Any] = {}
    for name, value in flat(config).items():
        if name not in _ON_COMMAND_LINE and (name not in given or given[name] != value):
            *parents, leaf = name.split(".")
            place = own
            for parent in parents:
                place = place.setdefault(parent, {})
            place[leaf] = value
    return own


def _pairs(run: RunData, index: int) -> tuple[list[_Pair], list[str]]:
    """Return the labelled pairs with their clips, and notes on what could not be drawn."""
    if not run.examples:
        return [], []
    clips, notes = _clips(run)
    return [
        _pair(example, clip, f"pair{index}x{number}")
        for number, (example, clip) in enumerate(zip(run.examples, clips, strict=True))
    ], notes


def _pair(example: Example, clip: str | None, key: str) -> _Pair:
    returns = [_number(segment.env_return) for segment in example.segments]
    probability = f"{100 * example.probability_first:.0f} %"
    return _Pair(
        title=f"Asked at {example.num_timesteps:,} steps",
        answer=f"{example.labeler}: {_VERDICTS[example.answer]}",
        sentence=(
            f"The learned reward gives the first {probability} to be better. "
            f"True returns: {returns[0]} and {returns[1]}."
        ),
        better={Answer.FIRST: 0, Answer.SECOND: 1}.get(example.answer),
        clip=clip,
        chart=Markup(panels.example_chart(example, key)),
    )


def _clips(run: RunData) -> tuple[list[str | None], list[str]]:
    """Return a clip of each labelled pair, first beside second, or None and the reason why not."""
    nothing: list[str | None] = [None] * len(run.examples)
    if any(segment.render_states is None for example in run.examples for segment in example.segments):
        return nothing, [
            "No clips of the labelled pairs: no states to draw them from were recorded; "
            f"{OWN_ENVIRONMENT} shows what it takes."
        ]
    env_id, kwargs = str(run.config.get("env_id")), run.config.get("env_kwargs", {})
    try:
        with StateRenderer(env_id, CLIP_SIZE, CLIP_SIZE, env_kwargs=kwargs) as renderer:
            return [_clip(renderer, example) for example in run.examples], []
    except (
        RenderingUnavailableError,
        gymnasium.error.Error,
        ImportError,
        TypeError,
        ValueError,
    ) as error:
        return nothing, [f"No clips of the labelled pairs: {str(error).rstrip('.')}."]


def _clip(renderer: StateRenderer, example: Example) -> str:
    sides = []
    length = max(segment.n_steps for segment in example.segments)
    for segment in example.segments:
        assert segment.render_states is not None
        frames = renderer.frames(segment.render_states)
        rest = np.repeat(frames[-1:], length - len(frames), axis=0)
        sides.append(np.concatenate([frames, rest]))
    between = np.zeros((length, CLIP_SIZE, CLIP_GAP, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    encode_clip(np.concatenate([sides[0], between, sides[1]], axis=2), buffer, max(1.0, length / CLIP_SECONDS))
    return _data_uri(buffer.getvalue())


def _data_uri(clip: bytes) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(clip).decode('ascii')}"
