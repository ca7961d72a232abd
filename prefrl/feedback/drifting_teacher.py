"""A teacher who changes in the course of a run: tires, say, or judges by other standards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, isfinite
from typing import Any

from prefrl.errors import SettingError
from prefrl.feedback.passing_teacher import PassingTeacher, make_inner
from prefrl.feedback.teachers import Teacher
from prefrl.segments import Query

INVERSE = ("rationality", "beta")
"""Settings of which the inverse changes evenly, the size of the noise; they may be infinite."""


@dataclass(frozen=True, kw_only=True)
class DriftingTeacher(PassingTeacher):
    """Another teacher, settings of which change evenly over the first queries and then stay.

    How far it has come is a function of the query's number in its run, so that a run that is played again is
    answered alike.

    Raises:
        SettingError: Nothing drifts, a setting of the teacher does not exist or is not of numbers, or one of the
            two ends cannot be.
    """

    teacher: str = "simulated"
    """Name of the other teacher."""
    teacher_settings: Mapping[str, Any] = field(default_factory=dict)
    """Its settings that stay."""
    drift: Mapping[str, Any] = field(default_factory=dict)
    """Those that change, by name: [at the first query, at the last]."""
    n_queries: int = 700
    """The query of this number, counted from 1, and all that follow have the last settings. What it cannot tell is
    a query, too."""
    seed: int = 0
    """Of the other teacher, unless its settings say it."""

    name = "drifting"

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is asked: the teacher of both ends is made."""
        if not isinstance(self.drift, Mapping) or not self.drift:
            raise SettingError(
                "A drifting teacher needs `drift` in `teacher_settings` (in a file for `--config`): settings with "
                f"their first and last value, such as {{mistakes: [0, 0.2]}}. Received {self.drift!r}."
            )
        if not isinstance(self.n_queries, int) or self.n_queries < 2:
            raise SettingError(
                f"`n_queries` of a drift must be a whole number from 2 on. Received {self.n_queries}."
            )
        for name, ends in self.drift.items():
            _check_ends(name, ends)
        assert self.inner_teachers

    @cached_property
    def inner_teachers(self) -> tuple[Teacher, ...]:
        """The teacher as it is at first, and at last."""
        return self._at(0.0), self._at(1.0)

    def teacher_for(self, query: Query) -> Teacher:
        """Return the teacher as it is at a query."""
        return self._at(min(query.ordinal / (self.n_queries - 1), 1.0))

    def _at(self, progress: float) -> Teacher:
        """Return the teacher at a share of the drift, from 0 to 1."""
        now = {name: _between(name, ends[0], ends[1], progress) for name, ends in self.drift.items()}
        settings = self.teacher_settings
        return make_inner(
            self.teacher,
            {**settings, **now} if isinstance(settings, Mapping) else settings,
            seed=self.seed,
            whose="a drifting teacher",
        )


def _check_ends(name: str, ends: Any) -> None:
    """Refuse what is no first and last value of a setting."""
    is_pair = isinstance(ends, tuple | list) and len(ends) == 2
    parts = [_parts(end) for end in ends] if is_pair else []
    if name == "seed" or not is_pair or len(parts[0]) != len(parts[1]) or not all(map(_are_numbers, parts)):
        raise SettingError(
            f"`{name}` can drift only from one number to another, or between ranges, such as [0, 0.2]. Received "
            f"{ends!r}."
        )
    if name in INVERSE:
        if not all(one > 0 for part in parts for one in part):
            raise SettingError(f"`{name}` must be above 0 at both ends of a drift. Received {ends!r}.")
    elif not all(isfinite(one) for part in parts for one in part):
        raise SettingError(f"`{name}` must be finite at both ends of a drift. Received {ends!r}.")


def _parts(end: Any) -> list[Any]:
    return list(end) if isinstance(end, tuple | list) else [end]


def _are_numbers(parts: list[Any]) -> bool:
    return bool(parts) and all(isinstance(one, float | int) and not isinstance(one, bool) for one in parts)


def _between(name: str, first: Any, last: Any, progress: float) -> Any:
    """Return the value of a setting between its two ends, which it takes on exactly."""
    if progress in (0.0, 1.0):
        end = last if progress else first
        return tuple(end) if isinstance(end, list) else end
    if isinstance(first, tuple | list):
        return tuple((1 - progress) * one + progress * two for one, two in zip(first, last, strict=True))
    if name not in INVERSE:
        return (1 - progress) * first + progress * last
    noise = (1 - progress) / first + progress / last
    return 1 / noise if noise else inf
