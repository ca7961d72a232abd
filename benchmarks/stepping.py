"""How fast environments are stepped, one after another and many at once, and what that is worth to a whole run.

    python -m benchmarks.stepping [--quick] [--sections mujoco atari run] [--out PATH]

The sides of a comparison take turns, as in `benchmarks.speed`. Nothing is asserted. README.md here tells how to
read the tables.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import tyro
from rich.console import Console
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from benchmarks._loops import Clock, Loop, Loops, RunLoop, Stopwatch
from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, ratios, row, write
from prefrl.agents import LearnedRewardVecEnv
from prefrl.agents.gymnasium_vec_env import GymnasiumVecEnv
from prefrl.config import RunConfig, load_preset
from prefrl.runs.environments import make_environments
from prefrl.segments import SegmentRecorder

Section = Literal["mujoco", "atari", "run"]
RESULTS = Path(__file__).parent / "results" / "stepping"
MUJOCO = (
    *("hopper", "halfcheetah", "walker2d", "swimmer", "ant", "humanoid", "reacher", "inverted-pendulum"),
    *("hopper-backflip", "walker2d-one-foot"),
)
ATARI = ("pong", "breakout", "seaquest")
RUN_TASK = "hopper"
N_THREADS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure how fast environments are stepped."""

    quick: bool = False
    """A tenth of the work: a look, not a result."""
    sections: tuple[Section, ...] = ("mujoco", "atari", "run")
    """What to measure."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/stepping when everything is measured in full,
    else nowhere."""
    seed: int = 0
    """Of every random choice."""

    @property
    def n_rounds(self) -> int:
        """Turns of each side."""
        return 2 if self.quick else 5

    @property
    def seconds(self) -> float:
        """Of one turn, about."""
        return 0.3 if self.quick else 2.0

    @property
    def run_steps(self) -> int:
        """Environment steps of a whole run."""
        return 32_768 if self.quick else 131_072

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        complete = not self.quick and set(self.sections) == set(Settings.sections)
        return self.out or (RESULTS if complete else None)


class Chain:
    """Environments as a training has them, with everything recorded, stepped with random actions.

    Args:
        venv: What steps them.
        seed: Of the actions.
    """

    def __init__(self, venv: VecEnv, seed: int) -> None:
        """Put recorder and wrapper around, and reset."""
        recorder = SegmentRecorder(venv.observation_space, venv.action_space, venv.num_envs, capacity=1000)
        self._venv = LearnedRewardVecEnv(venv, "true", recorder)
        self._venv.action_space.seed(seed)
        self._actions = [
            np.array([self._venv.action_space.sample() for _ in range(venv.num_envs)]) for _ in range(100)
        ]
        self._venv.reset()

    def steps_per_second(self, seconds: float) -> float:
        """Step for about so long."""
        n_steps, started, passed = 0, time.perf_counter(), 0.0
        while passed < seconds:
            n_steps += self._step_all(self._actions)
            passed = time.perf_counter() - started
        return n_steps * self._venv.num_envs / passed

    def close(self) -> None:
        """Close the environments."""
        self._venv.close()

    def _step_all(self, actions: Sequence[npt.NDArray[np.generic]]) -> int:
        for some in actions:
            self._venv.step(some)
        return len(actions)


def mujoco_sides(config: RunConfig, n_envs: int, seed: int) -> dict[str, VecEnv]:
    """Return the ways to step a MuJoCo task."""
    from prefrl_envs.mujoco.envpool_vector import EnvpoolVector

    sides: dict[str, VecEnv] = {"one by one": make_environments(config, n_envs=n_envs, seed=seed)}
    for n in N_THREADS:
        vector = EnvpoolVector(config.env_id, n_envs, n_threads=n, env_kwargs=config.make_kwargs)
        sides[f"EnvPool, {_threads(n)}"] = VecMonitor(GymnasiumVecEnv(vector))
    return sides


def atari_sides(config: RunConfig, n_envs: int, seed: int) -> dict[str, VecEnv]:
    """Return the ways to step an Atari game."""
    from prefrl_envs.atari.vector import AtariVector

    sides: dict[str, VecEnv] = {"one by one": make_environments(config, n_envs=n_envs, seed=seed)}
    for n in N_THREADS:
        vector = AtariVector(config.env_id, n_envs, n_threads=n, env_kwargs=config.make_kwargs)
        sides[f"ale-py, {_threads(n)}"] = VecMonitor(GymnasiumVecEnv(vector))
    return sides


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


