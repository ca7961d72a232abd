"""Comparisons that were collected with the Uni-RLHF platform (Yuan et al. 2024), from the zip that it exports.

It holds `meta_data.json`, the project, and `label.csv`, a row per query: the steps of the data set at which its
two clips begin and end, and the option that each annotator chose. The data set itself comes beside it.
"""

import ast
import csv
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.numpy import load_file

from prefrl.data.imported import ImportedLabels, imported_run
from prefrl.errors import RunError
from prefrl.segments import Answer, Query, Segment
from prefrl.store import NewAnswer, RunAbout

OPTIONS = (Answer.FIRST, Answer.SECOND, Answer.EQUAL)
"""What the options of a question mean by default, in their order."""
_META, _LABELS = "meta_data.json", "label.csv"
_LARGEST = 2**28
"""Bytes of a file in the zip: more is no file of labels."""
_LONGEST_CELL = 10_000
_MALFORMED = (AttributeError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError)
"""What reading a cell that is otherwise than the platform writes it may raise."""
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What reading a zip may raise that is damaged, encrypted, or packed by a method that Python does not know."""
_PICKLE = b"\x80"
"""What a pickle begins with."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A query of the platform."""

    steps: tuple[tuple[int, int], ...]
    """First step of each of the two clips in the data set, and the one after its last."""
    chosen: Mapping[str, int]
    """Number of the option that each annotator chose."""


def import_uni_rlhf(
    source: Path, trajectories: Path | None, out: Path, *, options: Sequence[Answer] = OPTIONS
) -> ImportedLabels:
    """Make a run's folder of comparisons that Uni-RLHF exported.

    Args:
        source: The zip.
        trajectories: The data set that was compared, as safetensors: `observations` [n, *obs] and `actions`
            [n, *act], and perhaps `rewards` [n], `next_observations` [n, *obs] and `terminals` [n]. There is
            nothing to learn from without it.
        out: Folder of the run, made whole or not at all.
        options: What the options of the project's question mean, in their order.

    Raises:
        RunError: A file is a pickle, is damaged or is another one, the project compares nothing or asks several
            questions, an option has no meaning, a clip is no part of an episode of the data set, or something is
            at `out` already.
    """
    meta, rows = _read(source)
    if trajectories is None:
        raise RunError(f"{source} names steps of a data set; give it as safetensors by --trajectories.")
    arrays = _trajectories(trajectories)
    for row in rows:
        for option in row.chosen.values():
            if not 0 <= option < len(options):
                raise RunError(
                    f"{source} has answers of option {option}, and only {len(options)} have a meaning (--options)."
                )
    about = RunAbout.of(
        _space(arrays["observations"]),
        _space(arrays["actions"]),
        segment_length=max(end - start for row in rows for start, end in row.steps),
        task=str(meta.get("environment_name") or ""),
    )
    known = {"task": about.task, "question": _question(meta, source), "reward": "preferences", "teacher": "human"}
    with imported_run(out, {"config": known}, by="Uni-RLHF") as store:
        run = store.begin_run(about)
        queries = [
            Query(segments=tuple(_segment(arrays, *steps, trajectories) for steps in row.steps), ordinal=ordinal)
            for ordinal, row in enumerate(rows)
        ]
        queries = store.add_queries(queries, run=run, overlap=max(1, *(len(row.chosen) for row in rows)))
        answers = [
            NewAnswer(
                query_id=query.id,
                answer=options[option],
                labeler=f"annotator {annotator}",
                id=f"uni-rlhf:{annotator}:{query.id}",
            )
            for query, row in zip(queries, rows, strict=True)
            for annotator, option in row.chosen.items()
        ]
        store.add_answers(answers)
        return ImportedLabels.of(out, store)


