"""Who is asked what again, and which clip is on which side; on a store in memory."""

from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import numpy as np
import pytest

from prefrl.segments import Answer, FeedbackKind, Query, Ranking, Rating
from prefrl.segments.answers import PAIR, RANKING, RATING, STRENGTH
from prefrl.store import Claim, RunAbout, Store
from prefrl_labeling_gui.answer_index import AnswerIndex
from prefrl_labeling_gui.assignment import (
    ANSWERS_PER_GOLD,
    Assignment,
    Choice,
    OnScreen,
    Parts,
    choices_of,
    judgement_of,
    levels_of,
    on_screen,
    parts_of,
    sides_of,
)


class Desk:
    """A store with queries, and a person at work."""

    def __init__(self, queries: Sequence[Query], repeat_share: float) -> None:
        self.store = Store()
        self.store.begin_run(RunAbout(observation_space={}, action_space={}, segment_length=1))
        self.store.add_queries(queries)
        self.repeat_share = repeat_share
        self.kind = PAIR
        self.restart()

    def restart(self) -> None:
        """Begin with what is in the store only."""
        self.answer_index = AnswerIndex(self.store)
        self.answer_index.open()
        self.assignment = Assignment(
            self.store, self.answer_index, repeat_share=self.repeat_share, lease_seconds=600
        )

    def claim(self, name: str = "Ann", *, repeats: bool = True) -> Claim | None:
        claims = self.assignment.claim(name, 1, kind=self.kind, holding=[], repeats=repeats)
        return claims[0] if claims else None

    def answer(self, claim: Claim, said: OnScreen | None = "left", name: str = "Ann") -> None:
        self.assignment.answer(claim, name, said, kind=self.kind, answer_id=uuid4())
        self.answer_index.refresh()

    def work(self, n: int | None = None, choice: Choice = "left", name: str = "Ann") -> list[Claim]:
        """Answer what comes, until nothing does or `n` are done."""
        done: list[Claim] = []
        while len(done) != n and (claim := self.claim(name)) is not None:
            self.answer(claim, choice, name)
            done.append(claim)
        return done


@pytest.fixture
def desk(some_query: Callable[[int], Query]) -> Callable[..., Desk]:
    """`desk(n_queries, repeat_share=…)`."""
    return lambda n, *, repeat_share: Desk([some_query(number) for number in range(n)], repeat_share)


@pytest.mark.parametrize(
    ("choice", "swapped", "answer"),
    [
        ("left", False, Answer.FIRST),
        ("right", False, Answer.SECOND),
        ("left", True, Answer.SECOND),
        ("right", True, Answer.FIRST),
        ("equal", True, Answer.EQUAL),
        ("cannot_tell", False, Answer.CANNOT_TELL),
        ("much_left", False, Answer.MUCH_FIRST),
        ("much_left", True, Answer.MUCH_SECOND),
        ("much_right", True, Answer.MUCH_FIRST),
    ],
)
def test_a_choice_on_the_screen_means_an_answer_of_the_query(
    choice: Choice, swapped: bool, answer: Answer
) -> None:
    assert judgement_of(choice, sides_swapped=swapped) is answer
    assert on_screen(answer, sides_swapped=swapped) == choice
    assert parts_of(choice) == Parts(choice=choice)


@pytest.mark.parametrize(("swapped", "ranks"), [(False, (2, 0, 1, 1)), (True, (1, 1, 0, 2))])
def test_ranks_on_the_screen_are_those_of_the_query_or_in_reverse_order(
    swapped: bool, ranks: tuple[int, ...]
) -> None:
    assert judgement_of((2, 0, 1, 1), sides_swapped=swapped) == Ranking(ranks)
    assert on_screen(Ranking(ranks), sides_swapped=swapped) == (2, 0, 1, 1)
    assert parts_of((2, 0, 1, 1)) == Parts(ranks=[2, 0, 1, 1])


@pytest.mark.parametrize("swapped", [False, True])
def test_a_rating_is_the_same_on_every_side(swapped: bool) -> None:
    assert judgement_of(Rating(2), sides_swapped=swapped) == Rating(2)
    assert on_screen(Rating(2), sides_swapped=swapped) == Rating(2)
    assert parts_of(Rating(2)) == Parts(rating=2)
    assert (levels_of(RATING), levels_of(PAIR), levels_of(RANKING)) == (5, 0, 0)


def test_choices_lie_on_the_screen_as_the_clips_do() -> None:
    assert choices_of(PAIR) == ["left", "equal", "cannot_tell", "right"]
    assert choices_of(STRENGTH) == ["much_left", "left", "equal", "cannot_tell", "right", "much_right"]
    assert choices_of(RANKING) == ["cannot_tell"]


