"""CartPole without an end: gymnasium's dynamics, and what is paid."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest

from prefrl_envs.small.cartpole import BUFFER, CartPole


def test_until_the_fall_it_is_gymnasiums() -> None:
    ours, theirs = CartPole(), gymnasium.make("CartPole-v1").unwrapped
    ours.reset(seed=4)
    state, _ = theirs.reset(seed=4)
    terminated = False
    while not terminated:
        seen = ours.step(1)[0]
        state, _, terminated, _, _ = theirs.step(1)
        expected = [state[0], state[1], math.cos(state[2]), math.sin(state[2]), state[3]]
        np.testing.assert_allclose(seen, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("position", "degrees", "reward"),
    [
        (0.0, 0.0, 1.0),
        (2.39, 11.9, 1.0),
        (-2.39, -11.9, 1.0),
        (2.41, 0.0, 0.0),
        (0.0, 12.1, 0.0),
        (0.0, 180.0, 0.0),
        (0.0, 360.0, 1.0),  # once round, and up again
        (0.0, -725.0, 1.0),
    ],
)
def test_a_step_pays_for_where_it_finds_the_pole(position: float, degrees: float, reward: float) -> None:
    env = CartPole()
    env.reset(seed=0)
    env.state = np.array([position, 0.0, math.radians(degrees), 0.0])
    assert env.step(0)[1] == reward


def test_the_cart_is_stopped_and_can_come_back() -> None:
    env = CartPole()
    env.reset(seed=0)
    positions = [float(env.step(1)[0][0]) for _ in range(300)]
    assert max(positions) == BUFFER
    assert env.state[1] == 0.0
    assert min(float(env.step(0)[0][0]) for _ in range(60)) < 2.0


def test_a_fallen_pole_goes_on_swinging_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    env: Any = gymnasium.make("prefrl/CartPole-v0")
    env.reset(seed=0)
    steps = [env.step(1) for _ in range(200)]
    assert [step[2:4] for step in steps] == [(False, False)] * 199 + [(False, True)]
    cosines = [float(step[0][2]) for step in steps]
    assert min(cosines) < -0.9
    assert len(recwarn) == 0


def test_the_picture_shows_cart_and_pole() -> None:
    env = CartPole(render_mode="rgb_array")
    env.reset(seed=0)
    env.state = np.array([-1.0, 0.0, 0.5, 0.0])
    left = env.render().astype(int)
    env.state = np.array([1.0, 0.0, -0.5, 0.0])
    right = env.render().astype(int)
    pole = (left[..., 0] - left[..., 2] > 90) & (left[..., 1] < 120)
    rows, columns = np.nonzero(pole)
    assert columns[rows.argmin()] > columns[rows.argmax()]  # it leans to the right
    np.testing.assert_array_equal(np.abs(left - right[:, ::-1]).mean() < 3, True)
