"""Who says the opposite of what was learned from the others."""

import json
from math import exp

import numpy as np
import pytest

from prefrl.feedback.contradictions import Contradictions


def noted(**people: list[float]) -> Contradictions:
    """What the reward called answers, by person."""
    contradictions = Contradictions()
    for name, probabilities in people.items():
        for probability in probabilities:
            contradictions.note(name, probability)
    return contradictions


def test_who_says_the_opposite_is_named_with_figures() -> None:
    found = noted(ann=[0.9] * 25 + [0.2] * 5, dan=[0.2] * 18 + [0.9] * 4, bob=[0.8] * 5).sentences()
    # Of Dan, (4 · 0.8 − 18 · 0.6) / sqrt(4 · 0.64 + 18 · 0.36) = −2.53; he is not named yet.
    assert found == {}
    found = noted(ann=[0.9] * 25 + [0.2] * 5, dan=[0.2] * 21 + [0.9] * 4, bob=[0.8] * 5).sentences()
    # (3.2 − 12.6) / sqrt(2.56 + 7.56) = −2.95
    assert found == {}
    found = noted(ann=[0.9] * 25 + [0.2] * 5, dan=[0.2] * 22 + [0.9] * 4, bob=[0.8] * 5).sentences()
    # (3.2 − 13.2) / sqrt(2.56 + 7.92) = −3.09
    assert found == {
        "dan": "Says the opposite of what was learned from others: as expected in 15% of 26 answers, the others "
        "in 86% of 35."
    }


def test_nobody_is_named_by_a_reward_that_knows_nothing() -> None:
    assert noted(ann=[0.55] * 100 + [0.45] * 100, dan=[0.2] * 40).sentences() == {}
    assert noted(ann=[0.5] * 100, dan=[0.5] * 100).sentences() == {}


def test_nobody_is_named_who_is_alone_or_has_said_little() -> None:
    assert noted(dan=[0.1] * 100).sentences() == {}
    assert noted(dan=[0.1] * 100, ann=[0.9] * 19).sentences() == {}
    assert noted(dan=[0.1] * 19, ann=[0.9] * 100).sentences() == {}
    assert list(noted(dan=[0.1] * 20, ann=[0.9] * 20).sentences()) == ["dan"]


def test_who_contradicts_somebody_that_is_set_aside_is_not_named() -> None:
    people = noted(dan=[0.9] * 60, ann=[0.1] * 30)
    assert list(people.sentences()) == ["ann"]
    assert people.sentences(aside={"dan"}) == {}, "nobody else says that she is wrong"
    assert people.sentences(aside={"ann"}) == {}, "seen to already"
    three = noted(dan=[0.1] * 30, ann=[0.9] * 30, eve=[0.1] * 30)
    assert three.sentences() == {}, "those who agree with one of the others contradict another one"
    assert list(three.sentences(aside={"eve"})) == ["dan"]


def test_who_guesses_is_seldom_named_and_who_errs_often_is_not() -> None:
    """Looked at after each answer, for 100 answers."""
    rng = np.random.default_rng(0)
    n_named = {0.5: 0, 0.7: 0}
    for share in n_named:
        for _ in range(300):
            contradictions = noted(ann=[0.8] * 40)
            for _ in range(100):
                sure = 1 / (1 + exp(-rng.normal()))
                expected = max(sure, 1 - sure)
                contradictions.note("eve", expected if rng.random() < share else 1 - expected)
                if contradictions.sentences():
                    n_named[share] += 1
                    break
    assert n_named[0.5] < 0.04 * 300
    assert n_named[0.7] == 0


def test_a_hostile_person_is_named_within_sixty_answers_that_are_judged() -> None:
    """Half of them within 30. A reward is right in three of four of the others' answers, and as sure as that."""
    rng = np.random.default_rng(0)
    after = []
    for _ in range(200):
        contradictions = noted()
        for n in range(1, 101):
            for who in ("ann", "bob", "cid", "dan"):
                expected = rng.uniform(0.5, 1.0)
                is_expected = (rng.random() < expected) != (who == "dan")
                contradictions.note(who, expected if is_expected else 1 - expected)
            if contradictions.sentences():
                assert list(contradictions.sentences()) == ["dan"]
                after.append(n)
                break
    assert len(after) == 200
    assert np.median(after) <= 30
    assert np.quantile(after, 0.95) <= 60


def test_the_counts_go_through_json() -> None:
    straight = noted(ann=[0.9] * 30, dan=[0.2] * 15)
    resumed = Contradictions.from_json(json.loads(json.dumps(straight.to_json())))
    for contradictions in (straight, resumed):
        for _ in range(15):
            contradictions.note("dan", 0.2)
        contradictions.note("new", 0.7)
    assert straight.sentences() == resumed.sentences() != {}
    assert straight.to_json() == resumed.to_json()
    assert straight.to_json()["new"] == pytest.approx([1, 1, 0.4, 0.16])