def test_the_first_segment_is_on_the_left_unless_swapped() -> None:
    assert sides_of(("first", "second"), sides_swapped=False) == ("first", "second")
    assert sides_of(("first", "second"), sides_swapped=True) == ("second", "first")
    assert sides_of(("1", "2", "3", "4"), sides_swapped=True) == ("4", "3", "2", "1")


def test_repeats_come_once_later_and_with_sides_swapped(desk: Callable[..., Desk]) -> None:
    done = desk(120, repeat_share=0.4).work()
    place = {claim.query_id: number for number, claim in enumerate(done)}
    by_id = {claim.query_id: claim for claim in done}
    repeats = [claim for claim in done if claim.repeat_of is not None]
    originals = [claim.repeat_of for claim in repeats]
    assert len(repeats) >= 30  # 48 expected; fewer once in 10,000
    assert len(set(originals)) == len(originals)
    for claim in repeats:
        assert claim.repeat_of is not None
        original = by_id[claim.repeat_of]
        assert place[claim.query_id] - place[original.query_id] > 10
        assert claim.segment_ids == original.segment_ids
        assert claim.sides_swapped != original.sides_swapped


def test_the_share_of_repeats_is_what_is_asked_for(desk: Callable[..., Desk]) -> None:
    done = desk(400, repeat_share=0.2).work()
    n_repeats = sum(claim.repeat_of is not None for claim in done)
    assert len(done) == 400 + n_repeats
    assert 0.12 < n_repeats / 400 < 0.28  # 0.2 ± 4 standard errors


def test_sides_are_swapped_for_about_half(desk: Callable[..., Desk]) -> None:
    done = desk(200, repeat_share=0.0).work()
    assert len(done) == 200
    assert 70 < sum(claim.sides_swapped for claim in done) < 130  # ± 4 standard errors


def test_a_repeat_makes_no_comparison(desk: Callable[..., Desk]) -> None:
    own = desk(40, repeat_share=0.5)
    done = own.work()
    assert len(done) > 45
    assert len(own.store.comparisons()) == own.answer_index.n_comparisons == 40


def test_what_cannot_be_told_is_not_asked_again(desk: Callable[..., Desk]) -> None:
    done = desk(60, repeat_share=0.5).work(choice="cannot_tell")
    assert [claim.repeat_of for claim in done] == [None] * 60


def test_an_answer_taken_back_is_not_asked_again(desk: Callable[..., Desk]) -> None:
    own = desk(60, repeat_share=0.5)
    [first] = own.work(1)
    stored = own.store.answers()[0]
    own.assignment.answer(first, "Ann", None, kind=PAIR, answer_id=uuid4(), supersedes=UUID(stored.id))
    own.answer_index.refresh()
    assert own.claim() == own.assignment.given("Ann", first.query_id)
    assert own.answer_index.account("Ann").current == {}


def test_a_restart_changes_nothing(desk: Callable[..., Desk]) -> None:
    """Which are repeated, and when, follows from the store alone."""
    straight, restarted = desk(60, repeat_share=0.5), desk(60, repeat_share=0.5)
    expected = straight.work()
    done: list[Claim] = []
    while (claim := restarted.claim()) is not None:
        restarted.restart()  # with the claim in hand
        restarted.answer(claim)
        restarted.restart()
        done.append(claim)
    assert [claim.query_id for claim in done] == [claim.query_id for claim in expected]


def test_a_restart_asks_no_other_gold(desk: Callable[..., Desk]) -> None:
    """Nor more of it, where one is in hand; beside repeats."""
    asked = []
    for restarts in (False, True):
        own = desk(100, repeat_share=0.2)
        for claim in own.work(3, name="owner"):
            own.store.mark_gold(claim.query_id, "owner")
        known = {item.answer.query_id for item in own.store.history("owner")}
        done: list[Claim] = []
        while (claimed := own.claim()) is not None:
            if restarts:
                own.restart()
                again = own.claim()
                assert again is not None
                assert again.query_id == claimed.query_id
            own.answer(claimed)
            if restarts:
                own.restart()
            done.append(claimed)
        places = [place for place, claim in enumerate(done) if claim.repeat_of in known]
        assert places[0] == ANSWERS_PER_GOLD
        assert len(places) == 3
        # A repeat whose time it is as well comes first.
        assert set(np.diff(places).tolist()) <= {1 + ANSWERS_PER_GOLD, 2 + ANSWERS_PER_GOLD}
        asked.append([claim.query_id for claim in done])
    assert asked[0] == asked[1]


def test_what_was_said_of_pairs_is_not_asked_again_where_clips_are_ranked(desk: Callable[..., Desk]) -> None:
    """Nor are pairs that somebody has in hand: the page could not show them."""
    own = desk(60, repeat_share=1.0)
    own.work(30)
    assert own.claim() is not None
    own.kind = RANKING
    assert own.claim() is None


