"""Shares of the true reward, their interquartile mean and its interval."""

import numpy as np
import pytest

from benchmarks.tables.peers import IMITATION
from benchmarks.tables.shares import interval, iqm, shares
from tests.benchmarks.conftest import MakeRow


def test_returns_are_divided_by_the_mean_on_the_true_reward(make_row: MakeRow) -> None:
    true = [
        make_row(reward="true", labels=0, seed=seed, true_return=value) for seed, value in ((1, 100), (2, 300))
    ]
    learned = [make_row(seed=1, true_return=150.0), make_row(seed=2, variant="no L2", true_return=-20.0)]
    other = make_row(algo="a2c", true_return=5.0)
    assert shares([*true, *learned, other]) == {
        true[0].run: 0.5,
        true[1].run: 1.5,
        learned[0].run: 0.75,
        learned[1].run: -0.1,
    }


def test_other_steps_are_another_agent(make_row: MakeRow) -> None:
    assert shares([make_row(reward="true", labels=0, steps=1), make_row(steps=2)]) == {
        make_row(reward="true", labels=0, steps=1).run: 1.0
    }


def test_another_system_is_held_against_its_own_true_reward(make_row: MakeRow) -> None:
    ours = [make_row(true_return=80.0), make_row(reward="true", labels=0, true_return=100.0)]
    theirs = [
        make_row(variant=IMITATION, true_return=30.0),
        make_row(variant=IMITATION, reward="true", labels=0, true_return=60.0),
    ]
    assert [shares([*ours, *theirs])[row.run] for row in (*ours, *theirs)] == [0.8, 1.0, 0.5, 1.0]


def test_costs_are_counted_from_what_shuffled_answers_reach(make_row: MakeRow) -> None:
    true = make_row(task="reacher", reward="true", labels=0, true_return=-4.0)
    shuffled = make_row(task="reacher", reward="shuffled", true_return=-24.0)
    better, worse = (
        make_row(task="reacher", seed=seed, true_return=value) for seed, value in ((1, -3.0), (2, -9.0))
    )
    found = shares([true, shuffled, better, worse])
    assert found == {true.run: 1.0, shuffled.run: 0.0, better.run: 1.05, worse.run: 0.75}
    assert shares([true, better]) == {}


def test_interquartile_mean_by_hand() -> None:
    assert iqm([8.0, 1.0, 2.0, 100.0]) == 5.0  # 2 and 8 are left
    assert iqm([5.0, 1.0, 3.0]) == 3.0  # a quarter of three is none
    assert iqm([9.0, 1.0, 2.0, 4.0, -50.0]) == pytest.approx(7 / 3)
    np.testing.assert_allclose(iqm([[0, 1, 2, 3], [10, 10, 10, 90]]), [1.5, 10])


def test_seeds_are_drawn_within_their_task() -> None:
    # Where the seeds of a task are alike, each draw is the same; drawn from both tasks at once it would differ.
    low, high = interval({"a": [1.0, 1.0, 1.0, 1.0], "b": [0.0, 0.0, 0.0, 0.0]})
    assert (low, high) == (0.5, 0.5)
    low, high = interval({"a": [1.0, 1.0], "b": [0.0, 1.0]})
    assert low < 0.8 < high == 1.0


def test_interval_by_hand() -> None:
    # Two seeds, 0 and 1: both draws 0, one of each, both 1, with probabilities 1/4, 1/2, 1/4.
    assert interval({"a": [0.0, 1.0]}) == (0.0, 1.0)
    # Eight seeds: the standard deviation of a mean of the middle is near that of the mean, by simulation.
    values = list(np.random.default_rng(1).normal(0.9, 0.2, 400))
    low, high = interval({"a": values}, n_draws=2000)
    assert low < iqm(values) < high
    assert 0.02 < high - low < 0.07  # 2 * 1.96 * 0.2 / sqrt(400) = 0.039 for the mean


def random_shares() -> dict[str, list[float]]:
    rng = np.random.default_rng(3)
    return {f"task {i}": list(rng.normal(0.95, 0.2, 5)) for i in range(8)}


UNEQUAL = {"a": [0.9, 1.1, 0.7], "b": [0.2, 0.5, 0.4, 1.3, 0.8], "c": [1.0, 1.05]}


@pytest.mark.parametrize(
    ("by_task", "middle", "ends"),
    [
        (random_shares(), 0.9347101706397736, (0.88312, 0.99230)),
        (UNEQUAL, 0.825, (0.63333, 1.03333)),
    ],
)
def test_scipy_said_the_same(by_task: dict[str, list[float]], middle: float, ends: tuple[float, float]) -> None:
    # Of SciPy 1.16.3: `trim_mean`, and `bootstrap` as below with 200,000 draws, the mean over three seeds.
    assert iqm(np.concatenate(list(by_task.values()))) == pytest.approx(middle, abs=1e-12)
    assert interval(by_task) == pytest.approx(ends, abs=0.003)


def test_scipy_says_the_same() -> None:
    stats = pytest.importorskip("scipy.stats")
    by_task = random_shares()
    together = np.concatenate(list(by_task.values()))
    assert iqm(together) == pytest.approx(stats.trim_mean(together, 0.25))
    found = stats.bootstrap(
        tuple(np.array(values) for values in by_task.values()),
        lambda *drawn, axis: stats.trim_mean(np.concatenate(drawn, axis=axis), 0.25, axis=axis),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert interval(by_task) == pytest.approx((found.low, found.high), abs=0.005)


def test_rliable_says_the_same() -> None:
    library, metrics = pytest.importorskip("rliable.library"), pytest.importorskip("rliable.metrics")
    by_task = random_shares()
    scores = np.array(list(by_task.values())).T
    point, found = library.get_interval_estimates(
        {"ours": scores}, lambda drawn: np.array([metrics.aggregate_iqm(drawn)]), reps=10_000
    )
    assert iqm(scores.ravel()) == pytest.approx(point["ours"][0])
    assert interval(by_task) == pytest.approx(tuple(found["ours"].ravel()), abs=0.005)
