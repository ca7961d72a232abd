"""Writes docs/commands.md from the help of every command and docs/tasks.md from the tasks, or checks both."""

import difflib
import os
import sys
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
COMMANDS = """\
# Commands

What each command says with `--help`. `make docs` writes this page.
"""
TASKS = """\
# Tasks

Every task there is. `make docs` writes this page. More about each family: [behaviours](behaviours.md),
[MuJoCo](mujoco.md), [DeepMind Control](deepmind-control.md), [small ones](small-environments.md),
[Atari](atari.md). *Steps* are those of every episode. *Fast* is what can step many environments at once
([fast stepping](fast-stepping.md); in brackets on request only). *Needs* is what to install for it.
"""
FAMILIES = {
    "behaviour": "Behaviours",
    "mujoco": "MuJoCo",
    "dmc": "DeepMind Control",
    "small": "Small ones",
    "atari": "Atari",
}
COLUMNS = ("task", "id", "steps", "the oracle prefers", "`--oracle paper`", "counted", "fast", "needs")


def commands_page() -> str:
    """Return the page as the commands' help has it now."""
    # The help is laid out for the terminal at hand; the page is laid out for one terminal everywhere.
    os.environ.update(COLUMNS="100", LINES="50", NO_COLOR="1", TERM="dumb")
    from prefrl.cli import help_texts

    sections = [COMMANDS]
    for name, text in help_texts().items():
        title = f"prefrl {name}".strip()
        sections.append(f"## `{title}`\n\n```text\n{_trimmed(text)}\n```\n")
    return "\n".join(sections)


def tasks_page() -> str:
    """Return the page as the tasks say it now."""
    from prefrl_envs.tasks import TASKS as REGISTRY
    from prefrl_envs.tasks import Task

    def row(task: Task) -> str:
        fast = "" if task.fast is None else task.fast.name
        cells = (
            f"`{task.name}`",
            f"`{task.env_id}`",
            f"{task.horizon:,}",
            task.oracle,
            task.paper_oracle,
            ", ".join(f"`{name}`" for name in task.metrics),
            f"({fast})" if task.fast is not None and not task.fast.same_trajectories else fast,
            "" if task.extra is None else f"`{task.extra.command}`",
        )
        return _row(cells)

    sections = [TASKS]
    for family, tasks in groupby(REGISTRY.values(), key=lambda task: task.family):
        rows = [_row(COLUMNS), _row(("---",) * len(COLUMNS)), *(row(task) for task in tasks)]
        sections.append(f"## {FAMILIES[family]}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(sections)


PAGES: Mapping[str, Callable[[], str]] = {"commands.md": commands_page, "tasks.md": tasks_page}


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def _is_up_to_date(name: str, wanted: str) -> bool:
    page = DOCS / name
    found = page.read_text(encoding="utf-8") if page.exists() else ""
    if found == wanted:
        return True
    lines = difflib.unified_diff(found.splitlines(), wanted.splitlines(), f"docs/{name}", "as it is", lineterm="")
    print("\n".join(lines))
    print(f"docs/{name} is out of date; `make docs` writes it anew.", file=sys.stderr)
    return False


def main() -> int:
    """Write the pages; with `--check` only compare, and return 1 if one is out of date."""
    wanted = {name: page() for name, page in PAGES.items()}
    if sys.argv[1:] == ["--check"]:
        return 0 if all([_is_up_to_date(name, text) for name, text in wanted.items()]) else 1
    DOCS.mkdir(exist_ok=True)
    for name, text in wanted.items():
        (DOCS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
