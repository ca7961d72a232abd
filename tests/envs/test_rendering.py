"""Frames from states."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.live_frames import LiveFrames
from prefrl_envs.mujoco.rendering import drawable_model, fill_sky
from prefrl_envs.redrawing import is_redrawable, redrawable_layer
from prefrl_envs.rendering import StateRenderer, step_seconds
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.tasks import TASKS, TASKS_BY_ENV_ID

IDS = [task.env_id for task in TASKS.values()]


def recorded(env_id: str, n_steps: int) -> npt.NDArray[np.float64]:
    env = SimulatorState(gymnasium.make(env_id))
    env.action_space.seed(0)
    states = [env.reset(seed=0)[1]["render_state"]]
    states += [env.step(env.action_space.sample())[4]["render_state"] for _ in range(n_steps)]
    env.close()
    return np.array(states)


@pytest.mark.parametrize("env_id", IDS)
def test_frames_show_what_happens_and_depend_on_the_state_alone(env_id: str) -> None:
    states = recorded(env_id, 15)
    with StateRenderer(env_id, 96, 64) as renderer:
        frames = renderer.frames(states)
        again = renderer.frame(states[3])
    assert frames.shape == (16, 64, 96, 3)
    assert frames.dtype == np.uint8
    assert frames[0].std() > 5  # something is seen
    assert (frames[0] != frames[-1]).any()
    assert (again == frames[3]).all()


@pytest.mark.parametrize(
    "env_id", [task.env_id for task in TASKS.values() if task.family in ("mujoco", "behaviour")]
)
def test_a_frame_from_a_state_is_the_one_that_was_seen_live(env_id: str) -> None:
    """MuJoCo's renderer on the data of the stepping simulation itself, under the same flags: equal pixels."""
    env = SimulatorState(gymnasium.make(env_id))
    inner: Any = env.unwrapped
    if not hasattr(inner, "mujoco_renderer"):
        pytest.skip("a behaviour of another family, which draws itself")
    parts = TASKS_BY_ENV_ID[env_id].parts
    model, config = drawable_model(inner.model, 96, 96, parts), inner.mujoco_renderer.default_cam_config
    camera = mujoco.MjvCamera()
    camera.distance, camera.elevation, camera.azimuth = config["distance"], config["elevation"], 90.0
    first = mujoco.MjData(inner.model)
    mujoco.mj_forward(inner.model, first)
    camera.lookat[:] = config.get("lookat", np.median(first.geom_xpos, axis=0))
    env.action_space.seed(0)
    states, live = [env.reset(seed=0)[1]["render_state"]], []
    with mujoco.Renderer(model, 96, 96, max_geom=1000) as renderer:
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            renderer.scene.flags[flag] = False
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = not parts
        for _ in range(20):
            mujoco.mj_forward(inner.model, inner.data)  # what a step leaves is of the moment before
            if config["trackbodyid"] > 0:
                camera.lookat[:2] = inner.data.subtree_com[1, :2]
            renderer.update_scene(inner.data, camera)
            live.append(renderer.render().copy())
            if parts:
                fill_sky(live[-1])
            states.append(env.step(env.action_space.sample())[4]["render_state"])
    env.close()
    with StateRenderer(env_id, 96, 96) as drawing:
        np.testing.assert_array_equal(drawing.frames(np.array(states[:-1])), np.array(live))
    assert (live[0] != live[-1]).any()


@pytest.mark.parametrize("env_id", [task.env_id for task in TASKS.values() if task.family not in ("mujoco",)])
def test_a_state_is_drawn_alike_by_the_stepping_environment_and_by_one_never_stepped(env_id: str) -> None:
    env: Any = SimulatorState(gymnasium.make(env_id))
    layer = redrawable_layer(env)
    if layer is None:
        pytest.skip("drawn by MuJoCo")
    env.action_space.seed(0)
    states, live = [env.reset(seed=0)[1]["render_state"]], []
    for _ in range(20):
        live.append(layer.draw_state(layer.render_state(), 96, 80))
        states.append(env.step(env.action_space.sample())[4]["render_state"])
    env.close()
    with StateRenderer(env_id, 96, 80) as drawing:
        np.testing.assert_array_equal(drawing.frames(np.array(states[:-1])), np.array(live))
    assert any((frame != live[0]).any() for frame in live)


def test_the_robot_is_drawn_where_the_state_says() -> None:
    """A level Hopper's body reaches less high in the picture than one that stands."""
    states = np.zeros((2, 6))
    states[:, 1] = [1.25, 0.1]
    states[1, 2] = np.pi / 2
    with StateRenderer("prefrl/Hopper-v0", 128, 128) as renderer:
        standing, lying = renderer.frames(states).astype(int)
    coloured = [np.ptp(frame, axis=2) > 40 for frame in (standing, lying)]  # floor and sky are grey
    rows = [np.flatnonzero(mask.any(axis=1)) for mask in coloured]
    columns = [np.flatnonzero(mask.any(axis=0)) for mask in coloured]
    assert np.ptp(rows[0]) > 1.5 * np.ptp(columns[0])
    assert np.ptp(rows[1]) < 0.5 * np.ptp(columns[1])


