"""The recorder: recent experience of all environments, and segments cut from it.

A ring buffer with one row per vector step, so that memory is bounded by `capacity` whatever the run's length.
The true reward is kept in an array of its own, which goes into `Segment.env_rewards` and nowhere else.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from prefrl.errors import NotEnoughExperienceError, SettingError, SpaceError
from prefrl.segments.segment import Segment
from prefrl.segments.spaces import as_array, check_space, n_features


class SegmentRecorder:
    """The last `capacity` steps of each of N environments.

    Args:
        observation_space: Space of one observation, as the environment hands it out.
        action_space: Space of one action, as the environment gets it.
        n_envs: Number N of environments that step together.
        capacity: Steps kept per environment; older ones are overwritten.
        frame_stack: Number K of frames that an observation is a stack of, along its last axis with the newest last
            (SB3's `VecFrameStack`). Only the newest is kept; segments carry the K−1 before them as their lead-in.

    Raises:
        SpaceError: A space is of a kind that cannot be kept, or no stack of K frames.
        SettingError: `capacity`, `n_envs` or `frame_stack` is below one.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        n_envs: int,
        *,
        capacity: int,
        frame_stack: int = 1,
    ) -> None:
        """Check the spaces and set the memory aside."""
        check_space(observation_space, what="observation space")
        check_space(action_space, what="action space")
        if min(capacity, n_envs, frame_stack) < 1:
            raise SettingError(
                "`capacity`, `n_envs` and `frame_stack` must be at least 1. Received "
                f"{capacity}, {n_envs} and {frame_stack}."
            )
        self.observation_space = observation_space
        self.action_space = action_space
        self.n_envs = n_envs
        self.capacity = capacity
        self.frame_stack = frame_stack
        frame = frame_space(observation_space, frame_stack)
        self._n_channels = frame.shape[-1] if frame_stack > 1 and frame.shape else 0
        self.n_recorded = 0
        self.num_timesteps = 0
        shape = (capacity, n_envs)
        self._arrays: dict[str, npt.NDArray[Any]] = {
            "observations": _rows(frame, shape),
            "actions": _rows(action_space, shape),
            "env_rewards": np.zeros(shape, dtype=np.float32),
            "dones": np.zeros(shape, dtype=bool),
            "episodes": np.zeros(shape, dtype=np.int32),
            "episode_steps": np.zeros(shape, dtype=np.int32),
        }
        self._episode = np.zeros(n_envs, dtype=np.int32)
        self._episode_step = np.zeros(n_envs, dtype=np.int32)

    @property
    def n_steps(self) -> int:
        """Steps per environment that are kept now."""
        return min(self.n_recorded, self.capacity)

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays, in bytes; the same from the first step to the last."""
        return sum(array.nbytes for array in self._arrays.values())

    def record(
        self,
        observations: Any,
        actions: npt.NDArray[Any],
        env_rewards: npt.NDArray[Any],
        dones: npt.NDArray[np.bool_],
        render_states: npt.NDArray[Any] | None = None,
    ) -> None:
        """Keep one transition of every environment; the values are copied.

        Args:
            observations: Seen before the actions, shape [N, *obs] (a mapping of such for `Dict`).
            actions: As the environments got them, shape [N, *act].
            env_rewards: True rewards of these actions, shape [N].
            dones: Whether the episode ended with this action (terminated or truncated), shape [N].
            render_states: Simulator state in which each observation was seen, or its compressed frame, shape
                [N, S]; at every step or at none, and always of the dtype of the first.
        """
        row = self.n_recorded % self.capacity
        arrays = self._arrays
        kept = as_array(self.observation_space, observations)
        arrays["observations"][row] = kept[..., -self._n_channels :] if self._n_channels else kept
        arrays["actions"][row] = as_array(self.action_space, actions)
        arrays["env_rewards"][row] = env_rewards
        arrays["dones"][row] = dones
        arrays["episodes"][row] = self._episode
        arrays["episode_steps"][row] = self._episode_step
        if render_states is not None:
            self._render_states(render_states)[row] = render_states
        self._episode += dones
        self._episode_step += 1
        self._episode_step[dones] = 0
        self.n_recorded += 1
        self.num_timesteps += self.n_envs

    def n_starts(self, length: int) -> int:
        """Return how many different segments of `length` steps could be drawn now."""
        return len(self._starts(length, None))

    def sample(
        self, n: int, *, length: int, rng: np.random.Generator, recent_steps: int | None = None
    ) -> list[Segment]:
        """Draw segments uniformly, with replacement, from all start positions.

        Every position whose next `length` steps lie in one episode can be drawn. An episode that ended before
        `length` steps is one shorter segment. Steps near the ends of episodes are in fewer segments than those
        in the middle, as with any draw of whole segments.

        Args:
            n: How many.
            length: Steps T of a segment.
            rng: Where the choice comes from.
            recent_steps: Draw only starts within that many latest steps of each environment.

        Raises:
            NotEnoughExperienceError: No segment can be cut yet.
        """
        starts = self._starts(length, recent_steps)
        if len(starts) == 0:
            raise NotEnoughExperienceError(
                f"No segment of {length} steps can be cut from the {self.n_steps} steps recorded per "
                "environment; record more steps first or ask for shorter segments."
            )
        return [self._cut(*starts[i]) for i in rng.integers(len(starts), size=n)]

    def latest(self, length: int, *, env: int = 0) -> Segment | None:
        """Return the newest segment of `length` steps of one environment; None if there is none as yet."""
        starts = self._starts(length, None)
        own = starts[(starts[:, 1] == env) & (starts[:, 2] == length)]
        return self._cut(*own[-1]) if len(own) else None

    def latest_observations(self, n_steps: int) -> npt.NDArray[Any]:
        """Return up to `n_steps` latest observations (or frames) of each environment, [n, *obs], oldest first."""
        return self._latest("observations", n_steps)

    def latest_actions(self, n_steps: int) -> npt.NDArray[Any]:
        """Return up to `n_steps` latest actions of each environment, shape [n, *act], oldest first."""
        return self._latest("actions", n_steps)

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that is kept, as arrays; only the rows in use."""
        state = {name: array[: self.n_steps] for name, array in self._arrays.items()}
        state["episode"] = self._episode
        state["episode_step"] = self._episode_step
        state["counters"] = np.array([self.n_recorded, self.num_timesteps], dtype=np.int64)
        return state

    def load_state_dict(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Continue where `state_dict` was taken, with the same spaces, `n_envs` and `capacity`."""
        self.n_recorded, self.num_timesteps = (int(value) for value in state["counters"])
        if "render_states" in state:
            self._render_states(state["render_states"])
        for name, array in self._arrays.items():
            array[: self.n_steps] = state[name]
        self._episode[:] = state["episode"]
        self._episode_step[:] = state["episode_step"]

    def _render_states(self, example: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Memory for render states such as these, set aside when the first ones come."""
        if "render_states" not in self._arrays:
            shape = (self.capacity, self.n_envs, example.shape[-1])
            self._arrays["render_states"] = np.zeros(shape, dtype=example.dtype)
        return self._arrays["render_states"]

    def _order(self) -> npt.NDArray[np.int64]:
        """Rows from oldest to newest, shape [n_steps]."""
        first = self.n_recorded - self.n_steps
        return np.arange(first, self.n_recorded) % self.capacity

    def _latest(self, name: str, n_steps: int) -> npt.NDArray[Any]:
        rows = self._order()[-n_steps:] if n_steps > 0 else self._order()[:0]
        array = self._arrays[name]
        return array[rows].reshape(-1, *array.shape[2:])

    def _starts(self, length: int, recent_steps: int | None) -> npt.NDArray[np.int64]:
        """All drawable segments as rows (position from the oldest step, environment, steps), shape [M, 3]."""
        if length < 1:
            raise SettingError(f"`length` must be at least 1. Received {length}.")
        n, rows = self.n_steps, self._order()
        if n == 0:
            return np.empty((0, 3), dtype=np.int64)
        dones = self._arrays["dones"][rows]
        position = np.arange(n)[:, None]
        last = dones.copy()
        last[-1] = True
        # The nearest episode end at or after each position (or the newest step), found from the back.
        end = np.minimum.accumulate(np.where(last, position, n)[::-1], axis=0)[::-1]
        remaining = end - position + 1
        ended = np.take_along_axis(dones, end, axis=0)
        whole_but_short = ended & (remaining < length) & (self._arrays["episode_steps"][rows] == 0)
        drawable = (remaining >= length) | whole_but_short
        # The frames before the first one must not have been overwritten.
        drawable &= position >= np.minimum(self._arrays["episode_steps"][rows], self.frame_stack - 1)
        if recent_steps is not None:
            drawable &= position >= n - recent_steps
        positions, envs = np.nonzero(drawable)
        n_steps = np.minimum(remaining[positions, envs], length)
        return np.stack([positions, envs, n_steps], axis=1)

    def _cut(self, position: int, env: int, n_steps: int) -> Segment:
        first = self.n_recorded - self.n_steps + position
        rows = np.arange(first, first + n_steps) % self.capacity
        arrays = self._arrays
        states = arrays.get("render_states")
        return Segment(
            observations=arrays["observations"][rows, env],
            actions=arrays["actions"][rows, env],
            env_rewards=arrays["env_rewards"][rows, env],
            render_states=None if states is None else states[rows, env],
            lead_in=self._lead_in(first, env) if self.frame_stack > 1 else None,
            env_index=int(env),
            episode=int(arrays["episodes"][rows[0], env]),
            start=int(arrays["episode_steps"][rows[0], env]),
            num_timesteps=self.num_timesteps,
        )

    def _lead_in(self, first: int, env: int) -> npt.NDArray[Any]:
        """Return the K−1 frames before a step, zeros from before its episode, as `VecFrameStack` has them."""
        observations = self._arrays["observations"]
        n_before = self.frame_stack - 1
        frames = np.zeros((n_before, *observations.shape[2:]), dtype=observations.dtype)
        n = min(n_before, int(self._arrays["episode_steps"][first % self.capacity, env]))
        if n:
            frames[-n:] = observations[np.arange(first - n, first) % self.capacity, env]
        return frames


def frame_space(space: spaces.Space[Any], frame_stack: int) -> spaces.Space[Any]:
    """Return the space of one of the K frames that are stacked along the last axis.

    Raises:
        SpaceError: The space is no Box whose last axis K divides.
    """
    if frame_stack == 1:
        return space
    if not isinstance(space, spaces.Box) or not space.shape or space.shape[-1] % frame_stack:
        raise SpaceError(
            f"An observation that stacks {frame_stack} frames must be a Box whose last axis they share. "
            f"Received {space}."
        )
    n = space.shape[-1] // frame_stack
    return spaces.Box(space.low[..., -n:], space.high[..., -n:], dtype=space.dtype.type)


def _rows(space: spaces.Space[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Set memory aside for `shape` elements of `space`, as `as_array` returns them."""
    if isinstance(space, spaces.Dict):
        return np.zeros((*shape, n_features(space)), dtype=np.float32)
    assert space.shape is not None
    return np.zeros((*shape, *space.shape), dtype=space.dtype)
