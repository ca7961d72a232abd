"""What the reward learns of new comparisons, and what it would have said of them before.

Comparisons are taken in as they come, and judged by the reward before it is trained on them; a refit trains on
all of them.
"""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prefrl.errors import FaultyEnvError
from prefrl.feedback import News
from prefrl.memory import give_back_memory
from prefrl.parts import Json
from prefrl.reward import RewardMetrics, RewardTrainer
from prefrl.segments import Comparison, SegmentRecorder

MANY_TIES, ENOUGH_ANSWERS = 0.8, 20
"""Where more than this share of so many answers are ties, they teach next to nothing."""
MUCH_IS_NEW = 0.1
"""Share of new comparisons from which on a fit has all of its passes (docs/findings/few-labels.md)."""


class Refit(NamedTuple):
    """One round of asking and fitting."""

    metrics: RewardMetrics
    fresh_accuracy: float
    """Accuracy on the new comparisons before they were trained on; NaN in the first round."""
    fresh_log_loss: float
    """Log-loss on the same."""
    fresh_disagreement: float
    """Standard deviation over members of the preference they predict for the same, mean over comparisons."""
    seconds: float
    """Wall time of asking and fitting."""


class Fresh(NamedTuple):
    """What the reward said of a comparison before it was trained on it; NaN before the first fit."""

    seq: int
    right: float
    """1 or 0; NaN for a tie."""
    log_loss: float
    """In nats; NaN for a tie."""
    disagreement: float
    """Standard deviation over members of the preference they predict."""


class Refits:
    """Takes in comparisons, and fits the reward to all of them.

    Args:
        trainer: Of the reward.
        recorder: Whose steps the reward's inputs are normalised by.
    """

    def __init__(self, trainer: RewardTrainer, recorder: SegmentRecorder) -> None:
        self._trainer, self._recorder = trainer, recorder
        self._reward = trainer.ensemble
        self._normalised_until = 0
        self._fresh: list[Fresh] = []
        self._n_changed = 0
        self._ties: set[int] = set()
        self._has_warned = False

    @property
    def n_fresh(self) -> int:
        """Comparisons taken in since the last fit."""
        return len(self._fresh)

    @property
    def n_new(self) -> int:
        """The same, and those that were replaced or taken back since then."""
        return len(self._fresh) + self._n_changed

    def take(self, news: News, *, is_new: bool = True) -> None:
        """Have the trainer keep what it needs of comparisons; what the reward says of new ones is asked first."""
        outdated = set(news.outdated)
        if outdated:
            self._fresh = [fresh for fresh in self._fresh if fresh.seq not in outdated]
            self._ties -= outdated
            self._trainer.forget(outdated)
            self._n_changed += len(outdated)
        comparisons = news.comparisons
        if not comparisons:
            return
        self._fresh += self._judged(comparisons, is_new)
        self._ties.update(comparison.seq for comparison in comparisons if comparison.is_tie)
        self._trainer.add(comparisons)

    def fit(self) -> Refit:
        """Train the reward on all comparisons, the fresh ones included.

        Raises:
            FaultyEnvError: An environment has returned NaN or infinity: all rewards would be NaN from now on.
        """
        n_epochs = self._n_epochs()
        n_new = self._recorder.n_recorded - self._normalised_until
        self._normalised_until = self._recorder.n_recorded
        inputs = self._reward.inputs
        if not inputs.is_fixed and n_new:
            observations, actions = self._recorder.latest_observations(n_new), self._recorder.latest_actions(n_new)
            _check_finite(observations, actions)
            inputs.update(observations, actions)
        metrics = self._trainer.fit(n_epochs)
        # Only now: what a fit was stopped in is fitted again.
        fresh, self._fresh, self._n_changed = self._fresh, [], 0
        give_back_memory()
        self._warn_of_ties(metrics.n_comparisons)
        return Refit(
            metrics,
            fresh_accuracy=_mean([one.right for one in fresh]),
            fresh_log_loss=_mean([one.log_loss for one in fresh]),
            fresh_disagreement=_mean([one.disagreement for one in fresh]),
            seconds=0.0,
        )

    def values(self) -> Json:
        """Return what is pending, for JSON."""
        return {
            "normalised_until": self._normalised_until,
            "fresh": [[None if value != value else value for value in fresh] for fresh in self._fresh],
            "n_changed": self._n_changed,
            "ties": sorted(self._ties),
        }

    def restore(self, values: Json) -> None:
        """Go on where `values` was called."""
        self._normalised_until = values["normalised_until"]
        self._fresh = [
            Fresh._make(math.nan if value is None else value for value in fresh) for fresh in values["fresh"]
        ]
        self._n_changed, self._ties = values["n_changed"], set(values.get("ties", []))

    def _judged(self, comparisons: list[Comparison], are_new: bool) -> list[Fresh]:
        """Return what the reward says of comparisons, as long as it was not trained on them."""
        seqs = [comparison.seq for comparison in comparisons]
        if not self._reward.fitted or not are_new:
            return [Fresh(seq, math.nan, math.nan, math.nan) for seq in seqs]
        said = self._trainer.evaluate(comparisons)
        return list(map(Fresh, seqs, said.right.tolist(), said.log_loss.tolist(), said.disagreement.tolist()))

    def _n_epochs(self) -> int:
        """Return the passes of a fit: fewer where little is new, as what is known was seen in all fits before."""
        settings = self._trainer.settings
        if not self._reward.fitted:
            return settings.first_epochs
        share = self.n_new / max(1, self._trainer.n_comparisons)
        return math.ceil(settings.epochs * min(1.0, share / MUCH_IS_NEW))

    def _warn_of_ties(self, n_comparisons: int) -> None:
        """Warn, once, where nearly nothing was preferred, or nearly all was rated alike."""
        self._warn_of_one_level()
        n_known = self._trainer.n_known
        if self._has_warned or n_comparisons < ENOUGH_ANSWERS or len(self._ties) <= MANY_TIES * n_known:
            return
        self._has_warned = True
        warnings.warn(
            f"{len(self._ties)} of {n_known} answers are ties, from which the reward learns next to nothing: the "
            "true reward is nearly the same in all clips. Make segments longer, choose another teacher, or start "
            "from behaviour that sometimes earns something.",
            stacklevel=4,
        )

    def _warn_of_one_level(self) -> None:
        """Warn, once, where nearly all ratings are of one level."""
        counts = self._trainer.level_counts
        n_rated = int(counts.sum())
        if self._has_warned or n_rated < ENOUGH_ANSWERS or counts.max() <= MANY_TIES * n_rated:
            return
        self._has_warned = True
        warnings.warn(
            f"{counts.max()} of {n_rated} ratings are {1 + counts.argmax()}, from which the reward learns next to "
            "nothing. Have the levels tell what the agent does now apart (of a synthetic teacher, by its "
            "`rating_range`), or ask for pairs.",
            stacklevel=5,
        )


def _check_finite(observations: npt.NDArray[Any], actions: npt.NDArray[Any]) -> None:
    for what, array in (("observation", observations), ("action", actions)):
        names = array.dtype.names
        for values in [array] if names is None else [array[name] for name in names]:
            if not np.isfinite(values).all():
                raise FaultyEnvError(
                    f"An {what} was NaN or infinite, from which no reward can be learned; see what the "
                    f"environment {'returned' if what == 'observation' else 'was given'}."
                )


def _mean(values: list[float]) -> float:
    """Mean of those that are numbers; NaN if none is."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(np.mean(numbers)) if numbers else math.nan
