"""ale-py's own vector environment, in C++, as a `gymnasium.vector.VectorEnv` that does what `AtariGame` does."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from prefrl_envs.atari.env import FRAME_SKIP, AtariGame, score_metrics
from prefrl_envs.atari.randomness import episode_seed
from prefrl_envs.atari.screen import SIDE, agent_frame, pack_screen

Array = npt.NDArray[Any]

_NO_LIMIT = 2**30
"""Frames of the emulator after which it would end an episode by itself."""


class AtariVector(VectorEnv[Array, Array, Array]):
    """N environments of one of our Atari ids, stepped together by ale-py on several threads.

    Observations, rewards, render states, metrics and random numbers are, to the last bit, those of `AtariGame`
    with the same seed. As gymnasium's own vector environments in SAME_STEP mode it returns the first
    observation of the next episode when one ends, with the last one in `infos["final_obs"]`.
    `infos["render_state"]` [N, S] is what `StateRenderer` draws.

    >>> vector = AtariVector("prefrl/Pong-v0", 8, n_threads=2)  # doctest: +SKIP

    Args:
        env_id: An id for which `is_shared` is true.
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
        """Make the emulators; no game is started before the first reset."""
        if n_envs < 1 or n_threads < 1:
            raise ValueError(f"`n_envs` and `n_threads` must be at least 1. Received {n_envs} and {n_threads}.")
        if not is_shared(env_id):
            raise ValueError(f"`env_id` must be an Atari game that ale-py can step. Received {env_id}.")
        example = gymnasium.make(env_id, **(env_kwargs or {}))
        game = example.unwrapped
        assert isinstance(game, AtariGame)
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
        self.rules = game.rules
        self._horizon = example.spec.max_episode_steps
        self._fire = game.fire_action
        self._ale = _emulators(game, n_envs, n_threads)
        self._pool = ThreadPoolExecutor(n_threads)
        self._parts = np.array_split(np.arange(n_envs), min(n_threads, n_envs))
        example.close()
        self._seed: int | None = None
        self._n_episodes = 0
        self._actions: list[Array] = []
        self._lives = np.zeros(n_envs, dtype=np.int32)
        self._life_lost = np.zeros(n_envs, dtype=np.bool_)
        self._scores = np.zeros(n_envs, dtype=np.int64)
        self._ended: list[list[int]] = []

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
            self._n_episodes = 0
        return self._begin()

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Step all environments.

        Args:
            actions: Shape [N].

        Returns:
            Observations [N, 84, 84, 1], rewards [N], terminated [N] (never), truncated [N], infos.
        """
        actions = np.array(actions, dtype=np.int64)
        self._actions.append(actions)
        if self.rules.waits_for_fire and self._fire is not None:
            actions = np.where(self._life_lost, self._fire, actions)
        screens, points, over, _, told = self._ale.step(actions)
        rewards = points.astype(np.float64)
        self._scores += points
        for env in np.flatnonzero(over):  # the emulator has begun the next game by itself
            rewards[env] += self.rules.game_over_penalty
            self._ended[env].append(int(self._scores[env]))
            self._scores[env] = 0
        self._life_lost = told["lives"] < self._lives  # never where a game is over: the next has all of them
        self._lives = told["lives"]
        observations, states = self._seen(screens)
        infos: dict[str, Any] = {"render_state": states}
        ends = len(self._actions) >= self._horizon
        if ends:
            infos = self._last_infos(observations, states)
            observations, first_infos = self._begin()
            infos |= first_infos
        return observations, rewards, np.zeros_like(over), np.full_like(over, ends), infos

    def state_dict(self) -> dict[str, Array]:
        """Return what it takes to come back to this moment: the seed, and what happened since."""
        if self._seed is None:
            raise ValueError("There is no state to save before the first reset.")
        actions = np.array(self._actions, dtype=np.int64).reshape(-1, self.num_envs)
        return {"seed": np.array([self._seed]), "n_episodes": np.array([self._n_episodes]), "actions": actions}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Come back to where `state_dict` was taken, exactly: by playing the episodes under way again.

        ale-py's vector environment cannot save an emulator. An episode takes a few seconds to play.
        """
        self._seed = int(state["seed"][0])
        self._n_episodes = int(state["n_episodes"][0]) - 1
        self._begin()
        for actions in state["actions"]:
            self.step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        """Let the threads end."""
        self._pool.shutdown()
        self._ale = None

    def _begin(self) -> tuple[Array, dict[str, Any]]:
        assert self._seed is not None
        seeds = [episode_seed(self._seed + env, self._n_episodes) for env in range(self.num_envs)]
        screens, told = self._ale.reset(seed=np.array(seeds))
        self._n_episodes += 1
        self._actions = []
        self._lives = told["lives"]
        self._life_lost = np.zeros(self.num_envs, dtype=np.bool_)
        self._scores[:] = 0
        self._ended = [[] for _ in range(self.num_envs)]
        observations, states = self._seen(screens)
        return observations, {"render_state": states}

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

    def _last_infos(self, observations: Array, states: Array) -> dict[str, Any]:
        """Return what gymnasium tells of episodes that have ended; here it is all of them."""
        each = [score_metrics(ended, int(score)) for ended, score in zip(self._ended, self._scores, strict=True)]
        metrics = {name: np.array([counted[name] for counted in each]) for name in each[0]}
        final = np.empty(self.num_envs, dtype=object)
        final[:] = list(observations)
        every = np.ones(self.num_envs, dtype=np.bool_)
        last = {"render_state": states, "task_metrics": metrics}
        return {"final_obs": final, "_final_obs": every, "final_info": last, "_final_info": every}


def is_shared(env_id: str) -> bool:
    """Return whether ale-py can step an id as we do: a game whose reward is its score."""
    spec = gymnasium.registry.get(env_id)
    return spec is not None and spec.entry_point == "prefrl_envs.atari.env:AtariGame"


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
