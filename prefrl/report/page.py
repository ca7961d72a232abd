"""The report: one HTML page that says what happened in a run, or in several side by side, and shows it.

The page stands alone: charts are SVG inside it, clips are inside it as well, nothing is fetched. Data are read in
`data`, charts made in `panels`, words and numbers in `words`, labelled pairs in `pairs`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from prefrl.config import flat
from prefrl.errors import RunError
from prefrl.files import write_whole
from prefrl.report import panels
from prefrl.report.calibration_panel import calibration_panels
from prefrl.report.command import command_again
from prefrl.report.data import RunData, read_run, write_tables
from prefrl.report.distance_panel import distance_panels
from prefrl.report.pairs import Pair, data_uri, labelled_pairs
from prefrl.report.reward_check_panel import reward_check_panels
from prefrl.report.words import cards, facts, headline, status, task_name
from prefrl_envs.tasks import TASKS

REPORT_FILE = "report.html"


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
    events: Sequence[tuple[int, str]]
    pairs: Sequence[Pair]
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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, page)
    except OSError as error:
        raise RunError(f"The report cannot be written to {target}: {error}.") from error
    return target


def _page(runs: Sequence[RunData]) -> str:
    template = template_of("template.html")
    columns = [_column(run, index) for index, run in enumerate(runs)]
    tasks = {run.config.get("task", "") for run in runs}
    task = TASKS.get(tasks.pop()) if len(tasks) == 1 else None
    reward_model = panels.reward_model_panels(runs) + calibration_panels(runs) + reward_check_panels(runs)
    answers = panels.answer_panels(runs, wide=len(reward_model) % 2 == 0)
    sections = [
        (
            "How it learned",
            panels.metric_panels(runs)
            + panels.returns_panels(runs)
            + distance_panels(runs)
            + panels.policy_panels(runs),
        ),
        ("Answers and learned reward", answers + reward_model),
        ("Reward along an episode", panels.episode_panels(runs)),
    ]
    return template.render(
        title=_title(runs, columns),
        description=task.description if task else None,
        columns=columns,
        sections=[(title, shown) for title, shown in sections if shown],
        facts=_rows([facts(run) for run in runs]),
        settings=_rows([flat(run.config) for run in runs]),
        versions=_rows([run.description.get("versions", {}) for run in runs]),
    )


def template_of(name: str) -> jinja2.Template:
    """Return a page of this package that knows the style of all."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = files("prefrl.report")
    own = {"style": Markup(folder.joinpath("style.css").read_text("utf-8")), "svg": Markup}
    return environment.from_string(folder.joinpath(name).read_text("utf-8"), globals=own)


def _title(runs: Sequence[RunData], columns: Sequence[_Column]) -> str:
    if len(runs) == 1:
        return columns[0].headline
    tasks = {task_name(run) for run in runs}
    return f"{len(runs)} runs{f' of {tasks.pop()}' if len(tasks) == 1 else ''}, side by side"


def _column(run: RunData, index: int) -> _Column:
    pairs, notes = labelled_pairs(run, index)
    command, settings_file = command_again(run)
    evaluation = run.evaluation or {}
    words = f"The policy after {evaluation.get('num_timesteps', 0):,} steps, in an episode of its evaluation."
    return _Column(
        name=run.name,
        headline=headline(run),
        status=None if run.finished else status(run),
        cards=cards(run),
        clip=None if run.clip is None else data_uri(run.clip),
        clip_words=words,
        notes=[*run.notes, *notes],
        events=run.events,
        pairs=pairs,
        command=command,
        settings_file=settings_file,
    )


def _rows(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str], bool]]:
    """Return name, one text per column, and whether the columns differ."""
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, [_text(column.get(name)) for column in columns]) for name in names]
    return [(name, texts, len(set(texts)) > 1) for name, texts in rows]


def _text(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)
