"""The log of a run: one JSON object per line, appended, so that a resumed run goes on with the same file."""

import math
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter

from prefrl.files import append_json_line, read_json_lines, write_json_lines

STEP_KEY = "time/total_timesteps"
COUNTED_ANEW = "time/iterations"
"""What SB3 counts anew after each resume, and no log of a run keeps."""


class MetricsLog(KVWriter):
    """Writes what SB3's logger dumps as lines of JSON; finite numbers only.

    Args:
        path: The file; its folder exists.
        until: Lines of later steps are dropped first: they belong to what a crash undid.
    """

    def __init__(self, path: Path, *, until: int) -> None:
        self._path = path
        write_json_lines(path, [line for line in read_metrics(path) if line[STEP_KEY] <= until])

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Append one line."""
        line = {key: float(value) for key, value in key_values.items() if _is_number(value)}
        line.pop(COUNTED_ANEW, None)
        line[STEP_KEY] = step
        append_json_line(self._path, line)

    def close(self) -> None:
        """Do nothing: every line is written when it comes."""


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the lines of a log; what a crash cut short is left out.

    Raises:
        OSError, UnicodeDecodeError: The file cannot be read.
    """
    return [line for line in read_json_lines(path) if isinstance(line.get(STEP_KEY), int | float)]


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
