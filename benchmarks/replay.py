"""What a replay buffer costs: paying all of it anew after a refit, and keeping it in checkpoints.

    python -m benchmarks.replay [--quick] [--out PATH]

A million steps of a HalfCheetah for SAC, and a hundred thousand stacks of four screens for DQN. Everything runs on
one core. Nothing is asserted.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from gymnasium import spaces
from rich.console import Console
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize, VecTransposeImage

from benchmarks._machine import machine
from benchmarks._memory import resident_bytes
from benchmarks._results import Row, print_table, row, write
from prefrl.agents import PreferenceLearning
from prefrl.agents.replay import Replay
from prefrl.feedback import OracleTeacher
from prefrl.runs.checkpoint import Checkpoint, checkpoints, write_checkpoint
from prefrl.runs.saved_parts import SavedAgent
from prefrl.runs.saved_replay import SavedReplay
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl_envs.testing import SpacesEnv

RESULTS = Path(__file__).parent / "results" / "replay"
Make = Callable[[int], tuple[OffPolicyAlgorithm, PreferenceLearning]]
SECTION = "A replay buffer: paid anew, and in checkpoints"
N_ENVS = 4
FEEDBACK = FeedbackSettings(segment_length=10, initial_timesteps=100, labels_per_round=8, recorder_steps=100)
NEW_SHARE = 0.05
"""Of the buffer, so much is new in the second checkpoint: 50,000 of a million steps."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure what a replay buffer costs."""

    quick: bool = False
    """A tenth of the steps: a look, not a result."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/replay, with --quick nowhere."""

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        return self.out or (None if self.quick else RESULTS)


def numbers(capacity: int) -> tuple[OffPolicyAlgorithm, PreferenceLearning]:
    """Return SAC with a buffer of a HalfCheetah's 17 numbers, and the reward that reads them."""
    observed, acted = spaces.Box(-np.inf, np.inf, (17,), np.float64), spaces.Box(-1, 1, (6,), np.float32)
    prefs = PreferenceLearning(
        make_vec_env(lambda: SpacesEnv(observed, acted, length=1000), n_envs=N_ENVS, seed=0),
        teacher=OracleTeacher(),
        n_labels=8,
        feedback=FEEDBACK,
        reward=RewardSettings(next_observation=True),
    )
    venv = VecNormalize(prefs.venv, norm_obs=False, norm_reward=False)
    return SAC("MlpPolicy", venv, buffer_size=capacity, learning_starts=1000, device="cpu", seed=0), prefs


def screens(capacity: int) -> tuple[OffPolicyAlgorithm, PreferenceLearning]:
    """Return DQN with a buffer of four screens of 84 x 84, and the reward that reads them."""
    screen = spaces.Box(0, 255, (84, 84, 1), np.uint8)
    venv = make_vec_env(lambda: SpacesEnv(screen, spaces.Discrete(6), length=1000), n_envs=N_ENVS, seed=0)
    prefs = PreferenceLearning(VecFrameStack(venv, 4), teacher=OracleTeacher(), n_labels=8, feedback=FEEDBACK)
    agent = DQN(
        "CnnPolicy",
        VecNormalize(VecTransposeImage(prefs.venv), norm_obs=False, norm_reward=False),
        buffer_size=capacity,
        learning_starts=1000,
        optimize_memory_usage=True,
        replay_buffer_kwargs={"handle_timeout_termination": False},
        device="cpu",
        seed=0,
    )
    return agent, prefs


def fill(model: OffPolicyAlgorithm, start: int, end: int) -> None:
    """Put steps into the buffer that nobody made."""
    rng, buffer = np.random.default_rng(start), model.replay_buffer
    assert buffer is not None
    arrays = [buffer.observations, buffer.actions]
    if not buffer.optimize_memory_usage:
        arrays.append(buffer.next_observations)
    for array in arrays:
        for first in range(start, end, 1000):
            part = array[first : min(first + 1000, end)]
            drawn = rng.integers(0, 200, part.shape) if array.dtype == np.uint8 else rng.normal(size=part.shape)
            part[...] = drawn if array is not buffer.actions or array.dtype.kind == "f" else 0
    buffer.pos, buffer.full = end % buffer.buffer_size, end >= buffer.buffer_size
    model.num_timesteps = end * N_ENVS


def measure(name: str, make: Make, n: int) -> list[Row]:
    """Return the figures of one kind of buffer, of n steps, measured in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        figures = pool.submit(_measured, make, n).result()
    return [row(SECTION, name, measure, [value]) for measure, value in figures.items()]


def _measured(make: Make, n: int) -> dict[str, float]:
    torch.set_num_threads(1)
    model, prefs = make(n)
    model.learn(400, callback=prefs.callback())  # a reward that was never fitted is 0, and costs nothing
    steps = n // N_ENVS
    n_old = int(steps * (1 - NEW_SHARE))
    fill(model, 0, n_old)
    replay = Replay(model, prefs.venv, reads_next=prefs.reward_model.inputs.next_observation)
    normalizer = model.get_vec_normalize_env()
    assert normalizer is not None
    saved = SavedAgent(model, normalizer)
    kept = SavedReplay(saved)
    parts: dict[str, Any] = {"agent": saved, "replay": kept}
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def checkpoint() -> object:
            return write_checkpoint(place, model.num_timesteps, parts, config={}, replay=kept)

        figures["first checkpoint, s"] = seconds_of(checkpoint)
        fill(model, n_old, steps)
        resident = resident_bytes()
        figures["next, 5 % new, s"] = seconds_of(checkpoint)
        figures["on disk, MB"] = sum(f.stat().st_size for f in checkpoints(place)[-1].iterdir()) / 1e6
        figures["paid anew, s"] = seconds_of(lambda: replay.relabel(prefs.reward_model.predict))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        figures["process, MB"] = resident / 1e6
        figures["at most more, MB"] = (peak - resident) / 1e6
        again = Checkpoint(checkpoints(place)[-1])
        figures["read, s"] = seconds_of(lambda: read(again, parts, kept))
    return figures


def read(checkpoint: Checkpoint, parts: dict[str, Any], kept: SavedReplay) -> None:
    """Read a checkpoint."""
    checkpoint.restore(parts)
    kept.fill(checkpoint.read_shared)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    console, about = Console(width=None if sys.stdout.isatty() else 120), machine()
    console.print(f"{about['hardware']}; {about['versions']}")
    scale = 10 if settings.quick else 1
    rows = measure("1,000,000 of 17 numbers", numbers, 1_000_000 // scale)
    rows += measure("100,000 of four screens", screens, 100_000 // scale)
    print_table(rows, console)
    if settings.result is not None:
        write(rows, about, settings.result)


if __name__ == "__main__":
    main()
