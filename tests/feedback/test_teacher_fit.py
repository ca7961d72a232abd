"""The teacher that fits answers best: it is found again from 300 of its own, for every kind of feedback."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf, sqrt
from typing import Any

import numpy as np
import pytest

from prefrl.errors import FitError
from prefrl.feedback import SimulatedTeacher
from prefrl.feedback.likelihood import wilson
from prefrl.feedback.teacher_chances import PairsSaid, RankingsSaid, RatingsSaid
from prefrl.feedback.teacher_fit import Said, TeacherFit, fit_teacher
from prefrl.feedback.teachers import OracleTeacher, ask, effect_size
from prefrl.segments import Answer, FeedbackKind, Query, Ranking, Rating, Segment
from prefrl.segments.answers import PAIR, RANKING, RATING, STRENGTH

N_CLIPS = {"pair": 2, "strength": 2, "ranking": 4, "rating": 1}
kinds = pytest.mark.parametrize("kind", [PAIR, STRENGTH, RANKING, RATING], ids=list(N_CLIPS))
FAULTS: dict[str, Any] = {
    "rationality": 4.0,
    "mistakes": 0.08,
    "equal_below": 0.25,
    "cannot_tell": 0.1,
    "first_bias": 0.15,
    "skip_below": -0.6,
    "rating_range": (-1.0, 1.0),
}
TEACHERS: dict[str, dict[str, Any]] = {
    "oracle": {},
    "boltzmann": {"rationality": 2.0},
    "mistaken": {"mistakes": 0.15},
    "both": {"rationality": 3.0, "mistakes": 0.1},
    "all": FAULTS,
    "myopic": {"rationality": 3.0, "discount": 0.7},
}


def queries(n_clips: int, n: int = 300, seed: int = 0) -> list[Query]:
    """Clips of five steps, whose rewards deviate by 1 within a clip, and by 0.6 between clips."""
    rng = np.random.default_rng(seed)
    rewards = rng.normal(rng.normal(size=(n, n_clips, 1)) * 0.6, 1, size=(n, n_clips, 5))
    return [
        Query(segments=tuple(_segment(own, place) for place, own in enumerate(clips)), ordinal=i)
        for i, clips in enumerate(rewards)
    ]


def _segment(rewards: Sequence[float], place: int = 0) -> Segment:
    return Segment(
        observations=np.zeros((len(rewards), 1)),
        actions=np.zeros(len(rewards)),
        env_rewards=np.array(rewards, dtype=np.float32),
        env_index=place,
    )


def said_by(kind: FeedbackKind, seed: int = 0, n: int = 300, **settings: Any) -> list[Said]:
    teacher = SimulatedTeacher(**{"rating_range": (-1.0, 1.0)} | settings, seed=seed)
    return [(query, ask(teacher, kind, query)) for query in queries(N_CLIPS[kind.name], n, seed)]


def misses(fit: TeacherFit, settings: dict[str, Any]) -> list[str]:
    """What of a teacher is outside of its interval."""
    teacher = SimulatedTeacher(**settings)
    worst, best = settings.get("rating_range", (-1.0, 1.0))
    truth = {"worst": worst, "best": best}
    return [
        name
        for name, found in fit.intervals.items()
        if not found.low - 1e-9 <= float(truth.get(name, getattr(teacher, name, 0.0))) <= found.high + 1e-9
    ]


def chances_of(kind: FeedbackKind, said: Sequence[Said], settings: dict[str, Any]) -> Any:
    """The chance of each of the answers, none of them "can't tell"."""
    oracle, values = OracleTeacher(), {name: np.array([[value]]) for name, value in settings.items()}
    if kind is RATING:
        return RatingsSaid.of([(q, a) for q, a in said if isinstance(a, Rating)], oracle).chances(values)[0]
    if kind is RANKING:
        return RankingsSaid.of([(q, a) for q, a in said if isinstance(a, Ranking)], oracle).chances(values)[0]
    pairs = [(q, a) for q, a in said if isinstance(a, Answer)]
    alike, apart = PairsSaid.of(pairs, oracle, asks_strength=kind is STRENGTH).chances(values)
    near = np.array([abs(effect_size(query)) < settings["equal_below"] for query, _ in said])
    return np.where(near, alike[0], apart[0])


SETTINGS: dict[str, Any] = {
    "rationality": 1.5,
    "mistakes": 0.1,
    "first_bias": 0.15,
    "tie_slips": 0.1,
    "equal_below": 0.3,
}


@kinds
def test_chances_are_those_of_the_draws(kind: FeedbackKind) -> None:
    """Of each thing that may be said, as often as its chances over all queries say."""
    ranking_of = {RANKING: 3}.get(kind, N_CLIPS[kind.name])
    teacher = SimulatedTeacher(**SETTINGS, rating_range=(-1.0, 1.0))
    asked = queries(ranking_of, 500)
    said = [(query, ask(teacher, kind, query)) for query in asked]
    counts = Counter(judgement for _, judgement in said)
    settings = SETTINGS | {"much_from": 0.8, "worst": -1.0, "best": 1.0}
    total = 0.0
    possible = set(counts)
    for one in possible:
        chances = chances_of(kind, [(query, one) for query in asked], settings)
        total += chances.mean()
        spread = sqrt((chances * (1 - chances)).sum())
        assert abs(counts[one] - chances.sum()) < 4 * spread + 1, one
    assert total == pytest.approx(1, abs=0.02), f"{len(possible)} different things were said"


@kinds
@pytest.mark.parametrize("name", ["boltzmann", "all"])
def test_a_teacher_is_found_again(kind: FeedbackKind, name: str) -> None:
    fit = fit_teacher(said_by(kind, seed=4, **TEACHERS[name]), kind)
    assert misses(fit, TEACHERS[name]) == []
    assert fit.intervals["rationality"].low > 1, "an interval that says something"
    assert fit.n_answers == 300


@pytest.mark.slow
@kinds
@pytest.mark.parametrize("name", list(TEACHERS))
def test_intervals_hold_as_often_as_they_say(kind: FeedbackKind, name: str) -> None:
    """Of 20 teachers of other seeds; of a share of 95 %, fewer than 16 would be one in 4,000."""
    settings = TEACHERS[name]
    found = [
        misses(
            fit_teacher(said_by(kind, seed, **settings), kind, discount=settings.get("discount", 1.0)), settings
        )
        for seed in range(20)
    ]
    counts = Counter(miss for one in found for miss in one)
    assert all(count <= 4 for count in counts.values()), counts


@kinds
def test_who_sees_everything_is_an_oracle(kind: FeedbackKind) -> None:
    fit = fit_teacher(said_by(kind), kind)
    assert fit.intervals["rationality"].high == inf
    assert fit.intervals["rationality"].low > 30
    assert fit.intervals["mistakes"].high < 0.02
    assert fit.intervals["cannot_tell"].value == 0
    assert set(fit.settings()) <= {"rationality", "rating_range", "much_from", "skip_below"}
    assert all(
        value is None or abs(value) < inf for one in fit.to_json()["settings"].values() for value in one.values()
    )


def test_who_says_the_opposite_is_found_out() -> None:
    fit = fit_teacher(said_by(PAIR, mistakes=0.9, rationality=5.0), PAIR)
    assert fit.intervals["mistakes"].low > 0.8


def test_what_answers_say_nothing_of_is_not_made_up() -> None:
    """Of who calls everything equal nobody knows how rational they are, nor how often they would slip."""
    pairs = [(query, Answer.EQUAL) for query in queries(2, 60)]
    assert fit_teacher(pairs, PAIR).settings().keys() == {"equal_below"}
    assert fit_teacher(pairs, PAIR).intervals["rationality"].low < 0.05
    rankings = [(query, Ranking((0, 0, 0))) for query in queries(3, 60)]
    assert fit_teacher(rankings, RANKING).settings().keys() == {"equal_below"}


def test_ties_that_go_by_no_threshold_are_slips() -> None:
    fit = fit_teacher(said_by(PAIR, rationality=5.0, tie_slips=0.1, equal_below=0.3, seed=1), PAIR)
    assert misses(fit, {"rationality": 5.0, "tie_slips": 0.1, "equal_below": 0.3}) == []
    assert fit.intervals["tie_slips"].low > 0.02


def test_a_fitted_teacher_can_be_made() -> None:
    fit = fit_teacher(said_by(RATING, **FAULTS), RATING)
    made = SimulatedTeacher(**fit.settings())
    assert made.rating_range is not None
    assert made.rationality == fit.intervals["rationality"].value
    assert "ties" in fit.notes[0]


def test_clips_that_are_exactly_equal_may_be_said_to_differ() -> None:
    """In a gridworld most are; the teacher would say so, and people do not always."""
    rng = np.random.default_rng(0)
    grids = [[_segment(rng.integers(0, 2, size=3).tolist(), place) for place in range(4)] for _ in range(80)]
    asked = [Query(segments=tuple(grid), ordinal=place) for place, grid in enumerate(grids)]
    ranked: list[Said] = [(query, Ranking.by(rng.permutation(4).tolist())) for query in asked]
    assert fit_teacher(ranked, RANKING).intervals["rationality"].value < 1
    pairs = [Query(segments=query.segments[:2], ordinal=query.ordinal) for query in asked]
    oracle = OracleTeacher()
    said: list[Said] = [(pair, oracle.answer(pair)) for pair in pairs]
    said = [
        (pair, Answer.SECOND if one is Answer.EQUAL and place % 3 else one)
        for place, (pair, one) in enumerate(said)
    ]
    assert 0.02 < fit_teacher(said, PAIR).intervals["tie_slips"].value < 0.4


def _equal(query: Query) -> Query:
    return Query(segments=tuple(_segment([1.0, 1.0], place) for place in range(2)), ordinal=query.ordinal)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda said: said[:29], PAIR, "30 answers or more.*Received 29"),
        (lambda said: [(query, Answer.CANNOT_TELL) for query, _ in said], PAIR, "Received 0"),
        (lambda said: [(_equal(query), one) for query, one in said], PAIR, "All clips have the same true reward"),
        (lambda said: [(query, Rating(3)) for query, _ in said], RATING, "All ratings are 3 of 5"),
        (lambda said: [(query, Ranking((0,) * 6)) for query in queries(6, 60)], RANKING, "as equals"),
    ],
)
def test_what_says_too_little(
    change: Callable[[list[Said]], list[Said]], kind: FeedbackKind, message: str
) -> None:
    with pytest.raises(FitError, match=message):
        fit_teacher(change(said_by(kind, n=60)), kind)


def test_wilsons_interval() -> None:
    """Of 3 of 10, from the table of Brown, Cai and DasGupta (2001) by hand: 0.1078 to 0.6032."""
    assert wilson(3, 10) == pytest.approx((0.1078, 0.6032), abs=1e-4)
    assert wilson(0, 10)[0] == 0
    assert wilson(0, 0) == (0, 1)
