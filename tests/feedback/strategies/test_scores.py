"""How unsure an ensemble is of a query, and that the queries of which it is most unsure are asked."""

from collections.abc import Callable, Sequence
from math import exp, log

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefrl.feedback import make_strategy
from prefrl.feedback.strategies.coverage import farthest_first, features_of_groups
from prefrl.feedback.strategies.scores import disagreement, entropy, mutual_information
from prefrl.segments import Segment
from prefrl.settings import FeedbackSettings
from tests.feedback.test_strategies import Spy, place, recorded

Members = npt.NDArray[np.float64]
BITS = {"entropy": 1.0, "mutual-information": 0.0}


def coin(p: float) -> float:
    """Entropy in nats, the slow way."""
    return -sum(q * log(q) for q in (p, 1 - p) if q > 0)


def by_hand(first: Sequence[float], second: Sequence[float], *, of_members: float) -> float:
    """Entropy of the mean preference, less a multiple of the mean entropy."""
    preferences = [1 / (1 + exp(b - a)) for a, b in zip(first, second, strict=True)]
    mean = sum(preferences) / len(preferences)
    return coin(mean) - of_members * sum(map(coin, preferences)) / len(preferences)


def test_entropy_and_mutual_information_of_known_preferences() -> None:
    """One pair that both members call even, one that they contradict each other on, one they are sure of alike."""
    returns_1 = np.array([[0.0, log(3.0), log(3.0)], [0.0, -log(3.0), log(3.0)]])
    returns_2 = np.zeros((2, 3))
    quarter = 2 * log(2) - 0.75 * log(3)  # the entropy of 1/4
    np.testing.assert_allclose(entropy(returns_1, returns_2), [log(2), log(2), quarter], rtol=1e-12)
    np.testing.assert_allclose(
        mutual_information(returns_1, returns_2), [0.0, log(2) - quarter, 0.0], rtol=1e-12, atol=1e-15
    )


def test_members_that_are_sure_of_opposite_things_have_one_bit_to_tell() -> None:
    returns = np.array([[1e6], [-1e6]])
    for score in (entropy, mutual_information):
        np.testing.assert_allclose(score(returns, np.zeros((2, 1))), [log(2)], rtol=1e-12)


_RETURNS = hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e6, 1e6))


@given(first=_RETURNS, second=_RETURNS)
@settings(deadline=None)
def test_scores_are_bounded_and_symmetric(first: Members, second: Members) -> None:
    scores: list[Callable[[Members, Members], Members]] = [entropy, mutual_information]
    for score in scores:
        found = score(first, second)
        assert ((found >= 0) & (found <= log(2) + 1e-12)).all()
        np.testing.assert_allclose(found, score(second, first), atol=1e-12)
    assert (mutual_information(first, second) <= entropy(first, second) + 1e-12).all()
    # One member, or members of one opinion, have nothing to contradict each other on.
    np.testing.assert_allclose(mutual_information(first[:1], second[:1]), 0.0, atol=1e-12)
    np.testing.assert_allclose(mutual_information(first, first), 0.0, atol=1e-12)


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("n_segments", [1, 2, 3])
def test_the_queries_of_highest_score_are_asked_most_first(
    name: str, n_segments: int, rng: np.random.Generator
) -> None:
    """Recomputed from what the strategy looked at, with sums in a loop."""
    spy, source = Spy(), recorded(3_000)
    strategy = make_strategy(FeedbackSettings(strategy=name))
    chosen = strategy.select(source, 5, n_segments=n_segments, length=4, rng=rng, predict_returns=spy)
    pool = [segment for part in spy.pools for segment in part]
    assert len(pool) == 50 * n_segments
    returns = Spy()(pool)
    pool_mean = returns.mean(axis=1)

    def measure(group: int) -> float:
        own = returns[:, n_segments * group : n_segments * (group + 1)]
        rest = 1.0 - BITS[name]
        if n_segments == 1:
            return by_hand(own[:, 0].tolist(), pool_mean.tolist(), of_members=rest)
        pairs = [(i, j) for i in range(n_segments) for j in range(i + 1, n_segments)]
        scores = [by_hand(own[:, i].tolist(), own[:, j].tolist(), of_members=rest) for i, j in pairs]
        return sum(scores) / len(scores)

    expected = sorted(range(50), key=measure, reverse=True)[:5]
    assert [[place(segment) for segment in group] for group in chosen] == [
        [place(segment) for segment in pool[n_segments * group : n_segments * (group + 1)]] for group in expected
    ]


def test_what_looks_the_same_is_uncertain_but_tells_nothing() -> None:
    """A third of the clips show the same: entropy asks about two of them, what members differ on does not."""
    values = [1.0] * 300 + list(np.linspace(0, 3, 600))

    def alike(name: str) -> float:
        strategy = make_strategy(FeedbackSettings(strategy=name))
        pairs = strategy.select(
            recorded(900, values=values), 10, length=1, rng=np.random.default_rng(5), predict_returns=Spy()
        )
        return sum(np.array_equal(first.observations, second.observations) for first, second in pairs)

    assert alike("entropy") >= 5
    assert alike("mutual-information") == alike("disagreement") == 0


@pytest.mark.parametrize("name", ["entropy", "mutual-information", "disagreement"])
def test_before_anything_was_learned_those_drawn_first_are_asked(name: str) -> None:
    def nothing(segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
        return np.zeros((3, len(segments)))

    def starts(name: str, n: int) -> list[tuple[int, ...]]:
        pairs = make_strategy(FeedbackSettings(strategy=name)).select(
            recorded(900), n, length=4, rng=np.random.default_rng(3), predict_returns=nothing
        )
        return [tuple(segment.start for segment in pair) for pair in pairs]

    assert starts(name, 6) == starts("uniform", 60)[:6]


def test_diverse_disagreement_asks_of_the_half_that_is_disagreed_on_what_differs(rng: np.random.Generator) -> None:
    spy, source = Spy(), recorded(3_000)
    n = 6
    chosen = make_strategy(FeedbackSettings(strategy="disagreement-diverse")).select(
        source, n, length=4, rng=rng, predict_returns=spy
    )
    pool = [segment for part in spy.pools for segment in part]
    returns = Spy()(pool)
    variances = disagreement(returns[:, ::2], returns[:, 1::2])
    ranked = np.argsort(-variances, kind="stable")
    starts = np.array([segment.start for segment in pool]).reshape(-1, 2)
    index = {tuple(pair): i for i, pair in enumerate(starts.tolist())}
    found = [index[tuple(segment.start for segment in pair)] for pair in chosen]
    assert found[0] == ranked[0], "the most disagreed on is asked first"
    assert set(found) <= set(ranked[: 5 * n].tolist())

    places = np.stack([starts, np.zeros_like(starts), np.full_like(starts, 4)], axis=-1)
    half = features_of_groups(places[ranked[: 5 * n]], source)
    gaps = np.linalg.norm(half[:, None] - half, axis=-1)

    def closest(rows: Sequence[int]) -> float:
        return min(float(gaps[i, j]) for i in rows for j in rows if i < j)

    own = [int(np.flatnonzero(ranked == i)[0]) for i in found]
    assert own == farthest_first(half, n).tolist()
    assert closest(own) > 1.5 * closest(range(n)), "the most disagreed on are alike"
