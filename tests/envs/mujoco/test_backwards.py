"""The Cheetah that runs backwards."""

import numpy as np
import pytest

from prefrl_envs.mujoco.backwards import Backwards, backwards_reward


def test_reward_by_hand() -> None:
    observation = np.zeros(17)
    observation[8] = -2.5  # m/s
    assert backwards_reward(observation, np.ones(6)) == 2.5


@pytest.mark.parametrize(
    ("places", "speed"),
    [
        ([0.0, -0.1, -0.2], 2.0),  # 0.2 m in two steps of 0.05 s
        ([5.0, 4.9, 4.8], 2.0),  # from wherever
        ([0.0, 0.1, 0.3], -3.0),  # forward
        ([0.0, -3.0, 0.0], 0.0),  # to and fro
        ([1.0], 0.0),  # not stepped yet
    ],
)
def test_speed_is_the_way_made_over_the_time(places: list[float], speed: float) -> None:
    behaviour = Backwards(step_seconds=0.05)
    positions = np.zeros((len(places), 9))
    positions[:, 0] = places
    counts = behaviour.begin(positions[0])
    for position in positions[1:]:
        behaviour.count(counts, position)
    assert behaviour.metrics(counts) == {"backward_speed": pytest.approx(speed)}
