import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from prefrl.errors import SpaceError
from prefrl.reward import RewardEnsemble
from prefrl.segments import SegmentRecorder, as_array, encode, n_features, space_from_json, space_to_json
from prefrl.segments.spaces import check_space
from prefrl.settings import RewardSettings

INNER = spaces.Dict({"flags": spaces.MultiBinary(2), "dial": spaces.MultiDiscrete([2, 3], start=[5, -1])})
KINDS: dict[str, spaces.Space[Any]] = {
    "box": spaces.Box(-1, 1, (3,), np.float32),
    "scalar-box": spaces.Box(-1, 1, (), np.float32),
    "image": spaces.Box(0, 255, (4, 5, 3), np.uint8),
    "discrete": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([3, 2], start=[1, -1]),
    "multi-discrete-2d": spaces.MultiDiscrete(np.array([[3, 2], [4, 1]])),
    "multi-binary": spaces.MultiBinary(4),
    "multi-binary-2d": spaces.MultiBinary((2, 2)),
    "dict": spaces.Dict({"speed": spaces.Box(-1, 1, (2,), np.float32)}),
    "dict-of-dict": spaces.Dict({"inside": INNER, "gear": spaces.Discrete(3, start=1)}),
}


def batch(space: spaces.Space[Any], samples: list[Any]) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: batch(inner, [s[key] for s in samples]) for key, inner in space.spaces.items()}
    return np.stack(samples)


def samples_of(space: spaces.Space[Any], n: int) -> list[Any]:
    space.seed(0)
    return [space.sample() for _ in range(n)]


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_gymnasiums_flatten(kind: str) -> None:
    space = KINDS[kind]
    samples = samples_of(space, 7)
    flat = np.stack([np.asarray(spaces.flatten(space, sample)) for sample in samples])
    kept = as_array(space, batch(space, samples))
    features = encode(space, kept, batch_dims=1)
    assert features.dtype == np.float32
    assert n_features(space) == flat.shape[1]
    np.testing.assert_allclose(features, flat, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("leading", [(), (6,), (2, 3), (0,), (3, 0)])
def test_leading_dimensions_are_kept(kind: str, leading: tuple[int, ...]) -> None:
    """Also when there is nothing in them."""
    space = KINDS[kind]
    kept = as_array(space, batch(space, samples_of(space, 6)))
    n = int(np.prod(leading))
    some = kept[:n].reshape((*leading, *kept.shape[1:]))
    features = encode(space, some, batch_dims=len(leading))
    assert features.shape == (*leading, n_features(space))
    expected = encode(space, kept, batch_dims=1)[:n]
    np.testing.assert_array_equal(features.reshape(expected.shape), expected)


def test_by_hand() -> None:
    assert encode(spaces.Discrete(3, start=4), np.array([4, 6]), batch_dims=1).tolist() == [[1, 0, 0], [0, 0, 1]]
    multi = encode(spaces.MultiDiscrete([2, 3]), np.array([[1, 0]]), batch_dims=1)
    assert multi.tolist() == [[0, 1, 1, 0, 0]]
    values = {"inside": {"flags": np.array([[1, 0]]), "dial": np.array([[6, -1]])}, "gear": np.array([3])}
    space = KINDS["dict-of-dict"]
    expected = {"gear": [0, 0, 1], "dial": [0, 1, 1, 0, 0], "flags": [1, 0]}
    assert isinstance(space, spaces.Dict)
    order = [key for outer in space.spaces for key in (INNER.spaces if outer == "inside" else [outer])]
    assert as_array(space, values).tolist() == [[number for key in order for number in expected[key]]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_comes_back_from_json_reading_the_same(kind: str) -> None:
    space = KINDS[kind]
    again = space_from_json(json.loads(json.dumps(space_to_json(space))))
    values = batch(space, samples_of(space, 7))
    assert type(again) is type(space)
    assert (again.shape, again.dtype) == (space.shape, space.dtype)
    np.testing.assert_array_equal(as_array(again, values), as_array(space, values))
    np.testing.assert_array_equal(
        encode(again, as_array(again, values), batch_dims=1),
        encode(space, as_array(space, values), batch_dims=1),
    )
    assert space_to_json(again) == space_to_json(space)


@pytest.mark.parametrize("description", [{}, {"kind": "Text"}, {"kind": None}])
def test_a_description_of_no_known_kind_is_an_error(description: dict[str, Any]) -> None:
    with pytest.raises(SpaceError, match="Expected the description of a space with a known `kind`"):
        space_from_json(description)


def test_a_space_that_no_network_reads_is_named_with_the_way_to_it() -> None:
    space = spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Dict({"c": spaces.Text(3)})})
    message = r"^The observation space \(key 'b'\) \(key 'c'\) is Text\(.*\), but rewards are learned on Box, "
    with pytest.raises(SpaceError, match=message) as caught:
        check_space(space, what="observation space")
    assert "\n" not in str(caught.value)
    with pytest.raises(SpaceError, match=r"^The space .*Text"):
        space_to_json(space)


