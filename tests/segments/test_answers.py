import itertools
from collections.abc import Callable

import pytest

from prefrl.errors import SegmentError, SettingError
from prefrl.registry import FEEDBACK_KINDS
from prefrl.segments import (
    Answer,
    Comparison,
    FeedbackKind,
    Ranking,
    Rating,
    Segment,
    Strength,
    feedback_kind,
    pairs_of,
)
from prefrl.segments.answers import PAIR, RANKING, STRENGTH


def test_what_answers_say_of_the_first() -> None:
    assert {answer: answer.preference for answer in Answer} == {
        Answer.FIRST: 1.0,
        Answer.SECOND: 0.0,
        Answer.EQUAL: 0.5,
        Answer.CANNOT_TELL: None,
        Answer.MUCH_FIRST: 1.0,
        Answer.MUCH_SECOND: 0.0,
    }
    assert Answer("cannot_tell") is Answer.CANNOT_TELL


def test_an_answer_turned_round_says_the_same_of_the_other_order() -> None:
    for answer in Answer:
        turned = answer.turned_round
        assert turned.turned_round is answer
        assert turned.is_much == answer.is_much
        assert turned.direction is answer.direction.turned_round
        if answer.preference is not None:
            assert turned.preference == 1 - answer.preference


@pytest.mark.parametrize("name", FEEDBACK_KINDS)
def test_every_kind_can_be_said_of_either_side(name: str) -> None:
    """The order of the screen is that of its mirror image, and nobody must say what they cannot tell."""
    kind = feedback_kind(name)
    assert kind.name == name
    assert kind.answers[0].turned_round is kind.answers[-1]
    assert {answer.turned_round for answer in kind.answers} == set(kind.answers)
    assert Answer.CANNOT_TELL in kind.answers


@pytest.mark.parametrize(
    ("kind", "answer", "strength"),
    [
        (PAIR, Answer.FIRST, Strength.UNSAID),
        (PAIR, Answer.EQUAL, Strength.UNSAID),
        (STRENGTH, Answer.SECOND, Strength.SLIGHT),
        (STRENGTH, Answer.MUCH_SECOND, Strength.MUCH),
        (STRENGTH, Answer.EQUAL, Strength.UNSAID),
    ],
)
def test_how_much_better_is_known_where_it_was_asked(
    kind: FeedbackKind, answer: Answer, strength: Strength
) -> None:
    assert kind.strength(answer) is strength


def test_what_a_kind_does_not_know_is_refused() -> None:
    STRENGTH.check(Answer.MUCH_FIRST, "Ann")
    with pytest.raises(SettingError, match=r"Answer.SECOND. Received <Answer.MUCH_FIRST: 'much_first'> from Ann"):
        PAIR.check(Answer.MUCH_FIRST, "Ann")
    with pytest.raises(SettingError, match=r"must be one of Answer.MUCH_FIRST, .* Received 'first' from Ann"):
        STRENGTH.check("first", "Ann")


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(
        SettingError,
        match=r"`kind` must be one of pair, strength, ranking, rating. Received 'strenght'. Did you mean",
    ):
        feedback_kind("strenght")


def test_equals_have_no_strength(make_segment: Callable[..., Segment]) -> None:
    segments = tuple(make_segment(number) for number in range(1, 4))
    for n, preferences in ((2, (0.5,)), (3, (1.0, 1.0, 1.0))):
        with pytest.raises(SegmentError, match="Only one of two may be better by so much, and no equals are"):
            Comparison(segments=segments[:n], preferences=preferences, strength=Strength.MUCH)


# --- rankings ---------------------------------------------------------------------------------------------


def test_pairs_of_fewer_segments_come_first() -> None:
    """So that what is said of two lies in the same place beside rankings of any size."""
    for n in range(2, 7):
        assert pairs_of(n)[: len(pairs_of(n - 1))] == pairs_of(n - 1)
        assert sorted(pairs_of(n)) == list(itertools.combinations(range(n), 2))


