"""Runs of other systems: how one is started, and what it says in the end in the words of `prefrl train --json`."""

from typing import Any

from benchmarks._imitation import FOLDER
from benchmarks.tables.rows import Run
from prefrl.config import load_preset

IMITATION = "imitation 1.0.1"
"""The variant of a run that imitation makes."""


def is_peer(run: Run) -> bool:
    """Whether another system makes a run."""
    return run.variant == IMITATION


def command(run: Run) -> list[str]:
    """Return the command of a run of imitation, with the agent, steps, labels and segments that ours has.

    Its reward has what its documentation sets. The learning rate begins where ours does, and falls on the true
    reward only: imitation calls `learn` once per iteration, which has SB3 begin such a schedule anew.
    """
    config = load_preset(run.task, run.algo)
    options: dict[str, Any] = {
        "reward": run.reward,
        "task": run.task,
        "total-timesteps": run.steps,
        "n-comparisons": max(run.labels, 1),
        "segment-steps": config.feedback.segment_length,
        "n-envs": config.agent.n_envs,
        "n-steps": config.agent.settings["n_steps"],
        "batch-size": config.agent.settings["batch_size"],
        "n-epochs": config.agent.settings["n_epochs"],
        "learning-rate": str(config.agent.settings["learning_rate"]).removeprefix("lin_"),
        "log-std-init": config.agent.log_std_init,
        "seed": run.seed,
    }
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    given += ["--falling-rate"] if run.reward == "true" else []
    return [str(FOLDER / ".venv" / "bin" / "python"), str(FOLDER / "measure.py"), "ppo", *given, "--evaluate"]


def result(said: dict[str, Any], run: Run) -> dict[str, Any]:
    """Return what `measure.py` printed as `prefrl train --json` would say it."""
    return {
        "labels": run.labels,
        "policies": 1,
        "training_seconds": round(said["seconds"], 1),
        "refit_seconds": round(said.get("refit_seconds", 0.0), 1),
        "true_return": said["true_return"],
        "metrics": {},
    }
