from collections.abc import Callable

import numpy as np
import pytest
import torch

from prefrl.reward.comparisons import ComparisonData, ComparisonTensors, CompressedComparisons

CPU = torch.device("cpu")


def test_comparisons_come_back_padded_and_masked(rng: np.random.Generator) -> None:
    """More than the first capacity, with lengths that grow, against a list."""
    data = ComparisonTensors((3,), CPU)
    kept = []
    for i in range(150):
        lengths = rng.integers(1, 3 + i // 10, size=2)
        pair = [rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]
        data.append(pair, float(i % 3) / 2)
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
    assert data.preferences.tolist() == [float(i % 3) / 2 for i in range(150)]
    assert data.n_steps == sum(len(side) for pair in kept for side in pair)


def test_an_index_of_any_shape(rng: np.random.Generator) -> None:
    data = ComparisonTensors((2,), CPU)
    values = rng.normal(size=(10, 2, 4, 2)).astype(np.float32)
    for first, second in values:
        data.append([first, second], 1.0)
    index = torch.as_tensor(rng.integers(10, size=(3, 5)))
    features, mask = data.gather(index)
    np.testing.assert_array_equal(features.numpy(), values[index.numpy()])
    assert mask.shape == (3, 5, 2, 4)


def test_memory_grows_by_doubling() -> None:
    """So that the time to append n comparisons grows with n, not with its square."""
    data = ComparisonTensors((1,), CPU)
    step = np.ones((2, 1), dtype=np.float32)
    for _ in range(1000):
        data.append([step, step], 1.0)
        capacity = data._steps.shape[0]
        assert len(data) <= capacity <= max(64, 2 * len(data))
    assert capacity == 1024


def test_what_was_appended_is_a_copy() -> None:
    data = ComparisonTensors((1,), CPU)
    step = np.ones((2, 1), dtype=np.float32)
    data.append([step, step], 1.0)
    step[:] = 7.0
    assert data.gather(torch.arange(1))[0].flatten().tolist() == [1.0] * 4


def test_what_is_not_kept_is_gone_and_the_order_stays(rng: np.random.Generator) -> None:
    data = ComparisonTensors((2,), CPU)
    values = rng.normal(size=(100, 2, 4, 2)).astype(np.float32)
    for number, (first, second) in enumerate(values[:90]):
        data.append([first, second], float(number % 2))
    kept = rng.random(90) < 0.5
    data.keep(kept)
    for number, (first, second) in enumerate(values[90:], start=90):
        data.append([first, second], float(number % 2))
    expected = [*np.flatnonzero(kept), *range(90, 100)]
    assert len(data) == len(expected)
    assert data.preferences.tolist() == [float(number % 2) for number in expected]
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
        data.append(pair, float(i % 3) / 2)
        kept.append(pair)
    assert data.n_steps == sum(len(side) - 2 for pair in kept for side in pair)
    data.keep(np.arange(9) != 4)
    del kept[4]
    assert len(data) == 8
    assert data.preferences.tolist() == [0.0, 0.5, 1.0, 0.0, 1.0, 0.0, 0.5, 1.0]
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
    data.append([frames, frames], 1.0)
    assert data.n_bytes < frames.nbytes / 50
