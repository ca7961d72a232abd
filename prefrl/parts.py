"""What has state: a part of a training that can be saved and restored.

Every part has the same two methods, so that a checkpoint is a loop over named parts, and a part made of parts
passes both calls on.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
Json: TypeAlias = dict[str, Any]
"""Values that JSON knows."""
State: TypeAlias = tuple[Arrays, Json]


class Part(Protocol):
    """Something whose state a checkpoint keeps."""

    def state(self) -> State:
        """Return all that this part needs to go on: arrays, and values for JSON. Neither is changed later."""
        ...

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken; the part was made with the same settings."""
        ...


def joined(parts: Mapping[str, Part]) -> State:
    """Return the states of several parts as one; names of arrays get the part's name before them."""
    arrays: Arrays = {}
    values: Json = {}
    for name, part in parts.items():
        own, values[name] = part.state()
        arrays |= {f"{name}/{key}": np.asarray(array) for key, array in own.items()}
    return arrays, values


def under(prefix: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def restore_parts(parts: Mapping[str, Part], arrays: Arrays, values: Json) -> None:
    """Restore several parts, in their order, from what `joined` returned for them."""
    for name, part in parts.items():
        part.restore(under(f"{name}/", arrays), values[name])
