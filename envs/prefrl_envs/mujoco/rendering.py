"""Off-screen drawing of a MuJoCo model from render states. Used through `prefrl_envs.rendering`."""

import copy
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import cv2
import mujoco
import numpy as np
import numpy.typing as npt

from prefrl_envs.body_parts import BodyPart
from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.gl import GL_PACKAGES
from prefrl_envs.mujoco.state import RENDER_STATE

_OFF = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)

_BLACK = np.zeros(3)
_AMBIENT = 0.5  # the rest comes from the camera: parts look round, and nearly as their colour in the legend
_HEADLIGHT_AMBIENT = 0.35  # models are lit for shadows, which are off: their dark sides would be black
_FLOOR_SPREAD, _FLOOR_GREY = 30.0, 118.0  # a checkerboard in black and white flickers and hides thin limbs
_SKY, _FLOOR = (64, 72, 82), 0.9  # dark, so that all colours stand out, and the frame from light pages too
_FLOOR_SCALE = 25.0  # gymnasium's Hopper would run off the drawn floor (not the simulated one) after 20 m


class MujocoStateRenderer:
    """A model of its own, an OpenGL context, and a camera that follows one body along the floor.

    Args:
        env: gymnasium's MuJoCo environment (innermost), for its model and camera settings.
        width: In pixels.
        height: In pixels.
        parts: How the robot's parts are coloured; empty leaves the model's colours, light and sky as they are.

    Raises:
        RenderingUnavailableError: No OpenGL context can be made on this machine.
        KeyError: The model lacks what a part is said to be made of.
    """

    def __init__(self, env: Any, width: int, height: int, parts: Sequence[BodyPart] = ()) -> None:
        self._model = drawable_model(env.model, width, height, parts)
        self._data = mujoco.MjData(self._model)
        self.state_size = mujoco.mj_stateSize(self._model, RENDER_STATE)
        mujoco.mj_forward(self._model, self._data)
        self._renderer = _context(self._model, width, height)
        for flag in _OFF:
            self._renderer.scene.flags[flag] = False
        self._has_plain_sky = bool(parts)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = not parts
        config = env.mujoco_renderer.default_cam_config or {}
        self._camera = _camera(self._model, self._data, config)
        tracked = max(int(config.get("trackbodyid", 1)), 0)
        self._agent = int(self._model.body_rootid[tracked])  # body 0 is the world: stays where it is

    def frame(self, state: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
        """Return the picture of one render state [S]: RGB, shape [height, width, 3]."""
        mujoco.mj_setState(self._model, self._data, state.astype(np.float64), RENDER_STATE)
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        mujoco.mj_tendon(self._model, self._data)
        if self._agent:  # the centre of mass: a limb would shake the picture as it turns
            self._camera.lookat[:2] = self._data.subtree_com[self._agent, :2]
        self._renderer.update_scene(self._data, self._camera)
        frame = np.asarray(self._renderer.render(), dtype=np.uint8)
        if self._has_plain_sky:
            fill_sky(frame)
        return frame

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()


def drawable_model(
    model: mujoco.MjModel, width: int, height: int, parts: Sequence[BodyPart] = ()
) -> mujoco.MjModel:
    """Return a copy drawn without multisampling, brightly, on a calm floor that no agent leaves, parts coloured.

    Raises:
        KeyError: The model lacks what a part is said to be made of.
    """
    model = copy.copy(model)
    model.vis.headlight.ambient[:] = np.maximum(model.vis.headlight.ambient, _HEADLIGHT_AMBIENT)
    model.vis.quality.offsamples = 0
    model.vis.quality.shadowsize = 0  # else a shadow map of 64 MB is kept, though shadows are off
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height  # all of it is cleared each time
    for plane in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE):
        model.geom_size[plane, :2] *= _FLOOR_SCALE
        material = model.geom_matid[plane]
        if material < 0:
            continue
        if not model.mat_texuniform[material]:
            model.mat_texrepeat[material] *= _FLOOR_SCALE
        _soften(model, int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]))
    if parts:
        _colour(model, parts)
        _light_plainly(model)
    return model


