"""Pools: places that a strategy chooses from, and the segments that are cut there only to be looked at.

Places cost nothing, segments do: a clip of screens is large. So they are cut a few at a time.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from prefrl.feedback.strategies.interface import Group, Places, PredictReturns, SegmentSource
from prefrl.segments import Segment

AT_ONCE = 64
"""Segments that are cut at the same time only to be looked at."""
POOL_FACTOR = 10
"""How many segments are looked at for each one chosen, as in Christiano et al. 2017, section 2.2.4."""


def cut(source: SegmentSource, groups: npt.NDArray[np.int64]) -> list[Group]:
    """Return the segments at places [n, K, 3]."""
    return [tuple(source.segment_at(place) for place in places) for places in groups]


def in_parts(places: Places, source: SegmentSource) -> Iterator[list[Segment]]:
    """Yield the segments at `places`, a few at a time."""
    for start in range(0, len(places), AT_ONCE):
        yield [source.segment_at(place) for place in places[start : start + AT_ONCE]]


def look_at(places: Places, source: SegmentSource, predict_returns: PredictReturns) -> npt.NDArray[np.float64]:
    """Return predicted returns of the segments at `places`, shape [E, n]."""
    return np.concatenate([predict_returns(part) for part in in_parts(places, source)], axis=1)


def without_repeats(groups: npt.NDArray[np.int64], *, at_least: int) -> npt.NDArray[np.int64]:
    """Return the different groups in their order; all of them where the different ones are fewer than that."""
    _, first = np.unique(groups, axis=0, return_index=True)
    return groups[np.sort(first)] if len(first) >= at_least else groups
