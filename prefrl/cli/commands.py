"""The commands. Torch is imported only inside those that need it, so that `--help` answers at once."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefrl.cli.listings import examine_machine, list_tasks
from prefrl.cli.options import (
    CompareCommand,
    EvaluateCommand,
    ExportCommand,
    HackcheckCommand,
    ImportCommand,
    RefitCommand,
    ReportCommand,
    ResumeCommand,
    RewardCheckCommand,
    TrainOptions,
)
from prefrl.cli.parsing import parse, train_settings, write
from prefrl.cli.tables import hackcheck_words, refit_table, reward_check_table
from prefrl.config import RunConfig
from prefrl.labeling_page import LabelingPage, page_command

if TYPE_CHECKING:
    from prefrl.data import ExportedLabels, ExportedPairs, ImportedLabels


def _train(arguments: Sequence[str]) -> None:
    options, config = train_settings(arguments)
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


def _resume(arguments: Sequence[str]) -> None:
    command = parse("resume", ResumeCommand, arguments)
    from prefrl.console import TrainingDisplay
    from prefrl.runs import RunFolder, resume

    config = RunFolder.open(command.run).config()
    # The run decides what a flag that is not given means.
    as_it_was = ResumeCommand(run=command.run, tensorboard=config.tensorboard, wandb=config.wandb)
    command = parse("resume", ResumeCommand, arguments, default=as_it_was)
    with (
        _results_only(),
        TrainingDisplay(f"resuming {command.run}") as display,
        _page(config, display.say, command) as page,
    ):
        result = resume(
            command.run,
            display,
            labels=command.labels,
            total_timesteps=command.total_timesteps,
            tensorboard=command.tensorboard,
            wandb=command.wandb,
            opened=page.open,
        )
    _finished(command.run, result, as_json=command.json)


def _label(arguments: Sequence[str]) -> None:
    """Become the page's process, so that whoever stops this command stops the page."""
    sys.stdout.flush()
    command = page_command(arguments)
    os.execv(command[0], command)


def _evaluate(arguments: Sequence[str]) -> None:
    command = parse("evaluate", EvaluateCommand, arguments)
    from prefrl.runs import RunFolder, evaluate

    folder = RunFolder.open(command.run)
    with _results_only(), folder.locked():
        result = evaluate(folder, episodes=command.episodes, seed=command.seed, video=command.video)
    if command.json:
        write(json.dumps(result))
        return
    write(_summary(result))
    video = command.video or folder.clip
    write(f"clip: {video}" if video.exists() else folder.clip_error.read_text().strip())


def _refit(arguments: Sequence[str]) -> None:
    command = parse("refit", RefitCommand, arguments)
    from prefrl.console import counted
    from prefrl.runs import RunFolder, refit

    folder = RunFolder.open(command.run)
    # The run decides what a flag that is not given means.
    as_it_was = RefitCommand(run=command.run, reward_model=folder.config().reward_model)
    command = parse("refit", RefitCommand, arguments, default=as_it_was)
    with counted(f"refitting {command.run}") as told:
        result = refit(
            folder, command.reward_model, out=command.out, n_folds=command.folds, seed=command.seed, told=told
        )
    write(json.dumps(result) if command.json else refit_table(result))


def _hackcheck(arguments: Sequence[str]) -> None:
    command = parse("hackcheck", HackcheckCommand, arguments)
    from prefrl.console import TrainingDisplay
    from prefrl.report import write_report
    from prefrl.runs import RunFolder, hackcheck

    folder = RunFolder.open(command.run)
    with _results_only(), TrainingDisplay(f"checking {command.run}") as display:
        result = hackcheck(folder, display, labels=command.labels, total_timesteps=command.total_timesteps)
    frozen = Path(result["run"])
    report = write_report([frozen, command.run], frozen.with_name("report.html"))
    if command.json:
        write(json.dumps(result | {"report": str(report)}))
        return
    write(hackcheck_words(result))
    write(f"report: {report}")


def _reward_check(arguments: Sequence[str]) -> None:
    command = parse("rewardcheck", RewardCheckCommand, arguments)
    from prefrl.console import counted
    from prefrl.runs import RunFolder, reward_check

    folder = RunFolder.open(command.run)
    expert = None if command.expert is None else RunFolder.open(command.expert)
    with _results_only(), counted(f"checking {command.run}") as told:
        result = reward_check(folder, expert=expert, episodes=command.episodes, seed=command.seed, told=told)
    write(json.dumps(result) if command.json else reward_check_table(result))


