"""What was observed after actions, where it is not what the recorder's next row holds anyway.

The observation after an action is the one before the next action, except at the end of an episode and for the
newest row of all. Only those are kept here, so that memory does not double.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from prefrl.errors import SegmentError
from prefrl.parts import Arrays

Array = npt.NDArray[Any]


class NextObservations:
    """Observations after the newest row, and after each kept row at which an episode ended.

    Args:
        shape: Of one row of observations, [N, *obs].
        dtype: Of the observations.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._shape, self._dtype = shape, dtype
        self._newest: Array | None = None
        self._known_from = 0
        self._ends: dict[int, tuple[npt.NDArray[np.int64], Array]] = {}
        """By row: the environments whose episode ended there, shape [n], and their observations, [n, *obs]."""

    def are_known(self, row: int) -> bool:
        """Return whether the observations after a row are known, here or as those of the next row."""
        return self._newest is not None and row >= self._known_from

    def record(self, row: int, oldest: int, values: Array | None, dones: npt.NDArray[np.bool_]) -> None:
        """Take in what was observed after a new row, and drop what belongs to rows before `oldest`.

        Raises:
            SegmentError: The values do not have the shape of the observations.
        """
        if values is None:
            self._newest, self._ends = None, {}
            return
        if values.shape != self._shape:
            raise SegmentError(
                f"`next_observations` must have the shape of the observations, {self._shape}. "
                f"Received {values.shape}."
            )
        if self._newest is None:
            self._known_from = row
        self._newest = np.array(values, dtype=self._dtype)
        if np.count_nonzero(dones):  # faster than `any`, at every step
            self._keep(row, dones)
        # In order of rows, and one row at a time is overwritten, so the first is the only one that may be over.
        first = next(iter(self._ends), oldest)
        if first < oldest:
            del self._ends[first]

    def cut(self, row: int, envs: npt.NDArray[np.bool_]) -> None:
        """Keep what these environments observed after the newest row, whatever is recorded after it."""
        if self._newest is not None:
            self._keep(row, envs)

    def after(self, row: int, env: int) -> Array | None:
        """Return what one environment observed after a row, if it is kept here; shape [*obs]."""
        envs, values = self._ends.get(row, ((), None))
        if values is None or env not in envs:
            return None
        value: Array = values[np.flatnonzero(envs == env)[0]]
        return value

    def newest(self, env: int) -> Array:
        """Return what one environment observed after the newest row, shape [*obs]."""
        assert self._newest is not None
        value: Array = self._newest[env]
        return value

    def arrays(self) -> Arrays:
        """Return all that is kept; nothing where nothing is known."""
        if self._newest is None:
            return {}
        rows = [np.full(len(envs), row) for row, (envs, _) in self._ends.items()]
        empty = np.empty((0, *self._shape[1:]), dtype=self._dtype)
        return {
            "next_newest": self._newest.copy(),
            "next_rows": np.concatenate([np.empty(0, dtype=np.int64), *rows]),
            "next_envs": np.concatenate([np.empty(0, dtype=np.int64), *(envs for envs, _ in self._ends.values())]),
            "next_ends": np.concatenate([empty, *(values for _, values in self._ends.values())]),
            "next_known_from": np.array([self._known_from], dtype=np.int64),
        }

    def restore(self, arrays: Arrays) -> None:
        """Take over what `arrays` returned; shapes have been checked."""
        self._newest, self._ends = None, {}
        if "next_newest" not in arrays:
            return
        self._newest = np.array(arrays["next_newest"])
        self._known_from = int(arrays["next_known_from"][0])
        rows, envs, values = (arrays[f"next_{name}"] for name in ("rows", "envs", "ends"))
        for row in np.unique(rows):
            here = rows == row
            self._ends[int(row)] = (envs[here].astype(np.int64), values[here].copy())

    def _keep(self, row: int, chosen: npt.NDArray[np.bool_]) -> None:
        assert self._newest is not None
        if row in self._ends:
            chosen = chosen.copy()
            chosen[self._ends[row][0]] = True
        self._ends[row] = (np.flatnonzero(chosen), self._newest[chosen])