def fill_sky(frame: npt.NDArray[np.uint8]) -> None:
    """Put a plain sky where nothing was drawn and it is black, as no lit part is: cheaper than MuJoCo's own."""
    cv2.copyTo(_sky(*frame.shape), cv2.inRange(frame, _BLACK, _BLACK), frame)


@lru_cache(maxsize=1)
def _sky(*shape: int) -> npt.NDArray[np.uint8]:
    """Return a frame of nothing but sky; making one takes longer than all else about it."""
    return np.full(shape, _SKY, dtype=np.uint8)


def geoms_of(model: mujoco.MjModel, part: BodyPart) -> list[int]:
    """Return the numbers of the geoms that a part is made of.

    Raises:
        KeyError: The model has no geom or link of that name.
    """
    links = [int(model.body(link).id) for link in part.links]
    return [int(model.geom(geom).id) for geom in part.geoms] + np.flatnonzero(
        np.isin(model.geom_bodyid, links)
    ).tolist()


def _colour(model: mujoco.MjModel, parts: Iterable[BodyPart]) -> None:
    for part in parts:
        geoms = geoms_of(model, part)
        model.geom_rgba[geoms] = [*(value / 255 for value in part.rgb), 1.0]
        model.geom_matid[geoms] = -1  # a material's texture would hide the colour


def _light_plainly(model: mujoco.MjModel) -> None:
    """Light by the camera's lamp alone: a colour looks the same on every side, and no time goes into a gloss."""
    model.light_active[:] = 0
    model.vis.headlight.active = 1
    model.vis.headlight.ambient[:] = _AMBIENT
    model.vis.headlight.diffuse[:] = 1.0 - _AMBIENT
    model.vis.headlight.specular[:] = 0.0
    model.vis.quality.numslices, model.vis.quality.numstacks = 16, 8
    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    model.geom_rgba[planes, :3] = _FLOOR
    model.geom_size[planes, 2] = model.geom_size[planes, 0]  # no fine grid: a lamp far away lights a floor evenly


def _soften(model: mujoco.MjModel, texture: int) -> None:
    """Make a texture grey, with a contrast that shows motion and outshines nothing, as far as it has any."""
    if texture < 0:
        return
    first = model.tex_adr[texture]
    n_bytes = model.tex_height[texture] * model.tex_width[texture] * model.tex_nchannel[texture]
    pixels = model.tex_data[first : first + n_bytes].reshape(-1, model.tex_nchannel[texture])
    grey = pixels.mean(axis=1, keepdims=True)
    contrast = min(_FLOOR_SPREAD / max(float(grey.std()), 1.0), 2.0)
    pixels[:] = np.round(_FLOOR_GREY + contrast * (grey - grey.mean()))


def _context(model: mujoco.MjModel, width: int, height: int) -> mujoco.Renderer:
    """Return MuJoCo's renderer, or say what is missing."""
    try:
        return mujoco.Renderer(model, height, width, max_geom=1000)
    except Exception as error:  # what is raised depends on the backend and on which library is missing
        raise RenderingUnavailableError(
            "MuJoCo cannot draw on this machine: no OpenGL context for off-screen use "
            f"({type(error).__name__}: {str(error).strip() or 'no message'}). Install EGL and Mesa, on Debian "
            f"by `apt-get install -y --no-install-recommends {' '.join(GL_PACKAGES)}`, and leave MUJOCO_GL "
            "unset or set it to egl before Python starts."
        ) from error


def _camera(model: mujoco.MjModel, data: mujoco.MjData, config: dict[str, Any]) -> mujoco.MjvCamera:
    """Return a free camera placed as gymnasium places it: by the model's middle, then its config."""
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.lookat[:] = np.median(data.geom_xpos, axis=0)
    camera.distance = model.stat.extent
    for key, value in config.items():
        if key == "lookat":
            camera.lookat[:] = value
        elif key not in ("trackbodyid", "type", "fixedcamid"):
            setattr(camera, key, value)
    return camera
