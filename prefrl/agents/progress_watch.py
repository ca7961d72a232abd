"""Whether a policy still gets better, judged by the reward of now.

Returns of different times cannot be compared where the reward is learned: each refit changes it. So a few steps of
what the policy did are kept from each stretch of the training, a *window*, and all of them are judged anew by the
reward as it is when the question is asked.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prefrl.parts import Arrays, Json, State

STEPS_PER_WINDOW = 1024
"""Steps kept of a window: their mean reward is then known to 1/32 of its standard deviation."""
BYTES_PER_WINDOW = 2**23
"""Of large observations fewer steps are kept."""
STEPS_AT_LEAST = 64
LENGTHS_AT_MOST = 20
"""Where no episode ends within so many lengths of a window, it ends all the same."""
NOWHEN: Json = {"until": 0, "episode_length": 0.0}
"""Of steps that are no window by themselves."""


class Window(NamedTuple):
    """Steps drawn evenly from what a policy did in one stretch of the training, over whole episodes."""

    until: int
    """Environment step at which it ended."""
    observations: Any
    """Shape [n, *obs]; a mapping of such for `Dict`."""
    actions: npt.NDArray[Any]
    """Shape [n, *act]."""
    rewards: npt.NDArray[np.float32]
    """As they were paid, shape [n]."""
    episode_length: float
    """Mean steps of an episode; where none ended, those of the window."""


class ProgressWatch:
    """Keeps some steps of every window of a training.

    A window begins and ends with an episode of the first environment, so that all of them have the same share of
    beginnings and ends.

    Args:
        n_envs: Environments that step together.
        seed: Decides which steps are kept.
    """

    def __init__(self, n_envs: int, seed: int) -> None:
        self._n_envs = n_envs
        self._rng = np.random.default_rng(seed)
        self._length = 0
        self._stride = 1
        self._picked = 0
        self._n_steps = 0
        self._n_ends = 0
        self._waits = 0
        self._complete: Window | None = None
        self._kept: list[tuple[Any, npt.NDArray[Any], npt.NDArray[Any]]] = []

    def plan(self, length: int) -> None:
        """Say how many environment steps a window has at least."""
        self._length = max(1, length // self._n_envs)

    def begin(self) -> None:
        """Forget the window under way, and begin with the next episode: another policy acts now."""
        self._complete = None
        self._empty()
        self._waits = LENGTHS_AT_MOST * self._length

    def record(
        self,
        observations: Any,
        actions: npt.NDArray[Any],
        rewards: npt.NDArray[Any],
        dones: npt.NDArray[np.bool_],
        num_timesteps: int,
    ) -> None:
        """Take note of one step of all environments.

        Args:
            observations: Seen before the actions, shape [N, *obs] (a mapping for `Dict`).
            actions: Shape [N, *act].
            rewards: As paid, shape [N].
            dones: Shape [N].
            num_timesteps: Environment steps so far.
        """
        if self._waits:
            self._waits = 0 if dones[0] else self._waits - 1
        elif self._length:
            if self._n_steps % self._stride == 0:
                self._plan_sampling(observations)
            if self._n_steps % self._stride == self._picked:
                self._kept.append((_copied(observations), actions.copy(), np.array(rewards, dtype=np.float32)))
            self._n_steps += 1
            self._n_ends += int(np.count_nonzero(dones))
            long_enough = dones[0] and self._n_steps >= self._length
            if self._kept and (long_enough or self._n_steps >= LENGTHS_AT_MOST * self._length):
                length = self._n_steps * self._n_envs / self._n_ends if self._n_ends else self._n_steps
                self._complete = _joined(self._kept, num_timesteps, length)
                self._empty()

    def take(self) -> Window | None:
        """Return the window that was completed since the last call, if there is one."""
        window, self._complete = self._complete, None
        return window

    def state(self) -> State:
        """Return the window under way."""
        arrays, values = ({}, {}) if self._complete is None else packed(self._complete)
        own: Arrays = {f"complete.{name}": array for name, array in arrays.items()}
        if self._kept:
            under_way, _ = packed(_joined(self._kept, 0, 0.0))
            own |= {f"kept.{name}": array for name, array in under_way.items()}
        return own, {
            "length": self._length,
            "stride": self._stride,
            "picked": self._picked,
            "n_steps": self._n_steps,
            "n_ends": self._n_ends,
            "waits": self._waits,
            "complete": values or None,
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on in the middle of a window."""
        self._length = self._length or values["length"]
        self._stride, self._picked = values["stride"], values["picked"]
        self._n_steps, self._n_ends, self._waits = values["n_steps"], values["n_ends"], values["waits"]
        self._rng.bit_generator.state = values["rng"]
        self._complete = unpacked(arrays, "complete.", values["complete"]) if values["complete"] else None
        self._kept = []
        if "kept.actions" in arrays:
            window = unpacked(arrays, "kept.", NOWHEN)
            n = self._n_envs
            for start in range(0, len(window.actions), n):
                part = slice(start, start + n)
                self._kept.append((_part(window.observations, part), window.actions[part], window.rewards[part]))

    def _plan_sampling(self, observations: Any) -> None:
        """Draw which step of the stretch that begins is kept."""
        if self._n_steps == 0:
            fitting = BYTES_PER_WINDOW // max(1, _n_bytes(observations) // self._n_envs)
            n_kept = max(STEPS_AT_LEAST, min(STEPS_PER_WINDOW, fitting)) // self._n_envs
            self._stride = max(1, self._length // max(1, n_kept))
        self._picked = int(self._rng.integers(self._stride))

    def _empty(self) -> None:
        self._n_steps = self._n_ends = 0
        self._kept.clear()


def thinned(window: Window, share: int) -> Window:
    """Return a window of one of so many of its steps."""
    chosen = np.arange(0, len(window.actions), share)
    return window._replace(
        observations=_part(window.observations, chosen),
        actions=window.actions[chosen],
        rewards=window.rewards[chosen],
    )


def joined_windows(windows: list[Window]) -> Window:
    """Return the steps of several windows as one."""
    last = windows[-1]
    return _joined(
        [(one.observations, one.actions, one.rewards) for one in windows], last.until, last.episode_length
    )


def packed(window: Window) -> State:
    """Return a window as a checkpoint keeps it."""
    named = window.observations if isinstance(window.observations, Mapping) else {"": window.observations}
    arrays: Arrays = {f"observations:{key}": value for key, value in named.items()}
    return arrays | {"actions": window.actions, "rewards": window.rewards}, {
        "until": window.until,
        "episode_length": window.episode_length,
    }


def unpacked(arrays: Arrays, prefix: str, values: Json) -> Window:
    """Return what `packed` was given; its arrays have `prefix` before their names."""
    start = f"{prefix}observations:"
    named = {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}
    observations = named.get("", named)
    actions, rewards = arrays[f"{prefix}actions"], arrays[f"{prefix}rewards"]
    return Window(values["until"], observations, actions, rewards, values["episode_length"])


def _joined(
    kept: list[tuple[Any, npt.NDArray[Any], npt.NDArray[Any]]], until: int, episode_length: float
) -> Window:
    observed, actions, rewards = zip(*kept, strict=True)
    if isinstance(observed[0], Mapping):
        observations: Any = {key: np.concatenate([one[key] for one in observed]) for key in observed[0]}
    else:
        observations = np.concatenate(observed)
    return Window(until, observations, np.concatenate(actions), np.concatenate(rewards), episode_length)


def _copied(observations: Any) -> Any:
    if isinstance(observations, Mapping):
        return {key: np.array(value) for key, value in observations.items()}
    return np.array(observations)


def _part(observations: Any, part: slice | npt.NDArray[Any]) -> Any:
    if isinstance(observations, Mapping):
        return {key: value[part] for key, value in observations.items()}
    return observations[part]


def _n_bytes(observations: Any) -> int:
    parts = observations.values() if isinstance(observations, Mapping) else [observations]
    return int(sum(np.asarray(part).nbytes for part in parts))
