"""Another reward on the labels that a run has, compared with the run's own settings.

Both are judged on the same comparisons, each by a reward that was not trained on it; then the other reward is
fitted to all of them and written down. Nothing of the run is changed.
"""

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from prefrl.agents.old_labels import learned_first
from prefrl.agents.preference_checks import check_crops
from prefrl.config import flat
from prefrl.errors import RunError, SettingError
from prefrl.feedback.labels import read_in_parts
from prefrl.feedback.repeats import coin_share
from prefrl.files import write_json
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.cross_validation import HeldOutScores, cross_validate, fit_to, folds
from prefrl.reward.epic import epic_distance, transitions_of
from prefrl.runs.folder import RunFolder
from prefrl.seeding import Streams
from prefrl.segments import Comparison, space_from_json
from prefrl.settings import RewardSettings
from prefrl.store import Store

REFIT_FILE = "refit.json"
CONFIDENCE = 0.95
COMPARED = 64
"""Comparisons on whose segments two rewards are compared."""
READ_AT_ONCE = 64
"""Comparisons in memory beside those that the reward has read."""


Told = Callable[[int, int], None]
"""Is told how many fits are done, of how many in all."""


def refit(
    run: RunFolder,
    settings: RewardSettings,
    *,
    out: Path | None = None,
    n_folds: int = 5,
    seed: int = 0,
    told: Told = lambda done, of: None,
) -> dict[str, Any]:
    """Fit another reward to the labels of a run, and compare it with one of the run's settings.

    Args:
        run: Whose labels; a training that goes on there is not disturbed.
        settings: Of the other reward; `first_epochs` passes over the labels are made.
        out: Folder for the reward, which must not exist; by default `refits/N` in the run.
        n_folds: Parts of cross-validation.
        seed: Decides parts, first weights and orders, the same for both.
        told: Called after each fit.

    Returns:
        What refit.json says: settings that differ, held-out scores of both, differences with intervals, and the
        EPIC distance of the reward from the run's own (None where it is not known).

    Raises:
        RunError: There are no labels, or `out` exists or cannot be written.
        NotEnoughExperienceError: There are fewer labels than parts.
        SettingError: A figure is out of range.
    """
    config = run.config()
    torch.set_num_threads(config.n_threads)
    target = _free(out) if out is not None else _numbered(run.path / "refits")
    changes = _changes(config.reward_model, settings)
    _check_labels_alone(changes, settings)
    n_fits = n_folds * (2 if changes else 1) + 1
    done = count(1)
    with _labels_of(run) as labels:
        parts = folds(labels.queries, n_folds, seed)

        def scores(chosen: RewardSettings) -> HeldOutScores:
            return cross_validate(
                lambda: labels.ensemble(chosen, seed, config.device),
                parts,
                labels.read,
                n_epochs=chosen.first_epochs,
                told=lambda: told(next(done), n_fits),
            )

        new = scores(settings)
        old = scores(config.reward_model) if changes else new
        trainer = RewardTrainer(labels.ensemble(settings, seed, config.device))
        fit_to(trainer, list(labels.queries), labels.read, n_epochs=settings.first_epochs)
        apart = labels.distance(trainer.ensemble, run.reward_model)
    result = {
        "labels": len(labels.queries),
        "folds": n_folds,
        "seed": seed,
        "changes": changes,
        "held_out": {"run": _summary(old), "refit": _summary(new)},
        "difference": {
            "accuracy": _difference(new.right - old.right),
            "log_loss": _difference(new.log_loss - old.log_loss),
        },
        "epic_distance": apart,
        "reward_model": str(target),
    }
    _write(trainer.ensemble, result, target)
    told(next(done), n_fits)
    return result


def label_seqs(run: RunFolder) -> list[int]:
    """Return the numbers of the labels that the newest run of a folder's store learns from, in their order.

    What is said otherwise later gets another number.

    Raises:
        RunError: There are none.
    """
    with _labels_of(run) as labels:
        return list(labels.queries)


def fit_anew(run: RunFolder, seqs: Sequence[int]) -> RewardEnsemble:
    """Return a reward of the run's settings, fitted anew to the labels with these numbers.

    Raises:
        RunError: There are no labels.
    """
    config = run.config()
    torch.set_num_threads(config.n_threads)
    _check_labels_alone({}, config.reward_model)
    with _labels_of(run) as labels:
        trainer = RewardTrainer(labels.ensemble(config.reward_model, config.seed, config.device))
        fit_to(trainer, seqs, labels.read, n_epochs=config.reward_model.first_epochs)
    return trainer.ensemble


@contextmanager
def _labels_of(run: RunFolder) -> Iterator["_Labels"]:
    if not (run.path / "store.sqlite").exists():
        raise RunError(f"{run.path} has no labels: nobody was asked in this run.")
    with Store(run.path) as store:
        yield _Labels(store, run.path)


