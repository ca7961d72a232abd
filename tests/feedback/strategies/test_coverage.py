"""What segments look like in numbers, and that queries are asked which differ in it."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

from prefrl.errors import SettingError
from prefrl.feedback import DiverseStrategy, NearPolicyStrategy, UniformStrategy, make_strategy
from prefrl.feedback.strategies import Places
from prefrl.feedback.strategies.coverage import farthest_first, features_of, features_of_groups
from prefrl.segments import Segment, SegmentRecorder
from prefrl.settings import FeedbackSettings
from tests.feedback.test_strategies import not_asked, place, recorded


class Listed:
    """Segments by number."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments

    @property
    def all(self) -> Places:
        return self.places(0)

    def places(self, length: int, *, recent_steps: int | None = None) -> Places:
        numbers = np.arange(len(self.segments))
        return np.stack([numbers, 0 * numbers, [segment.n_steps for segment in self.segments]], axis=1)

    def segment_at(self, place: npt.NDArray[np.int64]) -> Segment:
        return self.segments[int(place[0])]


def seen(observations: npt.ArrayLike, actions: npt.ArrayLike | None = None, start: int = 0) -> Segment:
    observations = np.asarray(observations)
    return Segment(
        observations=observations,
        actions=np.zeros(len(observations)) if actions is None else np.asarray(actions),
        env_rewards=np.zeros(len(observations), dtype=np.float32),
        start=start,
    )


def standardised(rows: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(rows, dtype=np.float64)
    sds = array.std(axis=0)
    centred: npt.NDArray[np.float64] = (array - array.mean(axis=0)) / np.where(sds > 0, sds, 1.0)
    return centred


# --- features ---------------------------------------------------------------------------------------------


def test_features_are_mean_and_sd_of_what_is_observed_and_done() -> None:
    source = Listed([seen([1.0, 3.0], [0, 2]), seen([5.0, 5.0], [1, 1]), seen([0.0, 0.0], [4, 4])])
    expected = [[2.0, 1.0, 1.0, 1.0], [5.0, 0.0, 1.0, 0.0], [0.0, 0.0, 4.0, 0.0]]
    np.testing.assert_allclose(features_of(source.all, source), standardised(expected), rtol=1e-12)


def test_segments_that_ended_early_are_compared_by_their_own_steps() -> None:
    """What is 0.1 all the time is no different after three steps than after seven, also where floats differ."""
    source = Listed([seen(np.full((n, 2), 0.1) * [1, n]) for n in (3, 7, 10, 6)])
    features = features_of(source.all, source)
    np.testing.assert_array_equal(features[:, [0, 2]], 0.0)
    np.testing.assert_allclose(features[:, 1], standardised([3, 7, 10, 6]), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(16, 24), (21, 17, 1), (3, 20, 20)])
