"""Off-screen drawing of a MuJoCo model from render states. Used through `prefrl_envs.rendering`."""

import copy
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.gl import GL_PACKAGES
from prefrl_envs.mujoco.state import RENDER_STATE

_OFF = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)

_HEADLIGHT_AMBIENT = 0.35  # models are lit for shadows, which are off: their dark sides would be black
_FLOOR_CONTRAST, _FLOOR_GREY = 0.3, 118.0  # a checkerboard in black and white flickers and hides thin limbs
_FLOOR_SCALE = 25.0  # gymnasium's Hopper would run off the drawn floor (not the simulated one) after 20 m


class MujocoStateRenderer:
    """A model of its own, an OpenGL context, and a camera that follows one body along the floor.

    Args:
        env: gymnasium's MuJoCo environment (innermost), for its model and camera settings.
        width: In pixels.
        height: In pixels.

    Raises:
        RenderingUnavailableError: No OpenGL context can be made on this machine.
    """

    def __init__(self, env: Any, width: int, height: int) -> None:
        self._model = drawable_model(env.model, width, height)
        self._data = mujoco.MjData(self._model)
        self.state_size = mujoco.mj_stateSize(self._model, RENDER_STATE)
        mujoco.mj_forward(self._model, self._data)
        self._renderer = _context(self._model, width, height)
        for flag in _OFF:
            self._renderer.scene.flags[flag] = False
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
        return np.asarray(self._renderer.render(), dtype=np.uint8)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()


def drawable_model(model: mujoco.MjModel, width: int, height: int) -> mujoco.MjModel:
    """Return a copy drawn without multisampling, large enough, brightly, on a calm floor that no agent leaves."""
    model = copy.copy(model)
    model.vis.headlight.ambient[:] = np.maximum(model.vis.headlight.ambient, _HEADLIGHT_AMBIENT)
    model.vis.quality.offsamples = 0
    model.vis.quality.shadowsize = 0  # else a shadow map of 64 MB is kept, though shadows are off
    model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
    model.vis.global_.offheight = max(model.vis.global_.offheight, height)
    for plane in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE):
        model.geom_size[plane, :2] *= _FLOOR_SCALE
        material = model.geom_matid[plane]
        if material < 0:
            continue
        if not model.mat_texuniform[material]:
            model.mat_texrepeat[material] *= _FLOOR_SCALE
        _soften(model, int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]))
    return model


def _soften(model: mujoco.MjModel, texture: int) -> None:
    """Take contrast out of a texture."""
    if texture < 0:
        return
    first = model.tex_adr[texture]
    n_bytes = model.tex_height[texture] * model.tex_width[texture] * model.tex_nchannel[texture]
    pixels = model.tex_data[first : first + n_bytes]
    pixels[:] = np.round(_FLOOR_GREY + _FLOOR_CONTRAST * (pixels.astype(float) - pixels.mean()))


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
