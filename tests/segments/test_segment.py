from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from prefrl.errors import SegmentError
from prefrl.segments import Comparison, Query, Segment, Strength


def make(**changes: Any) -> Segment:
    rng = np.random.default_rng(0)
    content: dict[str, Any] = {
        "observations": rng.normal(size=(4, 3)).astype(np.float32),
        "actions": rng.normal(size=(4, 2)).astype(np.float32),
        "env_rewards": np.array([1.0, 2.0, 3.0, 4.5], dtype=np.float32),
        "render_states": rng.normal(size=(4, 5)),
        "env_index": 1,
        "episode": 2,
        "start": 3,
        "num_timesteps": 400,
    }
    return Segment(**content | changes)


# --- segments ---------------------------------------------------------------------------------------------


def test_a_segment_counts_its_steps_and_its_return() -> None:
    segment = make()
    assert segment.n_steps == 4
    assert segment.env_return == 10.5
    assert isinstance(segment.env_return, float)


def test_returns_are_summed_in_float64() -> None:
    """In float32 the ones would be lost beside 2**24 = 16777216."""
    rewards = np.array([2.0**24, 1.0, 1.0, 1.0], dtype=np.float32)
    assert make(env_rewards=rewards).env_return == 2.0**24 + 3


@pytest.mark.parametrize("name", ["observations", "actions", "env_rewards", "render_states"])
def test_arrays_are_read_only_copies(name: str) -> None:
    original = getattr(make(), name).copy()
    given = original.copy()
    segment = make(**{name: given})
    given[:] = 77.0
    np.testing.assert_array_equal(getattr(segment, name), original)
    with pytest.raises(ValueError, match="read-only"):
        getattr(segment, name)[0] = 0.0
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        setattr(segment, name, given)


def test_types_are_kept_except_that_rewards_are_float32() -> None:
    segment = make(
        observations=np.zeros((4, 2, 2), dtype=np.uint8),
        actions=np.zeros(4, dtype=np.int64),
        env_rewards=np.ones(4, dtype=np.float64),
        render_states=None,
    )
    assert segment.observations.dtype == np.uint8
    assert segment.actions.dtype == np.int64
    assert segment.env_rewards.dtype == np.float32
    assert segment.render_states is None


@pytest.mark.parametrize("name", ["observations", "env_rewards", "render_states"])
def test_arrays_of_another_length_are_an_error(name: str) -> None:
    shorter = getattr(make(), name)[:3]
    with pytest.raises(SegmentError, match=rf"`actions` has 4, `{name}` has 3"):
        make(**{name: shorter})


def test_a_segment_without_a_step_is_an_error() -> None:
    content = {name: getattr(make(), name)[:0] for name in ("observations", "actions", "env_rewards")}
    with pytest.raises(SegmentError, match="at least one step"):
        make(**content, render_states=None)


# --- ids --------------------------------------------------------------------------------------------------


def test_equal_content_has_equal_id() -> None:
    assert make().id == make().id
    assert len(make().id) == 32
    int(make().id, 16)
    strided = np.repeat(make().observations, 2, axis=1)[:, ::2]
    assert make(observations=strided).id == make().id


def change_one_value(name: str) -> Callable[[Segment], Segment]:
    def change(segment: Segment) -> Segment:
        array = getattr(segment, name).copy()
        array.flat[-1] += 1e-3
        return replace(segment, **{name: array})

    return change


@pytest.mark.parametrize(
    "change",
    [
        *[
            pytest.param(change_one_value(name), id=name)
            for name in ("observations", "actions", "env_rewards", "render_states")
        ],
        pytest.param(lambda s: replace(s, env_index=0), id="env_index"),
        pytest.param(lambda s: replace(s, episode=0), id="episode"),
        pytest.param(lambda s: replace(s, start=0), id="start"),
        pytest.param(lambda s: replace(s, render_states=None), id="no_render_states"),
        pytest.param(lambda s: replace(s, observations=s.observations.reshape(4, 3, 1)), id="shape"),
        pytest.param(lambda s: replace(s, observations=s.observations.view(np.int32)), id="type"),
    ],
)
def test_another_content_has_another_id(change: Callable[[Segment], Segment]) -> None:
    assert change(make()).id != make().id


def test_the_moment_of_cutting_is_no_content() -> None:
    """The same steps cut at two moments are one segment."""
    assert make(num_timesteps=0).id == make(num_timesteps=999).id


def test_ids_are_those_of_the_versions_before() -> None:
    """Labels outlive code: what a store names by these ids must keep them."""
    old = Segment(
        observations=np.arange(6, dtype=np.float32).reshape(3, 2),
        actions=np.arange(3),
        env_rewards=np.array([1, 2, 3], np.float32),
        render_states=np.arange(3.0).reshape(3, 1),
        env_index=1,
        episode=2,
        start=3,
    )
    stacked = Segment(
        observations=np.arange(6, dtype=np.uint8).reshape(3, 2, 1),
        actions=np.arange(3),
        env_rewards=np.array([1, 2, 3], np.float32),
        lead_in=np.zeros((1, 2, 1), np.uint8),
    )
    assert old.id == "3b523c5c0051b17332f589d12a5417e5"
    assert stacked.id == "fed07da561c8292206007b4c7989ae45"
    assert Query(segments=(old, stacked), ordinal=5).id == "42b8c92f8c23fa9c0ac249e795d9b5f8"
    assert len({Query(segments=(old, stacked), ordinal=5, run=run).id for run in range(4)}) == 4


