"""One drawing process as the server sees it: started when needed, ended when it hangs, replaced when it died."""

import multiprocessing
import threading
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from prefrl_labeling_gui.clip_folder import ClipError
from prefrl_labeling_gui.clip_worker import Failure, Job, Style, serve

START_SECONDS = 60.0
"""Importing the user's environment may take its time."""
JOB_SECONDS = 60.0
"""A process that has drawn at one clip for so long hangs, and is ended."""
_END_SECONDS = 5.0

_SPAWN = multiprocessing.get_context("spawn")  # never fork: the copy of an OpenGL context hangs


class ProcessDiedError(ClipError):
    """The process ended, or had to be ended, while it drew."""


class DrawingProcess:
    """A process that draws one clip at a time. `draw` belongs to one thread; `close` may come from any.

    Args:
        style: How clips are drawn.
        module_folder: Where the environment's own module may lie, besides the usual places.
    """

    def __init__(self, style: Style, module_folder: Path | None = None) -> None:
        self._style = style
        self._module_folder = module_folder
        self._lock = threading.Lock()
        self._is_closed = False
        self._process: SpawnProcess | None = None
        self._connection: Connection[Any, Any] | None = None

    @property
    def pid(self) -> int | None:
        """The process's number while it lives."""
        process = self._process
        return process.pid if process is not None and process.is_alive() else None

    def start(self) -> float:
        """Start the process, in place of one that there may be, and return the simulated seconds of a step.

        Raises:
            ClipError: The environment cannot be made, or this object is closed.
            ProcessDiedError: The process ended at once.
        """
        self._end()
        with self._lock:
            if self._is_closed:
                raise ClipError("The clips are closed.")
            self._connection, theirs = _SPAWN.Pipe()
            self._process = _SPAWN.Process(
                target=serve,
                args=(theirs, self._style, self._module_folder),
                daemon=True,
                name="prefrl-clips",
            )
            self._process.start()
            theirs.close()  # else the end of the process would not be seen
        return float(self._answer(START_SECONDS))

    def draw(self, job: Job) -> None:
        """Draw a clip; its files are there on return.

        Raises:
            ClipError: It cannot be drawn; the process goes on.
            ProcessDiedError: The process died of it; `start` makes another.
        """
        if self._connection is None:
            raise ProcessDiedError("The process that draws clips has not been started.")
        try:
            self._connection.send(job)
        except OSError as error:
            raise self._died() from error
        self._answer(JOB_SECONDS)

    def close(self) -> None:
        """End the process for good; a clip that it was drawing is lost."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
                self._process.join(_END_SECONDS)

    def _answer(self, seconds: float) -> Any:
        assert self._connection is not None
        try:
            if not self._connection.poll(seconds):
                self._end()
                raise ProcessDiedError(f"The process that draws clips did not answer within {seconds:g} s.")
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if isinstance(answer, Failure):
            raise ClipError(answer.sentence)
        return answer

    def _died(self) -> ClipError:
        process = self._process
        assert process is not None
        process.join(_END_SECONDS)
        code = process.exitcode
        self._end()
        if self._is_closed:
            return ClipError("The clips are closed.")
        return ProcessDiedError(f"The process that draws clips ended by itself (exit code {code}).")

    def _end(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.join(_END_SECONDS)
                self._process = None
            if self._connection is not None:
                self._connection.close()
                self._connection = None
