"""Coming back to the middle of an episode by playing it again, where a simulator's state cannot be read.

`prefrl_envs.snapshot` keeps plain data, and MuJoCo's simulations. What other environments hold (a physics engine,
objects of their own) is brought back by the same actions from the same start.
"""

import copy
import types
import warnings
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import RecordConstructorArgs
from gymnasium.utils.env_checker import data_equivalence

from prefrl_envs.plain_data import is_plain
from prefrl_envs.redrawing import layers
from prefrl_envs.snapshot import holds_mujoco, keeps_simulator

Array = npt.NDArray[Any]

_CONSTANT = (gymnasium.Env, gymnasium.spaces.Space, EnvSpec, type, types.FunctionType, types.ModuleType)
_FIRST_ACTIONS = 64


class EpisodeReplay(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Notes how the present episode began, and its actions; restored from a snapshot, it plays them again.

    An environment comes back exactly if an episode follows from `reset(seed=…)`, or from the generator
    `np_random` that gymnasium gives every environment, and from its actions. If another observation comes out
    than was saved, a warning says so, and the episode ends with its next step. An environment whose attributes
    are plain data throughout is not played again: they say all.

    >>> env = EpisodeReplay(gymnasium.make("LunarLander-v3"))  # doctest: +SKIP
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self._seed: int | None = None
        self._generator: np.random.Generator | None = None
        self._actions: Array = np.empty(0)
        self._n_steps = 0
        self._observation: Any = None
        self._lost = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; note the seed, or without one the generator that decides the episode."""
        self._seed, self._generator = seed, None
        if seed is None:
            self._generator = copy.deepcopy(self.env.unwrapped.np_random)
        self._actions, self._n_steps, self._lost = np.empty(0), 0, False
        self._observation, info = self.env.reset(seed=seed, options=options)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment; note the action."""
        self._note(action)
        self._observation, reward, terminated, truncated, info = self.env.step(action)
        return self._observation, reward, terminated, truncated or self._lost, info

    def simulator_arrays(self) -> dict[str, Array]:
        """Return whether it takes playing again to come back; the rest is plain data, which `snapshot` keeps."""
        begun = self._observation is not None
        return {"replays": np.array([begun and not all(map(_is_all_plain, layers(self.env)))])}

    def restore_simulator(self, arrays: dict[str, Array]) -> bool:
        """Play the episode that the attributes tell of, up to where it was; return whether that was to be done."""
        if not arrays["replays"][0]:
            return False
        if self._generator is not None:
            self.env.unwrapped.np_random = copy.deepcopy(self._generator)
        observation, _ = self.env.reset(seed=self._seed)
        for action in self._actions[: self._n_steps]:
            observation = self.env.step(action)[0]
        if not data_equivalence(observation, self._observation, exact=True):
            self._lost = True
            warnings.warn(
                f"{type(self.env.unwrapped).__name__} did not come back to where it was: its episodes do not "
                "follow from their seed and actions alone. The episode under way ends here.",
                stacklevel=2,
            )
        return True

    def _note(self, action: Any) -> None:
        if self._n_steps == 0:
            example = np.asarray(action)
            self._actions = np.zeros((_FIRST_ACTIONS, *example.shape), dtype=example.dtype)
        elif self._n_steps == len(self._actions):
            self._actions = np.concatenate([self._actions, np.zeros_like(self._actions)])
        self._actions[self._n_steps] = action
        self._n_steps += 1


def needs_replay(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether a snapshot of an environment may lack something, as far as can be known before it is used.

    Ours lack nothing, nor do MuJoCo environments and those that keep their simulator themselves; see
    `prefrl_envs.snapshot`.
    """
    if env.spec is not None and env.spec.namespace == "prefrl":
        return False
    return not any(holds_mujoco(layer) or keeps_simulator(layer) for layer in layers(env))


def _is_all_plain(layer: gymnasium.Env[Any, Any]) -> bool:
    """Return whether all that a layer holds is plain data, or constant by its kind."""
    return all(is_plain(value) or isinstance(value, _CONSTANT) for value in vars(layer).values())
