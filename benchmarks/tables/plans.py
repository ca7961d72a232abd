"""What the tables are made of: the runs of each, in the order in which they are made, and the goals of the tasks.

A table that was stopped should be of use already: seed by seed, and of each seed what matters most first. Seeds
from 100 on were never used to choose a setting; where a preset was changed after it had been shown, it is shown on
others. Runs that two tables have in common are made once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.tables.peers import IMITATION
from benchmarks.tables.rows import Run
from prefrl.config import RunConfig, load_preset
from prefrl.registry import ALGORITHMS, OFF_POLICY

PAPER_TASKS = (
    "hopper",
    "halfcheetah",
    "walker2d",
    "ant",
    "swimmer",
    "reacher",
    "inverted-pendulum",
    "inverted-double-pendulum",
)
PAPER_STEPS = 500_000
CHEETAH_STEPS = 100_000
"""Of off-policy algorithms on a HalfCheetah."""
CHOOSES = ("dqn", "qrdqn")
"""Algorithms that choose one of several actions, and cannot act on a HalfCheetah."""
BOTH = ("preferences", "true")
FIRST_SEEDS = {
    "hopper-backflip": 130,
    "hopper-front-flip": 105,
    "halfcheetah-backwards": 100,
    "halfcheetah-one-leg": 110,
    "walker2d-one-foot": 120,
    "ant-turning": 105,
}
"""The first of the seeds on which each behaviour is shown."""
FIRST_PAPER_SEEDS = dict.fromkeys(PAPER_TASKS, 110) | {
    "hopper": 130,
    "walker2d": 120,
    "inverted-double-pendulum": 120,
}
"""The first of the seeds on which each of the paper's tasks is shown."""
FIRST_PENDULUM_SEED = 200
"""The same of the Pendulum; the preset of before was shown on 100 to 134."""
BEHAVIOURS = tuple(task for task in FIRST_SEEDS if task != "hopper-backflip")
COSTS = ("reacher", "pendulum")
"""Tasks whose true returns are costs, below 0: a share of them says nothing until its zero is moved."""
PENDULUM_SOLVED = -200.0
"""The mean return above which a Pendulum counts as solved in imitation's published runs."""


@dataclass(frozen=True)
class Goal:
    """What a behaviour's metric has to reach, so that the run has made it. Said before the runs."""

    metric: str
    value: float


GOALS = {
    "hopper-backflip": Goal("backflips", 2),
    "hopper-front-flip": Goal("front_flips", 2),
    "halfcheetah-backwards": Goal("backward_speed", 3),
    "halfcheetah-one-leg": Goal("one_leg_share", 0.4),
    "walker2d-one-foot": Goal("one_foot_share", 0.25),
    "ant-turning": Goal("turns_per_minute", 8),
}

# The paper's regression on returns is missing: rewards are learned from comparisons, and no setting changes that.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "": (),
    "one network": ("--reward-model.n-members", "1"),
    "by disagreement": ("--feedback.strategy", "disagreement"),
    "no L2": ("--reward-model.l2", "0"),
    "single steps": ("--segment-length", "1"),
    "all labels first": ("--feedback.initial-share", "1"),
    "no errors assumed": ("--reward-model.error-rate", "0"),
    "segments of 10": ("--segment-length", "10"),
    "segments of 60": ("--segment-length", "60"),
}
"""Options of `prefrl train` for what is left out of the preset, or changed."""
KINDS = {
    "erring pairs": ("--teacher", "boltzmann"),
    "erring strengths": ("--teacher", "boltzmann", "--feedback", "strength"),
    "erring rankings": ("--teacher", "boltzmann", "--feedback", "ranking"),
    "erring ratings": ("--teacher", "boltzmann", "--feedback", "rating"),
}
"""What a teacher says who errs as people do, by the kind of feedback."""
TEACHERS = {
    f"B-Pref's {name}": ("--config", str(Path(__file__).with_name("teachers") / f"{name}.yaml"))
    for name in ("stoc", "myopic", "mistake", "skip", "equal", "skip-as-published", "equal-as-published")
}
"""Teachers with the faults of B-Pref, and two as the released code has them; its oracle is the preset's."""
QUERIES: dict[str, tuple[str, ...]] = {
    f"{strategy} queries": ("--feedback.strategy", strategy)
    for strategy in (
        "uniform",
        "spread",
        "disagreement",
        "entropy",
        "mutual-information",
        "thompson",
        "diverse",
        "disagreement-diverse",
        "near-policy:0.75+uniform:0.25",
    )
} | {
    "crops": ("--reward-model.crop-least", "0.8"),
    "crops and pseudo-labels": ("--reward-model.crop-least", "0.8", "--reward-model.pseudo-weight", "1"),
    "bonus": ("--reward-model.bonus", "0.1"),
    "pessimism": ("--reward-model.pessimism", "0.1"),
}
"""What is asked, what more is made of few labels, and what disagreement pays."""
ONE_BY_ONE = "one by one"
VARIANTS = ABLATIONS | KINDS | TEACHERS | QUERIES | {ONE_BY_ONE: ("--stepping", "sb3")}
"""Options of `prefrl train` for all that is unlike the preset."""


