"""The command line: `prefrl train | label | resume | evaluate | report | …`, as `prefrl --help` has them."""

import contextlib
import io
import os
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from prefrl import __version__
from prefrl.cli.commands import COMMANDS
from prefrl.cli.parsing import write
from prefrl.errors import InterruptedRunError, PrefRLError, SettingError
from prefrl.labeling_page import page_command

__all__ = ["COMMANDS", "help_texts", "main"]

DESCRIPTION = "Train agents from comparisons of short clips of behaviour."
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


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
            _dispatch([*name.split(), "--help"])
        texts[name] = out.getvalue()
    return texts


def _dispatch(arguments: Sequence[str]) -> None:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        write(_overview())
        return
    if name == "--version":
        write(f"prefrl {__version__}")
        return
    group = [command for command in COMMANDS if command.startswith(f"{name} ")]
    if group:
        second = arguments[1] if len(arguments) > 1 else "--help"
        if second in ("-h", "--help"):
            write("\n".join(_lines(group)))
            return
        name, arguments = f"{name} {second}", arguments[1:]
    if name not in COMMANDS:
        raise SettingError(f"There is no command {name!r}; there are {', '.join(COMMANDS)} (`prefrl --help`).")
    COMMANDS[name][1](arguments[1:])


def _lines(names: Iterable[str]) -> list[str]:
    return [f"  {name:<12} {COMMANDS[name][0]}" for name in names]


def _overview() -> str:
    lines = [DESCRIPTION, "", "usage: prefrl COMMAND [OPTIONS]   (prefrl COMMAND --help tells more)", ""]
    lines += _lines(COMMANDS)
    lines += ["", "Every command takes --debug, which shows where an error came from.", "", "Start with:"]
    lines += ["  prefrl train hopper-backflip --out runs/first"]
    return "\n".join(lines)
