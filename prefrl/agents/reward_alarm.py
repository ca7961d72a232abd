"""An alarm where the agent may exploit mistakes of its reward.

What the reward says of new comparisons, before it is trained on them, is right or not. Where it was mostly right
and is by now hardly better than a coin, while by this very reward the policy gets better and better, what it gets
better at may be no more than what the reward has wrong (Gao et al. 2023, on overoptimised reward models). That the
accuracy falls alone means little: clips of a policy that has found what there is are all alike.
"""

import math
from collections.abc import Iterable

from prefrl.parts import Json

LATEST = 40
"""New comparisons that are looked at: a coin is right about 60 % of so many in one case of ten."""
AT_MOST_RIGHT = 0.6
"""Share of them that the reward is right about where there is an alarm."""
SURE = 3.0
"""Standard errors by which it must have been right about more of those before."""


class RewardAlarm:
    """Counts what the reward was right about, and says when that and the policy's progress do not go together."""

    def __init__(self) -> None:
        self._latest: list[float] = []
        self._n_before = 0
        self._right_before = 0.0
        self._has_said = False

    def take(self, right: Iterable[float]) -> None:
        """Take note of new comparisons.

        Args:
            right: Of each, in their order, the share of members and pairs that were right; NaN where it is a tie.
        """
        self._latest += [float(one) for one in right if not math.isnan(one)]
        n_passed = max(0, len(self._latest) - LATEST)
        self._n_before += n_passed
        self._right_before += sum(self._latest[:n_passed])
        self._latest = self._latest[n_passed:]

    def look(self, gain: float, least_gain: float) -> str | None:
        """Return what people should know, or None; said once, and again after all was well in between.

        Args:
            gain: By how much the policy gets better, by the reward of now (see `Progress`); NaN where not known.
            least_gain: From which it is said to do so.
        """
        if len(self._latest) < LATEST or self._n_before < LATEST:
            return None
        now, before = sum(self._latest) / LATEST, self._right_before / self._n_before
        share = (LATEST * now + self._right_before) / (LATEST + self._n_before)
        error = math.sqrt(max(share * (1 - share), 1e-9) * (1 / LATEST + 1 / self._n_before))
        is_wrong = now <= AT_MOST_RIGHT and before - now > SURE * error
        if not is_wrong:
            self._has_said = False
            return None
        if self._has_said or not gain > least_gain:
            return None
        self._has_said = True
        return (
            f"By its reward the policy gets better, but that was right about {now:.0%} of the latest {LATEST} "
            f"comparisons only, and about {before:.0%} of those before: the agent may exploit its mistakes. Ask "
            "more (`labels`), or about what the agent does now (`recent_share`); `prefrl hackcheck` tells more."
        )

    def values(self) -> Json:
        """Return what was counted, for JSON."""
        return {
            "latest": list(self._latest),
            "n_before": self._n_before,
            "right_before": self._right_before,
            "has_said": self._has_said,
        }

    def restore(self, values: Json) -> None:
        """Go on where `values` was called."""
        self._latest = list(values["latest"])
        self._n_before, self._right_before = values["n_before"], values["right_before"]
        self._has_said = values["has_said"]