def test_images_are_looked_at_by_the_means_of_cells(shape: tuple[int, ...], dtype: type) -> None:
    """Also sizes that 8 does not divide; against loops over cells, at every third of the 20 steps."""
    rng = np.random.default_rng(0)
    images: npt.NDArray[Any] = rng.integers(0, 256, size=(4, 20, *shape)).astype(dtype)
    source = Listed([seen(own) for own in images])

    def cells(size: int) -> list[slice]:
        width = -(-size // 8)
        return [slice(start, start + width) for start in range(0, size, width)]

    def small(image: npt.NDArray[np.float64]) -> list[float]:
        slices = np.meshgrid(*[range(len(cells(size))) for size in shape], indexing="ij")
        return [
            float(image[tuple(cells(size)[i] for size, i in zip(shape, index, strict=True))].mean())
            for index in zip(*(axis.ravel() for axis in slices), strict=True)
        ]

    means = np.array([[small(image) for image in own[::3].astype(np.float64)] for own in images])
    expected = np.concatenate([means.mean(axis=1), means.std(axis=1), np.zeros((4, 2))], axis=1)
    found = features_of(source.all, source)
    assert found.shape[1] <= 2 * 8 ** len(shape) + 2
    np.testing.assert_allclose(found, standardised(expected), rtol=1e-6, atol=1e-9)


def test_the_order_of_a_groups_segments_does_not_count() -> None:
    source = Listed([seen([value], start=i) for i, value in enumerate([0.0, 1.0, 4.0, 9.0])])
    groups = source.all[[[0, 1, 3], [3, 0, 1], [1, 2, 3]]]
    features = features_of_groups(groups, source)
    np.testing.assert_allclose(features[0], features[1], atol=1e-12)
    assert not np.allclose(features[0], features[2])
    pairs = features_of_groups(source.all[[[0, 1], [2, 3]]], source)
    scaled = standardised([0.0, 1.0, 4.0, 9.0]).reshape(2, 2)
    np.testing.assert_allclose(pairs[:, 0], scaled.mean(axis=1))
    np.testing.assert_allclose(pairs[:, 4], (scaled[:, 1] - scaled[:, 0]) / 2, err_msg="half of the difference")


# --- the greedy algorithm ---------------------------------------------------------------------------------


def radius(points: npt.NDArray[np.float64], centres: Sequence[int]) -> float:
    """How far the point that is farthest from all centres is from the nearest of them."""
    gaps = np.linalg.norm(points[:, None] - points[list(centres)], axis=-1)
    return float(gaps.min(axis=1).max())


@pytest.mark.parametrize("seed", range(10))
def test_no_point_is_more_than_twice_as_far_as_it_has_to_be(seed: int) -> None:
    """Against all choices of 1 to 4 of 11 points; and against the same greedy choice in loops."""
    points = np.random.default_rng(seed).normal(size=(11, 2))
    for n in range(1, 5):
        chosen = farthest_first(points, n).tolist()
        best = min(radius(points, centres) for centres in combinations(range(11), n))
        if n > 1:
            assert radius(points, chosen) <= 2 * best + 1e-12
        slow = [0]
        while len(slow) < n:
            gaps = [min(np.linalg.norm(point - points[i]) for i in slow) for point in points]
            slow.append(int(np.argmax(gaps)))
        assert chosen == slow


def test_a_line_is_covered_from_its_ends() -> None:
    points = np.arange(9.0)[:, None]
    assert farthest_first(points, 5).tolist() == [0, 8, 4, 2, 6]


def test_no_point_is_chosen_twice_where_all_are_alike() -> None:
    assert sorted(farthest_first(np.ones((4, 3)), 4).tolist()) == [0, 1, 2, 3]
    assert farthest_first(np.ones((4, 3)), 1).tolist() == [0]


# --- diverse ----------------------------------------------------------------------------------------------


def test_diverse_shows_what_is_rare() -> None:
    """Three of a thousand steps show something else; of the pairs drawn, those with one of these are asked."""
    values = np.random.default_rng(0).normal(size=1000)
    values[[200, 500, 800]] = [60.0, -60.0, 100.0]
    recorder = recorded(1000, values=values.tolist())

    def rare(name: str) -> int:
        n = 0
        for seed in range(5):
            pairs = make_strategy(FeedbackSettings(strategy=name)).select(
                recorder, 10, length=4, rng=np.random.default_rng(seed), predict_returns=not_asked
            )
            n += sum(any(np.abs(segment.observations).max() > 50 for segment in pair) for pair in pairs)
        return n

    # A pair has one of the twelve starts with 2.4 %: 1.2 of 50 are expected at random, 12 in the five pools.
    assert rare("diverse") >= 3 * max(rare("uniform"), 1)


def test_diverse_covers_its_pool_better_than_chance() -> None:
    source = recorded(500, values=np.random.default_rng(1).normal(size=500).tolist())
    settings = FeedbackSettings(strategy="diverse")
    pool = UniformStrategy(settings).draw(source, 80, length=3, rng=np.random.default_rng(7))
    pairs = DiverseStrategy(settings).select(
        source, 8, length=3, rng=np.random.default_rng(7), predict_returns=not_asked
    )
    unique = pool[np.sort(np.unique(pool, axis=0, return_index=True)[1])]
    starts = [tuple(group[:, 0]) for group in unique]
    chosen = [starts.index(tuple(segment.start for segment in pair)) for pair in pairs]
    features = features_of_groups(unique, source)
    at_random = [np.random.default_rng(seed).choice(len(unique), size=8, replace=False) for seed in range(50)]
    assert radius(features, chosen) < min(radius(features, some.tolist()) for some in at_random)
    assert chosen == farthest_first(features, 8).tolist()


@pytest.mark.parametrize("name", ["diverse", "near-policy", "disagreement-diverse", "near-policy:0.5+diverse:0.5"])
@pytest.mark.parametrize("n_segments", [1, 2, 4])
@pytest.mark.parametrize("kind", ["screens", "stacked", "dict", "discrete", "early ends"])
def test_every_kind_of_experience_is_told_apart(name: str, n_segments: int, kind: str) -> None:
    rng = np.random.default_rng(0)
    images: Any = spaces.Box(0, 255, (20, 20, 2), np.uint8)
    space: spaces.Space[Any] = {
        "screens": images,
        "stacked": images,
        "dict": spaces.Dict({"a": spaces.Box(-1, 1, (3,), np.float32), "b": spaces.Discrete(4)}),
        "discrete": spaces.Discrete(9),
        "early ends": spaces.Box(-1, 1, (2, 3), np.float32),
    }[kind]
    space.seed(0)
    recorder = SegmentRecorder(
        space, spaces.Discrete(3), 2, capacity=60, frame_stack=2 if kind == "stacked" else 1
    )
    for step in range(60):
        drawn = [space.sample() for _ in range(2)]
        observations: Any = (
            {key: np.stack([one[key] for one in drawn]) for key in ("a", "b")}
            if kind == "dict"
            else np.stack(drawn)
        )
        dones = np.full(2, kind == "early ends" and step % 7 < 2)
        recorder.record(observations, rng.integers(3, size=2), np.zeros(2), dones)
    strategy = make_strategy(FeedbackSettings(strategy=name, segment_length=5))
    groups = strategy.select(
        recorder,
        6,
        n_segments=n_segments,
        length=5,
        rng=rng,
        predict_returns=lambda segments: rng.normal(size=(3, len(segments))),
    )
    assert len({frozenset(map(place, group)) for group in groups}) == 6
    assert all(len(set(map(place, group))) == n_segments for group in groups)
    if kind == "early ends" and n_segments > 1:
        assert {segment.n_steps for group in groups for segment in group} > {5}


@pytest.mark.parametrize("name", ["diverse", "near-policy"])
def test_what_looks_the_same_everywhere_is_not_asked_twice(name: str) -> None:
    """Nine clips of nothing, and so 72 pairs, each of which is drawn several times."""
    settings = FeedbackSettings(strategy=name, segment_length=4)
    pairs = make_strategy(settings).select(
        recorded(12, values=[1.0] * 12), 20, length=4, rng=np.random.default_rng(0), predict_returns=not_asked
    )
    assert len({tuple(map(place, pair)) for pair in pairs}) == 20


# --- near the policy --------------------------------------------------------------------------------------


def test_near_the_policy_all_is_recent_whatever_the_share_of_others() -> None:
    settings = FeedbackSettings(recent_share=0.1, recent_steps=50, segment_length=10)
    for n_segments in (1, 2, 3):
        groups = NearPolicyStrategy(settings).select(
            recorded(5_000),
            40,
            n_segments=n_segments,
            length=10,
            rng=np.random.default_rng(0),
            predict_returns=not_asked,
        )
        assert len(groups) == 40
        assert all(segment.start >= 4_950 for group in groups for segment in group)


@pytest.mark.parametrize("n_segments", [2, 3])
def test_near_the_policy_the_half_that_differs_more_is_asked(n_segments: int) -> None:
    """Twice as many are drawn; of more than two segments the two most similar decide."""
    source = recorded(300)
    settings = FeedbackSettings(recent_steps=200, segment_length=5)
    drawn = UniformStrategy(FeedbackSettings(recent_share=1.0, recent_steps=200, segment_length=5)).draw(
        source, 24, n_segments=n_segments, length=5, rng=np.random.default_rng(4)
    )
    groups = NearPolicyStrategy(settings).select(
        source, 12, n_segments=n_segments, length=5, rng=np.random.default_rng(4), predict_returns=not_asked
    )

    def gap(starts: Sequence[int]) -> int:  # the observation is the step
        return min(abs(a - b) for a, b in combinations(starts, 2))

    starts = [tuple(group[:, 0].tolist()) for group in drawn]
    found = [tuple(segment.start for segment in group) for group in groups]
    assert sorted(map(gap, found)) == sorted(map(gap, starts))[12:]
    assert found == [group for group in starts if group in found], "in the order drawn, not the clearest first"


def test_recent_steps_must_hold_a_segment_before_anything_is_recorded() -> None:
    settings = FeedbackSettings(strategy="spread:0.5+near-policy:0.5", segment_length=50, recent_steps=30)
    with pytest.raises(SettingError, match=r"`recent_steps` must hold a segment of 50 steps\. Received 30"):
        make_strategy(settings)
