from collections import Counter
from collections.abc import Sequence
from math import exp, log
from statistics import pvariance

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefrl.errors import NotEnoughExperienceError, SettingError
from prefrl.feedback import (
    DisagreementStrategy,
    QueryStrategy,
    SpreadStrategy,
    ThompsonStrategy,
    UniformStrategy,
    make_strategy,
)
from prefrl.feedback.strategies import Places, PredictReturns
from prefrl.feedback.strategies.by_return import spread_weights
from prefrl.feedback.strategies.pools import AT_ONCE
from prefrl.feedback.strategies.scores import disagreement
from prefrl.registry import STRATEGIES
from prefrl.segments import Segment, SegmentRecorder
from prefrl.settings import FeedbackSettings

NAMES = (*STRATEGIES, "spread:0.5+thompson:0.5", "near-policy:0.4+disagreement:0.35+uniform:0.25")


def recorded(n_steps: int, *, n_envs: int = 1, values: Sequence[float] | None = None) -> SegmentRecorder:
    """Experience of one long episode per environment, in which the observation is the step, or `values`."""
    space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    recorder = SegmentRecorder(space, spaces.Discrete(2), n_envs, capacity=n_steps)
    zeros = np.zeros(n_envs, dtype=np.int64)
    for step in range(n_steps):
        value = step if values is None else values[step]
        observations = np.full((n_envs, 1), value, dtype=np.float32)
        recorder.record(observations, zeros, np.zeros(n_envs), np.zeros(n_envs, dtype=bool))
    return recorder


