"""Plain data through JSON and arrays and back."""

import json
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from prefrl_envs.plain_data import Arrays, from_plain, is_plain, to_plain

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | npst.arrays(st.sampled_from([np.float64, np.float32, np.int64, np.bool_]), npst.array_shapes(min_dims=0))
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(lambda items: deque(items, maxlen=7))
        | st.dictionaries(st.text(), inner)
    ),
    max_leaves=10,
)


def through_json(value: Any) -> Any:
    arrays: Arrays = {}
    document = json.loads(json.dumps(to_plain(value, arrays, "here")))
    return from_plain(document, arrays)


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())
    if isinstance(one, deque) and one.maxlen != other.maxlen:
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple | deque):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(trees)
@settings(max_examples=100, deadline=None)
def test_data_come_back_with_type_and_value(value: Any) -> None:
    assert is_plain(value)
    assert same(through_json(value), value)


def test_numpy_scalars_keep_their_type() -> None:
    back = through_json([np.float32(0.1), np.float64(0.1), np.int64(3), np.bool_(True)])
    assert [type(value) for value in back] == [np.float32, np.float64, np.int64, np.bool_]
    assert back == [np.float32(0.1), 0.1, 3, True]


@pytest.mark.parametrize("name", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_a_generator_goes_on_where_it_was(name: str) -> None:
    rng = np.random.Generator(getattr(np.random, name)(3))
    rng.integers(10, size=5, dtype=np.uint32)  # leaves half a 64-bit number in the buffer
    back = through_json(rng)
    assert back is not rng
    assert back.integers(100, size=20).tolist() == rng.integers(100, size=20).tolist()


def test_keys_that_look_like_paths_are_kept_apart() -> None:
    value = {"a.b": np.array([1.0]), "a": {"b": np.array([2.0])}, "a.0": np.array([3.0])}
    assert same(through_json(value), value)


def test_arrays_are_copies_both_ways() -> None:
    original = np.arange(3.0)
    arrays: Arrays = {}
    document = to_plain(original, arrays, "here")
    original[0] = 9.0
    first = from_plain(document, arrays)
    first[1] = 9.0
    assert from_plain(document, arrays).tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("value", [object(), {1: 2}, [object()], b"bytes", {1}, np.array([None]), 1j])
def test_other_data_are_not_plain(value: Any) -> None:
    assert not is_plain(value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"kind": "code", "items": []}, "unknown kind 'code'"),
        ({"kind": "generator", "state": {"kind": "dict", "items": {"bit_generator": "seed"}}}, "unknown random"),
    ],
)
def test_a_document_of_another_origin_is_refused(document: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_plain(document, {})
