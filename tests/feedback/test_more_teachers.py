"""Teachers with B-Pref's thresholds, by regret, who drift, who are several, and who are slow."""

from collections import Counter
from dataclasses import replace
from math import exp
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from prefrl.errors import SegmentError, SettingError
from prefrl.feedback import (
    BPrefTeacher,
    DriftingTeacher,
    MixtureTeacher,
    QueryMaker,
    RegretTeacher,
    SimulatedTeacher,
    SlowTeacher,
    SlowTeacherLabels,
    TeacherLabels,
    Wanted,
    make_teacher,
)
from prefrl.feedback.teacher_fit import fit_teacher
from prefrl.feedback.teachers import ask, follows_returns, name_for
from prefrl.registry import TEACHERS
from prefrl.segments import Answer, FeedbackKind, Query, Ranking, Segment, SegmentRecorder
from prefrl.segments.answers import PAIR, RANKING, RATING, STRENGTH
from prefrl.settings import FeedbackSettings
from prefrl.store import RunAbout, Store

KINDS = {PAIR.name: (PAIR, 2), STRENGTH.name: (STRENGTH, 2), RANKING.name: (RANKING, 4), RATING.name: (RATING, 1)}
kinds = pytest.mark.parametrize(("kind", "k"), KINDS.values(), ids=list(KINDS))
SPACE = spaces.Box(-np.inf, np.inf, (1,), np.float32)
RANGE = {"rating_range": [-1, 1]}
MADE: dict[str, dict[str, Any]] = {
    "oracle": RANGE,
    "boltzmann": RANGE,
    "simulated": RANGE,
    "bpref": {**RANGE, "skip": 0.1, "equal": 0.1, "mean_reward": 1.0},
    "regret": {**RANGE, "value": lambda seen: seen[:, 0]},
    "drifting": {"teacher_settings": RANGE, "drift": {"mistakes": [0, 0.5]}},
    "slow": {"teacher_settings": RANGE, "delay_steps": 10},
    "mixture": {
        "people": [{"name": "ann", "teacher_settings": RANGE}, {"name": "bob", "teacher_settings": RANGE}]
    },
}


def query(*rewards: list[float], ordinal: int = 0, states: Any = None, **about: Any) -> Query:
    """Segments of these rewards; `states` are the first and the last observation of each."""
    segments = []
    for place, own in enumerate(rewards):
        first, last = (0.0, 0.0) if states is None else states[place]
        observations = np.full((len(own), 1), first, dtype=np.float32)
        segments.append(
            Segment(
                observations=observations,
                actions=np.zeros(len(own)),
                env_rewards=np.array(own, dtype=np.float32),
                next_observation=np.array([last], dtype=np.float32),
                env_index=place,
            )
        )
    return Query(segments=tuple(segments), ordinal=ordinal, **about)


def queries(k: int, n: int = 300, **about: Any) -> list[Query]:
    rng = np.random.default_rng(0)
    rewards = rng.normal(rng.normal(size=(n, k, 1)) * 0.6, 1, size=(n, k, 5))
    return [query(*clips.tolist(), ordinal=i, **about) for i, clips in enumerate(rewards)]


@kinds
@pytest.mark.parametrize("name", [name for name in TEACHERS if name != "human"])
def test_every_teacher_gives_every_kind(name: str, kind: FeedbackKind, k: int) -> None:
    said = [ask(make_teacher(name, MADE[name], seed=3), kind, one) for one in queries(k, 30)]  # type: ignore[arg-type]
    again = make_teacher(name, MADE[name], seed=3)
    assert said == [ask(again, kind, one) for one in queries(k, 30)]  # type: ignore[arg-type]
    assert len(set(said)) > 1


def test_beta_is_of_the_difference_of_discounted_sums() -> None:
    asked = [query([2.0, 0.0, 1.0], [1.0, 1.0, 1.0], ordinal=i) for i in range(3000)]
    for discount in (1.0, 0.5):
        g = [sum(r * discount ** (2 - t) for t, r in enumerate(own)) for own in ([2, 0, 1], [1, 1, 1])]
        share = np.mean([SimulatedTeacher(beta=2, discount=discount).answer(q) is Answer.FIRST for q in asked])
        expected = 0.0 if g[0] == g[1] else 1 / (1 + exp(-2 * (g[0] - g[1])))
        assert abs(share - expected) < 0.04, discount
    flat = [query([1.0, 1.0], [0.5, 0.5], ordinal=i) for i in range(2000)]  # no reward changes within a clip
    share = np.mean([SimulatedTeacher(beta=1).answer(q) is Answer.FIRST for q in flat])
    assert abs(share - 1 / (1 + exp(-1))) < 0.04
    ranked = np.mean([SimulatedTeacher(beta=1).rank(q) == Ranking((0, 1)) for q in flat])
    assert abs(ranked - 1 / (1 + exp(-1))) < 0.04


