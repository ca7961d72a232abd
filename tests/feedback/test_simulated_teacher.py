"""A teacher with the faults of people: each by itself, and in their order."""

from collections import Counter
from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
import pytest

from prefrl.errors import SettingError
from prefrl.feedback import BoltzmannTeacher, OracleTeacher, SimulatedTeacher, make_teacher
from prefrl.feedback.teachers import ask, check_gives, effect_size
from prefrl.segments import Answer, FeedbackKind, Judgement, Query, Ranking, Rating, Segment
from prefrl.segments.answers import LEVELS, PAIR, RANKING, RATING, STRENGTH

N = 2000
RANGE = (-1.0, 1.0)


def query(*rewards: Sequence[float], ordinal: int = 0) -> Query:
    """A query of segments that differ in their rewards alone."""
    segments = tuple(
        Segment(
            observations=np.zeros((len(own), 1), dtype=np.float32),
            actions=np.zeros(len(own), dtype=np.int64),
            env_rewards=np.array(own, dtype=np.float32),
            env_index=index,
            episode=0,
            start=0,
            num_timesteps=0,
        )
        for index, own in enumerate(rewards)
    )
    return Query(segments=segments, ordinal=ordinal)


@pytest.fixture(scope="module")
def queries() -> dict[str, list[Query]]:
    """Of one, two and four segments of five steps, with rewards about 0 and of deviation 1."""
    rng = np.random.default_rng(0)
    sizes = {"one": 1, "two": 2, "four": 4}
    return {
        name: [query(*rng.normal(size=(k, 5)).tolist(), ordinal=i) for i in range(N)] for name, k in sizes.items()
    }


KINDS = [(PAIR, "two"), (STRENGTH, "two"), (RANKING, "four"), (RATING, "one")]
kinds = pytest.mark.parametrize(("kind", "of"), KINDS, ids=[kind.name for kind, _ in KINDS])


def said_of(teacher: OracleTeacher, kind: FeedbackKind, asked: Sequence[Query]) -> list[Judgement]:
    return [ask(teacher, kind, one) for one in asked]


def opposite(said: Judgement) -> Judgement:
    """What is said by a slip, by hand."""
    if isinstance(said, Rating):
        return {1: Rating(5), 2: Rating(4), 3: Rating(3), 4: Rating(2), 5: Rating(1)}[said.level]
    if isinstance(said, Ranking):
        return Ranking.by([float(rank) for rank in said.ranks])
    return said.turned_round


def is_share(count: int, n: int, share: float) -> bool:
    return abs(count - share * n) < 4 * sqrt(n * share * (1 - share))


@kinds
def test_without_faults_it_is_the_oracle(queries: dict[str, list[Query]], kind: FeedbackKind, of: str) -> None:
    oracle = OracleTeacher(rating_range=RANGE)
    assert said_of(SimulatedTeacher(rating_range=RANGE), kind, queries[of]) == said_of(oracle, kind, queries[of])


@kinds
def test_with_noise_alone_it_is_the_boltzmann_teacher(
    queries: dict[str, list[Query]], kind: FeedbackKind, of: str
) -> None:
    noisy = BoltzmannTeacher(rating_range=RANGE, rationality=1.5, seed=4)
    teacher = SimulatedTeacher(rating_range=RANGE, rationality=1.5, seed=4)
    assert said_of(teacher, kind, queries[of]) == said_of(noisy, kind, queries[of])
    assert said_of(teacher, kind, queries[of]) != said_of(OracleTeacher(rating_range=RANGE), kind, queries[of])


