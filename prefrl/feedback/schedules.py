"""When labels are due: how many should have been asked by a given environment step.

The paper's hyperbolic schedule does best early, the other two at the end of a long run (algorithms differ; see
B-Pref, Lee et al. 2021, appendix).
"""

from abc import ABC, abstractmethod
from math import log1p
from typing import Protocol

from prefrl.errors import SettingError
from prefrl.registry import SCHEDULES, look_up
from prefrl.settings import FeedbackSettings


class LabelSchedule(Protocol):
    """How a budget of labels is spread over a run."""

    def n_labels(self, num_timesteps: int) -> int:
        """Return how many labels are due, in all, once `num_timesteps` environment steps have been taken."""


class _SpreadSchedule(ABC):
    """A share of the budget at the start, and the rest as `_progress` says.

    Args:
        n_labels: Budget N of the whole run.
        total_timesteps: Environment steps T_end at which all of it is due.
        settings: `initial_share` is the share of the budget that is due at step 0; `time_constant` is for the
            hyperbolic schedule.

    Raises:
        SettingError: A value cannot be.
    """

    def __init__(
        self, n_labels: int, total_timesteps: int, settings: FeedbackSettings = FeedbackSettings()
    ) -> None:
        if n_labels < 0:
            raise SettingError(f"`n_labels` must be at least 0. Received {n_labels}.")
        if total_timesteps < 1:
            raise SettingError(f"`total_timesteps` must be at least 1. Received {total_timesteps}.")
        self._n_labels = n_labels
        self._n_initial = round(settings.initial_share * n_labels)
        self._total_timesteps = total_timesteps
        self._time_constant = settings.time_constant

    def n_labels(self, num_timesteps: int) -> int:
        """Return how many labels are due, in all, after `num_timesteps` environment steps (at least 0)."""
        progress = self._progress(min(num_timesteps, self._total_timesteps))
        return self._n_initial + round((self._n_labels - self._n_initial) * progress)

    @abstractmethod
    def _progress(self, num_timesteps: int) -> float:
        """Return the share, 0 to 1, of the labels after the initial ones that is due."""


class HyperbolicSchedule(_SpreadSchedule):
    """Labels at a rate proportional to c / (T + c): most of them early (Christiano et al. 2017, appendix A).

    The integral of that rate: `n(T) = N0 + (N - N0) ln(1 + T/c) / ln(1 + T_end/c)`, with c the setting
    `time_constant`; the paper has 2e6 for MuJoCo and 5e6 for Atari, and a quarter of the labels at the start.

    >>> HyperbolicSchedule(700, 5_000_000).n_labels(500_000)
    269
    """

    def _progress(self, num_timesteps: int) -> float:
        c = self._time_constant
        return log1p(num_timesteps / c) / log1p(self._total_timesteps / c)


class ConstantSchedule(_SpreadSchedule):
    """Labels at one rate from start to end, after the initial share."""

    def _progress(self, num_timesteps: int) -> float:
        return num_timesteps / self._total_timesteps


class IncreasingSchedule(_SpreadSchedule):
    """Labels at a rate that grows linearly from 0, after the initial share: most of them late."""

    def _progress(self, num_timesteps: int) -> float:
        return (num_timesteps / self._total_timesteps) ** 2


def make_schedule(
    n_labels: int, total_timesteps: int, settings: FeedbackSettings = FeedbackSettings()
) -> LabelSchedule:
    """Return the schedule that the settings name.

    Args:
        n_labels: Budget of the whole run.
        total_timesteps: Environment steps at which all of it is due.
        settings: Name and figures of the schedule.

    Raises:
        SettingError: There is no such schedule, or a value cannot be.
    """
    schedule: LabelSchedule = look_up(SCHEDULES, settings.schedule, "schedule")(
        n_labels, total_timesteps, settings
    )
    return schedule
