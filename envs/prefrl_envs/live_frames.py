"""Frames kept beside each observation, for environments that cannot be drawn from a stored state.

The price is a frame drawn at every step, and memory: see `LiveFrames`. Where an environment
can be drawn from its state (`prefrl_envs.redrawing.is_redrawable`), `SimulatorState` costs a hundredth of both.
"""

from typing import Any, SupportsFloat

import cv2
import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.utils import RecordConstructorArgs

Frame = npt.NDArray[np.uint8]
Packed = npt.NDArray[np.uint8]

MAX_SIDE = 224
"""Longer side of a kept frame, in pixels; Atari's 160 x 210 is kept as it is."""
N_BYTES = 8192
"""Bytes of a kept frame."""

_MAGIC = b"JPEG"
_LENGTH_BYTES = 4
_HEADER = len(_MAGIC) + _LENGTH_BYTES
_QUALITIES = (90, 75, 60, 40, 20)
_SMALLEST = 1024


class LiveFrames(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts `info["render_state"]` (uint8, shape [n_bytes]) into every reset and step: the frame itself.

    The frame that `env.render()` returns is made smaller where it is larger than `max_side`, compressed as JPEG
    and padded with zeros, so that each step takes exactly `n_bytes`: a recorder of 10,000 steps of 8 environments
    takes 655 MB with the default of 8,192. A frame that does not fit is compressed harder, then halved.
    `StateRenderer` recognises such states and shows them.

    >>> env = LiveFrames(gymnasium.make("Acrobot-v1", render_mode="rgb_array"))  # doctest: +SKIP

    Args:
        env: Made with `render_mode="rgb_array"`.
        max_side: Longer side of a kept frame, in pixels.
        n_bytes: Bytes of a kept frame, at least 1,024.

    Raises:
        ValueError: The environment draws nothing, or draws elsewhere than into an array; or a number is too
            small.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, max_side: int = MAX_SIDE, n_bytes: int = N_BYTES) -> None:
        RecordConstructorArgs.__init__(self, max_side=max_side, n_bytes=n_bytes)
        gymnasium.Wrapper.__init__(self, env)
        if env.render_mode != "rgb_array":
            raise ValueError(f'`env` must be made with render_mode="rgb_array". Received {env.render_mode!r}.')
        if max_side < 16 or n_bytes < _SMALLEST:
            raise ValueError(
                f"`max_side` must be at least 16 and `n_bytes` at least {_SMALLEST}. "
                f"Received {max_side} and {n_bytes}."
            )
        self._max_side = max_side
        self._n_bytes = n_bytes

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment; add the frame after the step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "render_state": self._packed()}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; add the first frame."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "render_state": self._packed()}

    def _packed(self) -> Packed:
        frame: Any = self.env.render()
        return pack_frame(np.asarray(frame), max_side=self._max_side, n_bytes=self._n_bytes)


def pack_frame(frame: npt.NDArray[Any], *, max_side: int = MAX_SIDE, n_bytes: int = N_BYTES) -> Packed:
    """Compress a frame into an array of fixed size.

    Args:
        frame: RGB, uint8, shape [height, width, 3].
        max_side: A frame whose longer side is longer is made smaller, in pixels.
        n_bytes: Length of the result.

    Returns:
        "JPEG", the file's length (4 bytes, little endian), the file, zeros.

    Raises:
        ValueError: The array is no RGB frame.
    """
    if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise ValueError(
            "A frame must be uint8 of shape [height, width, 3]. "
            f"The environment drew {frame.dtype} of shape {frame.shape}."
        )
    bgr = _scaled(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), max_side / max(frame.shape[:2]))
    packed = np.zeros(n_bytes, dtype=np.uint8)
    while True:
        for quality in _QUALITIES:
            _, file = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if len(file) <= n_bytes - _HEADER:
                header = _MAGIC + len(file).to_bytes(_LENGTH_BYTES, "little")
                packed[:_HEADER] = np.frombuffer(header, dtype=np.uint8)
                packed[_HEADER : _HEADER + len(file)] = file
                return packed
        bgr = _scaled(bgr, 0.5)


def is_live_frame(render_state: npt.NDArray[Any]) -> bool:
    """Return whether a render state is a frame of `LiveFrames`: such a one begins with the word JPEG."""
    return render_state.dtype == np.uint8 and render_state[: len(_MAGIC)].tobytes() == _MAGIC


def unpack_frame(packed: Packed, width: int, height: int) -> Frame:
    """Return a kept frame, as large as fits into the size asked for, in the middle of a dark ground.

    Args:
        packed: Shape [n_bytes], from `pack_frame`.
        width: In pixels.
        height: In pixels.

    Returns:
        RGB, shape [height, width, 3].

    Raises:
        ValueError: It holds no frame, or a damaged one.
    """
    content = packed.tobytes()
    length = int.from_bytes(content[len(_MAGIC) : _HEADER], "little")
    if not content.startswith(_MAGIC) or length > len(content) - _HEADER:
        raise ValueError("A stored frame is damaged: it does not begin as the frames of `LiveFrames` do.")
    bgr = cv2.imdecode(packed[_HEADER : _HEADER + length], cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("A stored frame is damaged: its JPEG cannot be read.")
    scale = min(width / bgr.shape[1], height / bgr.shape[0])
    size = (max(1, round(bgr.shape[1] * scale)), max(1, round(bgr.shape[0] * scale)))
    fitted = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = cv2.cvtColor(fitted, cv2.COLOR_BGR2RGB)
    return frame


def _scaled(image: Any, scale: float) -> Any:
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
