"""How long strategies take is measured without what warms up."""

import numpy as np
from gymnasium import spaces

from benchmarks import selection


def test_every_round_is_timed_but_the_one_that_warms_up() -> None:
    recorder = selection.recorded(spaces.Box(0, 255, (12, 12, 4), np.uint8), 2, 60, frame_stack=4)
    ticks = iter(range(100))
    assert selection.timed("diverse", recorder, 5, 3, lambda: float(next(ticks))) == [1.0, 1.0, 1.0]
    assert next(ticks) == 8
