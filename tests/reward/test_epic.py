"""The EPIC distance: what it must not see, what it must, and that it is a distance."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.errors import SettingError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.epic import Transitions, epic_distance
from prefrl.segments import Comparison

RNG = np.random.default_rng(0)
STATES = RNG.normal(size=(300, 3))
STEPS = Transitions(STATES[:-1], RNG.uniform(-1, 1, size=(299, 2)), STATES[1:])


def linear(weights: Any) -> Callable[[Any, Any, Any], Any]:
    return lambda before, actions, after: np.concatenate([before, actions, after], axis=1) @ np.asarray(weights)


def potential(state: Any) -> Any:
    return np.sin(2 * state[:, 0]) + state[:, 1] * state[:, 2]


FEW: Any = {"n_steps": 40, "n_others": 10}
WEIGHTS = st.lists(st.floats(-2, 2), min_size=8, max_size=8).filter(lambda w: np.abs(w[3:5]).max() > 0.1)


@settings(max_examples=25, deadline=None)
@given(WEIGHTS, st.floats(0.1, 50), st.floats(-5, 5), st.floats(0, 1))
def test_scale_offset_and_shaping_make_no_difference(
    weights: list[float], scale: float, shaping: float, discount: float
) -> None:
    reward = linear(weights)

    def shaped(before: Any, actions: Any, after: Any) -> Any:
        moved = shaping * (discount * potential(after) - potential(before))
        return scale * reward(before, actions, after) + moved + 3.0

    assert epic_distance(reward, shaped, STEPS, discount=discount, **FEW) == pytest.approx(0, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(WEIGHTS, WEIGHTS, WEIGHTS)
def test_it_is_a_distance(first: list[float], second: list[float], third: list[float]) -> None:
    def apart(one: list[float], other: list[float]) -> float:
        return epic_distance(linear(one), linear(other), STEPS, **FEW)

    assert apart(first, first) == pytest.approx(0, abs=1e-6)
    assert apart(first, second) == pytest.approx(apart(second, first), abs=1e-6)
    assert apart(first, third) <= apart(first, second) + apart(second, third) + 1e-6
    assert apart(first, [-weight for weight in first]) == pytest.approx(1)


def test_what_has_nothing_in_common() -> None:
    first, second = (linear([0, 0, 0, *own, 0, 0, 0]) for own in ([1, 0], [0, 1]))
    assert epic_distance(first, second, STEPS) == pytest.approx(math.sqrt(0.5), abs=0.05)


def test_shaping_of_another_discount_is_seen() -> None:
    reward = linear([0, 0, 0, 1, 0, 0, 0, 0])

    def shaped(before: Any, actions: Any, after: Any) -> Any:
        return reward(before, actions, after) + 5 * (0.2 * potential(after) - potential(before))

    assert epic_distance(reward, shaped, STEPS, discount=1.0) > 0.1


def test_nothing_is_known_of_a_constant() -> None:
    def constant(before: Any, actions: Any, after: Any) -> Any:
        return np.ones(len(actions)) + potential(after) - potential(before)

    assert math.isnan(epic_distance(linear(range(8)), constant, STEPS, discount=1.0))


def test_chance_is_the_seed_s() -> None:
    one, other = linear(range(8)), linear([1, 0] * 4)
    many = Transitions(*(np.repeat(values, 4, axis=0) for values in STEPS))
    assert epic_distance(one, other, many, seed=1) == epic_distance(one, other, many, seed=1)
    assert epic_distance(one, other, many, seed=1) != epic_distance(one, other, many, seed=2)


def test_rewards_of_the_same_labels_are_closer_than_one_of_shuffled_labels(
    make_ensemble: Callable[..., RewardEnsemble], make_comparisons: Callable[..., list[Comparison]]
) -> None:
    comparisons = make_comparisons(200)
    steps = [one.first for one in comparisons]
    at = Transitions(
        np.concatenate([segment.observations[:-1] for segment in steps]),
        np.concatenate([segment.actions[:-1] for segment in steps]),
        np.concatenate([segment.observations[1:] for segment in steps]),
    )

    def fitted(labels: list[Comparison], seed: int) -> RewardEnsemble:
        trainer = RewardTrainer(make_ensemble(seed=seed))
        trainer.add(labels)
        trainer.fit(20)
        return trainer.ensemble

    others = [
        Comparison(segments=one.segments, preferences=other.preferences, query_id=one.query_id, seq=one.seq)
        for one, other in zip(comparisons, make_comparisons(200, seed=9), strict=True)
    ]
    first, second, shuffled = fitted(comparisons, 0), fitted(comparisons, 1), fitted(others, 0)
    same = epic_distance(first.predict, second.predict, at)
    assert same < 0.3
    assert epic_distance(first.predict, shuffled.predict, at) > 0.4


@pytest.mark.parametrize("discount", [-0.1, 1.1, math.nan])
def test_a_discount_that_cannot_be(discount: float) -> None:
    with pytest.raises(SettingError, match="`discount` must lie between 0 and 1"):
        epic_distance(linear(range(8)), linear(range(8)), STEPS, discount=discount)


def test_too_few_transitions() -> None:
    with pytest.raises(SettingError, match="two transitions or more"):
        epic_distance(linear(range(8)), linear(range(8)), Transitions(*(values[:1] for values in STEPS)))
