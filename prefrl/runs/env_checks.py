"""What somebody's environment does wrong, said in a sentence when it first does it."""

import math
from collections.abc import Mapping
from reprlib import repr as short
from typing import Any, ClassVar, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from prefrl.env_errors import error_text
from prefrl.errors import FaultyEnvError, PrefRLError, SpaceError
from prefrl.segments.spaces import check_space

_STEP = "gymnasium's `step` returns (observation, reward, terminated, truncated, info)"
_RESET = "gymnasium's `reset` returns (observation, info)"


class CheckedEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Checks what an environment returns against gymnasium's interface and its own spaces, at every step.

    What it raises, or returns wrongly, would else surface as an error of another library, or not at all: NumPy
    stretches an observation of one number over a whole space, and cuts off what an integer type cannot hold.

    Args:
        env: The environment with all of its wrappers.
        env_id: Its gymnasium id, for the messages.

    Raises:
        FaultyEnvError: From `reset` and `step`: the environment raised an error, or returned what it must not.
    """

    stateless: ClassVar[bool] = True
    """A snapshot passes it over (`prefrl_envs.snapshot`)."""

    def __init__(self, env: gym.Env[Any, Any], env_id: str) -> None:
        super().__init__(env)
        self._env_id = env_id

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and check what it returns."""
        try:
            result: Any = self.env.reset(seed=seed, options=options)
        except Exception as error:
            raise self._explained(error, "reset", _RESET) from error
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
            self._refuse(f"its `reset` returned {_kind(result)}, but {_RESET}")
        self._check_observation(result[0])
        return result  # type: ignore[no-any-return]

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment and check what it returns."""
        try:
            result: Any = self.env.step(action)
        except Exception as error:
            raise self._explained(error, "step", _STEP) from error
        if not isinstance(result, tuple) or len(result) != 5 or not isinstance(result[4], dict):
            self._refuse(f"its `step` returned {_kind(result)}, but {_STEP}")
        observation, reward, *_ = result
        self._check_observation(observation)
        if not _is_finite_number(reward):
            self._refuse(f"its `step` returned {short(reward)} as the reward, which must be a finite number")
        return result  # type: ignore[no-any-return]

    def _check_observation(self, observation: Any) -> None:
        fault = observation_fault(self.observation_space, observation)
        if fault:
            self._refuse(fault)

    def _refuse(self, fault: str) -> None:
        raise FaultyEnvError(
            f"The environment {self._env_id!r} does not keep to gymnasium's interface: {fault}; mend it."
        )

    def _explained(self, error: Exception, method: str, interface: str) -> PrefRLError:
        """Return an error whose sentence says what the environment raised."""
        if isinstance(error, PrefRLError):
            return error
        hint = f"; {interface}" if "unpack" in str(error) else ""
        return FaultyEnvError(
            f"The environment {self._env_id!r} raised {type(error).__name__} in its `{method}`: "
            f"{error_text(error)}{hint} (--debug shows where)."
        )


def observation_fault(space: spaces.Space[Any], observation: Any, where: str = "") -> str:
    """Return what is wrong with an observation, in words, or "".

    Values of a Box beyond its bounds are no fault: many environments have them, and nothing here relies on bounds.

    Args:
        space: That it should be in.
        observation: What the environment returned.
        where: Which part of an observation it is, for the message.
    """
    if isinstance(space, spaces.Dict):
        if not isinstance(observation, Mapping) or observation.keys() != space.spaces.keys():
            return (
                f"an observation{where} must have the keys {', '.join(space.spaces)}, but is {short(observation)}"
            )
        parts = space.spaces.items()
        return next(filter(None, (observation_fault(s, observation[k], f" (key {k!r})") for k, s in parts)), "")
    if not isinstance(space, spaces.Box):
        known = space.contains(observation)
        return "" if known else f"an observation{where} must be in {space}, but is {short(observation)}"
    values = observation if isinstance(observation, np.ndarray) else np.asarray(observation)
    if values.shape != space.shape:
        return f"an observation{where} has shape {values.shape}, but its space has {space.shape}"
    if values.dtype == space.dtype or np.can_cast(values.dtype, space.dtype, "safe"):
        return ""
    if not _holds(space.dtype, values):
        return f"an observation{where} has {values.dtype} values that its space of {space.dtype} cannot hold"
    return ""


def _holds(dtype: Any, values: np.ndarray[Any, Any]) -> bool:
    """Return whether an array becomes another type without a change but rounding to a float."""
    if values.dtype.kind not in "biuf":
        return False
    if np.dtype(dtype).kind == "f":
        return True
    if np.dtype(dtype).kind not in "iu" or values.dtype.kind == "f":
        return False
    limits = np.iinfo(dtype)
    return bool(limits.min <= values.min()) and bool(values.max() <= limits.max)


def _is_finite_number(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _kind(result: Any) -> str:
    if isinstance(result, tuple):
        return f"{len(result)} values ({', '.join(type(value).__name__ for value in result)})"
    return f"a {type(result).__name__}"


def check_spaces(env_id: str, observation_space: Any, action_space: Any) -> None:
    """Refuse spaces that the reward networks, or the agents of Stable-Baselines3, cannot use.

    Args:
        env_id: For the message.
        observation_space: Of one environment.
        action_space: Of one environment.

    Raises:
        SpaceError: There is one; the message says what would do instead.
    """
    check_space(observation_space, what=f"observation space of {env_id}")
    check_space(action_space, what=f"action space of {env_id}")
    if isinstance(action_space, spaces.Dict):
        raise SpaceError(
            f"The action space of {env_id} is {action_space}, but agents act in Box, Discrete, MultiDiscrete, "
            "MultiBinary; wrap the environment to offer one of them."
        )
    if isinstance(action_space, spaces.Box) and not np.isfinite([action_space.low, action_space.high]).all():
        raise SpaceError(
            f"The action space of {env_id} is {action_space}, but agents need finite bounds of their actions; "
            "wrap the environment with gymnasium's TransformAction to offer such a Box."
        )
    if isinstance(action_space, spaces.MultiBinary | spaces.MultiDiscrete) and len(action_space.shape) != 1:
        raise SpaceError(
            f"The action space of {env_id} is {action_space}, but agents act in one row of numbers; wrap the "
            "environment with gymnasium's TransformAction to offer that."
        )
    inner = observation_space.spaces if isinstance(observation_space, spaces.Dict) else {"": observation_space}
    if any(isinstance(space, spaces.Dict) for space in inner.values()):
        raise SpaceError(
            f"The observation space of {env_id} is a Dict in a Dict, which Stable-Baselines3 does not take; wrap "
            "the environment with gymnasium's FlattenObservation."
        )
    for space in (*inner.values(), action_space):
        _check_start(env_id, space)


def _check_start(env_id: str, space: spaces.Space[Any]) -> None:
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete) and np.any(space.start != 0):
        raise SpaceError(
            f"A space of {env_id} is {space}, but the agents of Stable-Baselines3 count from 0; wrap the "
            f"environment so that its numbers start at 0, not at {space.start}."
        )
