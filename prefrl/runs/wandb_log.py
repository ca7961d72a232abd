"""The log of a run for Weights & Biases."""

import os
import secrets
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import Image, KVWriter, filter_excluded_keys

from prefrl.config import RunConfig
from prefrl.errors import RunError
from prefrl.files import read_json, write_json
from prefrl.runs.folder import RunFolder
from prefrl.runs.refit_pictures import Clip
from prefrl_envs.clips import encode_clip

PROJECT = "prefrl"
"""Where a run goes unless `WANDB_PROJECT` says otherwise."""


class WandbLog(KVWriter):
    """Writes lines to a run of Weights & Biases, and goes on with the same one after a stop.

    All of its environment variables work: `WANDB_MODE=offline` sends nothing, `WANDB_PROJECT` names the project.

    Args:
        folder: Of the run, whose name it has there too. What wandb writes lies in `log/wandb`.
        config: The settings, which are shown beside the curves.

    Raises:
        RunError: wandb cannot begin; say, nobody has logged in.
    """

    def __init__(self, folder: RunFolder, config: RunConfig) -> None:
        self._wandb: Any = import_module("wandb")
        self._path = folder.wandb
        self._id, self._until = secrets.token_hex(4), -1
        if self._path.exists():
            known = read_json(self._path)
            self._id, self._until = known["id"], known["until"]
        try:
            self._run = self._wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=folder.path.resolve().name,
                id=self._id,
                resume="allow",
                dir=str(self._path.parent),
                config=config.to_json(),
                allow_val_change=True,  # a run can be extended
                reinit="create_new",  # what the user's own script logs to stays as it is
                settings=self._wandb.Settings(silent=True, console="off"),
            )
        except self._wandb.Error as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise RunError(
                f"Weights & Biases cannot begin: {reason}; `wandb login` or WANDB_MODE=offline mends most of that."
            ) from error
        self._keep_place()

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Send one line, unless it was sent before.

        What a crash undid comes again when the run goes on, and wandb takes nothing back.
        """
        if step <= self._until:
            return
        values = filter_excluded_keys(key_values, key_excluded, "wandb")
        with tempfile.TemporaryDirectory() as folder:  # wandb copies what lies there
            shown = {key: self._shown(value, Path(folder)) for key, value in values.items()}
            self._run.log({key: value for key, value in shown.items() if value is not None}, step=step)
        self._until = step
        self._keep_place()

    def close(self) -> None:
        """Wait until everything is sent."""
        self._run.finish()

    def _shown(self, value: Any, folder: Path) -> Any:
        """Return a value as wandb takes it; None for those it has no place for."""
        if isinstance(value, Image):
            return self._wandb.Image(value.image)
        if isinstance(value, Clip):
            path = folder / "clip.mp4"
            encode_clip(value.frames, path, value.fps)  # wandb's own encoder needs moviepy
            return self._wandb.Video(str(path), format="mp4")
        return value if isinstance(value, np.ScalarType) else None

    def _keep_place(self) -> None:
        write_json(self._path, {"id": self._id, "until": self._until})
