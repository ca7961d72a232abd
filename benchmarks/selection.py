"""How long each query strategy takes to choose a round of queries.

    python -m benchmarks.selection [--quick] [--clock cpu] [--out PATH]

Of pairs, from full recorders of numbers and of screens. What an ensemble predicts costs next to nothing here:
with a real one, strategies that look at predicted returns take longer by its time for a pool of 500 segments.
Nothing is asserted. README.md here tells how to read the table.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tyro
from gymnasium import spaces
from rich.console import Console

from benchmarks._loops import Clock
from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, row, write
from prefrl.feedback import make_strategy
from prefrl.registry import STRATEGIES
from prefrl.segments import Segment, SegmentRecorder
from prefrl.settings import FeedbackSettings

RESULTS = Path(__file__).parent / "results" / "selection"
SECTION = "A round of 25 pairs, seconds"
MIXTURE = "spread:0.5+thompson:0.5"
ROUND = FeedbackSettings().labels_per_round
STEPS = FeedbackSettings().recorder_steps


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure how long query strategies take."""

    quick: bool = False
    """Two rounds from small recorders: a look, not a result."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/selection, with --quick nowhere."""
    clock: Literal["wall", "cpu"] = "wall"
    """Which seconds are counted; "cpu" counts this process's only, for a machine that others use meanwhile."""

    @property
    def seconds(self) -> Clock:
        """The clock."""
        return time.perf_counter if self.clock == "wall" else time.process_time

    @property
    def n_rounds(self) -> int:
        """Rounds of each strategy."""
        return 2 if self.quick else 7

    @property
    def n_steps(self) -> int:
        """Steps recorded of each environment."""
        return STEPS // 10 if self.quick else STEPS

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        return self.out or (None if self.quick else RESULTS)


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    os.environ["OMP_NUM_THREADS"] = "1"
    console, about = Console(width=None if sys.stdout.isatty() else 120), machine()
    console.print(f"{about['hardware']}; {about['versions']}")
    rows = measure(settings)
    print_table(rows, console)
    if settings.result is not None:
        options = {key: value for key, value in asdict(settings).items() if key != "out"}
        write(rows, {**about, "settings": options}, settings.result)
        console.print(f"Written: {settings.result}.json and .csv")


def measure(settings: Settings) -> list[Row]:
    """Choose rounds with each strategy from experience of each kind."""
    numbers = spaces.Box(-np.inf, np.inf, (17,), np.float32)
    screens = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    cases = {
        "numbers (16 environments, 17 of them)": (recorded(numbers, 16, settings.n_steps), 50),
        "screens (8 environments, 84 x 84, 4 frames)": (recorded(screens, 8, settings.n_steps, frame_stack=4), 25),
    }
    rows = []
    for name in progress([*STRATEGIES, MIXTURE], SECTION):
        for kind, (recorder, length) in cases.items():
            seconds = timed(name, recorder, length, settings.n_rounds, settings.seconds)
            rows.append(row(SECTION, name, kind, seconds))
    return rows


def timed(name: str, recorder: SegmentRecorder, length: int, n_rounds: int, clock: Clock) -> list[float]:
    """Return the seconds of some rounds of one strategy, after one that warms up."""
    strategy = make_strategy(FeedbackSettings(strategy=name, segment_length=length))
    seconds, rng = [], np.random.default_rng(0)
    for _ in range(n_rounds + 1):
        started = clock()
        strategy.select(recorder, ROUND, length=length, rng=rng, predict_returns=predicted)
        seconds.append(clock() - started)
    return seconds[1:]


def recorded(space: spaces.Box, n_envs: int, n_steps: int, *, frame_stack: int = 1) -> SegmentRecorder:
    """Return a recorder full of noise, in episodes of 1,000 steps."""
    actions = spaces.Box(-1, 1, (6,), np.float32)
    recorder = SegmentRecorder(space, actions, n_envs, capacity=n_steps, frame_stack=frame_stack)
    rng = np.random.default_rng(0)
    shape = (n_envs, *space.shape)
    is_image = space.dtype == np.uint8
    for step in range(n_steps):
        observations: npt.NDArray[Any] = (
            rng.integers(0, 256, shape, dtype=np.uint8) if is_image else rng.normal(size=shape).astype(np.float32)
        )
        recorder.record(
            observations,
            rng.uniform(-1, 1, (n_envs, 6)).astype(np.float32),
            np.zeros(n_envs),
            np.full(n_envs, step % 1000 == 999),
        )
    return recorder


def predicted(segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
    """Three members that look at nothing but where a segment begins."""
    starts = np.array([segment.start + 7 * segment.env_index for segment in segments], dtype=np.float64)
    return np.stack([np.sin(starts), np.sin(2.3 * starts), 0.001 * starts])


if __name__ == "__main__":
    main()
