"""An environment's whole state as JSON and arrays, to resume a training exactly where it stopped.

`snapshot` walks the chain of wrappers, outermost first. Of each layer it keeps the attributes that are plain
data: None, booleans, numbers, strings, arrays of numbers, NumPy random generators, and lists, tuples, deques
and string-keyed dicts of these. Of a layer that holds a MuJoCo simulation it keeps the simulation as well; any
other simulator has to be kept by two methods of its layer, see `KeepsSimulator`.
Settings that belong to how an environment was made (render mode, image size, model path) stay those of the
environment that is restored.

An attribute of any other kind (spaces, file handles, objects of a wrapper's own) is taken to be constant. A
wrapper that hides state in one, such as gymnasium's `NormalizeObservation`, is therefore not covered. For
environments that keep their state in objects there is `prefrl_envs.replay`. A wrapper whose class says
`stateless = True` is passed over, so that it may be there or not.

No pickle: a state can be stored as JSON and safetensors or npz, and loading one runs no code.
"""

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy.typing as npt

from prefrl_envs.plain_data import from_plain, is_plain, to_plain
from prefrl_envs.redrawing import layers

_SETTINGS = frozenset(
    {
        "env",
        "metadata",
        "spec",
        "render_mode",
        "width",
        "height",
        "game",
        "show_score",
        "camera_id",
        "camera_name",
        "fullpath",
        "_cached_spec",
        "_metadata",
        "_saved_kwargs",
        "_ezpickle_args",
        "_ezpickle_kwargs",
    }
)
_SIMULATION = ":mujoco:"  # arrays of attributes begin with the layer's number and a full stop
_SIMULATOR = ":simulator:"


class KeepsSimulator(Protocol):
    """An environment that holds a simulator which is no plain data, such as an emulator."""

    def simulator_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the simulator's whole state as new arrays, by name."""
        ...

    def restore_simulator(self, arrays: dict[str, npt.NDArray[Any]]) -> bool | None:
        """Put the simulator into such a state; loading one must run no code.

        Returns:
            True if the layers below are then where they were, too, and must be left alone.
        """
        ...


class EnvState(NamedTuple):
    """The state of one environment."""

    document: dict[str, Any]
    """One entry per layer, fit for `json.dumps`; arrays stand in it by name."""
    arrays: dict[str, npt.NDArray[Any]]
    """The arrays by name, each C-contiguous and of a boolean, integer or floating dtype."""


def snapshot(env: gymnasium.Env[Any, Any]) -> EnvState:
    """Return the state of an environment; a copy, so that the environment can be stepped on.

    Args:
        env: Any chain of wrappers around an environment.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    documents = []
    for depth, layer in enumerate(_layers(env)):
        attributes = {}
        for name, value in vars(layer).items():
            if name not in _SETTINGS and is_plain(value):
                attributes[name] = to_plain(value, arrays, f"{depth}.{name}")
        if holds_mujoco(layer):
            from prefrl_envs.mujoco.state import simulation_arrays

            simulation = simulation_arrays(layer.model, layer.data)
            arrays |= {f"{depth}{_SIMULATION}{name}": array for name, array in simulation.items()}
        if keeps_simulator(layer):
            simulator = layer.simulator_arrays()
            arrays |= {f"{depth}{_SIMULATOR}{name}": array for name, array in simulator.items()}
        documents.append({"type": type(layer).__name__, "attributes": attributes})
    return EnvState({"layers": documents}, arrays)


def restore(env: gymnasium.Env[Any, Any], state: EnvState) -> None:
    """Put an environment into a saved state; the next step goes on as it would have gone on there.

    Args:
        env: Made in the same way as the one that was saved; it need not have been reset.
        state: What `snapshot` returned, possibly after a way through JSON and safetensors.

    Raises:
        ValueError: The chain of wrappers is another one, or the simulation does not fit the model.
    """
    own = list(_layers(env))
    found = [type(layer).__name__ for layer in own]
    saved = [entry["type"] for entry in state.document["layers"]]
    if found != saved:
        raise ValueError(f"The saved state is one of {' > '.join(saved)}, but `env` is {' > '.join(found)}.")
    for depth, (layer, entry) in enumerate(zip(own, state.document["layers"], strict=True)):
        for name, value in entry["attributes"].items():
            setattr(layer, name, from_plain(value, state.arrays))
        if holds_mujoco(layer):
            from prefrl_envs.mujoco.state import restore_simulation

            restore_simulation(layer.model, layer.data, _under(f"{depth}{_SIMULATION}", state.arrays))
        simulator = _under(f"{depth}{_SIMULATOR}", state.arrays)
        if keeps_simulator(layer) and layer.restore_simulator(simulator):
            return


def _layers(env: gymnasium.Env[Any, Any]) -> Iterator[Any]:
    """Yield the wrappers that have a state, from the outermost on, and the environment itself."""
    return (layer for layer in layers(env) if not getattr(type(layer), "stateless", False))


def holds_mujoco(layer: Any) -> bool:
    """Return whether this layer itself holds a MuJoCo model and its data (wrappers forward no attributes)."""
    mujoco = sys.modules.get("mujoco")  # whoever holds a model has imported it
    return mujoco is not None and isinstance(vars(layer).get("model"), mujoco.MjModel)


def keeps_simulator(layer: Any) -> bool:
    """Return whether this layer itself has the methods of `KeepsSimulator`."""
    return callable(getattr(layer, "simulator_arrays", None)) and callable(
        getattr(layer, "restore_simulator", None)
    )


def _under(prefix: str, arrays: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