def _report(arguments: Sequence[str]) -> None:
    command = parse("report", ReportCommand, arguments)
    from prefrl.report import write_report

    page = write_report(command.runs, command.out)
    write(json.dumps({"report": str(page)}) if command.json else str(page))


def _compare(arguments: Sequence[str]) -> None:
    command = parse("compare", CompareCommand, arguments)
    from prefrl.report.comparison_page import COLUMNS, compare_runs, table_rows, write_comparison

    runs = compare_runs(command.runs)
    page = write_comparison(runs, command.out)
    if command.json:
        write(json.dumps({"comparison": str(page), "runs": [run.to_json() for run in runs]}))
        return
    rows = [list(COLUMNS), *table_rows(runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        write("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    for run in runs:
        said = [*run.notes, *(f"{person.name}: {note}" for person in run.people for note in person.notes)]
        for note in dict.fromkeys(said):
            write(f"{run.data.name}: {note}")
    write(str(page))


def _export(arguments: Sequence[str]) -> None:
    command = parse("data export", ExportCommand, arguments)
    from prefrl.data import export_labels, export_pairs

    export = export_pairs if command.format == "trl" else export_labels
    done = export(
        command.run, command.out, names=command.names, number=command.number, question=_question(command.run)
    )
    _moved(done, as_json=command.json)


def _question(run: Path) -> str | None:
    """Return what the task of a run asks, for runs whose teacher needs no question."""
    from prefrl.data.folders import saved_settings
    from prefrl_envs.tasks import TASKS

    task = TASKS.get(str(((saved_settings(run) or {}).get("config") or {}).get("task")))
    return task.question if task else None


def _import(arguments: Sequence[str]) -> None:
    command = parse("data import", ImportCommand, arguments)
    from prefrl.data import import_labels, import_uni_rlhf
    from prefrl.segments import Answer

    if command.source.is_dir():
        done = import_labels(command.source, command.out)
    else:
        options = [Answer(option) for option in command.options]
        done = import_uni_rlhf(command.source, command.trajectories, command.out, options=options)
    _moved(done, as_json=command.json)


def _moved(done: "ExportedLabels | ExportedPairs | ImportedLabels", *, as_json: bool) -> None:
    write(json.dumps(asdict(done) | {"out": str(done.out)}) if as_json else f"{done.out}: {done}")


def _finished(folder: Path, result: dict[str, Any], *, as_json: bool) -> None:
    from prefrl.report import write_report

    report = write_report([folder])
    if as_json:
        write(json.dumps(result))
        return
    write(_summary(result))
    write(f"report: {report}")


def _summary(result: dict[str, Any]) -> str:
    true = result["true_return"]
    parts = [f"true return {true['mean']:.1f} ± {true['std']:.1f} over {true['episodes']} episodes"]
    parts += [f"{value:.2f} {name.replace('_', ' ')}" for name, value in result["metrics"].items()]
    if result["labels"] or result["labels_before"]:
        own, before = result["labels"], result["labels_before"]
        of_others = f"{before} labels of another run" if not own else f" and {before} of another run"
        parts.append((f"{own} labels" if own else "") + (of_others if before else ""))
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


COMMANDS: dict[str, tuple[str, Callable[[Sequence[str]], None]]] = {
    "train": ("train an agent, evaluate it and write the report", _train),
    "label": ("serve the page on which people compare a run's clips", _label),
    "resume": ("go on with a run after a stop, a crash or a kill, or extend a finished one", _resume),
    "evaluate": ("measure the true return and the task metrics of a run's policy", _evaluate),
    "refit": ("fit another reward to the labels of a run, and compare the two", _refit),
    "hackcheck": ("see whether a fresh agent exploits the reward of a run", _hackcheck),
    "rewardcheck": ("see how well the reward of a run agrees with the true one", _reward_check),
    "report": ("write one HTML page with plots and clips, of one run or several", _report),
    "compare": ("compare runs by who answered: people, teachers, and the teacher that fits them", _compare),
    "data export": ("write the labels of a run for others to use, or for TRL", _export),
    "data import": ("make a run's folder of exported labels", _import),
    "tasks": ("list the tasks that have a preset", list_tasks),
    "doctor": ("say what this machine has and lacks, and how to mend it", examine_machine),
}
