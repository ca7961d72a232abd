"""Whose answers contradict what was learned from the others.

Where people share no queries, their answers can still be held against each other, by the reward: what it says of
an answer before it is trained on it was learned from what was said before.
"""

from collections import defaultdict
from collections.abc import Collection
from math import sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefrl.feedback.quality import MIN_ANSWERS, SURE
from prefrl.parts import Json

_Sums: TypeAlias = npt.NDArray[np.float64]
"""Of somebody's answers: how many, how many as expected, sum of x, sum of x^2."""


class Contradictions:
    """How far each person said what the reward had expected, and who clearly says the opposite.

    An answer of probability P, by the reward, counts x = 2 P - 1, from -1 to 1. Whoever guesses has x and -x
    equally often, whatever the reward is worth, so that the sum of n has mean 0 and the variance of the sum of all
    x^2.
    """

    def __init__(self) -> None:
        self._sums: defaultdict[str, _Sums] = defaultdict(_no_sums)

    def note(self, labeler: str, probability: float) -> None:
        """Take in an answer that prefers one, and how probable the reward had called it."""
        x = 2 * probability - 1
        self._sums[labeler] += np.array([1.0, x > 0, x, x**2])

    def sentences(self, aside: Collection[str] = ()) -> dict[str, str]:
        """Return what somebody should look at, by name of the person.

        It is said of whoever is further below 0 than `SURE` standard deviations, where the others, taken together,
        are as far above: a reward that knows nothing yet expects nothing. Who guesses is named by chance only, as
        seldom as by the warnings of `prefrl.feedback.quality`.

        Args:
            aside: People whose answers were set aside: who contradicted what was learned from them is not named.
        """
        found, heard = {}, {name: own for name, own in self._sums.items() if name not in aside}
        everybody = sum(heard.values(), start=_no_sums())
        for name, own in heard.items():
            others = everybody - own
            if min(own[0], others[0]) >= MIN_ANSWERS and _deviations(own) < -SURE and _deviations(others) > SURE:
                found[name] = (
                    f"Says the opposite of what was learned from others: as expected in {own[1] / own[0]:.0%} of "
                    f"{own[0]:.0f} answers, the others in {others[1] / others[0]:.0%} of {others[0]:.0f}."
                )
        return found

    def to_json(self) -> Json:
        """Return what was taken in, for JSON."""
        return {name: own.tolist() for name, own in self._sums.items()}

    @classmethod
    def from_json(cls, sums: Json) -> "Contradictions":
        """Return what `to_json` was called of."""
        own = cls()
        for name, values in sums.items():
            own._sums[name] = np.array(values, dtype=np.float64)
        return own


def _no_sums() -> _Sums:
    return np.zeros(4)


def _deviations(sums: _Sums) -> float:
    """Return how many standard deviations the sum of x is from what chance would do."""
    return float(sums[2]) / sqrt(float(sums[3])) if sums[3] > 0 else 0.0
