"""Parts of robots in colours that people tell apart."""

from copy import copy
from itertools import combinations
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs import body_parts as palette
from prefrl_envs.body_parts import BodyPart
from prefrl_envs.extras import DMC
from prefrl_envs.mujoco.bodies import OF_GYMNASIUM
from prefrl_envs.mujoco.rendering import drawable_model, geoms_of
from prefrl_envs.rendering import StateRenderer
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.task import Task
from prefrl_envs.tasks import TASKS, body_parts

COLOURED = [task for task in TASKS.values() if task.parts]
BODIES = list({task.parts: task for task in COLOURED}.values())
ROBOTS = ("Hopper", "HalfCheetah", "Walker2d", "Ant", "Humanoid", "Swimmer")

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(rgb: tuple[int, int, int], sight: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """CIELAB of a colour (0 to 255) as an eye sees it that mixes linear RGB by a matrix."""
    value = np.array(rgb) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(sight @ linear, 0, 1) / (TO_XYZ @ np.ones(3))
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def made(task: Task) -> Any:
    if task.extra is not None and not task.extra.is_installed:
        pytest.skip(f"needs {DMC.package}")
    return gymnasium.make(task.env_id)


def named(tasks: list[Task]) -> list[Any]:
    return [pytest.param(task, id=task.name) for task in tasks]


@pytest.mark.parametrize("task", named(COLOURED))
def test_all_that_is_drawn_of_a_robot_is_declared_once_and_there(task: Task) -> None:
    env = made(task)
    model = env.unwrapped.model
    geoms = [geom for part in task.parts for geom in geoms_of(model, part)]
    floor = np.flatnonzero(model.geom_bodyid == 0)
    eyes = [geom for geom in range(model.ngeom) if model.geom(geom).name.startswith("eye")]
    assert sorted([*geoms, *floor, *eyes]) == list(range(model.ngeom))
    drawable = drawable_model(model, 64, 64, task.parts)
    for part in task.parts:
        assert len(geoms_of(model, part)) >= 1
        np.testing.assert_allclose(
            255 * drawable.geom_rgba[geoms_of(model, part), :3], [part.rgb] * len(geoms_of(model, part)), atol=1
        )
        assert (drawable.geom_matid[geoms_of(model, part)] == -1).all()
    env.close()


def test_a_part_that_is_not_there_is_an_error() -> None:
    env: Any = gymnasium.make("prefrl/Hopper-v0")
    for part in (
        BodyPart(name="tail", colour=palette.BLUE, geoms=("tail",)),
        BodyPart(name="tail", colour=palette.BLUE, links=("tail",)),
    ):
        with pytest.raises(KeyError, match="tail"):
            drawable_model(env.unwrapped.model, 64, 64, [part])
    env.close()


@pytest.mark.parametrize("task", named(BODIES))
@pytest.mark.parametrize(
    "sight", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["full", "deuteranopia", "protanopia"]
)
def test_colours_of_a_body_are_told_apart_by_every_eye(task: Task, sight: npt.NDArray[np.float64]) -> None:
    """A distance of 10 is seen at a glance (2.3 is just noticeable); these parts are small and move."""
    colours = [lab(part.rgb, sight) for part in task.parts]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(colours, 2)) > 15


def test_the_simulated_eye_sees_what_it_should() -> None:
    red, green = (200, 0, 0), (0, 125, 0)
    assert np.linalg.norm(lab((255, 255, 255), np.eye(3)) - [100, 0, 0]) < 0.1
    assert np.linalg.norm(lab(red, np.eye(3)) - lab(green, np.eye(3))) > 3 * np.linalg.norm(
        lab(red, DEUTERANOPIA)[1:] - lab(green, DEUTERANOPIA)[1:]
    )


@pytest.mark.parametrize("task", named(BODIES))
def test_each_part_is_seen_in_its_colour(task: Task) -> None:
    env = SimulatorState(made(task))
    env.action_space.seed(0)
    states = [env.reset(seed=0)[1]["render_state"]]
    states += [
        env.step(env.action_space.sample())[4]["render_state"] for _ in range(20)
    ]  # no part hides all along
    env.close()
    with StateRenderer(task.env_id, 256, 256) as renderer:
        frames = renderer.frames(np.array(states[::4])).astype(float)
    for part in task.parts:
        near = np.abs(frames - part.rgb).max(axis=-1) < 30
        assert near.sum() > 100, part.name


@pytest.mark.parametrize("robot", ROBOTS)
def test_gymnasiums_own_robots_are_coloured_too(robot: str) -> None:
    for version in ("v4", "v5"):
        assert body_parts(f"{robot}-{version}") == TASKS[robot.lower()].parts
    env: Any = gymnasium.make(f"{robot}-v5")
    assert type(env.unwrapped).__name__ in OF_GYMNASIUM
    drawable_model(env.unwrapped.model, 64, 64, body_parts(f"{robot}-v5"))  # nothing missing
    env.close()


def test_what_is_not_known_keeps_its_own_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = copy(gymnasium.spec("Hopper-v5"))
    mine.id, mine.kwargs = "Mine-v0", {"xml_file": "my.xml"}
    monkeypatch.setitem(gymnasium.registry, "Mine-v0", mine)
    assert body_parts("Mine-v0") == ()
    assert body_parts("prefrl/Hopper-v0", {"xml_file": "my.xml"}) == ()
    for env_id in (
        "prefrl/Reacher-v0",
        "prefrl/Pendulum-v0",
        "Pusher-v5",
        "CartPole-v1",
        "no_such_module:Hopper-v5",
        "NoSuch-v0",
    ):
        assert body_parts(env_id) == ()
    env: Any = gymnasium.make("Pusher-v5")
    model = env.unwrapped.model
    drawable = drawable_model(model, 64, 64)
    np.testing.assert_array_equal(drawable.geom_rgba, model.geom_rgba)
    np.testing.assert_array_equal(drawable.geom_matid, model.geom_matid)
    np.testing.assert_array_equal(drawable.light_diffuse, model.light_diffuse)
    env.close()


def test_the_model_that_steps_is_left_alone() -> None:
    env: Any = gymnasium.make("prefrl/Hopper-v0")
    before = env.unwrapped.model.geom_rgba.copy(), env.unwrapped.model.geom_size.copy()
    drawable_model(env.unwrapped.model, 64, 64, TASKS["hopper"].parts)
    np.testing.assert_array_equal(env.unwrapped.model.geom_rgba, before[0])
    np.testing.assert_array_equal(env.unwrapped.model.geom_size, before[1])
    env.close()
