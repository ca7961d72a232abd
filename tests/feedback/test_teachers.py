import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from prefrl.errors import SegmentError, SettingError
from prefrl.feedback import (
    BoltzmannTeacher,
    OracleTeacher,
    People,
    ShuffledTeacher,
    Teacher,
    make_teacher,
    teachers,
)
from prefrl.feedback.teachers import ask, check_gives
from prefrl.registry import TEACHERS
from prefrl.segments import Answer, Query, Ranking, Rating, Segment, pairs_of
from prefrl.segments.answers import PAIR, RANKING, RATING, STRENGTH

MakeSegment = Callable[..., Segment]


class Says:
    """A teacher with one answer to everything."""

    name = "parrot"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def answer(self, query: Query) -> Answer:
        return self._answer

    def rank(self, query: Query) -> Answer:
        return self._answer

    def rate(self, query: Query) -> Answer:
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
    with pytest.raises(SegmentError, match=r"must be finite to be compared\. Received nan, 1.0"):
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
    with pytest.raises(SettingError, match=r"'oracle' has no setting `error`; it has discount, much_from"):
        make_teacher("oracle", {"error": 0.1}, seed=0)
    with pytest.raises(SettingError, match=r"'human' has no setting `error`; it has none"):
        make_teacher("human", {"error": 0.1}, seed=0)


# --- strength ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0.0, 2.0], [0.9, 2.9], Answer.MUCH_SECOND),  # d = 0.9
        ([0.0, 2.0], [0.7, 2.7], Answer.SECOND),  # d = 0.7
        ([70.0, 270.0], [0.0, 200.0], Answer.FIRST),  # d = 0.7: the scale of rewards does not count
        ([0.9, 2.9], [0.0, 2.0], Answer.MUCH_FIRST),
        ([1.0, 1.0], [1.1, 1.1], Answer.MUCH_SECOND),  # rewards do not change within a clip
        ([1.0, 2.0], [2.0, 1.0], Answer.EQUAL),
    ],
)
def test_much_better_is_a_large_effect(
    make_segment: MakeSegment, first: Sequence[float], second: Sequence[float], expected: Answer
) -> None:
    assert OracleTeacher().strength(pair(make_segment, first, second)) is expected


def test_the_effect_size_by_hand(make_segment: MakeSegment) -> None:
    rewards = [1.0, 4.0, 1.0], [0.0, 3.0, 6.0, 3.0]
    variance = (3 * np.var(rewards[0]) + 4 * np.var(rewards[1])) / 7
    found = teachers.effect_size(pair(make_segment, *rewards))
    assert found == pytest.approx((6.0 - 12.0) / 3.5 / np.sqrt(variance), rel=1e-6)


def test_what_is_large_may_be_set(make_segment: MakeSegment) -> None:
    query = pair(make_segment, [0.0, 2.0], [0.7, 2.7])
    assert OracleTeacher(much_from=0.5).strength(query) is Answer.MUCH_SECOND
    assert make_teacher("oracle", {"much_from": 0.5}, seed=0) == OracleTeacher(much_from=0.5)
    for wrong in (0.0, -1, float("nan"), float("inf"), "much"):
        with pytest.raises(SettingError, match="`much_from` of an oracle must be finite and above 0"):
            OracleTeacher(much_from=wrong)  # type: ignore[arg-type]


def test_strengths_are_turned_round_like_all_else(make_segment: MakeSegment) -> None:
    """And as often as they would be without strength, by the same coin."""
    shuffled = ShuffledTeacher(OracleTeacher(), seed=3)
    queries = [pair(make_segment, [0.0, 2.0], [5.0, 7.0], ordinal) for ordinal in range(200)]
    said = [shuffled.strength(query) for query in queries]
    assert set(said) == {Answer.MUCH_FIRST, Answer.MUCH_SECOND}
    directions = [answer.direction for answer in said if isinstance(answer, Answer)]
    assert directions == [shuffled.answer(query) for query in queries]
    assert 70 < said.count(Answer.MUCH_FIRST) < 130  # ± 4 standard errors


