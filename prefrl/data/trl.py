"""Comparisons as a preference data set for TRL, with clips as text.

TRL learns from text: a row has a `prompt`, and what was `chosen` and `rejected` of two ways to go on. Here the
prompt is the question that people were asked, and what goes on is a segment: a line of JSON for each step. So TRL
reads the data set as it is, and whoever knows a better way to show behaviour to a language model makes it of the
same lines.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prefrl.data.folders import labels_of, new_folder, question_of
from prefrl.data.parquet import CellType, check_parquet, write_table
from prefrl.data.pseudonyms import names_of
from prefrl.errors import RunError
from prefrl.files import write_whole
from prefrl.segments import Comparison, Segment, Strength, pairs_of
from prefrl.store import RunRecord

ANY_QUESTION = "Which behaviour is better?"
"""Where nobody knows what was asked."""
PAIRS_FILE = "pairs.parquet"
COLUMNS: dict[str, CellType] = {
    "prompt": "text",
    "chosen": "text",
    "rejected": "text",
    "query_id": "text",
    "labeler": "text",
    "is_much_better": "bool",
    "chosen_segment": "text",
    "rejected_segment": "text",
}
"""What TRL reads, and after it what it leaves alone."""
_CARD = """\
---
configs:
- config_name: default
  data_files: {file}
---

# Comparisons of behaviour{of_task}

{n} pairs, written by prefrl. `prompt` is the question that was asked, `chosen` and `rejected` are clips of
behaviour: a line of JSON for each step, with what was observed and then done, and what was observed in the end.
Left out: {left_out}. A query may have several rows, so split by `query_id`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedPairs:
    """What a preference data set holds, and what had to be left out."""

    out: Path
    """The folder."""
    pairs: int
    """Rows: of a ranking each two that differ."""
    ties: int
    """Pairs left out because both were said to be equal."""
    cannot_tell: int
    """Answers left out because they were "can't tell"."""
    ratings: int
    """Answers left out because they are of one segment."""

    @property
    def left_out(self) -> str:
        """What was left out, in words."""
        return f'{self.ties:,} ties, {self.cannot_tell:,} "can\'t tell", {self.ratings:,} ratings'

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.pairs:,} pairs; left out: {self.left_out}"


def export_pairs(
    run: Path, out: Path, *, names: bool = False, number: int | None = None, question: str | None = None
) -> ExportedPairs:
    """Write what a reward would be trained on as pairs of which one was chosen, as TRL reads them.

    Args:
        run: Folder of the run.
        out: The folder, made whole or not at all.
        names: Whether people have their names in it; else they are "person-1", "person-2", ….
        number: Only the run with this number in the store; by default all that are in it.
        question: What is asked, where the run does not say it.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        RunError: There are no labels, or none that are pairs, their segments are images, or something is at `out`
            already, or it cannot be written.
        StoreError: The store cannot be read.
    """
    check_parquet()
    with labels_of(run) as store, new_folder(out) as draft:
        record = store.published(RunRecord)
        prompt = f"{question_of(run, record, question) or ANY_QUESTION}\n"
        shown = names_of(store.label_rows(run=number), names=names)
        rows: list[dict[str, Any]] = []
        ties = ratings = 0
        for comparison in store.comparisons_at(store.comparison_seqs(run=number)):
            ties += comparison.preferences.count(0.5)
            ratings += comparison.rating is not None
            own = {"prompt": prompt, "query_id": comparison.query_id, "labeler": shown[comparison.teacher]}
            rows += (own | pair for pair in _pairs(comparison, run))
        exported = ExportedPairs(
            out=out,
            pairs=len(rows),
            ties=ties,
            cannot_tell=store.counts(run=number).cannot_tell,
            ratings=ratings,
        )
        if not rows:
            raise RunError(f"{run} has no pairs of which one is the better: there are {exported.left_out}.")
        write_table(draft / PAIRS_FILE, COLUMNS, rows)
        task = f" in {record.task}" if record else ""
        card = _CARD.format(file=PAIRS_FILE, of_task=task, n=len(rows), left_out=exported.left_out)
        write_whole(draft / "README.md", card)
    return exported


def _pairs(comparison: Comparison, run: Path) -> Iterator[dict[str, Any]]:
    """Yield each two of the segments of which one is the better."""
    for (i, j), preference in zip(pairs_of(len(comparison.segments)), comparison.preferences, strict=True):
        if preference == 0.5:
            continue
        chosen, rejected = (comparison.segments[k] for k in ((i, j) if preference else (j, i)))
        if chosen.observations.dtype == np.uint8 and chosen.observations.ndim > 2:
            raise RunError(
                f"The observations of {run} are images, and TRL reads text; export them without --format trl."
            )
        yield {
            "chosen": as_text(chosen),
            "rejected": as_text(rejected),
            "is_much_better": comparison.strength is Strength.MUCH,
            "chosen_segment": chosen.id,
            "rejected_segment": rejected.id,
        }


def as_text(segment: Segment) -> str:
    """Return a segment as lines of JSON, one for each step; the last, where it is known, is what came of it.

    The hidden true reward is not in it.
    """
    steps = zip(_shortest(segment.observations), _shortest(segment.actions), strict=True)
    lines: Iterator[dict[str, Any]] = ({"observation": seen, "action": done} for seen, done in steps)
    if segment.next_observation is not None:
        lines = chain(lines, [{"observation": _shortest(segment.next_observation)}])
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def _shortest(values: npt.NDArray[Any]) -> Any:
    """Return numbers in the fewest digits that tell them from others of their own precision."""
    if np.issubdtype(values.dtype, np.floating):
        return values.astype(str).astype(np.float64).tolist()
    return values.tolist()
