"""The uniform strategy, which also draws the pools that the others choose from."""

import numpy as np
import numpy.typing as npt

from prefrl.errors import NotEnoughExperienceError, SettingError
from prefrl.feedback.strategies.interface import Group, Places, PredictReturns, SegmentSource
from prefrl.feedback.strategies.pools import cut
from prefrl.settings import FeedbackSettings


class UniformStrategy:
    """Segments drawn independently of each other and of what was learned.

    Args:
        settings: `recent_share` of the segments start within the `recent_steps` last steps of their environment,
            the others anywhere in what is recorded.
    """

    least_members = 1

    def __init__(self, settings: FeedbackSettings = FeedbackSettings()) -> None:
        self._settings = settings

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
        """Draw `n` groups; none holds the same segment twice."""
        return cut(source, self.draw(source, n, n_segments=n_segments, length=length, rng=rng))

    def draw(
        self, source: SegmentSource, n: int, *, n_segments: int = 2, length: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Return the places of `n` groups, shape [n, n_segments, 3]; those of a group differ.

        Raises:
            NotEnoughExperienceError: There is not enough recorded to cut so many different segments from.
            SettingError: No segment of `length` steps fits into `recent_steps`.
        """
        everywhere = _enough(source.places(length), n_segments, length)
        if n_segments == 1:
            return self._draw_alone(source, n, length, everywhere, rng)
        n_all = n * n_segments
        is_recent = np.arange(n_all) < round(n_all * self._settings.recent_share)
        rng.shuffle(is_recent)
        drawn = everywhere[rng.integers(len(everywhere), size=n_all)]
        lately = everywhere
        if is_recent.any():
            lately = self._lately(source, n_segments, length, everywhere)
            drawn[is_recent] = lately[rng.integers(len(lately), size=int(is_recent.sum()))]
        groups = drawn.reshape(n, n_segments, 3)
        for place in range(1, n_segments):
            earlier = groups[:, :place]
            for group in np.flatnonzero((earlier == groups[:, place, None]).all(axis=2).any(axis=1)):
                among = lately if is_recent[n_segments * group + place] else everywhere
                is_taken = (among[:, None] == earlier[group]).all(axis=2).any(axis=1)
                others = among[~is_taken]
                groups[group, place] = others[rng.integers(len(others))]
        return groups

    def _draw_alone(
        self, source: SegmentSource, n: int, length: int, everywhere: Places, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Return the places of `n` single segments, shape [n, 1, 3]: none twice, unless there are too few.

        Two pairs that share a segment tell two things; the same segment, alone, is asked about for nothing.
        """
        recent_share = self._settings.recent_share
        lately = self._lately(source, 1, length, everywhere) if recent_share > 0 else everywhere
        first = lately[_some(rng, len(lately), min(round(n * recent_share), len(lately)))]
        sizes = tuple(everywhere.max(axis=0) + 1)
        others = everywhere[~np.isin(_numbers(everywhere, sizes), _numbers(first, sizes))]
        n_others = n - len(first)
        rest = others[_some(rng, len(others), min(n_others, len(others)))]
        drawn = rng.permutation(np.concatenate([first, rest]))
        repeated = drawn[rng.integers(len(drawn), size=n - len(drawn))]
        return np.concatenate([drawn, repeated])[:, None]  # where only some are taken, these come last

    def _lately(self, source: SegmentSource, n_segments: int, length: int, everywhere: Places) -> Places:
        """Return the recent places; where episodes have just begun and there are none, all."""
        recent_steps = self._settings.recent_steps
        if recent_steps < length:
            raise SettingError(
                f"No segment of {length} steps fits into `recent_steps`={recent_steps}; make it larger."
            )
        places = source.places(length, recent_steps=recent_steps)
        return places if len(places) >= n_segments else everywhere


def _numbers(places: Places, sizes: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return a number for each place, shape [n], the same for the same one."""
    numbers: npt.NDArray[np.int64] = np.ravel_multi_index(tuple(places.T), sizes)
    return numbers


def _some(rng: np.random.Generator, n: int, size: int) -> npt.NDArray[np.int64]:
    """Return `size` numbers below `n`, none twice."""
    return rng.choice(n, size=size, replace=False)


def _enough(places: Places, n_segments: int, length: int) -> Places:
    if len(places) < n_segments:
        raise NotEnoughExperienceError(
            f"A query needs {n_segments} different segments of {length} steps, and {len(places)} can be cut from "
            "what was recorded; record more steps or make segments shorter."
        )
    return places
