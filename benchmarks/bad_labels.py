"""What wrong answers do to a reward, how many a filter finds, and how soon who says the opposite is named.

    python -m benchmarks.bad_labels [--seeds 4] [--out PATH]

No agent is trained. A reward that is not linear is known; segments are random, and pairs of them are answered by
it, or turned round, with a known probability. The reward that is learned is fitted as in a run: first to a quarter
of the answers, then again whenever some more have come. Nothing is asserted.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
import tyro
from gymnasium import spaces
from rich.console import Console

from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, row, write
from prefrl.feedback.contradictions import Contradictions
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.evaluation import predict, probabilities_of
from prefrl.reward.label_filter import AS_LIKELY_AS_NOT
from prefrl.reward.wrong_answers import Answered
from prefrl.segments import Comparison, Segment
from prefrl.settings import RewardSettings

RESULTS = Path(__file__).parent / "results" / "bad_labels"
N_OBSERVED, N_ACTIONS, LENGTH = 6, 2, 20
N_LABELS, FIRST, PER_ROUND, N_CLEAN = 400, 100, 50, 1000
PER_ROUND_OF_PEOPLE = 20
FLIPPED = (0.0, 0.1, 0.2, 0.3)
PEOPLE, HOSTILE = ("ann", "bob", "cid", "dan"), "dan"
CASES: dict[str, dict[str, Any]] = {
    "none": {},
    "drop": {"label_filter": "drop"},
    "flip": {"label_filter": "flip"},
    "drop, RIME's bound": {"label_filter": "drop"},
    "reliability": {"reliability": True},
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure what wrong answers do."""

    seeds: int = 4
    """Tasks, rewards and answers of their own."""
    out: Path = RESULTS
    """Where to write (.json and .csv)."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of one training."""

    accuracy: float
    """On answers without an error that it was not trained on."""
    log_loss: float
    precision: float
    """Share of the distrusted answers that were turned round; NaN where none was distrusted."""
    recall: float
    """Share of those turned round that were distrusted; NaN where none was."""
    named_after: dict[str, int]
    """Who was named, and after how many of their answers."""


class Task:
    """Segments, and a reward of them that is not linear.

    Args:
        seed: Decides both.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self._weights = self._rng.normal(size=N_OBSERVED)

    def comparisons(self, n: int, flipped: float, hostile: str = "") -> tuple[list[Comparison], npt.NDArray[Any]]:
        """Return answers of four people in turn, and which of them say the opposite of what is true."""
        said, turned = [], []
        for number in range(n):
            segments = (self._segment(), self._segment())
            who = PEOPLE[number % len(PEOPLE)]
            is_turned = (self._rng.random() < flipped) is not (who == hostile)
            is_first = (segments[0].env_return > segments[1].env_return) is not is_turned
            said.append(
                Comparison(
                    segments=segments,
                    preferences=(float(is_first),),
                    teacher=who,
                    query_id=str(number),
                    seq=number,
                )
            )
            turned.append(is_turned)
        return said, np.array(turned)

    def _segment(self) -> Segment:
        middle = 0.5 * self._rng.normal(size=(1, N_OBSERVED))
        observations = (middle + self._rng.normal(size=(LENGTH, N_OBSERVED))).astype(np.float32)
        actions = self._rng.uniform(-1, 1, size=(LENGTH, N_ACTIONS)).astype(np.float32)
        rewards = np.tanh(observations @ self._weights) + 0.3 * observations[:, 0] * observations[:, 1]
        rewards -= 0.2 * (actions**2).sum(axis=1)
        return Segment(observations=observations, actions=actions, env_rewards=rewards.astype(np.float32))


def main(settings: Settings) -> None:
    """Measure, show and write."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    seeds = range(settings.seeds)
    for flipped in progress(FLIPPED, "answers turned round"):
        section = f"{flipped:.0%} of the answers turned round"
        for case in CASES:
            rows += list(_rows(section, case, [trained(case, flipped, seed) for seed in seeds]))
    cases = [(case, flipped) for flipped in (0.0, 0.1) for case in ("none", "drop", "reliability")]
    for case, flipped in progress(cases, "one of four says the opposite"):
        section = f"One of four people says the opposite, {flipped:.0%} of the answers turned round"
        found = [trained(case, flipped, seed, hostile=HOSTILE, per_round=PER_ROUND_OF_PEOPLE) for seed in seeds]
        rows += list(_rows(section, case, found))
        # Who is never named counts as after all answers, and one more.
        never = N_LABELS // len(PEOPLE) + 1
        rows.append(row(section, case, "named after", [one.named_after.get(HOSTILE, never) for one in found]))
        wrongly = [len(set(one.named_after) - {HOSTILE}) for one in found]
        rows.append(row(section, case, "others named", wrongly, value=sum(wrongly)))
    for section in dict.fromkeys(one.section for one in rows):
        print_table([one for one in rows if one.section == section], Console())
    about = {**machine(), "seeds": list(seeds), "labels": N_LABELS, "first": FIRST}
    write(rows, about, settings.out)


