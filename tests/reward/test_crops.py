"""Temporal crops: which steps are left, what they count, and that only training sees them."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces

from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.crops import Crops
from prefrl.seeding import Streams
from prefrl.segments import Comparison, Segment, Strength
from prefrl.settings import RewardSettings

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]
STILL = 1e-30
"""A learning rate so small that no weight moves."""


def mask_of(lengths: Any, longest: int) -> torch.Tensor:
    return torch.as_tensor(np.arange(longest) < np.asarray(lengths)[..., None]).float()


class Said:
    """In place of a generator: numbers that were said before."""

    def __init__(self, *numbers: Any) -> None:
        self.numbers = [np.array(one, dtype=np.float64) for one in numbers]

    def random(self, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        number = self.numbers.pop(0)
        assert number.shape == shape
        return number


def test_a_crop_by_hand() -> None:
    """Ten steps cut to 0.6 at least: 6 to 10 are left; of four steps, 3 or 4; of no segment, nothing."""
    rng: Any = Said([[0.0], [0.5], [0.999]], [[0.0, 0.999], [0.5, 0.0], [0.3, 0.0]])
    weights = Crops(0.6, rng).weights(mask_of([[10, 10], [10, 4], [10, 0]], 10)).numpy()
    six, eight = 10 / 6, 10 / 8
    np.testing.assert_allclose(weights[0, 0], [six] * 6 + [0] * 4)
    np.testing.assert_allclose(weights[0, 1], [0] * 4 + [six] * 6)
    np.testing.assert_allclose(weights[1, 0], [0] + [eight] * 8 + [0])
    np.testing.assert_allclose(weights[1, 1], [1] * 4 + [0] * 6)
    np.testing.assert_allclose(weights[2, 0], [1] * 10)
    np.testing.assert_allclose(weights[2, 1], [0] * 10)


def test_every_crop_is_a_part_of_its_segment_and_all_of_a_comparison_are_as_long() -> None:
    lengths = np.random.default_rng(0).integers(1, 21, size=(3, 400, 4))
    lengths[:, :200] = 20
    weights = Crops(0.75, np.random.default_rng(1)).weights(mask_of(lengths, 20)).numpy()
    assert weights.shape == (3, 400, 4, 20)
    kept = weights > 0
    n_kept = kept.sum(axis=-1)
    assert (n_kept >= np.ceil(0.75 * lengths)).all()
    assert (n_kept <= lengths).all()
    first = kept.argmax(axis=-1)
    last = 19 - kept[..., ::-1].argmax(axis=-1)
    np.testing.assert_array_equal(last - first + 1, n_kept, "in one piece")
    assert (last < lengths).all(), "padding is left out"
    np.testing.assert_allclose(weights.sum(axis=-1), lengths, rtol=1e-5)
    whole = n_kept[:, :200]
    assert (whole == whole[..., :1]).all(), "one length for a comparison"
    assert (first[:, :200] != first[:, :200, :1]).any(), "and beginnings of their own"
    # 600 lengths from 15 to 20: four standard deviations of a share of a sixth are 0.06.
    shares = np.bincount(whole[..., 0].ravel(), minlength=21)[15:] / 600
    np.testing.assert_allclose(shares, 1 / 6, atol=0.06)
    starts = first[:, :200][whole == 15]
    np.testing.assert_allclose(np.bincount(starts, minlength=6) / len(starts), 1 / 6, atol=0.1)
    assert len({str(one) for one in first.reshape(3, -1)}) == 3, "members have crops of their own"


def test_without_crops_nothing_is_drawn_or_computed() -> None:
    rng = np.random.default_rng(0)
    before, mask = rng.bit_generator.state, mask_of([[5, 3]], 5)
    assert Crops(1.0, rng).weights(mask) is mask
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("lengths", [(8,), (3, 8)])
def test_a_step_of_the_training_learns_of_crops(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, lengths: tuple[int, ...]
) -> None:
    """Losses of a batch, by a loop over members, comparisons, segments and steps."""
    ensemble, comparisons = make_ensemble(), make_comparisons(12, lengths=lengths)
    trainer = RewardTrainer(ensemble, settings=RewardSettings(crop_least=0.5, learning_rate=STILL), seed=4)
    trainer.add(comparisons)
    trainer.fit(1)  # which normalises inputs
    ensemble.output_mean[:], ensemble.output_sd[:] = 0, ensemble.settings.reward_sd  # so that outputs are raw
    ensemble._refresh()
    index = np.array([[0, 5, 7], [3, 3, 1], [11, 2, 0]])
    rng = np.random.default_rng()
    rng.bit_generator.state = trainer._crops.rng.bit_generator.state
    longest = max(segment.n_steps for c in comparisons for segment in c.segments)
    sizes = [[[s.n_steps for s in comparisons[i].segments] for i in row] for row in index]
    weights = Crops(0.5, rng).weights(mask_of(sizes, longest)).numpy()
    expected = np.zeros(3)
    for member, row in enumerate(index):
        for place, which in enumerate(row):
            returns = []
            for k, segment in enumerate(comparisons[which].segments):
                rewards = ensemble.predict_members(segment.observations, segment.actions)[member]
                returns.append(float((rewards * weights[member, place, k, : segment.n_steps]).sum()))
            p = 1 / (1 + np.exp(returns[1] - returns[0]))
            p = p if comparisons[which].preference == 1 else 1 - p
            expected[member] -= np.log(0.9 * p + 0.05)
    summed = trainer._step(index, np.ones((3, 3), dtype=np.float32))
    np.testing.assert_allclose(summed.numpy(), expected, rtol=1e-4)


def test_what_is_held_out_is_seen_whole(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    found = []
    for least in (1.0, 0.5):
        settings = RewardSettings(crop_least=least, learning_rate=STILL, bootstrap=True)
        trainer = RewardTrainer(make_ensemble(), settings=settings, seed=0)
        trainer.add(make_comparisons(40, n_steps=8))
        metrics = trainer.fit(1)
        found.append((metrics._replace(train_loss=0.0, l2=0.0), trainer.ensemble.output_mean, metrics.train_loss))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1], "outputs are normalised over whole segments")
    assert found[0][2] != found[1][2]


def test_crops_change_no_other_random_number(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    states = []
    for least in (1.0, 0.5):
        trainer = RewardTrainer(make_ensemble(), settings=RewardSettings(crop_least=least, batch_size=8), seed=0)
        trainer.add(make_comparisons(30))
        trainer.fit(2)
        states.append(trainer.state()[1])
    assert states[0]["rng"] == states[1]["rng"]
    assert states[0]["streams"] == {}
    assert states[1]["streams"].keys() == {"crops"}
    assert states[1]["streams"]["crops"] != Streams(0).generator("crops").bit_generator.state


@pytest.mark.parametrize("kind", ["pair", "strength", "ranking", "rating"])
def test_whatever_was_asked_a_training_goes_on_as_if_it_had_not_stopped(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, kind: str
) -> None:
    comparisons = [of_kind(kind, comparison) for comparison in make_comparisons(30, n_steps=8)]
    settings = RewardSettings(crop_least=0.5, batch_size=8)
    straight = RewardTrainer(make_ensemble(), settings=settings, seed=0)
    straight.add(comparisons)
    straight.fit(2)
    (arrays, values), kept = straight.state(), straight.ensemble.state()
    values = json.loads(json.dumps(values))
    expected = straight.fit(2)
    resumed = RewardTrainer(make_ensemble(), settings=settings, seed=9)
    resumed.ensemble.restore(*kept)
    resumed.restore(arrays, values)
    resumed.refill(comparisons)
    assert resumed.fit(2) == expected
    for name, array in straight.ensemble.state()[0].items():
        np.testing.assert_array_equal(resumed.ensemble.state()[0][name], array, err_msg=name)


def of_kind(kind: str, comparison: Comparison) -> Comparison:
    """Return the same as another kind of feedback."""
    if kind == "strength":
        return replace(comparison, strength=Strength.MUCH)
    if kind == "ranking":
        return replace(comparison, segments=(*comparison.segments, comparison.first), preferences=(1.0, 0.5, 0.0))
    if kind == "rating":
        rating = 4 if comparison.preference else 2
        return replace(comparison, segments=comparison.segments[:1], preferences=(), rating=rating)
    return comparison


def test_a_state_of_before_there_were_crops_is_gone_on_with(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    arrays, values = trainer.state()
    del values["streams"]
    trainer.restore(arrays, values)
    trainer.refill([])
    trainer.add(make_comparisons(5))
    assert np.isfinite(trainer.fit(1).train_loss)


def test_images_are_read_with_the_frames_before_a_crop() -> None:
    """What batch norm remembers is of all steps, and the loss is that of the crops of what was read of all."""
    space, actions = spaces.Box(0, 255, (43, 43, 3), np.uint8), spaces.Discrete(2)
    rng = np.random.default_rng(0)

    def segment() -> Segment:
        frames = rng.integers(0, 255, size=(10, 43, 43, 1), dtype=np.uint8)
        return Segment(
            observations=frames[2:],
            lead_in=frames[:2],
            actions=np.zeros(8, np.int64),
            env_rewards=np.zeros(8, np.float32),
        )

    pairs = [
        Comparison(segments=(segment(), segment()), preferences=(1.0,), seq=seq, query_id=str(seq))
        for seq in range(4)
    ]
    remembered, losses = [], []
    for least in (1.0, 0.5):
        settings = RewardSettings(n_members=2, crop_least=least, learning_rate=STILL)
        ensemble = RewardEnsemble(space, actions, settings=settings, frame_stack=3)
        trainer = RewardTrainer(ensemble, seed=0)
        trainer.add(pairs)
        index = torch.arange(4).expand(2, -1)
        returns = trainer._returns(index, trained=torch.ones(2, dtype=torch.bool))
        losses.append(returns.detach().numpy())
        remembered.append(ensemble.state()[0]["running_mean_0"])
    np.testing.assert_array_equal(remembered[0], remembered[1])
    assert not np.allclose(losses[0], losses[1], rtol=1e-3)

    ensemble = RewardEnsemble(space, actions, settings=RewardSettings(n_members=2), frame_stack=3)
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(pairs)
    read, mask = trainer._data.gather(torch.arange(4).expand(2, -1))
    with torch.no_grad():
        rewards = ensemble.raw(read.flatten(1, 2), mask=mask.flatten(1, 2), rng=np.random.default_rng(0))
    weights = Crops(0.5, Streams(0).generator("crops")).weights(mask)
    np.testing.assert_allclose(losses[1], (rewards.view(mask.shape) * weights).sum(-1).numpy(), rtol=1e-4)
