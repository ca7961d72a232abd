"""Dataclasses as JSON. Reading is strict about what is needed, and lets pass what a newer writer says besides."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from prefrl.errors import SettingError, StoreError

_T = TypeVar("_T")


def encode_record(record: Any) -> str:
    """Return a record as one line of JSON.

    Raises:
        SettingError: A value is not finite, or is nothing that JSON knows.
    """
    try:
        return json.dumps(asdict(record), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingError(f"A record must be JSON and finite. Received {record!r}.") from error


def decode_record(kind: type[_T], text: str) -> _T:
    """Return the record that `encode_record` wrote, perhaps in another version of prefrl.

    Args:
        kind: A dataclass whose fields are of types that JSON knows, or a `Literal` of texts.
        text: What was written. Keys that are no fields are left out.

    Raises:
        StoreError: It is no JSON object, a field without a default is missing, or a value is of another type.
    """
    name = kind.__name__
    try:
        values = json.loads(text)
    except ValueError as error:
        raise StoreError(f"The {name} in the store cannot be read: it is no JSON ({error}).") from error
    if not isinstance(values, dict):
        raise StoreError(f"The {name} in the store cannot be read: expected an object, received {text[:80]}.")
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in values:
            if not _fits(values[field.name], hints[field.name]):
                raise StoreError(
                    f"The {name} in the store cannot be read: `{field.name}` is {values[field.name]!r}, expected "
                    f"{_name(hints[field.name])}."
                )
            is_tuple = get_origin(hints[field.name]) is tuple
            found[field.name] = tuple(values[field.name]) if is_tuple else values[field.name]
        elif field.default is MISSING and field.default_factory is MISSING:
            raise StoreError(
                f"The {name} in the store cannot be read: `{field.name}` is missing; it was written by another "
                "version of prefrl."
            )
    return kind(**found)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value that JSON brought is of a type."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:  # of any length
        return isinstance(value, list) and all(_fits(one, parts[0]) for one in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(_fits(inner, parts[1]) for inner in value.values())
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint)


def _name(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_name(part) for part in parts)
    if origin is Literal:
        return f"one of {', '.join(parts)}"
    if origin in (dict, Mapping):
        return "an object"
    if origin is tuple:
        return f"a list, of {_name(parts[0])} each"
    return {NoneType: "null", str: "text", int: "a whole number", float: "a number", bool: "true or false"}.get(
        hint, str(hint)
    )