def test_a_ranking_says_of_each_two_which_is_better() -> None:
    assert Ranking((2, 0, 1)).preferences == (0.0, 0.0, 1.0)
    assert Ranking((1, 0, 0)).preferences == (0.0, 0.0, 0.5)
    assert Ranking((0, 1)).preferences == Answer.FIRST.preferences
    assert Answer.CANNOT_TELL.preferences is None
    assert Ranking((1, 2, 0, 1)).order == [[2], [0, 3], [1]]
    assert Ranking.of([[2], [0, 3], [1]]) == Ranking((1, 2, 0, 1))
    assert str(Ranking((1, 2, 0, 1))) == "3 > 1 = 4 > 2"


@pytest.mark.parametrize("ranks", [(2, 0, 1), (1, 0, 0, 2), (0, 0, 0), (0, 1, 2, 3, 4, 5)])
def test_a_ranking_turned_round_says_the_same_of_the_reverse_order(ranks: tuple[int, ...]) -> None:
    ranking, n = Ranking(ranks), len(ranks)
    said = dict(zip(pairs_of(n), ranking.preferences, strict=True))
    turned = dict(zip(pairs_of(n), ranking.turned_round.preferences, strict=True))
    assert turned == {(n - 1 - j, n - 1 - i): 1 - preference for (i, j), preference in said.items()}


def test_a_ranking_by_values_has_the_greatest_first() -> None:
    assert Ranking.by([0.5, 3.0, -2.0, 3.0]) == Ranking((1, 0, 2, 0))
    assert Ranking.by([float("inf"), 0.0, float("-inf")]) == Ranking((0, 1, 2))
    with pytest.raises(SettingError, match=r"cannot be ranked by NaN\. Received \[1\.0, nan\]"):
        Ranking.by([1.0, float("nan")])


@pytest.mark.parametrize(
    "ranks", [(), (0,), (1, 2), (0, 2), (0, 0, 2), (-1, 0), (0.0, 1.0), (True, 0), ("0", "1")]
)
def test_ranks_with_a_gap_are_refused(ranks: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="whole numbers from 0 on, none left out"):
        Ranking(ranks)


def test_a_ranking_is_of_as_many_as_were_shown() -> None:
    RANKING.check(Ranking((0, 1, 2)), "Ann")
    RANKING.check(Answer.CANNOT_TELL, "Ann")
    assert RANKING.fits(Ranking((0, 1, 2)), 3)
    assert not RANKING.fits(Ranking((0, 1, 2)), 4)
    assert RANKING.fits(Answer.CANNOT_TELL, 6)
    assert not RANKING.fits(Answer.CANNOT_TELL, 2)
    assert not PAIR.fits(Answer.FIRST, 3)
    with pytest.raises(
        SettingError, match=r"must be one of a `Ranking`, Answer.CANNOT_TELL\. Received <Answer.FIRST"
    ):
        RANKING.check(Answer.FIRST, "Ann")
    with pytest.raises(SettingError, match=r"Received Ranking\(ranks=\(0, 1\)\) from Ann"):
        PAIR.check(Ranking((0, 1)), "Ann")


def test_a_kind_has_its_own_number_of_segments() -> None:
    assert [PAIR.n_segments(wanted) for wanted in (1, 4, 6)] == [2, 2, 2]
    assert [RANKING.n_segments(wanted) for wanted in (1, 4, 9)] == [3, 4, 6]


@pytest.mark.parametrize("level", [0, 6, -1, 2.5, "3", True, None])
def test_a_rating_is_one_of_five_levels(level: object) -> None:
    with pytest.raises(SettingError, match=r"a whole number from 1 to 5\. Received"):
        Rating(level)  # type: ignore[arg-type]


def test_a_rating_says_nothing_of_two() -> None:
    assert Rating(4).preferences == ()
    assert Rating(4).turned_round == Rating(4)
    assert str(Rating(4)) == "4 of 5"
    kind = feedback_kind("rating")
    assert kind.n_segments(4) == 1
    assert (kind.fits(Rating(1), 1), kind.fits(Rating(1), 2), kind.fits(Answer.CANNOT_TELL, 1)) == (
        True,
        False,
        True,
    )
    kind.check(Rating(5), "ann")
    for said, by in (
        (Rating(3), "pair"),
        (Rating(3), "ranking"),
        (Ranking((0, 1)), "rating"),
        (Answer.FIRST, "rating"),
    ):
        with pytest.raises(SettingError, match=f"of kind '{by}' must be one of"):
            feedback_kind(by).check(said, "ann")
    assert kind.strength(Rating(5)) is Strength.UNSAID
