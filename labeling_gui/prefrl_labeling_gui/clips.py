"""Clips of segments, drawn when somebody is about to look at them, and kept as files.

Drawing is done by processes of its own, so that the server answers meanwhile, and so that a crash of a graphics
library costs one clip and not the page: `clip_worker` is what runs in them, `clip_process` starts and watches
them, `clip_folder` keeps the files. Here is the order in which clips are drawn.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from prefrl.errors import SettingError
from prefrl.segments import Segment
from prefrl_envs.clips import SUFFIXES, ClipTiming, clip_timing
from prefrl_labeling_gui.clip_folder import Clip, ClipError, ClipFolder
from prefrl_labeling_gui.clip_process import DrawingProcess, ProcessDiedError
from prefrl_labeling_gui.clip_worker import Job, Style

__all__ = ["Clip", "ClipError", "Clips"]

LIMIT_BYTES = 500_000_000
"""Of the folder. A clip of 512 x 512 pixels takes 50 to 120 kB with its poster."""


class SegmentSource(Protocol):
    """Where segments come from: `prefrl.store.Store`."""

    def segment(self, segment_id: str, /) -> Segment:
        """Return a segment; called from several threads."""
        ...


class Clips:
    """The clips of a run: drawn ahead or on demand, each once, and cached.

    All methods may be called from any thread. Nothing is started before the first one that needs it, or `start`.

    Args:
        store: Where segments come from.
        folder: For the files; made if it is missing.
        style: How clips are drawn.
        module_folder: Where the environment's own module may lie, besides the usual places.
        n_processes: How many draw at the same time.
        limit_bytes: What the files may take; those unused for longest go first.

    Raises:
        SettingError: A number is below 1, or the codec is unknown.
    """

    def __init__(
        self,
        store: SegmentSource,
        folder: Path,
        style: Style,
        *,
        module_folder: Path | None = None,
        n_processes: int = 1,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        if min(style.width, style.height, n_processes, limit_bytes) < 1:
            raise SettingError(
                "`width`, `height`, `n_processes` and `limit_bytes` must be at least 1. "
                f"Received {style.width}, {style.height}, {n_processes} and {limit_bytes}."
            )
        if style.codec not in SUFFIXES:
            raise SettingError(f"`codec` must be one of {', '.join(SUFFIXES)}. Received {style.codec!r}.")
        style = style._replace(env_kwargs=dict(style.env_kwargs))
        self._store = store
        self._folder = ClipFolder(folder, style, limit_bytes=limit_bytes)
        self._processes = [DrawingProcess(style, module_folder) for _ in range(n_processes)]
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()  # guards everything below, and the folder
        self._wanted: deque[str] = deque()  # somebody waits for these
        self._ahead: deque[str] = deque()  # somebody will soon
        self._stock: list[str] = []  # somebody may one day; the last is drawn first
        self._pending: dict[str, Future[Clip]] = {}
        self._deadly: dict[str, ClipError] = {}  # a second process is not risked for these
        self._n_steps: dict[str, int] = {}
        self._step_seconds: float | None = None
        self._start_error: Exception | None = None
        self._is_closed = False

    @property
    def suffix(self) -> str:
        """Of the video files, with the full stop."""
        return self._folder.suffix

    @property
    def pids(self) -> list[int]:
        """Numbers of the drawing processes that live now."""
        return [process.pid for process in self._processes if process.pid is not None]

    def start(self) -> None:
        """Start the processes (about a second each), so that the first clip need not wait for them."""
        with self._changed:
            self._start()

    def path(self, segment_id: str) -> Path:
        """Return the video of a segment; drawn first, and waited for, if it is not there.

        Raises:
            ClipError: It cannot be drawn.
            StoreError: The segment is unknown, or its file is missing or damaged.
        """
        return self._request(segment_id).result().video

    def poster(self, segment_id: str) -> Path:
        """Return the middle frame of a segment's clip, a JPEG; drawn with the clip if it is not there.

        Raises:
            ClipError, StoreError: As in `path`.
        """
        return self._request(segment_id).result().poster

    async def ready(self, segment_id: str) -> Clip:
        """Return video and poster of a segment; others go on while it is drawn.

        Raises:
            ClipError, StoreError: As in `path`.
        """
        # A request that goes away must not take the clip from others who wait for it.
        return await asyncio.shield(asyncio.wrap_future(self._request(segment_id)))

    def prefetch(self, segment_ids: Iterable[str]) -> None:
        """Draw clips ahead, in this order, whenever nobody waits for one. Returns at once; errors come later.

        Raises:
            ClipError: An id is none, or the clips are closed.
        """
        for segment_id in segment_ids:
            self._request(segment_id, ahead=True)

    def stock(self, segment_ids: Sequence[str]) -> None:
        """Draw clips when there is nothing else to draw, in this order, in place of what was said before.

        Raises:
            ClipError: An id is none, or the clips are closed.
        """
        with self._changed:
            self._start()
            for segment_id in segment_ids:
                self._folder.place(segment_id)  # refuses what is no id here, and not in a thread
            self._stock = [] if self._start_error else list(reversed(segment_ids))
            self._changed.notify_all()

    def timing(self, segment_id: str) -> ClipTiming:
        """Return how fast a segment is shown, without drawing it. The first call waits for a process to start.

        Raises:
            ClipError: The environment cannot be made, or the id is none.
            StoreError: The segment is unknown, or its file is missing or damaged.
        """
        with self._changed:
            self._folder.place(segment_id)  # refuses what is no id
            n_steps = self._n_steps.get(segment_id)
        if n_steps is None:
            n_steps = self._segment(segment_id).n_steps
        with self._changed:
            self._start()
            self._changed.wait_for(lambda: self._is_closed or self._start_error or self._step_seconds)
            if self._step_seconds is None:
                raise self._start_error or _closed()
            return clip_timing(n_steps, self._step_seconds)

    def close(self) -> None:
        """End all processes. Whoever still waits for a clip gets an error."""
        with self._changed:
            self._is_closed = True
            waiting = [self._pending.pop(segment_id) for segment_id in (*self._wanted, *self._ahead)]
            self._wanted.clear()
            self._ahead.clear()
            self._stock.clear()
            self._changed.notify_all()
        for future in waiting:
            future.set_exception(_closed())
        for process in self._processes:
            process.close()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        """Start the processes."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _start(self) -> None:
        if self._is_closed:
            raise _closed()
        if self._threads:
            return
        self._folder.open()
        for process in self._processes:
            thread = threading.Thread(target=self._serve, args=(process,), daemon=True, name="prefrl-clips")
            self._threads.append(thread)
            thread.start()

    def _request(self, segment_id: str, *, ahead: bool = False) -> Future[Clip]:
        with self._changed:
            future = self._pending.get(segment_id)
            if future is None:
                future = Future()
                clip = self._folder.find(segment_id)
                if clip is not None:
                    future.set_result(clip)
                    return future
                self._start()
                self._pending[segment_id] = future
                (self._ahead if ahead else self._wanted).append(segment_id)
                self._changed.notify_all()
            elif not ahead and segment_id in self._ahead:
                self._ahead.remove(segment_id)
                self._wanted.append(segment_id)
            return future

    def _serve(self, process: DrawingProcess) -> None:
        """One thread per process: start it, then draw what is asked for until closed."""
        self._start_process(process)
        while (segment_id := self._next()) is not None:
            clip, problem = None, None
            try:
                clip = self._drawn(process, segment_id)
            except Exception as error:  # whatever it is, it belongs to whoever waits for the clip
                problem = error
            with self._changed:
                future = self._pending.pop(segment_id)
            if clip is not None:
                future.set_result(clip)
            else:
                future.set_exception(problem)

    def _next(self) -> str | None:
        with self._changed:
            while not self._is_closed:
                if self._wanted or self._ahead:
                    return (self._wanted or self._ahead).popleft()
                if self._stock:
                    segment_id = self._stock.pop()
                    if segment_id not in self._pending and self._folder.find(segment_id) is None:
                        self._pending[segment_id] = Future()
                        return segment_id
                else:
                    self._changed.wait()
            return None

    def _start_process(self, process: DrawingProcess) -> Exception | None:
        """Start a process and tell whoever waits in `timing`; return what went wrong."""
        step_seconds, problem = None, None
        try:
            step_seconds = process.start()
        except Exception as error:
            problem = error
        with self._changed:
            self._step_seconds = step_seconds or self._step_seconds
            self._start_error = problem
            if problem is not None:
                self._stock.clear()  # no clip that nobody waits for is worth another start
            self._changed.notify_all()
        return problem

    def _drawn(self, process: DrawingProcess, segment_id: str) -> Clip:
        if segment_id in self._deadly:
            raise self._deadly[segment_id]
        segment = self._segment(segment_id)
        if segment.render_states is None:
            raise ClipError(f"Segment {segment_id} has no states to draw it from.")
        with self._changed:
            clip = self._folder.place(segment_id)
        job = Job(segment.render_states, clip.video, clip.poster)
        self._draw(process, segment_id, job)
        with self._changed:
            self._folder.added(clip)
        return clip

    def _draw(self, process: DrawingProcess, segment_id: str, job: Job) -> None:
        """Draw a clip; if the process dies of it, once more in a new one, because something else may have been."""
        for _ in range(2):
            if process.pid is None:
                problem = self._start_process(process)
                if problem is not None:
                    raise problem
            try:
                return process.draw(job)
            except ProcessDiedError as error:
                death = error
        self._deadly[segment_id] = ClipError(f"Segment {segment_id} cannot be drawn. {death} Twice in a row.")
        raise self._deadly[segment_id] from death

    def _segment(self, segment_id: str) -> Segment:
        segment = self._store.segment(segment_id)
        with self._changed:
            self._n_steps[segment_id] = segment.n_steps
        return segment


def _closed() -> ClipError:
    return ClipError("The clips are closed.")
