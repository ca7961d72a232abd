"""prefrl's own format: a folder that holds labels, which both the export and the import go by.

about.json                schema, and what the labels are about: task, spaces, question, versions, settings
queries.parquet           what was asked, with the ids of its segments in order
answers.parquet           what was said, by whom and when, also what was changed or taken back since
people.parquet            who said it
gold.parquet              queries whose answer others are measured by
settled.parquet           queries of which people disagreed, and whose answer holds
segments/ID.safetensors   each segment, as a run's folder has it
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Text

from prefrl.data.parquet import CellType
from prefrl.errors import RunError, StoreError
from prefrl.files import read_json
from prefrl.segments import space_from_json
from prefrl.store import RunAbout
from prefrl.store.transfer import COLUMNS

SCHEMA = 1
"""Version of the format; a reader knows its own and all before it."""
ABOUT_FILE, SEGMENTS = "about.json", "segments"
FILES = {
    "query": "queries.parquet",
    "answer": "answers.parquet",
    "labeler": "people.parquet",
    "gold": "gold.parquet",
    "settled": "settled.parquet",
}
"""Files by the store's table that they hold; its runs are in about.json, and the segments of a query beside it."""
_ADDED: dict[str, dict[str, CellType]] = {
    "query": {"segments": "texts", "cut_at": "ints"},
    "answer": {"preferences": "floats", "is_trained_on": "bool"},
}


def columns_of(table: str) -> dict[str, CellType]:
    """Return the columns of a file: those of the store, and what is added for whoever reads it."""
    own: dict[str, CellType] = {
        column.name: "text" if isinstance(column.type, Text) else "int" for column in COLUMNS[table]
    }
    return own | _ADDED.get(table, {})


def read_about(folder: Path) -> dict[str, Any]:
    """Read what a folder of labels is about.

    Raises:
        RunError: It is none, or of another schema, or what it says cannot be.
    """
    if not (folder / ABOUT_FILE).is_file():
        raise RunError(f"{folder} is no export of labels: it has no {ABOUT_FILE}.")
    about = read_json(folder / ABOUT_FILE)
    schema = about.get("schema")
    if type(schema) is not int:
        raise RunError(f"{folder / ABOUT_FILE} is not that of an export of labels: it names no schema.")
    if not 1 <= schema <= SCHEMA:
        raise RunError(
            f"{folder} has schema {schema}, written by prefrl {about.get('prefrl')}; this one knows {SCHEMA}: "
            "upgrade prefrl to read it."
        )
    runs = about.get("runs")
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise RunError(f"{folder / ABOUT_FILE} is damaged: it lists no runs.")
    for run in runs:
        if type(run.get("id")) is not int:
            raise RunError(f"{folder / ABOUT_FILE} is damaged: the `id` of a run is {run.get('id')!r}, no number.")
    return about


def check_one_task(abouts: Sequence[RunAbout], where: Path) -> None:
    """Refuse labels that no one reward could be learned from.

    Raises:
        StoreError: They are of several tasks, or their spaces differ.
        SpaceError: A space is of a kind that no reward reads.
    """
    for about in abouts:
        if about.frame_stack < 1:
            raise StoreError(
                f"{where} is damaged: `frame_stack` must be at least 1. Received {about.frame_stack}."
            )
        for space in (about.observation_space, about.action_space):
            space_from_json(space)
        for name in ("task", "observation_space", "action_space", "frame_stack"):
            first, other = getattr(abouts[0], name), getattr(about, name)
            if first != other:
                raise StoreError(
                    f"{where} mixes labels of two tasks: their {name} is {first!r} and {other!r}; export one run "
                    "of them at a time (--number)."
                )
