"""Environments that hold more than plain data come back by playing the episode again."""

import json
import warnings
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from prefrl_envs.replay import EpisodeReplay, needs_replay
from prefrl_envs.snapshot import EnvState, restore, snapshot

FloatArray = npt.NDArray[np.float32]


class Body:
    """Where something is: no plain data."""

    def __init__(self) -> None:
        self.place = np.zeros(1)


class Walk(gymnasium.Env[FloatArray, FloatArray]):
    """A random walk whose place is held by an object; an attribute of its own is the same array, and is shown."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.body: Body | None = None
        self.shown = np.zeros(1)
        self.n_resets = 0

    def chance(self) -> float:
        return float(self.np_random.normal())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        super().reset(seed=seed)
        self.n_resets += 1
        self.body = Body()
        self.shown = self.body.place
        self.body.place += self.chance()
        return self.seen(), {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        assert self.body is not None
        self.body.place += float(action[0]) + self.chance()
        return self.seen(), float(self.body.place[0]), False, False, {}

    def seen(self) -> FloatArray:
        return self.shown.astype(np.float32)


class OwnChance(Walk):
    """The same with a generator that no seed reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.generators = [np.random.default_rng()]
        self.hidden = object()

    def chance(self) -> float:
        return float(self.generators[0].normal())


class PlainWalk(Walk):
    """The same place as a number: a snapshot holds all of it, even the chance that no seed reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.place = 0.0
        self.generator = np.random.default_rng()

    def chance(self) -> float:
        return float(self.generator.normal())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        self.n_resets += 1
        self.place = self.chance()
        return self.seen(), {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        self.place += float(action[0]) + self.chance()
        return self.seen(), self.place, False, False, {}

    def seen(self) -> FloatArray:
        return np.array([self.place], dtype=np.float32)


def wrapped(env: gymnasium.Env[Any, Any]) -> EpisodeReplay:
    return EpisodeReplay(TimeLimit(env, 200))


def act(env: gymnasium.Env[Any, Any], n_steps: int, seed: int) -> list[tuple[Any, ...]]:
    """What comes of random actions, resets included."""
    rng = np.random.default_rng(seed)
    seen: list[tuple[Any, ...]] = []
    for _ in range(n_steps):
        observation, reward, terminated, truncated, _ = env.step(rng.uniform(-1, 1, 1).astype(np.float32))
        seen.append((observation.tolist(), reward, terminated, truncated))
        if terminated or truncated:
            seen.append((env.reset()[0].tolist(),))
    return seen


def through_json(state: EnvState) -> EnvState:
    return EnvState(json.loads(json.dumps(state.document)), {k: v.copy() for k, v in state.arrays.items()})


@pytest.mark.parametrize("n_steps", [0, 1, 64, 65, 150, 200, 333])
@pytest.mark.parametrize("kind", [Walk, PlainWalk])
def test_goes_on_where_it_was(kind: type[Walk], n_steps: int) -> None:
    env = wrapped(kind())
    env.reset(seed=3)
    act(env, n_steps, seed=0)
    state = through_json(snapshot(env))
    other = wrapped(kind())
    restore(other, state)
    assert act(other, 300, seed=1) == act(env, 300, seed=1)


def test_plain_data_is_not_played_again() -> None:
    env = wrapped(PlainWalk())
    env.reset(seed=3)
    act(env, 50, seed=0)
    other = PlainWalk()
    other.reset = other.step = None  # type: ignore[assignment, method-assign]  # would fail
    restore(wrapped(other), snapshot(env))
    assert other.place == env.unwrapped.place  # type: ignore[attr-defined]


def test_one_that_was_never_reset_is_left_alone() -> None:
    other = wrapped(Walk())
    restore(other, snapshot(wrapped(Walk())))
    assert other.unwrapped.n_resets == 0  # type: ignore[attr-defined]


def test_an_episode_that_cannot_be_played_again_ends_with_a_warning() -> None:
    env = wrapped(OwnChance())
    env.reset(seed=3)
    act(env, 50, seed=0)
    other = wrapped(OwnChance())
    with pytest.warns(UserWarning, match="OwnChance did not come back to where it was"):
        restore(other, snapshot(env))
    action = np.zeros(1, dtype=np.float32)
    assert other.step(action)[2:4] == (False, True)
    other.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert other.step(action)[2:4] == (False, False)


def test_what_needs_it_is_known() -> None:
    assert needs_replay(Walk())
    assert not needs_replay(gymnasium.make("prefrl/GridWorld-v0"))
    assert not needs_replay(gymnasium.make("prefrl/Hopper-v0"))
    assert not needs_replay(wrapped(Walk()))
