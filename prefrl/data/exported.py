"""Labels of a run as a folder in prefrl's own format."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefrl import __version__
from prefrl.data.folders import labels_of, new_folder, question_of, saved_settings
from prefrl.data.layout import ABOUT_FILE, FILES, SCHEMA, SEGMENTS, check_one_task, columns_of
from prefrl.data.parquet import check_parquet, write_table
from prefrl.data.pseudonyms import LabelRows, without_names
from prefrl.files import write_json
from prefrl.store import RunRecord, Store
from prefrl.store.answers import as_stored
from prefrl.store.blobs import FolderBlobs

_AT_ONCE = 256
"""Segments in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedLabels:
    """What a folder of labels holds."""

    out: Path
    """The folder."""
    queries: int
    """Queries, also those that nobody has answered."""
    answers: int
    """Answers, also those that were changed or taken back since."""
    comparisons: int
    """Answers that a reward is trained on."""
    segments: int
    """Segments that the queries are about."""
    people: int
    """Who answered, teachers included."""

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.comparisons:,} comparisons, of {self.answers:,} answers to {self.queries:,} queries, and "
            f"{self.segments:,} segments"
        )


def export_labels(
    run: Path, out: Path, *, names: bool = False, number: int | None = None, question: str | None = None
) -> ExportedLabels:
    """Write the labels of a run into a folder: Parquet, safetensors, and JSON about them.

    What is learned from it, once it is imported, is the same to the bit. Nothing that lets people in goes along.

    Args:
        run: Folder of the run.
        out: The folder, made whole or not at all.
        names: Whether people have their names in it, and what they wrote in their own words; else they are
            "person-1", "person-2", ….
        number: Only the run with this number in the store; by default all that are in it.
        question: What is asked, where the run does not say it.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        RunError: There are no labels, or something is at `out` already, or it cannot be written.
        StoreError: The store cannot be read, has no such run, or holds labels of several tasks.
    """
    check_parquet()
    with labels_of(run) as store, new_folder(out) as draft:
        abouts = [one.about for one in store.runs() if number in (None, one.id) and one.about is not None]
        check_one_task(abouts, run)
        rows: LabelRows = store.label_rows(run=number)
        rows = rows if names else without_names(rows)
        trained_on = set(store.comparison_seqs(run=number))
        segment_ids = list(dict.fromkeys(part["segment_id"] for part in rows["query_segment"]))
        _write_tables(draft, rows, trained_on)
        _write_segments(draft, store, segment_ids)
        counts = {
            "queries": len(rows["query"]),
            "answers": len(rows["answer"]),
            "comparisons": len(trained_on),
            "segments": len(segment_ids),
            "people": len(rows["labeler"]),
        }
        about = _about(run, store.published(RunRecord), rows, question)
        write_json(draft / ABOUT_FILE, about | {"names": names, "counts": counts})
    return ExportedLabels(out=out, **counts)


def _about(run: Path, record: RunRecord | None, rows: LabelRows, question: str | None) -> dict[str, Any]:
    settings = saved_settings(run)
    runs = [row | {"about": _decoded(row["about"])} for row in rows["run"]]
    tasks = [record.task if record else None, ((settings or {}).get("config") or {}).get("task")]
    tasks += [(one["about"] or {}).get("task") for one in runs]
    return {
        "schema": SCHEMA,
        "prefrl": __version__,
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": next(filter(None, tasks), None),
        "question": question_of(run, record, question),
        "feedback": sorted({row["kind"] for row in rows["answer"]}),
        "runs": runs,
        "record": None if record is None else asdict(record),
        "settings": settings,
    }


def _decoded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _write_tables(folder: Path, rows: LabelRows, trained_on: set[int]) -> None:
    parts: dict[str, list[dict[str, Any]]] = {}
    for part in rows["query_segment"]:
        parts.setdefault(part["query_id"], []).append(part)
    for query in rows["query"]:
        own = parts.get(query["id"], [])
        query["segments"] = [part["segment_id"] for part in own]
        query["cut_at"] = [part["num_timesteps"] for part in own]
    for row in rows["answer"]:
        said = as_stored(row).answer
        row["preferences"] = None if said is None else said.preferences
        row["is_trained_on"] = row["seq"] in trained_on
    for table, file in FILES.items():
        write_table(folder / file, columns_of(table), rows[table])


def _write_segments(folder: Path, store: Store, segment_ids: Sequence[str]) -> None:
    blobs = FolderBlobs(folder / SEGMENTS)
    for start in range(0, len(segment_ids), _AT_ONCE):
        some = segment_ids[start : start + _AT_ONCE]
        blobs.write({segment_id: store.segment(segment_id) for segment_id in some})
