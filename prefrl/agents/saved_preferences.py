"""A `PreferenceLearning` in a file: all that a script needs to go on after a stop, but for policy and store.

One safetensors file, whole or not there: the arrays of all parts, and as its metadata the settings and all other
values, as JSON. No code is in it, and none is run when it is read.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents.environments import frame_stack_of
from prefrl.errors import SettingError, StoreError
from prefrl.files import write_whole
from prefrl.parts import Arrays, Json
from prefrl.segments import space_to_json
from prefrl.settings import FeedbackSettings, RestartSettings, RewardSettings
from prefrl.store import Store

if TYPE_CHECKING:
    from prefrl.agents.preference_learning import PreferenceLearning

FORMAT_VERSION = 1
KEY = "prefrl"
"""Of the JSON among the file's metadata."""


class Saved(NamedTuple):
    """What such a file holds."""

    n_labels: int
    seed: int
    feedback: FeedbackSettings
    reward: RewardSettings
    """Of the ensemble."""
    reward_seed: int
    training: RewardSettings
    """Of the trainer, which may have been given others than the ensemble's."""
    training_seed: int
    restarts: RestartSettings
    answers: list[Json]
    """Of each run of the store its number, that of its last answer, and a hash of all that was said until then."""
    arrays: Arrays
    values: Json


def write_preferences(preferences: "PreferenceLearning", path: Path) -> None:
    """Write the file.

    Raises:
        OSError: It cannot be written; one that was there is untouched.
    """
    arrays, values = preferences.state()
    document = {
        "format_version": FORMAT_VERSION,
        "environments": _environments(preferences.venv),
        "n_labels": preferences.plan_of_labels.n_labels,
        "seed": preferences.seed,
        "feedback": asdict(preferences.feedback),
        "reward": asdict(preferences.reward_model.settings),
        "reward_seed": preferences.reward_model.seed,
        "training": asdict(preferences.trainer.settings),
        "training_seed": preferences.trainer.seed,
        "restarts": asdict(preferences.restarts.settings),
        "answers": _answers(preferences.store),
        "state": values,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_whole(path, save(contiguous, metadata={KEY: json.dumps(document)}))


def read_preferences(path: Path, venv: VecEnv) -> Saved:
    """Read the file, for these environments.

    Raises:
        SettingError: It is missing, damaged or of a later format, or was made with other environments.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            document = json.loads((file.metadata() or {})[KEY])
            version, was = document["format_version"], document["environments"]
            if version > FORMAT_VERSION:
                raise SettingError(f"{path} has format {version}, and this prefrl reads up to {FORMAT_VERSION}.")
            _check_same(path, was, _environments(venv))
            return Saved(
                n_labels=document["n_labels"],
                seed=document["seed"],
                feedback=TypeAdapter(FeedbackSettings).validate_python(document["feedback"]),
                reward=TypeAdapter(RewardSettings).validate_python(document["reward"]),
                reward_seed=document["reward_seed"],
                training=TypeAdapter(RewardSettings).validate_python(document["training"]),
                training_seed=document["training_seed"],
                restarts=TypeAdapter(RestartSettings).validate_python(document["restarts"]),
                answers=document.get("answers", []),
                arrays={name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118 - it is no mapping
                values=document["state"],
            )
    except SettingError:  # says what is the matter already
        raise
    except (OSError, SafetensorError, ValidationError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"There is no readable PreferenceLearning in {path}: {error}.") from error


def check_answers(path: Path, answers: list[Json], store: Store) -> None:
    """Refuse a store that is not the one of the file: other labels may have the same numbers.

    Raises:
        StoreError: An answer or a query of then is missing or another one.
    """
    for run in answers:
        if store.digest(run["run"], run["until"]) != run["digest"]:
            raise StoreError(
                f"The store is not the one that {path} was saved with: of the first {run['until']} answers some "
                "are missing or other ones."
            )


def _answers(store: Store) -> list[Json]:
    """Return what the store holds now, by run."""
    said = []
    for run in store.runs():
        answers = store.answers(run=run.id)
        until = answers[-1].seq if answers else 0
        said.append({"run": run.id, "until": until, "digest": store.digest(run.id, until)})
    return said


def _environments(venv: VecEnv) -> Json:
    """Return what environments must have in common with those of the file."""
    return {
        "observations": space_to_json(venv.observation_space),
        "actions": space_to_json(venv.action_space),
        "stacked frames": frame_stack_of(venv),
        "number": venv.num_envs,
    }


def _check_same(path: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name, expected in was.items():
        if json.dumps(expected) != json.dumps(now[name]):
            raise SettingError(
                f"{path} was saved with other environments. Expected {name} {expected}. Received {now[name]}."
            )
