"""A run's folder made of exported labels: they can be looked at, added to, and learned from."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from gymnasium import spaces
from sqlalchemy.exc import IntegrityError, InterfaceError, ProgrammingError

from prefrl.config import RunConfig
from prefrl.data.folders import new_folder
from prefrl.data.layout import FILES, SEGMENTS, check_one_task, read_about
from prefrl.data.parquet import check_parquet, read_table
from prefrl.errors import RunError, StoreError
from prefrl.files import write_json
from prefrl.registry import TEACHERS
from prefrl.segments import Segment, n_features, space_from_json
from prefrl.segments.recorder import frame_space
from prefrl.store import RunAbout, RunRecord, Store, TrainerRecord
from prefrl.store.blobs import FolderBlobs
from prefrl.store.typed_json import decode_record

_LISTS = ("segments", "cut_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedLabels:
    """What has come into a run's folder."""

    out: Path
    """The folder."""
    queries: int
    """Queries, also those that nobody has answered."""
    answers: int
    """Answers, also those that were changed or taken back since."""
    comparisons: int
    """Answers that a reward is trained on."""

    @classmethod
    def of(cls, out: Path, store: Store) -> Self:
        """Count what is in a store."""
        counts = store.counts()
        return cls(out=out, queries=counts.queries, answers=counts.answers, comparisons=counts.comparisons)

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.comparisons:,} comparisons, of {self.answers:,} answers to {self.queries:,} queries"


def import_labels(source: Path, out: Path) -> ImportedLabels:
    """Make a run's folder of labels that `export_labels` wrote.

    Its store goes wherever labels of an earlier run go: the page, the report, and
    `PreferenceLearning(store=…, old_labels="learn")`. There is no training in it to go on with.

    Args:
        source: Folder of the export.
        out: Folder of the run, made whole or not at all.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        RunError: It is no export, of another schema or damaged, or something is at `out` already.
        SettingError: The settings that came with it are not those of a run.
        SpaceError: A space is unknown.
        StoreError: A segment is missing or damaged, answers cannot be read, or labels of several tasks are mixed.
    """
    check_parquet()
    about = read_about(source)
    abouts = {run.get("id"): _run_about(run) for run in about["runs"]}
    check_one_task([one for one in abouts.values() if one is not None], source)
    rows = _rows(source, about)
    record = None if about.get("record") is None else decode_record(RunRecord, json.dumps(about["record"]))
    with imported_run(out, _settings(about, rows), by=f"prefrl {about.get('prefrl')}") as store:
        _fill(store, rows, _segments(source, rows, abouts), source)
        if record is not None:
            store.publish(record)
        return ImportedLabels.of(out, store)


@contextmanager
def imported_run(out: Path, settings: Mapping[str, Any], *, by: str) -> Iterator[Store]:
    """Give the empty store of a run's folder that is made whole or not at all, once it is filled.

    Args:
        out: The folder.
        settings: What goes into config.json.
        by: What wrote the labels.

    Raises:
        RunError: Something is at `out` already, or it cannot be written.
        SettingError: The settings are not those of a run.
    """
    RunConfig.from_saved(settings["config"])
    imported = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": by}
    with new_folder(out) as draft:
        (draft / "log").mkdir()
        with Store(draft) as store:
            yield store
            now, labels = time.time_ns() // 1_000_000, store.counts().comparisons
            store.publish(TrainerRecord(state="stopped", labels=labels, updated_at=now))
        write_json(draft / "config.json", {**settings, "imported": imported | {"labels": labels}})


def _fill(
    store: Store, rows: Mapping[str, Sequence[Mapping[str, Any]]], segments: Iterator[Segment], source: Path
) -> None:
    try:
        store.fill(rows, segments)
    except StoreError as error:
        if not isinstance(error.__cause__, IntegrityError | InterfaceError | ProgrammingError):
            raise
        # It names the store, a draft that is gone by now; what is wrong is in the export.
        raise StoreError(f"{source} is damaged: its rows do not fit together ({error.__cause__.orig}).") from error


