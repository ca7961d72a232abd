"""A reward for images: which of two clips has the brighter dot in its newest frames."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first

from prefrl.errors import SpaceError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.comparisons import ComparisonTensors
from prefrl.reward.draws import member_draws, query_key
from prefrl.reward.inputs import FeatureInputs, PixelInputs, has_channels_first, is_image
from prefrl.segments import Comparison, Segment
from prefrl.settings import RewardSettings

SIDE, FRAME_STACK, N_STEPS = 43, 3, 4
STACKS = spaces.Box(0, 255, (SIDE, SIDE, FRAME_STACK), np.uint8)
ACTIONS = spaces.Discrete(4)
Frames = npt.NDArray[np.uint8]


def make_segment(rng: np.random.Generator) -> Segment:
    """A dot that brightens or fades; a step is worth how much it brightened since the frame before."""
    brightness = np.clip(120 + np.cumsum(rng.normal(scale=25, size=FRAME_STACK - 1 + N_STEPS)), 0, 255)
    frames = rng.integers(20, size=(len(brightness), SIDE, SIDE, 1), dtype=np.uint8)
    frames[:, 10:30, 12:32] = brightness[:, None, None, None]
    change = np.diff(brightness)[FRAME_STACK - 2 :] / 25
    return Segment(
        observations=frames[FRAME_STACK - 1 :],
        lead_in=frames[: FRAME_STACK - 1],
        actions=np.zeros(N_STEPS, dtype=np.int64),
        env_rewards=change.astype(np.float32),
    )


def make_comparisons(n: int, seed: int = 0) -> list[Comparison]:
    rng = np.random.default_rng(seed)
    pairs = [(make_segment(rng), make_segment(rng)) for _ in range(n)]
    return [
        Comparison(
            segments=(a, b), preferences=(float(a.env_return > b.env_return),), query_id=f"{seed}-{i}", seq=i
        )
        for i, (a, b) in enumerate(pairs)
    ]


def make_ensemble(**settings: Any) -> RewardEnsemble:
    own = RewardSettings(**{"n_members": 2, "batch_size": 8, **settings})
    return RewardEnsemble(STACKS, ACTIONS, settings=own, frame_stack=FRAME_STACK)


@pytest.fixture(scope="module")
def trained() -> RewardTrainer:
    trainer = RewardTrainer(make_ensemble(reward_sd=0.05, dropout=0.2), seed=0)
    trainer.add(make_comparisons(60))
    trainer.fit(10)
    return trainer


def stacks_of(segment: Segment) -> Frames:
    """What the agent saw at every step, [T, height, width, K]."""
    assert segment.lead_in is not None
    frames = np.concatenate([segment.lead_in, segment.observations])
    return np.stack([np.concatenate(list(frames[t : t + FRAME_STACK]), axis=-1) for t in range(N_STEPS)])


def test_it_learns_what_moves_between_frames(trained: RewardTrainer) -> None:
    """One frame alone does not tell the reward, so frames are read in their order."""
    assert np.mean(trained.evaluate(make_comparisons(100, seed=1)).right) > 0.85


def test_the_reward_of_a_stack_is_that_of_the_step_in_its_segment(trained: RewardTrainer) -> None:
    """Stored frame by frame, or seen as a stack: one prediction."""
    ensemble = trained.ensemble
    for comparison in make_comparisons(3, seed=2):
        segment = comparison.first
        seen = ensemble.predict(stacks_of(segment), segment.actions)
        np.testing.assert_allclose(ensemble.predict_segment(segment), seen, atol=1e-4)
        members = ensemble.predict_members(stacks_of(segment), segment.actions)
        np.testing.assert_allclose(members.mean(axis=0), seen, atol=1e-5)
        assert seen.shape == (N_STEPS,)


def test_the_reward_is_normalised_over_the_labelled_steps(trained: RewardTrainer) -> None:
    segments = [s for c in make_comparisons(60) for s in c.segments]
    ensemble = trained.ensemble
    rewards = np.stack([ensemble.predict_members(stacks_of(s), s.actions) for s in segments], axis=1)
    np.testing.assert_allclose(rewards.mean(axis=(1, 2)), 0.0, atol=1e-3)
    np.testing.assert_allclose(rewards.std(axis=(1, 2)), 0.05, rtol=1e-2)


def test_actions_are_not_read(trained: RewardTrainer) -> None:
    stacks = stacks_of(make_comparisons(1, seed=3)[0].first)
    left, right = (trained.ensemble.predict(stacks, np.full(N_STEPS, action)) for action in (0, 3))
    np.testing.assert_array_equal(left, right)


def test_identical_segments_are_even_and_swapped_pairs_opposite(trained: RewardTrainer) -> None:
    comparison = make_comparisons(1, seed=4)[0]
    returns = trained.ensemble.returns([comparison.first, comparison.first, comparison.second])
    np.testing.assert_array_equal(returns[:, 0], returns[:, 1])
    assert not np.allclose(returns[:, 0], returns[:, 2])


def test_going_on_from_a_saved_state_equals_never_stopping() -> None:
    """Weights, running statistics of batch norm, dropout and order."""
    comparisons = make_comparisons(20)
    whole = RewardTrainer(make_ensemble(), seed=3)
    whole.add(comparisons)
    whole.fit(1)
    state, kept = whole.state(), whole.ensemble.state()
    expected = whole.fit(2)

    resumed = RewardTrainer(make_ensemble(), seed=99)
    resumed.ensemble.restore(*kept)
    resumed.restore(*state)
    resumed.refill(comparisons)
    assert resumed.fit(2) == expected
    (ours, _), (theirs, _) = resumed.ensemble.state(), whole.ensemble.state()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_same_seed_same_training_whatever_the_global_generators_do() -> None:
    results = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        trainer = RewardTrainer(make_ensemble(), seed=0)
        trainer.add(make_comparisons(10))
        results.append(trainer.fit(1))
    assert results[0] == results[1]


def test_saved_and_loaded_it_is_the_same_to_the_bit(trained: RewardTrainer, tmp_path: Path) -> None:
    trained.ensemble.save(tmp_path)
    loaded = RewardEnsemble.load(tmp_path)
    segment = make_comparisons(1, seed=5)[0].first
    np.testing.assert_array_equal(loaded.predict_segment(segment), trained.ensemble.predict_segment(segment))
    stacks = stacks_of(segment)
    np.testing.assert_array_equal(
        loaded.predict(stacks, segment.actions), trained.ensemble.predict(stacks, segment.actions)
    )


def test_before_the_first_fit_the_reward_is_0() -> None:
    segment = make_comparisons(1)[0].first
    ensemble = make_ensemble()
    assert not ensemble.predict(stacks_of(segment), segment.actions).any()
    assert ensemble.predict_segment(segment).tolist() == [0.0] * N_STEPS


@pytest.mark.parametrize(
    ("space", "image"),
    [
        (spaces.Box(0, 255, (84, 84, 4), np.uint8), True),
        (spaces.Box(0, 255, (43, 43, 1), np.uint8), True),
        (spaces.Box(0, 255, (42, 84, 3), np.uint8), False),  # nothing would be left after the convolutions
        (spaces.Box(0, 255, (3, 84, 96), np.uint8), True),
        (spaces.Box(0, 255, (4, 43, 43), np.uint8), True),
        (spaces.Box(0, 255, (1, 42, 84), np.uint8), False),
        (spaces.Box(0, 255, (84, 84), np.uint8), False),
        (spaces.Box(0, 1, (84, 84, 4), np.float32), False),
        (spaces.Discrete(3), False),
    ],
)
def test_images_are_pixels_large_enough_for_the_network(space: spaces.Space[object], image: bool) -> None:
    assert is_image(space) is image
    ensemble = RewardEnsemble(space, ACTIONS, settings=RewardSettings(n_members=1))
    assert isinstance(ensemble.inputs, PixelInputs if image else FeatureInputs)


def test_only_stacks_of_images_are_taken_apart() -> None:
    with pytest.raises(SpaceError, match=r"Only stacks of images are taken apart\. Received Box"):
        RewardEnsemble(spaces.Box(-1, 1, (8,)), ACTIONS, frame_stack=4)


# --- where things run out ---------------------------------------------------------------------------------


def test_the_first_labels_may_be_drawn_by_every_member() -> None:
    """Then nothing is held out, which used to stop every eighth run of people on images at its first label."""
    comparisons = make_comparisons(40)
    draws = member_draws(map(query_key, comparisons), 2, 0, bootstrap=False)
    drawn = int(np.flatnonzero((draws > 0).all(axis=0))[0])
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add(comparisons[drawn : drawn + 1])
    assert (trainer.draws > 0).all()
    metrics = trainer.fit(2)
    assert np.isnan([metrics.validation_loss, metrics.accuracy, metrics.log_loss]).all()
    assert np.isfinite(metrics.train_loss)
    assert trainer.l2.tolist() == [np.float32(1e-4)] * 2
    assert np.isfinite(trainer.ensemble.predict_segment(comparisons[0].first)).all()


def test_a_member_that_drew_nothing_stays_as_it_is() -> None:
    """Weights, and what batch norm remembers: all that there is, it is validated on."""
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add(make_comparisons(6))
    trainer._draws = np.array([[1, 1, 0, 2, 1, 0], [0] * 6])
    before, _ = trainer.ensemble.state()
    trainer.fit(2)
    after, _ = trainer.ensemble.state()
    for name, array in after.items():
        if not name.startswith("output"):
            drew, drew_nothing = array.reshape(2, -1)
            old, same = before[name].reshape(2, -1)
            np.testing.assert_array_equal(drew_nothing, same, err_msg=name)
            assert not np.array_equal(drew, old), name


def cut(comparison: Comparison, n_steps: int) -> Comparison:
    return replace(
        comparison,
        segments=tuple(
            replace(s, **{name: getattr(s, name)[:n_steps] for name in ("observations", "actions", "env_rewards")})
            for s in comparison.segments
        ),
    )


def test_a_longer_companion_changes_nothing_in_training() -> None:
    """What shorter segments are padded with does not reach what batch norm remembers."""
    short = [cut(comparison, 2) for comparison in make_comparisons(7)]
    states = []
    for kept in (short, [*short, *make_comparisons(1, seed=9)]):
        trainer = RewardTrainer(make_ensemble(), seed=0)
        trainer.add(short)
        trainer._data = as_tensors(trainer, kept)
        assert trainer._data.widest == 2 * (2 if kept is short else N_STEPS)
        for _ in range(3):
            trainer._step(np.arange(7)[None].repeat(2, axis=0), np.ones((2, 7), dtype=np.float32))
        states.append(trainer.ensemble.state()[0])
    for name, array in states[0].items():
        np.testing.assert_allclose(states[1][name], array, rtol=1e-2, atol=1e-3, err_msg=name)


def as_tensors(trainer: RewardTrainer, comparisons: list[Comparison]) -> ComparisonTensors:
    """Padded to the longest of all, as on a GPU."""
    inputs = trainer.ensemble.inputs
    data = ComparisonTensors(inputs.shape, torch.device("cpu"), dtype=torch.uint8, n_before=inputs.n_before)
    for comparison in comparisons:
        data.append([inputs.of_segment(segment) for segment in comparison.segments], comparison.preferences)
    return data


# --- channels first ---------------------------------------------------------------------------------------


def with_channels_first(segment: Segment) -> Segment:
    """The same, seen as stacks with their frames in the first dimension."""
    return Segment(
        observations=np.moveaxis(stacks_of(segment), 3, 1),
        actions=segment.actions,
        env_rewards=segment.env_rewards,
    )


def test_images_with_channels_first_are_read_by_the_same_network() -> None:
    """As one image of three channels; it predicts what it does of the same image with channels last."""
    last, first = (
        RewardEnsemble(spaces.Box(0, 255, shape, np.uint8), ACTIONS, settings=RewardSettings(n_members=2))
        for shape in ((SIDE, SIDE, 3), (3, SIDE, SIDE))
    )
    assert sum(p.numel() for p in first.network.parameters()) == sum(p.numel() for p in last.network.parameters())
    comparisons = make_comparisons(4)
    for ensemble in (last, first):
        ensemble.set_output_moments(np.zeros(2), np.ones(2))
    stacks = stacks_of(comparisons[0].first)
    actions = np.zeros(N_STEPS, dtype=np.int64)
    seen = first.predict(np.moveaxis(stacks, 3, 1), actions)
    np.testing.assert_allclose(seen, last.predict(stacks, actions), atol=1e-5)
    segment = with_channels_first(comparisons[0].first)
    np.testing.assert_allclose(first.predict_segment(segment), seen, atol=1e-4)
    trainer = RewardTrainer(first, seed=0)
    trainer.add([replace(c, segments=tuple(map(with_channels_first, c.segments))) for c in comparisons])
    trainer.fit(1)
    assert np.isfinite(first.predict_segment(segment)).all()


@pytest.mark.parametrize("shape", [(4, 84, 84), (84, 84, 4), (3, 96, 64), (64, 96, 3), (1, 50, 50)])
def test_channels_are_where_stable_baselines_looks_for_them(shape: tuple[int, int, int]) -> None:
    space = spaces.Box(0, 255, shape, np.uint8)
    assert has_channels_first(space) == is_image_space_channels_first(space)
    assert is_image_space(space) == is_image(space)


def test_an_image_as_high_as_wide_as_deep_has_its_channels_last() -> None:
    """Stable-Baselines3 would look for them in front."""
    assert not has_channels_first(spaces.Box(0, 255, (84, 84, 84), np.uint8))


@pytest.mark.parametrize(("shape", "frame_stack"), [((4, 84, 84), 4), ((84, 84, 4), 3)])
def test_frames_that_are_not_along_the_last_axis_are_not_taken_apart(
    shape: tuple[int, ...], frame_stack: int
) -> None:
    with pytest.raises(SpaceError, match=rf"as a stack of {frame_stack}; give `frame_stack` as 1"):
        RewardEnsemble(spaces.Box(0, 255, shape, np.uint8), ACTIONS, frame_stack=frame_stack)
