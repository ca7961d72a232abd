"""What this machine has for drawing clips and lacks, and the command that mends it."""

import io
import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np

from prefrl_envs.clips import SUFFIXES, Codec, encode_clip
from prefrl_envs.extras import EXTRAS, Extra
from prefrl_envs.gl import GL_PACKAGES

DRAWING_SECONDS = 120
"""The first frame compiles shaders; on a busy machine without a GPU that takes some seconds."""

_DRAW = """
import sys, time
import numpy as np
from prefrl_envs.rendering import StateRenderer
try:
    with StateRenderer("prefrl/Hopper-v0", 256, 256) as renderer:
        state = np.array([0.0, 1.25, 0.0, 0.0, 0.0, 0.0])
        renderer.frame(state)
        started = time.perf_counter()
        renderer.frames(np.stack([state] * 10))
        print((time.perf_counter() - started) / 10)
except Exception as error:
    cause = error.__cause__ or error  # without the advice, which is given beside it
    sys.exit(f"{type(cause).__name__}: {cause}")
"""


class Check(NamedTuple):
    """One thing that prefrl uses, or can use."""

    name: str
    """Two or three words."""
    ok: bool
    """Whether it is there and works."""
    detail: str
    """What was found, in one line."""
    mend: str
    """The command that brings what is missing; empty where nothing is."""
    needed: bool = True
    """Whether prefrl works only in part, or not at all, without it; else it is an extra."""


def check_machine() -> list[Check]:
    """Try all that clips need, and look for the extras.

    Off-screen OpenGL is tried by drawing a Hopper, each codec by encoding a frame.
    """
    return [check_gl(), *(check_codec(codec) for codec in SUFFIXES), *(check_extra(extra) for extra in EXTRAS)]


def check_gl() -> Check:
    """Draw a Hopper in a process of its own, so that a crash of a driver is a result too."""
    name = "off-screen OpenGL"
    backend = os.environ.get("MUJOCO_GL", "MuJoCo's default")
    try:
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _DRAW],
            capture_output=True,
            text=True,
            timeout=DRAWING_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Check(name, False, f"{backend}: no frame within {DRAWING_SECONDS} s", _mend_gl())
    if result.returncode == 0:
        milliseconds = 1000 * float(result.stdout)
        return Check(name, True, f"{backend}: a frame of 256 x 256 in {milliseconds:.1f} ms", "")
    if result.returncode < 0:
        return Check(name, False, f"{backend}: drawing crashed with signal {-result.returncode}", _mend_gl())
    lines = result.stderr.strip().splitlines()
    return Check(name, False, f"{backend}: {lines[-1] if lines else 'no message'}", _mend_gl())


def check_codec(codec: Codec) -> Check:
    """Encode one frame."""
    name = {"h264": "H.264 encoder", "vp9": "VP9 encoder"}[codec]
    buffer = io.BytesIO()
    try:
        encode_clip(np.zeros((1, 64, 64, 3), dtype=np.uint8), buffer, 10.0, codec=codec)
    except Exception as error:  # PyAV raises a class of its own for each way in which FFmpeg fails
        reason = str(error).strip() or type(error).__name__
        return Check(name, False, reason, f"{sys.executable} -m pip install --force-reinstall 'av>=15'")
    return Check(name, True, f"one frame encoded in {buffer.tell()} bytes", "")


def check_extra(extra: Extra) -> Check:
    """Look whether an optional package is installed."""
    if not extra.is_installed:
        detail = f"not installed, for {extra.purpose}"
        return Check(extra.package, False, detail, extra.command, needed=False)
    return Check(extra.package, True, f"{extra.version}, for {extra.purpose}", "", needed=False)


def _mend_gl() -> str:
    if os.environ.get("MUJOCO_GL", "egl") != "egl":  # the user's choice; we would have set egl
        return "unset MUJOCO_GL"
    return f"apt-get install -y --no-install-recommends {' '.join(GL_PACKAGES)}"