@pytest.mark.parametrize("start", [-1, 0, 7])
@pytest.mark.parametrize("outside", [-1, 3])
def test_a_discrete_value_outside_of_its_space_is_an_error(start: int, outside: int) -> None:
    """Stable-Baselines3 counts actions from 0 whatever the space's start is."""
    space = spaces.Discrete(3, start=start)
    with pytest.raises(
        SpaceError, match=rf"outside of Discrete\(3.*: {min(outside, 0)} to {max(outside, 0)} above"
    ):
        encode(space, np.array([start, start + outside]), batch_dims=1)
    multi = spaces.MultiDiscrete([3, 9], start=[start, 0])
    with pytest.raises(SpaceError, match=r"outside of MultiDiscrete.* where 0 to 2 is expected"):
        encode(multi, np.array([[start, 8], [start + outside, 0]]), batch_dims=1)
    first, last = encode(space, np.array([start, start + 2]), batch_dims=1)
    assert (first.tolist(), last.tolist()) == ([1, 0, 0], [0, 0, 1])


STARTS: dict[str, spaces.Space[Any]] = {
    "discrete": spaces.Discrete(3, start=-1),
    "multi-discrete": spaces.MultiDiscrete([2, 3], start=[-4, 5], dtype=np.int32),
    "multi-discrete-2d": spaces.MultiDiscrete(np.array([[3, 2], [4, 1]]), start=np.array([[1, -2], [3, 4]])),
    "dict": spaces.Dict({"a": spaces.Discrete(3, start=7), "b": spaces.MultiDiscrete([2, 2], start=[1, -1])}),
}


@pytest.mark.parametrize("kind", STARTS)
def test_spaces_that_start_anywhere_are_recorded_described_and_learned_on(kind: str) -> None:
    space, actions = STARTS[kind], spaces.Discrete(4, start=-1)
    actions.seed(0)
    samples, acted = samples_of(space, 12), [actions.sample() for _ in range(12)]
    recorder = SegmentRecorder(space, actions, 2, capacity=5)
    for i in range(0, 10, 2):
        recorder.record(
            batch(space, samples[i : i + 2]),
            np.array(acted[i : i + 2]),
            np.zeros(2),
            np.zeros(2, dtype=bool),
            next_observations=batch(space, samples[i + 2 : i + 4]),
        )
    segment = recorder.latest(5, env=1)
    assert segment is not None
    kept = as_array(space, batch(space, samples[1::2]))
    np.testing.assert_array_equal(segment.observations, kept[:5])
    np.testing.assert_array_equal(segment.actions, acted[1:10:2])
    np.testing.assert_array_equal(segment.next_observation, kept[5])
    assert space_from_json(json.loads(json.dumps(space_to_json(space)))) == space
    ensemble = RewardEnsemble(space, actions, settings=RewardSettings(next_observation=True))
    following = batch(space, samples[3:12:2])
    rewards = ensemble.predict(batch(space, samples[1:10:2]), np.array(acted[1:10:2]), following)
    np.testing.assert_allclose(ensemble.predict_segment(segment), rewards, rtol=1e-4, atol=1e-6)
