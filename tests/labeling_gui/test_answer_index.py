"""The copy of the answers in memory says what the store says."""

import math
from collections.abc import Callable
from uuid import uuid4

import numpy as np
import pytest

from prefrl.segments import Answer, Query
from prefrl.store import NewAnswer, RunAbout, Store
from prefrl_labeling_gui.answer_index import RATE_ANSWERS, AnswerIndex, Worker, seconds_until

NAMES = ("Ann", "Bo")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def answer_at_random(store: Store, ids: list[str], rng: np.random.Generator) -> None:
    """Answer, change an answer, take one back, or answer a repeat."""
    name, query_id = NAMES[rng.integers(2)], ids[rng.integers(len(ids))]
    present = {item.answer.query_id: item.answer.id for item in store.history(name, limit=None)}
    if present.get(query_id) and rng.random() < 0.2:
        said, supersedes = None, present[query_id]
    else:
        said, supersedes = list(Answer)[rng.integers(4)], None
    if query_id in present and said is not None and rng.random() < 0.2:
        query_id = store.add_repeat(query_id, name)
        supersedes = None
    store.add_answers(
        [NewAnswer(id=str(uuid4()), query_id=query_id, answer=said, labeler=name, supersedes=supersedes)]
    )


@pytest.mark.parametrize("seed", range(3))
def test_it_counts_as_the_store_does(some_query: Callable[[int], Query], about: RunAbout, seed: int) -> None:
    rng = np.random.default_rng(seed)
    store = Store()
    store.begin_run(about)
    asked = [some_query(i) for i in range(12)]
    store.add_queries(asked, overlap=2)
    ids = [one.id for one in asked]
    answer_index = AnswerIndex(store)
    answer_index.open()
    repeats = 0
    for _ in range(120):
        answer_at_random(store, ids, rng)
        for item in store.history(None, limit=None):
            if item.repeat_of is not None:
                answer_index.add_repeat(item.answer.query_id, item.repeat_of, item.answer.labeler)
                repeats += 1
        answer_index.refresh()
        assert answer_index.n_comparisons == store.counts().comparisons
        for name in NAMES:
            said = [item.answer.answer for item in store.history(name, limit=None)]
            account = answer_index.account(name)
            assert (len(account.current), account.n_cannot_tell) == (len(said), said.count(Answer.CANNOT_TELL))
    assert repeats > 0
    again = AnswerIndex(store)
    again.open()
    assert again.n_comparisons == answer_index.n_comparisons
    assert again.seq == answer_index.seq == store.answers()[-1].seq
    assert {name: again.account(name).current for name in NAMES} == {
        name: answer_index.account(name).current for name in NAMES
    }


def test_the_pace_is_the_present_one(some_query: Callable[[int], Query], about: RunAbout) -> None:
    clock = Clock()
    store = Store(clock=clock)
    store.begin_run(about)
    asked = [some_query(i) for i in range(RATE_ANSWERS + 20)]
    store.add_queries(asked)
    answer_index = AnswerIndex(store)
    assert math.isnan(answer_index.account("Ann").per_minute)
    for number, one in enumerate(asked):
        clock.now += 60_000 if number < 20 else 3_000  # slow at first
        store.add_answers([NewAnswer(id=str(number), query_id=one.id, answer=Answer.FIRST, labeler="Ann")])
    answer_index.open()
    assert answer_index.account("Ann").per_minute == pytest.approx(20.0)
    assert answer_index.account("Ann").last_time == clock.now
    assert answer_index.account("nobody").current == {}


ENDLESS = Worker("Ann", 0.5, math.inf)
SHORT = Worker("Bo", 1.0, 10)


@pytest.mark.parametrize(
    ("n", "workers", "share", "seconds"),
    [
        (30, [ENDLESS], 1.0, 60.0),
        (30, [ENDLESS], 0.5, 120.0),
        (15, [ENDLESS, SHORT], 1.0, 10.0),
        (20, [ENDLESS, SHORT], 1.0, 20.0),  # 15 in the first 10 s, and the rest by Ann alone
        (20, [SHORT, ENDLESS], 0.5, 40.0),
        (45, [ENDLESS, SHORT, Worker("Cid", 1.0, 20)], 1.0, 30.0),  # 25, then 15, then 5 by Ann alone
        (10, [SHORT], 1.0, 10.0),
        (11, [SHORT], 1.0, math.nan),
        (14, [SHORT, Worker("Cid", 0.25, 4)], 1.0, 16.0),
        (15, [SHORT, Worker("Cid", 0.25, 4)], 1.0, math.nan),
        (1, [], 1.0, math.nan),
        (0, [], 1.0, 0.0),
    ],
)
def test_people_give_answers_until_their_quota(
    n: float, workers: list[Worker], share: float, seconds: float
) -> None:
    assert seconds_until(n, workers, share) == pytest.approx(seconds, nan_ok=True)
