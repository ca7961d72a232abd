"""How sure the reward is of its preferences, beside how often it is right.

A reward that says 90 % should be right nine times of ten (Guo et al. 2017, "On calibration of modern neural
networks", sections 2 and 3). What is counted here are comparisons that it was not trained on.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from prefrl.errors import RewardModelError
from prefrl.parts import Json

FloatArray = npt.NDArray[np.float64]

N_BINS = 10
"""Of equal width, from a guess (½) to certainty (1)."""


def _zeros() -> FloatArray:
    return np.zeros(N_BINS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Decided pairs counted by confidence: the probability that the reward gave to what it takes for better."""

    counts: FloatArray = field(default_factory=_zeros)
    """Pairs in each bin, shape [N_BINS]."""
    confidences: FloatArray = field(default_factory=_zeros)
    """Sum of their confidences."""
    hits: FloatArray = field(default_factory=_zeros)
    """How many of them the reward ranks as answered."""
    squares: float = 0.0
    """Sum over all pairs of the squared probability of what was not answered."""

    @classmethod
    def of(cls, answered: FloatArray) -> Self:
        """Count pairs whose answers had these probabilities, shape [P]."""
        confidence = np.maximum(answered, 1 - answered)
        bins = np.clip(((confidence - 0.5) * 2 * N_BINS).astype(np.int64), 0, N_BINS - 1)
        return cls(
            counts=np.bincount(bins, minlength=N_BINS).astype(np.float64),
            confidences=np.bincount(bins, weights=confidence, minlength=N_BINS).astype(np.float64),
            hits=np.bincount(bins[answered > 0.5], minlength=N_BINS).astype(np.float64),
            squares=float(np.sum((1 - answered) ** 2)),
        )

    def __add__(self, other: "Calibration") -> "Calibration":
        """Return what counts the pairs of both."""
        return Calibration(
            counts=self.counts + other.counts,
            confidences=self.confidences + other.confidences,
            hits=self.hits + other.hits,
            squares=self.squares + other.squares,
        )

    @property
    def n(self) -> int:
        """Pairs in all."""
        return int(self.counts.sum())

    @property
    def error(self) -> float:
        """Expected calibration error, from 0 to 1: mean over pairs of |accuracy - confidence| of their bin.

        NaN if there is no pair.
        """
        return float(np.abs(self.hits - self.confidences).sum() / self.n) if self.n else np.nan

    @property
    def brier(self) -> float:
        """Brier score (1950): mean squared probability of what was not answered, ¼ for a guess. NaN if none is."""
        return self.squares / self.n if self.n else np.nan

    def to_json(self) -> Json:
        """Return the counts as JSON-able values."""
        return {
            "counts": self.counts.tolist(),
            "confidences": self.confidences.tolist(),
            "hits": self.hits.tolist(),
            "squares": self.squares,
        }

    @classmethod
    def from_json(cls, values: Json) -> Self:
        """Return what such values count.

        Raises:
            RewardModelError: One is missing, or has another shape.
        """
        try:
            arrays = {
                name: np.array(values[name], dtype=np.float64).reshape(N_BINS)
                for name in ("counts", "confidences", "hits")
            }
            return cls(**arrays, squares=float(values["squares"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RewardModelError(f"The counts of a calibration are damaged: {error}.") from error
