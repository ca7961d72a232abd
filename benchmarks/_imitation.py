"""imitation's figures, measured by `peers/imitation/measure.py` in the environment that it needs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from prefrl.config import RunConfig

FOLDER = Path(__file__).parent / "peers" / "imitation"

Option = str | float | bool


def install() -> None:
    """Make imitation's environment if it is not there yet; downloads a gigabyte the first time."""
    subprocess.run(["make", "--silent", "-C", str(FOLDER)], check=True)


def shared_options(config: RunConfig, reward: str) -> dict[str, Option]:
    """Return the options of "ppo" that are the same on both sides: the agent, its steps and labels, the segments.

    The learning rate begins where ours does. Where ours falls, it falls too, but not on preferences: imitation
    calls `learn` once per iteration, which has SB3 begin such a schedule anew.

    Args:
        config: Our settings.
        reward: What the agent learns from, as `measure.py` calls it.
    """
    agent = config.agent.settings
    rate = str(agent["learning_rate"])
    return {
        "task": config.task,
        "reward": reward,
        "total_timesteps": config.total_timesteps,
        "n_comparisons": config.labels,
        "segment_steps": config.segment_length,
        "n_envs": config.agent.n_envs,
        "log_std_init": config.agent.log_std_init,
        **{name: agent[name] for name in ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda")},
        "learning_rate": rate.removeprefix("lin_"),
        "falling_rate": rate.startswith("lin_") and reward != "preferences",
        "seed": config.seed,
    }


def command(part: str, **options: Option) -> list[str]:
    """Return the command of one measurement.

    Args:
        part: "reward" or "ppo".
        **options: Options of `measure.py`, with underscores; those without a value are True or False.
    """
    given = [str(FOLDER / ".venv" / "bin" / "python"), str(FOLDER / "measure.py"), part]
    for name, value in options.items():
        if value is not False:
            given += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return given


def environment() -> dict[str, str]:
    """Return the environment variables of a measurement: one thread, and no progress bars."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}


def measure(part: str, **options: Option) -> dict[str, Any]:
    """Run one measurement in a process of its own; arguments as `command` takes them."""
    given = command(part, **options)
    done = subprocess.run(given, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(given)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