def flagship() -> list[Run]:
    """The behaviours: backflips from 300 labels and from 100, the others by their presets; then the controls."""
    runs = [
        _shown("hopper-backflip", "preferences", index, labels=labels)
        for labels in (300, 100)
        for index in range(10)
    ]
    runs += [_shown(task, "preferences", index) for index in range(5) for task in BEHAVIOURS]
    for index in range(10):
        runs += [_shown("hopper-backflip", reward, index) for reward in _controls(index, true=10, shuffled=5)]
    for index in range(3):
        for reward in _controls(index, true=3, shuffled=2):
            runs += [_shown(task, reward, index) for task in BEHAVIOURS]
    return runs


def paper() -> list[Run]:
    """The paper's MuJoCo tasks at 200, 700 and 1,400 labels, with PPO; TRPO and A2C on two of them."""
    runs: list[Run] = []
    for index in range(5):
        for labels in (0, 700, 200, 1400):
            runs += [_paper_run(task, index, labels) for task in PAPER_TASKS]
        if index < 2:
            runs += [_paper_run(task, index, 700, shuffled=True) for task in PAPER_TASKS]
    for index in range(3):
        for algo in ("trpo", "a2c"):
            for task in ("hopper", "halfcheetah"):
                runs += [_paper_run(task, index, labels, algo=algo) for labels in (0, 700)]
    return runs


def reliability() -> list[Run]:
    """Three tasks of the paper, ten seeds each: how bad is the worst?"""
    tasks = ("hopper", "halfcheetah", "walker2d")
    return [_paper_run(task, index, labels) for index in range(10) for labels in (700, 0) for task in tasks]


def ablations() -> list[Run]:
    """What the paper left out to see what it is good for, and longer and shorter segments."""
    runs: list[Run] = []
    for index in range(3):
        for task in ("hopper", "halfcheetah"):
            runs += [_paper_run(task, index, 0)]
            runs += [_paper_run(task, index, 700, variant=variant) for variant in ABLATIONS]
    return runs


def label_efficiency() -> list[Run]:
    """From how few labels?"""
    runs: list[Run] = []
    for index in range(3):
        for labels in (0, 400, 200, 100, 50, 25):
            runs += [_paper_run(task, index, labels) for task in ("hopper", "halfcheetah")]
            runs += [_shown("hopper-backflip", "preferences" if labels else "true", index, labels=labels)]
    return runs


def imitation() -> list[Run]:
    """Three tasks of the paper by imitation and by prefrl, which steps one by one here, as imitation does."""
    runs: list[Run] = []
    for index in range(3):
        for task in ("hopper", "halfcheetah", "walker2d"):
            for variant in (IMITATION, ONE_BY_ONE):
                runs += [_paper_run(task, index, labels, variant=variant) for labels in (700, 0)]
    return runs


def pendulum() -> list[Run]:
    """Pendulum as often as imitation's authors ran it, and from few labels."""
    seeds = range(FIRST_PENDULUM_SEED, FIRST_PENDULUM_SEED + 100)
    runs = [_run("pendulum", "preferences", seed) for seed in seeds]
    return runs + [
        _run("pendulum", "preferences", seed, labels=labels) for seed in seeds[:20] for labels in (100, 50)
    ]


def algorithms() -> list[Run]:
    """Every algorithm on a small task that its actions fit, with the preset's steps, and on a HalfCheetah."""
    runs: list[Run] = []
    for index in range(3):
        for algo in ALGORITHMS:
            task, first = ("cartpole", 100) if algo in CHOOSES else ("pendulum", FIRST_PENDULUM_SEED)
            runs += [_run(task, reward, first + index, labels=200, algo=algo) for reward in BOTH]
    for seed in range(100, 103):
        for algo in ALGORITHMS:
            steps = CHEETAH_STEPS if algo in OFF_POLICY else PAPER_STEPS
            if algo not in CHOOSES:
                runs += [_run("halfcheetah", reward, seed, labels=700, steps=steps, algo=algo) for reward in BOTH]
    return runs


