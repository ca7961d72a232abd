"""The share of answers that are a coin's, from what people say when they are asked a second time."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import pytest

from prefrl.feedback.repeats import ENOUGH_REPEATS, MOST_COINS, PRIOR_REPEATS, coin_share
from prefrl.segments import Answer, Judgement, Ranking
from prefrl.store import HistoryItem, StoredAnswer

F, S, E, X = Answer.FIRST, Answer.SECOND, Answer.EQUAL, Answer.CANNOT_TELL


def asked_twice(said: Sequence[tuple[Judgement, Judgement]], labeler: str = "ann") -> list[HistoryItem]:
    """What somebody said of queries, and of their repeats."""
    return [
        HistoryItem(
            answer=StoredAnswer(
                query_id=f"{number}{suffix}",
                labeler=labeler,
                answer=answer,
                id=f"{labeler} {number}{suffix}",
                supersedes=None,
                client_time=None,
                server_time=0,
                seq=1,
                late=False,
                kind="ranking" if isinstance(answer, Ranking) else "pair",
            ),
            segment_ids=tuple("abcdef"[: len(answer.ranks) if isinstance(answer, Ranking) else 2]),
            changed=False,
            num_timesteps=0,
            repeat_of=str(number) if suffix else None,
        )
        for number, both in enumerate(said)
        for answer, suffix in zip(both, ("", " again"), strict=True)
    ]


def share_of(r: float) -> float:
    return 1 - sqrt(1 - 2 * r)


def test_by_hand() -> None:
    items = asked_twice([(F, F)] * 70 + [(F, S)] * 20 + [(S, F)] * 10)
    # r = (30 + 20 · 0.1 · 0.95) / (100 + 20), and e (1 − e / 2) = r
    e = coin_share(items, 0.1)
    assert e == pytest.approx(share_of(31.9 / 120))
    assert e * (1 - e / 2) == pytest.approx(31.9 / 120)


def test_below_enough_repeats_what_is_assumed_stays() -> None:
    few = [(F, S)] * (ENOUGH_REPEATS - 1)
    assert coin_share(asked_twice([*few, (F, E), (X, S)]), 0.1) == 0.1, "who says equal names none"
    assert coin_share(asked_twice([*few, (F, S)]), 0.1) > 0.5
    assert coin_share([], 0.3) == 0.3


@pytest.mark.parametrize("assumed", [0.02, 0.1, 0.5])
def test_who_turns_round_as_many_as_assumed_changes_nothing(assumed: float) -> None:
    n = 1000
    n_turned = round(n * assumed * (1 - assumed / 2))
    found = coin_share(asked_twice([(F, S)] * n_turned + [(S, S)] * (n - n_turned)), assumed)
    assert found == pytest.approx(assumed, abs=0.002)


def test_nobody_tosses_more_coins_than_can_be_learned_from() -> None:
    assert coin_share(asked_twice([(F, S)] * 300), 0.1) == MOST_COINS


def test_all_people_count_together_but_who_is_set_aside() -> None:
    ann, bob = asked_twice([(F, F)] * 30), asked_twice([(F, S)] * 10 + [(S, S)] * 10, "bob")
    prior = PRIOR_REPEATS * 0.1 * 0.95
    assert coin_share([*ann, *bob], 0.1) == pytest.approx(share_of((10 + prior) / (50 + PRIOR_REPEATS)))
    assert coin_share([*ann, *bob], 0.1, aside=["bob"]) == pytest.approx(share_of(prior / (30 + PRIOR_REPEATS)))
    assert coin_share([*ann, *bob], 0.1, aside=["ann", "bob"]) == 0.1


def test_of_a_ranking_each_two_count() -> None:
    items = asked_twice([(Ranking((0, 1, 2)), Ranking((0, 2, 1)))] * 10)
    assert coin_share(items, 0.0) == pytest.approx(share_of(10 / (30 + PRIOR_REPEATS)))


@pytest.mark.parametrize("errors", [0.0, 0.05, 0.1, 0.2])
def test_the_errors_of_200_repeats_are_within_three_points(errors: float) -> None:
    """Errors are half of the coins. Of 20 seeds all are, but at 20 % of errors: there 15, as chance has it.

    The sd of a share of 200 that is 0.32 makes 2.7 points of errors, and three points are 1.1 of that.
    """
    within = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        coins = rng.random((200, 2)) < 2 * errors
        heads = rng.random((200, 2)) < 0.5
        said = [
            tuple(S if c and h else F for c, h in zip(*one, strict=True)) for one in zip(coins, heads, strict=True)
        ]
        within += abs(coin_share(asked_twice(said), 0.1) / 2 - errors) <= 0.03  # type: ignore[arg-type]
    assert within >= (13 if errors == 0.2 else 19)
