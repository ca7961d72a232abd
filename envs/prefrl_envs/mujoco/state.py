"""Which parts of MuJoCo's state are kept for what; saving and restoring a whole simulation."""

from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

RENDER_STATE = int(
    mujoco.mjtState.mjSTATE_QPOS
    | mujoco.mjtState.mjSTATE_ACT
    | mujoco.mjtState.mjSTATE_MOCAP_POS
    | mujoco.mjtState.mjSTATE_MOCAP_QUAT
)
"""What a frame depends on: poses (qpos, mocap), and activations, which colour muscles."""

_INTEGRATION = int(mujoco.mjtState.mjSTATE_INTEGRATION)
_STATE_KEY = "integration_state"


def simulation_arrays(model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, npt.NDArray[Any]]:
    """Return everything of a simulation that later steps may read.

    That is MuJoCo's integration state, and the quantities derived from it (positions of bodies, contact
    forces, ...). After a step those still belong to the moment before the last integration, and environments
    read them as they are, so that computing them anew would give other numbers.
    """
    state = np.empty(mujoco.mj_stateSize(model, _INTEGRATION))
    mujoco.mj_getState(model, data, state, _INTEGRATION)
    derived = {name: np.array(getattr(data, name), order="C") for name in _fixed_size_fields(model)}
    return {_STATE_KEY: state, **derived}


def restore_simulation(model: mujoco.MjModel, data: mujoco.MjData, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Put a simulation back to where `simulation_arrays` found it.

    Raises:
        ValueError: The arrays come from another model or another version of MuJoCo.
    """
    fields = _fixed_size_fields(model)
    shapes = {name: getattr(data, name).shape for name in fields}
    shapes[_STATE_KEY] = (mujoco.mj_stateSize(model, _INTEGRATION),)
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes:
        raise ValueError(
            "The saved simulation does not fit this model: it was saved with another model file or version "
            f"of MuJoCo. Differing fields: {sorted(dict(found.items() ^ shapes.items()))}."
        )
    mujoco.mj_setState(model, data, arrays[_STATE_KEY], _INTEGRATION)
    for name in fields:
        getattr(data, name)[...] = arrays[name]


def _fixed_size_fields(model: mujoco.MjModel) -> list[str]:
    """Return the array fields of `MjData` whose size the model alone decides (those of contacts vary)."""
    fresh = mujoco.MjData(model)
    names = (name for name in dir(fresh) if not name.startswith(("_", "efc_", "iefc_", "island_")))
    return [name for name in names if isinstance(field := getattr(fresh, name), np.ndarray) and field.size]