def test_thresholds_of_bpref_by_hand() -> None:
    """Segments of 4 steps, a mean reward of 5: δ = 0.1 · 4 · 5 = 2, and 0.2 as published."""
    low, lower, high = [0.5, 0.5, 0.5, 0.4], [0.1, 0.1, 0.1, 0.1], [1.0, 1.0, 1.0, 1.0]
    skips = BPrefTeacher(skip=0.1, mean_reward=5.0, rating_range=(0, 1))
    equals = BPrefTeacher(equal=0.1, mean_reward=5.0)
    assert skips.answer(query(low, lower)) is Answer.CANNOT_TELL
    assert skips.answer(query(high, low)) is Answer.FIRST
    assert skips.rate(query(low)) is Answer.CANNOT_TELL
    assert equals.answer(query(low, lower)) is Answer.EQUAL
    assert equals.answer(query(high, lower)) is Answer.FIRST
    assert equals.rank(query(high, lower, low)) == Ranking((0, 1, 1))  # 2.1 apart, then 1.5
    published = BPrefTeacher(skip=0.1, equal=0.1, mean_reward=5.0, as_published=True)
    assert published.answer(query(low, lower)) is Answer.FIRST
    assert published.answer(query(low, [0.5, 0.5, 0.5, 0.45])) is Answer.EQUAL


def test_bpref_follows_what_the_agent_gets() -> None:
    teacher = BPrefTeacher(equal=0.1, skip=0.1)
    one = query([1.0, 1.0], [0.9, 0.9])
    assert follows_returns(teacher)
    assert not follows_returns(BPrefTeacher(equal=0.1, mean_reward=1.0))
    assert not follows_returns(BPrefTeacher(mistakes=0.1))
    assert follows_returns(SlowTeacher(teacher="bpref", teacher_settings={"skip": 0.1}, delay_steps=1))
    assert teacher.answer(one) is Answer.FIRST
    assert teacher.answer(replace(one, mean_env_reward=-3.0)) is Answer.FIRST
    assert teacher.answer(replace(one, mean_env_reward=3.0)) is Answer.EQUAL
    assert teacher.answer(replace(one, mean_env_reward=30.0)) is Answer.CANNOT_TELL
    assert BPrefTeacher(mean_reward=0.1, equal=0.1).answer(replace(one, mean_env_reward=30.0)) is Answer.FIRST


def test_regret_prefers_who_heads_for_the_goal() -> None:
    """A reward of −1 a step, V* = −distance: both returns are −3."""
    one = query([-1.0] * 3, [-1.0] * 3, states=[(5, 8), (5, 2)])
    teacher = RegretTeacher(value=lambda seen: -seen[:, 0])
    assert SimulatedTeacher().answer(one) is Answer.EQUAL
    assert [teacher.regret(segment) for segment in one.segments] == [6.0, 0.0]
    assert teacher.answer(one) is Answer.SECOND
    assert RegretTeacher(value=lambda seen: -seen[:, 0], mistakes=1.0).answer(one) is Answer.FIRST
    discounted = RegretTeacher(value=lambda seen: seen[:, 0], gamma=0.5)
    assert discounted.regret(query([1.0, 2.0], states=[(4, 8)]).segments[0]) == 4 - (1 + 1 + 0.25 * 8)
    asked = [replace(one, ordinal=i) for i in range(2000)]
    soft = RegretTeacher(value=lambda seen: -seen[:, 0], beta=0.2)
    assert abs(np.mean([soft.answer(q) is Answer.SECOND for q in asked]) - 1 / (1 + exp(-1.2))) < 0.04
    with pytest.raises(SegmentError, match="next_observation"):
        teacher.regret(replace(one.segments[0], next_observation=None))


@kinds
def test_without_values_regret_is_minus_the_return(kind: FeedbackKind, k: int) -> None:
    settings: dict[str, Any] = {"rationality": 3.0, "mistakes": 0.1, "skip_below": -0.5, "rating_range": (-1, 1)}
    teacher = RegretTeacher(value=lambda seen: 0 * seen[:, 0], **settings)
    said = [(one, ask(teacher, kind, one)) for one in queries(k)]
    assert said == [(one, ask(SimulatedTeacher(**settings), kind, one)) for one, _ in said]


