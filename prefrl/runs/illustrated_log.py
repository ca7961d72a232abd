"""What is logged for eyes: the lines of the log, with pictures where the reward was refitted."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import KVWriter

from prefrl.runs.live_status import N_SHOWCASES
from prefrl.runs.metrics_log import COUNTED_ANEW, STEP_KEY
from prefrl.runs.refit_pictures import RefitPictures

REFIT_KEY = "reward_model/n_comparisons"
"""A line of the log has it where the reward was refitted since the line before."""


class IllustratedLog(KVWriter):
    """Hands lines on to writers that can show pictures, and adds some now and then.

    Pictures are drawn here, when a line is written, and not recorded in SB3's logger: its values are part of
    checkpoints, and of two refits between two lines only the latter would be seen.

    Args:
        writers: Where lines go.
        pictures: What is drawn where the reward was refitted; None draws nothing.
        total_timesteps: Environment steps of the training, which has some `N_SHOWCASES` lines with pictures.
        earlier: The lines so far. A resumed training has its pictures where it would have had them.
    """

    def __init__(
        self,
        writers: Sequence[KVWriter],
        pictures: RefitPictures | None,
        total_timesteps: int,
        earlier: Sequence[Mapping[str, float]],
    ) -> None:
        self._writers = writers
        self._pictures = pictures
        self._interval = total_timesteps / N_SHOWCASES
        self._illustrated = -self._interval
        for line in earlier:
            self._has_pictures(line, line[STEP_KEY])

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Hand a line on."""
        values = {key: value for key, value in key_values.items() if key != COUNTED_ANEW}
        with untouched_randomness():
            if self._has_pictures(values, step) and self._pictures is not None:
                values |= self._pictures.draw()
            excluded = {key: key_excluded.get(key, ("",)) for key in values}
            for writer in self._writers:
                writer.write(values, excluded, step)

    def close(self) -> None:
        """Close the writers, and free what draws."""
        for writer in self._writers:
            writer.close()
        if self._pictures is not None:
            self._pictures.close()

    def _has_pictures(self, line: Mapping[str, Any], step: float) -> bool:
        """Return whether there are pictures with this line; to be asked once of each."""
        if REFIT_KEY not in line or step - self._illustrated < self._interval:
            return False
        self._illustrated = step
        return True


@contextmanager
def untouched_randomness() -> Iterator[None]:
    """Leave the random numbers of the training as they were, whatever a library or an environment draws."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
