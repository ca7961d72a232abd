"""What the reward learns of new comparisons, and what it would have said of them before.

Comparisons are taken in as they come, and judged by the reward before it is trained on them; a refit trains on
all of them.
"""

import math
import warnings
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prefrl.agents.reward_alarm import RewardAlarm
from prefrl.agents.unlabelled_pairs import UnlabelledPairs
from prefrl.errors import FaultyEnvError
from prefrl.feedback import News
from prefrl.feedback.contradictions import Contradictions
from prefrl.memory import give_back_memory
from prefrl.parts import Json
from prefrl.reward import RewardMetrics, RewardTrainer
from prefrl.reward.calibration import Calibration
from prefrl.reward.evaluation import Predicted, answered_probabilities, evaluate, predict, probabilities_of
from prefrl.reward.pseudo_labels import Pair
from prefrl.segments import SegmentRecorder

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
    pseudo_labels: float = math.nan
    """Pseudo-labels that a gradient step learned from, mean over steps and members; NaN where there were no
    unlabelled pairs."""


class Fresh(NamedTuple):
    """A comparison that the reward was not trained on yet, and what the reward said of it when it came."""

    seq: int
    said: Predicted | None
    """None before the first fit, and of comparisons that are not new."""
    labeler: str
    """Who answered; empty where that is not known."""


