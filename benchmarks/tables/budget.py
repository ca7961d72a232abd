"""How long runs take, by how long their like took, and whether they still fit."""

import re
import time
from collections.abc import Callable, Sequence
from statistics import mean

from benchmarks.tables.rows import Row, Run
from prefrl.registry import OFF_POLICY

STEPS_PER_SECOND, OFF_POLICY_STEPS_PER_SECOND = 3000.0, 100.0
"""Before anything of the kind was measured: a MuJoCo task, two runs at a time on two cores."""
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as 2h, 90m or 1h30m.

    Raises:
        ValueError: It is none.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 2h, 90m or 1h30m.")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def estimate(run: Run, rows: Sequence[Row]) -> float:
    """Return the seconds that a run will take.

    As long as the same with other seeds took; else, in proportion to its steps, as the same task with the same
    algorithm; else as all runs of its kind, as off-policy a step takes far longer; else as the constants say.
    """
    same = [row.wall_s for row in rows if _arm(row) == _arm(run)]
    if same:
        return mean(same)
    is_off_policy = run.algo in OFF_POLICY
    of_kind = [row for row in rows if (row.algo in OFF_POLICY) == is_off_policy]
    alike = [row for row in of_kind if (row.task, row.algo) == (run.task, run.algo)] or of_kind
    if alike:
        return run.steps * sum(row.wall_s for row in alike) / sum(row.steps for row in alike)
    return run.steps / (OFF_POLICY_STEPS_PER_SECOND if is_off_policy else STEPS_PER_SECOND)


def hours(runs: Sequence[Run], rows: Sequence[Row], jobs: int) -> float:
    """Return the hours that runs will take, `jobs` at a time."""
    return sum(estimate(run, rows) for run in runs) / jobs / 3600


class Budget:
    """Time that is left for new runs.

    Args:
        seconds: From now on; None for as long as it takes.
        clock: Returns seconds.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds

    def fits(self, run: Run, rows: Sequence[Row]) -> bool:
        """Return whether a run that starts now would end in time."""
        return self._end is None or self._clock() + estimate(run, rows) <= self._end


def _arm(run: Run) -> tuple[str, str, str, int, str, int]:
    return run.task, run.algo, run.reward, run.labels, run.variant, run.steps
