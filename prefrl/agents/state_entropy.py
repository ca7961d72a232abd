"""What pays an agent before the first labels: how far what it observes is from all else that it has observed.

The distance to the k-th nearest neighbour estimates the entropy of the states that were visited (PEBBLE, Lee et
al. 2021, section 4.1). An agent that was paid so has tried out much that can be asked about, where one that draws
actions at random shows the same thing in all clips.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.running_mean_std import RunningMeanStd

from prefrl.errors import SpaceError
from prefrl.parts import Arrays, Json, State
from prefrl.segments.spaces import as_array, encode, n_features

NEIGHBOURS = 5
"""Distances are those to this neighbour."""
KEPT = 16_384
"""Latest observations among which neighbours are looked for; the published phase is 9,000 steps long."""
ROWS = 1024
"""Observations whose distances are computed at once: together they take 128 MB at most."""
MOST_FEATURES = 4096
"""Of an observation; distances of more numbers than this, such as those of images, say little and take long."""

FloatArray = npt.NDArray[np.float32]


class StateEntropy:
    """Rewards for observations that are far from all others.

    Args:
        observation_space: Of what is observed.

    Raises:
        SpaceError: An observation has more than 4,096 numbers.
    """

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        self._space = observation_space
        self._n_features = n_features(observation_space)
        if self._n_features > MOST_FEATURES:
            raise SpaceError(
                f"`pretraining` by state entropy needs observations of at most {MOST_FEATURES:,} numbers, as it "
                f"compares them number by number. Received {self._n_features:,} in {observation_space}."
            )
        self._kept = np.empty((KEPT, self._n_features), dtype=np.float32)
        self.n_seen = 0
        """Observations so far."""
        self._spread = RunningMeanStd(shape=())

    def pay(self, observations: Any) -> FloatArray:
        """Keep what was observed in a step, and return what it is worth.

        Args:
            observations: Of all environments, before their actions, shape [N, *obs].

        Returns:
            Distances to the nearest neighbours, divided by their running standard deviation, shape [N].
        """
        features = self._features(observations)
        for one in features:
            self._kept[self.n_seen % KEPT] = one
            self.n_seen += 1
        distances = self._distances(features)
        self._spread.update(distances)
        return self._scaled(distances)

    def predict(self, observations: Any) -> FloatArray:
        """Return what observations that were kept are worth now, shape [n]."""
        return self._scaled(self._distances(self._features(observations)))

    def state(self) -> State:
        """Return what was observed, and how distances are spread."""
        spread = self._spread
        return {"kept": self._kept[: min(self.n_seen, KEPT)].copy()}, {
            "n_seen": self.n_seen,
            "spread": [float(spread.mean), float(spread.var), float(spread.count)],
        }

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken."""
        self._kept[: len(arrays["kept"])] = arrays["kept"]
        self.n_seen = values["n_seen"]
        mean, variance, count = values["spread"]
        self._spread.mean, self._spread.var, self._spread.count = np.array(mean), np.array(variance), count

    def _features(self, observations: Any) -> FloatArray:
        return encode(self._space, as_array(self._space, observations), batch_dims=1)

    def _scaled(self, distances: npt.NDArray[np.float64]) -> FloatArray:
        return (distances / max(float(np.sqrt(self._spread.var)), 1e-8)).astype(np.float32)

    def _distances(self, features: FloatArray) -> npt.NDArray[np.float64]:
        """Return each one's distance to its neighbour among all that is kept, itself not counted."""
        if self.n_seen == 0:
            return np.zeros(len(features))
        kept = self._kept[: min(self.n_seen, KEPT)].astype(np.float64)
        neighbour = min(NEIGHBOURS, len(kept) - 1)  # the nearest of all is itself, at place 0
        lengths = np.einsum("mf,mf->m", kept, kept)
        parts = []
        for start in range(0, len(features), ROWS):
            rows = features[start : start + ROWS].astype(np.float64)
            squares = np.einsum("nf,nf->n", rows, rows)[:, None] + lengths - 2.0 * rows @ kept.T
            parts.append(np.partition(squares, neighbour, axis=1)[:, neighbour])
        distances: npt.NDArray[np.float64] = np.sqrt(np.maximum(np.concatenate(parts), 0.0))
        return distances
