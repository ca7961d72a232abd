from collections.abc import Callable

import numpy as np
import pytest
import torch
from gymnasium import spaces

from prefrl.reward.comparisons import (
    SMALLEST_CAPACITY,
    ComparisonData,
    ComparisonTensors,
    CompressedComparisons,
    make_data,
)
from prefrl.reward.inputs import make_inputs
from prefrl.segments import Strength

CPU = torch.device("cpu")


def test_comparisons_come_back_padded_and_masked(rng: np.random.Generator) -> None:
    """More than the first capacity, with lengths that grow, against a list."""
    data = ComparisonTensors((3,), CPU)
    kept = []
    for i in range(150):
        lengths = rng.integers(1, 3 + i // 10, size=2)
        pair = [rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]
        data.append(pair, [float(i % 3) / 2])
        kept.append(pair)
        assert len(data) == i + 1
    longest = max(len(side) for pair in kept for side in pair)
    features, mask = data.gather(torch.arange(150))
    assert features.shape == (150, 2, longest, 3)
    for i, pair in enumerate(kept):
        for side, expected in enumerate(pair):
            n = len(expected)
            np.testing.assert_array_equal(features[i, side, :n].numpy(), expected)
            assert not features[i, side, n:].any()
            assert mask[i, side].tolist() == [1.0] * n + [0.0] * (longest - n)
    assert data.preferences[:, 0].tolist() == [float(i % 3) / 2 for i in range(150)]
    assert data.n_steps == sum(len(side) for pair in kept for side in pair)


def test_an_index_of_any_shape(rng: np.random.Generator) -> None:
    data = ComparisonTensors((2,), CPU)
    values = rng.normal(size=(10, 2, 4, 2)).astype(np.float32)
    for first, second in values:
        data.append([first, second], [1.0])
    index = torch.as_tensor(rng.integers(10, size=(3, 5)))
    features, mask = data.gather(index)
    np.testing.assert_array_equal(features.numpy(), values[index.numpy()])
    assert mask.shape == (3, 5, 2, 4)


def test_memory_grows_by_doubling() -> None:
    """So that the time to append n comparisons grows with n, not with its square."""
    data = ComparisonTensors((1,), CPU)
    step = np.ones((2, 1), dtype=np.float32)
    for _ in range(1000):
        data.append([step, step], [1.0])
        capacity = data._steps.shape[0]
        assert len(data) <= capacity <= max(64, 2 * len(data))
    assert capacity == 1024


def test_what_was_appended_is_a_copy() -> None:
    data = ComparisonTensors((1,), CPU)
    step = np.ones((2, 1), dtype=np.float32)
    data.append([step, step], [1.0])
    step[:] = 7.0
    assert data.gather(torch.arange(1))[0].flatten().tolist() == [1.0] * 4


def test_what_is_not_kept_is_gone_and_the_order_stays(rng: np.random.Generator) -> None:
    data = ComparisonTensors((2,), CPU)
    values = rng.normal(size=(100, 2, 4, 2)).astype(np.float32)
    for number, (first, second) in enumerate(values[:90]):
        data.append([first, second], [float(number % 2)])
    kept = rng.random(90) < 0.5
    data.keep(kept)
    for number, (first, second) in enumerate(values[90:], start=90):
        data.append([first, second], [float(number % 2)])
    expected = [*np.flatnonzero(kept), *range(90, 100)]
    assert len(data) == len(expected)
    assert data.preferences[:, 0].tolist() == [float(number % 2) for number in expected]
    features, mask = data.gather(torch.arange(len(expected)))
    np.testing.assert_array_equal(features.numpy(), values[expected])
    assert mask.all()


# --- frames -----------------------------------------------------------------------------------------------


def as_tensors() -> ComparisonData:
    return ComparisonTensors((4, 3, 1), CPU, dtype=torch.uint8, n_before=2)


def compressed() -> ComparisonData:
    return CompressedComparisons((4, 3, 1), n_before=2)


@pytest.mark.parametrize("make", [as_tensors, compressed])
def test_frames_come_back_with_those_before_them(
    make: Callable[[], ComparisonData], rng: np.random.Generator
) -> None:
    """Lengths differ; the mask counts steps, not the frames before the first one."""
    data, kept = make(), []
    for i in range(9):
        lengths = rng.integers(1, 6, size=2)
        pair = [rng.integers(256, size=(2 + n, 4, 3, 1), dtype=np.uint8) for n in lengths]
        data.append(pair, [float(i % 3) / 2])
        kept.append(pair)
    assert data.n_steps == sum(len(side) - 2 for pair in kept for side in pair)
    data.keep(np.arange(9) != 4)
    del kept[4]
    assert len(data) == 8
    assert data.preferences[:, 0].tolist() == [0.0, 0.5, 1.0, 0.0, 1.0, 0.0, 0.5, 1.0]
    index = torch.as_tensor(rng.integers(8, size=(2, 5)))
    frames, mask = data.gather(index)
    assert frames.dtype == torch.uint8
    longest = frames.shape[3]
    assert frames.shape == (2, 5, 2, longest, 4, 3, 1)
    assert mask.shape == (2, 5, 2, longest - 2)
    for place in np.ndindex(2, 5):
        for side, expected in enumerate(kept[int(index[place])]):
            n = len(expected)
            np.testing.assert_array_equal(frames[place][side, :n].numpy(), expected)
            assert not frames[place][side, n:].any()
            assert mask[place][side].tolist() == [1.0] * (n - 2) + [0.0] * (longest - n)


def test_compressed_frames_that_hardly_change_take_little_memory() -> None:
    data = CompressedComparisons((84, 84, 1), n_before=3)
    frames = np.full((28, 84, 84, 1), 87, dtype=np.uint8)
    frames[:, 40:44, 10:12] = 236
    data.append([frames, frames], [1.0])
    assert data.n_bytes < frames.nbytes / 50


# --- K segments, or none ----------------------------------------------------------------------------------


def features() -> ComparisonData:
    return ComparisonTensors((4, 3, 1), CPU, n_before=2)


@pytest.mark.parametrize("make", [features, as_tensors, compressed])
def test_comparisons_of_several_segments_lie_beside_pairs(
    make: Callable[[], ComparisonData], rng: np.random.Generator
) -> None:
    """A ranking of four and a pair: what the pair lacks is masked."""
    data = make()
    numbers = [[3], [4, 1], [2, 2, 5, 1], [1, 2]]
    kept = [[rng.integers(256, size=(2 + n, 4, 3, 1), dtype=np.uint8) for n in lengths] for lengths in numbers]
    for segments in kept:
        data.append(segments, [1.0])
    assert data.n_steps == 3 + 5 + 10 + 3
    assert data.widest == 4 * 5
    frames, mask = data.gather(torch.tensor([2, 1, 0]))
    assert frames.shape == (3, 4, 7, 4, 3, 1)
    assert mask.sum(dim=2).tolist() == [[2, 2, 5, 1], [4, 1, 0, 0], [3, 0, 0, 0]]
    for place, row in enumerate((2, 1, 0)):
        for which, expected in enumerate(kept[row]):
            np.testing.assert_array_equal(frames[place, which, : len(expected)].numpy(), expected)
            assert not frames[place, which, len(expected) :].any()


@pytest.mark.parametrize("make", [features, as_tensors, compressed])
def test_none_may_be_gathered(make: Callable[[], ComparisonData]) -> None:
    data = make()
    assert data.widest == data.n_steps == 0
    for n_segments in (1, 2):
        for shape in ((0,), (3, 0)):
            frames, mask = data.gather(torch.zeros(shape, dtype=torch.int64))
            assert frames.shape[: len(shape) + 1] == (*shape, n_segments)
            assert mask.shape[: len(shape) + 1] == (*shape, n_segments)
        data.append([np.ones((4, 4, 3, 1), np.uint8)] * 2, [1.0])


@pytest.mark.parametrize("make", [features, as_tensors, compressed])
def test_what_is_left_is_as_long_as_its_longest_segment(make: Callable[[], ComparisonData]) -> None:
    data = make()
    for n in (2, 9, 3):
        data.append([np.full((2 + n, 4, 3, 1), n, np.uint8)] * 2, [1.0])
    data.keep(np.array([True, False, True]))
    assert data.widest == 2 * 3
    frames, mask = data.gather(torch.arange(2))
    assert frames.shape[:3] == (2, 2, 5)
    assert mask.sum(dim=2).tolist() == [[2, 2], [3, 3]]
    data.keep(np.array([False, False]))
    assert len(data) == data.widest == 0
    data.append([np.full((3, 4, 3, 1), 7, np.uint8)] * 2, [0.0])
    assert data.preferences[:, 0].tolist() == [0.0]
    assert (data.gather(torch.arange(1))[0] == 7).all()


def test_room_is_used_again_and_left_rows_do_not_shine_through() -> None:
    data = ComparisonTensors((1,), CPU)
    for repetition in range(20):
        for value in range(30):
            data.append([np.full((1 + (value + repetition) % 3, 1), 1 + value, np.float32)] * 2, [1.0])
        data.keep(np.arange(len(data)) >= len(data) - 40)
    assert len(data._steps) <= 128
    steps, mask = data.gather(torch.arange(40))
    assert not steps[mask == 0].any()
    assert mask[-30:, 0].sum(dim=1).tolist() == [1 + (value + 19) % 3 for value in range(30)]
    assert steps[:, 0, 0, 0].tolist() == [*range(21, 31), *range(1, 31)]


def test_room_that_is_no_longer_needed_is_given_back() -> None:
    data = ComparisonTensors((1,), CPU)
    for _ in range(1000):
        data.append([np.ones((1, 1), np.float32)] * 2, [1.0])
    data.keep(np.arange(1000) < 10)
    assert len(data._steps) == SMALLEST_CAPACITY
    assert data._steps.untyped_storage().nbytes() <= 4 * 2 * SMALLEST_CAPACITY


def test_images_are_compressed_but_for_a_gpu() -> None:
    pixels = make_inputs(
        spaces.Box(0, 255, (43, 43, 4), np.uint8),
        spaces.Discrete(2),
        frame_stack=2,
        next_observation=True,
        device=CPU,
    )
    numbers = make_inputs(
        spaces.Box(-1, 1, (3,)), spaces.Discrete(2), frame_stack=1, next_observation=False, device=CPU
    )
    assert isinstance(make_data(pixels, CPU), CompressedComparisons)
    for inputs, dtype in ((pixels, torch.uint8), (numbers, torch.float32)):
        data = make_data(inputs, torch.device("meta"))
        assert isinstance(data, ComparisonTensors)
        assert data._steps.dtype == dtype
        assert data._steps.shape[2] == inputs.n_before


@pytest.mark.parametrize("make", [as_tensors, compressed])
def test_strengths_are_kept_with_their_comparisons(make: Callable[[], ComparisonData]) -> None:
    data = make()
    shape, dtype = data.gather(torch.zeros(0, dtype=torch.int64))[0].shape[3:], np.uint8
    step = np.ones((6, *shape), dtype=dtype)
    for _ in range(3):
        data.append([step, step], [1.0])
    assert data.strengths is None, "nobody was asked for any, and the loss is that of pairs"
    for strength in (Strength.MUCH, Strength.SLIGHT):
        data.append([step, step], [0.0], strength)
    for _ in range(SMALLEST_CAPACITY):  # beyond the first capacity
        data.append([step, step], [0.5])
    assert data.strengths is not None
    assert data.strengths[:6].tolist() == [0, 0, 0, 2, 1, 0]
    kept = np.zeros(len(data), dtype=np.bool_)
    kept[[2, 4, 5]] = True
    data.keep(kept)
    assert data.strengths is not None
    assert data.strengths.tolist() == [0, 1, 0]


@pytest.mark.parametrize("make", [as_tensors, compressed])
def test_comparisons_of_more_segments_lie_beside_pairs(make: Callable[[], ComparisonData]) -> None:
    data = make()
    assert data.n_segments == 1
    shape, dtype = data.gather(torch.zeros(0, dtype=torch.int64))[0].shape[3:], np.uint8
    steps = [np.full((6, *shape), 1 + number, dtype=dtype) for number in range(4)]
    data.append(steps[:2], [1.0])
    data.append(steps, [0.0, 1.0, 0.5, 1.0, 1.0, 0.0])
    data.append(steps[:3], [0.5, 0.0, 1.0])
    assert data.n_segments == 4
    assert [[p for p in row if p == p] for row in data.preferences.tolist()] == [
        [1.0],
        [0.0, 1.0, 0.5, 1.0, 1.0, 0.0],
        [0.5, 0.0, 1.0],
    ]
    _, mask = data.gather(torch.arange(3))
    assert (mask.sum(dim=-1) > 0).tolist() == [[True, True, False, False], [True] * 4, [True, True, True, False]]
    data.keep(np.array([True, False, True]))
    assert data.n_segments == 3, "as if the ranking of four had never been there"
    read, mask = data.gather(torch.arange(2))
    assert read.shape[1] == mask.shape[1] == 3
    assert data.preferences.shape == (2, 3)
    assert data.widest == 3 * mask.shape[2]
    data.append(steps[:2], [0.0])  # where the ranking of three had lain
    assert data.preferences[2].isnan().tolist() == [False, True, True]
    data.keep(np.array([True, True, False]))
    data.append(steps, [1.0] * 6)
    assert data.preferences[2].tolist() == [1.0] * 6
    assert data.preferences[1, :3].tolist() == [0.5, 0.0, 1.0]
    data.keep(np.array([True, False, False]))
    assert data.n_segments == 2
    assert data.preferences.tolist() == [[1.0]]


@pytest.mark.parametrize("make", [as_tensors, compressed])
def test_rated_segments_lie_beside_pairs(make: Callable[[], ComparisonData]) -> None:
    data = make()
    shape = data.gather(torch.zeros(0, dtype=torch.int64))[0].shape[3:]
    steps = [np.full((6, *shape), 1 + number, dtype=np.uint8) for number in range(2)]
    data.append(steps[:1], [], rating=4)
    assert data.ratings is not None
    assert (data.n_segments, data.ratings.tolist(), data.preferences.shape) == (1, [4], (1, 0))
    for number in range(70):  # more than there is room for at first
        data.append(steps, [1.0])
        data.append(steps[:1], [], rating=1 + number % 5)
    assert data.n_segments == 2
    kept = np.zeros(len(data), dtype=np.bool_)
    kept[[0, 1, 10]] = True
    data.keep(kept)
    assert data.ratings.tolist() == [4, 0, 5]
    assert data.preferences[:, 0].isnan().tolist() == [True, False, True]
    data.keep(np.array([True, False, True]))
    assert data.n_segments == 1, "as if the pairs had never been there"
    assert data.gather(torch.arange(2))[1].shape[1] == 1
    for _ in range(70):  # again more than there is room for
        data.append(steps[:1], [], rating=2)
    assert data.ratings.tolist() == [4, 5, *[2] * 70]


@pytest.mark.parametrize("make", [as_tensors, compressed])
def test_without_ratings_there_are_none(make: Callable[[], ComparisonData]) -> None:
    data = make()
    shape = data.gather(torch.zeros(0, dtype=torch.int64))[0].shape[3:]
    data.append([np.ones((6, *shape), dtype=np.uint8)] * 2, [1.0])
    assert data.ratings is None
