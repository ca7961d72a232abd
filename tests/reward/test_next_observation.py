"""Rewards of what comes of an action: networks that read the observation after it, too."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

from prefrl.errors import RewardModelError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.inputs import FeatureInputs
from prefrl.segments import Comparison, Segment, SegmentRecorder
from prefrl.settings import RewardSettings

Array = npt.NDArray[np.float32]
OBSERVED, ACTED = spaces.Box(-np.inf, np.inf, (2,), np.float32), spaces.Box(-1, 1, (1,), np.float32)
Make = Callable[..., RewardEnsemble]


def make(**settings: object) -> RewardEnsemble:
    own = RewardSettings(**{"hidden_sizes": (16, 16), "next_observation": True, **settings})  # type: ignore[arg-type]
    return RewardEnsemble(OBSERVED, ACTED, settings=own)


def moving(rng: np.random.Generator, n_steps: int = 8) -> Segment:
    """Noise whose reward is the first number after the action, which nothing before it tells."""
    seen = rng.normal(size=(n_steps + 1, 2)).astype(np.float32)
    return Segment(
        observations=seen[:-1],
        actions=rng.uniform(-1, 1, size=(n_steps, 1)).astype(np.float32),
        env_rewards=seen[1:, 0],
        next_observation=seen[-1],
    )


def comparisons(n: int, seed: int = 0) -> list[Comparison]:
    rng = np.random.default_rng(seed)
    pairs = [(moving(rng, 2), moving(rng, 2)) for _ in range(n)]
    return [
        Comparison(segments=pair, preferences=(float(pair[0].env_return > pair[1].env_return),), seq=i)
        for i, pair in enumerate(pairs)
    ]


def following(segment: Segment) -> Array:
    assert segment.next_observation is not None
    return np.concatenate([segment.observations[1:], segment.next_observation[None]])


def trained(**settings: object) -> RewardEnsemble:
    ensemble = make(**settings)
    trainer = RewardTrainer(ensemble)
    trainer.add(comparisons(150))
    trainer.fit(150)
    return ensemble


def correlation(ensemble: RewardEnsemble) -> float:
    rng = np.random.default_rng(9)
    segments = [moving(rng) for _ in range(40)]
    predicted = np.concatenate([ensemble.predict_segment(segment) for segment in segments])
    return float(np.corrcoef(predicted, np.concatenate([s.env_rewards for s in segments]))[0, 1])


def test_what_only_the_step_shows_is_learned_from_what_follows_it() -> None:
    assert correlation(trained()) > 0.9
    assert abs(correlation(trained(next_observation=False))) < 0.2


def test_steps_and_segments_are_read_alike() -> None:
    ensemble = trained()
    segment = moving(np.random.default_rng(3))
    rewards = ensemble.predict(segment.observations, segment.actions, following(segment))
    np.testing.assert_allclose(rewards, ensemble.predict_segment(segment), atol=1e-5)
    members = ensemble.predict_members(segment.observations, segment.actions, following(segment))
    np.testing.assert_allclose(members.mean(axis=0), rewards, atol=1e-5)
    other = ensemble.predict(segment.observations, segment.actions, segment.observations)
    assert not np.allclose(other, rewards)


def test_the_last_step_of_a_segment_is_read_with_what_was_observed_after_it() -> None:
    ensemble = trained()
    segment = moving(np.random.default_rng(3))
    assert segment.next_observation is not None
    moved = replace(segment, next_observation=segment.next_observation + 5)
    before, after = ensemble.predict_segment(segment), ensemble.predict_segment(moved)
    np.testing.assert_array_equal(before[:-1], after[:-1])
    assert before[-1] != after[-1]


def test_at_the_end_of_an_episode_it_is_the_terminal_observation() -> None:
    """And not the first one of the next episode."""
    recorder = SegmentRecorder(OBSERVED, ACTED, 1, capacity=20)
    zeros = np.zeros((1, 1), dtype=np.float32)
    for step in range(8):
        ends = step % 4 == 3
        seen, then = (np.full((1, 2), value, np.float32) for value in (step % 4, 99 if ends else step % 4 + 1))
        recorder.record(seen, zeros, np.zeros(1), np.array([ends]), next_observations=then)
    [segment] = recorder.sample(1, length=4, rng=np.random.default_rng(0))
    read = make().inputs.of_segment(segment)
    assert read[:, 0].tolist() == [0, 1, 2, 3]
    assert read[:, 3].tolist() == [1, 2, 3, 99]


def test_what_follows_is_centred_and_scaled_as_what_was_before() -> None:
    """By what was seen before actions, so that a difference of the two is one of what was observed."""
    inputs = make().inputs
    assert isinstance(inputs, FeatureInputs)
    seen = np.array([[0, 10], [2, 30]], dtype=np.float32)  # means 1 and 20, standard deviations 1 and 10
    acted = np.array([[-0.5], [0.5]], dtype=np.float32)
    inputs.learn(inputs.features(seen, acted, seen + np.array([5, 100], dtype=np.float32)))
    read = inputs.features(seen, acted, seen)
    expected = [[-1, -1, -1, -1, -1], [1, 1, 1, 1, 1]]
    np.testing.assert_allclose(inputs.normalise_array(read), expected, rtol=1e-5)


def test_what_is_missing_is_asked_for() -> None:
    ensemble = trained()
    segment = moving(np.random.default_rng(0))
    for reward in (make(), ensemble):  # before anything is learned, too
        for predict in (reward.predict, reward.predict_members):
            with pytest.raises(RewardModelError, match="give `next_observations`"):
                predict(segment.observations, segment.actions)
    old = replace(segment, next_observation=None)
    with pytest.raises(RewardModelError, match="lacks the observation after its last action"):
        ensemble.predict_segment(old)
    with pytest.raises(RewardModelError, match="`next_observation` false"):
        RewardTrainer(make()).add([Comparison(segments=(old, segment), preferences=(1.0,))])
    without = make(next_observation=False)
    RewardTrainer(without).add([Comparison(segments=(old, segment), preferences=(1.0,))])
    assert without.predict(segment.observations, segment.actions).shape == (8,)


def test_without_the_action_nothing_depends_on_it() -> None:
    rng = np.random.default_rng(0)
    labels = []
    for _ in range(150):
        acted = rng.uniform(-1, 1, size=(2, 2, 1)).astype(np.float32)
        seen = rng.normal(size=(2, 2, 2)).astype(np.float32)
        first, second = (
            Segment(observations=o, actions=a, env_rewards=a[:, 0]) for o, a in zip(seen, acted, strict=True)
        )
        labels.append(
            Comparison(segments=(first, second), preferences=(float(first.env_return > second.env_return),))
        )
    spread = {}
    for action in (True, False):
        ensemble = make(action=action, next_observation=False)
        trainer = RewardTrainer(ensemble)
        trainer.add(labels)
        trainer.fit(20)
        spread[action] = float(ensemble.predict(np.zeros((50, 2)), np.linspace(-1, 1, 50)[:, None]).std())
    assert spread[True] > 0.3
    assert spread[False] < 1e-5