@kinds
def test_bpref_and_each_of_several_people_are_found_again(kind: FeedbackKind, k: int) -> None:
    people: list[dict[str, Any]] = [
        {"name": "ann", "share": 2, "teacher_settings": {**RANGE, "mistakes": 0.3}},
        {"name": "bob", "teacher": "bpref", "teacher_settings": {**RANGE, "skip": 0.5, "mean_reward": 0.2}},
    ]
    mixture = MixtureTeacher(people=people, seed=1)
    said = [(name_for(mixture, one), one, ask(mixture, kind, one)) for one in queries(k, 450)]
    assert abs(Counter(name for name, *_ in said)["ann"] - 300) < 40
    ann, bob = (fit_teacher([(q, a) for who, q, a in said if who == name], kind) for name in ("ann", "bob"))
    assert ann.intervals["mistakes"].low <= 0.3 <= ann.intervals["mistakes"].high
    assert bob.intervals["mistakes"].low < 0.01
    assert bob.intervals["skip_below"].low <= 0.1 <= bob.intervals["skip_below"].high
    assert ann.intervals["skip_below"].value < -0.5


def test_a_drift_by_hand() -> None:
    drift = {"mistakes": [0.0, 0.4], "rationality": [2, 1], "rating_range": [[0, 1], [2, 5]]}
    teacher = DriftingTeacher(drift=drift, teacher_settings={"first_bias": 0.1}, n_queries=5, seed=7)
    at = [teacher.teacher_for(query([1.0], [0.0], ordinal=i)) for i in (0, 1, 4, 9)]
    common: dict[str, Any] = {"first_bias": 0.1, "seed": 7}
    assert at[0] == SimulatedTeacher(mistakes=0.0, rationality=2, rating_range=(0, 1), **common)
    assert at[1] == SimulatedTeacher(mistakes=0.1, rationality=1.6, rating_range=(0.5, 2.0), **common)
    assert at[2] == at[3] == SimulatedTeacher(mistakes=0.4, rationality=1, rating_range=(2, 5), **common)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("bpref", {"skip": 2}, "`skip` of B-Pref's teacher must be from 0 to 1"),
        ("bpref", {"mean_reward": -1}, "`mean_reward`, of which"),
        ("bpref", {"as_published": "yes"}, "`as_published` must be true or false"),
        ("simulated", {"beta": 0}, "`beta` must be above 0"),
        ("simulated", {"beta": 1, "rationality": 1}, "the same noise in two units"),
        ("regret", {"values_from": "runs/a"}, "needs a value function"),
        ("regret", {"value": len, "discount": 0.9}, "`discount` must be 1 of a regret"),
        ("regret", {"value": len, "gamma": 0}, "`gamma` must be above 0"),
        ("drifting", {}, "needs `drift`"),
        ("drifting", {"drift": {"mistakes": 0.1}}, "`mistakes` can drift only"),
        ("drifting", {"drift": {"mistakes": [0, 2]}}, "`mistakes` of a simulated teacher"),
        ("drifting", {"drift": {"seed": [0, 2]}}, "`seed` can drift only"),
        ("drifting", {"drift": {"beta": [0, 2]}}, "`beta` must be above 0 at both ends"),
        ("drifting", {"drift": {"hurry": [0, 2]}}, "has no setting `hurry`"),
        ("drifting", {"drift": {"mistakes": [0, 0.1]}, "n_queries": 1}, "`n_queries` of a drift"),
        ("mixture", {}, "needs `people`"),
        ("mixture", {"people": [{"name": "a"}, {"name": "a"}]}, "one person's"),
        ("mixture", {"people": [{"name": "a", "share": 0}]}, "`share` of a in a mixture"),
        ("mixture", {"people": [{"name": "a", "mistakes": 0.1}]}, "can be said name, share"),
        ("mixture", {"people": [{"name": "a", "teacher": "human"}]}, "one that answers at once"),
        ("slow", {}, "'slow' needs `delay_steps`: say it in `teacher_settings`"),
        ("slow", {"delay_steps": 0}, "`delay_steps` of a slow teacher"),
        ("slow", {"delay_steps": 1, "teacher": "slow", "teacher_settings": {"delay_steps": 2}}, "answers at once"),
    ],
)
def test_settings_that_cannot_be(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make_teacher(name, settings, seed=0)


def labels_of(teacher: Any, store: Store, *, mean: float | None = None) -> TeacherLabels:
    recorder = SegmentRecorder(SPACE, SPACE, 2, capacity=100)
    rng = np.random.default_rng(0)
    for _ in range(40):
        recorder.record(rng.normal(size=(2, 1)), rng.normal(size=(2, 1)), rng.normal(size=2), np.zeros(2, bool))
    run = store.newest_run() or store.begin_run(RunAbout.of(SPACE, SPACE, segment_length=5))
    maker = QueryMaker(
        recorder,
        FeedbackSettings(segment_length=5),
        np.random.default_rng(1),
        lambda segments: np.zeros((3, len(segments))),
        mean_env_reward=lambda: mean,
    )
    return (SlowTeacherLabels if isinstance(teacher, SlowTeacher) else TeacherLabels)(teacher, store, run, maker)


def heard(labels: TeacherLabels, due: int, step: int) -> list[Any]:
    return [one for news in labels.collect(Wanted(due, 100, 1), step) for one in news.comparisons]


def test_answers_of_several_are_stored_under_their_names() -> None:
    with Store() as store:
        mixture = MixtureTeacher(people=[{"name": "ann"}, {"name": "bob"}])
        labels = labels_of(mixture, store)
        names = Counter(one.teacher for one in heard(labels, 30, 80))
        assert set(names) == {"ann", "bob"}
        assert sum(names.values()) == 30
        store.set_aside("ann", True)
        assert {one.teacher for one in heard(labels, 40, 90)} == {"bob"}
        store.set_aside("bob", True)
        with pytest.raises(SettingError, match="'mixture' are set aside"):
            heard(labels, 90, 99)


@pytest.mark.parametrize("delay", [0, 10])
def test_what_one_of_several_said_before_counts_no_more_where_they_are_set_aside(delay: int) -> None:
    """And counts again later, and nothing twice, also after a resume."""
    people = [{"name": "ann"}, {"name": "bob"}]
    mixture: Any = MixtureTeacher(people=people)
    if delay:
        mixture = SlowTeacher(delay_steps=delay, teacher="mixture", teacher_settings={"people": people})
    with Store() as store:
        labels = labels_of(mixture, store)
        heard(labels, 30, 80)
        first = heard(labels, 30, 95) if delay else store.comparisons()
        of_ann = {one.seq for one in store.comparisons() if one.teacher == "ann"}
        assert labels.n_labels == len(first) == 30
        store.set_aside("ann", True)
        again = labels_of(mixture, store)
        again.restore(*labels.state())
        for one in (labels, again):
            [news] = list(one.collect(Wanted(0, 100, 1), 96))
            assert (set(news.outdated), news.comparisons, one.n_labels) == (of_ann, [], 30 - len(of_ann))
            assert list(one.collect(Wanted(0, 100, 1), 97)) == []
        store.set_aside("ann", False)
        [news] = list(again.collect(Wanted(0, 100, 1), 98))
        assert ({one.seq for one in news.comparisons}, news.outdated, again.n_labels) == (of_ann, [], 30)


def test_slow_answers_come_late_and_are_the_same_again_after_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QueryMaker, "most_at_once", 3)
    slow = SlowTeacher(delay_steps=50, teacher="bpref", teacher_settings={"equal": 0.5})
    with Store() as store:
        labels = labels_of(slow, store, mean=1.0)
        assert heard(labels, 5, 100) == []
        assert (labels.n_open, labels.n_labels, store.counts().answers) == (5, 0, 0)
        assert heard(labels, 7, 149) == []
        state = labels.state()
        first = heard(labels, 7, 150)
        assert (len(first), labels.n_open, labels.n_labels) == (5, 2, 5)
        assert 0.5 in {one.preference for one in first}, "δ = 2.5, by what the query knew"
        again = labels_of(slow, store, mean=1.0)
        again.restore(*state)
        assert [one.seq for one in heard(again, 7, 150)] == [one.seq for one in first]
        assert again.state() == labels.state()
        loaded = labels_of(slow, store, mean=1.0)
        loaded.restore(*state)
        loaded.read_on()  # environments begin anew: what was said is read from the store, and not heard twice
        assert [one.seq for one in heard(loaded, 7, 150)] == [one.seq for one in first]
        assert (loaded.n_labels, loaded.n_open) == (5, 2)