def not_asked(segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
    raise AssertionError(f"asked about {len(segments)} segments")


class Spy:
    """Three members that see different things in the first observation, and the pools they were shown."""

    def __init__(self) -> None:
        self.pools: list[list[Segment]] = []

    def __call__(self, segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
        self.pools.append(list(segments))
        x = np.array([float(segment.observations[0, 0]) for segment in segments])
        return np.stack([np.sin(x), np.sin(2.3 * x), 0.05 * x])


def place(segment: Segment) -> tuple[int, int, int]:
    return segment.env_index, segment.episode, segment.start


def test_uniform_reaches_every_start_position_equally() -> None:
    recorder = recorded(24, n_envs=2)
    rng = np.random.default_rng(0)
    pairs = UniformStrategy(FeedbackSettings(recent_share=0.0)).select(
        recorder, 2_000, length=5, rng=rng, predict_returns=not_asked
    )
    for side in range(2):
        seen = Counter(place(pair[side]) for pair in pairs)
        assert set(seen) == {(env, 0, start) for env in range(2) for start in range(20)}
        # 2,000 draws into 40 places: mean 50, standard deviation 7; five of them on either side.
        assert all(15 <= count <= 85 for count in seen.values())
    assert all(segment.n_steps == 5 for pair in pairs for segment in pair)


@pytest.mark.parametrize(("share", "n_recent"), [(0.0, 0), (0.25, 50), (0.7, 140), (1.0, 200)])
def test_the_recent_share_is_kept_exactly(share: float, n_recent: int) -> None:
    rng = np.random.default_rng(1)
    strategy = UniformStrategy(FeedbackSettings(recent_share=share, recent_steps=50, segment_length=10))
    pairs = strategy.select(recorded(5_000), 100, length=10, rng=rng, predict_returns=not_asked)
    starts = [segment.start for pair in pairs for segment in pair]
    recent = sum(start >= 4_950 for start in starts)
    assert n_recent <= recent <= n_recent + 10  # one in a hundred of the others falls there too


def test_recent_and_older_segments_mix_within_pairs() -> None:
    rng = np.random.default_rng(2)
    strategy = UniformStrategy(FeedbackSettings(recent_share=0.5, recent_steps=50))
    pairs = strategy.select(recorded(5_000), 400, length=10, rng=rng, predict_returns=not_asked)
    kinds = Counter((first.start >= 4_950, second.start >= 4_950) for first, second in pairs)
    # Independent sides: a quarter of 400 each, standard deviation below 9.
    assert all(55 <= kinds[a, b] <= 145 for a in (True, False) for b in (True, False))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_segment_is_never_paired_with_itself(share: float) -> None:
    recorder = recorded(6)
    assert recorder.n_starts(5) == 2
    rng = np.random.default_rng(3)
    strategy = UniformStrategy(FeedbackSettings(recent_share=share, recent_steps=6, segment_length=5))
    pairs = strategy.select(recorder, 100, length=5, rng=rng, predict_returns=not_asked)
    assert {frozenset((first.start, second.start)) for first, second in pairs} == {frozenset((0, 1))}


def test_a_single_segment_makes_no_pair() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(NotEnoughExperienceError, match="needs 2 different segments of 5 steps, and 1 can be cut"):
        UniformStrategy().select(recorded(5), 1, length=5, rng=rng, predict_returns=not_asked)


def test_the_pairs_of_most_disagreement_are_chosen_most_first() -> None:
    spy = Spy()
    rng = np.random.default_rng(4)
    chosen = DisagreementStrategy(FeedbackSettings(recent_share=0.3, recent_steps=100)).select(
        recorded(500), 7, length=4, rng=rng, predict_returns=spy
    )
    assert max(len(part) for part in spy.pools) <= AT_ONCE
    pool = [segment for part in spy.pools for segment in part]
    assert len(pool) == 2 * 7 * 10

    def variance(first: Segment, second: Segment) -> float:
        returns = spy([first, second])
        return pvariance([1 / (1 + exp(-(float(r[0]) - float(r[1])))) for r in returns])

    ranked = sorted(zip(pool[::2], pool[1::2], strict=True), key=lambda pair: -variance(*pair))
    assert [(place(a), place(b)) for a, b in chosen] == [(place(a), place(b)) for a, b in ranked[:7]]
    assert all(place(a) != place(b) for a, b in chosen)


def test_clips_that_look_identical_are_not_chosen_for_disagreement() -> None:
    values = [1.0] * 300 + list(np.linspace(0, 3, 100))  # three quarters show the same all the time
    recorder = recorded(400, values=values)
    rng = np.random.default_rng(5)
    spy = Spy()
    chosen = DisagreementStrategy(FeedbackSettings(recent_share=0.0)).select(
        recorder, 10, length=1, rng=rng, predict_returns=spy
    )
    pool = [segment for part in spy.pools for segment in part]
    pairs = zip(pool[::2], pool[1::2], strict=True)
    alike = [np.array_equal(a.observations, b.observations) for a, b in pairs]
    assert sum(alike) > 30
    assert not any(np.array_equal(a.observations, b.observations) for a, b in chosen)


@pytest.mark.parametrize("name", NAMES)
def test_the_choice_depends_on_the_random_numbers_only(name: str) -> None:
    strategy: QueryStrategy = make_strategy(FeedbackSettings(strategy=name))
    recorder = recorded(300)

    def starts(seed: int, n: int = 5) -> list[tuple[int, int]]:
        rng = np.random.default_rng(seed)
        pairs = strategy.select(recorder, n, length=4, rng=rng, predict_returns=Spy())
        return [(first.start, second.start) for first, second in pairs]

    assert starts(0) == starts(0)
    assert starts(0) != starts(1)
    assert starts(0, n=0) == []


def test_disagreement_by_hand() -> None:
    returns_1 = np.array([[0.0, 5.0], [log(3.0), 7.0]])
    returns_2 = np.array([[0.0, 5.0], [0.0, 7.0]])
    # First pair: probabilities 1/2 and 3/4, so mean 5/8 and variance (1/8)². Second: 1/2 and 1/2.
    np.testing.assert_allclose(disagreement(returns_1, returns_2), [1 / 64, 0.0], rtol=1e-12)
    np.testing.assert_array_equal(disagreement(np.array([[1e6], [-1e6]]), np.zeros((2, 1))), [0.25])


_RETURNS = hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e6, 1e6))


