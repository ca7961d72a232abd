"""The dot moves as told, is seen where it is, and pays by where it was."""

from typing import Any

import numpy as np
import pytest

from prefrl_envs.small.moving_dot import MovingDot

STAY, UP, RIGHT, DOWN, LEFT = range(5)


def at(row: int, column: int) -> Any:
    env = MovingDot()
    env.reset(seed=0)
    env._row, env._column = row, column
    return env


def place(frame: Any) -> tuple[int, int]:
    rows, columns = np.nonzero(frame[..., 0])
    assert frame.shape == (84, 84, 1)
    assert set(np.unique(frame)) == {0, 255}
    assert len(rows) == 36
    return int(rows.min()), int(columns.min())


@pytest.mark.parametrize(
    ("action", "target"), [(STAY, (30, 40)), (UP, (27, 40)), (RIGHT, (30, 43)), (DOWN, (33, 40)), (LEFT, (30, 37))]
)
def test_moves(action: int, target: tuple[int, int]) -> None:
    assert place(at(30, 40).step(action)[0]) == target


@pytest.mark.parametrize(("row", "column", "action"), [(1, 9, UP), (77, 9, DOWN), (9, 1, LEFT), (9, 77, RIGHT)])
def test_the_border_stops_it(row: int, column: int, action: int) -> None:
    env = at(row, column)
    env.step(action)
    seen = place(env.step(action)[0])
    assert seen in ((0, 9), (78, 9), (9, 0), (9, 78))


@pytest.mark.parametrize(
    ("row", "column", "reward"), [(39, 39, 1.0), (0, 39, 0.0), (39, 78, 0.0), (0, 0, 0.0), (26, 39, 2 / 3)]
)
@pytest.mark.parametrize("action", range(5))
def test_reward_by_hand_whatever_the_action(row: int, column: int, reward: float, action: int) -> None:
    assert at(row, column).step(action)[1] == pytest.approx(reward)


def test_it_starts_anywhere() -> None:
    env = MovingDot()
    places = np.array([place(env.reset(seed=seed)[0]) for seed in range(300)])
    assert places.min() < 4
    assert places.max() > 74
    assert abs(places.mean() - 39) < 5  # sd of the mean of 600 numbers: 0.9
