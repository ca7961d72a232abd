"""Plain Python and NumPy data as JSON plus named arrays, and back, with every type kept."""

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]

_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def is_plain(value: Any) -> bool:
    """Return whether `to_plain` can write `value`."""
    if value is None or isinstance(value, bool | int | float | str):
        return True
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biuf"
    if isinstance(value, np.random.Generator):
        return type(value.bit_generator).__name__ in _BIT_GENERATORS
    if type(value) in (list, tuple, deque):
        return all(is_plain(item) for item in value)
    if type(value) is dict:
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    return False


def to_plain(value: Any, arrays: Arrays, path: str) -> Any:
    """Return `value` in JSON's types, and put its arrays into `arrays`.

    Args:
        value: Something of which `is_plain` is true.
        arrays: Receives a copy of each array under a name that starts with `path`.
        path: Where the value stands, for a telling name.
    """
    if isinstance(value, np.ndarray | np.generic):  # before float: np.float64 is one
        name = f"{path}.{len(arrays)}"  # the number keeps {"a.b": x} and {"a": {"b": x}} apart
        arrays[name] = np.array(value, order="C")
        return {"kind": "array" if isinstance(value, np.ndarray) else "scalar", "name": name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.random.Generator):
        return {"kind": "generator", "state": to_plain(value.bit_generator.state, arrays, path)}
    if isinstance(value, dict):
        items = {key: to_plain(item, arrays, f"{path}.{key}") for key, item in value.items()}
        return {"kind": "dict", "items": items}
    items_list = [to_plain(item, arrays, f"{path}.{index}") for index, item in enumerate(value)]
    if isinstance(value, list):
        return items_list
    maxlen = {"maxlen": value.maxlen} if isinstance(value, deque) else {}
    return {"kind": type(value).__name__, "items": items_list, **maxlen}


def from_plain(document: Any, arrays: Arrays) -> Any:
    """Return what `to_plain` was given; arrays are copies.

    Raises:
        ValueError: The document names a kind of data that `to_plain` does not write.
    """
    if isinstance(document, list):
        return [from_plain(item, arrays) for item in document]
    if not isinstance(document, dict):
        return document
    kind = document["kind"]
    if kind == "array":
        return arrays[document["name"]].copy()
    if kind == "scalar":
        return arrays[document["name"]][()]
    if kind == "dict":
        return {key: from_plain(item, arrays) for key, item in document["items"].items()}
    if kind == "tuple":
        return tuple(from_plain(item, arrays) for item in document["items"])
    if kind == "deque":
        return deque((from_plain(item, arrays) for item in document["items"]), document["maxlen"])
    if kind == "generator":
        return _generator(from_plain(document["state"], arrays))
    raise ValueError(f"A saved state has data of an unknown kind {kind!r}: another version wrote it.")


def _generator(state: dict[str, Any]) -> np.random.Generator:
    """Return a generator that goes on where the saved one was."""
    name = state["bit_generator"]
    if name not in _BIT_GENERATORS:
        raise ValueError(f"A saved state names an unknown random generator {name!r}.")
    bit_generator = getattr(np.random, name)()
    bit_generator.state = state
    return np.random.Generator(bit_generator)
