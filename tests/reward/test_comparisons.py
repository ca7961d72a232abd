import numpy as np
import torch

from prefrl.reward.comparisons import ComparisonTensors

CPU = torch.device("cpu")


def test_comparisons_come_back_padded_and_masked(rng: np.random.Generator) -> None:
    """More than the first capacity, with lengths that grow, against a list."""
    data = ComparisonTensors(3, CPU)
    kept = []
    for i in range(150):
        lengths = rng.integers(1, 3 + i // 10, size=2)
        pair = [rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]
        data.append(pair[0], pair[1], float(i % 3) / 2)
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
    np.testing.assert_array_equal(data.steps().numpy(), np.concatenate([s for pair in kept for s in pair]))


def test_an_index_of_any_shape(rng: np.random.Generator) -> None:
    data = ComparisonTensors(2, CPU)
    values = rng.normal(size=(10, 2, 4, 2)).astype(np.float32)
    for first, second in values:
        data.append(first, second, 1.0)
    index = torch.as_tensor(rng.integers(10, size=(3, 5)))
    features, mask = data.gather(index)
    np.testing.assert_array_equal(features.numpy(), values[index.numpy()])
    assert mask.shape == (3, 5, 2, 4)


def test_memory_grows_by_doubling() -> None:
    """So that the time to append n comparisons grows with n, not with its square."""
    data = ComparisonTensors(1, CPU)
    step = np.ones((2, 1), dtype=np.float32)
    for _ in range(1000):
        data.append(step, step, 1.0)
        capacity = data._features.shape[0]
        assert len(data) <= capacity <= max(64, 2 * len(data))
    assert capacity == 1024


def test_what_was_appended_is_a_copy() -> None:
    data = ComparisonTensors(1, CPU)
    step = np.ones((2, 1), dtype=np.float32)
    data.append(step, step, 1.0)
    step[:] = 7.0
    assert data.steps().flatten().tolist() == [1.0] * 4


def test_what_is_not_kept_is_gone_and_the_order_stays(rng: np.random.Generator) -> None:
    data = ComparisonTensors(2, CPU)
    values = rng.normal(size=(100, 2, 4, 2)).astype(np.float32)
    for number, (first, second) in enumerate(values[:90]):
        data.append(first, second, float(number % 2))
    kept = rng.random(90) < 0.5
    data.keep(kept)
    for number, (first, second) in enumerate(values[90:], start=90):
        data.append(first, second, float(number % 2))
    expected = [*np.flatnonzero(kept), *range(90, 100)]
    assert len(data) == len(expected)
    assert data.preferences.tolist() == [float(number % 2) for number in expected]
    features, mask = data.gather(torch.arange(len(expected)))
    np.testing.assert_array_equal(features.numpy(), values[expected])
    assert mask.all()
