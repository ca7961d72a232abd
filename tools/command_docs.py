"""Writes docs/commands.md from the help of every command, or checks that it is up to date."""

import difflib
import os
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
INTRODUCTION = """\
# Commands

What each command says with `--help`. `make docs` writes this page.
"""


def page() -> str:
    """Return the page as the commands' help has it now."""
    # The help is laid out for the terminal at hand; the page is laid out for one terminal everywhere.
    os.environ.update(COLUMNS="100", LINES="50", NO_COLOR="1", TERM="dumb")
    from prefrl.cli import help_texts

    sections = [INTRODUCTION]
    for name, text in help_texts().items():
        title = f"prefrl {name}".strip()
        sections.append(f"## `{title}`\n\n```text\n{_trimmed(text)}\n```\n")
    return "\n".join(sections)


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def main() -> int:
    """Write the page; with `--check` only compare, and return 1 if it is out of date."""
    wanted = page()
    if sys.argv[1:] != ["--check"]:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if found == wanted:
        return 0
    lines = difflib.unified_diff(
        found.splitlines(), wanted.splitlines(), "docs/commands.md", "--help", lineterm=""
    )
    print("\n".join(lines))
    print("docs/commands.md is out of date; `make docs` writes it anew.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
