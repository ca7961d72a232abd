"""What of a robot touches the floor in a pose."""

import mujoco
import numpy as np
import numpy.typing as npt


class FloorContacts:
    """Finds the parts that touch the floor, by MuJoCo's own collision detection.

    Contact follows from the pose alone, so that it can be told of any stored one, however it was come to.

    Args:
        model: The robot on a floor that is called `floor`.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._floor = int(model.geom("floor").id)

    def touching(self, position: npt.NDArray[np.floating]) -> set[int]:
        """Return the numbers of the bodies that touch the floor in a pose.

        Args:
            position: MuJoCo's generalised positions, shape [P].
        """
        self._data.qpos[:] = position
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)
        bodies = self._model.geom_bodyid
        return {
            int(bodies[pair[0] if pair[1] == self._floor else pair[1]])
            for pair in self._data.contact.geom
            if self._floor in pair
        }
