"""Runs of other systems: how one is started, and what it says in the end in the words of `prefrl train --json`."""

from dataclasses import replace
from typing import Any

from benchmarks import _imitation
from benchmarks.tables.rows import Run
from prefrl.config import load_preset

IMITATION = "imitation 1.0.1"
"""The variant of a run that imitation makes."""
DECIDES = (
    "benchmarks/peers/imitation",
    "benchmarks/tables/peers.py",
    "benchmarks/_imitation.py",
    "prefrl/presets",
)
"""Files that decide what is learned in such a run; its agent has the settings of our presets."""
N_REFITS = 30
"""Iterations of a run: as many as leave a whole episode of every environment in each.

imitation's tutorial says 60, "for better performance" (its script 5, "arbitrary"), with episodes that are shorter
than its iterations. Ours are of 1,000 steps, and 60 iterations of 16 environments would have half of one each.
imitation takes its clips from ended episodes only, so it would step an episode more of every environment each
time, in all twice as many steps as the agent learns from.
"""
STEPPING = "sb3"
"""What steps imitation's environments: SB3's `DummyVecEnv`, one after another."""


def is_peer(run: Run) -> bool:
    """Whether another system makes a run."""
    return run.variant == IMITATION


def command(run: Run) -> list[str]:
    """Return the command of a run of imitation, whose agent has the settings that ours has."""
    preset = load_preset(run.task, run.algo)
    config = replace(preset, total_timesteps=run.steps, labels=run.labels or preset.labels, seed=run.seed)
    options = _imitation.shared_options(config, run.reward)
    return _imitation.command("ppo", n_refits=N_REFITS, evaluate=True, **options)


def result(said: dict[str, Any], run: Run) -> dict[str, Any]:
    """Return what `measure.py` printed as `prefrl train --json` would say it."""
    return {
        "num_timesteps": said["agent_steps"],
        "labels": run.labels,
        "policies": 1,
        "training_seconds": round(said["seconds"], 1),
        "refit_seconds": round(said.get("refit_seconds", 0.0), 1),
        "true_return": said["true_return"],
        "metrics": {},
    }