def _read(source: Path) -> tuple[dict[str, Any], list[_Row]]:
    try:
        with source.open("rb") as file:
            if file.read(1) == _PICKLE:
                raise RunError(
                    f"{source} is a pickle, which runs code when it is read; give the zip that Uni-RLHF exports."
                )
        with zipfile.ZipFile(source) as archive:
            meta_text, table = (_member(archive, name) for name in (_META, _LABELS))
        meta = json.loads(meta_text)
        if not isinstance(meta, dict):
            raise ValueError(f"{_META} holds no JSON object")
        if meta.get("feedback_type") != "comparative":
            raise RunError(f"{source} holds {meta.get('feedback_type')!r} feedback; only 'comparative' is read.")
        rows = [_row(cells) for cells in csv.DictReader(io.StringIO(table))]
    except RunError:
        raise
    except (OSError, csv.Error, *_DAMAGED, *_MALFORMED) as error:
        raise RunError(f"{source} cannot be read as an export of Uni-RLHF: {_in_a_line(error)}.") from error
    if not rows:
        raise RunError(f"{source} holds no queries.")
    return meta, rows


def _member(archive: zipfile.ZipFile, name: str) -> str:
    if archive.getinfo(name).file_size > _LARGEST:
        raise ValueError(f"{name} has more than {_LARGEST} bytes")
    return archive.read(name).decode("utf-8")


def _row(cells: Mapping[str, str]) -> _Row:
    steps = tuple((int(cells[f"start_indices_{n}"]), int(cells[f"end_indices_{n}"])) for n in (1, 2))
    said = cells["label"]
    if not said:
        return _Row(steps=steps, chosen={})
    if len(said) > _LONGEST_CELL:
        raise ValueError("a label is too long")
    labels = ast.literal_eval(said)  # the platform writes Python's own notation; only literals are read
    chosen: dict[str, int] = {}
    for annotator, by_question in labels.items():
        if len(by_question) != 1:
            raise ValueError(f"an answer to {len(by_question)} questions, where a reward is learned from one")
        [option] = by_question.values()
        chosen[str(annotator)] = int(option)
    return _Row(steps=steps, chosen=chosen)


def _question(meta: Mapping[str, Any], source: Path) -> str:
    """Return the question, which the platform keeps as JSON in JSON, with its options."""
    try:
        return str(next(iter(json.loads(meta["question"]))))
    except (LookupError, StopIteration, TypeError, ValueError) as error:
        raise RunError(f"{source} is damaged: {_META} names no question.") from error


def _trajectories(path: Path) -> dict[str, Array]:
    try:
        arrays: dict[str, Array] = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise RunError(f"{path} cannot be read as safetensors: {_in_a_line(error)}.") from error
    lengths = {name: len(arrays[name]) if name in arrays else 0 for name in ("observations", "actions")}
    lengths |= {
        name: len(arrays[name]) for name in ("rewards", "next_observations", "terminals") if name in arrays
    }
    if len(set(lengths.values())) != 1 or not lengths["actions"]:
        raise RunError(
            f"{path} must have `observations` and `actions`, and all its arrays as many steps. Received {lengths}."
        )
    return arrays


def _segment(arrays: Mapping[str, Array], start: int, end: int, path: Path) -> Segment:
    n = len(arrays["actions"])
    ends = arrays.get("terminals", np.zeros(n))[max(start, 0) : max(end - 1, 0)]
    if not 0 <= start < end <= n or ends.any():
        raise RunError(
            f"The steps {start} to {end} are no part of one episode in {path}, which has {n} steps; give the data "
            "set that was compared."
        )
    following = arrays.get("next_observations")
    rewards = arrays.get("rewards", np.zeros(n, dtype=np.float32))
    return Segment(
        observations=arrays["observations"][start:end],
        actions=arrays["actions"][start:end],
        env_rewards=rewards[start:end].reshape(end - start),
        next_observation=None if following is None else following[end - 1],
        start=start,
    )


def _space(values: Array) -> spaces.Space[Any]:
    if values.ndim == 1 and np.issubdtype(values.dtype, np.integer):
        return spaces.Discrete(int(values.max()) + 1)
    low, high = (0, 255) if values.dtype == np.uint8 else (-np.inf, np.inf)
    return spaces.Box(low, high, values.shape[1:], values.dtype.type)


def _in_a_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
