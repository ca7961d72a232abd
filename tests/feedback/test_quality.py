"""Who presses one side, who does not look, and who says the opposite."""

import random
from collections.abc import Callable, Mapping
from math import isnan

import pytest

from prefrl.feedback.quality import MIN_ANSWERS, TOO_FAST_SECONDS, Quality, qualities
from prefrl.segments import Answer
from prefrl.store import HistoryItem, StoredAnswer

F, S, E, X = Answer.FIRST, Answer.SECOND, Answer.EQUAL, Answer.CANNOT_TELL
Chooses = Callable[[random.Random, Answer, bool], Answer]
"""What somebody says of a query with a better segment, whose sides are swapped or not."""


def item(
    query: str,
    labeler: str,
    answer: Answer,
    *,
    swapped: bool = False,
    ms: int | None = 900,
    repeat_of: str | None = None,
) -> HistoryItem:
    stored = StoredAnswer(
        query_id=query,
        labeler=labeler,
        answer=answer,
        id=f"{query} {labeler}",
        sides_swapped=swapped,
        reaction_ms=ms,
        server_time=0,
        seq=1,
        late=False,
    )
    return HistoryItem(answer=stored, segment_ids=("a", "b"), changed=False, num_timesteps=0, repeat_of=repeat_of)


def opposite(answer: Answer) -> Answer:
    return S if answer is F else F


def honest(rng: random.Random, better: Answer, swapped: bool) -> Answer:
    return opposite(better) if rng.random() < 0.1 else better


def hostile(rng: random.Random, better: Answer, swapped: bool) -> Answer:
    return opposite(honest(rng, better, swapped))


def leaning_left(rng: random.Random, better: Answer, swapped: bool) -> Answer:
    left = S if swapped else F
    return left if rng.random() < 0.2 else honest(rng, better, swapped)


def session(
    people: Mapping[str, Chooses], *, n_queries: int = 400, seed: int = 0, fast: frozenset[str] = frozenset()
) -> dict[str, Quality]:
    """Everybody answers every query."""
    rng = random.Random(seed)
    items = []
    for query in range(n_queries):
        better = rng.choice((F, S))
        for name, chooses in people.items():
            swapped = rng.random() < 0.5
            ms = 300 if name in fast and rng.random() < 0.5 else round(rng.uniform(600, 3000))
            items.append(item(f"{query}", name, chooses(rng, better, swapped), swapped=swapped, ms=ms))
    return qualities(items)


def test_shares_by_hand() -> None:
    found = qualities(
        [
            item("1", "ann", F, ms=400),
            item("2", "ann", F, swapped=True, ms=1000),
            item("3", "ann", S, swapped=True, ms=None),
            item("4", "ann", E, ms=600),
            item("5", "ann", X, ms=2000),
            item("1", "bob", F),
            item("2", "bob", S),
            item("3", "bob", S),
            item("4", "bob", F),
            item("1 again", "bob", S, repeat_of="1"),
            item("1", "cid", S),
        ]
    )["ann"]
    assert (found.left, found.right, found.equal) == (0.5, 0.25, 0.25)
    assert found.median_seconds == 0.8
    assert found.too_fast == 0.25
    # Of 1 to 3 she and others prefer one; of 1 the others say both. Of 2 bob says the opposite, of 3 the same.
    assert found.n_shared == 2
    assert found.agreement == 0.5
    assert found.warnings == ()


def test_nothing_is_said_of_what_nobody_knows() -> None:
    assert qualities([]) == {}
    [alone] = qualities([item("1", "ann", X, ms=None)]).values()
    assert all(isnan(value) for value in alone[:6])
    assert (alone.n_shared, alone.warnings) == (0, ())


def test_who_answers_well_is_hardly_ever_warned_of() -> None:
    people = dict.fromkeys(("ann", "bob", "cid", "dan"), honest)
    warned = [
        quality.warnings
        for seed in range(50)
        for quality in session(people, n_queries=60, seed=seed).values()
        if quality.warnings
    ]
    assert len(warned) <= 3, "one in 400 people presses one side by chance, and there are 200"


def test_one_hostile_of_four_is_named_and_nobody_else() -> None:
    found = session({"ann": honest, "bob": honest, "cid": honest, "dan": hostile}, n_queries=60)
    assert {name: len(quality.warnings) for name, quality in found.items()} == {
        "ann": 0,
        "bob": 0,
        "cid": 0,
        "dan": 1,
    }
    assert found["dan"].warnings[0].startswith("Says the opposite of others: the same as most of them in 1")
    assert found["dan"].agreement < 0.3 < 0.5 < found["ann"].agreement


def test_who_guesses_among_many_who_agree_is_not_called_hostile() -> None:
    """What five people say of one query is one trial, and not five."""
    rng = random.Random(1)
    warned = 0
    for _ in range(200):
        items = []
        for query in range(MIN_ANSWERS):
            items += [item(str(query), name, F) for name in ("ann", "bob", "cid", "dan")]
            items.append(item(str(query), "eve", rng.choice((F, S)), swapped=rng.random() < 0.5))
        warned += any("opposite" in warning for warning in qualities(items)["eve"].warnings)
    assert warned <= 3


def test_a_side_is_named() -> None:
    found = session({"ann": honest, "bob": leaning_left}, n_queries=600)
    assert found["ann"].warnings == ()
    [warning] = found["bob"].warnings
    assert warning.startswith("Presses left in ")
    mirrored = [item(str(n), "ann", F, swapped=True) for n in range(MIN_ANSWERS)]
    assert qualities(mirrored)["ann"].warnings == (
        f"Presses right in 100% of {MIN_ANSWERS} choices; half would be expected.",
    )


def test_who_does_not_look_is_named() -> None:
    found = session({"ann": honest, "bob": honest}, n_queries=100, fast=frozenset({"bob"}))
    assert found["ann"].too_fast == 0
    assert found["ann"].warnings == ()
    assert 0.4 < found["bob"].too_fast < 0.6
    assert found["bob"].warnings[0].endswith(f"answers took less than {TOO_FAST_SECONDS:g} s.")


@pytest.mark.parametrize("n", [MIN_ANSWERS - 1, MIN_ANSWERS])
def test_few_answers_are_no_ground_for_a_warning(n: int) -> None:
    [found] = qualities([item(str(i), "ann", F, ms=100) for i in range(n)]).values()
    assert bool(found.warnings) == (n == MIN_ANSWERS)
