"""EnvPool's MuJoCo simulators as a `gymnasium.vector.VectorEnv` that does what ours do."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from prefrl_envs.lockstep import Array, LockstepVector
from prefrl_envs.mujoco.behaviour import BehavingEnv, Counts
from prefrl_envs.mujoco.deprecations import hide_deprecations
from prefrl_envs.mujoco.envpool_stepping import EnvpoolStepping
from prefrl_envs.tasks import TASKS_BY_ENV_ID


class EnvpoolVector(LockstepVector):
    """N environments of one of our MuJoCo ids, stepped together by EnvPool in C++.

    Observations, rewards, episodes and metrics are those of the id.

    EnvPool resets a step late: it ignores the action after an end and pays 0 for it. No such step is ever taken
    here, because all episodes have the same length and are begun anew as soon as they end.

    >>> vector = EnvpoolVector("prefrl/Hopper-v0", 16)  # doctest: +SKIP

    Args:
        env_id: Id of a task that EnvPool can step, see `prefrl_envs.mujoco.envpool_stepping`.
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
        kwargs = dict(env_kwargs or {})
        task = TASKS_BY_ENV_ID.get(env_id)
        stepping = None if task is None else task.fast
        if task is None or not isinstance(stepping, EnvpoolStepping) or not stepping.accepts(task, kwargs):
            raise ValueError(
                f"`env_id` must be an environment that EnvPool can step. Received {env_id} with {kwargs}."
            )
        self._envpool = importlib.import_module("envpool")
        with hide_deprecations():
            example = gymnasium.make(env_id, **kwargs)
        super().__init__(example, n_envs)
        inner: Any = example.unwrapped
        self._behaviour = inner.behaviour if isinstance(inner, BehavingEnv) else None
        example.close()
        self._stepping = stepping
        self._paper = inner.paper_reward if kwargs.get("oracle") == "paper" else None
        self._n_threads = n_threads
        # EnvPool's environments are made by the first reset, which has the seed.
        self._counts: list[Counts] = []
        self._pool: Any = None
        self._pool_seed, self._n_resets = -1, 0
        self._observations: Array = np.empty(0)

    def _start(self, seed: int, episode: int) -> tuple[Array, Array]:
        """Reset; only resets draw random numbers, so how an episode begins depends on how many there were."""
        if seed != self._pool_seed or episode < self._n_resets:
            self._make(seed)
        while self._n_resets <= episode:
            full, _ = self._pool.reset()
            self._n_resets += 1
        self._observations, positions = self._read(full)
        if self._behaviour is not None:
            self._counts = [self._behaviour.begin(position) for position in positions]
        return self._observations, positions

    def _advance(self, actions: Array) -> tuple[Array, Array, Array]:
        stepping = self._stepping
        full, rewards, _, _, terms = self._pool.step(actions.astype(np.float64))
        before, (observations, positions) = self._observations, self._read(full)
        self._observations = observations
        if self._paper is not None:
            rewards = self._paper(observations, {ours: terms[theirs] for ours, theirs in stepping.terms.items()})
        elif stepping.reward is not None:
            rewards = stepping.reward(observations)
        if self._behaviour is not None:
            rewards = self._behaviour.reward(before, actions)
            for counts, position in zip(self._counts, positions, strict=True):
                self._behaviour.count(counts, position)
        return observations, rewards, positions

    def _metrics(self) -> Sequence[Mapping[str, float]]:
        return [] if self._behaviour is None else [self._behaviour.metrics(counts) for counts in self._counts]

    def close_extras(self, **kwargs: Any) -> None:
        """Let EnvPool's threads end."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _make(self, seed: int) -> None:
        """Make EnvPool's environments, whose seeds cannot be changed later."""
        self.close_extras()
        self._pool = self._envpool.make(
            self._stepping.pool_id,
            env_type="gymnasium",
            num_envs=self.num_envs,
            num_threads=min(self._n_threads, self.num_envs),
            env_seed=[(seed + env) % 2**31 for env in range(self.num_envs)],
            max_episode_steps=self.horizon,
            **self._stepping.options,
        )
        self._pool_seed, self._n_resets = seed, 0

    def _read(self, full: Array) -> tuple[Array, Array]:
        """Return what the agent sees [N, O] and the positions [N, S]: copies, as EnvPool's memory is its own."""
        stepping = self._stepping
        seen = full[:, stepping.n_hidden :]
        if stepping.seen is not None:
            seen = stepping.seen(seen)
        return np.array(seen), np.array(stepping.positions(full))
