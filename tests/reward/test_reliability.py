"""How reliable each person is, and what is learned from those who say the opposite."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.losses import comparison_loss, preference_loss, strength_log_probabilities
from prefrl.reward.reliability import MOST, reliabilities
from prefrl.reward.wrong_answers import Answered
from prefrl.segments import Comparison, Strength

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]


def by_turns(comparisons: list[Comparison], hostile: str = "") -> list[Comparison]:
    """Answers of four people, one of whom says the opposite."""
    people = ("ann", "bob", "cid", "dan")
    return [
        replace(one, teacher=who, preferences=(1 - one.preference if who == hostile else one.preference,))
        for one, who in ((one, people[i % 4]) for i, one in enumerate(comparisons))
    ]


# --- eta --------------------------------------------------------------------------------------------------


def test_each_persons_answers_tell_of_this_person() -> None:
    p = torch.tensor([1e-6, 1 - 1e-6] * 50)[:, None]
    decided = torch.ones_like(p, dtype=torch.bool)
    found = reliabilities(Answered(p, decided), ["hostile", "sound"] * 50, 0.1)
    assert found["hostile"] == pytest.approx(1 - 51 / 70, abs=1e-3)  # of 50 answers 50 wrong, and 1 of 20 before
    assert found["sound"] == pytest.approx(0.95), "no more than is assumed of everybody"
    assert list(found) == ["hostile", "sound"]


def test_without_answers_that_prefer_one_everybody_is_as_assumed() -> None:
    nothing = Answered(torch.full((2, 1), 0.01), torch.zeros(2, 1, dtype=torch.bool))
    assert reliabilities(nothing, ["ann", "bob"], 0.3) == pytest.approx({"ann": 0.85, "bob": 0.85})
    assert reliabilities(nothing, ["ann", "bob"], 0.0) == {"ann": MOST, "bob": MOST}


# --- the loss ---------------------------------------------------------------------------------------------


def test_the_loss_of_an_answer_by_hand() -> None:
    logits, eta = torch.tensor([1.5, 1.5], dtype=torch.float64), torch.tensor([0.8, 0.2], dtype=torch.float64)
    p = 1 / (1 + math.exp(-1.5))
    found = preference_loss(logits, torch.ones_like(logits), 0.1, reliabilities=eta)
    expected = [-math.log(0.8 * p + 0.2 * (1 - p)), -math.log(0.2 * p + 0.8 * (1 - p))]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_an_error_rate_is_a_reliability() -> None:
    logits = torch.linspace(-9, 9, 19, dtype=torch.float64)
    preferences = torch.tensor([1.0, 0.0, 0.5] * 7, dtype=torch.float64)[:19]
    with_rate = preference_loss(logits, preferences, 0.1)
    torch.testing.assert_close(
        preference_loss(logits, preferences, 0.7, reliabilities=torch.tensor(0.95, dtype=torch.float64)), with_rate
    )


def test_who_says_the_opposite_is_understood_the_other_way_round() -> None:
    returns = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.0, 0.5]], dtype=torch.float64)
    said = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    eta = torch.tensor([0.9, 0.3], dtype=torch.float64)
    torch.testing.assert_close(
        comparison_loss(returns, said, 0.1, reliabilities=eta),
        comparison_loss(returns, 1 - said, 0.1, reliabilities=1 - eta),
    )


def test_who_guesses_teaches_nothing() -> None:
    logits = torch.tensor([-2.0, 0.3, 4.0], requires_grad=True)
    preference_loss(logits, torch.ones(3), 0.1, reliabilities=torch.tensor(0.5)).sum().backward()
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad, 0, atol=1e-7)


def test_strength_is_turned_round_as_it_is() -> None:
    logit, strength = torch.tensor(0.7, dtype=torch.float64), torch.tensor(Strength.MUCH)
    first, second = strength_log_probabilities(logit, strength, 0.0, 2.0)
    found = preference_loss(
        logit,
        torch.tensor(1.0, dtype=torch.float64),
        0.1,
        strengths=strength,
        much_from=2.0,
        reliabilities=torch.tensor(0.7, dtype=torch.float64),
    )
    assert found.item() == pytest.approx(-math.log(0.7 * first.exp().item() + 0.3 * second.exp().item()))


# --- in the training --------------------------------------------------------------------------------------


def fitted(ensemble: RewardEnsemble, *parts: list[Comparison]) -> RewardTrainer:
    trainer = RewardTrainer(ensemble, seed=0)
    for part in parts:
        trainer.add(part)
        trainer.fit(20)
    return trainer


def test_a_hostile_person_is_known_and_learned_from(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    said, clean = by_turns(make_comparisons(240), "dan"), make_comparisons(300, seed=9)
    fine = {"hidden_sizes": (32, 32), "learning_rate": 3e-3, "batch_size": 16}
    trainer = fitted(make_ensemble(reliability=True, **fine), said[:120], said[120:])
    assert trainer.reliabilities["dan"] < 0.4
    assert min(trainer.reliabilities[name] for name in ("ann", "bob", "cid")) > 0.8
    plain = fitted(make_ensemble(**fine), said[:120], said[120:])
    assert plain.reliabilities == {}
    assert trainer.evaluate(clean).right.mean() > plain.evaluate(clean).right.mean() + 0.03


def test_one_person_who_is_right_is_heard_as_without(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    said = [replace(one, teacher="oracle") for one in make_comparisons(200)]
    trainer = fitted(make_ensemble(reliability=True, hidden_sizes=(32, 32)), said, said)
    assert trainer.reliabilities == pytest.approx({"oracle": 0.95}, abs=0.03)


def test_names_follow_their_answers(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    """What is forgotten or has no room any more takes its name along, and a restart brings all back."""
    said = by_turns(make_comparisons(120), "dan")
    straight = RewardTrainer(make_ensemble(reliability=True, memory=80), seed=0)
    straight.add(said[:60])
    straight.fit(4)
    straight.forget([1, 2, 50])
    straight.add(said[60:])
    expected = {one.seq: one.teacher for one in said}
    assert straight._labelers == [expected[seq] for seq in straight.seqs.tolist()]
    resumed = RewardTrainer(make_ensemble(reliability=True, memory=80, seed=3), seed=3)
    resumed.ensemble.restore(*straight.ensemble.state())
    arrays, values = straight.state()
    resumed.restore(arrays, json.loads(json.dumps(values)))
    resumed.refill(said[seq] for seq in straight.seqs.tolist())
    straight.fit(4)
    resumed.fit(4)
    assert straight.reliabilities == resumed.reliabilities != {}
    for name, array in straight.ensemble.state()[0].items():
        np.testing.assert_array_equal(array, resumed.ensemble.state()[0][name], err_msg=name)


def test_the_error_rate_is_kept_where_it_is_learned(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(error_rate_from_repeats=True), seed=0)
    assert trainer.error_rate == 0.1
    trainer.error_rate = 0.4
    state = trainer.state()
    resumed = RewardTrainer(make_ensemble(error_rate_from_repeats=True), seed=0)
    resumed.restore(*state)
    assert resumed.error_rate == 0.4
    other = RewardTrainer(make_ensemble(error_rate=0.2), seed=0)
    other.restore(*state)
    assert other.error_rate == 0.2, "that of the settings"
    del state[1]["error_rate"]  # as before it was learned
    resumed = RewardTrainer(make_ensemble(error_rate_from_repeats=True), seed=0)
    resumed.restore(*state)
    assert resumed.error_rate == 0.1
    # At a rate of 0.4 the loss of an answer that the reward is sure of is -log 0.8, not -log 0.95.
    trainer.add(make_comparisons(40))
    trainer.fit(1)
    for parameter in trainer.ensemble.network.parameters():
        parameter.data *= 0
    trainer.optimizer.learning_rate = 1e-30
    assert trainer.fit(1).log_loss == pytest.approx(math.log(2), abs=1e-4)