class Refits:
    """Takes in comparisons, and fits the reward to all of them.

    Args:
        trainer: Of the reward.
        recorder: Whose steps the reward's inputs are normalised by.
        unlabelled: Pairs that nobody was asked about, for every fit but the first; None for none.
    """

    def __init__(
        self, trainer: RewardTrainer, recorder: SegmentRecorder, unlabelled: UnlabelledPairs | None = None
    ) -> None:
        self._trainer, self._recorder, self._unlabelled = trainer, recorder, unlabelled
        self._reward = trainer.ensemble
        self._normalised_until = 0
        self._fresh: list[Fresh] = []
        self._n_changed = 0
        self._ties: set[int] = set()
        self._has_warned = False
        self._fitted_queries: set[str] = set()
        self._pending_queries: set[str] = set()
        self.calibration = Calibration()
        """Of all comparisons that came after the first fit, by what was said of them then."""
        self.alarm = RewardAlarm()
        """What was right of that, the latest beside what was before."""
        self._contradictions = Contradictions()
        self._warned_of: set[str] = set()

    @property
    def n_fresh(self) -> int:
        """Comparisons taken in since the last fit."""
        return len(self._fresh)

    @property
    def n_new(self) -> int:
        """The same, and those that were replaced or taken back since then."""
        return len(self._fresh) + self._n_changed

    def warnings_of_people(self, aside: Collection[str] = ()) -> dict[str, str]:
        """Return what somebody should look at, by name of whose answers contradict the reward; a sentence each.

        Args:
            aside: People whose answers are set aside, as of `Contradictions.sentences`.
        """
        return self._contradictions.sentences(aside)

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
        # Judged at the next fit, as ratings are beside each other, and people's come one by one.
        # Where somebody has said something of the same clips before, they are not new to the reward.
        is_judged = is_new and self._reward.fitted
        judged = [one for one in comparisons if is_judged and one.query_id not in self._fitted_queries]
        said = {one.seq: theirs for one, theirs in zip(judged, predict(self._reward, judged), strict=True)}
        self._fresh += [Fresh(one.seq, said.get(one.seq), one.teacher) for one in comparisons]
        self._pending_queries.update(one.query_id for one in comparisons)
        self._ties.update(comparison.seq for comparison in comparisons if comparison.is_tie)
        self._trainer.add(comparisons)

    def fit(self, aside: Collection[str] = ()) -> Refit:
        """Train the reward on all comparisons, the fresh ones included.

        Args:
            aside: People whose answers are set aside, of whom nobody is warned.

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
        unlabelled: list[Pair] = []
        if self._unlabelled is not None and self._reward.fitted:  # what first weights are sure of is noise
            unlabelled = self._unlabelled.draw()
        metrics = self._trainer.fit(n_epochs, unlabelled=unlabelled)
        said = [one.said for one in self._fresh if one.said is not None]
        error_rate = self._trainer.error_rate
        fresh = evaluate(said, error_rate)
        self._note(probabilities_of(said, error_rate))
        self.calibration += Calibration.of(answered_probabilities(said, error_rate))
        self.alarm.take(fresh.right)
        # Only now: what a fit was stopped in is fitted again.
        self._fresh, self._n_changed = [], 0
        self._fitted_queries |= self._pending_queries
        self._pending_queries = set()
        give_back_memory()
        self._warn_of_ties(metrics.n_comparisons)
        self._warn_of_people(aside)
        return Refit(
            metrics,
            fresh_accuracy=_mean(fresh.right),
            fresh_log_loss=_mean(fresh.log_loss),
            fresh_disagreement=_mean(fresh.disagreement),
            seconds=0.0,
            pseudo_labels=self._trainer.n_pseudo_labels,
        )

    def values(self) -> Json:
        """Return what is pending, for JSON."""
        return {
            "normalised_until": self._normalised_until,
            "fresh": [[one.seq, _said_json(one.said)] for one in self._fresh],
            "fresh_labelers": [one.labeler for one in self._fresh],
            "n_changed": self._n_changed,
            "ties": sorted(self._ties),
            "calibration": self.calibration.to_json(),
            "alarm": self.alarm.values(),
            "contradictions": self._contradictions.to_json(),
            "warned_of": sorted(self._warned_of),
            "fitted_queries": sorted(self._fitted_queries),
            "pending_queries": sorted(self._pending_queries),
        }

    def restore(self, values: Json) -> None:
        """Go on where `values` was called."""
        self._normalised_until = values["normalised_until"]
        # In checkpoints of before what was said of each is three numbers: of these few no more is told.
        labelers = values.get("fresh_labelers") or [""] * len(values["fresh"])
        self._fresh = [
            Fresh(seq, _said_of(said[0]) if len(said) == 1 else None, labeler)
            for (seq, *said), labeler in zip(values["fresh"], labelers, strict=True)
        ]
        self._n_changed, self._ties = values["n_changed"], set(values.get("ties", []))
        self._fitted_queries = set(values.get("fitted_queries", ()))
        self._pending_queries = set(values.get("pending_queries", ()))
        counts = values.get("calibration")
        self.calibration = Calibration.from_json(counts) if counts else Calibration()
        self.alarm = RewardAlarm()
        if "alarm" in values:
            self.alarm.restore(values["alarm"])
        self._contradictions = Contradictions.from_json(values.get("contradictions", {}))
        self._warned_of = set(values.get("warned_of", ()))

    def _n_epochs(self) -> int:
        """Return the passes of a fit: fewer where little is new, as what is known was seen in all fits before."""
        settings = self._trainer.settings
        if not self._reward.fitted:
            return settings.first_epochs
        share = self.n_new / max(1, self._trainer.n_comparisons)
        return math.ceil(settings.epochs * min(1.0, share / MUCH_IS_NEW))

    def _note(self, probabilities: npt.NDArray[np.float64]) -> None:
        """Take note of who says what the reward had expected, by how probable it called what is judged, in order.

        A ranking counts once, by the mean of its pairs; so does a rating, by those beside which it is judged.
        """
        labelers = [one.labeler for one in self._fresh if one.said is not None]
        for labeler, probability in zip(labelers, probabilities, strict=True):
            if labeler and not math.isnan(probability):
                self._contradictions.note(labeler, float(probability))

    def _warn_of_people(self, aside: Collection[str]) -> None:
        """Warn, once of each, of people whose answers contradict what was learned from the others."""
        for name, sentence in self.warnings_of_people(aside).items():
            if name not in self._warned_of:
                self._warned_of.add(name)
                warnings.warn(
                    f"{name}: {sentence} Look at these answers under History, and set them aside under People if "
                    "they are wrong.",
                    stacklevel=4,
                )

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


def _mean(values: npt.NDArray[np.float64]) -> float:
    """Mean of those that are numbers; NaN if none is."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else math.nan


def _said_json(said: Predicted | None) -> Json | None:
    if said is None:
        return None
    return {"returns": said.returns.tolist(), "preferences": list(said.preferences), "rating": said.rating}


def _said_of(values: Json | None) -> Predicted | None:
    if values is None:
        return None
    return Predicted(np.array(values["returns"]), values["preferences"], values["rating"])
