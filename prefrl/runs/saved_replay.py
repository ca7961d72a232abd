"""The replay buffer of an off-policy agent in checkpoints: files that later checkpoints share.

What was stepped does not change any more, so a checkpoint writes only what came since the one before it, and links
the files of that one (a hard link takes no space, and goes away with its folder). Only the rewards, which change
with every refit, are written anew each time. So a buffer of a million steps costs a checkpoint a fraction of a
second, and is never in memory twice.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from prefrl.errors import RunError
from prefrl.files import write_whole
from prefrl.parts import Arrays, Json, State
from prefrl.runs.saved_parts import SavedAgent

FILE_BYTES = 2**26
"""A file is not much larger: so much is in memory once more while it is written or read."""
AHEAD = "ahead."

Array = npt.NDArray[Any]


class ReplayFile(NamedTuple):
    """A file of consecutive steps of all environments."""

    start: int
    """The first step, counted from the beginning of the training."""
    end: int
    sha256: str

    @property
    def name(self) -> str:
        """Of the file; who has the same name has the same content."""
        return f"replay-{self.sha256[:20]}.safetensors"


class SavedReplay:
    """A replay buffer as a part of a checkpoint; nothing where the agent has none.

    Args:
        saved: The agent; its buffer has been filled by its training alone.
    """

    def __init__(self, saved: SavedAgent) -> None:
        self._saved = saved
        self._files: list[ReplayFile] = []
        self._ahead: Arrays = {}

    def write(self, draft: Path, earlier: Sequence[Path]) -> dict[str, str]:
        """Write what the buffer holds into the folder of a checkpoint; to be called before `state`.

        Args:
            draft: The folder.
            earlier: Those of the checkpoints that are there; what they have is linked.

        Returns:
            The hash of each file, by its name.

        Raises:
            OSError: A file cannot be written.
        """
        buffer = self._buffer
        if buffer is None:
            return {}
        end = self._n_stepped
        start = end - int(buffer.size())
        kept: list[ReplayFile] = []
        for file in self._files:
            if file.end <= start:
                continue
            if not _link(file.name, draft, earlier):
                break
            kept.append(file)
        start = kept[-1].end if kept else start
        per_file = max(1, FILE_BYTES // sum(array[0].nbytes for array in _steps_of(buffer).values()))
        for first in range(start, end, per_file):
            kept.append(self._write(draft, buffer, first, min(first + per_file, end)))
        self._files = kept
        return {file.name: file.sha256 for file in kept}

    def state(self) -> State:
        """Return the rewards, shape [n, N], and which files hold the rest."""
        buffer = self._buffer
        if buffer is None:
            return {}, {}
        arrays: Arrays = {"rewards": buffer.rewards[: buffer.size()].copy()}
        if buffer.optimize_memory_usage:  # what follows the last action is kept where the next step will be
            arrays |= {AHEAD + name: a[buffer.pos].copy() for name, a in _observations_of(buffer).items()}
        return arrays, {"files": [list(file) for file in self._files], "n_stepped": self._n_stepped}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Take over rewards and place; the rest comes by `fill`."""
        buffer = self._buffer
        if buffer is None:
            return
        n_stepped, capacity = values["n_stepped"], buffer.buffer_size
        buffer.pos, buffer.full = n_stepped % capacity, n_stepped >= capacity
        buffer.rewards[: len(arrays["rewards"])] = arrays["rewards"]
        self._ahead = {name: array for name, array in arrays.items() if name.startswith(AHEAD)}
        self._files = [ReplayFile(*file) for file in values["files"]]

    def fill(self, read: Callable[[str], Arrays]) -> None:
        """Read all that is kept into the buffer, one file after the other; to be called after `restore`.

        Args:
            read: Returns the arrays in a file of this name.

        Raises:
            RunError: A file does not hold what it should.
        """
        buffer = self._buffer
        if buffer is None:
            return
        for file in self._files:
            own = read(file.name)
            # What was overwritten since is overwritten here, too: a later file has it.
            at = np.arange(file.start, file.end) % buffer.buffer_size
            for name, array in _steps_of(buffer).items():
                if own[name].shape != (file.end - file.start, *array.shape[1:]):
                    raise RunError(f"{file.name} holds {name} of shape {own[name].shape}.")
                array[at] = own[name]
        for name, array in _observations_of(buffer).items():
            if self._ahead:
                array[buffer.pos] = self._ahead[AHEAD + name]

    @property
    def _buffer(self) -> ReplayBuffer | None:
        agent = self._saved.agent
        return agent.replay_buffer if isinstance(agent, OffPolicyAlgorithm) else None

    @property
    def _n_stepped(self) -> int:
        agent = self._saved.agent
        return agent.num_timesteps // agent.n_envs

    def _write(self, draft: Path, buffer: ReplayBuffer, start: int, end: int) -> ReplayFile:
        at = np.arange(start, end) % buffer.buffer_size
        content = save({name: np.ascontiguousarray(array[at]) for name, array in _steps_of(buffer).items()})
        file = ReplayFile(start, end, hashlib.sha256(content).hexdigest())
        write_whole(draft / file.name, content)
        return file


def _link(name: str, draft: Path, earlier: Sequence[Path]) -> bool:
    """Have a file of an earlier checkpoint in this one, too; return whether there is one."""
    for folder in reversed(earlier):
        source = folder / name
        if source.is_file():
            with suppress(OSError):  # not every file system has hard links
                os.link(source, draft / name)
                return True
            shutil.copyfile(source, draft / name)
            return True
    return False


def _steps_of(buffer: ReplayBuffer) -> dict[str, Array]:
    """Return what does not change once it was stepped, each of shape [capacity, N, ...]."""
    arrays = _observations_of(buffer)
    if not buffer.optimize_memory_usage:
        arrays |= _by_name("next_observations", buffer.next_observations)
    return arrays | {"actions": buffer.actions, "dones": buffer.dones, "timeouts": buffer.timeouts}


def _observations_of(buffer: ReplayBuffer) -> dict[str, Array]:
    return _by_name("observations", buffer.observations)


def _by_name(name: str, arrays: Array | Mapping[str, Array]) -> dict[str, Array]:
    if isinstance(arrays, Mapping):
        return {f"{name}.{key}": array for key, array in arrays.items()}
    return {name: arrays}
