"""Pairs of segments that nobody was asked about, drawn anew for each fit of the reward."""

import numpy as np

from prefrl.parts import Arrays, Json, State
from prefrl.segments import Segment, SegmentRecorder


class UnlabelledPairs:
    """Draws pairs uniformly from recorded experience, as pairs are drawn that are asked about.

    They are never in a store and never count as labels. A checkpoint holds no pair, only where the random numbers
    of the next ones come from.

    Args:
        recorder: What segments are cut from.
        length: Steps of a segment.
        n: Pairs for a fit.
        rng: Where the choice comes from.
    """

    def __init__(self, recorder: SegmentRecorder, *, length: int, n: int, rng: np.random.Generator) -> None:
        self._recorder = recorder
        self._length = length
        self._n = n
        self._rng = rng

    def draw(self) -> list[tuple[Segment, Segment]]:
        """Return pairs for one fit; none where no segment can be cut yet, as before the first step."""
        if self._recorder.n_starts(self._length) == 0:
            return []
        segments = self._recorder.sample(2 * self._n, length=self._length, rng=self._rng)
        return list(zip(segments[::2], segments[1::2], strict=True))

    def state(self) -> State:
        """Return where the random numbers are."""
        return {}, {"rng": self._rng.bit_generator.state}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken."""
        self._rng.bit_generator.state = values["rng"]
