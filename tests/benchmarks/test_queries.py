"""What rewards are worth is measured on experience that is as it is said to be."""

from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest

from benchmarks import queries


@pytest.mark.parametrize("task", queries.TASKS)
def test_a_better_policy_is_better_and_all_see_the_same(task: str) -> None:
    """Also of a seed that was used before."""
    returns = {
        skill: np.mean([segment.env_return for segment in queries.experience(task, 3, skill)])
        for skill in (0.0, 0.5, 1.0)
    }
    assert returns[0.0] < returns[0.5] < returns[1.0]
    first, again = (queries.experience(task, 3, None)[:5] for _ in range(2))
    assert [segment.id for segment in first] == [segment.id for segment in again]


def test_the_steps_of_the_pendulum_are_gymnasiums() -> None:
    env: Any = gymnasium.make("Pendulum-v1").unwrapped
    env.reset(seed=0)
    steps = list(queries.pendulum(np.full(queries.N_ENVS, 0.5), np.random.default_rng(0)))[:50]
    for step, following in pairwise(steps):
        cosine, sine, speed = step.observations[0].astype(np.float64)
        env.state = np.array([np.arctan2(sine, cosine), speed])
        observation, reward, *_ = env.step(2 * step.actions[0])
        np.testing.assert_allclose(following.observations[0], observation, atol=1e-5)
        np.testing.assert_allclose(step.rewards[0], float(reward), rtol=1e-4, atol=1e-5)


def test_the_figures_of_a_strategy_are_those_of_its_seeds() -> None:
    settings = queries.Settings(seeds=2, labels=20)
    rows = queries.measure("point", settings, ("uniform", "spread"))
    of = {(row.case, row.measure): row for row in rows}
    uniform, spread = of["uniform", "all pairs"].rounds, of["spread", "all pairs"].rounds
    assert len(uniform) == len(spread) == 2
    assert all(0.5 < share < 1 for share in uniform + spread), "better than a coin after 20 labels"
    gains = np.subtract(spread, uniform)
    assert of["spread", "all pairs - uniform's"].value == pytest.approx(gains.mean())
    assert of["spread", "all pairs from"].value == pytest.approx(gains.min()), (
        "of two seeds, a quarter of the draws"
    )
    assert of["uniform", "late pairs to"].value == 0.0


def test_a_rank_correlation_by_hand() -> None:
    assert queries.ranks(np.array([0.3, -5.0, 7.0])).tolist() == [1.0, 0.0, 2.0]