def test_the_camera_follows_and_the_floor_does_not_end() -> None:
    here, far = np.zeros((2, 6))
    here[1] = far[1] = 1.25
    far[0] = 240.0  # metres; a multiple of the floor's pattern
    with StateRenderer("prefrl/Hopper-v0", 64, 64) as renderer:
        frames = renderer.frames(np.array([here, far])).astype(int)
    robots = [np.ptp(frame, axis=2) > 40 for frame in frames]  # floor and sky are grey
    assert robots[0].sum() > 40
    assert np.logical_xor(*robots).sum() <= 0.1 * robots[0].sum()  # the same place in the picture
    assert np.abs(frames[0, 40:] - frames[1, 40:]).mean() < 60  # floor, not sky


@pytest.mark.parametrize("env_id", ["prefrl/HopperBackflip-v0", "prefrl/HalfCheetah-v0"])
def test_that_it_moves_is_seen_on_the_floor_and_the_floor_does_not_outshine_it(env_id: str) -> None:
    here, further = recorded(env_id, 0)[[0, 0]]
    further[0] += 0.3  # metres
    with StateRenderer(env_id, 128, 128) as renderer:
        frames = renderer.frames(np.array([here, further])).astype(int)
    floor = frames[:, 112:, :40]  # beside the agent
    assert np.abs(floor[0] - floor[1]).mean() > 5
    assert 30 < np.ptp(floor) < 100  # a black and white one has 200


def test_turning_on_the_spot_does_not_shake_the_picture() -> None:
    """The camera follows the centre of mass, not the tracked limb: a somersault leaves the floor where it is."""
    env = gymnasium.make("prefrl/HopperBackflip-v0")
    inner: Any = env.unwrapped
    data = mujoco.MjData(inner.model)
    states = np.zeros((8, 6))
    states[:, 1], states[:, 2] = 1.25, np.linspace(0, 2 * np.pi, 8)
    for state in states:
        data.qpos[:] = state
        mujoco.mj_forward(inner.model, data)
        state[0] -= data.subtree_com[1, 0]
    env.close()
    with StateRenderer("prefrl/HopperBackflip-v0", 128, 128) as renderer:
        floor = renderer.frames(states)[:, 122:, :40].astype(int)  # in a corner that the body does not reach
    assert np.abs(floor - floor[0]).max() <= 2


def test_a_state_of_another_size_is_refused() -> None:
    renderer = StateRenderer("prefrl/Pendulum-v0", 32, 32)
    with pytest.raises(ValueError, match=r"has shape \(3,\). Received \(2,\)"):
        renderer.frame(np.zeros(2))


def test_an_environment_without_states_is_refused() -> None:
    with (
        StateRenderer("Acrobot-v1", 32, 32) as renderer,
        pytest.raises(TypeError, match=r"No frames of Acrobot-v1 can be drawn from states.*LiveFrames"),
    ):
        renderer.frame(np.zeros(4))


def test_kept_frames_are_shown_as_they_were_whatever_the_environment() -> None:
    env = LiveFrames(gymnasium.make("prefrl/GridWorld-v0", render_mode="rgb_array"), max_side=256, n_bytes=32768)
    packed = env.reset(seed=0)[1]["render_state"]
    seen: Any = env.render()
    env.close()
    with StateRenderer("Acrobot-v1", 256, 256) as renderer:
        frames = renderer.frames(packed[None])
    assert np.abs(frames[0].astype(int) - seen).mean() < 3


@pytest.mark.parametrize(
    ("env_id", "drawable", "seconds"),
    [
        ("prefrl/HopperBackflip-v0", True, 0.008),
        ("prefrl/HalfCheetah-v0", True, 0.05),
        ("prefrl/Pendulum-v0", True, 0.05),  # its render_fps says 30, which is not its time
        ("prefrl/GridWorld-v0", True, 0.25),
        ("Acrobot-v1", False, 1 / 15),
        ("prefrl_no_time/NoTime-v0", False, 1 / 30),
    ],
)
def test_what_can_be_drawn_and_how_long_a_step_is(env_id: str, drawable: bool, seconds: float) -> None:
    if env_id == "prefrl_no_time/NoTime-v0" and env_id not in gymnasium.registry:
        gymnasium.register(env_id, "prefrl_envs.testing:ActionRewardEnv")
    env = gymnasium.make(env_id)
    assert is_redrawable(env) is drawable
    assert step_seconds(env) == pytest.approx(seconds)
    env.close()


def test_an_environment_of_another_module_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import gymnasium\ngymnasium.register('Elsewhere-v0', 'prefrl_envs.small.gridworld:GridWorld')\n"
    (tmp_path / "prefrl_elsewhere.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with StateRenderer("prefrl_elsewhere:Elsewhere-v0", 32, 32) as renderer:
        assert renderer.frame(np.zeros(1)).std() > 5


def test_a_machine_without_opengl_is_told_what_to_install() -> None:
    code = (
        "from prefrl_envs.rendering import StateRenderer\n"
        "from prefrl_envs.errors import RenderingUnavailableError\n"
        "try:\n    StateRenderer('prefrl/Hopper-v0', 32, 32).prepare()\n"
        "except RenderingUnavailableError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert (
        "apt-get install -y --no-install-recommends libegl1 libegl-mesa0 libopengl0 libgl1-mesa-dri"
        in result.stdout
    )
    assert issubclass(RenderingUnavailableError, RuntimeError)
