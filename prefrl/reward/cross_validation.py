"""What a reward would say of each comparison, had it not been trained on it: cross-validation.

Every comparison is held out once, and judged by a reward that was fitted to the others from its first weights. So
two choices of settings can be compared on the same labels (Stone 1974, "Cross-validatory choice and assessment of
statistical predictions").
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from prefrl.errors import NotEnoughExperienceError, SettingError
from prefrl.reward.calibration import Calibration
from prefrl.reward.ensemble import RewardEnsemble
from prefrl.reward.evaluation import answered_probabilities, evaluate, predict
from prefrl.reward.trainer import RewardTrainer
from prefrl.segments import Comparison

FloatArray = npt.NDArray[np.float64]

Read = Callable[[Sequence[int]], Iterator[list[Comparison]]]
"""Yields the comparisons with these numbers, as many at once as memory has room for."""


class HeldOutScores(NamedTuple):
    """What rewards say of comparisons that each was not trained on."""

    right: FloatArray
    """Whether each is ranked as answered, as in `Evaluation`, shape [n]."""
    log_loss: FloatArray
    """-log P' of the answer, likewise."""
    calibration: Calibration
    """Of all pairs."""


def folds(queries: Mapping[int, Hashable], n_folds: int, seed: int) -> list[list[int]]:
    """Deal comparisons out into parts of nearly the same size; all answers to a query are in the same one.

    Args:
        queries: The query of each comparison, by the comparison's number.
        n_folds: Parts; at least 2.
        seed: Decides which are together.

    Raises:
        SettingError: `n_folds` is below 2.
        NotEnoughExperienceError: There are fewer queries than parts.
    """
    if n_folds < 2:
        raise SettingError(f"`folds` must be at least 2. Received {n_folds}.")
    different = list(dict.fromkeys(queries.values()))
    if len(different) < n_folds:
        raise NotEnoughExperienceError(
            f"{len(different)} queries have a comparison, and {n_folds} parts of them need one each; answer more, "
            "or choose fewer `folds`."
        )
    order = np.random.default_rng(seed).permutation(len(different))
    fold_of = {different[which]: place % n_folds for place, which in enumerate(order)}
    return [[seq for seq, query in queries.items() if fold_of[query] == fold] for fold in range(n_folds)]


def cross_validate(
    make_ensemble: Callable[[], RewardEnsemble],
    parts: Sequence[Sequence[int]],
    read: Read,
    *,
    n_epochs: int,
    told: Callable[[], None] = lambda: None,
) -> HeldOutScores:
    """Fit a reward for each part to all others, and have it judge that part.

    Args:
        make_ensemble: Makes the reward as it is before it has learned anything.
        parts: Numbers of comparisons, from `folds`.
        read: Where the comparisons come from.
        n_epochs: Passes over the comparisons.
        told: Called after each part.

    Returns:
        Of the comparisons in the order of the parts.
    """
    right, log_loss, calibration = [], [], Calibration()
    for part in parts:
        trainer = RewardTrainer(make_ensemble())
        others = sorted(seq for other in parts if other is not part for seq in other)
        fit_to(trainer, others, read, n_epochs=n_epochs)
        said = [one for some in read(part) for one in predict(trainer.ensemble, some)]
        error_rate = trainer.settings.error_rate
        of_part = evaluate(said, error_rate)
        right.append(of_part.right)
        log_loss.append(of_part.log_loss)
        calibration += Calibration.of(answered_probabilities(said, error_rate))
        told()
    return HeldOutScores(np.concatenate(right), np.concatenate(log_loss), calibration)


def fit_to(trainer: RewardTrainer, seqs: Sequence[int], read: Read, *, n_epochs: int) -> None:
    """Fit a reward to the comparisons with these numbers."""
    for some in read(seqs):
        trainer.add(some)
    trainer.fit(n_epochs)