def test_a_teacher_of_pairs_alone_is_asked_nothing_else(make_segment: MakeSegment) -> None:
    query = pair(make_segment, [1.0], [2.0])
    with pytest.raises(
        SettingError, match=r"no feedback of kind 'strength': it needs a method `strength\(query\)`"
    ):
        ask(Says(Answer.FIRST), STRENGTH, query)
    with pytest.raises(SettingError, match="no feedback of kind 'strength'"):
        ShuffledTeacher(Says(Answer.FIRST), seed=0).strength(query)
    with pytest.raises(SettingError, match=r"must be one of Answer.FIRST, .* from parrot"):
        ask(Says(Answer.MUCH_FIRST), PAIR, query)


# --- people err -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rationality", [0.5, 2.0])
def test_it_errs_as_often_as_the_difference_is_small(make_segment: MakeSegment, rationality: float) -> None:
    teacher = BoltzmannTeacher(rationality=rationality, seed=4)
    for shift in (0.0625, 0.25, 1.0):  # the standard deviation within both is 1: d = shift
        queries = [pair(make_segment, [shift, 2 + shift], [0.0, 2.0], ordinal) for ordinal in range(2000)]
        said = [teacher.answer(query) for query in queries]
        assert set(said) == {Answer.FIRST, Answer.SECOND}
        expected = 1 / (1 + np.exp(-rationality * shift))
        assert said.count(Answer.FIRST) / 2000 == pytest.approx(expected, abs=0.045)  # 4 standard errors


def test_its_strength_is_of_what_it_perceives(make_segment: MakeSegment) -> None:
    """P(much first) = sigmoid(β (d - 0.8)), which is what the reward's ordinal model assumes."""
    teacher = BoltzmannTeacher(rationality=2.0, seed=1)
    queries = [pair(make_segment, [0.5, 2.5], [0.0, 2.0], ordinal) for ordinal in range(4000)]
    said = [teacher.strength(query) for query in queries]
    shares = [
        said.count(one) / 4000 for one in (Answer.MUCH_FIRST, Answer.FIRST, Answer.SECOND, Answer.MUCH_SECOND)
    ]
    above = [1 / (1 + np.exp(-2.0 * (0.5 - from_))) for from_ in (0.8, 0.0, -0.8)]
    expected = [above[0], above[1] - above[0], above[2] - above[1], 1 - above[2]]
    assert shares == pytest.approx(expected, abs=0.032)  # 4 standard errors
    assert [answer.direction for answer in said] == [teacher.answer(query) for query in queries]


@pytest.mark.parametrize(
    ("first", "second", "better"),
    [
        ([-1.0] * 8, [-1.0] * 4, Answer.SECOND),
        ([1.0] * 4, [1.0] * 8, Answer.SECOND),
        ([1.0, 1.01] * 10, [0.99, 1.0] * 25, Answer.SECOND),
        ([0.99, 1.0] * 25, [1.0, 1.01] * 10, Answer.FIRST),
    ],
)
def test_segments_of_other_lengths_are_compared_by_their_returns(
    make_segment: MakeSegment, first: Sequence[float], second: Sequence[float], better: Answer
) -> None:
    query = pair(make_segment, first, second)
    assert OracleTeacher().answer(query) is better
    assert OracleTeacher().strength(query).direction is better
    assert BoltzmannTeacher(rationality=50.0).strength(query).direction is better


