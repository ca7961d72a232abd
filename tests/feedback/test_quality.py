"""Who presses one side, who does not look, and who says the opposite."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from prefrl.feedback.agreement import people_agreement
from prefrl.feedback.quality import MIN_ANSWERS, TOO_FAST_SECONDS, Quality, qualities
from prefrl.segments import Answer, Ranking, Rating
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
    gold: bool = False,
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
    return HistoryItem(
        answer=stored,
        segment_ids=("a", "b"),
        changed=False,
        num_timesteps=0,
        repeat_of=repeat_of,
        is_gold=gold,
    )


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


# --- rankings ---------------------------------------------------------------------------------------------


def ranked(name: str, query: int, said: Ranking, *, swapped: bool) -> HistoryItem:
    stored = StoredAnswer(
        query_id=f"{query}",
        labeler=name,
        answer=said,
        id=f"{query} {name}",
        kind="ranking",
        sides_swapped=swapped,
        reaction_ms=3000,
        server_time=0,
        seq=1,
        late=False,
    )
    segments = tuple("abcdef"[: len(said.ranks)])
    return HistoryItem(answer=stored, segment_ids=segments, changed=False, num_timesteps=0, repeat_of=None)


def rankings(name: str, n: int, size: int, seed: int, *, lazy: float = 0.0) -> list[HistoryItem]:
    """What somebody says who ranks by something that nobody sees, or, lazily, as the clips are shown."""
    rng, items = random.Random(seed), []
    for query in range(n):
        swapped, values = rng.random() < 0.5, [rng.random() for _ in range(size)]
        if rng.random() < lazy:
            values = [float(place if swapped else -place) for place in range(size)]
        items.append(ranked(name, query, Ranking.by(values), swapped=swapped))
    return items


def test_who_ranks_as_the_clips_are_shown_is_named() -> None:
    quality = qualities(rankings("ann", 60, 4, 0, lazy=0.5))["ann"]
    assert quality.left == pytest.approx(0.75, abs=0.1)
    assert any(warning.startswith("Presses left in") for warning in quality.warnings)


@pytest.mark.parametrize("size", [3, 6])
def test_pairs_of_a_ranking_depend_on_each_other_and_nobody_is_warned_for_that(size: int) -> None:
    """Of people who look, 1 of 400 is warned; were each pair one coin, it would be one of ten who rank six."""
    warned = [bool(_of_sides_only(qualities(rankings("ann", 40, size, seed))["ann"])) for seed in range(400)]
    assert sum(warned) <= 6


def _of_sides_only(quality: Quality) -> list[str]:
    return [warning for warning in quality.warnings if warning.startswith("Presses")]


def test_who_ranks_the_other_way_round_is_named() -> None:
    honest_ones = [item for n in range(2) for item in rankings(f"friend {n}", 30, 4, 7)]
    contrary = [
        ranked(
            "foe",
            int(item.answer.query_id),
            Ranking(tuple(3 - rank for rank in item.answer.answer.ranks)),
            swapped=False,
        )
        for item in rankings("foe", 30, 4, 7)
        if isinstance(item.answer.answer, Ranking)
    ]
    found = qualities([*honest_ones, *contrary])
    assert found["foe"].n_shared == 180
    assert found["foe"].agreement == 0
    assert any("opposite" in warning for warning in found["foe"].warnings)
    assert not any("opposite" in warning for warning in found["friend 0"].warnings)


# --- gold -------------------------------------------------------------------------------------------------


def test_people_are_measured_by_gold_wherever_they_met_it() -> None:
    """Unseen, or because several were to answer it; who made it gold is not, and what is equal measures nobody."""
    known = [item(f"{n}", "owner", F if n % 2 else S, gold=True) for n in range(4)]
    known.append(item("equal", "owner", E, gold=True))
    said = [
        item("again 0", "ann", S, repeat_of="0"),
        item("again 1", "ann", S, repeat_of="1"),
        item("2", "ann", S),
        item("again 3", "ann", X, repeat_of="3"),
        item("again e", "ann", F, repeat_of="equal"),
        item("other", "ann", F),
    ]
    found = qualities([*known, *said])
    assert found["ann"].n_gold == 3
    assert found["ann"].gold == pytest.approx(2 / 3)
    again = item("again", "owner", S, repeat_of="1")
    assert qualities([*known, again])["owner"].n_gold == 0, "nor by what they were asked a second time"
    twice = [item("1", "ann", F), item("again", "ann", S, repeat_of="1")]
    assert qualities([*known, *twice])["ann"].n_gold == 1
    assert found["owner"].n_gold == 0
    assert isnan(found["owner"].gold)


@pytest.mark.parametrize(("n_right", "warns"), [(5, False), (4, False), (2, False), (1, False), (0, True)])
def test_who_is_wrong_where_the_answer_is_known_is_named(n_right: int, warns: bool) -> None:
    known = [item(f"{n}", "owner", F, gold=True) for n in range(5)]
    said = [item(f"again {n}", "ann", F if n < n_right else S, repeat_of=f"{n}") for n in range(5)]
    warnings = qualities([*known, *said])["ann"].warnings
    assert warnings == ((f"Right in {n_right} of 5 gold answers.",) if warns else ())


def test_a_gold_ranking_is_one_answer_right_where_most_of_it_is() -> None:
    """However many pairs it has: nobody is named for a single one."""
    known = [replace(ranked("owner", n, Ranking((0, 1, 2, 3)), swapped=False), is_gold=True) for n in range(2)]
    said = [
        ranked("ann", 0, Ranking((1, 0, 2, 3)), swapped=False),
        ranked("ann", 1, Ranking((0, 0, 0, 0)), swapped=False),
    ]
    found = qualities([*known, *said])["ann"]
    assert (found.gold, found.n_gold, found.warnings) == (0.5, 2, ())


# --- ratings ----------------------------------------------------------------------------------------------


def rated(name: str, query: int, level: int, *, gold: bool = False) -> HistoryItem:
    stored = StoredAnswer(
        query_id=f"{query}",
        labeler=name,
        answer=Rating(level),
        id=f"{query} {name}",
        kind="rating",
        reaction_ms=2000,
        server_time=0,
        seq=1,
        late=False,
    )
    return HistoryItem(
        answer=stored, segment_ids=("a",), changed=False, num_timesteps=0, repeat_of=None, is_gold=gold
    )


def test_ratings_have_no_side_and_agree_on_what_is_good() -> None:
    levels = [1 + query % 5 for query in range(30)]
    items = [rated("ann", query, level) for query, level in enumerate(levels)]
    items += [rated("bob", query, max(1, level - (level > 3))) for query, level in enumerate(levels)]
    items += [rated("eve", query, 6 - level) for query, level in enumerate(levels)]
    found = qualities(items)
    for quality in found.values():
        assert np.isnan([quality.left, quality.right, quality.equal]).all()
    # Of bob the 4 has become a 3, which is neither.
    assert found["bob"].warnings == ()
    assert found["eve"].agreement == 0
    assert any(warning.startswith("Says the opposite of others") for warning in found["eve"].warnings)
    assert people_agreement(items[:30] + [rated("bob", q, level) for q, level in enumerate(levels)]).raw == 1


def test_gold_ratings_are_right_where_they_are_on_the_same_side_of_the_middle() -> None:
    items = [rated("ann", 0, 5, gold=True), rated("ann", 1, 3, gold=True), rated("ann", 2, 1, gold=True)]
    items += [rated("bob", 0, 4), rated("bob", 1, 1), rated("bob", 2, 5)]
    found = qualities(items)["bob"]
    assert (found.n_gold, found.gold) == (2, 0.5), "where the middle was given, nothing is known"


@pytest.mark.parametrize(("n_alike", "is_named"), [(11, False), (10, True)])
def test_a_rating_counts_as_much_as_a_pair(n_alike: int, is_named: bool) -> None:
    """Of 40, more than three standard deviations, 3 √40 = 19.0, have to speak against somebody."""
    items = [rated("ann", query, 5) for query in range(40)]
    items += [rated("bob", query, 5 if query < n_alike else 1) for query in range(40)]
    assert bool(qualities(items)["bob"].warnings) is is_named