def bpref() -> list[Run]:
    """Two tasks of B-Pref with SAC, at the budgets that figures of other methods were published for."""
    runs: list[Run] = []
    for seed in range(100, 103):
        for task, budgets in (("walker-walk", (500, 0, 100, 1000)), ("cheetah-run", (100, 0))):
            for labels in budgets:
                reward = "preferences" if labels else "true"
                runs.append(_run(task, reward, seed, labels=labels, algo="sac"))
    return runs


def feedback() -> list[Run]:
    """Kinds of feedback, from a teacher who errs: as many labels, and fewer, as more is said by each.

    A ranking of four takes between twice the time of a pair, as there are twice as many clips to look at, and five
    times, as so many pairs are compared to sort four. A rating takes between the time of a pair and half of it, as
    there is half as much to look at.
    """
    pairs, strengths, rankings, ratings = KINDS
    arms = [(pairs, 700), (strengths, 700), (strengths, 560), (rankings, 350), (rankings, 140)]
    arms += [(ratings, 700), (ratings, 1400)]
    return [_paper_run("hopper", i, labels, variant=variant) for i in range(3) for variant, labels in arms]


def teachers() -> list[Run]:
    """B-Pref's teachers on two tasks, at two budgets."""
    tasks = ("hopper", "halfcheetah")
    runs: list[Run] = []
    for index in range(5):
        for labels in (700, 200):
            arms = ["", *(name for name in TEACHERS if labels == 700 or not name.endswith("as-published"))]
            runs += [_paper_run(task, index, labels, variant=name) for task in tasks for name in arms]
        runs += [_paper_run(task, index, 0) for task in tasks]
    return runs


def asking() -> list[Run]:
    """What is asked of few labels and of some more, and what else is said to make more of them."""
    runs: list[Run] = []
    for index in range(3):
        for labels in (100, 400):
            for variant in ("", *QUERIES):
                runs += [_paper_run(task, index, labels, variant=variant) for task in ("hopper", "halfcheetah")]
                runs += [_shown("hopper-backflip", "preferences", index, labels=labels, variant=variant)]
        runs += [_paper_run(task, index, 0) for task in ("hopper", "halfcheetah")]
    return runs


PLANS: dict[str, Callable[[], list[Run]]] = {
    plan.__name__: plan
    for plan in (
        flagship,
        paper,
        reliability,
        imitation,
        ablations,
        label_efficiency,
        pendulum,
        algorithms,
        bpref,
        feedback,
        teachers,
        asking,
    )
}


def options(run: Run) -> list[str]:
    """Return the arguments of `prefrl train` that make a run, but for where it goes."""
    given = [run.task, "--algo", run.algo, "--seed", str(run.seed), "--total-timesteps", str(run.steps)]
    if run.reward in ("true", "constant"):
        given += ["--reward", run.reward]
    else:
        given += ["--labels", str(run.labels)]
    if run.reward == "shuffled":
        given += ["--shuffle-labels"]
    return [*given, *VARIANTS[run.variant]]


def _shown(task: str, reward: str, index: int, *, labels: int | None = None, variant: str = "") -> Run:
    """Return a behaviour's run on one of the seeds on which it is shown."""
    return _run(task, reward, FIRST_SEEDS[task] + index, labels=labels, variant=variant)


def _controls(index: int, *, true: int, shuffled: int) -> Sequence[str]:
    """Return the controls that a run has, each up to an index of its own."""
    return [reward for reward, end in (("true", true), ("shuffled", shuffled)) if index < end]


def _paper_run(
    task: str, index: int, labels: int, *, algo: str = "ppo", variant: str = "", shuffled: bool = False
) -> Run:
    """Return a run of a task of the paper on one of the seeds on which it is shown."""
    reward = ("shuffled" if shuffled else "preferences") if labels else "true"
    seed = FIRST_PAPER_SEEDS[task] + index
    return _run(task, reward, seed, labels=labels, algo=algo, steps=PAPER_STEPS, variant=variant)


def _run(
    task: str,
    reward: str,
    seed: int,
    *,
    labels: int | None = None,
    steps: int | None = None,
    algo: str = "ppo",
    variant: str = "",
) -> Run:
    """Return a run with the preset's labels and steps where none are given."""
    preset = _preset(task, algo)
    if reward in ("true", "constant"):
        labels = 0
    return Run(
        task=task,
        algo=algo,
        reward=reward,
        labels=preset.labels if labels is None else labels,
        variant=variant,
        steps=steps or preset.total_timesteps,
        seed=seed,
    )


_preset: Callable[[str, str], RunConfig] = cache(load_preset)
