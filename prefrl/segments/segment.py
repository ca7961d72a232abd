"""Plain data: a segment, a query made of segments, and the comparison that results from an answer to it.

Words as in the paper and in DESIGN: a *segment* is consecutive transitions inside one episode; a *query* is
segments put to somebody without an answer; a *comparison* is a query with its answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from prefrl.errors import SegmentError
from prefrl.segments.answers import Strength, pairs_of

ARRAYS = (
    "observations",
    "actions",
    "env_rewards",
    "render_states",
    "lead_in",
    "next_observation",
    "drawn_actions",
)
"""Names of all arrays of a segment, in the order in which they enter its id.

New ones go to the end and may be None, so that old segments keep their ids.
"""
_PER_STEP = ("observations", "actions", "env_rewards", "render_states", "drawn_actions")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Consecutive transitions inside one episode.

    The arrays are copied, checked and made read-only. Two segments are the same when their `id` is.

    Raises:
        SegmentError: There is no step, or the shapes of the arrays do not fit together.
    """

    observations: npt.NDArray[Any]
    """Raw observations seen before each action, shape [T, *obs], in the space's own dtype."""
    actions: npt.NDArray[Any]
    """Actions as the environment got them (clipped), shape [T, *act]."""
    env_rewards: npt.NDArray[np.float32]
    """HIDDEN true reward per step, shape [T]. For synthetic teachers and for measuring; no learner reads it."""
    render_states: npt.NDArray[Any] | None = None
    """What redraws the frame in which each observation was seen, shape [T, S]: a simulator's state (float64) or
    the frame itself, compressed (uint8); None where nothing does."""
    lead_in: npt.NDArray[Any] | None = None
    """Observations before the first one, shape [K−1, *obs], where K frames are seen at once and each is kept once;
    zeros from before the episode began. None where one observation is all that is seen."""
    next_observation: npt.NDArray[Any] | None = None
    """Raw observation after the last action, shape [*obs]: the terminal one where the episode ended there, and the
    newest frame only where K frames are seen at once. None where it is not known, as in old segments."""
    drawn_actions: npt.NDArray[Any] | None = None
    """Actions as the policy drew them, before clipping, shape [T, *act]; None where that is not known, or the same
    as `actions`."""
    env_index: int = 0
    """Which of the parallel environments it comes from."""
    episode: int = 0
    """Number of the episode in that environment, from 0."""
    start: int = 0
    """Step of the episode at which the segment begins, from 0."""
    num_timesteps: int = 0
    """Environment steps, over all environments, that the agent had taken when the segment was cut."""
    _id: str = field(default="", init=False, repr=False)
    """The id, once it has been asked for; arrays are read-only, so it stays true."""

    def __post_init__(self) -> None:
        """Copy, check and freeze the arrays."""
        n_steps = len(self.actions)
        if n_steps == 0:
            raise SegmentError("A segment needs at least one step. Received none.")
        for name in ARRAYS:
            value = getattr(self, name)
            if value is None:
                continue
            if name in _PER_STEP and len(value) != n_steps:
                raise SegmentError(
                    f"All arrays of a segment must have one entry per step: `actions` has {n_steps}, "
                    f"`{name}` has {len(value)}."
                )
            dtype = np.float32 if name == "env_rewards" else None
            array = np.array(value, dtype=dtype, order="C")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        self._check_shape("next_observation", self.observations.shape[1:], like="an observation")
        self._check_shape("drawn_actions", self.actions.shape, like="`actions`")

    def _check_shape(self, name: str, expected: tuple[int, ...], *, like: str) -> None:
        value = getattr(self, name)
        if value is not None and value.shape != expected:
            raise SegmentError(f"`{name}` must have the shape of {like}, {expected}. Received {value.shape}.")

    @property
    def n_steps(self) -> int:
        """Number of transitions T."""
        return len(self.actions)

    @property
    def env_return(self) -> float:
        """HIDDEN true return: the undiscounted sum of `env_rewards`, in float64."""
        return float(self.env_rewards.sum(dtype=np.float64))

    @property
    def id(self) -> str:
        """Content hash (blake2b, 32 hex digits) of what happened and where; equal content has equal id."""
        if not self._id:
            object.__setattr__(self, "_id", self._hash(ARRAYS))
        return self._id

    @property
    def visible_id(self) -> str:
        """The same without the hidden true reward: what depends on it depends on nothing a learner may not see."""
        return self._hash([name for name in ARRAYS if name != "env_rewards"])

    def _hash(self, names: Iterable[str]) -> str:
        digest = blake2b(digest_size=16)
        digest.update(repr((self.env_index, self.episode, self.start)).encode())
        for name in names:
            value = getattr(self, name)
            if value is not None:
                digest.update(f"{name}{value.dtype.str}{value.shape}".encode())
                digest.update(value.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """Segments put to somebody: two to compare, more to rank, or one to rate.

    Raises:
        SegmentError: There is no segment.
    """

    segments: tuple[Segment, ...]
    """The segments, in the order in which answers name them."""
    ordinal: int
    """Number of the query within its run, from 0."""
    num_timesteps: int = 0
    """Environment steps the agent had taken when the query was made."""
    run: int = 0
    """Number of its run in the store that it is asked through, from 1; 0 before it is asked, and in what a store
    held before it knew its runs."""
    mean_env_reward: float | None = None
    """HIDDEN mean true reward of a step over the last episodes that had ended when the query was made, for
    teachers who go by it. Known only while a training asks: no store keeps it."""

    def __post_init__(self) -> None:
        """Check the number of segments."""
        if not self.segments:
            raise SegmentError("A query needs at least one segment. Received none.")

    @property
    def id(self) -> str:
        """Hash (32 hex digits) of run, ordinal and segments, so that a replayed run asks the same query.

        A query that is asked through a store has another id there than before, because it has a run by then.
        """
        parts = [str(self.ordinal), *(segment.id for segment in self.segments)]
        if self.run:  # older than runs are the ids without
            parts.insert(0, f"run {self.run}")
        return blake2b(":".join(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Segments and which of each two is better, or how good the one there is, according to whom.

    Raises:
        SegmentError: There are not as many preferences as pairs of segments; a preference is not 0, ½ or 1;
            equals, or more than two, differ in strength; one segment has no rating, or several have one.
    """

    segments: tuple[Segment, ...]
    """The segments that were compared, in the order of the query."""
    preferences: tuple[float, ...]
    """Of each two segments, in the order of `pairs_of`, the probability that the earlier one is better: 1, 0, or
    ½ for equal. Of two segments it is one number."""
    strength: Strength = Strength.UNSAID
    """How much better, where that was asked; of two segments only."""
    rating: int | None = None
    """How good the one segment is, from 1 to `prefrl.segments.answers.LEVELS`; None of several."""
    teacher: str = ""
    """Name of whoever answered."""
    query_id: str = ""
    """The query that was answered."""
    seq: int = 0
    """Number of the answer in its store; grows with time."""

    def __post_init__(self) -> None:
        """Check the numbers of segments and preferences, and the preferences."""
        n = len(self.segments)
        if n == 0 or (n == 1) is (self.rating is None):
            raise SegmentError(
                "A comparison is of two segments or more, or of one with a `rating`. Received "
                f"{n}, rated {self.rating}."
            )
        if len(self.preferences) != len(pairs_of(n)):
            raise SegmentError(
                f"A comparison of {n} segments has {len(pairs_of(n))} `preferences`, one of each two. Received "
                f"{len(self.preferences)}."
            )
        if not set(self.preferences) <= {0.0, 0.5, 1.0}:
            raise SegmentError(f"Each of `preferences` must be 0, 0.5 or 1. Received {self.preferences}.")
        if self.strength is not Strength.UNSAID and (n != 2 or self.is_tie):
            raise SegmentError(
                f"Only one of two may be better by so much, and no equals are. Received {self.strength!r}."
            )

    @property
    def is_tie(self) -> bool:
        """Whether all are equal."""
        return set(self.preferences) == {0.5}

    @property
    def preference(self) -> float:
        """Of two segments, the probability that the first is better: 1, 0, or ½ for equal.

        Raises:
            SegmentError: There are more or fewer segments.
        """
        if len(self.segments) != 2:
            raise SegmentError(f"Only of two segments one is the better. Received {len(self.segments)}.")
        return self.preferences[0]

    @property
    def first(self) -> Segment:
        """The segment that `preference` speaks of."""
        return self.segments[0]

    @property
    def second(self) -> Segment:
        """The other one."""
        return self.segments[1]
