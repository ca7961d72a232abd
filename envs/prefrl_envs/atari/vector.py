"""ale-py's own vector environment, in C++, as a `gymnasium.vector.VectorEnv` that does what `AtariGame` does."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from prefrl_envs.atari.env import FRAME_SKIP, AtariGame, score_metrics
from prefrl_envs.atari.randomness import episode_seed
from prefrl_envs.atari.screen import SIDE, agent_frame, pack_screen
from prefrl_envs.atari.stepping import AleStepping
from prefrl_envs.lockstep import Array, LockstepVector
from prefrl_envs.tasks import TASKS_BY_ENV_ID

_NO_LIMIT = 2**30
"""Frames of the emulator after which it would end an episode by itself."""


class AtariVector(LockstepVector):
    """N environments of one of our Atari ids, stepped together by ale-py on several threads.

    Observations, rewards, render states, metrics and random numbers are, to the last bit, those of `AtariGame`
    with the same seed.

    >>> vector = AtariVector("prefrl/Pong-v0", 8, n_threads=2)  # doctest: +SKIP

    Args:
        env_id: Id of a task whose reward is its score.
        n_envs: Number N of environments.
        n_threads: Threads that step them; the results do not depend on it.
        env_kwargs: What else the id is made with.

    Raises:
        ValueError: ale-py cannot step this environment, or one of `env_kwargs` is wrong.
        DependencyNotInstalled: ale-py is missing.
    """

    def __init__(
        self, env_id: str, n_envs: int, *, n_threads: int = 1, env_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        if n_threads < 1:
            raise ValueError(f"`n_threads` must be at least 1. Received {n_threads}.")
        task = TASKS_BY_ENV_ID.get(env_id)
        if task is None or not isinstance(task.fast, AleStepping):
            raise ValueError(f"`env_id` must be an Atari game that ale-py can step. Received {env_id}.")
        example = gymnasium.make(env_id, **(env_kwargs or {}))
        game = example.unwrapped
        assert isinstance(game, AtariGame)
        super().__init__(example, n_envs)
        self.rules = game.rules
        self._fire = game.fire_action
        self._ale = _emulators(game, n_envs, n_threads)
        self._pool = ThreadPoolExecutor(n_threads)
        self._parts = np.array_split(np.arange(n_envs), min(n_threads, n_envs))
        example.close()
        self._lives = np.zeros(n_envs, dtype=np.int32)
        self._life_lost = np.zeros(n_envs, dtype=np.bool_)
        self._scores = np.zeros(n_envs, dtype=np.int64)
        self._ended: list[list[int]] = []

    def _start(self, seed: int, episode: int) -> tuple[Array, Array]:
        seeds = [episode_seed(seed + env, episode) for env in range(self.num_envs)]
        screens, told = self._ale.reset(seed=np.array(seeds))
        self._lives = told["lives"]
        self._life_lost = np.zeros(self.num_envs, dtype=np.bool_)
        self._scores[:] = 0
        self._ended = [[] for _ in range(self.num_envs)]
        return self._seen(screens)

    def _advance(self, actions: Array) -> tuple[Array, Array, Array]:
        if self.rules.waits_for_fire and self._fire is not None:
            actions = np.where(self._life_lost, self._fire, actions)
        screens, points, over, _, told = self._ale.step(actions.astype(np.int64))
        rewards = points.astype(np.float64)
        self._scores += points
        for env in np.flatnonzero(over):  # the emulator has begun the next game by itself
            rewards[env] += self.rules.game_over_penalty
            self._ended[env].append(int(self._scores[env]))
            self._scores[env] = 0
        self._life_lost = told["lives"] < self._lives  # never where a game is over: the next has all of them
        self._lives = told["lives"]
        observations, states = self._seen(screens)
        return observations, rewards, states

    def _metrics(self) -> Sequence[Mapping[str, float]]:
        return [score_metrics(ended, int(score)) for ended, score in zip(self._ended, self._scores, strict=True)]

    def close_extras(self, **kwargs: Any) -> None:
        """Let the threads end."""
        self._pool.shutdown()
        self._ale = None

    def _seen(self, screens: Array) -> tuple[Array, Array]:
        """Return what the agents see [N, 84, 84, 1] and the render states [N, S] of screens [N, 1, h, w, 3]."""
        observations = np.empty((self.num_envs, SIDE, SIDE, 1), dtype=np.uint8)
        states = np.empty((self.num_envs, self.rules.state_bytes), dtype=np.uint8)

        def see(part: Array) -> None:
            for env in part:
                (screen,) = screens[env]
                observations[env] = agent_frame(screen, self.rules.masks)
                states[env] = pack_screen(screen, self.rules.state_bytes)

        if len(self._parts) == 1:
            see(self._parts[0])
        else:  # OpenCV and zlib, which do nearly all of it, let other threads run
            list(self._pool.map(see, self._parts))
        return observations, states


def _emulators(game: AtariGame, n_envs: int, n_threads: int) -> Any:
    """Return ale-py's environments: colour screens of native size, one life lost or game over like another."""
    from ale_py.vector_env import AtariVectorEnv

    height, width = game.ale.getScreenDims()
    return AtariVectorEnv(
        game.game,
        n_envs,
        num_threads=min(n_threads, n_envs),
        max_num_frames_per_episode=_NO_LIMIT,
        repeat_action_probability=0.0,
        autoreset_mode=AutoresetMode.SAME_STEP,
        img_height=height,
        img_width=width,
        grayscale=False,
        stack_num=1,
        frameskip=FRAME_SKIP,
        maxpool=True,
        noop_max=game.noop_max + 1,  # it draws below this number
        episodic_life=False,
        reward_clipping=False,
        use_fire_reset=True,
    )
