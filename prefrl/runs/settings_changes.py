"""Which settings of a run may change after it began, and the refusal of those that may not.

A checkpoint keeps the settings that its training had; what `config.json` says now is compared with them. So an
edit of that file is either meant, or refused by its name; it is never ignored or mixed in.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefrl.config import CHANGEABLE, RunConfig, flat
from prefrl.errors import RunError, SettingError
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.folder import RunFolder, hash_of_fixed

_CHANGEABLE = f"what can change is {', '.join(CHANGEABLE)}"


def latest_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """Return the newest checkpoint of a run, or None; and see that the settings are still its own.

    Raises:
        RunError: It is damaged, settings were edited that may not change, or there never was a training.
    """
    saved = checkpoints(folder.checkpoints)
    if not saved:
        description = folder.description()
        if "imported" in description:
            raise RunError(f"{folder.path} holds labels that were imported, and no training to go on with.")
        check_unchanged_from_start(folder.path, description)
        return None
    checkpoint = Checkpoint(saved[-1])
    check_unchanged(folder.path, folder.config(), checkpoint)
    return checkpoint


def check_unchanged(path: Path, now: RunConfig, checkpoint: Checkpoint) -> None:
    """Refuse settings that are others than those of the checkpoint and may not be.

    Args:
        path: The folder of the run.
        now: The settings in its `config.json`.
        checkpoint: Where to go on, or what to evaluate; one of an early format knows no settings.

    Raises:
        RunError: It names them.
    """
    if checkpoint.config is None:
        return
    before, after = flat(RunConfig.from_saved(checkpoint.config).to_json()), flat(now.to_json())
    changed = [
        f"`{name}` (from {before.get(name)!r} to {after.get(name)!r})"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name) and name not in CHANGEABLE
    ]
    if changed:
        raise RunError(
            f"{path / 'config.json'} was edited since the checkpoint {checkpoint.folder.name}: "
            f"{', '.join(changed)} cannot change in the middle of a run; put back what it was, or train anew "
            f"({_CHANGEABLE})."
        )


def check_unchanged_from_start(path: Path, description: Mapping[str, Any]) -> None:
    """Refuse other settings than those a run without a checkpoint was started with.

    Args:
        path: The folder of the run.
        description: The content of its `config.json`; an early one has no hash of its settings.

    Raises:
        RunError: They are others.
    """
    expected = description.get("fixed_settings_sha256")
    if expected is not None and expected != hash_of_fixed(description["config"]):
        raise RunError(
            f"{path / 'config.json'} was edited after the run had begun; put back what it was, or train anew "
            f"({_CHANGEABLE})."
        )


def extended(config: RunConfig, *, labels: int | None, total_timesteps: int | None) -> RunConfig:
    """Return the settings with another budget of labels, of steps, or of both.

    Raises:
        SettingError: They do not go together, or labels are asked for where nobody is asked.
    """
    if labels is not None and config.reward != "preferences":
        raise SettingError(f"`labels` needs reward=preferences. Received {labels} with reward={config.reward}.")
    return replace(
        config,
        labels=config.labels if labels is None else labels,
        total_timesteps=config.total_timesteps if total_timesteps is None else total_timesteps,
    )


def check_budget(config: RunConfig, checkpoint: Checkpoint) -> None:
    """Refuse a budget of labels or steps below what is used up, and new labels where no steps are left.

    Raises:
        RunError: It says how large the budget has to be.
    """
    steps, labels = checkpoint.num_timesteps, checkpoint.progress["labels"]
    before = config if checkpoint.config is None else RunConfig.from_saved(checkpoint.config)
    if config.total_timesteps < min(steps, before.total_timesteps):
        raise RunError(
            f"`total_timesteps` must not be below the {steps} steps that the run has taken. Received "
            f"{config.total_timesteps}."
        )
    if config.reward == "preferences" and config.labels < min(labels, before.labels):
        raise RunError(
            f"`labels` must not be below the {labels} comparisons that the run has learned from. Received "
            f"{config.labels}."
        )
    if config.labels > before.labels and config.total_timesteps <= steps:
        proportional = round(before.total_timesteps * config.labels / max(before.labels, 1))
        raise RunError(
            f"More labels need more steps, and the training has taken all {config.total_timesteps} of its own: "
            f"say by how many it goes on, such as --total-timesteps {proportional}. Received labels="
            f"{config.labels} alone."
        )
