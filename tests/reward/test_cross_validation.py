"""Cross-validation: every comparison is judged once, by a reward that has not seen it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from prefrl.errors import NotEnoughExperienceError, SettingError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.cross_validation import Read, cross_validate, folds
from prefrl.segments import Comparison

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]


def reader(comparisons: Sequence[Comparison]) -> Read:
    by_seq = {comparison.seq: comparison for comparison in comparisons}

    def read(seqs: Sequence[int]) -> Iterator[list[Comparison]]:
        for start in range(0, len(seqs), 7):
            yield [by_seq[seq] for seq in seqs[start : start + 7]]

    return read


def test_answers_to_a_query_stay_together() -> None:
    queries = {seq: f"q{seq % 11}" for seq in range(40)}
    parts = folds(queries, 4, seed=3)
    assert sorted(seq for part in parts for seq in part) == list(range(40))
    owners = [{queries[seq] for seq in part} for part in parts]
    assert sum(map(len, owners)) == 11
    assert {len(part) for part in owners} == {2, 3}
    assert folds(queries, 4, seed=3) == parts
    assert folds(queries, 4, seed=4) != parts


def test_too_few_to_part() -> None:
    with pytest.raises(SettingError, match=r"`folds` must be at least 2\. Received 1"):
        folds({1: "a", 2: "b"}, 1, seed=0)
    with pytest.raises(NotEnoughExperienceError, match="1 queries have a comparison, and 2 parts"):
        folds({1: "a", 2: "a"}, 2, seed=0)


def test_each_part_is_judged_by_a_reward_of_the_others(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    comparisons = make_comparisons(24)
    parts = folds({one.seq: one.query_id for one in comparisons}, 3, seed=0)
    told: list[int] = []
    found = cross_validate(make_ensemble, parts, reader(comparisons), n_epochs=2, told=lambda: told.append(1))
    assert len(told) == 3
    for number, part in enumerate(parts):
        trainer = RewardTrainer(make_ensemble())
        trainer.add([one for one in comparisons if one.seq not in part])
        trainer.fit(2)
        said = trainer.evaluate([comparisons[seq] for seq in part])
        at = slice(8 * number, 8 * (number + 1))
        assert found.right[at].tolist() == said.right.tolist()
        assert found.log_loss[at] == pytest.approx(said.log_loss, rel=1e-4)
    assert found.calibration.n == 24
    assert found.calibration.hits.sum() == found.right.sum()


def test_what_cannot_be_known_is_not(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    """Answers by a coin are learned by heart, and guessed where they are held out."""
    coin = np.random.default_rng(0)
    comparisons = [replace(one, preferences=(float(coin.integers(2)),)) for one in make_comparisons(120)]
    parts = folds({one.seq: one.query_id for one in comparisons}, 4, seed=0)

    def make() -> RewardEnsemble:
        return make_ensemble(hidden_sizes=(64, 64), l2=0.0, error_rate=0.0, learning_rate=1e-2)

    found = cross_validate(make, parts, reader(comparisons), n_epochs=60)
    trainer = RewardTrainer(make())
    trainer.add(comparisons)
    trainer.fit(60)
    assert np.mean(trainer.evaluate(comparisons).right) > 0.85
    assert 0.3 < np.mean(found.right) < 0.7
    assert found.calibration.error > 0.2, "what is learned by heart is sure of itself"
