"""What a policy gets to see: running statistics."""

from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.running_mean_std import RunningMeanStd

from prefrl.runs.policy_view import QuickMeanStd


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.uint8])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_running_statistics_are_those_of_sb3_to_the_last_bit(dtype: Any, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = QuickMeanStd(shape=shape), RunningMeanStd(shape=shape)
    for n in (1, 16, 7):
        rows = rng.uniform(0, 20, size=(n, *shape)).astype(dtype)
        before = rows.copy()
        ours.update(rows)
        theirs.update(rows)
        np.testing.assert_array_equal(rows, before)
        np.testing.assert_array_equal(ours.mean, theirs.mean)
        np.testing.assert_array_equal(ours.var, theirs.var)
        assert ours.count == theirs.count


def test_mean_and_variance_by_hand() -> None:
    statistics = QuickMeanStd(epsilon=0, shape=(1,))
    statistics.update(np.array([[1.0], [3.0]]))
    statistics.update(np.array([[5.0], [7.0]]))
    assert statistics.mean == 4.0
    assert statistics.var == 5.0  # (9 + 1 + 1 + 9) / 4
