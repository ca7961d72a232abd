"""Labels of another run, with which a new one begins: it keeps a copy of its own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents.environments import frame_stack_of
from prefrl.agents.old_labels import OldLabels
from prefrl.config import RunConfig
from prefrl.errors import RunError
from prefrl.files import read_json
from prefrl.runs.folder import CONFIG_FILE
from prefrl.store import RunAbout, Store
from prefrl.store.typed_json import decode_record, encode_record


def old_labels_of(config: RunConfig, store: Store, environments: VecEnv) -> OldLabels:
    """Return what a training does with the labels in its store; those that it begins with are copied first, once.

    The run of the training is the newest in its store, from when it has begun. So one that was killed before its
    first checkpoint finds the copy there, and learns it again.

    Args:
        config: Of the run.
        store: Of the run.
        environments: Of the run, frames stacked.

    Raises:
        RunError: There are no labels where they are said to be, or they are about something else.
        StoreError: They cannot be read or written. Nothing was copied then.
    """
    if not config.from_labels:
        return "replay"
    runs = store.runs()
    if not runs:
        _copy(config, store, environments)
        return "learn"
    newest = runs[-1].about
    return "replay" if newest is not None and not newest.origin else "learn"


def _copy(config: RunConfig, store: Store, environments: VecEnv) -> None:
    source = Path(config.from_labels)
    if not (source / "store.sqlite").is_file():
        raise RunError(
            f"`from_labels` is {source}, which has no labels: there is no store.sqlite in it; give the folder of "
            "a run."
        )
    _check_same_task(config, source)
    with Store(source) as old:
        for run in old.runs():
            _check_same_spaces(run.about, environments, source)
        if not old.counts().comparisons:
            raise RunError(
                f"`from_labels` is {source}, which has no labels yet: nobody has answered; wait for the first."
            )
        rows = old.label_rows()
        rows["run"] = [_from(source, row) for row in rows["run"]]
        segment_ids = dict.fromkeys(row["segment_id"] for row in rows["query_segment"])
        store.fill(rows, map(old.segment, segment_ids))


def _from(source: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a run with a note of where it was."""
    if row["about"] is None:
        return dict(row)
    return {**row, "about": encode_record(replace(decode_record(RunAbout, row["about"]), origin=str(source)))}


def _check_same_task(config: RunConfig, source: Path) -> None:
    """Refuse labels that answer another question; what was imported may not say which it was."""
    if not (source / CONFIG_FILE).is_file():
        return
    was = read_json(source / CONFIG_FILE).get("config", {}).get("env_id", "")
    if was and was != config.env_id:
        raise RunError(
            f"`from_labels` is {source}, whose labels are about {was}, and the training is in {config.env_id}; "
            "what is better in the one need not be in the other."
        )


def _check_same_spaces(about: RunAbout | None, environments: VecEnv, source: Path) -> None:
    if about is None:
        return
    now = RunAbout.of(
        environments.observation_space,
        environments.action_space,
        segment_length=about.segment_length,
        frame_stack=frame_stack_of(environments),
    )
    for name in ("observation_space", "action_space", "frame_stack"):
        then, here = getattr(about, name), getattr(now, name)
        if then != here:
            raise RunError(
                f"The labels in {source} are of environments with {name.replace('_', ' ')} {then}, and the "
                f"training's have {here}."
            )
