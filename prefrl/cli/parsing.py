"""What goes in and out: arguments become settings, every mistake in them a sentence, and results are written."""

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import tyro

from prefrl.cli.options import TrainCommand, TrainOptions
from prefrl.config import RunConfig, load_preset
from prefrl.errors import SettingError

if TYPE_CHECKING:
    from prefrl.feedback.teacher_fit import TeacherFit

C = TypeVar("C")

LIKE = "like:"
"""What the name of a teacher begins with that is to be like those who answered in a run."""
REGRET = "regret:"
"""What that of a teacher begins with who takes the critic of a run for what could have been got."""


def parse(name: str, command: type[C], arguments: Sequence[str], *, default: C | None = None) -> C:
    """Read the arguments of one command; tyro prints help, and mistakes in the arguments, and exits.

    Raises:
        SettingError: A value is of the right type and cannot be; tyro's own words for it would be a box.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                command,
                prog=f"prefrl {name}",
                args=list(arguments),
                default=tyro.MISSING_NONPROP if default is None else default,
            )
    except SystemExit as end:
        cause: BaseException | None = end
        while cause is not None and not isinstance(cause, SettingError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            raise cause from None
        sys.stderr.write(said.getvalue())
        raise


def train_settings(arguments: Sequence[str]) -> tuple[TrainOptions, RunConfig]:
    """Look at the task, the algorithm and the file first: they decide the defaults of everything else."""
    help_only = not arguments or "-h" in arguments or "--help" in arguments
    task = "hopper-backflip" if not arguments or arguments[0].startswith("-") else arguments[0]
    if not help_only and arguments[0].startswith("-"):
        raise SettingError(f"The task comes first: prefrl train TASK [OPTIONS]. Received {arguments[0]!r}.")
    file = _peek(arguments, "--config")
    algo, teacher = _peek(arguments, "--algo"), _peek(arguments, "--teacher")
    from_labels = _peek(arguments, "--from-labels")
    likeness: TeacherFit | None = None
    values_from = ""
    if teacher is not None and teacher.startswith(LIKE) and not help_only:
        likeness, arguments = _likeness(teacher, task), _named(arguments, teacher, "simulated")
        teacher = "simulated"
    elif teacher is not None and teacher.startswith(REGRET) and not help_only:
        values_from, arguments = teacher.removeprefix(REGRET), _named(arguments, teacher, "regret")
        teacher = "regret"
    preset = load_preset(task, algo, Path(file) if file else None, teacher=teacher, from_labels=from_labels)
    if likeness is not None:
        # A fault that was found not to be there is not written down, and replaces what the task says all the same.
        others = {name: one for name, one in preset.teacher_settings.items() if name not in likeness.fitted}
        preset = replace(preset, teacher_settings=others | likeness.settings())
    if values_from:
        preset = replace(preset, teacher_settings=preset.teacher_settings | {"values_from": values_from})
    default = TrainCommand(options=TrainOptions(), config=preset)
    command = parse("train", TrainCommand, arguments or ["--help"], default=default)
    return command.options, command.config


def _likeness(teacher: str, task: str) -> "TeacherFit":
    """Return the simulated teacher that is like those who answered in a run."""
    from prefrl.runs.fitted_teacher import fit_run

    return fit_run(Path(teacher.removeprefix(LIKE)), task=task)


def _named(arguments: Sequence[str], teacher: str, name: str) -> list[str]:
    """Return the arguments with the name of a teacher in place of one that names a run, too."""
    named = {teacher: name, f"--teacher={teacher}": f"--teacher={name}"}
    return [named.get(argument, argument) for argument in arguments]


def _peek(arguments: Sequence[str], option: str) -> str | None:
    """Return the value of an option, without taking it away."""
    for index, argument in enumerate(arguments):
        if argument == option and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
    return None


def write(text: str) -> None:
    """Write a result to stdout."""
    sys.stdout.write(f"{text}\n")
