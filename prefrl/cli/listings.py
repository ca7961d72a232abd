"""What can be looked up without a run: the tasks there are, and what this machine has and lacks."""

import json
import sys
from collections.abc import Sequence
from itertools import groupby

from prefrl.cli.options import DoctorCommand, TasksCommand
from prefrl.cli.parsing import parse, write

EXIT_LACKS = 1

_FAMILIES = {
    "behaviour": "Behaviours that no task of gymnasium's rewards",
    "mujoco": "MuJoCo, the eight tasks of the paper and Humanoid (`--oracle paper` where there is one)",
    "dmc": "DeepMind Control Suite, returns out of 1,000",
    "small": "Small ones, for minutes and for tests",
    "atari": "Atari",
}


def list_tasks(arguments: Sequence[str]) -> None:
    """List the tasks that have a preset."""
    command = parse("tasks", TasksCommand, arguments)
    from prefrl_envs.tasks import TASKS

    if command.json:
        write(json.dumps({name: task.facts() for name, task in TASKS.items()}))
        return
    for family, tasks in groupby(TASKS.values(), key=lambda task: task.family):
        write(f"{_FAMILIES.get(family, family)}:\n")
        for task in tasks:
            counted = f" Counts {', '.join(task.metrics)}." if task.metrics else ""
            write(f"{task.name}: {task.description} {task.horizon} steps.{counted}")
            write(f"    asked:  {task.question}")
            write(f"    oracle: {task.oracle}")
            if task.paper_oracle:
                write(f"    paper:  {task.paper_oracle}")
            if task.extra is not None:
                lacks = "" if task.extra.is_installed else ", which is not installed"
                write(f"    needs:  {task.extra.package}{lacks}: {task.extra.command}")
        write("")
    write("Any gymnasium id works too: prefrl train Hopper-v5, prefrl train my_pkg:MyEnv-v0.")


def examine_machine(arguments: Sequence[str]) -> None:
    """Say what this machine has and lacks; exits with 1 where something is lacking."""
    command = parse("doctor", DoctorCommand, arguments)
    from prefrl.runs.doctor import examine

    checks = examine()
    if command.json:
        write(json.dumps({"checks": [check._asdict() for check in checks]}))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            found = "ok" if check.ok else "LACKS" if check.needed else "lacks"
            write(f"{found:<6} {check.name:<{width}}  {check.detail}")
            if check.mend:
                write(f"{'':<6} {'':<{width}}  mend: {check.mend}")
    if not all(check.ok for check in checks if check.needed):
        sys.exit(EXIT_LACKS)
