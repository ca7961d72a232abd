"""Fast environments in Stable-Baselines3: an adapter from `gymnasium.vector.VectorEnv` to SB3's `VecEnv`.

Simulators that step many environments at once (EnvPool, ale-py) offer gymnasium's interface. SB3's differs in what
happens when an episode ends, which must not be confused: a made-up transition would end up in a segment.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from prefrl.errors import SettingError

_OF_THE_END = frozenset({"final_obs", "_final_obs", "final_info", "_final_info"})


class GymnasiumVecEnv(VecEnv):
    """Steps a `gymnasium.vector.VectorEnv` that resets in the same step in which an episode ends.

    What SB3 expects is translated from what gymnasium gives:

    - the returned observation of an ended episode is the first of the next; its last one, gymnasium's `final_obs`,
      is `info["terminal_observation"]`;
    - `info` of an ended episode is that of its last step (`final_info`), with `TimeLimit.truncated`; the info that
      came with the first observation of the next is in `reset_infos`.

    Statistics of episodes come from SB3's `VecMonitor` around it.

    >>> VecMonitor(GymnasiumVecEnv(vector))  # doctest: +SKIP

    Args:
        vector: With `metadata["autoreset_mode"]` SAME_STEP. It must not write into arrays that it has returned.

    Raises:
        SettingError: It resets in another way. With NEXT_STEP the step after an end would be a transition that no
            environment made: its action is ignored and its reward is 0.
    """

    def __init__(self, vector: gymnasium.vector.VectorEnv[Any, Any, Any]) -> None:
        """Keep the environments; they are not reset."""
        mode = vector.metadata.get("autoreset_mode")
        if mode is None or AutoresetMode(mode) is not AutoresetMode.SAME_STEP:
            raise SettingError(
                "`vector` must reset environments in the step in which their episode ends (autoreset_mode "
                f"{AutoresetMode.SAME_STEP}). Received one with {mode}."
            )
        self.vector = vector
        self._actions: npt.NDArray[Any] = np.empty(0)
        super().__init__(vector.num_envs, vector.single_observation_space, vector.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin all episodes anew, from the seed of the latest `seed()` if there was one since the last reset."""
        options = self._options[0] or None
        observations, infos = self.vector.reset(seed=self._seeds[0], options=options)
        self.reset_infos = _split(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observations  # type: ignore[no-any-return]

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Return observations, rewards [N] (float32), dones [N] and infos of the step under way."""
        observations, rewards, terminated, truncated, batched = self.vector.step(self._actions)
        dones = terminated | truncated
        infos = _split({key: batched[key] for key in batched if key not in _OF_THE_END}, self.num_envs)
        if dones.any():
            last_infos = _split(batched.get("final_info", {}), self.num_envs)
            for env in np.flatnonzero(dones):
                last = last_infos[env]
                last["terminal_observation"] = batched["final_obs"][env]
                last["TimeLimit.truncated"] = bool(truncated[env] and not terminated[env])
                infos[env], self.reset_infos[env] = last, infos[env]
        return observations, np.asarray(rewards, dtype=np.float32), dones, infos

    def close(self) -> None:
        """Close the environments."""
        self.vector.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each environment; of `vector` itself where it has no separate environments.

        Raises:
            AttributeError: There is none of that name.
        """
        of_each = getattr(self.vector, "get_attr", None)
        values = of_each(attr_name) if of_each is not None else [getattr(self.vector, attr_name)] * self.num_envs
        return [values[env] for env in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: environments that step together share their settings.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"`{attr_name}` cannot be set in environments that step together; make them with it."
        )

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of each environment, where `vector` has separate environments.

        Raises:
            AttributeError: It has none, or they have no such method.
        """
        results = self.vector.call(method_name, *method_args, **method_kwargs)  # type: ignore[attr-defined]
        return [results[env] for env in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Return False for each: what is wrapped is not wrapped one by one."""
        return [False for _ in self._get_indices(indices)]


def _split(batched: Mapping[str, Any], n_envs: int) -> list[dict[str, Any]]:
    """Return one info per environment from gymnasium's batch of them.

    An entry `key` holds a value per environment, `_key` a mask that says which of them are meant; a mapping holds
    entries of the same kind.
    """
    infos: list[dict[str, Any]] = [{} for _ in range(n_envs)]
    for key, values in batched.items():
        if key.startswith("_") and key[1:] in batched:
            continue
        each = _split(values, n_envs) if isinstance(values, Mapping) else values
        mask = batched.get(f"_{key}")
        if mask is None or mask.all():
            for info, value in zip(infos, each, strict=True):
                info[key] = value
        else:
            for env in np.flatnonzero(mask):
                infos[env][key] = each[env]
    return infos
