"""Spaces as arrays: how observations and actions are kept, and how a reward network reads them.

Two steps, both in NumPy and both batched. `as_array` turns what an environment hands out into the one array
that is kept in segments (only `Dict` changes: it is flattened). `encode` turns kept arrays into the float
features of a network (one-hot for the discrete kinds).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from prefrl.errors import SpaceError

FloatArray = npt.NDArray[np.float32]


def check_space(space: spaces.Space[Any], *, what: str) -> None:
    """Refuse a space that no reward network here reads.

    Args:
        space: An observation or action space.
        what: Its role, for the message, such as "observation space".

    Raises:
        SpaceError: The space, or one inside it, is not Box, Discrete, MultiDiscrete, MultiBinary or Dict.
    """
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            check_space(inner, what=f"{what} (key {key!r})")
    elif not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise SpaceError(
            f"The {what} is {space}, but rewards are learned on Box, Discrete, MultiDiscrete, MultiBinary and "
            "Dict of these; wrap the environment to offer one of them."
        )


def n_features(space: spaces.Space[Any]) -> int:
    """Return how many float features `encode` makes of one element of `space`."""
    if isinstance(space, spaces.Dict):
        return sum(n_features(inner) for inner in space.spaces.values())
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return int(np.sum(space.nvec))
    assert space.shape is not None
    return math.prod(space.shape)


def as_array(space: spaces.Space[Any], values: Any) -> npt.NDArray[Any]:
    """Return a batch of elements as one array, as it is kept in segments.

    Args:
        space: The space of one element.
        values: A batch with leading shape [N]: an array, or for `Dict` a mapping of batches.

    Returns:
        Shape [N, *space.shape]; for `Dict` the encoded features of all keys in order, shape [N, F].
    """
    if isinstance(space, spaces.Dict):
        assert isinstance(values, Mapping)
        parts = [encode(inner, as_array(inner, values[key]), batch_dims=1) for key, inner in space.spaces.items()]
        return np.concatenate(parts, axis=-1)
    return np.asarray(values)


def encode(space: spaces.Space[Any], values: npt.NDArray[Any], *, batch_dims: int) -> FloatArray:
    """Return kept arrays as float features.

    Args:
        space: The space of one element.
        values: What `as_array` returned, with any `batch_dims` leading dimensions.
        batch_dims: How many leading dimensions are not part of an element.

    Returns:
        Shape [*batch, F] with F = `n_features(space)`: values as they are for Box and MultiBinary, one-hot for
        Discrete, concatenated one-hots for MultiDiscrete.

    Raises:
        SpaceError: A discrete value is not in the space.
    """
    batch = values.shape[:batch_dims]
    if isinstance(space, spaces.Discrete):
        return _one_hot(space, values.reshape(batch) - int(space.start), int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        sizes = space.nvec.reshape(-1)
        offsets = (values - space.start).reshape(*batch, len(sizes))
        return np.concatenate([_one_hot(space, offsets[..., i], int(n)) for i, n in enumerate(sizes)], axis=-1)
    return np.ascontiguousarray(values.reshape(*batch, n_features(space)), dtype=np.float32)


def _one_hot(space: spaces.Space[Any], offsets: npt.NDArray[Any], n: int) -> FloatArray:
    """Return one-hots of values less the space's `start`, which must be 0 to n − 1."""
    offsets = offsets.astype(np.int64)
    if offsets.size and (offsets.min() < 0 or offsets.max() >= n):
        raise SpaceError(
            f"A value outside of {space} was received: {int(offsets.min())} to {int(offsets.max())} above its "
            f"start, where 0 to {n - 1} is expected; algorithms that count from 0 need a space that starts at 0."
        )
    one_hot: FloatArray = np.eye(n, dtype=np.float32)[offsets]
    return one_hot


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a space in JSON, as far as `as_array` and `encode` need it (bounds of a Box are left out).

    Raises:
        SpaceError: The space is of another kind.
    """
    check_space(space, what="space")
    if isinstance(space, spaces.Dict):
        return {"kind": "Dict", "spaces": {key: space_to_json(inner) for key, inner in space.spaces.items()}}
    if isinstance(space, spaces.Discrete):
        return {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {
            "kind": "MultiDiscrete",
            "nvec": space.nvec.tolist(),
            "start": space.start.tolist(),
            "dtype": str(space.dtype),
        }
    assert space.shape is not None
    kind = "MultiBinary" if isinstance(space, spaces.MultiBinary) else "Box"
    return {"kind": kind, "shape": list(space.shape), "dtype": str(space.dtype)}


def space_from_json(description: Mapping[str, Any]) -> spaces.Space[Any]:
    """Return the space that `space_to_json` described; a Box comes back without bounds.

    Raises:
        SpaceError: The description names no kind known here, or is damaged.
    """
    try:
        return _from_json(description)
    except SpaceError:
        raise
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise SpaceError(f"The description of a space is damaged: {error!r}. Received {description!r}.") from error


def _from_json(description: Mapping[str, Any]) -> spaces.Space[Any]:
    kind = description.get("kind")
    if kind == "Dict":
        return spaces.Dict({key: _from_json(inner) for key, inner in description["spaces"].items()})
    if kind == "Discrete":
        return spaces.Discrete(description["n"], start=description["start"])
    if kind == "MultiDiscrete":
        dtype = np.dtype(description.get("dtype", "int64"))
        return spaces.MultiDiscrete(description["nvec"], start=description["start"], dtype=dtype.type)
    if kind == "MultiBinary":
        return spaces.MultiBinary(description["shape"])
    if kind == "Box":
        dtype = np.dtype(description["dtype"])
        limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else None
        low, high = (limits.min, limits.max) if limits else (-np.inf, np.inf)
        return spaces.Box(low, high, tuple(description["shape"]), dtype.type)
    raise SpaceError(f"Expected the description of a space with a known `kind`. Received {description!r}.")
