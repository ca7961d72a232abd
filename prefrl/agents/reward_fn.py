"""What pays an agent: a function of batches of steps, or a reward model in a folder."""

import inspect
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from prefrl.errors import RewardModelError, SettingError
from prefrl.reward import RewardEnsemble
from prefrl.segments import space_to_json


class RewardFn(Protocol):
    """Rewards for a batch of steps."""

    def __call__(
        self, observations: Any, actions: npt.NDArray[Any], next_observations: Any, /
    ) -> npt.NDArray[np.float32]:
        """Return shape [N] for observations [N, *obs] (a mapping for `Dict`), actions [N, *act] and what follows.

        Next observations are as observations, at the end of an episode the terminal ones.
        """
        ...


def reward_fn_of(
    reward_fn: RewardFn | None,
    reward_model: Path | str | None,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    *,
    device: str = "cpu",
) -> RewardFn:
    """Return what pays in an environment: the function, or what the model in the folder predicts.

    Args:
        reward_fn: A function of three batches.
        reward_model: A folder that `RewardEnsemble.save` wrote; one of the two is given.
        observation_space: Of one environment.
        action_space: Of one environment.
        device: Where the model is to be, "auto", "cpu", "cuda", ….

    Raises:
        DeviceError: The device is not there.
        SettingError: Both are given or neither, the function does not take three batches, or the actions have no
            bounds where those that the model learned from had.
        RewardModelError: There is no model in the folder, it has not learned yet, or it reads other spaces.
    """
    if (reward_fn is None) == (reward_model is None):
        given = "neither" if reward_fn is None else "both"
        raise SettingError(
            "What pays is either `reward_fn`, a function, or `reward_model`, the folder of a saved one. Received "
            f"{given}; give one of them."
        )
    if reward_fn is not None:
        check_takes_three(reward_fn)
        return reward_fn
    assert reward_model is not None
    ensemble = RewardEnsemble.load(reward_model, device=device)
    _check_is_for(ensemble, reward_model, observation_space, action_space)
    return ensemble.predict


def check_takes_three(reward: RewardFn) -> None:
    """Refuse a reward function that cannot be called as it will be.

    Raises:
        SettingError: It does not take observations, actions and next observations.
    """
    try:
        signature = inspect.signature(reward)
    except ValueError:  # built in, and says nothing of its arguments
        return
    try:
        signature.bind(None, None, None)
    except TypeError as error:
        name = getattr(reward, "__qualname__", type(reward).__name__)
        raise SettingError(
            "A reward function takes three batches: observations, actions, and the observations after them. "
            f"Received {name}{signature}."
        ) from error


def _check_is_for(
    ensemble: RewardEnsemble,
    folder: Path | str,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
) -> None:
    """Refuse a model that cannot pay here: nothing else would show it but an agent that learns something odd."""
    if not ensemble.fitted:
        raise RewardModelError(
            f"The reward model in {folder} was saved before it had learned anything, and would pay 0 for "
            "everything; save it once it is fitted."
        )
    own = {"observations": observation_space, "actions": action_space}
    reads = {"observations": ensemble.observation_space, "actions": ensemble.action_space}
    for what, space in own.items():
        expected, found = space_to_json(reads[what]), space_to_json(space)
        if expected != found:
            raise RewardModelError(
                f"The reward model in {folder} was made for other {what} than this environment has. Expected "
                f"{expected}. Received {found}; wrap it as it was wrapped when the reward was learned."
            )
    if isinstance(action_space, spaces.Box) and not action_space.is_bounded():
        raise SettingError(
            f"The reward model in {folder} learned from actions within bounds, and those of this environment have "
            "none, so that it would be asked about actions before they are clipped. Put what clips actions around "
            "the learned reward instead of below it."
        )
