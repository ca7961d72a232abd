"""What crops and pseudo-labels make of few labels: rewards alone, without training agents.

    python -m benchmarks.few_labels [--quick] [--out PATH]

Rewards of a pendulum are fitted to labels about what a random policy does, which come in rounds as in a run, and
are held against the true reward of other experience of the kind. Everything runs on one core. Nothing is asserted.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import tyro
from rich.console import Console
from stable_baselines3.common.env_util import make_vec_env

import prefrl_envs  # noqa: F401 - registers the tasks
from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, row, write
from prefrl.agents import LearnedRewardVecEnv
from prefrl.agents.unlabelled_pairs import UnlabelledPairs
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.seeding import Streams
from prefrl.segments import Comparison, Segment, SegmentRecorder
from prefrl.settings import RewardSettings

RESULTS = Path(__file__).parent / "results" / "few_labels"
SECTION = "Rewards of a pendulum from few labels"
N_ENVS, N_STEPS = 8, 1000
ENV_ID, SEGMENT_LENGTH = "prefrl/Pendulum-v0", 25
ROUNDS = 4
"""Labels come in so many parts, with a fit after each."""
FRESH = 1000
"""Pairs that rewards are judged by."""
FITTED = RewardSettings(first_epochs=100, epochs=30)
"""Until it fits, as the task's preset does."""
WAYS = {
    "plain": FITTED,
    "crops": replace(FITTED, crop_least=0.75),
    "pseudo-labels": replace(FITTED, pseudo_weight=1.0),
    "both": replace(FITTED, crop_least=0.75, pseudo_weight=1.0),
}


class Judged(NamedTuple):
    """How good a reward is, and what it took."""

    accuracy: float
    """Share of other pairs ranked rightly."""
    correlation: float
    """Of learned and true reward, step by step."""
    seconds: float
    """Of a refit, without the first; median."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Fit rewards to few labels in four ways."""

    quick: bool = False
    """Two seeds and one number of labels: a look, not a result."""
    n_seeds: int = 6
    """Rewards of each kind; each seed has experience, labels and first weights of its own."""
    labels: tuple[int, ...] = (50, 100, 200)
    """Numbers of labels."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/few_labels, with --quick nowhere."""

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        return self.out or (None if self.quick else RESULTS)


def experience(seed: int) -> SegmentRecorder:
    """Return what a random policy does that keeps to something for a while, with noise."""
    venv = make_vec_env(ENV_ID, n_envs=N_ENVS, seed=seed)
    recorder = SegmentRecorder(venv.observation_space, venv.action_space, N_ENVS, capacity=N_STEPS)
    recorded, rng = LearnedRewardVecEnv(venv, "true", recorder), np.random.default_rng(seed)
    recorded.reset()
    for step in range(N_STEPS):
        if step % 10 == 0:
            favourite = _torques(rng)
        recorded.step(np.where(rng.random((N_ENVS, 1)) < 0.3, _torques(rng), favourite))
    venv.close()
    return recorder


def _torques(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    return rng.uniform(-2, 2, size=(N_ENVS, 1)).astype(np.float32)


def compared(recorder: SegmentRecorder, n: int, rng: np.random.Generator) -> list[Comparison]:
    """Return random pairs, compared by true return."""
    segments = recorder.sample(2 * n, length=SEGMENT_LENGTH, rng=rng)
    return [
        Comparison(segments=(first, second), preferences=(_preference(first, second),), seq=seq, query_id=str(seq))
        for seq, (first, second) in enumerate(zip(segments[::2], segments[1::2], strict=True))
    ]


def _preference(first: Segment, second: Segment) -> float:
    return float(0.5 + 0.5 * np.sign(first.env_return - second.env_return))


def fitted(
    recorder: SegmentRecorder, labels: Sequence[Comparison], settings: RewardSettings, seed: int
) -> tuple[RewardEnsemble, float]:
    """Fit a reward to labels that come in rounds; return it, and the seconds of a refit."""
    ensemble = RewardEnsemble(recorder.observation_space, recorder.action_space, settings=settings, seed=seed)
    ensemble.inputs.update(recorder.latest_observations(N_STEPS), recorder.latest_actions(N_STEPS))
    trainer = RewardTrainer(ensemble)
    n_pairs = settings.pseudo_ratio * settings.batch_size if settings.pseudo_weight else 0
    rng = Streams(seed).generator("unlabelled-pairs")
    pairs = UnlabelledPairs(recorder, length=SEGMENT_LENGTH, n=n_pairs, rng=rng)
    seconds = []
    for part in np.array_split(np.arange(len(labels)), ROUNDS):
        started = time.perf_counter()
        trainer.add([labels[which] for which in part])
        if ensemble.fitted:
            trainer.fit(settings.epochs, unlabelled=pairs.draw() if n_pairs else ())
            seconds.append(time.perf_counter() - started)
        else:
            trainer.fit(settings.first_epochs)
    return ensemble, float(np.median(seconds))


def judged(n_labels: int, settings: RewardSettings, seed: int) -> Judged:
    """Fit a reward, and hold it against the true one of other experience."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    recorder, other = experience(seed), experience(10_000 + seed)
    labels = compared(recorder, n_labels, rng)
    ensemble, seconds = fitted(recorder, labels, settings, seed)
    fresh = compared(other, FRESH, rng)
    right = RewardTrainer(ensemble).evaluate(fresh).right
    segments = [comparison.first for comparison in fresh]
    learned = np.concatenate([ensemble.predict_segment(segment) for segment in segments])
    true = np.concatenate([segment.env_rewards for segment in segments])
    return Judged(float(np.nanmean(right)), float(np.corrcoef(learned, true)[0, 1]), seconds)


def measure(labels: Sequence[int], n_seeds: int) -> list[Row]:
    """Return means over seeds, and the gain over plain fits to the same labels with its standard error."""
    rows = []
    for n_labels in progress(labels, SECTION):
        plain: list[Judged] = []
        for way, settings in WAYS.items():
            found = [judged(n_labels, settings, seed) for seed in range(n_seeds)]
            plain = plain or found
            case = f"{n_labels} labels, {way}"
            for name in ("accuracy", "correlation"):
                own, base = ([getattr(one, name) for one in some] for some in (found, plain))
                gains = np.subtract(own, base)
                error = float(gains.std(ddof=1) / np.sqrt(n_seeds))
                rows.append(row(SECTION, case, name, own, float(np.mean(own))))
                rows.append(row(SECTION, case, f"{name}, gain", gains.tolist(), float(gains.mean())))
                rows.append(row(SECTION, case, f"{name}, ±", [error]))
            rows.append(row(SECTION, case, "refit, s", [one.seconds for one in found]))
    return rows


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    console, about = Console(width=None if sys.stdout.isatty() else 160), machine()
    console.print(f"{about['hardware']}; {about['versions']}")
    labels, n_seeds = ((50,), 2) if settings.quick else (settings.labels, settings.n_seeds)
    rows = measure(labels, n_seeds)
    print_table(rows, console)
    if settings.result is not None:
        write(rows, about, settings.result)


if __name__ == "__main__":
    main()
