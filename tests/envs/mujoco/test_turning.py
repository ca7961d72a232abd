"""The Ant that turns on the spot."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs.mujoco.turning import Turning, turning_reward


def observed(
    *, tilt: float = 0.0, spin: float = 0.0, velocity: tuple[float, float] = (0.0, 0.0)
) -> npt.NDArray[np.float64]:
    observation = np.zeros(27)
    observation[1], observation[2] = math.cos(tilt / 2), math.sin(tilt / 2)  # tilted about the x axis
    observation[13:15] = velocity
    observation[18] = spin
    return observation


@pytest.mark.parametrize(
    ("observation", "reward"),
    [
        (observed(spin=2.0), 2.0),
        (observed(spin=-2.0), -2.0),
        (observed(spin=2.0, velocity=(3.0, -4.0)), 1.0),
        (observed(spin=2.0, tilt=math.pi / 3), 1.0),
        (observed(spin=2.0, tilt=math.pi / 2), 0.0),  # on its side
        (observed(spin=-2.0, tilt=math.pi), 0.0),  # on its back, where its own left is our right
    ],
)
def test_reward_by_hand(observation: npt.NDArray[np.float64], reward: float) -> None:
    assert turning_reward(observation, np.ones(8)) == pytest.approx(reward, abs=1e-12)


def pose(heading: float, *, x: float = 0.0, y: float = 0.0, tilt: float = 0.0) -> npt.NDArray[np.float64]:
    """Tilt about the x axis first, then turn about the vertical."""
    position = np.zeros(15)
    position[:3] = x, y, 0.6
    turn, lean = heading / 2, tilt / 2
    position[3] = math.cos(turn) * math.cos(lean)
    position[4] = math.cos(turn) * math.sin(lean)
    position[5] = math.sin(turn) * math.sin(lean)
    position[6] = math.sin(turn) * math.cos(lean)
    return position


def metrics(poses: list[npt.NDArray[np.float64]]) -> dict[str, float]:
    behaviour = Turning(step_seconds=0.05)
    counts = behaviour.begin(poses[0])
    for position in poses[1:]:
        behaviour.count(counts, position)
    return behaviour.metrics(counts)


@pytest.mark.parametrize(
    ("headings", "turns"),
    [
        (np.linspace(0, 4 * np.pi, 121), 2.0),  # two turns to the left, past the angle where headings jump
        (np.linspace(0, -4 * np.pi, 121), -2.0),
        (np.concatenate([np.linspace(0, 2, 61), np.linspace(2, 0, 61)[1:]]), 0.0),  # swaying
        (np.full(121, 1.0), 0.0),
    ],
)
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_turns_are_counted_over_the_time(headings: npt.NDArray[np.float64], turns: float, tilt: float) -> None:
    """120 steps are 6 s, a tenth of a minute."""
    counted = metrics([pose(heading, tilt=tilt) for heading in headings])
    assert counted == {"turns_per_minute": pytest.approx(10 * turns, abs=1e-9), "drift": 0.0}


def test_spinning_on_the_back_counts_nothing() -> None:
    assert metrics([pose(heading, tilt=np.pi) for heading in np.linspace(0, 9, 61)])["turns_per_minute"] == 0.0


def test_drift_is_the_furthest_way_from_the_start() -> None:
    poses = [pose(0.0, x=1.0, y=1.0), pose(0.0, x=4.0, y=5.0), pose(0.0, x=1.0, y=1.0)]
    assert metrics(poses) == {"turns_per_minute": 0.0, "drift": pytest.approx(5.0)}
