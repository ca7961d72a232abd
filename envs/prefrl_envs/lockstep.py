"""Environments that another library steps all at once, and whose episodes begin and end together."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

Array = npt.NDArray[Any]


class LockstepVector(VectorEnv[Array, Array, Array]):
    """N environments of one id with episodes of the same length, which nothing ends early.

    As gymnasium's own vector environments in SAME_STEP mode it returns the first observation of the next episode
    when one ends, with the last one in `infos["final_obs"]`. `infos["render_state"]` [N, S] is what
    `StateRenderer` draws. The simulators need not be able to save their state: an episode comes back by being done
    again.

    A subclass says how an episode begins, how a step is made and what is counted.

    Args:
        example: One environment of the id, to look at; it has a time limit.
        n_envs: Number N of environments.
    """

    def __init__(self, example: gymnasium.Env[Any, Any], n_envs: int) -> None:
        if n_envs < 1:
            raise ValueError(f"`n_envs` must be at least 1. Received {n_envs}.")
        assert example.spec is not None
        assert example.spec.max_episode_steps is not None
        self.metadata = {**example.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.spec = example.spec
        self.render_mode = None
        self.num_envs = n_envs
        self.single_observation_space = example.observation_space
        self.single_action_space = example.action_space
        self.observation_space = batch_space(example.observation_space, n_envs)
        self.action_space = batch_space(example.action_space, n_envs)
        self.horizon = example.spec.max_episode_steps
        self._seed: int | None = None
        self._episode = -1
        self._actions: list[Array] = []

    @abstractmethod
    def _start(self, seed: int, episode: int) -> tuple[Array, Array]:
        """Begin an episode in all environments.

        Args:
            seed: Of the first environment, which decides all its episodes; environment i has seed + i.
            episode: Its number, from 0. Episodes are begun in order, but the first may come again at any time.

        Returns:
            Observations [N, ...] and render states [N, S], neither of which changes later.
        """

    @abstractmethod
    def _advance(self, actions: Array) -> tuple[Array, Array, Array]:
        """Step all environments; return observations [N, ...], rewards [N] and render states [N, S]."""

    @abstractmethod
    def _metrics(self) -> Sequence[Mapping[str, float]]:
        """Return what the episodes have come to so far, one mapping for each environment, or nothing."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin all episodes anew.

        Args:
            seed: Of the first environment, which decides all its episodes to come; environment i gets seed + i.
                None goes on with the seeds there are.
            options: None: there are no options.
        """
        if options:
            raise ValueError(f"`options` must be None: there are none. Received {options}.")
        if seed is not None or self._seed is None:
            self._seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
            self._episode = -1
        return self._begin()

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Step all environments.

        Args:
            actions: Shape [N, ...].

        Returns:
            Observations [N, ...], rewards [N], terminated [N] (never), truncated [N] (all or none), infos.
        """
        actions = np.array(actions)
        self._actions.append(actions)
        observations, rewards, states = self._advance(actions)
        infos: dict[str, Any] = {"render_state": states}
        ends = len(self._actions) >= self.horizon
        if ends:
            infos = self._last_infos(observations, states)
            observations, first_infos = self._begin()
            infos |= first_infos
        return observations, rewards, np.zeros(self.num_envs, dtype=np.bool_), np.full(self.num_envs, ends), infos

    def state_dict(self) -> dict[str, Array]:
        """Return what it takes to come back to this moment: the seed, and what happened since.

        Raises:
            ValueError: There was no reset yet.
        """
        if self._seed is None:
            raise ValueError("There is no state to save before the first reset.")
        actions = np.array(self._actions) if self._actions else np.empty((0, *(self.action_space.shape or ())))
        return {"seed": np.array([self._seed]), "episode": np.array([self._episode]), "actions": actions}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Come back to where `state_dict` was taken, exactly: by doing the episodes under way again.

        That takes as long as they did so far: at most a few seconds.
        """
        self._seed, self._episode = int(state["seed"][0]), int(state["episode"][0]) - 1
        self._begin()
        for actions in state["actions"]:
            self.step(actions)

    def _begin(self) -> tuple[Array, dict[str, Any]]:
        assert self._seed is not None
        self._episode += 1
        self._actions = []
        observations, states = self._start(self._seed, self._episode)
        return observations, {"render_state": states}

    def _last_infos(self, observations: Array, states: Array) -> dict[str, Any]:
        """Return what gymnasium tells of episodes that have ended; here it is all of them."""
        last: dict[str, Any] = {"render_state": states}
        each = self._metrics()
        if each:
            last["task_metrics"] = {name: np.array([metrics[name] for metrics in each]) for name in each[0]}
        final = np.empty(self.num_envs, dtype=object)
        final[:] = list(observations)
        every = np.ones(self.num_envs, dtype=np.bool_)
        return {"final_obs": final, "_final_obs": every, "final_info": last, "_final_info": every}
