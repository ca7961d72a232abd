"""Mixtures: who chooses how many, that nothing is asked twice, and what is refused before anything runs."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.errors import SettingError
from prefrl.feedback import MixtureStrategy, SpreadStrategy, make_strategy
from prefrl.feedback.strategies import Group, PredictReturns, SegmentSource, check_members
from prefrl.feedback.strategies.mixture import TRIES, divided
from prefrl.registry import STRATEGIES
from prefrl.segments import Segment
from prefrl.settings import FeedbackSettings, strategy_shares
from tests.feedback.test_strategies import Spy, not_asked, place, recorded


class Marked:
    """Chooses what starts at given steps, one after another, and begins anew at their end."""

    least_members = 1

    def __init__(self, starts: Sequence[int]) -> None:
        self.starts = starts
        self.asked: list[int] = []

    def select(
        self,
        source: SegmentSource,
        n: int,
        *,
        n_segments: int = 2,
        length: int,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
    ) -> list[Group]:
        before = sum(self.asked)
        self.asked.append(n)
        chosen = [self.starts[(before + i) % len(self.starts)] for i in range(n)]
        places = [[np.array([start + k, 0, length]) for k in range(n_segments)] for start in chosen]
        return [tuple(source.segment_at(place) for place in group) for group in places]


def chosen(mixture: MixtureStrategy, n: int, seed: int = 0) -> list[int]:
    groups = mixture.select(recorded(300), n, length=4, rng=np.random.default_rng(seed), predict_returns=not_asked)
    return [first.start for first, _ in groups]


# --- shares -----------------------------------------------------------------------------------------------


def test_whole_numbers_are_given_exactly() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert divided(10, [0.1, 0.2, 0.7], rng) == [1, 2, 7]
        assert divided(6, [1 / 3, 1 / 3, 1 / 3], rng) == [2, 2, 2]
        assert divided(25, [1.0], rng) == [25]
        assert divided(0, [0.4, 0.6], rng) == [0, 0]


@given(
    weights=st.lists(st.integers(1, 1000), min_size=1, max_size=6), n=st.integers(0, 60), seed=st.integers(0, 99)
)
def test_each_gets_its_share_rounded_up_or_down(weights: list[int], n: int, seed: int) -> None:
    shares = [weight / sum(weights) for weight in weights]
    counts = divided(n, shares, np.random.default_rng(seed))
    assert sum(counts) == n
    assert all(abs(count - n * share) < 1 for count, share in zip(counts, shares, strict=True))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_over_many_rounds_the_shares_are_right_also_where_a_round_is_of_one(n: int) -> None:
    rng = np.random.default_rng(1)
    shares = np.array([0.55, 0.3, 0.15])
    counts = np.array([divided(n, shares.tolist(), rng) for _ in range(4000)])
    # What is rounded by chance varies by less than 1/2: the mean of 4,000 by less than 0.008.
    np.testing.assert_allclose(counts.mean(axis=0), n * shares, atol=4 * 0.008)


def test_shares_that_do_not_sum_to_one_to_the_last_digit_divide_all_the_same() -> None:
    shares = list(strategy_shares("uniform:0.6000005+spread:0.3999999+diverse:0.0000001").values())
    n = 10**7  # so many that the last digits are whole queries
    counts = divided(n, shares, np.random.default_rng(0))
    assert sum(counts) == n
    assert counts == pytest.approx([share / sum(shares) * n for share in shares], abs=1)


# --- batches ----------------------------------------------------------------------------------------------


def test_each_part_chooses_its_share_and_they_are_mixed() -> None:
    low, high = Marked(range(100)), Marked(range(200, 290))
    starts = chosen(MixtureStrategy({"low": low, "high": high}, {"low": 0.25, "high": 0.75}), 20)
    assert (low.asked, high.asked) == ([5], [15])
    assert sorted(starts) == [*range(5), *range(200, 215)]
    assert starts != sorted(starts)
    assert any(start < 100 for start in starts[10:]), "who labels the first half only gets some of both"


def test_what_two_parts_choose_is_asked_once() -> None:
    one, other = Marked([10, 11, 12, 13]), Marked([12, 10, 11, 20, 21, 22, 23])
    starts = chosen(MixtureStrategy({"one": one, "other": other}, {"one": 0.5, "other": 0.5}), 8)
    assert sorted(starts) == [10, 11, 12, 13, 20, 21, 22, 23]
    assert other.asked == [4, 3], "again for the three that were chosen already"


def test_where_there_is_nothing_else_it_is_asked_again() -> None:
    one, other = Marked([10]), Marked([10])
    starts = chosen(MixtureStrategy({"one": one, "other": other}, {"one": 0.5, "other": 0.5}), 4)
    assert starts == [10] * 4
    assert other.asked == [2] * TRIES


def test_a_part_that_gets_none_is_not_asked() -> None:
    names = ("one", "other")
    for seed in range(20):
        parts = {name: Marked([k]) for k, name in enumerate(names)}
        [start] = chosen(MixtureStrategy(parts, {"one": 0.5, "other": 0.5}), 1, seed)
        assert [parts[name].asked for name in names] == ([[1], []] if start == 0 else [[], [1]])


@pytest.mark.parametrize("n_segments", [1, 2, 4])
def test_no_query_is_in_a_round_twice(n_segments: int, rng: np.random.Generator) -> None:
    """All strategies at once, of so little that they would choose the same."""
    share = 1 / len(STRATEGIES)
    name = "+".join(f"{each}:{share}" for each in STRATEGIES)
    strategy = make_strategy(FeedbackSettings(strategy=name, segment_length=4, recent_steps=16))
    for _ in range(5):
        groups = strategy.select(
            recorded(60),
            18,
            n_segments=n_segments,
            length=4,
            rng=rng,
            predict_returns=Spy(),
        )
        assert len({frozenset(map(place, group)) for group in groups}) == 18


def test_a_mixture_of_one_is_that_strategy_itself() -> None:
    def starts(name: str) -> list[tuple[int, ...]]:
        pairs = make_strategy(FeedbackSettings(strategy=name)).select(
            recorded(300), 5, length=4, rng=np.random.default_rng(0), predict_returns=Spy()
        )
        return [tuple(segment.start for segment in pair) for pair in pairs]

    assert isinstance(make_strategy(FeedbackSettings(strategy="spread:1")), SpreadStrategy)
    assert starts("spread:1.0") == starts("spread")


def test_a_round_of_one_comes_from_one_part_or_the_other() -> None:
    """The best of ten by a member, or evenly from all: nothing but chance says which."""

    def late(segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
        return np.array([[float(segment.start) for segment in segments]] * 2)

    def mean_start(name: str) -> float:
        strategy = make_strategy(FeedbackSettings(strategy=name))
        rng, source = np.random.default_rng(0), recorded(403)
        pairs = [strategy.select(source, 1, length=4, rng=rng, predict_returns=late)[0] for _ in range(150)]
        return float(np.mean([segment.start for pair in pairs for segment in pair]))

    # 200 at random and 364 for the best of ten; the standard error is below 12.
    assert mean_start("uniform:0.75+thompson:0.25") == pytest.approx(200 + 0.25 * 164, abs=40)


# --- settings ---------------------------------------------------------------------------------------------


def test_shares_by_name() -> None:
    assert strategy_shares("uniform") == {"uniform": 1.0}
    assert strategy_shares("spread:0.5 + near-policy:5e-1") == {"spread": 0.5, "near-policy": 0.5}
    mixture = make_strategy(FeedbackSettings(strategy="uniform:0.2+thompson:0.8"))
    assert mixture.least_members == 2
    assert make_strategy(FeedbackSettings(strategy="uniform:0.2+entropy:0.8")).least_members == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "spread:0.5+thompson:0.4",
        "spread:0.6+thompson:0.6",
        "spread:0.5+spread:1",
        "spread+thompson",
        "spread:1+thompson:0",
        "spread:1.5+thompson:-0.5",
        "spread:nan",
        "spread:half+thompson:half",
        "spread:",
    ],
)
def test_shares_that_cannot_be_are_refused_when_they_are_set(wrong: str) -> None:
    with pytest.raises(SettingError, match=r"names each one once, with shares above 0 that sum to 1.* Received"):
        FeedbackSettings(strategy=wrong)


@pytest.mark.parametrize("wrong", ["thomson", "spread:0.5+thomson:0.5", "spread:0.5+", "", "spread:0.5+:0.5"])
def test_unknown_names_are_refused_when_they_are_set(wrong: str) -> None:
    with pytest.raises(SettingError, match=r"`strategy` must be one of uniform, .* Received"):
        FeedbackSettings(strategy=wrong)


def test_every_part_of_a_mixture_needs_its_members() -> None:
    check_members(FeedbackSettings(strategy="uniform:0.5+entropy:0.5"), 1)
    check_members(FeedbackSettings(strategy="uniform:0.5+mutual-information:0.5"), 2)
    with pytest.raises(
        SettingError, match=r"`strategy` mutual-information needs .* at least 2 members\. Received 1"
    ):
        check_members(FeedbackSettings(strategy="uniform:0.5+mutual-information:0.5"), 1)


def test_names_can_be_mixed() -> None:
    assert Counter("".join(STRATEGIES)) & Counter("+: ") == Counter()