class _Labels:
    """What was said in the newest run of a store, and in those that it learned first.

    Raises:
        RunError: Nothing was.
    """

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        newest = store.runs()[-1:]
        seqs = [*learned_first(store, newest[0].id), *store.comparison_seqs(run=newest[0].id)] if newest else []
        if not seqs or newest[0].about is None:
            raise RunError(f"{path} has no labels yet: nobody has answered; wait for the first.")
        self._about = newest[0].about
        query_of = {answer.seq: answer.query_id for answer in store.answers()}
        self.queries = {seq: query_of[seq] for seq in seqs}
        """The query of each comparison, by the comparison's number."""

    def read(self, seqs: Sequence[int]) -> Iterator[list[Comparison]]:
        """Yield comparisons, some at once."""
        return read_in_parts(self._store, seqs, READ_AT_ONCE)

    def distance(self, reward: RewardEnsemble, folder: Path) -> float | None:
        """Return the EPIC distance of a reward from the one in a folder, on the segments that were compared.

        None where that is not known: there is no such reward yet, or what is observed are stacked frames or named.
        """
        if not folder.is_dir() or self._about.frame_stack > 1:
            return None
        some = list(self.queries)[:: 1 + len(self.queries) // COMPARED]
        steps = transitions_of(
            one for part in self.read(some) for comparison in part for one in comparison.segments
        )
        own = RewardEnsemble.load(folder)
        if steps is None or not own.fitted or own.inputs.next_observation != reward.inputs.next_observation:
            return None
        apart = epic_distance(reward.predict, own.predict, steps)
        return apart if np.isfinite(apart) else None

    def ensemble(self, settings: RewardSettings, seed: int, device: str) -> RewardEnsemble:
        """Make a reward for the run's spaces.

        Raises:
            SettingError: The run's segments are too short for its crops.
        """
        check_crops(settings, self._about.segment_length)
        if settings.error_rate_from_repeats:
            history, aside = self._store.history(None, limit=None), self._store.aside()
            settings = replace(settings, error_rate=coin_share(history, settings.error_rate, aside))
        return RewardEnsemble(
            space_from_json(self._about.observation_space),
            space_from_json(self._about.action_space),
            settings=settings,
            frame_stack=self._about.frame_stack,
            seed=Streams(seed).integer("refit"),
            device=device,
        )


def _write(ensemble: RewardEnsemble, result: dict[str, Any], target: Path) -> None:
    try:
        ensemble.save(target)
        write_json(target / REFIT_FILE, result)
    except OSError as error:
        raise RunError(f"The reward cannot be written to {target}: {error}.") from error


def _changes(own: RewardSettings, other: RewardSettings) -> dict[str, dict[str, Any]]:
    """Return what differs, by name."""
    was, now = flat(asdict(own)), flat(asdict(other))
    return {name: {"run": was[name], "refit": now[name]} for name in was if was[name] != now[name]}


def _check_labels_alone(changes: Collection[str], settings: RewardSettings) -> None:
    """Say what a fit to labels, without the experience about them, cannot do.

    Raises:
        SettingError: That is all that is to be compared.
    """
    if any(name.startswith("pseudo_") for name in changes):
        raise SettingError(
            "Pseudo-labels need experience that nobody was asked about, which a run does not keep, so that the "
            "same would be compared with itself. Leave `pseudo_weight`, `pseudo_threshold` and `pseudo_ratio` as "
            "they are in the run, and try others in a training."
        )
    if settings.pseudo_weight:
        warnings.warn(
            "The reward is fitted to labels alone, without the pseudo-labels of its settings: a run keeps no "
            "experience that nobody was asked about.",
            stacklevel=3,
        )


def _summary(scores: HeldOutScores) -> dict[str, float | None]:
    """Return means as JSON knows them: None where there are only ties."""
    figures = {
        "accuracy": _mean(scores.right),
        "log_loss": _mean(scores.log_loss),
        "brier": scores.calibration.brier,
        "calibration_error": scores.calibration.error,
    }
    return {name: float(value) if np.isfinite(value) else None for name, value in figures.items()}


def _difference(differences: npt.NDArray[np.float64]) -> dict[str, float | None]:
    """Return the mean of paired differences with its interval by Student's t; None where it is not known.

    The rewards of two parts share most of what they were trained on, so the interval is somewhat too narrow.
    """
    known = differences[np.isfinite(differences)]
    if len(known) < 2:
        return {"mean": _mean(known) if len(known) else None, "low": None, "high": None}
    if known.std() == 0:
        return dict.fromkeys(("mean", "low", "high"), float(known[0]))
    low, high = stats.t.interval(CONFIDENCE, len(known) - 1, loc=known.mean(), scale=stats.sem(known))
    return {"mean": float(known.mean()), "low": float(low), "high": float(high)}


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _free(folder: Path) -> Path:
    if folder.exists():
        raise RunError(f"{folder} exists already; choose another --out.")
    return folder


def _numbered(parent: Path) -> Path:
    taken = [int(path.name) for path in parent.glob("*") if path.name.isdecimal()]
    return parent / str(1 + max(taken, default=0))
