"""One-legged Cheetah and Walker: rewards by hand, and shares of time from poses made by hand."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs.mujoco.one_leg import cheetah_reward, walker_reward

Pose = npt.NDArray[np.float64]

REARING = [-0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
"""Angles of a Cheetah that has its front up."""
LEVEL = [0.0] * 7


@pytest.fixture(scope="module")
def cheetah() -> Any:
    return gymnasium.make("prefrl/HalfCheetahOneLeg-v0").unwrapped


@pytest.fixture(scope="module")
def walker() -> Any:
    return gymnasium.make("prefrl/Walker2dOneFoot-v0").unwrapped


def on_the_floor(env: Any, angles: list[float], x: float, wanted: set[str]) -> Pose:
    """Lower a robot in a pose until just the wanted bodies touch the floor."""
    floor = env.behaviour._floor
    pose = np.array([x, 2.5, *angles])
    numbers = {int(env.model.body(name).id) for name in wanted}
    while not floor.touching(pose):
        pose[1] -= 0.002
    assert floor.touching(pose) == numbers
    return pose


def share(env: Any, poses: list[Pose]) -> float:
    behaviour = env.behaviour
    counts = behaviour.begin(poses[0])
    for pose in poses[1:]:
        behaviour.count(counts, pose)
    [value] = behaviour.metrics(counts).values()
    return float(value)


def walk(pose: Pose, n_steps: int, speed: float, *, start: float = 0.0, seconds: float = 0.05) -> list[Pose]:
    """Repeat a pose, each time further on."""
    return [np.concatenate([[start + speed * seconds * i], pose[1:]]) for i in range(n_steps)]


def test_a_second_on_the_back_leg_counts(cheetah: Any) -> None:
    rearing = on_the_floor(cheetah, REARING, 0.0, {"bfoot"})
    assert share(cheetah, walk(rearing, 41, 1.0)) == 1.0
    assert share(cheetah, walk(rearing, 41, 0.2)) == 0.0  # too slow to be moving
    assert share(cheetah, walk(rearing, 41, -1.0)) == 0.0
    assert share(cheetah, walk(rearing, 20, 1.0)) == 0.0  # 19 steps are less than a second
    assert share(cheetah, walk(rearing, 21, 1.0)) == 1.0


def test_hops_count_and_flights_alone_do_not(cheetah: Any) -> None:
    rearing = on_the_floor(cheetah, REARING, 0.0, {"bfoot"})
    flying = rearing.copy()
    flying[1] += 0.3
    hopping = [step for i in range(5) for step in walk(rearing if i % 2 else flying, 8, 1.0, start=0.4 * i)]
    assert share(cheetah, hopping) == 1.0
    assert share(cheetah, walk(flying, 41, 1.0)) == 0.0


def test_a_touch_of_the_other_leg_ends_the_stretch(cheetah: Any) -> None:
    rearing = on_the_floor(cheetah, REARING, 0.0, {"bfoot"})
    both = np.zeros(9)
    floor = cheetah.behaviour._floor
    both[1] = next(z for z in np.arange(0.5, -0.7, -0.002) if len(floor.touching(np.array([0, z, *LEVEL]))) >= 1)
    both[1] -= 0.05
    assert len(floor.touching(both)) >= 2
    touch = [np.concatenate([[1.25], both[1:]])]
    # 1 + 24 steps up, one down, 30 up: all but the one count
    poses = walk(rearing, 25, 1.0) + touch + walk(rearing, 30, 1.0, start=1.3)
    assert share(cheetah, poses) == pytest.approx(54 / 55)
    # touched every tenth step: never a whole second
    poses = [step for i in range(5) for step in [*walk(rearing, 10, 1.0, start=0.5 * i), *touch]]
    assert share(cheetah, poses) == 0.0


def test_the_better_leg_is_taken_and_the_two_are_not_mixed(walker: Any) -> None:
    right = on_the_floor(walker, [0.0, 0.0, 0.0, 0.0, -0.9, -0.9, 0.0], 0.0, {"foot"})
    left = on_the_floor(walker, [0.0, -0.9, -0.9, 0.0, 0.0, 0.0, 0.0], 0.0, {"foot_left"})
    stay = {"speed": 0.0, "seconds": 0.008}
    assert share(walker, walk(right, 251, **stay)) == 1.0
    assert share(walker, walk(left, 251, **stay)) == 1.0
    half = walk(right, 151, **stay) + walk(left, 250, **stay)
    assert share(walker, half) == pytest.approx(250 / 400)
    stepping = [step for i in range(8) for step in walk(right if i % 2 else left, 60, **stay)]
    assert share(walker, stepping) == 0.0  # a walk, 0.5 s on each foot


def test_lying_counts_nothing(walker: Any) -> None:
    lying = np.array([0.0, 0.04, np.pi / 2, 0, 0, 0, 0, 0, 0])
    assert walker.behaviour._floor.touching(lying)
    assert share(walker, walk(lying, 400, 0.0)) == 0.0


def seen(env: Any, pose: Pose, speed: float = 0.0) -> Pose:
    env.reset(seed=0)
    velocity = np.zeros(9)
    velocity[0] = speed
    env.set_state(pose, velocity)
    return np.asarray(env._get_obs())


def lowest(env: Any, geom: str) -> float:
    """How high the lowest point of a capsule is, by the simulator."""
    data, model = env.data.geom(geom), env.model.geom(geom)
    return float(data.xpos[2] - abs(data.xmat[8]) * model.size[1] - model.size[0])


def test_cheetahs_reward_by_hand(cheetah: Any) -> None:
    rearing = on_the_floor(cheetah, REARING, 0.0, {"bfoot"})
    action = np.ones(6)
    assert cheetah_reward(seen(cheetah, rearing, 0.7), action) == pytest.approx(0.7)  # its foot is high enough
    assert cheetah_reward(seen(cheetah, rearing, 3.0), action) == 1.0
    assert cheetah_reward(seen(cheetah, rearing, -0.3), action) == pytest.approx(-0.3)
    level = np.zeros(9)
    lowest = 0.7 - 0.24 - 0.18 - 0.1278 - 0.046  # of the front foot above the floor in the model's first pose [m]
    level[1] = 0.2 - lowest
    assert cheetah_reward(seen(cheetah, level, 1.0), action) == pytest.approx(0.5)  # 20 cm of 40
    level[1] -= 0.3
    assert cheetah_reward(seen(cheetah, level, 1.0), action) == 0.0  # on the floor
    turned = np.concatenate([[0.0, 1.0, np.pi], np.zeros(6)])
    assert cheetah_reward(seen(cheetah, turned, 1.0), action) == 0.0


def test_walkers_reward_by_hand(walker: Any) -> None:
    standing = on_the_floor(walker, [0.0] * 7, 0.0, {"foot", "foot_left"})
    lifted = on_the_floor(walker, [0.0, 0.0, 0.0, 0.0, -0.9, -0.9, 0.0], 0.0, {"foot"})
    action = np.ones(6)
    straight = 1.208 / 1.25  # the feet are pressed in a little
    assert walker_reward(seen(walker, standing), action) == pytest.approx(straight, abs=0.01)
    assert walker_reward(seen(walker, lifted), action) == pytest.approx(straight + 10.0, abs=0.03)
    other = on_the_floor(walker, [0.0, -0.9, -0.9, 0.0, 0.0, 0.0, 0.0], 0.0, {"foot_left"})
    assert walker_reward(seen(walker, other), action) == pytest.approx(straight, abs=0.01)
    standing[1] += 0.1
    assert walker_reward(seen(walker, standing), action) == 1.0  # a jump with both feet
    bent = on_the_floor(walker, [0.0, 0.0, 0.0, 0.0, -0.5, -0.5, 0.0], 0.0, {"foot"})
    observation = seen(walker, bent)
    lift = lowest(walker, "foot_left_geom") - lowest(walker, "foot_geom")
    assert 0.05 < lift < 0.15
    assert walker_reward(observation, action) == pytest.approx(straight + 50.0 * lift, abs=0.1)
    for speeds, still in (((4.0, 0.0, 0.0), 1 - 4 / 24), ((-6.0, 6.0, 0.0), 0.5), ((0.0, 20.0, -20.0), 0.0)):
        moving = seen(walker, lifted)
        moving[14:17] = speeds
        assert walker_reward(moving, action) == pytest.approx(straight + 10.0 * still, abs=0.03)
    hopping = seen(walker, lifted)
    hopping[8:14] = 9.0  # torso and right leg may move
    assert walker_reward(hopping, action) == pytest.approx(straight + 10.0, abs=0.03)
    lifted[1] = 0.75
    assert walker_reward(seen(walker, lifted), action) == pytest.approx(0.6)  # too low
    for angle, worth in ((0.25, 0.75), (-0.25, 0.75), (1.1, 0.0)):
        tilted = np.concatenate([[0.0, 1.5, angle], np.zeros(6)])
        assert walker_reward(seen(walker, tilted), action) == pytest.approx(worth)