@kinds
def test_a_share_of_answers_says_the_opposite(
    queries: dict[str, list[Query]], kind: FeedbackKind, of: str
) -> None:
    asked = queries[of]
    meant = said_of(OracleTeacher(rating_range=RANGE), kind, asked)
    said = said_of(SimulatedTeacher(rating_range=RANGE, mistakes=0.1), kind, asked)
    differs = [one is not two and one != two for one, two in zip(meant, said, strict=True)]
    assert all(two in (one, opposite(one)) for one, two in zip(meant, said, strict=True))
    able = [one for one in meant if opposite(one) != one]  # a level in the middle has no opposite
    assert is_share(sum(differs), len(able), 0.1)
    again = said_of(SimulatedTeacher(rating_range=RANGE, mistakes=0.1), kind, asked[:100][::-1])
    assert again == said[:100][::-1], "of seed and query, not of what was asked before"
    assert said_of(SimulatedTeacher(rating_range=RANGE, mistakes=0.1, seed=1), kind, asked) != said


def test_what_is_too_alike_is_equal_whatever_is_perceived(queries: dict[str, list[Query]]) -> None:
    settings: list[dict[str, Any]] = [{}, {"rationality": 0.1}, {"discount": 0.5}, {"mistakes": 1.0}]
    for more in settings:
        teacher = SimulatedTeacher(equal_below=0.4, **more)
        for one in queries["two"][:300]:
            assert (teacher.answer(one) is Answer.EQUAL) == (abs(effect_size(one)) < 0.4), more
    assert 0.2 < np.mean([abs(effect_size(one)) < 0.4 for one in queries["two"]]) < 0.8


def test_of_a_ranking_those_share_a_rank_that_follow_closely() -> None:
    """The deviation within every segment is 1; lengths are 2."""
    means = (0.0, 0.3, 3.0, 0.5, 1.5)
    one = query(*([mean - 1, mean + 1] for mean in means))
    assert ask(SimulatedTeacher(equal_below=0.4), RANKING, one) == Ranking((2, 2, 0, 2, 1))
    assert ask(SimulatedTeacher(equal_below=0.25), RANKING, one) == Ranking((3, 2, 0, 2, 1))
    assert ask(SimulatedTeacher(equal_below=1.2), RANKING, one) == Ranking((1, 1, 0, 1, 1))
    assert ask(SimulatedTeacher(), RANKING, one) == Ranking((4, 3, 0, 2, 1))
    assert ask(SimulatedTeacher(), RANKING, query([1.0, 2.0], [0.0, 0.0], [2.0, 1.0])) == Ranking((0, 1, 0))
    assert ask(SimulatedTeacher(equal_below=0.4, mistakes=1.0), RANKING, one) == Ranking((0, 0, 2, 0, 1))


def test_where_all_clips_show_nothing_it_cannot_tell() -> None:
    teacher = SimulatedTeacher(skip_below=0.5, rating_range=RANGE, mistakes=1.0, first_bias=1.0, discount=0.1)
    low, high = [0.0, 0.9], [1.0, 0.1]  # of the discounted means, the lower one is above
    assert ask(teacher, PAIR, query(low, low)) is Answer.CANNOT_TELL
    assert ask(teacher, PAIR, query(low, high)) is not Answer.CANNOT_TELL
    assert ask(teacher, RANKING, query(low, low, low)) is Answer.CANNOT_TELL
    assert ask(teacher, RANKING, query(low, low, high)) is not Answer.CANNOT_TELL
    assert ask(teacher, RATING, query(low)) is Answer.CANNOT_TELL
    assert ask(teacher, RATING, query(high)) is not Answer.CANNOT_TELL


@kinds
def test_a_share_of_queries_cannot_be_told(queries: dict[str, list[Query]], kind: FeedbackKind, of: str) -> None:
    teacher = SimulatedTeacher(rating_range=RANGE, cannot_tell=0.2, mistakes=0.5)
    said = said_of(teacher, kind, queries[of])
    told = [(one, two) for one, two in zip(queries[of], said, strict=True) if two is not Answer.CANNOT_TELL]
    assert is_share(N - len(told), N, 0.2)
    meant = [ask(OracleTeacher(rating_range=RANGE), kind, one) for one, _ in told]
    able = [(one, two) for one, (_, two) in zip(meant, told, strict=True) if opposite(one) != one]
    assert is_share(sum(one != two for one, two in able), len(able), 0.5), "faults are drawn each for itself"


