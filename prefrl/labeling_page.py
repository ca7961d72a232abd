"""The labelling page of a run, as a process of its own: started here, and known to the rest by its address only.

Trainer and page meet in the store alone, so either may die and come back without the other.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

MODULE = "prefrl_labeling_gui"
STOP_SECONDS = 10.0


def page_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that serves the labelling page; `-P` keeps modules of the working directory out of it."""
    return [sys.executable, "-P", "-m", MODULE, *arguments]


class LabelingPage:
    """Serves the page while a training lasts; a context manager.

    Args:
        say: Shows a line to the user.
        wanted: Whether there is to be a page at all.
        port: Where the page is served; 0 takes a free port.
    """

    def __init__(self, say: Callable[[str], None], *, wanted: bool, port: int = 0) -> None:
        self._wanted = wanted
        self._say = say
        self._port = port
        self._process: subprocess.Popen[str] | None = None

    def open(self, run: Path) -> None:
        """Start the page of a run and say where it is; a page that does not start stops no training."""
        if not self._wanted:
            return
        arguments = [str(run), "--port", str(self._port)]
        if sys.stderr.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            arguments.append("--open-browser")
        # In a session of its own: Ctrl-C is for the training, which ends the page when it has saved.
        self._process = subprocess.Popen(
            page_command(arguments), stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        again = f"`prefrl label {run}` opens the labelling page"
        self._say(address if address else f"The training goes on and waits for labels; {again}.")

    def __enter__(self) -> Self:
        """Return the page itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the page."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
