"""A teacher who goes by what a segment has lost against the best that could have been done."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prefrl.errors import SegmentError, SettingError
from prefrl.feedback.simulated_teacher import SimulatedTeacher
from prefrl.segments import Query, Segment

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
ValueFunction: TypeAlias = Callable[[npt.NDArray[Any]], FloatArray]
"""Values of observations [N, *obs] in the unit of the true return, [N]."""


@dataclass(frozen=True, kw_only=True)
class RegretTeacher(SimulatedTeacher):
    """Prefers the segment of less regret, with all the faults of the simulated teacher.

    Knox et al. 2024 (TMLR, "Models of human preference for learning reward functions"), for transitions that are
    not of chance: of a segment of observations o₀ … o_k and rewards r₀ … r_(k−1),

        regret = V*(o₀) − (Σ γ^t r_t + γ^k V*(o_k)),

    and P = σ(β (regret₂ − regret₁)), their β being 1 (`beta`). A segment is judged by its decisions: that it began
    where there was much to get is no merit of it, and that it came where there is much to get is.

    Minus the regret stands where other teachers have the return, for every kind of feedback and in every setting:
    `rating_range` and `skip_below` are of minus the regret of a step, 0 for the best.

    Raises:
        SettingError: As the simulated teacher; there is no `value`, `gamma` is not above 0 and at most 1, or there
            is a `discount`, which values have of their own.
    """

    values_from: str = ""
    """The run whose critic is V*, of which `prefrl train` makes `value` and `gamma`: an on-policy one in the same
    task that learned from the true reward (`prefrl train TASK --reward true`)."""
    value: ValueFunction | None = field(default=None, repr=False, compare=False)
    """V* of observations, of shape [N, *obs], in the unit of the true return; in scripts only."""
    gamma: float = 1.0
    """Discount γ of V*."""

    name = "regret"

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is asked."""
        super().__post_init__()
        if not callable(self.value):
            raise SettingError(
                "The teacher 'regret' needs a value function: `prefrl train TASK --teacher regret:RUN` takes that "
                "of a run of `prefrl train TASK --reward true`, a script gives `value`. Received "
                f"{self.values_from or self.value!r}."
            )
        if not isinstance(self.gamma, float | int) or not 0 < self.gamma <= 1:
            raise SettingError(f"`gamma` must be above 0, and at most 1. Received {self.gamma}.")
        if self.discount != 1:
            raise SettingError(
                f"`discount` must be 1 of a regret teacher, who has `gamma`. Received {self.discount}."
            )

    def regret(self, segment: Segment) -> float:
        """Return the regret of a segment; below 0 where V* is less than what was got.

        Raises:
            SegmentError: It is not known what was observed after the last action, or a value is not finite.
        """
        if segment.next_observation is None:
            raise SegmentError(
                "The regret of a segment needs `next_observation`, what was observed after its last action, which "
                "segments of earlier versions lack."
            )
        assert self.value is not None
        ends = np.stack([segment.observations[0], segment.next_observation])
        values = np.asarray(self.value(ends), dtype=np.float64)
        if values.shape != (2,) or not np.isfinite(values).all():
            raise SegmentError(
                f"`value` must return a finite number of each of 2 observations. Received {values}."
            )
        n = segment.n_steps
        gained = float(self.gamma ** np.arange(n, dtype=np.float64) @ segment.env_rewards.astype(np.float64))
        return float(values[0]) - (gained + self.gamma**n * float(values[1]))

    def seen_returns(self, query: Query) -> list[float]:
        """Return minus the regret of each segment.

        Raises:
            SegmentError: One is not finite, or not known.
        """
        regrets = [self.regret(segment) for segment in query.segments]
        if not np.isfinite(regrets).all():
            raise SegmentError(f"Regrets must be finite to be compared. Received {regrets}.")
        return [-regret for regret in regrets]

    def _plain_returns(self, query: Query) -> list[float]:
        return self.seen_returns(query)
