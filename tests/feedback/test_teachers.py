from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from prefrl.errors import SegmentError, SettingError
from prefrl.feedback import OracleTeacher, People, ShuffledTeacher, Teacher, make_teacher, teachers
from prefrl.registry import TEACHERS
from prefrl.segments import Answer, Query, Segment

MakeSegment = Callable[..., Segment]


class Says:
    """A teacher with one answer to everything."""

    name = "parrot"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def answer(self, query: Query) -> Answer:
        return self._answer


def pair(make_segment: MakeSegment, first: Sequence[float], second: Sequence[float], ordinal: int = 0) -> Query:
    segments = (
        make_segment(1, n_steps=len(first), rewards=first),
        make_segment(2, n_steps=len(second), rewards=second),
    )
    return Query(segments=segments, ordinal=ordinal)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0, 2.0], [0.0, 2.5], Answer.FIRST),
        ([0.0, 2.5], [1.0, 2.0], Answer.SECOND),
        ([1.0, 2.0], [2.0, 1.0], Answer.EQUAL),
        ([0.25] * 8, [1.0, 1.0], Answer.EQUAL),
        ([-1.0], [-2.0], Answer.FIRST),
        ([1e8, 1.0, -1e8], [0.5, 0.0, 0.0], Answer.FIRST),  # the sum in float32 would be 0
        ([0.0], [1e-30], Answer.SECOND),
    ],
)
def test_the_oracle_prefers_the_greater_true_return(
    make_segment: MakeSegment, first: Sequence[float], second: Sequence[float], expected: Answer
) -> None:
    assert OracleTeacher().answer(pair(make_segment, first, second)) is expected


def test_the_oracle_refuses_what_it_cannot_compare(make_segment: MakeSegment) -> None:
    with pytest.raises(SegmentError, match=r"must be finite to be compared\. Received nan and 1.0"):
        OracleTeacher().answer(pair(make_segment, [float("nan")], [1.0]))
    three = Query(segments=tuple(make_segment(k) for k in range(3)), ordinal=0)
    with pytest.raises(SegmentError, match=r"compares two segments\. Received 3"):
        OracleTeacher().answer(three)


def test_shuffled_answers_are_right_half_of_the_time(make_segment: MakeSegment) -> None:
    oracle = OracleTeacher()
    shuffled: Teacher = ShuffledTeacher(oracle, seed=0)
    for first, second in (([1.0], [0.0]), ([0.0], [1.0])):
        queries = [pair(make_segment, first, second, ordinal=k) for k in range(400)]
        answers = [shuffled.answer(query) for query in queries]
        right = sum(oracle.answer(query) is answer for query, answer in zip(queries, answers, strict=True))
        assert set(answers) == {Answer.FIRST, Answer.SECOND}
        assert 150 <= right <= 250  # mean 200, standard deviation 10


def test_shuffled_answers_depend_on_seed_and_query_only(make_segment: MakeSegment) -> None:
    queries = [pair(make_segment, [1.0], [0.0], ordinal=k) for k in range(64)]
    once = [ShuffledTeacher(OracleTeacher(), seed=3).answer(query) for query in queries]
    teacher = ShuffledTeacher(OracleTeacher(), seed=3)
    backwards = [teacher.answer(query) for query in reversed(queries)]
    assert once == backwards[::-1]
    assert once != [ShuffledTeacher(OracleTeacher(), seed=4).answer(query) for query in queries]


@pytest.mark.parametrize("answer", [Answer.EQUAL, Answer.CANNOT_TELL])
def test_what_has_no_direction_cannot_be_turned_round(make_segment: MakeSegment, answer: Answer) -> None:
    teacher = ShuffledTeacher(Says(answer), seed=0)
    assert {teacher.answer(pair(make_segment, [1.0], [0.0], ordinal=k)) for k in range(20)} == {answer}


def test_teachers_have_names() -> None:
    assert OracleTeacher().name == "oracle"
    assert ShuffledTeacher(Says(Answer.EQUAL), seed=0).name == "parrot, shuffled"


# --- by name ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seeded:
    """A teacher with settings and a seed of its own."""

    error: float = 0.25
    seed: int = 0
    name = "seeded"


def test_a_teacher_is_made_by_its_name_with_its_settings_and_the_runs_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(teachers, "Seeded", Seeded, raising=False)
    monkeypatch.setitem(TEACHERS, "seeded", "prefrl.feedback.teachers:Seeded")
    made: object = make_teacher("seeded", {"error": 0.5}, seed=7)
    assert made == Seeded(error=0.5, seed=7)
    given: object = make_teacher("seeded", {"seed": 3}, seed=7)
    assert given == Seeded(seed=3)
    assert make_teacher("oracle", {}, seed=7) == OracleTeacher()
    assert make_teacher("human", {}, seed=7) == People()


def test_a_teacher_that_there_is_not_and_a_setting_it_has_not() -> None:
    with pytest.raises(SettingError, match=r"`teacher` must be one of .* Received 'orakle'\. Did you mean oracle"):
        make_teacher("orakle", {}, seed=0)
    with pytest.raises(SettingError, match=r"'oracle' has no setting `error`; it has none"):
        make_teacher("oracle", {"error": 0.1}, seed=0)
