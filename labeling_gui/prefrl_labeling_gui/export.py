"""Answers as a file to take home: a line or a row each, as they were given on the screen."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Literal

from prefrl.store import HistoryItem
from prefrl_labeling_gui.assignment import on_screen, parts_of, sides_of

ExportKind = Literal["jsonl", "csv"]
EXPORT_TYPES: dict[ExportKind, str] = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}

Cell = str | int | bool | list[str] | list[int] | None


def exported(
    items: Sequence[HistoryItem],
    kind: ExportKind,
    *,
    question: Callable[[str], str | None],
    tells_repeats: bool,
) -> str:
    """Return answers as text.

    Args:
        items: Present answers, in the order of the file.
        kind: "jsonl" has an object a line, "csv" a row with a head above all, in which a list is text with
            spaces in between.
        question: What was asked, by the id of a query; None where that is not known any more.
        tells_repeats: Whether it says what was asked again, which nobody is to know of their own answers.
    """
    rows = [_row(item, question, item.repeat_of if tells_repeats else None) for item in items]
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows)
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _flat(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue()


def _row(item: HistoryItem, question: Callable[[str], str | None], repeat_of: str | None) -> dict[str, Cell]:
    said = item.answer
    assert said.answer is not None  # what was taken back is no present answer
    parts = parts_of(on_screen(said.answer, sides_swapped=said.sides_swapped))
    return {
        "id": said.id,
        "seq": said.seq,
        "labeler": said.labeler,
        "query_id": said.query_id,
        "repeat_of": repeat_of,
        "num_timesteps": item.num_timesteps,
        "question": question(said.query_id),
        "segments": list(sides_of(item.segment_ids, sides_swapped=said.sides_swapped)),
        "kind": said.kind,
        "choice": parts.choice,
        "ranks": parts.ranks,
        "rating": parts.rating,
        "changed": item.changed,
        "remark": said.remark,
        "comment": said.comment,
        "reaction_ms": said.reaction_ms,
        "replays": said.replays,
        "client_time": said.client_time,
        "server_time": said.server_time,
        "late": said.late,
    }


def _flat(cell: Cell) -> str | int | bool | None:
    return " ".join(str(part) for part in cell) if isinstance(cell, list) else cell
