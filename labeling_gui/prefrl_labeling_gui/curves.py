"""Curves of a training, from the log that it writes; only read here."""

import json
import math
from pathlib import Path

from prefrl.store import LogKey
from prefrl.store.records import TASK_METRICS

MAX_POINTS = 500
_NAMES: dict[str, str] = {
    LogKey.TRUE_RETURN: "true_return",
    LogKey.PREDICTED_RETURN: "predicted_return",
    LogKey.ACCURACY: "accuracy",
    LogKey.FRESH_ACCURACY: "fresh_accuracy",
    LogKey.LABELS: "labels",
}


def read_curves(path: Path) -> dict[str, list[float | None]]:
    """Return the curves by name, all of one length; None where a value is missing.

    "num_timesteps" is the axis, always there. A long log is thinned out; its last line stays.

    Args:
        path: The run's log/metrics.jsonl; it need not be there yet.
    """
    lines = _lines(path)
    step = math.ceil(len(lines) / MAX_POINTS) or 1
    kept = lines[::-step][::-1]
    keys = list(dict.fromkeys(key for line in kept for key in line))
    curves: dict[str, list[float | None]] = {
        "num_timesteps": [_finite(line[LogKey.NUM_TIMESTEPS]) for line in kept]
    }
    for key in keys:
        own = key.removeprefix(TASK_METRICS) if key.startswith(TASK_METRICS) else None
        name = _NAMES.get(key) or own
        if name is not None:
            curves.setdefault(name, [_finite(line.get(key)) for line in kept])
    return curves


def _lines(path: Path) -> list[dict[str, float]]:
    """Return the whole lines of the log, without one that is being written or was cut short by a crash."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    lines = []
    for row in text.splitlines():
        try:
            line = json.loads(row)
        except ValueError:
            continue
        if isinstance(line, dict) and LogKey.NUM_TIMESTEPS in line:
            lines.append(line)
    return lines


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
