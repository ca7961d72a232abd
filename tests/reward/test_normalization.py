import numpy as np
import pytest

from prefrl.reward.normalization import RunningMoments


@pytest.mark.parametrize("sizes", [(100,), (1,) * 100, (60, 1, 0, 39), (99, 1)])
def test_batch_by_batch_equals_one_pass(sizes: tuple[int, ...], rng: np.random.Generator) -> None:
    values = rng.normal(loc=[0.0, 1e4, -3.0], scale=[1.0, 0.1, 1e3], size=(100, 3)).astype(np.float32)
    moments = RunningMoments.of_size(3)
    for batch in np.split(values, np.cumsum(sizes)[:-1]):
        moments.update(batch)
    assert moments.count == 100
    np.testing.assert_allclose(moments.mean, values.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, values.var(axis=0, dtype=np.float64), rtol=1e-9)


def test_by_hand() -> None:
    moments = RunningMoments.of_size(1)
    moments.update(np.array([[1.0], [3.0]], dtype=np.float32))
    assert (moments.mean.item(), moments.variance.item(), moments.count) == (2.0, 1.0, 2)
    moments.update(np.array([[8.0]], dtype=np.float32))
    # 1, 3, 8: mean 4, squares of 3, 1, 4 add up to 26.
    assert (moments.mean.item(), moments.count) == (4.0, 3)
    assert moments.variance.item() == pytest.approx(26 / 3)


def test_before_the_first_value_nothing_is_changed_by_it() -> None:
    moments = RunningMoments.of_size(2)
    moments.update(np.empty((0, 2), dtype=np.float32))
    assert moments.count == 0
    np.testing.assert_array_equal(moments.mean, 0.0)
    np.testing.assert_array_equal(moments.variance, 1.0)


def test_a_constant_has_no_variance() -> None:
    moments = RunningMoments.of_size(1)
    for _ in range(5):
        moments.update(np.full((7, 1), 0.1, dtype=np.float32))
    assert moments.variance.item() == pytest.approx(0.0, abs=1e-15)
