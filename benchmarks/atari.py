"""Where the time of an Atari run goes, what training a reward for screens costs, and what its clips weigh.

    python -m benchmarks.atari [--quick] [--clock cpu] [--out PATH]

One torch thread. Nothing is asserted. README.md here tells how to read the tables.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from gymnasium import spaces
from rich.console import Console

from benchmarks._loops import Clock, RunLoop, Stopwatch
from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, row, write
from prefrl.config import RunConfig, load_preset
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.comparisons import CompressedComparisons
from prefrl.segments import Comparison
from prefrl.settings import RewardSettings

RESULTS = Path(__file__).parent / "results" / "atari"
GAMES = ("pong", "seaquest")
N_COMPARISONS = 64


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure where the time of an Atari run goes."""

    quick: bool = False
    """A tenth of the work: a look, not a result."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/atari, with --quick nowhere."""
    clock: Literal["wall", "cpu"] = "wall"
    """Which seconds are counted; "cpu" counts this process's only, for a machine that others use meanwhile."""

    @property
    def seconds(self) -> Clock:
        """The clock."""
        return time.perf_counter if self.clock == "wall" else time.process_time

    @property
    def n_steps(self) -> int:
        """Environment steps of the run."""
        return 4096 if self.quick else 32_768


def small(game: str) -> RunConfig:
    """Return the preset of a game with few first labels, which decide nothing that is measured here."""
    config = load_preset(game)
    return replace(
        config,
        labels=40,
        feedback=replace(config.feedback, initial_timesteps=2048, initial_share=1.0, labels_per_round=40),
        reward_model=replace(config.reward_model, first_epochs=1),
    )


def measure_run(settings: Settings) -> tuple[list[Row], list[Comparison]]:
    """Milliseconds of each part of a step of all environments, with a fitted reward; and Pong's comparisons."""
    section = "Milliseconds per step of 8 environments, not refitted"
    rows: list[Row] = []
    comparisons: list[Comparison] = []
    for game in progress(GAMES, "runs"):
        with tempfile.TemporaryDirectory() as scratch:
            loop = RunLoop(small(game), settings.seconds, Path(scratch) / "run", refits=False)
            assert loop.preferences is not None
            watch = Stopwatch(loop)
            rate = loop.steps_per_second(settings.n_steps)
            per_step = 1000 * loop.training.config.agent.n_envs / rate
            shares = watch.shares()
            del shares["asking and refits"]
            rows += [row(section, game, part, [share * per_step]) for part, share in shares.items()]
            rows.append(row(section, game, "all", [per_step]))
            rows.append(row(section, game, "reward prediction, share", [shares["reward prediction"]]))
            if game == GAMES[0]:
                comparisons = loop.preferences.store.comparisons(0)
            loop.close()
    return rows, comparisons


def measure_training(settings: Settings, comparisons: list[Comparison]) -> list[Row]:
    """Seconds of a pass over comparisons of Pong, by what it is spent on."""
    section = f"Reward training, {N_COMPARISONS} comparisons of 2 x 25 steps of Pong, three members, batches of 8"
    torch.set_num_threads(1)
    chosen = [comparisons[i % len(comparisons)] for i in range(N_COMPARISONS)]
    config = load_preset(GAMES[0])
    stacks = spaces.Box(0, 255, (84, 84, config.agent.frame_stack), np.uint8)
    reward = RewardSettings(batch_size=config.reward_model.batch_size)
    ensemble = RewardEnsemble(stacks, spaces.Discrete(6), settings=reward, frame_stack=config.agent.frame_stack)
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(chosen)
    trainer.fit(1)  # warms up
    rounds = 1 if settings.quick else 3
    whole = [_seconds(settings, lambda: trainer.fit(1)) for _ in range(rounds)]
    training = [_seconds(settings, trainer._epoch) for _ in range(rounds)]
    frames = CompressedComparisons(ensemble.inputs.shape, n_before=ensemble.inputs.n_before)
    adding = _seconds(settings, lambda: _append(frames, ensemble, chosen))
    index = torch.arange(N_COMPARISONS)
    gathering = [_seconds(settings, lambda: frames.gather(index)) for _ in range(rounds)]
    rate = [N_COMPARISONS / seconds for seconds in whole]
    return [
        row(section, "a pass", "comparisons per second", rate),
        row(section, "a pass", "seconds", whole),
        row(section, "gradient steps of it", "seconds", training),
        row(section, "to inflate the frames once", "seconds", gathering),
        row(section, "to deflate them, when they come", "seconds", [adding]),
        row(section, "frames, as they are", "kB per comparison", [2 * 28 * 84 * 84 / 1000]),
        row(section, "frames, deflated", "kB per comparison", [frames.n_bytes / N_COMPARISONS / 1000]),
    ]


def _append(frames: CompressedComparisons, ensemble: RewardEnsemble, comparisons: list[Comparison]) -> None:
    kept = ensemble.inputs.of_segment
    for comparison in comparisons:
        frames.append([kept(comparison.first), kept(comparison.second)], comparison.preferences)


def _seconds(settings: Settings, work: Callable[[], object]) -> float:
    started = settings.seconds()
    work()
    return settings.seconds() - started


def main() -> None:
    """Measure, print, write."""
    settings = tyro.cli(Settings, prog="python -m benchmarks.atari", description=__doc__)
    console = Console(width=140)
    rows, comparisons = measure_run(settings)
    print_table(rows, console)
    training = measure_training(settings, comparisons)
    print_table(training, console)
    out = settings.out or (None if settings.quick else RESULTS)
    if out is not None:
        write([*rows, *training], {"clock": settings.clock, **machine()}, out)


if __name__ == "__main__":
    main()