def measure_stepping(
    settings: Settings,
    section: str,
    cases: Sequence[tuple[str, int]],
    make_sides: Callable[[RunConfig, int, int], dict[str, VecEnv]],
) -> list[Row]:
    """Steps per second of each side in turn, for tasks and numbers of environments."""
    rows: list[Row] = []
    for task, n_envs in progress(cases, section):
        config = load_preset(task)
        chains = {
            name: Chain(venv, settings.seed) for name, venv in make_sides(config, n_envs, settings.seed).items()
        }
        rates: dict[str, list[float]] = {name: [] for name in chains}
        for turn in range(settings.n_rounds + 1):
            for name in list(chains)[:: 1 if turn % 2 == 0 else -1]:
                rate = chains[name].steps_per_second(settings.seconds)
                if turn > 0:  # the first warms up
                    rates[name].append(rate)
        for chain in chains.values():
            chain.close()
        case = f"{task}, {n_envs} environments"
        rows += [row(section, case, name, rounds) for name, rounds in rates.items()]
        plain = rates["one by one"]
        rows += [
            row(section, case, f"{name} / one by one", ratios(rounds, plain))
            for name, rounds in rates.items()
            if name != "one by one"
        ]
    return rows


def measure_mujoco(settings: Settings) -> list[Row]:
    """MuJoCo by EnvPool."""
    tasks = MUJOCO[:2] if settings.quick else MUJOCO
    cases = [(task, n_envs) for task in tasks for n_envs in (8, 32)]
    return measure_stepping(settings, "Stepping MuJoCo, steps per second", cases, mujoco_sides)


def measure_atari(settings: Settings) -> list[Row]:
    """Atari by ale-py."""
    tasks = ATARI[:1] if settings.quick else ATARI
    cases = [(task, n_envs) for task in tasks for n_envs in (8, 16)]
    return measure_stepping(settings, "Stepping Atari, steps per second", cases, atari_sides)


def measure_run(settings: Settings) -> list[Row]:
    """A whole run of the preset with either: steps per second, and the share of its time that stepping takes."""
    section, shares = "A whole PPO run of `hopper`, steps per second", "Share of such a run's time"
    base = replace(load_preset(RUN_TASK), seed=settings.seed, total_timesteps=settings.run_steps)
    n_turns = 4
    with tempfile.TemporaryDirectory() as folder:
        sides: dict[str, RunLoop] = {
            name: RunLoop(replace(base, stepping=stepping), _wall, Path(folder) / stepping)
            for name, stepping in _RUN_SIDES.items()
        }
        watches = {name: Stopwatch(loop) for name, loop in sides.items()}
        loops: dict[str, Loop] = dict(sides)
        with Loops(loops) as running:
            rates = running.measure(settings.run_steps // n_turns, n_turns)
    totals = {name: statistics.harmonic_mean(rounds) for name, rounds in rates.items()}
    rows = [row(section, "PPO, 16 environments", name, rounds, totals[name]) for name, rounds in rates.items()]
    ratio = ratios(rates["EnvPool"], rates["one by one"])
    total = totals["EnvPool"] / totals["one by one"]
    rows.append(row(section, "PPO, 16 environments", "EnvPool / one by one", ratio, total))
    for name, watch in watches.items():
        rows += [row(shares, name, part, [share]) for part, share in watch.shares().items()]
    return rows


_RUN_SIDES: dict[str, Literal["sb3", "envpool"]] = {"one by one": "sb3", "EnvPool": "envpool"}
_wall: Clock = time.perf_counter

MEASURES: dict[Section, Callable[[Settings], list[Row]]] = {
    "mujoco": measure_mujoco,
    "atari": measure_atari,
    "run": measure_run,
}


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    console, about = Console(width=None if sys.stdout.isatty() else 150), machine()
    console.print(f"{about['hardware']}; one torch thread; {about['versions']}")
    rows: list[Row] = []
    for name in settings.sections:
        measured = MEASURES[name](settings)
        for section in dict.fromkeys(r.section for r in measured):
            print_table([r for r in measured if r.section == section], console)
        rows += measured
    if settings.result is not None:
        options = {key: value for key, value in asdict(settings).items() if key != "out"}
        write(rows, {**about, "settings": options}, settings.result)
        console.print(f"Written: {settings.result}.json and .csv")


if __name__ == "__main__":
    main()