def test_what_came_after_and_the_drawn_actions_are_content_of_the_right_shape() -> None:
    drawn = 2 * make().actions
    more = make(next_observation=np.ones(3, np.float32), drawn_actions=drawn)
    assert len({more.id, make().id, make(drawn_actions=drawn).id, replace(more, drawn_actions=None).id}) == 4
    for name, value in (("next_observation", more.observations[0]), ("drawn_actions", drawn)):
        array = getattr(more, name)
        assert not array.flags.writeable
        assert array.shape == value.shape
    with pytest.raises(SegmentError, match=r"`next_observation` must have the shape of an observation, \(3,\)"):
        make(next_observation=np.ones((1, 3), np.float32))
    with pytest.raises(SegmentError, match=r"`drawn_actions` must have the shape of `actions`, \(4, 2\)"):
        make(drawn_actions=np.ones((4, 1), np.float32))
    with pytest.raises(SegmentError, match="`actions` has 4, `drawn_actions` has 3"):
        make(drawn_actions=drawn[:3])
    scalar = Segment(
        observations=np.arange(2),
        actions=np.arange(2),
        env_rewards=np.zeros(2, np.float32),
        next_observation=np.array(7),
    )
    assert scalar.next_observation is not None
    assert scalar.next_observation.shape == ()


# --- answers, queries, comparisons ------------------------------------------------------------------------


def test_a_query_is_its_number_and_its_segments_in_order() -> None:
    a, b, c = make(), make(start=7), make(start=8)
    query = Query(segments=(a, b), ordinal=5, num_timesteps=10)
    assert query.id == Query(segments=(make(), make(start=7)), ordinal=5, num_timesteps=99).id
    others = [
        Query(segments=(b, a), ordinal=5),
        Query(segments=(a, c), ordinal=5),
        Query(segments=(a, b), ordinal=6),
        Query(segments=(a, b, c), ordinal=5),
    ]
    assert len({query.id, *(other.id for other in others)}) == 5


def test_a_query_of_nothing_is_an_error() -> None:
    with pytest.raises(SegmentError, match=r"at least one segment\. Received none\."):
        Query(segments=(), ordinal=0)
    assert len(Query(segments=(make(),), ordinal=0).segments) == 1


@pytest.mark.parametrize("preference", [0.0, 0.5, 1.0])
def test_a_comparison_says_who_is_better(preference: float) -> None:
    assert Comparison(segments=(make(), make()), preferences=(preference,)).preference == preference


@pytest.mark.parametrize("preference", [-1.0, 0.3, 2.0, float("nan")])
def test_a_comparison_that_says_anything_else_is_an_error(preference: float) -> None:
    with pytest.raises(
        SegmentError, match=rf"Each of `preferences` must be 0, 0\.5 or 1\. Received \({preference},\)"
    ):
        Comparison(segments=(make(), make()), preferences=(preference,))


def test_a_comparison_has_its_two_segments_in_order() -> None:
    a, b = make(), make(start=7)
    comparison = Comparison(segments=(a, b), preferences=(1.0,))
    assert (comparison.first, comparison.second) == (a, b)
    for segments, rating in (((a,), None), ((), None), ((a, b), 3), ((), 3)):
        with pytest.raises(
            SegmentError, match=rf"or of one with a `rating`\. Received {len(segments)}, rated {rating}"
        ):
            Comparison(segments=segments, preferences=(1.0,) if len(segments) == 2 else (), rating=rating)


def test_one_segment_is_rated() -> None:
    rated = Comparison(segments=(make(),), preferences=(), rating=4)
    assert (rated.rating, rated.is_tie, rated.strength) == (4, False, Strength.UNSAID)
    with pytest.raises(SegmentError, match=r"Only of two segments one is the better\. Received 1\."):
        rated.preference  # noqa: B018
    with pytest.raises(SegmentError, match="Only one of two may be better by so much"):
        Comparison(segments=(make(),), preferences=(), rating=4, strength=Strength.MUCH)


def test_a_comparison_of_more_than_two_says_something_of_each_two() -> None:
    a, b, c = make(), make(start=7), make(start=9)
    comparison = Comparison(segments=(a, b, c), preferences=(1.0, 1.0, 0.5))
    assert not comparison.is_tie
    assert Comparison(segments=(a, b, c), preferences=(0.5, 0.5, 0.5)).is_tie
    with pytest.raises(SegmentError, match=r"Only of two segments one is the better\. Received 3\."):
        comparison.preference  # noqa: B018
    with pytest.raises(SegmentError, match=r"of 3 segments has 3 `preferences`, one of each two\. Received 1\."):
        Comparison(segments=(a, b, c), preferences=(1.0,))


def test_a_query_and_a_comparison_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError, match="ordinal"):
        Query(segments=(make(), make()), ordinal=0).ordinal = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="preferences"):
        Comparison(segments=(make(), make()), preferences=(1.0,)).preferences = (0.0,)  # type: ignore[misc]
