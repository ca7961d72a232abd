import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from prefrl.reward.draws import crossed_draws, epoch_batches, member_draws, padded, query_key
from prefrl.segments import Comparison

MakeComparisons = Callable[..., list[Comparison]]


def keys(n: int) -> list[str]:
    return [f"query-{i}" for i in range(n)]


# --- the draw of a query ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bootstrap", [False, True])
def test_a_draw_depends_on_seed_member_and_query_only(bootstrap: bool) -> None:
    """Not on what is drawn before it, nor on how many members or queries there are."""
    draws = member_draws(keys(50), 4, 7, bootstrap=bootstrap)
    assert draws.shape == (4, 50)
    backwards = member_draws(keys(50)[::-1], 4, 7, bootstrap=bootstrap)
    np.testing.assert_array_equal(backwards, draws[:, ::-1])
    np.testing.assert_array_equal(member_draws(keys(50)[20:21], 2, 7, bootstrap=bootstrap), draws[:2, 20:21])
    assert not np.array_equal(member_draws(keys(50), 4, 8, bootstrap=bootstrap), draws)
    for member in range(1, 4):
        assert not np.array_equal(draws[member], draws[0])


def test_a_draw_never_changes_between_versions() -> None:
    """Or a training that goes on would be validated on what it was trained on."""
    bootstrap = member_draws("abcdefgh", 2, 0, bootstrap=True)
    assert bootstrap.tolist() == [[1, 1, 1, 2, 3, 0, 0, 1], [1, 1, 0, 3, 1, 0, 2, 3]]
    letters = "abcdefghijklmnopqrstuvwxyz"
    draws = member_draws(letters, 2, 0, bootstrap=False)
    assert [[letters[i] for i in np.flatnonzero(draw == 0)] for draw in draws] == [["y"], ["n", "o"]]


def test_a_tenth_is_held_out_of_each_member() -> None:
    draws = member_draws(keys(10_000), 2, 0, bootstrap=False)
    assert set(np.unique(draws)) == {0, 1}
    assert (draws == 0).mean() == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / 20_000))
    both = (draws == 0).all(axis=0).mean()
    assert both == pytest.approx(0.01, abs=4 * math.sqrt(0.0099 / 10_000)), "each member's is its own"


def test_a_bootstrap_is_poisson_with_mean_1() -> None:
    draws = member_draws(keys(10_000), 2, 0, bootstrap=True)
    for count in range(5):
        share = math.exp(-1) / math.factorial(count)
        # Four standard deviations of a share of 20,000 draws.
        bound = 4 * math.sqrt(share * (1 - share) / 20_000)
        assert (draws == count).mean() == pytest.approx(share, abs=bound)
    both = (draws == 0).all(axis=0).mean()
    assert both == pytest.approx(math.exp(-2), abs=4 * math.sqrt(0.135 * 0.865 / 10_000))


def test_no_query_has_no_draw() -> None:
    assert member_draws([], 3, 0, bootstrap=False).shape == (3, 0)


def test_the_segments_are_the_query(make_comparisons: MakeComparisons) -> None:
    """Whoever compares them, in whichever order, under whatever id."""
    first, second = make_comparisons(2)
    again = replace(first, seq=99, query_id="other", teacher="another", preferences=(1 - first.preference,))
    flipped = replace(again, segments=first.segments[::-1])
    mixed = replace(first, segments=(first.first, second.first))
    assert len({query_key(comparison) for comparison in (first, again, flipped)}) == 1
    assert len({query_key(comparison) for comparison in (first, second, mixed)}) == 3


def test_the_hidden_reward_does_not_decide_who_trains_on_what(make_comparisons: MakeComparisons) -> None:
    (comparison,) = make_comparisons(1)
    other = replace(comparison.first, env_rewards=comparison.first.env_rewards + 1)
    assert query_key(replace(comparison, segments=(other, comparison.second))) == query_key(comparison)


