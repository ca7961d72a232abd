"""The log of a run: one JSON object per rollout, appended, so that a resumed run goes on with the same file."""

import json
import math
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter

STEP_KEY = "time/total_timesteps"


class MetricsLog(KVWriter):
    """Writes what SB3's logger dumps as lines of JSON; numbers only.

    Args:
        path: The file; its folder exists.
        until: Lines of later steps are dropped first: they belong to what a crash undid.
    """

    def __init__(self, path: Path, *, until: int) -> None:
        """Drop what was undone and open the file."""
        kept = [line for line in read_metrics(path) if line[STEP_KEY] <= until]
        draft = path.with_name(f"{path.name}.new")
        draft.write_text("".join(json.dumps(line) + "\n" for line in kept))
        draft.rename(path)
        self._file = path.open("a")

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Append one line."""
        line = {key: float(value) for key, value in key_values.items() if _is_number(value)}
        line.pop("time/iterations", None)  # SB3 counts them anew after each resume
        line[STEP_KEY] = step
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the lines of a log; a last line that a crash cut short is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and STEP_KEY in line:
            lines.append(line)
    return lines


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
