"""The command line: `prefrl train | label | resume | evaluate | report | tasks | doctor`.

Torch is imported only inside the commands that need it, so that `--help` answers at once.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from prefrl import __version__
from prefrl.config import RunConfig, load_preset
from prefrl.errors import InterruptedRunError, PrefRLError, SettingError
from prefrl.labeling_page import LabelingPage, page_command

DESCRIPTION = "Train agents from comparisons of short clips of behaviour."
EXIT_LACKS = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Where a training reads and writes, besides the settings of the run."""

    config: Path | None = None
    """YAML file with settings, as in the run's config.json; they win over the preset's."""

    out: Path | None = None
    """Folder of the run; by default runs/TASK-ALGO-SEED, with a number where that exists."""
    page: bool = True
    """Serve the labelling page where people are the teachers; else `prefrl label` does."""
    port: int = 0
    """Where the labelling page is served; 0 takes a free port."""
    json: bool = False
    """Print the evaluation as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class ResumeCommand:
    """Go on with a run after a stop, a crash or a kill."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    page: bool = True
    """Serve the labelling page where people are the teachers; else `prefrl label` does."""
    port: int = 0
    """Where the labelling page is served; 0 takes a free port."""
    json: bool = False
    """Print the evaluation as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand:
    """Measure the true return of a run's policy, and its task metrics."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    episodes: int | None = None
    """Episodes to play; by default as many as the run's settings say."""
    seed: int = 0
    """Decides the episodes."""
    video: Path | None = None
    """Where the clip of one episode goes (MP4); by default clip.mp4 in the run."""
    json: bool = False
    """Print the evaluation as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write one HTML page with plots and clips, of one run or of several side by side."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of the runs."""
    out: Path | None = None
    """The page; by default report.html in the (first) run."""
    json: bool = False
    """Print the page's path as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class TasksCommand:
    """List the tasks that have a preset."""

    json: bool = False
    """Print them as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class DoctorCommand:
    """Try what prefrl needs of this machine, and say what is missing and how to mend it."""

    json: bool = False
    """Print the findings as one JSON object on stdout, and nothing else there."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 2 for a mistake of the user's, 130 after Ctrl-C."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    warnings.showwarning = _show_warning
    sys.path.append(str(Path.cwd()))  # where somebody's own environment may lie; last, so that it hides nothing
    try:
        _dispatch(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output (`| head`) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (PrefRLError, OSError, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"prefrl: {_sentence(error)}\n")
        interrupted = isinstance(error, InterruptedRunError | KeyboardInterrupt)
        sys.exit(EXIT_INTERRUPTED if interrupted else EXIT_USER_ERROR)


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """Show what a warning says; where in the code it arose tells a user nothing."""
    plain = re.sub(r"\x1b\[[0-9;]*m|WARN: ", "", str(message))  # gymnasium colours its warnings
    sys.stderr.write(f"prefrl: warning: {plain}\n")


def _sentence(error: BaseException) -> str:
    """Return what went wrong; what the system refuses (a full disk, say) comes without our advice."""
    if isinstance(error, KeyboardInterrupt):
        return "Stopped."
    return f"{error}; mend that and repeat." if isinstance(error, OSError) else str(error)


def help_texts() -> dict[str, str]:
    """Return the help of the program and of each command, for the docs."""
    texts = {}
    for name in ("", *COMMANDS):
        if name == "label":  # a process of its own, whose output cannot be redirected here
            texts[name] = subprocess.run(
                page_command(["--help"]), capture_output=True, text=True, check=True
            ).stdout
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            _dispatch([name, "--help"] if name else ["--help"])
        texts[name] = out.getvalue()
    return texts


def _dispatch(arguments: Sequence[str]) -> None:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        _write(_overview())
        return
    if name == "--version":
        _write(f"prefrl {__version__}")
        return
    if name not in COMMANDS:
        raise SettingError(f"There is no command {name!r}; there are {', '.join(COMMANDS)} (`prefrl --help`).")
    COMMANDS[name][1](arguments[1:])


def _overview() -> str:
    lines = [DESCRIPTION, "", "usage: prefrl COMMAND [OPTIONS]   (prefrl COMMAND --help tells more)", ""]
    lines += [f"  {name:<10} {summary}" for name, (summary, _) in COMMANDS.items()]
    lines += ["", "Every command takes --debug, which shows where an error came from.", "", "Start with:"]
    lines += ["  prefrl train hopper-backflip --out runs/first"]
    return "\n".join(lines)


def _train(arguments: Sequence[str]) -> None:
    options, config = _train_settings(arguments)
    _check_environment(config)
    from prefrl.console import TrainingDisplay
    from prefrl.runs import start

    out = options.out or _free_folder(config)
    with (
        _results_only(),
        TrainingDisplay(f"{config.task}, {config.algo}") as display,
        _page(config, display.say, options) as page,
    ):
        result = start(config, out, display, opened=page.open)
    _finished(out, result, as_json=options.json)


def _check_environment(config: RunConfig) -> None:
    """Say at once, before torch is imported, that there is no such environment."""
    from prefrl.env_errors import explain_env_errors
    from prefrl_envs.ids import find_spec

    with _results_only(), explain_env_errors(config):  # an imported module may print
        find_spec(config.env_id)


def _results_only() -> contextlib.redirect_stdout[Any]:
    """Send to stderr what somebody's environment, or a library of its, prints: stdout is for results."""
    return contextlib.redirect_stdout(sys.stderr)