@given(returns_1=_RETURNS, returns_2=_RETURNS)
@settings(deadline=None)
def test_disagreement_is_symmetric_bounded_and_zero_on_identical_clips(
    returns_1: npt.NDArray[np.float64], returns_2: npt.NDArray[np.float64]
) -> None:
    found = disagreement(returns_1, returns_2)
    assert ((found >= 0) & (found <= 0.25)).all()
    np.testing.assert_allclose(found, disagreement(returns_2, returns_1), atol=1e-12)
    np.testing.assert_array_equal(disagreement(returns_1, returns_1), np.zeros(4))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SettingError, match=r"0 <= `recent_share` <= 1\. Received .*-0.1"):
        FeedbackSettings(recent_share=-0.1)
    with pytest.raises(SettingError, match=r"`recent_steps` must be at least 1\. Received .*0"):
        FeedbackSettings(recent_steps=0)
    with pytest.raises(
        SettingError, match=r"`strategy` must be one of uniform, .* Received 'spreed'\. Did you mean"
    ):
        make_strategy(FeedbackSettings(strategy="spreed"))
    rng = np.random.default_rng(0)
    few = FeedbackSettings(recent_share=0.5, recent_steps=5, segment_length=5)
    with pytest.raises(SettingError, match="No segment of 8 steps fits into `recent_steps`=5"):
        UniformStrategy(few).select(recorded(50), 1, length=8, rng=rng, predict_returns=not_asked)


def test_where_no_recent_segment_is_whole_it_is_drawn_from_all() -> None:
    """Episodes have just begun: the last steps hold no segment."""
    recorder = recorded(50)
    recorder.cut()
    for step in range(6):
        recorder.record(
            np.full((1, 1), step, dtype=np.float32),
            np.zeros(1, dtype=np.int64),
            np.zeros(1),
            np.zeros(1, dtype=bool),
        )
    settings = FeedbackSettings(recent_share=1.0, recent_steps=8, segment_length=8)
    rng = np.random.default_rng(0)
    pairs = UniformStrategy(settings).select(recorder, 3, length=8, rng=rng, predict_returns=not_asked)
    assert len(pairs) == 3
    assert all(segment.observations.shape == (8, 1) for pair in pairs for segment in pair)


def test_every_bin_is_drawn_alike() -> None:
    values = np.array([0.0, 0.01, 0.02, 0.03, 0.5, 0.99, 1.0])
    # Three of four bins hold something: four values, one, and two.
    expected = np.array([1 / 12, 1 / 12, 1 / 12, 1 / 12, 1 / 3, 1 / 6, 1 / 6])
    np.testing.assert_allclose(spread_weights(values, 4), expected)
    np.testing.assert_allclose(spread_weights(values * -3 + 7, 4).sum(), 1.0)


def test_equal_values_are_drawn_alike() -> None:
    np.testing.assert_allclose(spread_weights(np.full(5, 2.5), 8), np.full(5, 0.2))


class Numbered:
    """Experience in which one segment of a hundred has a high return."""

    def places(self, length: int, *, recent_steps: int | None = None) -> Places:
        return np.stack([np.arange(1000), np.zeros(1000), np.full(1000, length)], axis=1).astype(np.int64)

    def segment_at(self, place: npt.NDArray[np.int64]) -> Segment:
        return numbered(int(place[0]))


def numbered(i: int) -> Segment:
    return Segment(
        observations=np.full((2, 1), i),
        actions=np.zeros((2, 1)),
        env_rewards=np.zeros(2, dtype=np.float32),
        start=i,
    )


