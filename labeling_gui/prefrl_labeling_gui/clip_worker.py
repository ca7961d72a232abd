"""The process that draws clips: render states come in, files come out. Started and watched by `clips`.

It knows nothing of the store and of the page. It ends when its parent does, however that ends.
"""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from prefrl_envs.clips import DEFAULT_SIZE, Codec, clip_timing, encode_clip
from prefrl_envs.rendering import StateRenderer

POSTER_QUALITY = 70
"""Of the JPEG, in percent."""


class Style(NamedTuple):
    """What a clip depends on besides its segment."""

    env_id: str
    env_kwargs: Mapping[str, Any] = MappingProxyType({})
    width: int = DEFAULT_SIZE
    """Pixels."""
    height: int = DEFAULT_SIZE
    codec: Codec = "h264"
    """"h264" plays in every browser, "vp9" needs no licence."""


class Job(NamedTuple):
    """One clip to draw."""

    render_states: npt.NDArray[Any]
    """Shape [T, S]."""
    clip: Path
    poster: Path


class Failure(NamedTuple):
    """What the process sends in place of a result."""

    sentence: str


def serve(connection: "Connection[Any, Any]", style: Style, module_folder: Path | None) -> None:
    """Send the simulated seconds of a step, then draw each `Job` that comes and send None; or a `Failure`.

    Args:
        connection: To the parent; the end of it is the end of this process.
        style: How clips are drawn.
        module_folder: Where the environment's own module may lie; looked at last, so that it hides nothing.
    """
    if module_folder is not None:
        sys.path.append(str(module_folder))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent closes the pipe
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with suppress(BrokenPipeError):  # the parent died while this process was starting
        _serve(connection, style)


def _serve(connection: "Connection[Any, Any]", style: Style) -> None:
    try:
        renderer = StateRenderer(style.env_id, style.width, style.height, env_kwargs=style.env_kwargs)
    except Exception as error:  # whatever the user's environment raises
        connection.send(_failure(f"{style.env_id} cannot be made", error))
        return
    with renderer:
        connection.send(renderer.step_seconds)
        with suppress(Exception):  # what it is will be said of each clip that needs it; kept frames do not
            renderer.prepare()
        while True:
            try:
                job = connection.recv()
            except EOFError:
                return
            try:
                draw(renderer, job, style.codec)
            except Exception as error:  # one clip that cannot be drawn must not cost the others
                connection.send(_failure("A clip cannot be drawn", error))
            else:
                connection.send(None)


def draw(renderer: StateRenderer, job: Job, codec: Codec) -> None:
    """Draw a clip and its poster, the middle frame as JPEG. The poster appears first, each only once complete."""
    timing = clip_timing(len(job.render_states), renderer.step_seconds)
    frames = renderer.frames(job.render_states[timing.steps.start :: timing.stride])
    middle = cv2.cvtColor(frames[len(frames) // 2], cv2.COLOR_RGB2BGR)
    _, poster = cv2.imencode(".jpg", middle, [cv2.IMWRITE_JPEG_QUALITY, POSTER_QUALITY])
    part = job.poster.with_name(f".{job.poster.name}.part")
    part.write_bytes(np.asarray(poster).tobytes())
    part.replace(job.poster)
    encode_clip(frames, job.clip, timing.fps, codec=codec)


def _failure(what: str, error: Exception) -> Failure:
    reason = str(error).strip().rstrip(".") or "no message"
    return Failure(f"{what} ({type(error).__name__}): {reason}.")


def _die_with_parent() -> None:
    """End this process at once when the parent is gone, also in the middle of a drawing."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
