"""The strategy that the settings name: one of the registry, or a mixture of several."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from prefrl.errors import SettingError
from prefrl.feedback.strategies.interface import Group, PredictReturns, QueryStrategy, SegmentSource
from prefrl.registry import STRATEGIES, look_up
from prefrl.settings import FeedbackSettings, strategy_shares

Key: TypeAlias = frozenset[tuple[int, ...]]
"""The same for two groups of the same segments, in whichever order."""

TRIES = 10
"""How often another query is asked for in place of one that another strategy has chosen already."""


def make_strategy(settings: FeedbackSettings) -> QueryStrategy:
    """Return the strategy that the settings name, or the mixture of several.

    Raises:
        SettingError: There is none of that name, or it does not go together with the other settings.
    """
    shares = strategy_shares(settings.strategy)
    parts: dict[str, QueryStrategy] = {name: _class(name)(settings) for name in shares}
    return MixtureStrategy(parts, shares) if len(parts) > 1 else next(iter(parts.values()))


def check_members(settings: FeedbackSettings, n_members: int) -> None:
    """Refuse an ensemble that is too small for a strategy to choose by.

    Raises:
        SettingError: It is, or there is no strategy of that name.
    """
    for name in strategy_shares(settings.strategy):
        least: int = _class(name).least_members
        if n_members < least:
            raise SettingError(
                f"`strategy` {name} needs an ensemble of at least {least} members. Received {n_members}; give the "
                "reward model more (`n_members`), or choose another strategy."
            )


class MixtureStrategy:
    """Several strategies, each of which chooses a share of the queries, as `"spread:0.5+thompson:0.5"` says.

    Args:
        parts: The strategies, by name.
        shares: Which share of the queries each chooses, by the same names; they sum to 1.
    """

    def __init__(self, parts: Mapping[str, QueryStrategy], shares: Mapping[str, float]) -> None:
        self._parts = tuple(parts.values())
        self._shares = tuple(shares[name] for name in parts)
        self.least_members = max(part.least_members for part in self._parts)

    def select(
        self,
        source: SegmentSource,
        n: int,
        *,
        n_segments: int = 2,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Group]:
        """Return `n` groups in random order, of which each part chose its share.

        What two parts both choose is asked once, and the second one chooses again, unless it finds nothing else
        because little is recorded.
        """
        if n == 0:
            return []
        groups: list[Group] = []
        seen: set[Key] = set()
        for part, n_own in zip(self._parts, divided(n, self._shares, rng), strict=True):
            n_wanted = len(groups) + n_own
            for attempt in range(TRIES):
                if len(groups) == n_wanted:
                    break
                drawn = part.select(
                    source,
                    n_wanted - len(groups),
                    n_segments=n_segments,
                    length=length,
                    rng=rng,
                    predict_returns=predict_returns,
                )
                for group in drawn:
                    if _key(group) not in seen or attempt == TRIES - 1:
                        seen.add(_key(group))
                        groups.append(group)
        return [groups[i] for i in rng.permutation(n)]


def divided(n: int, shares: Sequence[float], rng: np.random.Generator) -> list[int]:
    """Divide `n` by shares that sum to 1: each gets n times its share, rounded up or down.

    Chance says which are rounded up, such that what each gets is right on average over rounds, also where a round
    is of one query: the largest remainder would always be the same one's. (Systematic sampling, Madow 1949.)

    Args:
        n: Number to divide.
        shares: Numbers above 0.
        rng: Random numbers, of which one is drawn.
    """
    until = np.round(n * np.cumsum(shares) / np.sum(shares), 9)  # 10 x (0.1 + 0.2) is 3, not a little more
    until[-1] = n
    counts: list[int] = np.diff(np.floor(until + rng.random()), prepend=0.0).astype(int).tolist()
    return counts


def _key(group: Group) -> Key:
    return frozenset((segment.env_index, segment.episode, segment.start, segment.n_steps) for segment in group)


def _class(name: str) -> Any:
    return look_up(STRATEGIES, name, "strategy")
