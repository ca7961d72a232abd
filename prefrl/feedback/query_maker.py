"""The query maker: turns recorded experience into numbered queries of one run."""

from collections.abc import Callable

import numpy as np

from prefrl.feedback.strategies import PredictReturns, make_strategy
from prefrl.parts import Arrays, Json, State
from prefrl.segments import Query, SegmentRecorder, feedback_kind
from prefrl.settings import FeedbackSettings

# Segments of about so many bytes are cut and answered at once; whoever asks for more does so in parts.
BYTES_AT_ONCE = 2**26


class QueryMaker:
    """Makes queries about recent experience; the same ones again from the same state.

    Args:
        recorder: Where segments are cut from.
        settings: The strategy, and the length of segments.
        rng: Where the choice of segments comes from.
        predict_returns: Members' returns of segments, for strategies that look at them.
        mean_env_reward: Mean true reward of a step of late, which queries then know; None where they need not.
    """

    def __init__(
        self,
        recorder: SegmentRecorder,
        settings: FeedbackSettings,
        rng: np.random.Generator,
        predict_returns: PredictReturns,
        *,
        mean_env_reward: Callable[[], float | None] | None = None,
    ) -> None:
        self._recorder = recorder
        self._strategy = make_strategy(settings)
        self._length = settings.segment_length
        self.n_segments = feedback_kind(settings.kind).n_segments(settings.ranking_size)
        """Segments of a query."""
        self._rng = rng
        self._predict_returns = predict_returns
        self._mean_env_reward = mean_env_reward
        self.n_made = 0
        """Queries made so far."""

    @property
    def is_ready(self) -> bool:
        """Whether there are enough segments to ask about."""
        return self._recorder.n_starts(self._length) >= self.n_segments

    @property
    def most_at_once(self) -> int:
        """How many queries to make at once, so that memory is not filled with clips; at least 1."""
        recorder = self._recorder
        bytes_per_step = recorder.n_bytes / (recorder.capacity * recorder.n_envs)
        return max(1, int(BYTES_AT_ONCE / (self.n_segments * self._length * bytes_per_step)))

    def make(self, n: int, num_timesteps: int) -> list[Query]:
        """Return `n` new queries.

        Raises:
            NotEnoughExperienceError: `is_ready` is False.
        """
        groups = self._strategy.select(
            self._recorder,
            n,
            n_segments=self.n_segments,
            length=self._length,
            rng=self._rng,
            predict_returns=self._predict_returns,
        )
        first = self.n_made
        self.n_made += len(groups)
        mean = None if self._mean_env_reward is None else self._mean_env_reward()
        return [
            Query(segments=group, ordinal=first + i, num_timesteps=num_timesteps, mean_env_reward=mean)
            for i, group in enumerate(groups)
        ]

    def state(self) -> State:
        """Return how many were made, and where the random numbers are."""
        return {}, {"n_made": self.n_made, "rng": self._rng.bit_generator.state}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken."""
        self.n_made = values["n_made"]
        self._rng.bit_generator.state = values["rng"]