def _rows(section: str, case: str, found: Sequence[Found]) -> Iterator[Row]:
    """Yield means over seeds of what there is."""
    for measure, values in {
        "clean accuracy": [one.accuracy for one in found],
        "clean log-loss": [one.log_loss for one in found],
        "precision": [one.precision for one in found],
        "recall": [one.recall for one in found],
    }.items():
        known = [value for value in values if not math.isnan(value)]
        if known:
            yield row(section, case, measure, known, value=float(np.mean(known)))


def trained(case: str, flipped: float, seed: int, hostile: str = "", per_round: int = PER_ROUND) -> Found:
    """Fit a reward to answers as they come, and see what it makes of them."""
    task = Task(seed)
    said, is_turned = task.comparisons(N_LABELS, flipped, hostile)
    clean, _ = task.comparisons(N_CLEAN, 0.0)
    own = RewardSettings(**CASES[case])
    trainer = RewardTrainer(
        RewardEnsemble(
            spaces.Box(-np.inf, np.inf, (N_OBSERVED,), np.float32),
            spaces.Box(-1.0, 1.0, (N_ACTIONS,), np.float32),
            settings=own,
            seed=seed,
        )
    )
    contradictions, named_after = Contradictions(), dict[str, int]()
    with _bound_of(case):
        for start in [0, *range(FIRST, N_LABELS, per_round)]:
            new = said[start : FIRST if start == 0 else start + per_round]
            if start:
                called = probabilities_of(predict(trainer.ensemble, new), own.error_rate)
                for one, probability in zip(new, called, strict=True):
                    contradictions.note(one.teacher, float(probability))
                for name in contradictions.sentences():
                    named_after.setdefault(name, sum(one.teacher == name for one in said[: start + per_round]))
            trainer.add(new)
            trainer.fit(own.first_epochs if start == 0 else own.epochs)
    judged = trainer.evaluate(clean)
    is_distrusted = trainer.is_distrusted if own.label_filter != "none" else np.zeros(N_LABELS, dtype=bool)
    n_found = (is_distrusted & is_turned).sum()
    return Found(
        accuracy=float(judged.right.mean()),
        log_loss=float(judged.log_loss.mean()),
        precision=float(n_found / is_distrusted.sum()) if is_distrusted.any() else math.nan,
        recall=float(n_found / is_turned.sum()) if is_turned.any() and own.label_filter != "none" else math.nan,
        named_after=named_after,
    )


@contextmanager
def _bound_of(case: str) -> Iterator[None]:
    """Have answers be trusted up to RIME's bound, where the case says so."""
    if "RIME" not in case:
        yield
        return
    with patch("prefrl.reward.trainer.trust_bound", RimeBound()):
        yield


class RimeBound:
    """-log rho + rho / 2 + min(beta s, 3): rho is the largest KL that was trusted before, s the sd of all KL.

    Beta falls from 3 to 1 by 1/30 with each judgement (Cheng et al. 2024, section 4.1).
    """

    def __init__(self) -> None:
        self._largest, self._n_judgements = 1.0, 0

    def __call__(self, said: Answered, error_rate: float) -> float:
        """Return the bound for these answers."""
        kl = -said.probabilities[said.is_decided].log()
        beta = max(1.0, 3.0 - self._n_judgements / 30)
        raised = min(beta * float(kl.std()), 3.0)
        bound = max(AS_LIKELY_AS_NOT, -math.log(self._largest) + self._largest / 2 + raised)
        self._largest, self._n_judgements = float(kl[kl < bound].max()), self._n_judgements + 1
        return bound


if __name__ == "__main__":
    main(tyro.cli(Settings))
