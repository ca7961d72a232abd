"""The command that does a run again."""

from collections.abc import Mapping
from typing import Any

import yaml

from prefrl.config import flat, load_preset
from prefrl.errors import PrefRLError
from prefrl.report.data import RunData

_ON_COMMAND_LINE = ("task", "algo", "reward", "labels", "total_timesteps", "seed", "shuffle_labels")


def command_again(run: RunData) -> tuple[str, str | None]:
    """Return the command that does the run again, and the settings file it needs beside it, if any."""
    config = run.config
    words = ["prefrl train", str(config.get("task"))]
    words += [f"--{name.replace('_', '-')} {config.get(name)}" for name in _ON_COMMAND_LINE[1:-1]]
    if config.get("shuffle_labels"):
        words.append("--shuffle-labels")
    own = _own_settings(config)
    if own:
        words.append("--config settings.yaml")
    words.append(f"--out runs/{run.name}-again")
    return " ".join(words), yaml.safe_dump(own, sort_keys=False) if own else None


def _own_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that neither the preset nor the command line gives, nested as in a settings file."""
    try:
        preset = load_preset(str(config.get("task")), str(config.get("algo"))).to_json()
    except PrefRLError:  # a task or algorithm that this version does not have: then all settings matter
        preset = {}
    given = flat(preset)
    own: dict[str, Any] = {}
    for name, value in flat(config).items():
        if name not in _ON_COMMAND_LINE and (name not in given or given[name] != value):
            *parents, leaf = name.split(".")
            place = own
            for parent in parents:
                place = place.setdefault(parent, {})
            place[leaf] = value
    return own
