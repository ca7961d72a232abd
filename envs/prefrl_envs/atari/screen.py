"""Screens of the emulator: what the agent sees of them, how they are kept, and how people see them.

All of it starts from the colour screen at its native size, the brighter of the last two frames in every channel
(many games draw a sprite in every other frame only), so that every way of stepping gives the same pixels.
"""

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from prefrl_envs.atari.games import Rectangle

Screen = npt.NDArray[np.uint8]
Packed = npt.NDArray[np.uint8]

SIDE = 84
"""Height and width of what the agent sees, in pixels (Mnih et al. 2015)."""

_MAGIC = b"ATAR"
_HEADER = len(_MAGIC) + 2 + 2 + 4
"""Magic, height and width (2 bytes each), length of the compressed screen (4 bytes), all little endian."""
_RAW = -15
"""zlib without header and checksum: the checksum of 100 kB would cost a quarter of the time."""
_LEVELS = (1, 9)


def agent_frame(screen: Screen, masks: Sequence[Rectangle] = ()) -> npt.NDArray[np.uint8]:
    """Return what the agent sees: grey, masked, 84 x 84.

    The masks are blanked at native size, before pixels are averaged, so that nothing of them bleeds into a
    neighbour.

    Args:
        screen: RGB, shape [height, width, 3].
        masks: Parts to be blanked.

    Returns:
        Grey values, shape [84, 84, 1].
    """
    grey = np.asarray(cv2.cvtColor(screen, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    blank(grey, masks)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[:, :, None], dtype=np.uint8)


def blank(screen: npt.NDArray[np.uint8], masks: Sequence[Rectangle]) -> None:
    """Make parts of a screen black, in place.

    Args:
        screen: Shape [height, width] or [height, width, 3].
        masks: The parts.
    """
    for top, bottom, left, right in masks:
        screen[top:bottom, left:right] = 0


def pack_screen(screen: Screen, n_bytes: int) -> Packed:
    """Compress a screen into an array of fixed size, without loss if it fits.

    A screen that does not fit even when compressed as hard as can be is kept at half its height and width, or
    a quarter: coarse, but still a picture.

    Args:
        screen: RGB, shape [height, width, 3].
        n_bytes: Length of the result; 1024 are enough for any screen.

    Returns:
        Header, compressed screen, zeros; uint8, shape [n_bytes].
    """
    while True:
        screen = np.ascontiguousarray(screen)
        for level in _LEVELS:
            content = zlib.compress(screen.data, level, _RAW)
            if len(content) <= n_bytes - _HEADER:
                height, width = screen.shape[:2]
                header = b"".join(
                    (
                        _MAGIC,
                        height.to_bytes(2, "little"),
                        width.to_bytes(2, "little"),
                        len(content).to_bytes(4, "little"),
                    )
                )
                packed = np.zeros(n_bytes, dtype=np.uint8)
                packed[: _HEADER + len(content)] = np.frombuffer(header + content, dtype=np.uint8)
                return packed
        screen = screen[::2, ::2]


def unpack_screen(packed: Packed, size: tuple[int, int]) -> Screen:
    """Return a kept screen at its native size: RGB, shape [height, width, 3], writable.

    Args:
        packed: From `pack_screen`.
        size: Native height and width, to which a screen that was kept smaller is enlarged.

    Raises:
        ValueError: It is no kept screen, or a damaged one.
    """
    content = packed.tobytes()
    height, width = (int.from_bytes(content[at : at + 2], "little") for at in (4, 6))
    length = int.from_bytes(content[8:_HEADER], "little")
    if packed.dtype != np.uint8 or not content.startswith(_MAGIC) or length > len(content) - _HEADER:
        raise ValueError("A stored screen is damaged: it does not begin as Atari screens do.")
    try:
        pixels = zlib.decompress(content[_HEADER : _HEADER + length], _RAW)
        screen = np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, 3)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"A stored screen is damaged: {error}.") from error
    times = 1
    while height * times < size[0] or width * times < size[1]:
        times *= 2
    return screen.repeat(times, axis=0).repeat(times, axis=1)[: size[0], : size[1]].copy()


def enlarged(screen: Screen, width: int, height: int) -> Screen:
    """Return a screen as large as fits into the size asked for, in the middle of a dark ground.

    Pixels stay squares with sharp edges: they are repeated a whole number of times, and where the size is no
    multiple of the screen's, made smaller to it from the next larger multiple.

    Args:
        screen: RGB, shape [h, w, 3].
        width: In pixels.
        height: In pixels.

    Returns:
        RGB, shape [height, width, 3].
    """
    scale = min(width / screen.shape[1], height / screen.shape[0])
    size = (max(1, round(screen.shape[1] * scale)), max(1, round(screen.shape[0] * scale)))
    times = max(1, int(np.ceil(scale)))
    picture = screen.repeat(times, axis=0).repeat(times, axis=1)
    if picture.shape[1::-1] != size:
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = picture
    return frame
