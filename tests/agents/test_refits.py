"""What refits notice of people: whose answers contradict what the reward has learned from the others."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces

from prefrl.agents.refits import Refits
from prefrl.feedback import News
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.segments import Comparison, Segment, SegmentRecorder
from prefrl.settings import RewardSettings

OBSERVED, ACTED = spaces.Box(-np.inf, np.inf, (3,), np.float32), spaces.Box(-1.0, 1.0, (1,), np.float32)
PEOPLE = ("ann", "bob", "cid", "dan")


def comparisons(n: int, *, first: int = 0, hostile: str = "", people: Sequence[str] = PEOPLE) -> list[Comparison]:
    """Answers of people in turn about a reward that is what is observed first."""
    rng = np.random.default_rng(first)

    def segment() -> Segment:
        observations = rng.normal(size=(4, 3)).astype(np.float32)
        return Segment(
            observations=observations, actions=np.zeros((4, 1), np.float32), env_rewards=observations[:, 0].copy()
        )

    said = []
    for number in range(first, first + n):
        segments, who = (segment(), segment()), people[number % len(people)]
        is_first = (segments[0].env_return > segments[1].env_return) is not (who == hostile)
        said.append(
            Comparison(
                segments=segments, preferences=(float(is_first),), teacher=who, query_id=f"q{number}", seq=number
            )
        )
    return said


@pytest.fixture
def refits() -> Refits:
    own = RewardSettings(hidden_sizes=(16,), learning_rate=5e-3, batch_size=8)
    return Refits(
        RewardTrainer(RewardEnsemble(OBSERVED, ACTED, settings=own, seed=0)),
        SegmentRecorder(OBSERVED, ACTED, 1, capacity=10),
    )


def fit_to(refits: Refits, said: list[Comparison], per_round: int = 20) -> None:
    for start in range(0, len(said), per_round):
        refits.take(News(said[start : start + per_round], []))
        refits.fit()


def test_one_of_four_who_says_the_opposite_is_named_once_within_sixty_answers(refits: Refits) -> None:
    fit_to(refits, comparisons(80, hostile="dan"))
    assert refits.warnings_of_people() == {}
    with pytest.warns(UserWarning, match=r"^dan: Says the opposite .* set them aside under People") as caught:
        fit_to(refits, comparisons(160, first=80, hostile="dan"))
    assert len(caught) == 1, "and once only"
    assert list(refits.warnings_of_people()) == ["dan"]
    assert refits.warnings_of_people(aside={"dan"}) == {}
    resumed = Refits(refits._trainer, refits._recorder)
    resumed.restore(json.loads(json.dumps(refits.values())))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_to(resumed, comparisons(20, first=160, hostile="dan"))


def test_nobody_is_warned_of_who_is_set_aside(refits: Refits) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for first in range(0, 240, 20):
            refits.take(News(comparisons(20, first=first, hostile="dan"), []))
            refits.fit(aside={"dan"})
    assert list(refits.warnings_of_people()) == ["dan"]


def test_nobody_is_named_where_all_say_the_same(refits: Refits) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_to(refits, comparisons(160))
    assert refits.warnings_of_people() == {}


def test_one_teacher_alone_is_never_named(refits: Refits) -> None:
    said = comparisons(60, people=["oracle"])
    fit_to(refits, said + [replace(one, preferences=(1 - one.preference,)) for one in comparisons(60, first=60)])
    assert refits.warnings_of_people() == {}


def test_what_was_known_before_it_was_said_counts_alone(refits: Refits) -> None:
    """Nothing of the first fit, no ties, nobody without a name, and no second answer to the same clips."""
    refits.take(News(comparisons(20), []))
    refits.fit()
    assert refits.values()["contradictions"] == {}
    new = comparisons(8, first=20)
    again = [replace(one, seq=one.seq + 100) for one in comparisons(20)]
    nobody = [replace(one, teacher="") for one in comparisons(4, first=40)]
    ties = [replace(one, preferences=(0.5,)) for one in comparisons(4, first=60)]
    refits.take(News([*new, *again, *nobody, *ties], []))
    assert refits.values()["contradictions"] == {}, "judged when it is fitted"
    refits.fit()
    counts = refits.values()["contradictions"]
    assert {name: values[0] for name, values in counts.items()} == dict.fromkeys(PEOPLE, 2.0)


def test_they_go_through_a_checkpoint(refits: Refits) -> None:
    fit_to(refits, comparisons(60, hostile="dan"))
    refits.take(News(comparisons(20, first=60, hostile="dan"), []))
    values = json.loads(json.dumps(refits.values()))
    resumed = Refits(refits._trainer, refits._recorder)
    resumed.restore(values)
    assert resumed.values() == refits.values()
    resumed.fit()
    assert resumed.values()["contradictions"]["dan"][0] == values["contradictions"]["dan"][0] + 5

    # Of a checkpoint of before, whose answers were pending is not known.
    for name in ("contradictions", "fresh_labelers"):
        del values[name]
    old = Refits(refits._trainer, refits._recorder)
    old.restore(values)
    assert old.n_fresh == 20
    old.fit()
    assert old.values()["contradictions"] == {}