def test_a_share_is_named_without_looking(queries: dict[str, list[Query]]) -> None:
    always, sometimes = (
        SimulatedTeacher(first_bias=1.0, equal_below=9.0, mistakes=1.0),
        SimulatedTeacher(first_bias=0.3),
    )
    assert set(said_of(always, STRENGTH, queries["two"][:200])) == {Answer.FIRST}
    assert set(said_of(always, RANKING, queries["four"][:200])) == {Ranking((0, 1, 2, 3))}
    counts = Counter(ask(sometimes, PAIR, one) for one in queries["two"])
    n_better = sum(effect_size(one) > 0 for one in queries["two"])
    assert is_share(counts[Answer.FIRST] - n_better, N - n_better, 0.3)


@pytest.mark.parametrize("teacher", [OracleTeacher, SimulatedTeacher])
def test_who_is_myopic_goes_by_how_a_clip_ends(teacher: type[OracleTeacher]) -> None:
    """The sum of B-Pref: each reward times the discount, as often as steps follow."""
    early, late = [9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 7.0]
    one = query(early, late)
    assert teacher().answer(one) is Answer.FIRST
    assert teacher(discount=0.95).answer(one) is Answer.FIRST  # 9 * 0.95^3 = 7.7
    assert teacher(discount=0.9).answer(one) is Answer.SECOND  # 6.6
    assert teacher(discount=0.9).answer(query([1.0, 0.0], [0.0, 1.0])) is Answer.SECOND
    assert teacher(discount=0.9).answer(query([1.0, 0.0], [1.0, 0.0])) is Answer.EQUAL
    assert ask(teacher(discount=0.9), RANKING, query(early, late, [1.0] * 4)) == Ranking((1, 0, 2))
    rng = np.random.default_rng(1)
    for _ in range(50):
        rewards = rng.normal(size=(2, 6))
        first, second = (rewards * 0.8 ** np.arange(5, -1, -1)).sum(axis=1)
        assert teacher(discount=0.8).answer(query(*rewards.tolist())) is (
            Answer.FIRST if first > second else Answer.SECOND
        )


def test_the_level_of_who_is_myopic_is_that_of_a_mean() -> None:
    teacher = OracleTeacher(discount=0.5, rating_range=(0.0, 5.0))
    assert ask(teacher, RATING, query([2.5, 2.5, 2.5])) == Rating(3)
    assert ask(teacher, RATING, query([0.0, 0.0, 2.0])) == Rating(2)  # 2 * 4 / 7
    assert ask(teacher, RATING, query([2.0, 0.0, 0.0])) == Rating(1)
    assert ask(OracleTeacher(rating_range=(0.0, 5.0)), RATING, query([5.0, 0.0, 0.0])) == Rating(2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mistakes": 1.1}, "`mistakes` of a simulated teacher must be from 0 to 1"),
        ({"mistakes": "often"}, "`mistakes` of a simulated"),
        ({"cannot_tell": -0.1}, "`cannot_tell` of a simulated"),
        ({"first_bias": float("nan")}, "`first_bias` of a simulated"),
        ({"equal_below": -1.0}, "`equal_below` must be 0 or more"),
        ({"skip_below": float("nan")}, "`skip_below` must be a number"),
        ({"discount": 0.0}, "`discount` must be above 0, and at most 1"),
        ({"discount": 1.01}, "`discount` must be above 0"),
        ({"rationality": 0.0}, "`rationality` must be above 0"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make_teacher("simulated", settings, seed=0)


def test_it_is_made_by_name_with_the_runs_seed_and_needs_a_range_to_rate() -> None:
    assert make_teacher("simulated", {"mistakes": 0.1}, seed=7) == SimulatedTeacher(mistakes=0.1, seed=7)
    with pytest.raises(SettingError, match="only with `rating_range`"):
        check_gives(SimulatedTeacher(), RATING)
    assert LEVELS == 5, "or `opposite` above is another"
