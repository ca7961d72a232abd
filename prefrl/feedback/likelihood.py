"""Maximum likelihood with a few bounded parameters, and how far each could be from its best value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import log, sqrt
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize
from scipy.stats import binomtest

Array: TypeAlias = npt.NDArray[Any]

DROP = 1.92
"""By how much the log-likelihood may be below its greatest in an interval of 95 %: half the quantile of χ² with
one degree of freedom (Wilks 1938)."""
STEP = 1e-4
"""For derivatives by differences."""
NEAR = 2e-3
"""How exactly the end of an interval is found: of a share about 0.1, to a thousandth."""
SAME = 1e-6
"""Log-likelihoods that differ by no more are the same."""
N_STARTS = 3
"""Best points of the grid from which the maximum is looked for."""


class Interval(NamedTuple):
    """A value of greatest likelihood, and the ends of its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One number to be found.

    It is looked for on another scale, on which a step is about as much anywhere: the angle whose sine squared a
    share is, the logarithm, or the square root.
    """

    name: str
    low: float
    high: float
    starts: tuple[float, ...]
    """Where to look first."""
    scale: Literal["share", "log", "root", "plain"] = "plain"
    neutral: float | None = None
    """What is taken where it is as likely as the best: so what the data say nothing of is not made up."""

    def inside(self, value: float) -> float:
        """Return a value on the scale on which it is looked for."""
        if self.scale == "share":
            return float(np.arcsin(sqrt(value)))
        if self.scale == "log":
            return log(value)
        return sqrt(value) if self.scale == "root" else value

    def outside(self, values: Array) -> Array:
        """Return values for what was looked for."""
        if self.scale == "share":
            return np.asarray(np.sin(values) ** 2)
        if self.scale == "log":
            return np.asarray(np.exp(values))
        return np.asarray(np.square(values) if self.scale == "root" else values)

    @property
    def bounds(self) -> tuple[float, float]:
        """Ends of the scale on which it is looked for."""
        return self.inside(self.low), self.inside(self.high)


LogLikelihood: TypeAlias = Callable[[Mapping[str, Array]], Array]
"""Of parameters by name, each of shape [P, 1], returns [P]: P candidates are judged at once."""


@dataclass(slots=True)
class Maximum:
    """The best point, and intervals about it.

    Args:
        parameters: What is looked for.
        likelihood: What is made great.
    """

    parameters: Sequence[Parameter]
    likelihood: LogLikelihood
    point: Array
    """The best values, on the scales on which they are looked for."""
    greatest: float
    """Log-likelihood there."""

    @classmethod
    def find(cls, parameters: Sequence[Parameter], likelihood: LogLikelihood) -> "Maximum":
        """Look for it from the best points of a grid."""
        found = cls(parameters, likelihood, np.zeros(len(parameters)), -np.inf)
        grid = np.array(
            list(product(*([parameter.inside(start) for start in parameter.starts] for parameter in parameters)))
        )
        heights = np.concatenate([found.heights(part) for part in np.array_split(grid, 1 + len(grid) // 64)])
        for place in np.argsort(-heights)[:N_STARTS]:
            found._climb(grid[place])
        found._make_neutral()
        return found

    @property
    def _places(self) -> Array:
        return np.arange(len(self.parameters))

    @property
    def values(self) -> dict[str, float]:
        """The best values."""
        return {
            parameter.name: float(parameter.outside(value))
            for parameter, value in zip(self.parameters, self.point, strict=True)
        }

    def heights(self, points: Array) -> Array:
        """Return the log-likelihood of points on the scales on which they are looked for, [P]."""
        return self.likelihood(
            {
                parameter.name: parameter.outside(points[:, [place]])
                for place, parameter in enumerate(self.parameters)
            }
        )

    def interval(self, name: str) -> Interval:
        """Return the profile-likelihood interval of a parameter.

        All others are, at each value of it, as they are best. An open one ends where the parameter's range does.
        """
        place = [parameter.name for parameter in self.parameters].index(name)
        parameter = self.parameters[place]
        low, high = (self._end(place, bound) for bound in parameter.bounds)
        ends = (low, float(self.point[place]), high)
        low, value, high = (float(parameter.outside(np.array(one))) for one in ends)
        return Interval(value, low, high)

    def _end(self, place: int, bound: float) -> float:
        """Return where the interval of a parameter ends on the side of a bound."""
        best = float(self.point[place])
        known = [(best, self.point)]

        def beyond(value: float) -> float:
            # From what is known nearest on the way to the best point: far away others may be stuck elsewhere.
            _, near = max((one for one in known if abs(one[0] - best) <= abs(value - best)), key=_far_from(best))
            point, found = self._best_with(place, np.where(self._places == place, value, near))
            known.append((value, point))
            # As a root it is nearly a straight line, of which the end is soon found.
            return sqrt(max(0.0, self.greatest - found)) - sqrt(DROP)

        if abs(bound - best) < STEP or beyond(bound) <= 0:
            return bound
        return float(brentq(beyond, best, bound, xtol=NEAR, rtol=NEAR))

    def profile(self, likelihood: LogLikelihood) -> float:
        """Return the greatest value that another likelihood of the same parameters has near the best point."""
        other = Maximum(self.parameters, likelihood, self.point, -np.inf)
        other._climb(self.point)
        return other.greatest

    def _make_neutral(self) -> None:
        """Move parameters, one after another, to their neutral values where that is no less likely."""
        for place, parameter in enumerate(self.parameters):
            if parameter.neutral is None:
                continue
            point = np.where(self._places == place, parameter.inside(parameter.neutral), self.point)
            height = float(self.heights(point[None])[0])
            if height >= self.greatest - SAME:
                self.point, self.greatest = point, max(height, self.greatest)

    def _climb(self, start: Array) -> None:
        point, height = self._best_with(None, start)
        if height > self.greatest:
            self.point, self.greatest = point, height

    def _best_with(self, fixed: int | None, start: Array) -> tuple[Array, float]:
        """Return the best point with one parameter as it is, and its log-likelihood."""
        free = [place for place in range(len(self.parameters)) if place != fixed]
        bounds = [self.parameters[place].bounds for place in free]
        if not free:
            return start, float(self.heights(start[None])[0])

        def descent(values: Array) -> tuple[float, Array]:
            point = start.copy()
            point[free] = values
            points = np.repeat(point[None], 1 + 2 * len(free), axis=0)
            for index, place in enumerate(free):
                points[1 + 2 * index, place] = min(values[index] + STEP, bounds[index][1])
                points[2 + 2 * index, place] = max(values[index] - STEP, bounds[index][0])
            heights = self.heights(points)
            widths = points[1::2, free].diagonal() - points[2::2, free].diagonal()
            return -float(heights[0]), -(heights[1::2] - heights[2::2]) / widths

        found = minimize(descent, start[free], jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-7})
        point = start.copy()
        point[free] = found.x
        return point, -float(found.fun)


def _far_from(best: float) -> Callable[[tuple[float, Array]], float]:
    return lambda known: abs(known[0] - best)


def wilson(n: int, of: int) -> tuple[float, float]:
    """Return the ends of Wilson's interval of 95 % for a share (Wilson 1927); 0 to 1 of none."""
    if of == 0:
        return 0.0, 1.0
    low, high = binomtest(n, of).proportion_ci(0.95, method="wilson")
    return float(low), float(high)
