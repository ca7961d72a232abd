"""Foot heights from joint angles agree with MuJoCo's, and know what they are about."""

from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from prefrl_envs.mujoco.limbs import CHEETAH_BACK_LEG, CHEETAH_FRONT_LEG, WALKER_LEG, Limb, foot_height


def lowest_point(model: Any, data: Any, geom: str) -> float:
    """Of a capsule, from where MuJoCo puts it."""
    number = model.geom(geom).id
    radius, half = model.geom_size[number, :2]
    axis = data.geom_xmat[number].reshape(3, 3)[:, 2]
    return float(min(data.geom_xpos[number, 2] + sign * half * axis[2] for sign in (-1, 1)) - radius)


@pytest.mark.parametrize(
    ("name", "limb", "geom", "first", "origin"),
    [
        ("HalfCheetah", CHEETAH_BACK_LEG, "bfoot", 3, 0.7),
        ("HalfCheetah", CHEETAH_FRONT_LEG, "ffoot", 6, 0.7),
        ("Walker2d", WALKER_LEG, "foot_geom", 3, 0.0),
        ("Walker2d", WALKER_LEG, "foot_left_geom", 6, 0.0),
    ],
)
def test_heights_are_mujocos(
    name: str, limb: Limb, geom: str, first: int, origin: float, rng: np.random.Generator
) -> None:
    env: Any = gymnasium.make(f"prefrl/{name}-v0").unwrapped
    data = mujoco.MjData(env.model)
    poses = rng.uniform(-2.0, 2.0, size=(200, 9))
    expected = []
    for pose in poses:
        data.qpos[:] = pose
        mujoco.mj_kinematics(env.model, data)
        expected.append(lowest_point(env.model, data, geom))
    heights = foot_height(limb, poses[:, 1] + origin, poses[:, 2], poses[:, first : first + 3])
    np.testing.assert_allclose(heights, expected, atol=2e-4)  # lengths are given in tenths of millimetres
    one = foot_height(limb, poses[7, 1] + origin, poses[7, 2], poses[7, first : first + 3])
    assert one == pytest.approx(heights[7], abs=1e-12)
    env.close()
