"""What a reward is worth that was fitted to the queries of each strategy, with no agent in the loop.

    python -m benchmarks.queries [--seeds 12] [--labels 100] [--out PATH]

Policies that get better from round to round, whatever the reward says, fill a recorder. In each round a strategy
asks about it, an oracle answers, and the reward is fitted as in a training. Then it is held against the true
reward of other experience. All strategies see the same experience of a seed, so differences are taken seed by
seed. An agent would go where its reward leads it, and here none does: of what `thompson` is for this says nothing.
Nothing is asserted. README.md here tells more.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import tyro
from gymnasium import spaces
from rich.console import Console

from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, row, write
from prefrl.agents.refits import Refits
from prefrl.feedback import News, OracleTeacher, QueryMaker
from prefrl.registry import STRATEGIES
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.segments import Comparison, Query, Segment, SegmentRecorder
from prefrl.settings import FeedbackSettings

RESULTS = Path(__file__).parent / "results" / "queries"
NAMES = (*STRATEGIES, "spread:0.5+thompson:0.5", "near-policy:0.75+uniform:0.25")
N_ENVS, EPISODE, LENGTH, N_ROUNDS = 8, 200, 25, 10
N_SEGMENTS, N_PAIRS = 600, 4_000
"""Segments of other experience, and pairs of them, that a reward is held against."""

FloatArray = npt.NDArray[np.float64]


class Steps(NamedTuple):
    """One step of all environments."""

    observations: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    rewards: FloatArray


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Compare what strategies ask about, without agents."""

    seeds: int = 12
    """How many, of each strategy and task."""
    labels: int = 100
    """Labels, in ten rounds."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/queries for 12 seeds of 100 labels, else
    nowhere."""

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        complete = (self.seeds, self.labels) == (Settings.seeds, Settings.labels)
        return self.out or (RESULTS if complete else None)


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    console, about = Console(width=None if sys.stdout.isatty() else 120), machine()
    console.print(f"{about['hardware']}; {about['versions']}")
    rows: list[Row] = []
    for task in TASKS:
        of_task = measure(task, settings)
        print_table(of_task, console)
        rows += of_task
    if settings.result is not None:
        options = {key: value for key, value in asdict(settings).items() if key != "out"}
        write(rows, {**about, "settings": options}, settings.result)
        console.print(f"Written: {settings.result}.json and .csv")


def measure(task: str, settings: Settings, names: tuple[str, ...] = NAMES) -> list[Row]:
    """Return how good the rewards are, and how much better than those of uniform queries, seed by seed."""
    section = f"{task}, {settings.labels} labels, {settings.seeds} seeds"
    scores: dict[str, list[Score]] = {name: [] for name in names}
    for seed in progress(range(settings.seeds), section):
        held_out = {"all": experience(task, seed + 1_000, None), "late": experience(task, seed + 2_000, 1.0)}
        for name in names:
            ensemble = taught(task, name, seed, settings.labels)
            scores[name].append(score(ensemble, held_out, seed))
    rows = []
    for name in names:
        for measure_name in Score._fields:
            values = [float(getattr(one, measure_name)) for one in scores[name]]
            rows.append(row(section, name, measure_name.replace("_", " "), values, float(np.mean(values))))
        for share in ("all_pairs", "late_pairs"):
            gains = [
                getattr(a, share) - getattr(b, share) for a, b in zip(scores[name], scores["uniform"], strict=True)
            ]
            low, high = interval(gains)
            said = share.replace("_", " ")
            rows.append(row(section, name, f"{said} - uniform's", gains, float(np.mean(gains))))
            rows.append(row(section, name, f"{said} from", [low]))
            rows.append(row(section, name, f"{said} to", [high]))
    return rows


def taught(task: str, strategy: str, seed: int, n_labels: int) -> RewardEnsemble:
    """Return a reward that was fitted to what a strategy asked, about policies that get better meanwhile."""
    steps_per_round = EPISODE
    feedback = FeedbackSettings(segment_length=LENGTH, strategy=strategy, recent_steps=2 * steps_per_round)
    recorder = new_recorder(task, N_ROUNDS * steps_per_round)
    ensemble = RewardEnsemble(recorder.observation_space, recorder.action_space, seed=seed)
    refits = Refits(RewardTrainer(ensemble), recorder)
    maker = QueryMaker(recorder, feedback, np.random.default_rng(seed), ensemble.returns)
    n_asked = 0
    for round_number in range(N_ROUNDS):
        fill(recorder, task, steps_per_round, 1_000_000 * (seed + 1) + round_number, round_number / (N_ROUNDS - 1))
        n_due = n_labels * (round_number + 1) // N_ROUNDS - n_asked
        queries = maker.make(n_due, recorder.num_timesteps)
        refits.take(News([answered(query, n_asked + i) for i, query in enumerate(queries)], []))
        refits.fit()
        n_asked += n_due
    return ensemble


def answered(query: Query, seq: int) -> Comparison:
    """Have an oracle answer."""
    preference = OracleTeacher().answer(query).preference
    assert preference is not None
    return Comparison(segments=query.segments, preferences=(preference,), query_id=query.id, seq=seq + 1)


