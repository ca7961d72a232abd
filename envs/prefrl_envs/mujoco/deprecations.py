"""Keeps one message of MuJoCo's, about a model file of gymnasium's, off the user's screen."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco

_HIDDEN = ("'settotalmass' is deprecated",)


@contextmanager
def hide_deprecations() -> Iterator[None]:
    """Hide the deprecation notes about gymnasium's own model files while a model is compiled.

    MuJoCo writes its warnings to the standard error stream and to `MUJOCO_LOG.TXT` in the working directory;
    with gymnasium's `half_cheetah.xml` MuJoCo 4 does so for each environment that is made. Every other
    warning goes where it went before: to the handler that was set, else on as a Python `RuntimeWarning`.
    """
    previous = mujoco.get_mju_user_warning()

    def handle(message: str | bytes) -> None:
        text = message.decode() if isinstance(message, bytes) else message
        if any(hidden in text for hidden in _HIDDEN):
            return
        if previous is not None:
            previous(message)
        else:
            warnings.warn(f"MuJoCo: {text}", RuntimeWarning, stacklevel=2)

    mujoco.set_mju_user_warning(handle)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous)
