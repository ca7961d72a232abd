"""How fast prefrl is: learning loops, the reward's training, memory, and imitation beside it in the same run.

    python -m benchmarks.speed [--quick] [--sections loops run reward memory imitation] [--out PATH]

Figures are compared inside a round: the sides take turns, and a ratio is taken round by round, so that a machine
that is busy for a while slows both. Nothing is asserted. README.md here tells how to read the tables.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from gymnasium import spaces
from rich.console import Console

from benchmarks import _imitation
from benchmarks._loops import Clock, Loop, Loops, PlainLoop, RunLoop, Stopwatch
from benchmarks._machine import machine
from benchmarks._memory import bytes_per_step
from benchmarks._results import Row, print_table, progress, ratios, row, write
from prefrl.config import RunConfig, load_preset
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.runs.stepping import Stepping
from prefrl.segments import Comparison, Segment
from prefrl.settings import RewardSettings

Section = Literal["loops", "run", "reward", "memory", "imitation"]
RESULTS = Path(__file__).parent / "results" / "speed"
TASK = "hopper"
ALGOS = ("ppo", "a2c", "trpo")
# A segment as HalfCheetah and Walker2d have it.
SEGMENT_STEPS, N_OBSERVED, N_ACTED = 50, 17, 6
# Units of each of the two hidden layers, and comparisons per gradient step: what either has by default.
NETWORKS = {"2 x 64, batches of 64": (64, 64), "2 x 32, batches of 32": (32, 32)}
# The same budget for both systems; the rest of each is as its documentation has it.
PEER_TIMESTEPS, PEER_LABELS = 49_152, 200


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure prefrl's speed, imitation's beside it."""

    quick: bool = False
    """A tenth of the work: a look, not a result."""
    sections: tuple[Section, ...] = ("loops", "run", "reward", "memory", "imitation")
    """What to measure. "imitation" adds the peer, whose environment it installs the first time."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/speed when everything is measured in full,
    else nowhere."""
    clock: Literal["wall", "cpu"] = "wall"
    """Which seconds are counted; "cpu" counts this process's only, for a machine that others use meanwhile."""
    stepping: Stepping = "sb3"
    """What steps our environments in the tables of loops and runs; those of SB3 alone are stepped one by one."""
    seed: int = 0
    """Of every random choice."""

    @property
    def seconds(self) -> Clock:
        """The clock."""
        return time.perf_counter if self.clock == "wall" else time.process_time

    @property
    def n_rounds(self) -> int:
        """Turns of each side."""
        return 2 if self.quick else 5

    @property
    def round_steps(self) -> int:
        """Environment steps of one turn."""
        return 8_192 if self.quick else 16_384

    @property
    def run_steps(self) -> int:
        """Environment steps of a whole run; its labels are the preset's."""
        return 49_152 if self.quick else 491_520

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        complete = not self.quick and self.stepping == "sb3" and set(self.sections) == set(Settings.sections)
        return self.out or (RESULTS if complete else None)


def config_of(algo: str, n_envs: int, settings: Settings) -> RunConfig:
    """Return the preset's settings with another number of environments."""
    config = load_preset(TASK, algo)
    agent = replace(config.agent, n_envs=n_envs)
    return replace(config, seed=settings.seed, stepping=settings.stepping, agent=agent)


def steady(config: RunConfig) -> RunConfig:
    """Have the policy stay as it is, though all its updates are computed (but for TRPO's, which has no rate).

    A Hopper that lies on the floor, with more contacts, takes longer to simulate than one that stands, so sides
    that learn different things have simulators of different speed.
    """
    agent = config.agent
    return replace(config, agent=replace(agent, settings={**agent.settings, "learning_rate": 1e-12}))


def arms(config: RunConfig, clock: Clock, folder: Path, *, refits: bool, constant: bool) -> dict[str, Loop]:
    """Return the loops to compare, by what the agent learns from.

    "SB3 alone" and "true" both learn from the true reward; "true" is `prefrl train --reward true`.
    """
    loops: dict[str, Loop] = {
        "SB3 alone": PlainLoop(config, clock),
        "true": RunLoop(replace(config, reward="true"), clock, folder / "true"),
        "learned": RunLoop(config, clock, folder / "learned", refits=refits),
    }
    if constant:
        loops["constant"] = RunLoop(replace(config, reward="constant"), clock, folder / "constant")
    return loops


