"""What a query strategy is, and what it chooses from."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from prefrl.segments import Segment

Group: TypeAlias = tuple[Segment, ...]
"""Segments of one query: a pair, as many as are ranked, or one that is rated."""
Places: TypeAlias = npt.NDArray[np.int64]
"""Where segments could be cut: rows (position, environment, steps) that the recorder understands, shape [n, 3]."""
PredictReturns: TypeAlias = Callable[[Sequence[Segment]], npt.NDArray[np.float64]]
"""Predicted return of each segment by each member of an ensemble, shape [E, n]."""


class SegmentSource(Protocol):
    """Experience that segments can be cut from, such as a `SegmentRecorder`."""

    def places(self, length: int, *, recent_steps: int | None = None) -> Places:
        """Return every place of a segment of `length` steps, or those that start in the `recent_steps` last."""
        ...

    def segment_at(self, place: npt.NDArray[np.int64]) -> Segment:
        """Return the segment at a place."""
        ...


class QueryStrategy(Protocol):
    """A rule by which segments are put together in queries.

    Made of `FeedbackSettings`, listed in `prefrl.registry`. It keeps nothing from one call to the next, so that a
    run goes on exactly from its random numbers.
    """

    least_members: int
    """Members that an ensemble needs for the rule to say anything."""

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
        """Return `n` groups of segments of `length` steps; those of a group differ.

        Args:
            source: What to cut segments from.
            n: Number of groups.
            n_segments: Segments of a group: 2 for pairs, 1 where each is rated alone.
            length: Steps per segment.
            rng: Random numbers.
            predict_returns: Predicted return per member and segment, shape [E, n]; 0 before the first fit.

        Raises:
            NotEnoughExperienceError: There is not enough recorded to cut so many different segments from.
            SettingError: The settings do not go together with `length` or with the ensemble.
        """
        ...