def test_its_errors_are_those_of_its_seed(make_segment: MakeSegment) -> None:
    queries = [pair(make_segment, [0.2, 2.2], [0.0, 2.0], ordinal) for ordinal in range(100)]
    first, again, other = ([BoltzmannTeacher(seed=seed).answer(q) for q in queries] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert make_teacher("boltzmann", {}, seed=7) == BoltzmannTeacher(seed=7)


def test_equals_are_equal_to_it_and_what_cannot_be_is_refused(make_segment: MakeSegment) -> None:
    assert BoltzmannTeacher().strength(pair(make_segment, [1.0, 2.0], [2.0, 1.0])) is Answer.EQUAL
    for wrong in (0, -1.0, float("nan"), "very"):
        with pytest.raises(SettingError, match="`rationality` must be above 0"):
            BoltzmannTeacher(rationality=wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="`much_from` of an oracle"):
        BoltzmannTeacher(much_from=0)


# --- rankings ---------------------------------------------------------------------------------------------


def several(make_segment: MakeSegment, *rewards: Sequence[float], ordinal: int = 0) -> Query:
    segments = tuple(make_segment(i, n_steps=len(own), rewards=own) for i, own in enumerate(rewards))
    return Query(segments=segments, ordinal=ordinal)


def ranking(teacher: Teacher, query: Query) -> Ranking:
    said = ask(teacher, RANKING, query)
    assert isinstance(said, Ranking)
    return said


def test_the_oracle_ranks_by_true_return(make_segment: MakeSegment) -> None:
    query = several(make_segment, [1.0, 1.0], [5.0, 0.0], [-1.0, 0.0], [2.0, 0.0])
    assert ask(OracleTeacher(), RANKING, query) == Ranking((1, 0, 2, 1))
    with pytest.raises(SegmentError, match="True returns must be finite"):
        OracleTeacher().rank(several(make_segment, [1.0], [float("nan")], [0.0]))


def test_of_each_two_it_errs_as_often_as_of_a_pair(make_segment: MakeSegment) -> None:
    """The deviation within every segment is 1, so that the effect sizes are the differences of the means."""
    teacher, means, n = BoltzmannTeacher(rationality=2.0, seed=3), (0.0, 0.25, 1.0), 3000
    queries = [several(make_segment, *([m, m + 2] for m in means), ordinal=ordinal) for ordinal in range(n)]
    said = np.array([teacher.rank(query).preferences for query in queries])
    expected = [1 / (1 + np.exp(-2.0 * (means[i] - means[j]))) for i, j in pairs_of(3)]
    np.testing.assert_allclose(said.mean(axis=0), expected, atol=0.037)  # 4 standard errors
    best = np.bincount([ranking(teacher, query).ranks.index(0) for query in queries]) / n
    chances = np.exp(2.0 * np.array(means))
    np.testing.assert_allclose(best, chances / chances.sum(), atol=0.037)
    assert [teacher.rank(query) for query in queries[:50]] == [teacher.rank(query) for query in queries[:50]]
    assert BoltzmannTeacher(seed=4).rank(queries[0]) != BoltzmannTeacher(seed=5).rank(queries[0])


def test_its_ranking_keeps_equals_equal_and_needs_no_deviation(make_segment: MakeSegment) -> None:
    for seed in range(20):
        teacher = BoltzmannTeacher(seed=seed)
        ranks = ranking(teacher, several(make_segment, [1.0, 2.0], [2.0, 1.0], [0.0, 3.5])).ranks
        assert ranks[0] == ranks[1]
        assert teacher.rank(several(make_segment, [1.0, 1.0], [2.0, 2.0], [0.0, 0.0])) == Ranking((1, 0, 2))


def test_shuffled_rankings_tell_nothing(make_segment: MakeSegment) -> None:
    teacher, n = ShuffledTeacher(OracleTeacher(), seed=0), 3000
    queries = [several(make_segment, [0.0], [1.0], [2.0], ordinal=ordinal) for ordinal in range(n)]
    said = Counter(ask(teacher, RANKING, query) for query in queries)
    assert len(said) == 6
    assert max(abs(count - n / 6) for count in said.values()) < 4 * math.sqrt(n / 6)
    unsure = ShuffledTeacher(Says(Answer.CANNOT_TELL), seed=0)
    assert ask(unsure, RANKING, queries[0]) is Answer.CANNOT_TELL


def test_a_ranking_of_another_number_of_segments_is_refused(make_segment: MakeSegment) -> None:
    class Short(OracleTeacher):
        def rank(self, query: Query) -> Ranking:
            return Ranking((0, 1))

    with pytest.raises(SettingError, match=r"Of 3 segments oracle cannot say Ranking\(ranks=\(0, 1\)\);"):
        ask(Short(), RANKING, several(make_segment, [1.0], [2.0], [3.0]))


# --- ratings ----------------------------------------------------------------------------------------------


def level(teacher: Teacher, query: Query) -> int:
    said = ask(teacher, RATING, query)
    assert isinstance(said, Rating)
    return said.level


def test_the_oracle_rates_by_the_part_of_its_range(make_segment: MakeSegment) -> None:
    teacher = OracleTeacher(rating_range=(0.0, 10.0))
    for rewards, expected in (
        ([-50.0], 1), ([0.0], 1), ([1.9, 1.9], 1), ([2.0], 2), ([3.0, 5.0, 7.0], 3), ([7.9], 4), ([8.0], 5),
        ([10.0], 5), ([1e9], 5),
    ):  # fmt: skip
        assert ask(teacher, RATING, several(make_segment, rewards)) == Rating(expected), rewards
    with pytest.raises(SegmentError, match=r"The oracle rates one segment\. Received 2\."):
        teacher.rate(several(make_segment, [1.0], [2.0]))
    with pytest.raises(SegmentError, match="True returns must be finite"):
        teacher.rate(several(make_segment, [float("nan")]))


@pytest.mark.parametrize("wrong", [(1, 1), (2, 1), (0, math.inf), (0,), 3, "ab", ("a", "b"), (math.nan, 1)])
def test_a_range_that_is_none(wrong: Any) -> None:
    with pytest.raises(SettingError, match="`rating_range` must be two finite numbers, the lower first"):
        OracleTeacher(rating_range=wrong)


@pytest.mark.parametrize(
    "teacher", [OracleTeacher(), BoltzmannTeacher(), ShuffledTeacher(OracleTeacher(), seed=0)]
)
def test_whoever_knows_no_range_is_refused_at_once(teacher: Teacher, make_segment: MakeSegment) -> None:
    with pytest.raises(SettingError, match=r"gives feedback of kind 'rating' only with `rating_range`, .* file"):
        check_gives(teacher, RATING)
    check_gives(teacher, RANKING)
    with pytest.raises(SettingError, match="only with `rating_range`"):
        ask(teacher, RATING, several(make_segment, [1.0]))
    check_gives(ShuffledTeacher(OracleTeacher(rating_range=(0, 1)), seed=0), RATING)
    with pytest.raises(SettingError, match="rates by its `rating_range`"):
        OracleTeacher().rate(several(make_segment, [1.0]))


def test_who_errs_rates_as_it_compares(make_segment: MakeSegment) -> None:
    """Of two, it perceives the better one as higher as often as it is preferred; the mean is not shifted."""
    n = 4000
    teacher = BoltzmannTeacher(rationality=2.0, seed=3, rating_range=(-2.0, 3.0))
    ratings = {}
    for mean in (0.0, 1.0):  # the deviation within is 1, and a level is 1 wide
        queries = [several(make_segment, [mean - 0.5, mean + 1.5], ordinal=ordinal) for ordinal in range(n)]
        ratings[mean] = np.array([level(teacher, query) for query in queries])
        assert [level(teacher, query) for query in queries[:50]] == ratings[mean][:50].tolist()
    # P[mean + 0.5 + (Gumbel - 0.577) / 2 below the end of level 3, which is 1]
    for mean, said in ratings.items():
        gumbel = 2 * (1 - (mean + 0.5)) + 0.5772156649
        assert np.mean(said <= 3) == pytest.approx(np.exp(-np.exp(-gumbel)), abs=4 * 0.5 / np.sqrt(n))
    assert ratings[1.0].mean() - ratings[0.0].mean() == pytest.approx(1.0, abs=0.15)


def test_shuffled_ratings_tell_nothing(make_segment: MakeSegment) -> None:
    teacher, n = ShuffledTeacher(OracleTeacher(rating_range=(0, 1)), seed=0), 3000
    said = Counter(ask(teacher, RATING, several(make_segment, [1.0], ordinal=ordinal)) for ordinal in range(n))
    assert len(said) == 5
    assert max(abs(count - n / 5) for count in said.values()) < 4 * math.sqrt(n / 5)
    unsure = ShuffledTeacher(Says(Answer.CANNOT_TELL), seed=0)
    assert ask(unsure, RATING, several(make_segment, [1.0])) is Answer.CANNOT_TELL