def _run_about(run: Mapping[str, Any]) -> RunAbout | None:
    return None if run.get("about") is None else decode_record(RunAbout, json.dumps(run["about"]))


def _settings(about: Mapping[str, Any], rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return what goes into config.json: the settings of the run that was exported, or what its labels tell."""
    settings = about.get("settings")
    if settings is None:
        names = {str(row["labeler"]) for row in rows["answer"]}
        teacher = names.pop() if len(names) == 1 and names <= set(TEACHERS) else "human"
        settings = {"config": {"task": about.get("task") or "", "reward": "preferences", "teacher": teacher}}
    if not isinstance(settings, dict) or not isinstance(settings.get("config"), dict):
        raise RunError("The export's settings are damaged: about.json holds none under `settings`.")
    return settings


def _rows(folder: Path, about: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Read the tables as the store has them.

    Raises:
        RunError: A file is missing, damaged, or lacks a column that is needed.
    """
    rows = {table: read_table(folder / file) for table, file in FILES.items()}
    for table, needed in {"query": ("id", "run_id", *_LISTS), "answer": ("id", "query_id", "labeler")}.items():
        lacking = [name for row in rows[table][:1] for name in needed if name not in row]
        if lacking:
            raise RunError(f"{folder / FILES[table]} is damaged: it has no column {lacking[0]!r}.")
    rows["run"] = [
        run | {"about": None if run.get("about") is None else json.dumps(run["about"])} for run in about["runs"]
    ]
    rows["query_segment"] = [
        {"query_id": query["id"], "position": position, "segment_id": segment_id, "num_timesteps": cut_at}
        for query in rows["query"]
        for position, (segment_id, cut_at) in enumerate(_parts(query, folder))
    ]
    return rows


def _parts(query: Mapping[str, Any], folder: Path) -> Sequence[tuple[str, int]]:
    segments, cut_at = query["segments"] or [], query["cut_at"] or []
    if not isinstance(segments, list) or not isinstance(cut_at, list):
        raise RunError(f"{folder / FILES['query']} is damaged: `segments` and `cut_at` must be lists.")
    if len(segments) != len(cut_at):
        raise RunError(
            f"{folder / FILES['query']} is damaged: query {query['id']!r} has not as many `cut_at` as segments."
        )
    # They are names of files, and none lies outside of the export.
    if not all(isinstance(segment_id, str) and segment_id.isalnum() for segment_id in segments):
        raise RunError(
            f"{folder / FILES['query']} is damaged: query {query['id']!r} names segments that cannot be."
        )
    return list(zip(segments, cut_at, strict=True))


def _segments(
    folder: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]], abouts: Mapping[int, RunAbout | None]
) -> Iterator[Segment]:
    """Read the segments one after another.

    Raises:
        StoreError: One is missing or damaged, or is not of the spaces of its run.
    """
    blobs = FolderBlobs(folder / SEGMENTS, copy_of="export")
    runs = {query["id"]: query["run_id"] for query in rows["query"]}
    seen: set[str] = set()
    for part in rows["query_segment"]:
        if part["segment_id"] in seen:
            continue
        seen.add(part["segment_id"])
        segment = blobs.read(part["segment_id"], num_timesteps=part["num_timesteps"])
        about = abouts.get(runs[part["query_id"]])
        if about is not None:
            _check_fits(segment, about, folder)
        yield segment


def _check_fits(segment: Segment, about: RunAbout, folder: Path) -> None:
    observed = frame_space(space_from_json(about.observation_space), about.frame_stack)
    for name, space in (("observations", observed), ("actions", space_from_json(about.action_space))):
        expected = (n_features(space),) if isinstance(space, spaces.Dict) else space.shape
        found = getattr(segment, name).shape[1:]
        if found != expected:
            raise StoreError(
                f"{folder} mixes labels of two tasks: the {name} of segment {segment.id} have shape {found}, "
                f"those of its run {expected}."
            )
