"""What touches the floor in a pose is what the simulation says."""

from typing import Any

import gymnasium
import mujoco
import pytest

from prefrl_envs.mujoco.floor import FloorContacts


@pytest.mark.parametrize("name", ["Hopper", "HalfCheetah", "Walker2d", "Ant"])
def test_contacts_are_those_of_the_whole_simulation(name: str) -> None:
    env: Any = gymnasium.make(f"prefrl/{name}-v0")
    inner = env.unwrapped
    floor, full = FloorContacts(inner.model), mujoco.MjData(inner.model)
    env.action_space.seed(0)
    env.reset(seed=0)
    seen: list[set[int]] = []
    for _ in range(200):
        env.step(env.action_space.sample())
        full.qpos[:] = inner.data.qpos
        mujoco.mj_forward(inner.model, full)
        expected = set()
        for contact in full.contact:
            geoms = [inner.model.geom(contact.geom1), inner.model.geom(contact.geom2)]
            names = [geom.name for geom in geoms]
            if "floor" in names:
                expected.add(int(geoms[1 - names.index("floor")].bodyid[0]))
        before = inner.data.qpos.tobytes()
        assert floor.touching(inner.data.qpos) == expected
        assert inner.data.qpos.tobytes() == before
        seen.append(expected)
    assert len({frozenset(bodies) for bodies in seen}) > 1  # it comes off the floor, or other parts down
    env.close()
