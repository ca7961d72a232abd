"""The teacher of a run, made of its settings; what a teacher needs of other runs is read, and kept, here."""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from prefrl.config import RunConfig
from prefrl.feedback import People, ShuffledTeacher, Teacher, make_teacher
from prefrl.runs.folder import RunFolder
from prefrl.runs.value_function import ValueFunction, value_function_of
from prefrl.seeding import Streams


def run_teacher(config: RunConfig, folder: RunFolder) -> Teacher | People:
    """Return whoever compares in a run.

    Args:
        config: The settings of the run.
        folder: The run; value functions of others are copied to it.

    Raises:
        SettingError: There is no such teacher, or a setting of it cannot be.
        RunError: A value function cannot be had from the run that was named.
    """
    seeds = Streams(config.seed)
    settings = _with_values(config.teacher, config.teacher_settings, config, folder)
    teacher = make_teacher(config.teacher, settings, seed=seeds.integer("teacher"))
    if not config.shuffle_labels or isinstance(teacher, People):
        return teacher
    return ShuffledTeacher(teacher, seed=seeds.integer("shuffled-labels"))


def _with_values(name: object, settings: Any, config: RunConfig, folder: RunFolder) -> Any:
    """Return the settings of a teacher with value functions where runs were named, also of teachers inside it."""
    if not isinstance(settings, Mapping):
        return settings  # which its teacher refuses
    changed = dict(settings)
    if name == "regret" and isinstance(settings.get("values_from"), str) and settings["values_from"]:
        values = _kept_values(settings["values_from"], config, folder)
        changed |= {"value": values, "gamma": values.gamma}
    if "teacher_settings" in settings:
        inner = settings.get("teacher", "simulated")
        changed["teacher_settings"] = _with_values(inner, settings["teacher_settings"], config, folder)
    if isinstance(settings.get("people"), list):
        changed["people"] = [_with_values(None, person, config, folder) for person in settings["people"]]
    return changed


def _kept_values(said: str, config: RunConfig, folder: RunFolder) -> ValueFunction:
    """Return a value function of which the run keeps a copy."""
    kept = folder.value_functions / f"{blake2b(said.encode(), digest_size=8).hexdigest()}.safetensors"
    if not kept.exists():
        value_function_of(Path(said), config).save(kept)
    return ValueFunction.load(kept)