class Score(NamedTuple):
    """How a reward stands to the true one."""

    all_pairs: float
    """Share of pairs of policies of all kinds that it ranks rightly."""
    late_pairs: float
    """The same of pairs of the last policy."""
    rank_correlation: float
    """Spearman's of returns of segments of policies of all kinds."""


def score(ensemble: RewardEnsemble, held_out: dict[str, list[Segment]], seed: int) -> Score:
    """Hold a reward against experience that it has not seen."""
    rng, shares = np.random.default_rng(seed), {}
    for name, segments in held_out.items():
        predicted = ensemble.returns(segments).mean(axis=0)
        true = np.array([segment.env_return for segment in segments])
        first, second = rng.integers(len(segments), size=(2, N_PAIRS))
        differ = true[first] != true[second]
        right = (predicted[first] > predicted[second]) == (true[first] > true[second])
        shares[name] = float(right[differ].mean())
        if name == "all":
            correlation = float(np.corrcoef(ranks(predicted), ranks(true))[0, 1])
    return Score(shares["all"], shares["late"], correlation)


def ranks(values: FloatArray) -> FloatArray:
    """Return the rank of each value, from 0."""
    return np.argsort(np.argsort(values)).astype(np.float64)


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by a bootstrap over seeds."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), (10_000, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


# --- experience -------------------------------------------------------------------------------------------


def experience(task: str, seed: int, skill: float | None) -> list[Segment]:
    """Return segments of a policy of some skill, or of policies of all kinds."""
    recorder = new_recorder(task, 3 * EPISODE)
    fill(recorder, task, 3 * EPISODE, seed, skill)
    return recorder.sample(N_SEGMENTS, length=LENGTH, rng=np.random.default_rng(seed))


def new_recorder(task: str, capacity: int) -> SegmentRecorder:
    """Return an empty recorder for a task."""
    n_observed, n_actions, _ = TASKS[task]
    observed = spaces.Box(-np.inf, np.inf, (n_observed,), np.float32)
    return SegmentRecorder(observed, spaces.Box(-1, 1, (n_actions,), np.float32), N_ENVS, capacity=capacity)


def fill(recorder: SegmentRecorder, task: str, n_steps: int, seed: int, skill: float | None) -> None:
    """Record some steps in whole episodes.

    Args:
        recorder: Where.
        task: What is done.
        n_steps: How many, in each environment.
        seed: Of everything.
        skill: Share of the actions that are a good controller's, give or take; None for any.
    """
    steps, n_done = TASKS[task][2], 0
    rng = np.random.default_rng(seed)
    while n_done < n_steps:
        skills = rng.uniform(size=N_ENVS) if skill is None else rng.normal(skill, 0.15, size=N_ENVS).clip(0, 1)
        for i, step in enumerate(steps(skills, rng)):
            recorder.record(step.observations, step.actions, step.rewards, np.full(N_ENVS, i == EPISODE - 1))
        n_done += EPISODE


def acted(control: FloatArray, skills: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the controller's actions, or in other steps random ones, shape [N, A]."""
    is_skilled = rng.uniform(size=N_ENVS) < skills
    actions: npt.NDArray[np.float32] = np.where(
        is_skilled[:, None], control.clip(-1, 1), rng.uniform(-1, 1, control.shape)
    ).astype(np.float32)
    return actions


def pendulum(skills: FloatArray, rng: np.random.Generator) -> Iterator[Steps]:
    """Swing up a pendulum and hold it: gymnasium's Pendulum-v1, all environments at once."""
    angle, speed = rng.uniform(-np.pi, np.pi, N_ENVS), rng.uniform(-1, 1, N_ENVS)
    for _ in range(EPISODE):
        off = (angle + np.pi) % (2 * np.pi) - np.pi
        energy = 0.5 * speed**2 + 15 * (np.cos(angle) - 1)  # 0 where it stands on its head
        control = np.where(np.abs(off) < 0.5, -8 * off - 2 * speed, -np.sign(speed * energy))
        actions = acted(control[:, None], skills, rng)
        torque = 2 * actions[:, 0]
        observations = np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)
        yield Steps(observations, actions, -(off**2 + 0.1 * speed**2 + 0.001 * torque**2))
        speed = (speed + 0.05 * (15 * np.sin(angle) + 3 * torque)).clip(-8, 8)
        angle = angle + 0.05 * speed


def point(skills: FloatArray, rng: np.random.Generator) -> Iterator[Steps]:
    """Bring a point that is pushed about in the plane to the middle, and keep it there."""
    place, speed = rng.uniform(-2, 2, (N_ENVS, 2)), np.zeros((N_ENVS, 2))
    for _ in range(EPISODE):
        actions = acted(-place - 1.5 * speed, skills, rng)
        observations = np.concatenate([place, speed], axis=1).astype(np.float32)
        yield Steps(observations, actions, -np.linalg.norm(place, axis=1) - 0.1 * (actions**2).sum(axis=1))
        speed = 0.95 * speed + 0.1 * actions
        place = (place + 0.1 * speed).clip(-4, 4)


TASKS: dict[str, tuple[int, int, Callable[[FloatArray, np.random.Generator], Iterator[Steps]]]] = {
    "pendulum": (3, 1, pendulum),
    "point": (4, 2, point),
}
"""Numbers observed, numbers of an action, and episodes of policies of some skill each."""


if __name__ == "__main__":
    main()
