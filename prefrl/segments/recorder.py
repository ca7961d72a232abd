"""The recorder: recent experience of all environments, and segments cut from it.

A ring buffer with one row per vector step, so that memory is bounded by `capacity` whatever the run's length.
The true reward is kept in an array of its own, which goes into `Segment.env_rewards` and nowhere else.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from prefrl.errors import NotEnoughExperienceError, SegmentError, SettingError, SpaceError
from prefrl.parts import Arrays, Json, State
from prefrl.segments.next_observations import NextObservations
from prefrl.segments.segment import Segment
from prefrl.segments.spaces import as_array, check_space, n_features

_OPTIONAL = ("render_states", "drawn_actions", "has_drawn")
"""Arrays that are set aside when the first of their kind comes."""


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
        observations = self._arrays["observations"]
        self._next = NextObservations(observations.shape[1:], observations.dtype)
        self._episode = np.zeros(n_envs, dtype=np.int32)
        self._episode_step = np.zeros(n_envs, dtype=np.int32)

    @property
    def n_steps(self) -> int:
        """Steps per environment that are kept now."""
        return min(self.n_recorded, self.capacity)

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays, in bytes; the same from the first step to the last.

        What was observed last in each kept episode comes on top, one observation each.
        """
        return sum(array.nbytes for array in self._arrays.values())

    def record(
        self,
        observations: Any,
        actions: npt.NDArray[Any],
        env_rewards: npt.NDArray[Any],
        dones: npt.NDArray[np.bool_],
        *,
        next_observations: Any = None,
        render_states: npt.NDArray[Any] | None = None,
    ) -> None:
        """Keep one transition of every environment; the values are copied.

        Args:
            observations: Seen before the actions, shape [N, *obs] (a mapping of such for `Dict`).
            actions: As the environments got them, shape [N, *act].
            env_rewards: True rewards of these actions, shape [N].
            dones: Whether the episode ended with this action (terminated or truncated), shape [N].
            next_observations: Seen after the actions, as `observations`; where an episode ended the terminal one,
                not the first of the next episode. At every step or at none.
            render_states: Simulator state in which each observation was seen, or its compressed frame, shape
                [N, S]; at every step or at none, and always of the dtype of the first.

        Raises:
            SegmentError: `next_observations` have not the shape of the observations; nothing has been recorded.
        """
        number, arrays = self.n_recorded, self._arrays
        following = None if next_observations is None else self._frames(next_observations)
        self._next.record(number, number + 1 - self.capacity, following, dones)
        row = number % self.capacity
        arrays["observations"][row] = self._frames(observations)
        arrays["actions"][row] = as_array(self.action_space, actions)
        arrays["env_rewards"][row] = env_rewards
        arrays["dones"][row] = dones
        arrays["episodes"][row] = self._episode
        arrays["episode_steps"][row] = self._episode_step
        if render_states is not None:
            self._render_states(render_states)[row] = render_states
        if "has_drawn" in arrays:
            arrays["has_drawn"][row] = False
        self._episode += dones
        self._episode_step += 1
        self._episode_step[dones] = 0
        self.n_recorded += 1
        self.num_timesteps += self.n_envs

    def note_drawn_actions(self, actions: npt.NDArray[Any]) -> None:
        """Keep the actions of the newest step as the policy drew them, before they were clipped.

        Args:
            actions: Shape [N, *act].

        Raises:
            NotEnoughExperienceError: No step has been recorded.
        """
        if self.n_recorded == 0:
            raise NotEnoughExperienceError("Drawn actions belong to a step, but none has been recorded yet.")
        if "drawn_actions" not in self._arrays:
            self._set_drawn_actions_aside()
        row = (self.n_recorded - 1) % self.capacity
        self._arrays["drawn_actions"][row] = as_array(self.action_space, actions)
        self._arrays["has_drawn"][row] = True

    def cut(self) -> None:
        """End the episodes under way where they are, without a `done`: the environments have been reset.

        No segment crosses this. Of an episode that was cut short only segments of whole length are drawn.
        """
        under_way = self._episode_step > 0
        self._next.cut(self.n_recorded - 1, under_way)
        self._episode[under_way] += 1
        self._episode_step[:] = 0

    def n_starts(self, length: int) -> int:
        """Return how many different segments of `length` steps could be drawn now."""
        return len(self._starts(length, None))

    def places(self, length: int, *, recent_steps: int | None = None) -> npt.NDArray[np.int64]:
        """Return every segment that could be drawn now, as rows for `segment_at`, shape [M, 3].

        They hold until the next step is recorded.

        Args:
            length: Steps T of a segment.
            recent_steps: Only those that start within that many latest steps of each environment.
        """
        return self._starts(length, recent_steps)

    def segment_at(self, place: npt.NDArray[np.int64]) -> Segment:
        """Return the segment at a place that `places` gave."""
        return self._cut(*place.tolist())

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

    def state(self) -> State:
        """Return all that is kept; of the arrays only the rows in use."""
        arrays = {name: array[: self.n_steps].copy() for name, array in self._arrays.items()}
        arrays |= self._next.arrays()
        arrays["episode"] = self._episode.copy()
        arrays["episode_step"] = self._episode_step.copy()
        values = {"n_recorded": self.n_recorded, "num_timesteps": self.num_timesteps, "capacity": self.capacity}
        return arrays, values

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken, with the same spaces, `n_envs`, `capacity` and `frame_stack`.

        Raises:
            SegmentError: It was taken of a recorder with others, or something is missing.
        """
        if "counters" in arrays:  # up to version 1 of checkpoints
            values = {"capacity": self.capacity} | values
            values["n_recorded"], values["num_timesteps"] = (int(value) for value in arrays["counters"])
        self._check_state(arrays, values)
        self.n_recorded, self.num_timesteps = values["n_recorded"], values["num_timesteps"]
        for name in _OPTIONAL:
            self._arrays.pop(name, None)
        if "render_states" in arrays:
            self._render_states(arrays["render_states"])
        if "drawn_actions" in arrays:
            self._set_drawn_actions_aside()
        for name, array in self._arrays.items():
            array[: self.n_steps] = arrays[name]
        self._next.restore(arrays)
        self._episode[:] = arrays["episode"]
        self._episode_step[:] = arrays["episode_step"]

    def _check_state(self, arrays: Arrays, values: Json) -> None:
        """Raise a `SegmentError` if a state is not that of a recorder such as this one."""
        counters = {name: values.get(name) for name in ("n_recorded", "num_timesteps", "capacity")}
        if not all(isinstance(value, int) and value >= 0 for value in counters.values()):
            raise SegmentError(
                f"The state of a recorder needs whole numbers. Received {counters}; restore it from a copy."
            )
        if values["capacity"] != self.capacity:
            raise SegmentError(
                f"The state is of a recorder with a capacity of {values['capacity']} steps, but this one has "
                f"{self.capacity}; make it with the same settings."
            )
        n_steps = min(values["n_recorded"], self.capacity)
        like = {name: (n_steps, array) for name, array in self._arrays.items() if name not in _OPTIONAL}
        like |= {"episode": (self.n_envs, self._episode), "episode_step": (self.n_envs, self._episode_step)}
        if "drawn_actions" in arrays:
            like["drawn_actions"] = (n_steps, self._arrays["actions"])
            like["has_drawn"] = (n_steps, np.zeros(0, dtype=bool))
        if "render_states" in arrays:
            states = arrays["render_states"]
            like["render_states"] = (n_steps, np.empty((0, self.n_envs, states.shape[-1]), dtype=states.dtype))
        if "next_newest" in arrays:
            n_ends = len(arrays.get("next_rows", ()))
            like["next_newest"] = (self.n_envs, self._arrays["observations"][0])
            like["next_ends"] = (n_ends, self._arrays["observations"][0])
            like |= {name: (n_ends, np.empty(0, dtype=np.int64)) for name in ("next_rows", "next_envs")}
            like["next_known_from"] = (1, np.empty(0, dtype=np.int64))
        for name, (length, array) in like.items():
            _check_array(name, arrays.get(name), (length, *array.shape[1:]), array.dtype)

    def _set_drawn_actions_aside(self) -> None:
        """Set memory aside for actions as they were drawn."""
        self._arrays["drawn_actions"] = np.zeros_like(self._arrays["actions"])
        self._arrays["has_drawn"] = np.zeros(self.capacity, dtype=bool)

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
        episodes = self._arrays["episodes"][rows]
        last = dones.copy()
        last[:-1] |= episodes[1:] != episodes[:-1]  # where it was cut short there is no `done`
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
            next_observation=self._next_observation(first + n_steps - 1, env),
            drawn_actions=self._drawn_actions(rows, env),
            env_index=int(env),
            episode=int(arrays["episodes"][rows[0], env]),
            start=int(arrays["episode_steps"][rows[0], env]),
            num_timesteps=self.num_timesteps,
        )

    def _next_observation(self, number: int, env: int) -> npt.NDArray[Any] | None:
        """Return what was observed after a step, which may have ended its episode."""
        if not self._next.are_known(number):
            return None
        kept = self._next.after(number, env)
        if kept is not None:
            return kept
        if number == self.n_recorded - 1:
            return self._next.newest(env)
        following: npt.NDArray[Any] = self._arrays["observations"][(number + 1) % self.capacity, env]
        return following

    def _drawn_actions(self, rows: npt.NDArray[np.int64], env: int) -> npt.NDArray[Any] | None:
        """Return the actions of some rows as drawn; None where one is unknown, or all are as they were sent."""
        if "drawn_actions" not in self._arrays or not self._arrays["has_drawn"][rows].all():
            return None
        drawn: npt.NDArray[Any] = self._arrays["drawn_actions"][rows, env]
        return None if np.array_equal(drawn, self._arrays["actions"][rows, env]) else drawn

    def _frames(self, observations: Any) -> npt.NDArray[Any]:
        """Return observations as they are kept: of stacked frames the newest only."""
        kept = as_array(self.observation_space, observations)
        return kept[..., -self._n_channels :] if self._n_channels else kept

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


def _check_array(name: str, found: npt.NDArray[Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if found is None or found.shape != shape or found.dtype != dtype:
        received = "none" if found is None else f"{found.dtype} of shape {found.shape}"
        raise SegmentError(
            f"The state of this recorder needs `{name}` as {dtype} of shape {shape}. Received {received}; "
            "it is of other environments, or damaged."
        )


def _rows(space: spaces.Space[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Set memory aside for `shape` elements of `space`, as `as_array` returns them."""
    if isinstance(space, spaces.Dict):
        return np.zeros((*shape, n_features(space)), dtype=np.float32)
    assert space.shape is not None
    return np.zeros((*shape, *space.shape), dtype=space.dtype)
