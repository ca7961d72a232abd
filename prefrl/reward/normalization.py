"""Running mean and standard deviation, as plain arrays: for inputs (per feature) and outputs (per member)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(slots=True)
class RunningMoments:
    """Mean and variance of all values seen, merged batch by batch in float64.

    Chan, Golub and LeVeque 1979, equation 2.1: merging batches gives what one pass over all would.
    """

    mean: FloatArray
    """Mean so far, shape [F]."""
    variance: FloatArray
    """Population variance so far, shape [F]; 1 before the first value."""
    count: int = 0
    """Values seen."""

    @classmethod
    def of_size(cls, n: int) -> "RunningMoments":
        """Return moments of `n` features that have seen nothing: mean 0, variance 1."""
        return cls(mean=np.zeros(n), variance=np.ones(n))

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Merge a batch of shape [n, F]."""
        n = len(values)
        if n == 0:
            return
        mean, variance = values.mean(axis=0, dtype=np.float64), values.var(axis=0, dtype=np.float64)
        total = self.count + n
        delta = mean - self.mean
        spread = variance * n + self.variance * self.count + delta**2 * (self.count * n / total)
        self.mean = self.mean + delta * (n / total)
        self.variance = spread / total
        self.count = total
