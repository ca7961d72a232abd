"""How far two rewards are apart, whatever their scale and shaping: the EPIC distance.

Gleave et al. 2021, "Quantifying differences in reward functions", sections 4 and 5: both rewards are brought into
a form in which potential shaping (Ng et al. 1999) makes no difference, and their correlation is taken.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prefrl.errors import SettingError
from prefrl.segments import Segment

FloatArray = npt.NDArray[np.float64]

RewardOfSteps = Callable[[Any, npt.NDArray[Any], Any], npt.NDArray[Any]]
"""Rewards, shape [n], of observations [n, *obs], actions [n, *act] and what was observed after them [n, *obs]."""


class Transitions(NamedTuple):
    """Steps that cover what both rewards are to be compared on."""

    observations: npt.NDArray[Any]
    """Shape [n, *obs]."""
    actions: npt.NDArray[Any]
    """Shape [n, *act]."""
    next_observations: npt.NDArray[Any]
    """Shape [n, *obs]."""


def epic_distance(
    first: RewardOfSteps,
    second: RewardOfSteps,
    transitions: Transitions,
    *,
    discount: float = 0.99,
    n_steps: int = 512,
    n_others: int = 128,
    seed: int = 0,
) -> float:
    """Return how far two rewards are apart.

    Args:
        first: A reward.
        second: Another one for the same spaces.
        transitions: What both rewards are compared on.
        discount: Of shaping, from 0 to 1.
        n_steps: Of the transitions so many are drawn, at most.
        n_others: And from so many, at most, what shaping adds is taken: both rewards are asked about every state
            of the others with the actions and following states of these, 2 x `n_steps` x `n_others` in all.
        seed: Decides what is drawn.

    Returns:
        0 where one is the other times a positive number, shaped or not; √½ where they have nothing in common; 1
        where one is the other's opposite. NaN where one of them is constant but for shaping.

    Raises:
        SettingError: `discount` is out of range, or there are fewer than two transitions.
    """
    if not 0 <= discount <= 1:
        raise SettingError(f"`discount` must lie between 0 and 1. Received {discount}.")
    n = len(transitions.actions)
    if n < 2:
        raise SettingError(f"Rewards are compared on two transitions or more. Received {n}.")
    rng = np.random.default_rng(seed)
    steps = _drawn(transitions, n_steps, rng)
    others = _drawn(transitions, n_others, rng)
    one, other = (_canonical(reward, steps, others, discount) for reward in (first, second))
    if min(one.std(), other.std()) <= 1e-9 * max(1.0, np.abs(one).max(), np.abs(other).max()):
        return float("nan")
    correlation = float(np.clip(np.corrcoef(one, other)[0, 1], -1.0, 1.0))
    return float(np.sqrt((1 - correlation) / 2))


def transitions_of(segments: Iterable[Segment]) -> Transitions | None:
    """Return the steps of segments, each with what was observed after it; None if no plain arrays have any.

    Args:
        segments: Their last steps are left out.
    """
    parts = [
        (segment.observations[:-1], segment.actions[:-1], segment.observations[1:])
        for segment in segments
        if segment.n_steps > 1 and segment.observations.dtype.names is None
    ]
    return Transitions(*map(np.concatenate, zip(*parts, strict=True))) if parts else None


def _drawn(transitions: Transitions, n_most: int, rng: np.random.Generator) -> Transitions:
    chosen = rng.permutation(len(transitions.actions))[:n_most]
    return Transitions(*(values[chosen] for values in transitions))


def _canonical(reward: RewardOfSteps, steps: Transitions, others: Transitions, discount: float) -> FloatArray:
    """Return the rewards of steps in the form that shaping leaves alone (definition 4.1), shape [n].

    What is constant over steps is left out, as the correlation does not see it.
    """
    n, m = len(steps.actions), len(others.actions)

    def mean_from(states: npt.NDArray[Any]) -> FloatArray:
        """Return the mean reward from each state over all drawn actions and states after them, shape [n]."""
        paid = reward(
            np.repeat(states, m, axis=0),
            np.tile(others.actions, (n, *[1] * (others.actions.ndim - 1))),
            np.tile(others.next_observations, (n, *[1] * (others.next_observations.ndim - 1))),
        )
        means: FloatArray = np.asarray(paid, dtype=np.float64).reshape(n, m).mean(axis=1)
        return means

    own = np.asarray(reward(*steps), dtype=np.float64)
    canonical: FloatArray = own + discount * mean_from(steps.next_observations) - mean_from(steps.observations)
    return canonical