def _page(config: RunConfig, say: Callable[[str], None], options: TrainOptions | ResumeCommand) -> LabelingPage:
    return LabelingPage(say, wanted=options.page and config.teacher == "human", port=options.port)


def _train_settings(arguments: Sequence[str]) -> tuple[TrainOptions, RunConfig]:
    """Look at the task, the algorithm and the file first: they decide the defaults of everything else."""
    help_only = not arguments or "-h" in arguments or "--help" in arguments
    task = "hopper-backflip" if not arguments or arguments[0].startswith("-") else arguments[0]
    if not help_only and arguments[0].startswith("-"):
        raise SettingError(f"The task comes first: prefrl train TASK [OPTIONS]. Received {arguments[0]!r}.")
    file = _peek(arguments, "--config")
    algo, teacher = _peek(arguments, "--algo"), _peek(arguments, "--teacher")
    preset = load_preset(task, algo, Path(file) if file else None, teacher=teacher)
    default = _TrainCommand(options=TrainOptions(), config=preset)
    command = _parse("train", _TrainCommand, arguments or ["--help"], default=default)
    return command.options, command.config


def _resume(arguments: Sequence[str]) -> None:
    command = _parse("resume", ResumeCommand, arguments)
    from prefrl.console import TrainingDisplay
    from prefrl.runs import RunFolder, resume

    config = RunFolder.open(command.run).config()
    with (
        _results_only(),
        TrainingDisplay(f"resuming {command.run}") as display,
        _page(config, display.say, command) as page,
    ):
        result = resume(command.run, display, opened=page.open)
    _finished(command.run, result, as_json=command.json)


def _label(arguments: Sequence[str]) -> None:
    """Become the page's process, so that whoever stops this command stops the page."""
    sys.stdout.flush()
    command = page_command(arguments)
    os.execv(command[0], command)


def _evaluate(arguments: Sequence[str]) -> None:
    command = _parse("evaluate", EvaluateCommand, arguments)
    from prefrl.runs import RunFolder, evaluate

    folder = RunFolder.open(command.run)
    with _results_only(), folder.locked():
        result = evaluate(folder, episodes=command.episodes, seed=command.seed, video=command.video)
    if command.json:
        _write(json.dumps(result))
        return
    _write(_summary(result))
    video = command.video or folder.clip
    _write(f"clip: {video}" if video.exists() else folder.clip_error.read_text().strip())


def _report(arguments: Sequence[str]) -> None:
    command = _parse("report", ReportCommand, arguments)
    from prefrl.report import write_report

    page = write_report(command.runs, command.out)
    _write(json.dumps({"report": str(page)}) if command.json else str(page))


_FAMILIES = {
    "behaviour": "Behaviours that no task of gymnasium's rewards",
    "mujoco": "MuJoCo, the eight tasks of the paper and Humanoid (`--oracle paper` where there is one)",
    "small": "Small ones, for minutes and for tests",
    "atari": "Atari",
}