# --- the batches of an epoch ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 8, 100])
def test_every_member_passes_once_over_its_own_draw(batch_size: int) -> None:
    draws = member_draws(keys(40), 5, 1, bootstrap=True)
    seen = np.zeros_like(draws)
    n_batches = 0
    for indices, weights in epoch_batches(draws, batch_size, np.random.default_rng(0)):
        n_batches += 1
        assert indices.shape == weights.shape == (5, indices.shape[1])
        assert indices.shape[1] <= batch_size
        assert weights.dtype == np.float32
        for member in range(5):
            own = weights[member] > 0
            assert len(set(indices[member, own])) == own.sum()
            np.add.at(seen[member], indices[member, own], weights[member, own].astype(np.int64))
            # Padding repeats what the member has in this batch, so that it adds nothing foreign.
            assert set(indices[member]) == set(indices[member, own]) or not own.any()
    np.testing.assert_array_equal(seen, draws)
    assert n_batches == math.ceil(np.count_nonzero(draws, axis=1).max() / batch_size)


def test_a_member_that_drew_less_has_smaller_batches_and_as_many() -> None:
    draws = np.zeros((2, 40), dtype=np.int64)
    draws[0], draws[1, :10] = 1, 2
    sizes = [
        np.count_nonzero(weights, axis=1).tolist()
        for _, weights in epoch_batches(draws, 10, np.random.default_rng(0))
    ]
    assert sizes == [[10, 3], [10, 3], [10, 2], [10, 2]]


def test_a_member_with_fewer_comparisons_than_batches_has_none_in_some() -> None:
    draws = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0]])
    batches = list(epoch_batches(draws, 1, np.random.default_rng(0)))
    totals = np.array([weights.sum(axis=1) for _, weights in batches])
    assert totals.tolist() == [[1, 1, 0], [1, 0, 0], [1, 0, 0]]


def test_the_order_is_another_in_every_epoch() -> None:
    draws, rng = np.ones((1, 30), dtype=np.int64), np.random.default_rng(0)
    first, second = (next(iter(epoch_batches(draws, 30, rng)))[0].tolist() for _ in range(2))
    assert first != second
    assert sorted(first[0]) == sorted(second[0]) == list(range(30))


def test_nothing_drawn_makes_no_batch() -> None:
    assert list(epoch_batches(np.zeros((2, 3), dtype=np.int64), 8, np.random.default_rng(0))) == []


def test_rows_are_filled_up_with_their_own_beginning() -> None:
    rows: list[npt.NDArray[np.int64]] = [np.array([7, 8, 9, 4]), np.array([5, 6, 3]), np.array([], dtype=np.int64)]
    indices, used = padded(rows)
    assert indices.tolist() == [[7, 8, 9, 4], [5, 6, 3, 5], [0, 0, 0, 0]]
    assert used.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]]


# --- each query is left out by one member -----------------------------------------------------------------


def test_each_query_is_left_out_by_exactly_one_member() -> None:
    draws = crossed_draws(keys(3000), 3, 0)
    assert draws.shape == (3, 3000)
    assert set(np.unique(draws)) == {0, 1}
    assert ((draws == 0).sum(axis=0) == 1).all()
    np.testing.assert_allclose((draws == 0).mean(axis=1), 1 / 3, atol=4 * math.sqrt(2 / 9 / 3000))


def test_which_member_leaves_it_out_depends_on_seed_and_query_only() -> None:
    draws = crossed_draws(keys(50), 4, 7)
    np.testing.assert_array_equal(crossed_draws(keys(50)[::-1], 4, 7), draws[:, ::-1])
    np.testing.assert_array_equal(crossed_draws(keys(50)[20:21], 4, 7), draws[:, 20:21])
    assert not np.array_equal(crossed_draws(keys(50), 4, 8), draws)
    # Or a training that goes on would be validated on what it was trained on.
    assert crossed_draws("abcdefgh", 3, 0).argmin(axis=0).tolist() == [2, 1, 0, 0, 2, 0, 1, 0]