def measure_loops(settings: Settings) -> list[Row]:
    """Steps per second without asking and refits: what predicting and recording cost."""
    section, rows = "Steps per second, reward predicted and recorded but not refitted", []
    for algo, n_envs in progress([(algo, n_envs) for algo in ALGOS for n_envs in (8, 16)], section):
        config = steady(config_of(algo, n_envs, settings))
        with (
            tempfile.TemporaryDirectory() as folder,
            Loops(arms(config, settings.seconds, Path(folder), refits=False, constant=True)) as loops,
        ):
            loops.measure(settings.round_steps, 1)  # the first turn warms up
            rates = loops.measure(settings.round_steps, settings.n_rounds)
        case = f"{algo}, {n_envs} environments"
        rows += [row(section, case, name, rounds) for name, rounds in rates.items()]
        for other in ("true", "SB3 alone"):
            rows.append(row(section, case, f"learned / {other}", ratios(rates["learned"], rates[other])))
    return rows


def measure_runs(settings: Settings) -> list[Row]:
    """Steps per second of whole runs with asking and refits, and where the time goes."""
    section, shares, rows = "Steps per second of a whole run", "Share of a whole run's time", []
    n_turns = settings.run_steps // settings.round_steps
    for algo in progress(ALGOS, section):
        config = load_preset(TASK, algo)
        config = replace(config_of(algo, config.agent.n_envs, settings), total_timesteps=settings.run_steps)
        if settings.quick:
            config = replace(config, labels=config.labels // 10)
        with (
            tempfile.TemporaryDirectory() as folder,
            Loops(arms(config, settings.seconds, Path(folder), refits=True, constant=False)) as loops,
        ):
            learned = loops.loops["learned"]
            assert isinstance(learned, RunLoop)
            stopwatch = Stopwatch(learned)
            rates = loops.measure(settings.round_steps, n_turns)
        # Turns are of equal length, so the rate of all of them is their harmonic mean.
        totals = {name: statistics.harmonic_mean(rounds) for name, rounds in rates.items()}
        rows += [row(section, algo, name, rounds, totals[name]) for name, rounds in rates.items()]
        for other in ("true", "SB3 alone"):
            rounds, total = ratios(rates["learned"], rates[other]), totals["learned"] / totals[other]
            rows.append(row(section, algo, f"learned / {other}", rounds, total))
        rows += [row(shares, algo, part, [share]) for part, share in stopwatch.shares().items()]
    return rows


def measure_reward(settings: Settings) -> list[Row]:
    """Comparisons per second in the reward's training, imitation's in turn with ours.

    Each system with networks and batches of either's default sizes.

    Comparisons in the set x passes over it / seconds; what all members see counts once. Adding the comparisons
    and whatever happens once per comparison is left out on both sides.
    """
    section, rows = f"Reward training, comparisons of 2 x {SEGMENT_STEPS} steps per second", []
    n_labels = (100, 1_000) if settings.quick else (100, 1_000, 10_000)
    systems = ["prefrl", "imitation"] if "imitation" in settings.sections else ["prefrl"]
    for n in progress(n_labels, section):
        trainers = {name: reward_trainer(n, *sizes, settings.seed) for name, sizes in NETWORKS.items()}
        rates: dict[str, list[float]] = {f"{system}, {name}": [] for name in NETWORKS for system in systems}
        for _ in range(1 if settings.quick else 3):
            for name, (hidden_size, batch_size) in NETWORKS.items():
                rate = comparisons_per_second(trainers[name], settings.seconds, min_seconds=2.0)
                rates[f"prefrl, {name}"].append(rate)
                if "imitation" not in systems:
                    continue
                result = _imitation.measure(
                    "reward",
                    n_comparisons=n,
                    segment_steps=SEGMENT_STEPS,
                    n_observed=N_OBSERVED,
                    n_acted=N_ACTED,
                    hidden_size=hidden_size,
                    reward_batch_size=batch_size,
                    reward_epochs=1,
                    clock=settings.clock,
                    seed=settings.seed,
                )
                rates[f"imitation, {name}"].append(result["comparisons_per_s"])
        case = f"{n:,} labels"
        rows += [row(section, case, name, rounds) for name, rounds in rates.items()]
        if "imitation" in systems:
            for name in NETWORKS:
                share = ratios(rates[f"prefrl, {name}"], rates[f"imitation, {name}"])
                rows.append(row(section, case, f"prefrl / imitation, {name}", share))
    return rows


def reward_trainer(n_comparisons: int, hidden_size: int, batch_size: int, seed: int) -> RewardTrainer:
    """Return a trainer of networks of two equal layers that knows `n_comparisons` pairs of segments of noise."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=N_OBSERVED)

    def segment() -> Segment:
        observations = rng.normal(size=(SEGMENT_STEPS, N_OBSERVED))
        actions = rng.uniform(-1, 1, size=(SEGMENT_STEPS, N_ACTED)).astype(np.float32)
        rewards = (observations @ weights).astype(np.float32)
        return Segment(observations=observations, actions=actions, env_rewards=rewards)

    def comparison() -> Comparison:
        first, second = segment(), segment()
        return Comparison(segments=(first, second), preferences=(float(first.env_return > second.env_return),))

    ensemble = RewardEnsemble(
        spaces.Box(-np.inf, np.inf, (N_OBSERVED,)),
        spaces.Box(-1.0, 1.0, (N_ACTED,)),
        settings=RewardSettings(hidden_sizes=(hidden_size, hidden_size), batch_size=batch_size),
        seed=seed,
    )
    trainer = RewardTrainer(ensemble, seed=seed)
    comparisons = [comparison() for _ in range(n_comparisons)]
    firsts = [comparison.first for comparison in comparisons]
    ensemble.inputs.update(
        np.concatenate([segment.observations for segment in firsts]),
        np.concatenate([segment.actions for segment in firsts]),
    )
    trainer.add(comparisons)
    trainer.fit(1)  # the first pass warms up
    return trainer


def comparisons_per_second(trainer: RewardTrainer, clock: Clock, *, min_seconds: float) -> float:
    """Time single fits, each with its validation and normalisation, until `min_seconds` are over."""
    n_passes, started, seconds = 0, clock(), 0.0
    while seconds < min_seconds:
        trainer.fit(1)
        n_passes += 1
        seconds = clock() - started
    return trainer.n_comparisons * n_passes / seconds


def measure_memory(settings: Settings) -> list[Row]:
    """Bytes per environment step in the recorder: of its arrays, and by which a process grew."""
    section, capacity, rows = "Recorder, bytes per step", 5_000 if settings.quick else 20_000, []
    for task in progress(("Hopper", "HalfCheetah"), section):
        for render_states in (False, True):
            arrays, process = bytes_per_step(f"prefrl/{task}-v0", render_states=render_states, capacity=capacity)
            case = f"{task}, {'with' if render_states else 'without'} state to draw from"
            rows.append(row(section, case, "arrays", [arrays]))
            rows.append(row(section, case, "process", [process]))
    return rows


def measure_imitation(settings: Settings) -> list[Row]:
    """PPO on Hopper, 8 environments, in both systems: alone, with a learned reward, and whole."""
    section, n_envs, rows = "PPO beside imitation, 8 environments, steps per second", 8, []
    names = {"true": "SB3 alone", "learned": "learned, no refits", "preferences": "whole"}
    config = replace(config_of("ppo", n_envs, settings), stepping="sb3")
    config = replace(config, total_timesteps=PEER_TIMESTEPS, labels=PEER_LABELS)
    rates: dict[str, dict[str, list[float]]] = {}
    for _ in progress(range(1 if settings.quick else 3), section):
        with tempfile.TemporaryDirectory() as folder:
            runs: dict[str, Loop] = {
                "SB3 alone": PlainLoop(config, settings.seconds),
                "learned, no refits": RunLoop(config, settings.seconds, Path(folder) / "fitted", refits=False),
                "whole": RunLoop(config, settings.seconds, Path(folder) / "whole"),
            }
            with Loops(runs) as loops:
                for name, rounds in loops.measure(PEER_TIMESTEPS, 1).items():
                    rates.setdefault("prefrl", {}).setdefault(name, []).extend(rounds)
        for reward, name in names.items():
            options = _imitation.shared_options(config, reward)
            # The long first fit belongs to a training, and these few steps would make too much of it.
            result = _imitation.measure("ppo", clock=settings.clock, first_fit_multiplier=1, **options)
            rates.setdefault("imitation", {}).setdefault(name, []).append(result["steps_per_s"])
    for system, by_name in rates.items():
        rows += [row(section, system, name, rounds) for name, rounds in by_name.items()]
        for name in ("learned, no refits", "whole"):
            share = ratios(by_name[name], by_name["SB3 alone"])
            rows.append(row(section, system, f"{name} / SB3 alone", share))
    return rows


MEASURES: dict[Section, Callable[[Settings], list[Row]]] = {
    "loops": measure_loops,
    "run": measure_runs,
    "reward": measure_reward,
    "memory": measure_memory,
    "imitation": measure_imitation,
}


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    console, about = Console(width=None if sys.stdout.isatty() else 120), machine()
    console.print(f"{about['hardware']}; one torch thread; {about['versions']}")
    if "imitation" in settings.sections:
        _imitation.install()
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
