from collections.abc import Callable

import pytest

from prefrl.errors import SegmentError, SettingError
from prefrl.registry import FEEDBACK_KINDS
from prefrl.segments import Answer, Comparison, FeedbackKind, Segment, Strength, feedback_kind
from prefrl.segments.answers import PAIR, STRENGTH


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
        SettingError, match=r"`kind` must be one of pair, strength. Received 'strenght'. Did you mean"
    ):
        feedback_kind("strenght")


def test_equals_have_no_strength(make_segment: Callable[..., Segment]) -> None:
    with pytest.raises(SegmentError, match="Neither of two equals is better"):
        Comparison(segments=(make_segment(1), make_segment(2)), preference=0.5, strength=Strength.MUCH)
