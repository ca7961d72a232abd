"""Which OpenGL MuJoCo loads, decided before MuJoCo is imported for the first time."""

import ctypes
import os
import sys

GL_PACKAGES = ("libegl1", "libegl-mesa0", "libopengl0", "libgl1-mesa-dri")
"""Debian packages that off-screen drawing opens (an EGL loader, its Mesa driver, the OpenGL loader)."""


def choose_backend() -> None:
    """Set `MUJOCO_GL=egl` on a Linux machine without a display, unless the user has chosen.

    MuJoCo's own default wants a window system. EGL is chosen only where its library is there: with
    `MUJOCO_GL=egl` and no EGL, MuJoCo could not be imported at all, and training draws nothing.
    """
    if "MUJOCO_GL" in os.environ or os.environ.get("DISPLAY") or sys.platform != "linux":
        return
    if has_egl():
        os.environ["MUJOCO_GL"] = "egl"


def has_egl() -> bool:
    """Return whether the EGL library can be loaded on this machine."""
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    return True
