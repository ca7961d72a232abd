"""The wrapper that reports an episode's counts."""

import numpy as np
import pytest

from prefrl_envs.task_metrics import TaskMetrics
from prefrl_envs.testing import CountingEnv


class Counted(CountingEnv):
    def task_metrics(self) -> dict[str, float]:
        return {"steps": float(self._n_steps)}


@pytest.mark.parametrize("terminates", [True, False])
def test_metrics_come_with_the_last_step_of_each_episode(terminates: bool) -> None:
    env = TaskMetrics(Counted((2, 3), terminates=terminates))
    action = np.zeros(1, dtype=np.float32)
    env.reset()
    assert [env.step(action)[4] for _ in range(2)] == [{}, {"task_metrics": {"steps": 2.0}}]
    env.reset()
    assert [env.step(action)[4] for _ in range(3)] == [{}, {}, {"task_metrics": {"steps": 3.0}}]


def test_an_environment_without_metrics_is_refused() -> None:
    with pytest.raises(TypeError, match="CountingEnv has none"):
        TaskMetrics(CountingEnv())
