"""One seed, split once into named streams of random numbers.

A stream depends on the seed and its own name only, not on the order in which streams are asked for, so that
adding one leaves the others as they were.
"""

from operator import index
from zlib import crc32

import numpy as np

from prefrl.errors import SettingError


class Streams:
    """The named random streams of one run.

    >>> Streams(0).generator("selection").integers(10) == Streams(0).generator("selection").integers(10)
    np.True_

    Args:
        seed: Any integer from 0 to 2**63 - 1.

    Raises:
        SettingError: `seed` is no whole number, negative or too large.
    """

    def __init__(self, seed: int) -> None:
        """Check and keep the seed; no number is drawn."""
        try:
            seed = index(seed)
        except TypeError as error:
            raise SettingError(f"`seed` must be a whole number. Received {seed!r}.") from error
        if not 0 <= seed < 2**63:
            raise SettingError(f"`seed` must lie between 0 and 2**63 - 1. Received {seed}.")
        self.seed = seed
        self._generators: dict[str, np.random.Generator] = {}

    def generator(self, name: str) -> np.random.Generator:
        """Return the stream of that name; the same object each time, so it goes on where it was."""
        if name not in self._generators:
            self._generators[name] = np.random.default_rng(self._entropy(name))
        return self._generators[name]

    def integer(self, name: str) -> int:
        """Return a seed in [0, 2**31) for a library that wants one (SB3, an environment, torch).

        The same name always gives the same number.
        """
        return int(np.random.default_rng(self._entropy(name)).integers(2**31))

    def _entropy(self, name: str) -> list[int]:
        return [self.seed, crc32(name.encode())]