def _tasks(arguments: Sequence[str]) -> None:
    command = _parse("tasks", TasksCommand, arguments)
    from prefrl_envs.tasks import TASKS

    if command.json:
        _write(json.dumps({name: task.facts() for name, task in TASKS.items()}))
        return
    for family, tasks in groupby(TASKS.values(), key=lambda task: task.family):
        _write(f"{_FAMILIES.get(family, family)}:\n")
        for task in tasks:
            counted = f" Counts {', '.join(task.metrics)}." if task.metrics else ""
            _write(f"{task.name}: {task.description} {task.horizon} steps.{counted}")
            _write(f"    asked:  {task.question}")
            _write(f"    oracle: {task.oracle}")
            if task.paper_oracle:
                _write(f"    paper:  {task.paper_oracle}")
            if task.extra is not None:
                lacks = "" if task.extra.is_installed else ", which is not installed"
                _write(f"    needs:  {task.extra.package}{lacks}: {task.extra.command}")
        _write("")
    _write("Any gymnasium id works too: prefrl train Hopper-v5, prefrl train my_pkg:MyEnv-v0.")


def _doctor(arguments: Sequence[str]) -> None:
    command = _parse("doctor", DoctorCommand, arguments)
    from prefrl.runs.doctor import examine

    checks = examine()
    if command.json:
        _write(json.dumps({"checks": [check._asdict() for check in checks]}))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            found = "ok" if check.ok else "LACKS" if check.needed else "lacks"
            _write(f"{found:<6} {check.name:<{width}}  {check.detail}")
            if check.mend:
                _write(f"{'':<6} {'':<{width}}  mend: {check.mend}")
    if not all(check.ok for check in checks if check.needed):
        sys.exit(EXIT_LACKS)


def _finished(folder: Path, result: dict[str, Any], *, as_json: bool) -> None:
    from prefrl.report import write_report

    report = write_report([folder])
    if as_json:
        _write(json.dumps(result))
        return
    _write(_summary(result))
    _write(f"report: {report}")


def _summary(result: dict[str, Any]) -> str:
    true = result["true_return"]
    parts = [f"true return {true['mean']:.1f} ± {true['std']:.1f} over {true['episodes']} episodes"]
    parts += [f"{value:.2f} {name.replace('_', ' ')}" for name, value in result["metrics"].items()]
    if result["labels"]:
        parts.append(f"{result['labels']} labels")
    parts.append(f"{result['num_timesteps']:,} steps in {result['training_seconds']:.0f} s")
    return ", ".join(parts)


def _free_folder(config: RunConfig) -> Path:
    """Return a folder for a run that was given none, and that does not exist yet."""
    name = config.task.replace("/", "-").replace(":", "-")
    first = Path("runs") / f"{name}-{config.algo}-{config.seed}"
    path, number = first, 2
    while path.exists():
        path, number = first.with_name(f"{first.name}-{number}"), number + 1
    return path


def _peek(arguments: Sequence[str], option: str) -> str | None:
    """Return the value of an option, without taking it away."""
    for index, argument in enumerate(arguments):
        if argument == option and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
    return None


def _parse(name: str, command: type[C], arguments: Sequence[str], *, default: C | None = None) -> C:
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


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


@dataclass(frozen=True, kw_only=True)
class _TrainCommand:
    """Train an agent, evaluate it and write the report. The task comes first and decides the defaults."""

    options: Annotated[TrainOptions, tyro.conf.arg(name="")]
    config: Annotated[RunConfig, tyro.conf.arg(name="")]


COMMANDS: dict[str, tuple[str, Callable[[Sequence[str]], None]]] = {
    "train": ("train an agent, evaluate it and write the report", _train),
    "label": ("serve the page on which people compare a run's clips", _label),
    "resume": ("go on with a run after a stop, a crash or a kill", _resume),
    "evaluate": ("measure the true return and the task metrics of a run's policy", _evaluate),
    "report": ("write one HTML page with plots and clips, of one run or several", _report),
    "tasks": ("list the tasks that have a preset", _tasks),
    "doctor": ("say what this machine has and lacks, and how to mend it", _doctor),
}
