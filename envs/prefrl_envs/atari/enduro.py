"""Enduro, but the car is to stay level with the others: the behaviour that Christiano et al. (2017) show.

Nobody needs a reward for it once comparisons are there; this one is for tests and benchmarks. It reads the
emulator's memory, where the game keeps the speed of the car beside that of the others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from prefrl_envs.atari.env import FRAME_SKIP, FRAMES_PER_SECOND, NOOP_MAX, AtariGame, Frame

SPEED_OF_OTHERS = 24
"""In the game's units; the car itself goes at 6 to some 75."""
LEVEL = 3
"""As fast as the others is who differs by at most that much."""

_SPEED = 22
"""Address of the car's speed."""


class EnduroEven(AtariGame):
    """Enduro that pays for going exactly as fast as the other cars.

    The reward of a step is minus the difference of speeds after it, in units of the others' speed: 0 at best,
    -0.75 standing, about -2 at full speed. The score and the end of a day's race count nothing.

    `task_metrics()` has `level_share`, the share of steps in which the speeds differ by at most an eighth, and
    `overtakings_per_minute`: cars passed and cars that passed us, as the game counts them (those that pass us
    while we are last it does not count).

    Args:
        masks: As in `AtariGame`.
        noop_max: As in `AtariGame`.
        show_score: As in `AtariGame`.
        render_mode: As in `AtariGame`.
    """

    def __init__(
        self,
        *,
        masks: Sequence[Sequence[int]] | None = None,
        noop_max: int = NOOP_MAX,
        show_score: bool = False,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            game="enduro",
            masks=masks,
            game_over_penalty=0.0,
            noop_max=noop_max,
            show_score=show_score,
            render_mode=render_mode,
        )
        self._n_steps = 0
        self._n_level = 0
        self._n_overtakings = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Begin an episode."""
        self._n_steps = self._n_level = self._n_overtakings = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: np.int64) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Hold an action for 4 frames."""
        observation, points, terminated, truncated, info = super().step(action)
        difference = abs(int(self.ale.getRAM()[_SPEED]) - SPEED_OF_OTHERS)
        self._n_steps += 1
        self._n_level += difference <= LEVEL
        self._n_overtakings += abs(int(points))
        return observation, -difference / SPEED_OF_OTHERS, terminated, truncated, info

    def task_metrics(self) -> dict[str, float]:
        """Return `level_share` and `overtakings_per_minute` of this episode so far."""
        n_steps = max(self._n_steps, 1)
        minutes = n_steps * FRAME_SKIP / FRAMES_PER_SECOND / 60
        return {
            "level_share": self._n_level / n_steps,
            "overtakings_per_minute": self._n_overtakings / minutes,
        }
