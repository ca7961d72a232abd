import numpy as np
import pytest

from prefrl.errors import SettingError
from prefrl.seeding import Streams


def test_same_seed_and_name_same_numbers_anything_else_others() -> None:
    draws = {
        (seed, name): tuple(Streams(seed).generator(name).integers(2**62, size=4))
        for seed in (0, 1, 2**63 - 1)
        for name in ("selection", "teacher", "")
    }
    assert len(set(draws.values())) == 9
    for (seed, name), expected in draws.items():
        assert tuple(Streams(seed).generator(name).integers(2**62, size=4)) == expected


def test_a_stream_does_not_depend_on_those_asked_for_before() -> None:
    streams = Streams(0)
    streams.generator("other").random(5)
    streams.integer("another")
    assert streams.generator("selection").random() == Streams(0).generator("selection").random()


def test_a_stream_goes_on_where_it_was() -> None:
    streams = Streams(0)
    assert streams.generator("a") is streams.generator("a")
    straight = Streams(0).generator("a").random(6)
    parts = [streams.generator("a").random(3), streams.generator("a").random(3)]
    np.testing.assert_array_equal(np.concatenate(parts), straight)


def test_integers_are_seeds_for_other_libraries() -> None:
    streams = Streams(7)
    numbers = {name: streams.integer(name) for name in ("agent", "environment", "torch")}
    assert len(set(numbers.values())) == 3
    assert all(0 <= number < 2**31 for number in numbers.values())
    streams.generator("agent").random(3)
    assert {name: streams.integer(name) for name in numbers} == numbers
    assert Streams(8).integer("agent") != numbers["agent"]


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_an_error(seed: int) -> None:
    with pytest.raises(SettingError, match=rf"`seed` must lie between 0 and 2\*\*63 - 1\. Received {seed}\."):
        Streams(seed)
