"""What a report is made of: everything of a run that can be shown, read from its folder.

Nothing here is drawn. The tables are what the figures show and what the CSV files hold. What a run lacks, or
what cannot be read any more, becomes a note: a sentence for the page.
"""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from prefrl.errors import PrefRLError, RunError
from prefrl.files import read_json
from prefrl.reward import Calibration, RewardEnsemble
from prefrl.runs.checkpoint import Checkpoint
from prefrl.runs.evaluation import metric_key
from prefrl.runs.folder import RunFolder
from prefrl.runs.metrics_log import STEP_KEY, read_metrics
from prefrl.runs.reward_check import REWARD_CHECK_FILE
from prefrl.runs.settings_changes import latest_checkpoint
from prefrl.segments import Answer, Judgement, Segment
from prefrl.store import LogKey, Store, StoredAnswer

FloatArray = npt.NDArray[np.floating[Any]]
Table = dict[str, npt.NDArray[Any]]
"""Columns of equal length by name; NaN where a row has no value."""

EXAMPLES = 4
"""Labelled pairs that are shown."""

_RETURNS: dict[str, str] = {"true_return": LogKey.TRUE_RETURN, "predicted_return": LogKey.PREDICTED_RETURN}
_REWARD_MODEL = {
    "accuracy": ("accuracy", "fresh_accuracy"),
    "losses": ("train_loss", "validation_loss", "log_loss"),
    "disagreement": ("disagreement",),
}
_NOT_DRAWN = ("fresh_log_loss", "l2", "n_comparisons")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """A labelled query and what the reward model makes of it."""

    query_id: str
    """The query."""
    num_timesteps: int
    """Environment steps the agent had taken when it was asked."""
    answer: Judgement
    """What was said."""
    labeler: str
    """Who said it."""
    segments: tuple[Segment, ...]
    """In the order of the query."""
    rewards: tuple[FloatArray, ...]
    """Predicted reward of each step of each, of shape [T]."""
    probability_first: float
    """Probability that the first is the best, according to the reward model: the mean over its members."""
    predicted: tuple[float, ...]
    """Predicted return of each: the mean over its members."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each segment is called: first and second, or the numbers of several."""
        n = len(self.segments)
        return ("first", "second") if n == 2 else tuple(str(number) for number in range(1, n + 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunData:
    """All of a run that a report shows."""

    path: Path
    """The folder."""
    name: str
    """The folder's name."""
    description: Mapping[str, Any]
    """Settings, versions, git revision and date, as in config.json."""
    lines: Sequence[Mapping[str, float]]
    """The log: finite numbers by key, one mapping per line, in order."""
    num_timesteps: int
    """Environment steps of the training so far."""
    evaluation: Mapping[str, Any] | None
    """The content of evaluation.json."""
    clip: bytes | None
    """The clip of the evaluated policy, an MP4."""
    tables: Mapping[str, Table]
    """What the figures show, by the name of the CSV file."""
    examples: Sequence[Example]
    """Labelled pairs, spread evenly over the run."""
    notes: Sequence[str]
    """Sentences about what is missing or unreadable."""
    calibration: Calibration | None = None
    """Of what the reward said of new comparisons; None where the latest checkpoint does not tell."""
    reward_check: Mapping[str, Any] | None = None
    """What `prefrl rewardcheck` found of each policy; None where nobody has looked."""
    events: Sequence[tuple[int, str]] = ()
    """What happened to the policy: environment step and sentence."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings."""
        config: Mapping[str, Any] = self.description["config"]
        return config

    @property
    def finished(self) -> bool:
        """Whether the training went through all its steps."""
        return bool(self.num_timesteps >= self.config.get("total_timesteps", 0))

    def last(self, key: str) -> float | None:
        """Return the newest value logged under a key, or None."""
        return next((line[key] for line in reversed(self.lines) if key in line), None)

    @property
    def labels(self) -> int | None:
        """Comparisons that were trained on; None in a run without labels."""
        if self.config.get("reward") != "preferences":
            return None
        imported = self.description.get("imported", {}).get("labels", 0)
        return int(max(self.last(LogKey.LABELS) or 0, (self.evaluation or {}).get("labels", 0), imported))

    @property
    def labels_before(self) -> int:
        """Comparisons of another run that the reward learned first; 0 until the run is evaluated."""
        return int((self.evaluation or {}).get("labels_before", 0))

    @property
    def seconds(self) -> float | None:
        """Wall time of the training so far, over all processes that took part; None if it is not known."""
        return (
            max(self.last("time/training_seconds") or 0, (self.evaluation or {}).get("training_seconds", 0))
            or None
        )


T = TypeVar("T")


@dataclass(slots=True)
class _Notes:
    """Collects a sentence for each part that cannot be read, in place of the part."""

    sentences: list[str] = field(default_factory=list)

    def attempt(self, what: str, read: Callable[[], T]) -> T | None:
        """Return what `read` returns, or None with a note."""
        try:
            return read()
        except (PrefRLError, OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            self.sentences.append(f"{what} cannot be shown: {str(error).rstrip('.')}.")
            return None


def read_run(path: Path) -> RunData:
    """Read the folder of a run, finished or not.

    Raises:
        RunError: It is no run, or its settings or its log cannot be read.
    """
    path = Path(path)
    folder = RunFolder.open(path)
    description = folder.description()
    lines = _lines(folder.metrics)
    notes = _Notes()
    evaluation = _evaluation(folder, notes)
    states = _evaluation_states(folder, notes)
    labels, examples = notes.attempt("The answers", lambda: _feedback(folder, notes)) or ([], [])
    tables = {
        "returns": _table(lines, _RETURNS),
        "task_metrics": _table(lines, {k.removeprefix("task/"): k for k in _keys(lines, "task/")}),
        "answers": _answer_table(labels),
        "episode_rewards": _episode_table(states),
        "example_rewards": _example_table(examples),
    }
    for name, columns in _REWARD_MODEL.items():
        tables[name] = _table(lines, {column: f"reward_model/{column}" for column in columns})
    tables["other_measures"] = _table(lines, _other_measures(lines))
    tables["distance"] = _complete(_table(lines, {"kl": "policy/kl", **_RETURNS}))
    tables["policy"] = _table(lines, {name: f"policy/{name}" for name in ("gain", "exploration", "number")})
    checkpoint = notes.attempt("The latest checkpoint", lambda: latest_checkpoint(folder))
    calibration = notes.attempt("How sure the reward was", lambda: _calibration(checkpoint))
    tables["calibration"] = _calibration_table(calibration)
    reached = [lines[-1][STEP_KEY] if lines else 0, checkpoint.num_timesteps if checkpoint else 0]
    reached.append((evaluation or {}).get("num_timesteps", 0))
    return RunData(
        path=path,
        name=path.resolve().name,
        description=description,
        lines=lines,
        num_timesteps=int(max(reached)),
        evaluation=evaluation,
        clip=_clip(folder, notes),
        tables={name: table for name, table in tables.items() if _n_rows(table)},
        examples=examples,
        notes=notes.sentences,
        calibration=calibration,
        reward_check=notes.attempt("The check of the reward", lambda: _reward_check(folder)),
        events=[(note["num_timesteps"], note["text"]) for note in _said(checkpoint)],
    )


def _said(checkpoint: Checkpoint | None) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = checkpoint.progress.get("notes", []) if checkpoint else []
    return said


def _reward_check(folder: RunFolder) -> dict[str, Any] | None:
    file = folder.path / REWARD_CHECK_FILE
    if not file.exists():
        return None
    found: dict[str, Any] = read_json(file)
    for policy in found["policies"].values():  # fails here and not in a chart
        np.array([policy["shown"]["true"], policy["shown"]["predicted"]], dtype=np.float64)
    return found


def _calibration(checkpoint: Checkpoint | None) -> Calibration | None:
    counts = (checkpoint.values.get("preferences") or {}).get("calibration") if checkpoint else None
    calibration = None if counts is None else Calibration.from_json(counts)
    return calibration if calibration and calibration.n else None


def _calibration_table(calibration: Calibration | None) -> Table:
    """Return the bins that have a pair."""
    if calibration is None:
        return {}
    has_some = calibration.counts > 0
    counts, hits = calibration.counts[has_some], calibration.hits[has_some]
    return {
        "confidence": calibration.confidences[has_some] / counts,
        "accuracy": hits / counts,
        "pairs": counts.astype(np.int64),
        "right": hits.astype(np.int64),
    }


def write_tables(run: RunData) -> None:
    """Write each table of a run as `report/NAME.csv` in its folder.

    Raises:
        RunError: A file cannot be written.
    """
    folder = run.path / "report"
    try:
        folder.mkdir(exist_ok=True)
        for name, table in run.tables.items():
            with (folder / f"{name}.csv").open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(table)
                columns = [column.tolist() for column in table.values()]
                writer.writerows(
                    ["" if isinstance(v, float) and math.isnan(v) else v for v in row]
                    for row in zip(*columns, strict=True)
                )
    except OSError as error:
        raise RunError(f"The figures' data cannot be written to {folder}: {error}.") from error


def _lines(path: Path) -> list[dict[str, float]]:
    try:
        lines = read_metrics(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"The log {path} cannot be read: {error}.") from error
    finite = [{key: float(value) for key, value in line.items() if _is_finite(value)} for line in lines]
    return [line for line in finite if STEP_KEY in line]


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _keys(lines: Sequence[Mapping[str, float]], prefix: str) -> list[str]:
    return sorted({key for line in lines for key in line if key.startswith(prefix)})


def _other_measures(lines: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """Return what is logged of the reward's training and has no figure of its own, key by name."""
    prefix = "reward_model/"
    drawn = {column for columns in (*_REWARD_MODEL.values(), _NOT_DRAWN) for column in columns}
    keys = {key.removeprefix(prefix): key for key in _keys(lines, prefix)}
    return {name: key for name, key in keys.items() if name not in drawn}


def _table(lines: Sequence[Mapping[str, float]], keys: Mapping[str, str]) -> Table:
    """Return the lines that have one of the keys, with steps and labels so far; {} if there is none.

    Args:
        lines: The log.
        keys: Key in the log by name of the column.
    """
    rows, labels = [], 0.0
    for line in lines:
        labels = line.get("labels/total", labels)
        if any(key in line for key in keys.values()):
            values = [line.get(key, math.nan) for key in keys.values()]
            rows.append([line[STEP_KEY], labels, *values])
    if not rows:
        return {}
    columns = np.array(rows, dtype=np.float64).T
    steps, labelled = columns[0].astype(np.int64), columns[1].astype(np.int64)
    return {
        "num_timesteps": steps,
        "labels": labelled,
        **dict(zip(keys, columns[2:], strict=True)),
    }


def _complete(table: Table) -> Table:
    """Return the rows that have a value in every column."""
    known = np.all([np.isfinite(column) for column in table.values()], axis=0) if table else np.empty(0)
    return {name: column[known] for name, column in table.items()}


def _n_rows(table: Table) -> int:
    return max((len(column) for column in table.values()), default=0)


def _evaluation(folder: RunFolder, notes: _Notes) -> dict[str, Any] | None:
    file = folder.evaluation
    if not file.exists():
        notes.sentences.append(f"The policy has not been evaluated yet; `prefrl evaluate {folder.path}` does it.")
        return None
    return notes.attempt("The evaluation", lambda: _checked_evaluation(read_json(file)))


def _checked_evaluation(evaluation: dict[str, Any]) -> dict[str, Any]:
    true_return = evaluation["true_return"]
    numbers = [true_return[key] for key in ("mean", "std", "episodes")]
    numbers += [evaluation["num_timesteps"], *evaluation.get("metrics", {}).values()]
    if not all(_is_finite(number) for number in numbers):
        raise ValueError("evaluation.json has something else where finite numbers belong")
    metrics = {metric_key(name): value for name, value in evaluation.get("metrics", {}).items()}
    return evaluation | {"metrics": metrics}


def _clip(folder: RunFolder, notes: _Notes) -> bytes | None:
    if folder.clip.exists():
        return notes.attempt("The clip", folder.clip.read_bytes)
    reason = notes.attempt("The clip", folder.clip_error.read_text) if folder.clip_error.exists() else None
    if reason is not None:
        notes.sentences.append(f"There is no clip: {reason.strip()}")
    return None


def _evaluation_states(folder: RunFolder, notes: _Notes) -> dict[str, npt.NDArray[Any]]:
    file = folder.evaluation_states
    if not file.exists():
        return {}
    return notes.attempt("The evaluated episode", lambda: load_file(file)) or {}


def _episode_table(states: Mapping[str, npt.NDArray[Any]]) -> Table:
    if "env_rewards" not in states:
        return {}
    table: Table = {
        "step": np.arange(len(states["env_rewards"])),
        "true_reward": states["env_rewards"].astype(np.float64),
    }
    if "predicted_rewards" in states:
        table["predicted_reward"] = states["predicted_rewards"].astype(np.float64)
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Label:
    """A present answer with the time of its query."""

    answer: StoredAnswer
    num_timesteps: int


def _feedback(folder: RunFolder, notes: _Notes) -> tuple[list[_Label], list[Example]]:
    if not (folder.path / "store.sqlite").exists():
        return [], []
    with Store(folder.path) as store:
        labels = _labels(store)
        if not labels:
            return [], []
        if not folder.reward_model.exists():
            notes.sentences.append("The learned reward is saved when the training ends, and shown then.")
            return labels, []
        model = notes.attempt("The learned reward", lambda: RewardEnsemble.load(folder.reward_model))
        if model is None:
            return labels, []
        return labels, notes.attempt("The labelled pairs", lambda: _examples(model, store, labels)) or []


def _labels(store: Store) -> list[_Label]:
    """Return everybody's newest answer to each query of the newest run, in the order of the queries."""
    newest = {(row.query_id, row.labeler): row for row in store.answers(run=store.newest_run())}
    present = [row for row in newest.values() if row.answer is not None]
    labels = [_Label(answer=row, num_timesteps=store.query(row.query_id).num_timesteps) for row in present]
    return sorted(labels, key=lambda label: (label.num_timesteps, label.answer.seq))


def _examples(model: RewardEnsemble, store: Store, labels: Sequence[_Label]) -> list[Example]:
    comparisons = [label for label in labels if label.answer.answer is not Answer.CANNOT_TELL]
    chosen = np.linspace(0, len(comparisons) - 1, min(EXAMPLES, len(comparisons))).round().astype(int)
    return [_example(model, store, comparisons[index]) for index in chosen]


def _example(model: RewardEnsemble, store: Store, label: _Label) -> Example:
    segments = store.query(label.answer.query_id).segments
    returns = model.returns(list(segments))
    # Of several, that of the first choice (Plackett and Luce); of two the same as that of a preference.
    chances = np.exp(returns - returns.max(axis=1, keepdims=True))
    assert label.answer.answer is not None
    return Example(
        query_id=label.answer.query_id,
        num_timesteps=label.num_timesteps,
        answer=label.answer.answer,
        labeler=label.answer.labeler,
        segments=segments,
        rewards=tuple(model.predict_segment(segment) for segment in segments),
        probability_first=float(np.mean(chances[:, 0] / chances.sum(axis=1))),
        predicted=tuple(returns.mean(axis=0).tolist()),
    )


def _answer_table(labels: Sequence[_Label]) -> Table:
    if not labels:
        return {}
    return {
        "seq": np.array([label.answer.seq for label in labels]),
        "num_timesteps": np.array([label.num_timesteps for label in labels]),
        "answer": np.array([str(label.answer.answer) for label in labels]),
        "labeler": np.array([label.answer.labeler for label in labels]),
    }


def _example_table(examples: Sequence[Example]) -> Table:
    rows = [
        (example.query_id, side, step, float(predicted), float(true))
        for example in examples
        for side, segment, rewards in zip(example.names, example.segments, example.rewards, strict=True)
        for step, (predicted, true) in enumerate(zip(rewards, segment.env_rewards, strict=True))
    ]
    names = ("query_id", "side", "step", "predicted_reward", "true_reward")
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: np.array(column) for name, column in zip(names, columns, strict=True)}