def predicted(segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
    """Two members, whose mean is 1 for one start in a hundred and 0 for the others."""
    rare = np.array([float(segment.start % 100 == 0) for segment in segments])
    return np.stack([rare + 1.0, rare - 1.0])


def test_spread_brings_up_what_is_rare(rng: np.random.Generator) -> None:
    pairs = SpreadStrategy(FeedbackSettings(recent_share=0.0)).select(
        Numbered(), 40, length=2, rng=rng, predict_returns=predicted
    )
    starts = [segment.start for pair in pairs for segment in pair]
    assert len(pairs) == 40
    assert len(set(starts)) == 80, "a segment is in two pairs"
    pool_share = 0.01
    assert sum(start % 100 == 0 for start in starts) > 3 * pool_share * 80


def test_spread_is_repeatable(rng: np.random.Generator) -> None:
    def starts(seed: int) -> list[int]:
        pairs = SpreadStrategy(FeedbackSettings(recent_share=0.0)).select(
            Numbered(), 10, length=2, rng=np.random.default_rng(seed), predict_returns=predicted
        )
        return [segment.start for pair in pairs for segment in pair]

    assert starts(1) == starts(1)
    assert starts(1) != starts(2)


def two_tastes(segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
    """Two members, one of which likes early starts and the other one late starts, both by the same."""
    starts = np.array([segment.start for segment in segments], dtype=np.float64)
    return np.stack([-starts, starts])


def thompson_starts(n: int, rng: np.random.Generator, predict: PredictReturns) -> npt.NDArray[np.int64]:
    """Return where the segments of `n` chosen pairs start, shape [n, 2]."""
    pairs = ThompsonStrategy(FeedbackSettings(recent_share=0.0)).select(
        Numbered(), n, length=2, rng=rng, predict_returns=predict
    )
    return np.array([[segment.start for segment in pair] for pair in pairs])


def test_thompson_asks_about_what_one_member_or_another_likes_best(rng: np.random.Generator) -> None:
    rounds = [thompson_starts(10, rng, two_tastes) for _ in range(20)]
    assert all(len(np.unique(starts)) == 20 for starts in rounds), "a segment is in two pairs"
    starts = np.concatenate(rounds)
    assert starts.shape == (200, 2)
    # The best of ten lies within 300 of one end with 0.97, as 0.7^10 = 0.03; a random one with 0.6.
    is_early, is_late = starts < 300, starts > 699
    assert (is_early | is_late).mean() > 0.93
    for side in range(2):
        assert 60 < is_early[:, side].sum() < 140, "both members choose for either side"
    assert 60 < (is_early[:, 0] == is_early[:, 1]).sum() < 140, "they choose for each clip anew"


def test_thompson_asks_about_what_is_predicted_most_for(rng: np.random.Generator) -> None:
    def late(segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
        return two_tastes(segments)[1:]

    starts = np.concatenate([thompson_starts(10, rng, late) for _ in range(10)])
    # The mean of the best of ten is 10/11 of the range; four standard errors of 200 draws are 24.
    assert starts.mean() == pytest.approx(999 * 10 / 11, abs=24)


def test_thompson_draws_uniformly_before_anything_was_learned(rng: np.random.Generator) -> None:
    def nothing(segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
        return np.zeros((3, len(segments)))

    starts = thompson_starts(300, rng, nothing)
    assert len(np.unique(starts)) == 600
    assert abs(starts.mean() - 499.5) < 4 * 289 / np.sqrt(600)


def test_thompson_takes_what_there_is_where_it_is_little(rng: np.random.Generator) -> None:
    pairs = ThompsonStrategy(FeedbackSettings(recent_share=0.0)).select(
        recorded(9), 20, length=8, rng=rng, predict_returns=not_asked
    )
    assert len(pairs) == 20
    assert all(first.start != second.start for first, second in pairs)


# --- more than two ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_segments", [1, 3, 6])
def test_every_strategy_puts_as_many_together_as_are_asked_for(
    name: str, n_segments: int, rng: np.random.Generator
) -> None:
    """Also from so little that it must draw a group's segments anew, and nearly all of them."""
    strategy = make_strategy(FeedbackSettings(segment_length=6, strategy=name, recent_share=0.3, recent_steps=20))
    for n_steps in (12, 500):
        groups = strategy.select(
            recorded(n_steps), 30, n_segments=n_segments, length=6, rng=rng, predict_returns=Spy()
        )
        assert len(groups) == 30
        for group in groups:
            assert len({place(segment) for segment in group}) == n_segments


@pytest.mark.parametrize("n_segments", [1, 2, 4])
def test_groups_are_drawn_evenly(n_segments: int, rng: np.random.Generator) -> None:
    """Each of six places as often as any other, in each position, although no group has one twice."""
    strategy = UniformStrategy(FeedbackSettings(recent_share=0.0))
    groups = strategy.draw(recorded(6), 6000, n_segments=n_segments, length=1, rng=rng)
    for position in range(n_segments):
        counts = np.bincount(groups[:, position, 0], minlength=6)
        assert abs(counts - 1000).max() < 4 * np.sqrt(1000)


def test_more_segments_than_there_are(rng: np.random.Generator) -> None:
    with pytest.raises(NotEnoughExperienceError, match="needs 4 different segments of 6 steps, and 3 can be cut"):
        UniformStrategy().select(recorded(8), 1, n_segments=4, length=6, rng=rng, predict_returns=not_asked)


def test_groups_of_most_disagreement_are_those_of_the_mean_of_their_pairs(rng: np.random.Generator) -> None:
    spy, source = Spy(), recorded(3_000)
    strategy = DisagreementStrategy(FeedbackSettings(recent_share=0.0))
    chosen = strategy.select(source, 5, n_segments=3, length=4, rng=rng, predict_returns=spy)
    pool = [segment for part in spy.pools for segment in part]
    returns = Spy()(pool)

    def measure(group: int) -> float:
        own = returns[:, 3 * group : 3 * group + 3]
        pairs = [(own[:, i], own[:, j]) for i in range(3) for j in range(i + 1, 3)]
        return float(
            np.mean([pvariance([1 / (1 + exp(b - a)) for a, b in zip(*pair, strict=True)]) for pair in pairs])
        )

    expected = sorted(range(len(pool) // 3), key=measure, reverse=True)[:5]
    assert [[place(segment) for segment in group] for group in chosen] == [
        [place(segment) for segment in pool[3 * group : 3 * group + 3]] for group in expected
    ]


def test_single_segments_of_most_disagreement_are_those_that_members_place_otherwise(
    rng: np.random.Generator,
) -> None:
    """How far above the mean of the pool one lies; what a member adds to all alike tells nothing."""
    spy, source = Spy(), recorded(3_000)
    strategy = DisagreementStrategy(FeedbackSettings(recent_share=0.0))
    chosen = strategy.select(source, 5, n_segments=1, length=4, rng=rng, predict_returns=spy)
    pool = [segment for part in spy.pools for segment in part]
    assert len(pool) == 50
    returns = Spy()(pool)
    above = returns - returns.mean(axis=1, keepdims=True)
    variances = np.array([pvariance([1 / (1 + exp(-a)) for a in own]) for own in above.T])
    best = [pool[i] for i in np.argsort(-variances, kind="stable")[:5]]
    assert [place(segment) for (segment,) in chosen] == [place(segment) for segment in best]


@pytest.mark.parametrize("recent_share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_no_single_segment_is_asked_about_twice(name: str, recent_share: float, rng: np.random.Generator) -> None:
    """Unless there are fewer than are asked for, whatever the ensemble says of them."""
    strategy = make_strategy(
        FeedbackSettings(segment_length=6, strategy=name, recent_share=recent_share, recent_steps=400)
    )
    for n_steps, n, expected in ((500, 30, 30), (100, 30, 30), (25, 30, 20)):
        source = recorded(n_steps)
        for predict in (lambda segments: np.zeros((3, len(segments))), Spy()):
            if expected < n and isinstance(predict, Spy):
                continue  # whichever are chosen, some are chosen twice
            groups = strategy.select(source, n, n_segments=1, length=6, rng=rng, predict_returns=predict)
            assert len(groups) == n
            assert len({place(segment) for (segment,) in groups}) == expected


def test_as_many_single_segments_are_recent_as_the_settings_say(rng: np.random.Generator) -> None:
    strategy = UniformStrategy(FeedbackSettings(segment_length=5, recent_share=0.5, recent_steps=50))
    drawn = strategy.draw(recorded(1000), 40, n_segments=1, length=5, rng=rng)
    assert drawn.shape == (40, 1, 3)
    assert 20 <= (drawn[:, 0, 0] >= 950).sum() <= 26  # and some of the others by chance
