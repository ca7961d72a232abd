"""Whether a policy still gets better, judged by the reward of now.

Returns of different times cannot be compared where the reward is learned: each refit changes it. So a few steps of
what the policy did are kept from each stretch of the training, a *window*, and all of them are judged anew by the
reward as it is when the question is asked.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prefrl.parts import Arrays, Json, State, under

STEPS_PER_WINDOW = 1024
"""Steps kept of a window: their mean reward is then known to 1/32 of its standard deviation."""
BYTES_PER_WINDOW = 2**23
"""Of large observations fewer steps are kept."""
STEPS_AT_LEAST = 64
LENGTHS_AT_MOST = 20
"""Where no episode ends within so many lengths of a window, it ends all the same."""
NOWHEN: Json = {"until": 0, "episode_length": 0.0}
"""Of steps that are no window by themselves."""


class Steps(NamedTuple):
    """Some steps, of several environments or times."""

    observations: Any
    """Seen before the actions, shape [n, *obs]; a mapping of such for `Dict`."""
    actions: npt.NDArray[Any]
    """Shape [n, *act]."""
    next_observations: Any
    """Seen after the actions, as `observations`; at the end of an episode the terminal one."""
    rewards: npt.NDArray[Any]
    """As they were paid, shape [n]."""

    def each(self, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> "Steps":
        """Return the steps with every array changed in the same way."""
        return Steps(*(_named(value, change) for value in self))


class Window(NamedTuple):
    """Steps drawn evenly from what a policy did in one stretch of the training, over whole episodes."""

    until: int
    """Environment step at which it ended."""
    steps: Steps
    """The steps that are kept of it."""
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
        self._kept: list[Steps] = []

    def plan(self, length: int) -> None:
        """Say how many environment steps a window has at least."""
        self._length = max(1, length // self._n_envs)

    def begin(self) -> None:
        """Forget the window under way, and begin with the next episode: another policy acts now."""
        self._complete = None
        self._empty()
        self._waits = LENGTHS_AT_MOST * self._length

    def cut(self) -> None:
        """Begin the window under way anew: all environments were reset, maybe in the middle of episodes."""
        self._empty()
        self._waits = 0

    def record(self, steps: Steps, dones: npt.NDArray[np.bool_], num_timesteps: int) -> None:
        """Take note of one step of all environments.

        Args:
            steps: One of each environment.
            dones: Shape [N].
            num_timesteps: Environment steps so far.
        """
        if self._waits:
            self._waits = 0 if dones[0] else self._waits - 1
        elif self._length:
            if self._n_steps % self._stride == 0:
                self._plan_sampling(steps)
            if self._n_steps % self._stride == self._picked:
                self._kept.append(steps.each(np.array)._replace(rewards=np.array(steps.rewards, np.float32)))
            self._n_steps += 1
            self._n_ends += int(np.count_nonzero(dones))
            long_enough = dones[0] and self._n_steps >= self._length
            if self._kept and (long_enough or self._n_steps >= LENGTHS_AT_MOST * self._length):
                length = self._n_steps * self._n_envs / self._n_ends if self._n_ends else self._n_steps
                self._complete = Window(num_timesteps, _joined(self._kept), length)
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
            under_way, _ = packed(Window(0, _joined(self._kept), 0.0))
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
            steps, n = unpacked(arrays, "kept.", NOWHEN).steps, self._n_envs
            for start in range(0, len(steps.actions), n):
                self._kept.append(_part(steps, slice(start, start + n)))

    def _plan_sampling(self, steps: Steps) -> None:
        """Draw which step of the stretch that begins is kept."""
        if self._n_steps == 0:
            fitting = BYTES_PER_WINDOW // max(1, _n_bytes(steps) // self._n_envs)
            n_kept = max(STEPS_AT_LEAST, min(STEPS_PER_WINDOW, fitting)) // self._n_envs
            self._stride = max(1, self._length // max(1, n_kept))
        self._picked = int(self._rng.integers(self._stride))

    def _empty(self) -> None:
        self._n_steps = self._n_ends = 0
        self._kept.clear()


def thinned(window: Window, share: int) -> Window:
    """Return a window of one of so many of its steps."""
    return window._replace(steps=_part(window.steps, np.arange(0, len(window.steps.actions), share)))


def joined_windows(windows: list[Window]) -> Window:
    """Return the steps of several windows as one."""
    return windows[-1]._replace(steps=_joined([window.steps for window in windows]))


def packed(window: Window) -> State:
    """Return a window as a checkpoint keeps it."""
    arrays: Arrays = {}
    for field, value in window.steps._asdict().items():
        named = {f":{key}": array for key, array in value.items()} if isinstance(value, Mapping) else {"": value}
        arrays |= {f"{field}{key}": array for key, array in named.items()}
    return arrays, {"until": window.until, "episode_length": window.episode_length}


def unpacked(arrays: Arrays, prefix: str, values: Json) -> Window:
    """Return what `packed` was given; its arrays have `prefix` before their names."""
    fields: dict[str, Any] = {}
    for field in Steps._fields:
        named = under(f"{prefix}{field}:", arrays)
        fields[field] = named or arrays[f"{prefix}{field}"]
    return Window(values["until"], Steps(**fields), values["episode_length"])


def _joined(parts: list[Steps]) -> Steps:
    columns: list[Any] = []
    for values in zip(*parts, strict=True):
        if isinstance(values[0], Mapping):
            columns.append({key: np.concatenate([value[key] for value in values]) for key in values[0]})
        else:
            columns.append(np.concatenate(values))
    return Steps(*columns)


def _named(value: Any, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Any:
    """Change an array, or each of a mapping."""
    return {key: change(array) for key, array in value.items()} if isinstance(value, Mapping) else change(value)


def _part(steps: Steps, part: slice | npt.NDArray[Any]) -> Steps:
    return steps.each(lambda array: array[part])


def _n_bytes(steps: Steps) -> int:
    """Return how much memory observations take."""
    parts: list[Any] = []
    for value in (steps.observations, steps.next_observations):
        parts += value.values() if isinstance(value, Mapping) else [value]
    return int(sum(np.asarray(part).nbytes for part in parts))
