"""A VecEnv of Stable-Baselines3, above all `prefs.venv`, in training loops written for `gymnasium.vector`."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from stable_baselines3.common.vec_env import VecEnv

from prefrl.errors import SettingError

TERMINAL, TRUNCATED = "terminal_observation", "TimeLimit.truncated"
"""Where SB3 keeps what gymnasium hands out beside the infos."""
Bools = npt.NDArray[np.bool_]


class SB3VectorEnv(VectorEnv[Any, Any, Any]):
    """Steps a VecEnv as gymnasium steps environments that reset in the step in which their episode ends.

    A loop of one's own learns from preferences with `SB3VectorEnv(prefs.venv)` and three calls: `prefs.begin`
    before it, `prefs.update` before each rollout, `prefs.end` after it. Actions are sent as they are: a policy
    without bounds needs `gymnasium.wrappers.vector.ClipAction` around this.

    The last observation of an ended episode is in `infos["final_obs"]` and its last info, with SB3's `episode`
    (the true return), in `infos["final_info"]`.

    >>> envs = SB3VectorEnv(prefs.venv)  # doctest: +SKIP

    Args:
        venv: The environments.
    """

    def __init__(self, venv: VecEnv) -> None:
        self.venv = venv
        self.num_envs = venv.num_envs
        self.single_observation_space, self.single_action_space = venv.observation_space, venv.action_space
        self.observation_space = batch_space(venv.observation_space, venv.num_envs)
        self.action_space = batch_space(venv.action_space, venv.num_envs)
        self.render_mode = venv.render_mode
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin all episodes anew.

        Raises:
            SettingError: There are several seeds, or only some environments are to be reset.
        """
        if isinstance(seed, list):
            raise SettingError(
                f"`seed` must be one number, from which each environment gets its own. Received {seed}."
            )
        if options and "reset_mask" in options:
            raise SettingError(
                "A VecEnv resets all environments or those whose episode has ended, by itself. Received "
                "`reset_mask`; leave it out."
            )
        if seed is not None:
            self.venv.seed(seed)
        if options:
            self.venv.set_options(options)
        observations = self.venv.reset()
        return observations, self._batched(self.venv.unwrapped.reset_infos)

    def step(self, actions: npt.NDArray[Any]) -> tuple[Any, npt.NDArray[np.float32], Bools, Bools, dict[str, Any]]:
        """Step all environments; those whose episode has ended return the first observation of the next."""
        observations, rewards, dones, infos = self.venv.step(actions)
        truncations = dones & np.array([info.get(TRUNCATED, False) for info in infos])
        own = [{key: info[key] for key in info if key not in (TERMINAL, TRUNCATED)} for info in infos]
        for env in np.flatnonzero(dones):
            first = self.venv.unwrapped.reset_infos[env]
            own[env] = {**first, "final_obs": infos[env][TERMINAL], "final_info": own[env]}
        return observations, rewards, dones & ~truncations, truncations, self._batched(own)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        self.venv.close()

    def _batched(self, infos: list[dict[str, Any]]) -> dict[str, Any]:
        batched: dict[str, Any] = {}
        for env, info in enumerate(infos):
            batched = self._add_info(batched, info, env)
        return batched
