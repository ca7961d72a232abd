from collections.abc import Callable

import pytest

from prefrl.errors import SettingError, StoreError
from prefrl.segments import Query, Segment
from prefrl.store import Store

MakeQuery = Callable[..., Query]
MakeSegment = Callable[..., Segment]


def test_the_showcase_is_in_order_of_time(timed: Store, make_segment: MakeSegment) -> None:
    assert timed.showcase() == []
    first, second, better = make_segment(1), make_segment(2), make_segment(3)
    timed.add_showcase(second, 2000)
    timed.add_showcase(first, 1000)
    timed.add_showcase(first, 3000)  # the same behaviour once more
    assert timed.showcase() == [(1000, first.id), (2000, second.id), (3000, first.id)]
    timed.add_showcase(better, 2000)
    assert timed.showcase()[1] == (2000, better.id)
    assert timed.segment(first.id).id == first.id


def test_of_many_episodes_every_second_goes(timed: Store, make_segment: MakeSegment) -> None:
    segments = [make_segment(k, n_steps=1) for k in range(61)]
    for k in range(60):
        timed.add_showcase(segments[k], 10 * k)
    assert [time for time, _ in timed.showcase()] == [10 * k for k in range(60)]
    timed.add_showcase(segments[60], 600)
    assert timed.showcase() == [(10 * k, segments[k].id) for k in range(0, 61, 2)]
    for k in range(61, 160):
        timed.add_showcase(segments[k % 61], 10 * k)
        times = [time for time, _ in timed.showcase()]
        assert times[0] == 0
        assert times[-1] == 10 * k
        assert 31 <= len(times) <= 60


def test_a_segment_is_found_by_its_id_as_it_was_first_cut(timed: Store, make_segment: MakeSegment) -> None:
    shared, other = make_segment(1, num_timesteps=50), make_segment(2, num_timesteps=70)
    timed.add_queries([Query(segments=(other, shared), ordinal=0, num_timesteps=80, run=1)])
    timed.add_showcase(shared, 90)
    found = timed.segment(shared.id)
    assert found.id == shared.id
    assert found.num_timesteps == 50
    shown = make_segment(3)
    timed.add_showcase(shown, 90)
    assert timed.segment(shown.id).num_timesteps == 90
    with pytest.raises(StoreError, match="The store has no segment 'unknown'"):
        timed.segment("unknown")


def test_predictions_are_replaced_by_segment(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    a, b = (segment.id for segment in query.segments)
    timed.add_queries([query])
    assert timed.predictions([a, b]) == {}
    timed.set_predictions({a: [0.1, -2.0, 3.0, 1e-7], b: [1.0] * 4}, 100)
    timed.set_predictions({b: [2.0] * 4}, 200)
    timed.set_predictions({}, 300)
    assert timed.predictions([a, b, "unknown"]) == {a: [0.1, -2.0, 3.0, 1e-7], b: [2.0] * 4}
    assert timed.predictions([a]).keys() == {a}


def test_predictions_that_cannot_be(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    a = query.segments[0].id
    timed.add_queries([query])
    with pytest.raises(StoreError, match="no segment 'unknown' to predict"):
        timed.set_predictions({a: [1.0], "unknown": [1.0]}, 0)
    with pytest.raises(SettingError, match="Predicted rewards must be finite"):
        timed.set_predictions({a: [float("inf")]}, 0)
    assert timed.predictions([a]) == {}
