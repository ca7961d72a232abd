"""The teacher of B-Pref, whose thresholds follow what the agent gets."""

from dataclasses import dataclass
from math import isfinite

from prefrl.errors import SettingError
from prefrl.feedback.simulated_teacher import SimulatedTeacher, mean_length
from prefrl.segments import Query


@dataclass(frozen=True, kw_only=True)
class BPrefTeacher(SimulatedTeacher):
    """The simulated teacher with B-Pref's own thresholds (Lee et al. 2021, section 3.2).

    Its faults by their settings: Stoc is `beta` (1), Myopic `discount` (0.9), Mistake `mistakes`, Skip `skip` and
    Equal `equal` (0.1 each). Skip and Equal are shares ε of what a segment of H steps gets as a rule,

        δ = ε (H / T) R̄,

    with R̄ the mean true return of the last ten episodes of T steps. It cannot tell where the return of no segment
    reaches δ, and calls two segments equal whose returns differ by less; both go by returns without discount.
    Until an episode has ended, and while R̄ is not above 0, there are no thresholds: no cost has a share.

    Raises:
        SettingError: As the simulated teacher; a share is not from 0 to 1, or `mean_reward` is not above 0.
    """

    skip: float = 0.0
    """Share ε of Skip."""
    equal: float = 0.0
    """Share ε of Equal."""
    mean_reward: float | None = None
    """Mean true reward of a step, R̄ / T, where it is to stay as it is; None for that of the last ten episodes,
    which queries know while a training asks them."""
    as_published: bool = False
    """Take ε² for ε in Skip and Equal: 1 % in place of 10 %. The released code of PEBBLE does so after its first
    session (`train_PEBBLE.py` multiplies by ε, and the setter again), and SURF, MRN, QPA and RIME with it."""

    name = "bpref"

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything is asked."""
        super().__post_init__()
        for setting in ("skip", "equal"):
            share = getattr(self, setting)
            if not isinstance(share, float | int) or not 0 <= share <= 1:
                raise SettingError(f"`{setting}` of B-Pref's teacher must be from 0 to 1. Received {share}.")
        fixed = self.mean_reward
        if fixed is not None and (not isinstance(fixed, float | int) or not fixed > 0 or not isfinite(fixed)):
            raise SettingError(
                "`mean_reward`, of which `skip` and `equal` are shares, must be a number above 0 (where rewards "
                f"are costs, `skip_below` and `equal_below` do). Received {fixed}."
            )
        if not isinstance(self.as_published, bool):
            raise SettingError(f"`as_published` must be true or false. Received {self.as_published!r}.")

    @property
    def follows_returns(self) -> bool:
        """Whether queries have to know the mean reward of late."""
        return self.mean_reward is None and bool(self.skip or self.equal)

    def _is_alike(self, query: Query) -> bool:
        first, second = self._plain_returns(query)
        return super()._is_alike(query) or abs(first - second) < self._threshold(self.equal, query)

    def _close(self, query: Query) -> float:
        return max(super()._close(query), self._threshold(self.equal, query))

    def _shows_nothing(self, query: Query) -> bool:
        best = max(self._plain_returns(query))
        return super()._shows_nothing(query) or best < self._threshold(self.skip, query)

    def _threshold(self, share: float, query: Query) -> float:
        """Return δ for a share; −∞ where there is none."""
        mean = query.mean_env_reward if self.mean_reward is None else self.mean_reward
        if not share or mean is None or not mean > 0:
            return float("-inf")
        return (share**2 if self.as_published else share) * mean * mean_length(query)
