"""The folder of a run: what lies where, who may write in it, and how files get there whole.

config.json                 the resolved settings, versions, git revision
store.sqlite, segments/     queries and answers, and the clips they are about
log/metrics.jsonl           one line per rollout
log/tensorboard/, log/wandb* the same for TensorBoard and Weights & Biases, where they are switched on
checkpoints/STEPS/          all a training needs to go on
reward_model/               the learned reward
value_functions/            what a regret teacher takes for V*
evaluation.json, clip.mp4   what the policy does
report.html, report/*.csv   the same to look at
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefrl.config import CHANGEABLE, RunConfig, flat, upgraded
from prefrl.errors import RunError
from prefrl.files import read_json, write_json

CONFIG_FILE, METRICS_FILE, LOCK_FILE = "config.json", "log/metrics.jsonl", "lock"
PACKAGES = ("torch", "stable-baselines3", "sb3-contrib", "gymnasium", "mujoco", "numpy")


class RunFolder:
    """A folder that holds one run.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made_parents: list[Path] = []

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints, one folder each, named by the number of steps."""
        return self.path / "checkpoints"

    @property
    def reward_model(self) -> Path:
        """Folder of the learned reward."""
        return self.path / "reward_model"

    @property
    def value_functions(self) -> Path:
        """Folder of copies of other runs' critics, by which a regret teacher goes."""
        return self.path / "value_functions"

    @property
    def evaluation(self) -> Path:
        """What the policy does, in numbers."""
        return self.path / "evaluation.json"

    @property
    def evaluation_states(self) -> Path:
        """One episode of the evaluation, step by step."""
        return self.path / "evaluation_states.safetensors"

    @property
    def clip(self) -> Path:
        """A clip of that episode."""
        return self.path / "clip.mp4"

    @property
    def clip_error(self) -> Path:
        """Why there is no clip, where there is none."""
        return self.path / "clip_error.txt"

    @property
    def report(self) -> Path:
        """The page with everything to look at."""
        return self.path / "report.html"

    @property
    def metrics(self) -> Path:
        """File with one line of metrics per rollout."""
        return self.path / METRICS_FILE

    @property
    def tensorboard(self) -> Path:
        """Folder of the log for TensorBoard."""
        return self.path / "log" / "tensorboard"

    @property
    def wandb(self) -> Path:
        """What the log for Weights & Biases goes on with: its id there, and the last step."""
        return self.path / "log" / "wandb.json"

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> "RunFolder":
        """Make the folder of a new run, with its settings in it, whole or not at all.

        Raises:
            RunError: Something is there already, or the folder cannot be written.
        """
        check_free(path)
        settings = config.to_json()
        description = {
            "config": settings,
            "fixed_settings_sha256": hash_of_fixed(settings),
            "versions": versions(),
            "git_revision": git_revision(),
            "created": _now(),
        }
        folder = cls(path)
        folder._made_parents = [parent for parent in path.parents if not parent.exists()]
        draft = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            (draft / "log").mkdir(parents=True)
            write_json(draft / CONFIG_FILE, description)
            draft.rename(path)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            folder._remove_parents()
            raise RunError(f"The run folder {path} cannot be made: {error}.") from error
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return the folder of a run that was started before.

        Raises:
            RunError: There is no run in it.
        """
        if not (path / CONFIG_FILE).is_file():
            raise RunError(f"{path} is no run: it has no {CONFIG_FILE}; give the folder that `train` made.")
        return cls(path)

    def discard(self) -> None:
        """Remove the folder of a run that could not start, and the folders that were made for it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._remove_parents()

    def _remove_parents(self) -> None:
        with suppress(OSError):  # another run has begun there
            for parent in self._made_parents:
                parent.rmdir()

    def change_config(self, config: RunConfig) -> None:
        """Write other settings down, and when they changed; do nothing where they are the same.

        Raises:
            RunError: The file is damaged.
            OSError: It cannot be written.
        """
        description = self.description()
        before, after = flat(self.config().to_json()), flat(config.to_json())
        changed = {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}
        if changed:
            changes = [*description.get("changes", []), {"at": _now(), "settings": changed}]
            settings = config.to_json()
            hashed = {"config": settings, "fixed_settings_sha256": hash_of_fixed(settings)}
            write_json(self.path / CONFIG_FILE, description | hashed | {"changes": changes})

    def config(self) -> RunConfig:
        """Return the run's settings.

        Raises:
            RunError: The file is damaged.
            SettingError: The settings are not this version's.
        """
        return RunConfig.from_saved(self.description()["config"])

    def description(self) -> dict[str, Any]:
        """Return settings (under their present names), versions, git revision and date.

        Raises:
            RunError: The file is damaged.
        """
        values = read_json(self.path / CONFIG_FILE)
        if not isinstance(values.get("config"), dict):
            raise RunError(f"{self.path / CONFIG_FILE} is damaged: it holds no settings; restore it from a copy.")
        return values | {"config": upgraded(values["config"])}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the system lets go of it when the process dies.

        Raises:
            RunError: Another process trains or evaluates here, or the folder cannot be written.
        """
        try:
            file = (self.path / LOCK_FILE).open("w")
        except OSError as error:
            raise RunError(f"The run folder {self.path} cannot be written: {error}.") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"{self.path} is in use by another process; wait for it, or stop it first."
                ) from error
            yield


def check_free(path: Path) -> None:
    """Refuse a place for a new run where something is.

    Raises:
        RunError: It says what is there.
    """
    if (path / CONFIG_FILE).is_file():
        raise RunError(f"{path} exists already; choose another --out, or go on with it by `prefrl resume {path}`.")
    if path.is_dir():
        raise RunError(f"{path} exists already and is no run; choose another --out.")
    if path.exists():
        raise RunError(f"{path} exists and is a file; choose another --out.")


def hash_of_fixed(settings: Mapping[str, Any]) -> str:
    """Return a hash over the settings that may not change, as they stand in `config.json`."""
    fixed = {name: value for name, value in flat(settings).items() if name not in CHANGEABLE}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Return the versions of prefrl and of what decides a run's numbers."""
    return {name: version(name) for name in ("prefrl", *PACKAGES)}


def git_revision() -> str | None:
    """Return the git commit of the code that runs, with "+" after it if files are changed; None outside git."""
    # Without optional locks: one that is stopped in the middle would leave its lock in somebody's repository.
    command = [
        "git",
        "--no-optional-locks",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty=+",
        "--abbrev=12",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
