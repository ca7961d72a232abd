"""EnvPool's MuJoCo simulators as a `gymnasium.vector.VectorEnv` that does what ours do."""

import importlib
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from prefrl_envs.mujoco.behaviour import BehavingEnv, Counts
from prefrl_envs.mujoco.deprecations import deprecations_hidden
from prefrl_envs.mujoco.envpool_tasks import envpool_task
from prefrl_envs.mujoco.oracles import PAPER

Array = npt.NDArray[Any]


class EnvpoolVector(VectorEnv[Array, Array, Array]):
    """N environments of one of our MuJoCo ids, stepped together by EnvPool in C++.

    Observations, rewards, episodes and metrics are those of the id. As gymnasium's own vector environments in
    SAME_STEP mode it returns the first observation of the next episode when one ends, with the last one in
    `infos["final_obs"]`. `infos["render_state"]` [N, S] is what `StateRenderer` draws.

    EnvPool resets a step late: it ignores the action after an end and pays 0 for it. No such step is ever taken
    here, because all episodes have the same length and are begun anew as soon as they end.

    >>> vector = EnvpoolVector("prefrl/Hopper-v0", 16)  # doctest: +SKIP

    Args:
        env_id: One of our ids that EnvPool can step, see `prefrl_envs.mujoco.envpool_tasks`.
        n_envs: Number N of environments.
        n_threads: Threads that step them; the results do not depend on it.
        env_kwargs: What else the id is made with: `max_episode_steps`, `oracle`, or nothing.

    Raises:
        ValueError: EnvPool cannot step this environment.
        ImportError: EnvPool is not installed.
    """

    def __init__(
        self, env_id: str, n_envs: int, *, n_threads: int = 1, env_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Look at one environment of the id; EnvPool's are made by the first reset, which has the seed."""
        kwargs = dict(env_kwargs or {})
        task = envpool_task(env_id, kwargs)
        if task is None:
            raise ValueError(
                f"`env_id` must be an environment that EnvPool can step. Received {env_id} with {kwargs}."
            )
        self._envpool = importlib.import_module("envpool")
        with deprecations_hidden():
            example = gymnasium.make(env_id, **kwargs)
        self.metadata = {**example.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.spec = example.spec
        self.render_mode = None
        self.num_envs = n_envs
        self.single_observation_space = example.observation_space
        self.single_action_space = example.action_space
        self.observation_space = batch_space(example.observation_space, n_envs)
        self.action_space = batch_space(example.action_space, n_envs)
        inner = example.unwrapped
        self._behaviour = inner._behaviour if isinstance(inner, BehavingEnv) else None
        example.close()
        self._task = task
        self._paper = PAPER[env_id] if kwargs.get("oracle") == "paper" else None
        self._n_threads = n_threads
        self._counts: list[Counts] = []
        self._pool: Any = None
        self._seed = 0
        self._n_episodes = 0
        self._actions: list[Array] = []
        self._observations: Array = np.empty(0)

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
        if seed is None and self._pool is None:
            seed = int(np.random.default_rng().integers(2**31))
        if seed is not None:
            self._make(seed)
        return self._begin()

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Step all environments.

        Args:
            actions: Shape [N, A].

        Returns:
            Observations [N, O], rewards [N], terminated [N] (never), truncated [N], infos.
        """
        task = self._task
        actions = np.array(actions)
        full, rewards, _, truncated, terms = self._pool.step(actions.astype(np.float64))
        self._actions.append(actions)
        before, (observations, positions) = self._observations, self._read(full)
        self._observations = observations
        if self._paper is not None:
            rewards = self._paper(observations, {ours: terms[theirs] for ours, theirs in task.terms.items()})
        elif task.reward is not None:
            rewards = task.reward(observations)
        if self._behaviour is not None:
            rewards = self._behaviour.reward(before, actions)
            for counts, position in zip(self._counts, positions, strict=True):
                self._behaviour.count(counts, position)
        infos: dict[str, Any] = {"render_state": positions}
        if truncated.any():
            infos = self._last_infos(observations, positions)
            observations, first_infos = self._begin()
            infos |= first_infos
        terminated = np.zeros(self.num_envs, dtype=np.bool_)
        return observations, rewards, terminated, truncated.astype(np.bool_), infos

    def state_dict(self) -> dict[str, Array]:
        """Return what it takes to come back to this moment: the seed, and what happened since."""
        actions = np.array(self._actions) if self._actions else np.empty((0, *(self.action_space.shape or ())))
        return {"seed": np.array([self._seed]), "n_episodes": np.array([self._n_episodes]), "actions": actions}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Come back to where `state_dict` was taken, exactly: by doing the episodes under way again.

        EnvPool cannot save a simulator. But only resets draw random numbers, so those of the earlier episodes are
        drawn, and the actions since the last one repeated; that takes as long as the rest of one episode did.
        """
        self._make(int(state["seed"][0]))
        for _ in range(int(state["n_episodes"][0])):
            self._begin()
        for actions in state["actions"]:
            self.step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        """Let EnvPool's threads end."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _make(self, seed: int) -> None:
        """Make EnvPool's environments, whose seeds cannot be changed later."""
        self.close_extras()
        assert self.spec is not None
        self._pool = self._envpool.make(
            self._task.pool_id,
            env_type="gymnasium",
            num_envs=self.num_envs,
            num_threads=min(self._n_threads, self.num_envs),
            env_seed=[(seed + env) % 2**31 for env in range(self.num_envs)],
            max_episode_steps=self.spec.max_episode_steps,
            **self._task.options,
        )
        self._seed, self._n_episodes = seed, 0

    def _begin(self) -> tuple[Array, dict[str, Any]]:
        full, _ = self._pool.reset()
        self._n_episodes += 1
        self._actions.clear()
        self._observations, positions = self._read(full)
        if self._behaviour is not None:
            self._counts = [self._behaviour.begin(position) for position in positions]
        return self._observations, {"render_state": positions}

    def _read(self, full: Array) -> tuple[Array, Array]:
        """Return what the agent sees [N, O] and the positions [N, S]: copies, as EnvPool's memory is its own."""
        return np.array(full[:, self._task.n_hidden :]), np.array(self._task.positions(full))

    def _last_infos(self, observations: Array, positions: Array) -> dict[str, Any]:
        """Return what gymnasium tells of episodes that have ended; here it is all of them."""
        last: dict[str, Any] = {"render_state": positions}
        if self._behaviour is not None:
            each = [self._behaviour.metrics(counts) for counts in self._counts]
            last["task_metrics"] = {name: np.array([metrics[name] for metrics in each]) for name in each[0]}
        final = np.empty(self.num_envs, dtype=object)
        final[:] = list(observations)
        every = np.ones(self.num_envs, dtype=np.bool_)
        return {"final_obs": final, "_final_obs": every, "final_info": last, "_final_info": every}
