"""An angle that turns round and round, as its sine and cosine."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

TORSO_ANGLE = 1
"""Where gymnasium's Hopper has the angle of its torso in its observation."""
Floats = TypeVar("Floats", bound=np.floating[Any])


def as_sine_and_cosine(observations: npt.NDArray[Floats], index: int) -> npt.NDArray[Floats]:
    """Replace an angle that grows with each turn by its sine and cosine.

    What a network has learned of the first turn says nothing of the fifth, 25 rad away, and an angle cut off at ±π
    jumps there (docs/findings/turning-angles.md).

    Args:
        observations: Shape [..., O].
        index: Where the angle [rad] is.

    Returns:
        Shape [..., O + 1]; what was behind the angle is one place further.
    """
    angle = observations[..., index, None]
    seen: npt.NDArray[Floats] = np.concatenate(
        [observations[..., :index], np.sin(angle), np.cos(angle), observations[..., index + 1 :]], axis=-1
    )
    return seen