def test_kinds_that_show_other_clips_are_never_mixed(some_query: Callable[[int], Query]) -> None:
    """Neither what is open, nor repeats, nor gold: pairs and ratings of one run, which has changed its mind."""
    pairs = [some_query(number) for number in range(60)]
    singles = [Query(segments=some_query(number).segments[:1], ordinal=number, run=1) for number in range(60, 120)]
    own = Desk([*pairs, *singles], repeat_share=1.0)
    asked: list[tuple[FeedbackKind, OnScreen, int]] = [
        (PAIR, "left", 2),
        (RATING, Rating(4), 1),
        (STRENGTH, "right", 2),
    ]
    for kind, said, n_clips in asked:
        own.kind = kind
        for _ in range(2):
            claim = own.claim("owner")
            assert claim is not None
            own.answer(claim, said, "owner")
            own.store.mark_gold(claim.query_id, "owner")
        others = [item.answer for item in own.store.history("Ann", limit=None) if item.answer.kind != kind.name]
        again = {answer.id: own.answer_index.is_repeat_or_repeated(answer.query_id, "Ann") for answer in others}
        repeats = 0
        for _ in range(ANSWERS_PER_GOLD + 5):
            claim = own.claim()
            assert claim is not None
            assert len(claim.segment_ids) == n_clips
            repeats += claim.repeat_of is not None
            own.answer(claim, said)
        assert repeats >= 3
        if kind is RATING:  # nor is a pair marked as asked again that nobody is shown
            for answer in others:
                assert own.answer_index.is_repeat_or_repeated(answer.query_id, "Ann") is again[answer.id]
    assert {len(item.segment_ids) for item in own.store.history("Ann") if item.answer.kind == "rating"} == {1}


def test_people_are_repeated_their_own_answers_only(desk: Callable[..., Desk]) -> None:
    own = desk(80, repeat_share=0.5)
    done: dict[str, list[Claim]] = {"Ann": [], "Bo": []}
    for _ in range(60):
        for name, claims in done.items():
            claims += own.work(1, name=name)
    for claims in done.values():
        answered = {claim.query_id for claim in claims}
        assert any(claim.repeat_of for claim in claims)
        assert all(claim.repeat_of in answered for claim in claims if claim.repeat_of)


def test_nothing_is_repeated_when_nobody_waits_for_answers(desk: Callable[..., Desk]) -> None:
    own = desk(30, repeat_share=0.5)
    for _ in range(30):
        claim = own.claim(repeats=False)
        assert claim is not None
        own.answer(claim)
    assert own.claim(repeats=False) is None
    assert own.claim(repeats=True) is not None


def test_a_quota_bounds_what_costs_budget_and_nothing_else(desk: Callable[..., Desk]) -> None:
    here = desk(40, repeat_share=1.0)
    here.store.add_labeler("Ann", quota=15)
    here.restart()
    skipped = here.claim()
    assert skipped is not None
    here.answer(skipped, "cannot_tell")
    done = here.work()
    assert [claim.repeat_of for claim in done].count(None) == 15, "what says nothing costs nothing"
    assert len(done) > 15, "nor do repeats"
    assert here.answer_index.n_left("Ann") == 0
    here.restart()
    assert here.claim() is None
    assert len(here.work(name="Bo", n=20)) == 20, "others go on"

    here.store.set_quota("Ann", 16)
    here.answer_index.refresh()
    assert [claim.repeat_of for claim in here.work()].count(None) == 1


def test_an_undo_gives_one_back(desk: Callable[..., Desk]) -> None:
    here = desk(5, repeat_share=0.0)
    here.store.add_labeler("Ann", quota=2)
    here.restart()
    _, last = here.work()
    [*_, said] = here.store.answers()
    here.assignment.answer(last, "Ann", None, kind=PAIR, answer_id=uuid4(), supersedes=UUID(said.id))
    here.answer_index.refresh()
    assert here.answer_index.n_left("Ann") == 1
    again = here.claim()
    assert again is not None
    here.answer(again, "right")
    assert here.claim() is None


def test_what_is_in_hand_counts_towards_a_quota(desk: Callable[..., Desk]) -> None:
    here = desk(9, repeat_share=0.0)
    here.store.add_labeler("Ann", quota=4)
    here.restart()

    def claim(n: int, holding: Sequence[str] = ()) -> list[str]:
        claims = here.assignment.claim("Ann", n, kind=PAIR, holding=holding, repeats=True)
        return [claim.query_id for claim in claims]

    first = claim(3)
    assert len(first) == 3
    last = claim(3, first)
    assert len(last) == 1
    assert claim(3, [*first, *last]) == []
    given = here.assignment.given("Ann", first[0])
    assert given is not None
    here.answer(given)
    assert claim(3, [*first, *last]) == [], "the page may not know yet that the first is stored"
    here.answer_index.add_repeat(last[0], "some query", "Ann")
    assert len(claim(3, [*first, *last])) == 1, "a repeat in hand costs nothing"
