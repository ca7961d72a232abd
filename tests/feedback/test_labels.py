"""The stream of labels: from a teacher at once, from people when they come, and again after a crash."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from gymnasium import spaces

from prefrl.errors import SettingError
from prefrl.feedback import News, OracleTeacher, PeopleLabels, QueryMaker, Teacher, TeacherLabels, Wanted
from prefrl.segments import Answer, Comparison, Query, Ranking, SegmentRecorder
from prefrl.segments.answers import RANKING
from prefrl.settings import FeedbackSettings
from prefrl.store import NewAnswer, RunAbout, Store

SPACE = spaces.Box(-np.inf, np.inf, (1,), np.float32)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> int:
    return store.begin_run(RunAbout.of(SPACE, SPACE, segment_length=5))


@pytest.fixture
def recorder() -> SegmentRecorder:
    """Forty steps of two environments, each with its own reward."""
    recorder = SegmentRecorder(SPACE, SPACE, 2, capacity=100)
    rng = np.random.default_rng(0)
    for _ in range(40):
        recorder.record(rng.normal(size=(2, 1)), rng.normal(size=(2, 1)), rng.normal(size=2), np.zeros(2, bool))
    return recorder


def make_maker(recorder: SegmentRecorder, *, seed: int = 0) -> QueryMaker:
    settings = FeedbackSettings(segment_length=5)
    return QueryMaker(
        recorder, settings, np.random.default_rng(seed), lambda segments: np.zeros((3, len(segments)))
    )


def wanted(due: int, in_all: int = 1000, per_round: int = 1) -> Wanted:
    return Wanted(due, in_all, per_round)


def comparisons_of(news: Iterator[News]) -> list[Comparison]:
    return [comparison for part in news for comparison in part.comparisons]


class Scripted:
    """Answers in turn what it was told to, and then calls the first better."""

    name = "scripted"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def answer(self, query: Query) -> Answer:
        self.asked.append(query.id)
        return self.answers.pop(0) if self.answers else Answer.FIRST


# --- a teacher --------------------------------------------------------------------------------------------


def test_as_many_comparisons_as_are_due(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = TeacherLabels(OracleTeacher(), store, run, make_maker(recorder))
    comparisons = comparisons_of(labels.collect(wanted(7), 80))
    comparisons += comparisons_of(labels.collect(wanted(10), 160))
    assert [c.seq for c in comparisons] == list(range(1, 11))
    for comparison in comparisons:
        better = comparison.first.env_return > comparison.second.env_return
        assert comparison.preference == float(better)
        assert comparison.teacher == "oracle"
    queries = [store.query(c.query_id) for c in comparisons]
    assert [q.ordinal for q in queries] == list(range(10))
    assert [q.num_timesteps for q in queries] == [80] * 7 + [160] * 3
    assert (labels.n_labels, labels.n_asked) == (10, 10)


@pytest.mark.parametrize(
    ("due", "in_all", "n_asked"), [(-1, 100, 0), (0, 100, 0), (4, 100, 0), (5, 100, 5), (9, 100, 9), (3, 3, 3)]
)
def test_nothing_is_asked_before_a_round_is_due(
    recorder: SegmentRecorder, store: Store, run: int, due: int, in_all: int, n_asked: int
) -> None:
    labels = TeacherLabels(OracleTeacher(), store, run, make_maker(recorder))
    assert len(comparisons_of(labels.collect(wanted(due, in_all, 5), 80))) == n_asked
    assert store.counts().queries == n_asked


def test_the_last_labels_are_asked_though_they_make_no_round(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    labels = TeacherLabels(OracleTeacher(), store, run, make_maker(recorder))
    assert len(comparisons_of(labels.collect(wanted(4, 6, 4), 80))) == 4
    assert len(comparisons_of(labels.collect(wanted(5, 6, 4), 160))) == 0
    assert len(comparisons_of(labels.collect(wanted(6, 6, 4), 240))) == 2


def test_nothing_is_asked_where_there_is_no_pair(store: Store, run: int) -> None:
    short = SegmentRecorder(SPACE, SPACE, 1, capacity=100)
    for _ in range(5):
        short.record(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1, bool))
    labels = TeacherLabels(OracleTeacher(), store, run, make_maker(short))
    assert comparisons_of(labels.collect(wanted(5), 5)) == []


def test_large_clips_are_asked_in_parts(
    recorder: SegmentRecorder, store: Store, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QueryMaker, "most_at_once", 4)
    labels = TeacherLabels(OracleTeacher(), store, run, make_maker(recorder))
    known = [(len(news.comparisons), store.counts().queries) for news in labels.collect(wanted(10), 80)]
    assert known == [(4, 4), (4, 8), (2, 10)]


def test_how_many_are_asked_at_once_depends_on_the_size_of_clips(recorder: SegmentRecorder) -> None:
    bytes_per_step = recorder.n_bytes / (2 * recorder.capacity)
    assert 20 < bytes_per_step < 40
    assert make_maker(recorder).most_at_once == int(2**26 / (10 * bytes_per_step))
    screens = SegmentRecorder(
        spaces.Box(0, 255, (84, 84, 1), np.uint8), spaces.Discrete(6), 8, capacity=10, frame_stack=1
    )
    assert 2**26 // (10 * 7300) < make_maker(screens).most_at_once < 2**26 // (10 * 7056)


def test_what_cannot_be_told_is_asked_of_another_pair(recorder: SegmentRecorder, store: Store, run: int) -> None:
    unsure = Answer.CANNOT_TELL
    teacher = Scripted(unsure, Answer.SECOND, unsure, Answer.EQUAL, unsure)
    labels = TeacherLabels(teacher, store, run, make_maker(recorder))
    comparisons = comparisons_of(labels.collect(wanted(4), 80))
    # The first four: two answers count; then two more: one counts; then the last.
    assert [c.preference for c in comparisons] == [0.0, 0.5, 1.0, 1.0]
    assert len(set(teacher.asked)) == len(teacher.asked) == 7
    assert store.counts().cannot_tell == 3
    assert (labels.n_labels, labels.n_asked) == (4, 7)


def test_a_teacher_who_never_can_tell_is_given_up_on(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = TeacherLabels(Scripted(*[Answer.CANNOT_TELL] * 100), store, run, make_maker(recorder))
    assert comparisons_of(labels.collect(wanted(2), 80)) == []
    assert store.counts().queries == 20
    assert store.counts().comparisons == 0


def test_another_runs_answers_are_not_handed_out(recorder: SegmentRecorder, store: Store, run: int) -> None:
    """The same queries even: both runs have one seed and one experience."""
    first = TeacherLabels(Scripted(*[Answer.SECOND] * 6), store, run, make_maker(recorder))
    comparisons_of(first.collect(wanted(6), 80))
    later = store.begin_run(RunAbout.of(SPACE, SPACE, segment_length=5))
    second = TeacherLabels(OracleTeacher(), store, later, make_maker(recorder))
    comparisons = comparisons_of(second.collect(wanted(6), 80))
    assert len(comparisons) == 6
    assert {c.teacher for c in comparisons} == {"oracle"}
    assert store.counts(run=later).queries == store.counts(run=run).queries == 6


# --- people -----------------------------------------------------------------------------------------------


def people(recorder: SegmentRecorder, store: Store, run: int, **settings: Any) -> PeopleLabels:
    return PeopleLabels(store, run, make_maker(recorder), FeedbackSettings(segment_length=5, **settings))


def say(store: Store, query_id: str, answer: Answer | None, number: int, **more: str) -> int:
    """Ann answers; return the number that the store gives it."""
    given: dict[str, Any] = {"labeler": "Ann"} | more
    row = NewAnswer(id=f"a{number}", query_id=query_id, answer=answer, **given)
    return store.add_answers([row])[0].seq


def read(labels: PeopleLabels, n_labels: int = 100, num_timesteps: int = 80) -> News:
    parts = list(labels.collect(wanted(0, n_labels), num_timesteps))
    return News([c for part in parts for c in part.comparisons], [seq for part in parts for seq in part.outdated])


def test_people_find_a_stock_and_their_answers_are_read_when_they_have_come(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    labels = people(recorder, store, run, stock=3)
    assert read(labels) == ([], [])
    stock = [query.query_id for query in store.open_queries()]
    assert len(stock) == 3
    for number in (2, 0):
        say(store, stock[number], Answer.FIRST, number)
    comparisons, outdated = read(labels)
    assert [c.query_id for c in comparisons] == [stock[2], stock[0]]
    assert {c.teacher for c in comparisons} == {"Ann"}
    assert outdated == []
    assert labels.n_labels == 2
    assert read(labels) == ([], [])


def test_people_are_asked_nothing_before_it_is_time(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = people(recorder, store, run)
    assert list(labels.collect(wanted(-1), 80)) == []
    assert store.open_queries() == []


def test_the_stock_is_filled_up_when_half_of_it_is_gone(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = people(recorder, store, run, stock=4)
    read(labels)
    first = [query.query_id for query in store.open_queries()]
    say(store, first[0], Answer.CANNOT_TELL, 0)
    read(labels)
    assert len(store.open_queries()) == 3
    say(store, first[1], Answer.EQUAL, 1)
    read(labels)
    assert len(store.open_queries()) == 4
    assert {query.query_id for query in store.open_queries()} >= set(first[2:])


def test_no_more_is_put_than_labels_are_wanted(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = people(recorder, store, run, stock=10)
    read(labels, 2)
    read(labels, 2)
    assert len(store.open_queries()) == 2
    for number, query in enumerate(store.open_queries()):
        say(store, query.query_id, Answer.FIRST, number)
    read(labels, 2)
    assert store.counts().queries == 2


def test_at_the_end_of_the_budget_the_oldest_of_too_many_are_taken_away(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    labels = people(recorder, store, run, stock=6)
    read(labels)
    queries = [query.query_id for query in store.open_queries()]
    read(labels, 2)
    assert [query.query_id for query in store.open_queries()] == queries[4:]
    read(labels, 0)
    assert store.open_queries() == []


def test_with_overlap_a_query_stands_for_several_labels(recorder: SegmentRecorder, store: Store, run: int) -> None:
    read(people(recorder, store, run, stock=10, overlap=3), 7)
    assert len(store.open_queries()) == 3, "3 x 3 answers are the least that give 7"


def test_a_query_about_an_agent_of_the_past_is_taken_away_unless_somebody_looks_at_it(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    labels = people(recorder, store, run, stock=4, stale_after=100)
    read(labels)
    (held,) = store.claim("Ann", 1)
    read(labels, num_timesteps=180)
    assert {query.num_timesteps for query in store.open_queries()} == {80}, "100 steps are not yet too many"
    read(labels, num_timesteps=181)
    waiting = {query.query_id: query.num_timesteps for query in store.open_queries()}
    assert waiting.pop(held.query_id) == 80
    assert list(waiting.values()) == [181] * 3


def test_a_change_of_mind_outdates_what_was_read(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = people(recorder, store, run, stock=4)
    read(labels)
    queries = [query.query_id for query in store.open_queries()]
    seqs = [say(store, query_id, Answer.FIRST, number) for number, query_id in enumerate(queries)]
    read(labels)
    assert labels.n_labels == 4
    say(store, queries[0], Answer.SECOND, 10, supersedes="a0")
    say(store, queries[1], None, 11, supersedes="a1")
    say(store, queries[2], Answer.CANNOT_TELL, 12)
    comparisons, outdated = read(labels)
    assert [(c.query_id, c.preference) for c in comparisons] == [(queries[0], 0.0)]
    assert sorted(outdated) == seqs[:3]
    assert labels.n_labels == 2
    assert read(labels) == ([], [])


def test_what_is_outdated_is_told_once_where_answers_come_in_parts(
    recorder: SegmentRecorder, store: Store, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QueryMaker, "most_at_once", 1)
    labels = people(recorder, store, run, stock=3)
    read(labels)
    queries = [query.query_id for query in store.open_queries()]
    first = say(store, queries[0], Answer.FIRST, 0)
    read(labels)
    say(store, queries[0], Answer.SECOND, 1, supersedes="a0")
    say(store, queries[1], Answer.FIRST, 2)
    parts = list(labels.collect(wanted(0), 80))
    assert [len(part.comparisons) for part in parts] == [1, 1]
    assert [part.outdated for part in parts] == [[first], []]


def test_what_was_changed_before_it_was_read_is_read_once(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    labels = people(recorder, store, run, stock=2)
    read(labels)
    query_id = store.open_queries()[0].query_id
    say(store, query_id, Answer.FIRST, 0)
    say(store, query_id, Answer.SECOND, 1, supersedes="a0")
    comparisons, outdated = read(labels)
    assert [c.preference for c in comparisons] == [0.0]
    assert outdated == []


# --- after a crash, and on an old store -------------------------------------------------------------------


@pytest.mark.parametrize("n_answered", [0, 2, 5])
def test_a_replayed_round_asks_the_same_and_answers_only_what_is_missing(
    recorder: SegmentRecorder, store: Store, run: int, n_answered: int
) -> None:
    """As after a crash in the middle of answering: the state is from before, the store from after."""
    with Store() as elsewhere:
        interrupted = Scripted()
        other = elsewhere.begin_run(RunAbout.of(SPACE, SPACE, segment_length=5))
        labels = TeacherLabels(interrupted, elsewhere, other, make_maker(recorder))
        before = labels.state()
        comparisons_of(labels.collect(wanted(5), 80))
        asked = [answer.query_id for answer in elsewhere.answers()]
        store.add_queries([elsewhere.query(query_id) for query_id in asked], run=run)
    for query_id in asked[:n_answered]:
        store.add_answers(
            [NewAnswer(id=f"scripted:{query_id}", query_id=query_id, answer=Answer.SECOND, labeler="scripted")]
        )
    teacher = Scripted()
    resumed = TeacherLabels(teacher, store, run, make_maker(recorder, seed=1))
    resumed.restore(*before)
    comparisons = comparisons_of(resumed.collect(wanted(5), 80))
    assert [c.query_id for c in comparisons] == asked
    assert len(teacher.asked) == 5 - n_answered
    assert [c.preference for c in comparisons] == [0.0] * n_answered + [1.0] * (5 - n_answered)
    assert store.counts().queries == store.counts().answers == 5
    assert (resumed.n_labels, resumed.n_asked) == (5, 5)


@pytest.mark.parametrize("teacher", [OracleTeacher(), None])
def test_what_was_said_before_is_recalled_and_counts(
    recorder: SegmentRecorder, store: Store, run: int, teacher: Teacher | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QueryMaker, "most_at_once", 2)
    first = TeacherLabels(OracleTeacher(), store, run, make_maker(recorder))
    said = comparisons_of(first.collect(wanted(5), 80))
    again = (
        people(recorder, store, run)
        if teacher is None
        else TeacherLabels(teacher, store, run, make_maker(recorder))
    )
    parts = list(again.recall())
    assert [len(part.comparisons) for part in parts] == [2, 2, 1]
    assert [c.seq for part in parts for c in part.comparisons] == [c.seq for c in said]
    assert (again.n_labels, again.n_asked) == (5, 5)
    new = comparisons_of(again.collect(wanted(7), 160)) if teacher else []
    assert [c.seq for c in new] == ([6, 7] if teacher else [])
    assert not {c.query_id for c in new} & {c.query_id for c in said}


def answer_all(store: Store) -> int:
    """Ann answers whatever she can get; return how much that was."""
    claims = store.claim("Ann", 100)
    for claim in claims:
        said = NewAnswer(id=uuid4().hex, query_id=claim.query_id, answer=Answer.FIRST, labeler="Ann")
        store.add_answers([said])
    return len(claims)


@pytest.mark.parametrize("begins_anew", [True, False])
def test_a_run_that_is_played_again_finds_questions_that_its_only_labeler_has_not_had(
    recorder: SegmentRecorder, store: Store, run: int, begins_anew: bool
) -> None:
    """From its first step, or as a new run in the same store: both make the pairs that Ann has answered."""
    read(people(recorder, store, run, stock=4))
    assert answer_all(store) == 4
    now = run if begins_anew else store.begin_run(RunAbout.of(SPACE, SPACE, segment_length=5))
    labels = people(recorder, store, now, stock=4)
    assert [len(part.comparisons) for part in labels.recall()] == ([4] if begins_anew else [])
    read(labels)
    assert labels.n_open == len(store.open_queries(run=now)) == 4
    assert answer_all(store) == 4


def test_what_an_earlier_run_asked_and_nobody_had_may_be_asked(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    read(people(recorder, store, run, stock=4))
    later = store.begin_run(RunAbout.of(SPACE, SPACE, segment_length=5))
    read(people(recorder, store, later, stock=4))
    assert store.counts(run=later).queries == len(store.open_queries(run=later)) == 4


def test_questions_that_nobody_can_get_are_replaced(recorder: SegmentRecorder, store: Store, run: int) -> None:
    """As a store of an earlier version has them, which asked a pair again under another number."""
    labels = people(recorder, store, run, stock=4)
    read(labels)
    assert answer_all(store) == 4
    had = [store.query(answer.query_id) for answer in store.answers()]
    twice = [replace(query, ordinal=query.ordinal + 10) for query in had[:2]]
    new = replace(had[3], segments=(had[0].segments[0], had[1].segments[0]), ordinal=20)
    swapped = replace(new, segments=new.segments[::-1], ordinal=21)
    store.add_queries([*twice, new, swapped], run=run)
    assert [query.asked_before for query in store.open_queries(run=run)].count(True) == 3
    read(labels)
    waiting = store.open_queries(run=run)
    assert len(waiting) == 4
    assert not any(query.asked_before for query in waiting)
    assert {new.id, swapped.id} & {query.query_id for query in waiting}
    assert answer_all(store) == 4


def test_what_is_asked_of_several_people_is_not_asked_again(
    store: Store, run: int, recorder: SegmentRecorder
) -> None:
    labels = people(recorder, store, run, stock=4, overlap=2)
    read(labels)
    assert answer_all(store) == 4
    queries = [query.query_id for query in store.open_queries()]
    read(labels)
    assert [query.query_id for query in store.open_queries()] == queries, "Bob is to say something, too"


def test_where_every_pair_was_asked_there_is_nothing_to_wait_for(store: Store, run: int) -> None:
    recorder = SegmentRecorder(SPACE, SPACE, 1, capacity=100)
    for step in range(7):
        recorder.record(np.full((1, 1), step), np.zeros((1, 1)), np.zeros(1), np.zeros(1, bool))
    labels = people(recorder, store, run, stock=4)
    read(labels)
    n_asked = answer_all(store)
    while n_asked < 3:
        read(labels)
        n_asked += answer_all(store)
    with pytest.warns(UserWarning, match="Nobody can be asked"):
        read(labels)
    assert n_asked == 3, "three segments make three pairs"
    assert labels.n_open == 0
    assert store.open_queries() == []


# --- answers that are set aside ---------------------------------------------------------------------------


def held_after(labels: PeopleLabels, held: list[int]) -> list[int]:
    """What a trainer holds that takes in what it is handed out."""
    for news in labels.collect(wanted(-1), 80):
        assert set(news.outdated) <= set(held), "only what was handed out can be taken away"
        held = [seq for seq in held if seq not in news.outdated] + [one.seq for one in news.comparisons]
    return held


@pytest.mark.parametrize("seed", range(8))
def test_what_is_collected_bit_by_bit_is_what_counts_at_once(
    recorder: SegmentRecorder, store: Store, run: int, seed: int
) -> None:
    """Whatever is said, taken back or settled, whoever is set aside, and however often the trainer looks."""
    rng = np.random.default_rng(seed)
    labels = people(recorder, store, run, stock=8, overlap=3)
    asker = people(recorder, store, run, stock=8, overlap=3)
    next(asker.collect(wanted(8), 80), None)
    queries = [query.query_id for query in store.open_queries(run=run)]
    names = ("Ann", "Bob", "Cid")
    for name in names:
        store.add_labeler(name)
    held: list[int] = []
    n_aside = n_settled = n_unsettled = 0
    for number in range(150):
        name = names[rng.integers(3)]
        query_id = queries[rng.integers(len(queries))]
        present = {item.answer.query_id: item.answer.id for item in store.history(name, limit=None)}
        act = rng.random()
        if act < 0.2:
            store.set_aside(name, rng.random() < 0.4)
            n_aside += 1
        elif act < 0.28 and (settled := list(store.settled(run=run))):
            store.unsettle(settled[rng.integers(len(settled))])
            n_unsettled += 1
        elif act < 0.4 and (heeded := [one.teacher for one in store.comparisons_of([query_id])]):
            store.settle(query_id, heeded[rng.integers(len(heeded))], "owner")
            n_settled += 1
        elif act < 0.55 and query_id in present:
            say(store, query_id, None, number, labeler=name, supersedes=present[query_id])
        else:
            say(store, query_id, list(Answer)[rng.integers(4)], number, labeler=name)
        if rng.random() < 0.4:
            held = held_after(labels, held)
            assert sorted(held) == store.comparison_seqs(run=run)
            assert labels.n_labels == len(held)
        if rng.random() < 0.1:  # the trainer is killed, and goes on from its checkpoint
            arrays, values = labels.state()
            labels = people(recorder, store, run, stock=8, overlap=3)
            labels.restore(arrays, json.loads(json.dumps(values)))
        if rng.random() < 0.05:  # or begins with what was said so far
            recalled = [one.seq for news in people(recorder, store, run).recall() for one in news.comparisons]
            assert recalled == store.comparison_seqs(run=run)
    assert min(n_aside, n_settled, n_unsettled) >= 3


@pytest.mark.parametrize("looks_between", [True, False])
def test_only_what_holds_is_learned_from_until_it_is_taken_back(
    recorder: SegmentRecorder, store: Store, run: int, looks_between: bool
) -> None:
    labels = people(recorder, store, run, overlap=2)
    read(labels)
    query = store.open_queries(run=run)[0].query_id
    ann = say(store, query, Answer.FIRST, 0)
    bob = say(store, query, Answer.SECOND, 1, labeler="Bob")
    if looks_between:
        assert [one.seq for one in read(labels).comparisons] == [ann, bob]
    store.settle(query, "Bob", "owner")
    news = read(labels)
    assert [one.seq for one in news.comparisons] == ([] if looks_between else [bob])
    assert news.outdated == ([ann] if looks_between else [])
    assert labels.n_labels == store.counts(run=run).comparisons == 1
    assert read(labels) == ([], [])
    store.settle(query, "Ann", "owner")
    news = read(labels)
    assert ([one.seq for one in news.comparisons], news.outdated) == ([ann], [bob])
    store.unsettle(query)
    assert [one.seq for one in read(labels).comparisons] == [bob]
    assert labels.n_labels == 2


def test_what_is_settled_follows_whose_it_is(recorder: SegmentRecorder, store: Store, run: int) -> None:
    """A change of mind holds, too; while nothing is said, or its teller is set aside, nothing holds."""
    labels = people(recorder, store, run, overlap=2)
    read(labels)
    query = store.open_queries(run=run)[0].query_id
    held = held_after(labels, [])
    say(store, query, Answer.FIRST, 0)
    say(store, query, Answer.SECOND, 1, labeler="Bob")
    store.settle(query, "Ann", "owner")
    changed = say(store, query, Answer.SECOND, 2, supersedes="a0")
    held = held_after(labels, held)
    assert held == [changed]
    say(store, query, None, 3, supersedes="a2")
    held = held_after(labels, held)
    assert held == []
    anew = say(store, query, Answer.EQUAL, 4, supersedes="a3")
    held = held_after(labels, held)
    assert held == [anew]
    store.set_aside("Ann")
    held = held_after(labels, held)
    assert held == []
    store.set_aside("Ann", False)
    assert held_after(labels, held) == [anew]


def test_a_state_from_before_anything_could_be_settled_is_read(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    labels = people(recorder, store, run, overlap=2)
    read(labels)
    query = store.open_queries(run=run)[0].query_id
    seqs = [say(store, query, list(Answer)[n], n, labeler=name) for n, name in enumerate(("Ann", "Bob"))]
    assert held_after(labels, []) == seqs
    arrays, values = labels.state()
    del values["settled"]
    store.settle(query, "Ann", "owner")
    resumed = people(recorder, store, run, overlap=2)
    resumed.restore(arrays, values)
    assert held_after(resumed, seqs) == seqs[:1]


def test_what_is_settled_in_another_run_changes_nothing(recorder: SegmentRecorder, store: Store, run: int) -> None:
    read(people(recorder, store, run, overlap=2))
    query = store.open_queries(run=run)[0].query_id
    for number, name in enumerate(("Ann", "Bob")):
        say(store, query, list(Answer)[number], number, labeler=name)
    later = people(recorder, store, store.begin_run(RunAbout.of(SPACE, SPACE, segment_length=5)), overlap=2)
    read(later)
    store.settle(query, "Ann", "owner")
    assert read(later) == ([], [])
    assert later.state()[1]["settled"] == {}


def test_a_run_that_goes_on_recalls_only_what_is_heeded(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = people(recorder, store, run, overlap=2)
    read(labels)
    query = store.open_queries(run=run)[0].query_id
    kept, gone = (say(store, query, Answer.FIRST, n, labeler=name) for n, name in enumerate(("Ann", "Bob")))
    store.set_aside("Bob")
    recalled = people(recorder, store, run, overlap=2)
    assert [one.seq for news in recalled.recall() for one in news.comparisons] == [kept]
    store.set_aside("Bob", False)
    assert held_after(recalled, [kept]) == [kept, gone]


def test_a_teacher_who_is_set_aside_is_not_asked(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = TeacherLabels(OracleTeacher(), store, run, make_maker(recorder))
    assert len(comparisons_of(labels.collect(wanted(3), 80))) == 3
    store.set_aside("oracle")
    with pytest.raises(SettingError, match="teacher 'oracle' are set aside, so nothing would be learned"):
        comparisons_of(labels.collect(wanted(6), 80))
    assert store.counts().queries == 3, "nothing was asked in vain"
    store.set_aside("oracle", False)
    assert len(comparisons_of(labels.collect(wanted(6), 80))) == 6, "three again, and three more"
    assert (labels.n_labels, store.counts().queries) == (6, 6)


# --- rankings ---------------------------------------------------------------------------------------------


def ranking_maker(recorder: SegmentRecorder) -> QueryMaker:
    settings = FeedbackSettings(segment_length=5, kind="ranking", ranking_size=5)
    return QueryMaker(recorder, settings, np.random.default_rng(0), lambda segments: np.zeros((3, len(segments))))


def test_a_teachers_rankings_are_comparisons_of_as_many_segments(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    maker = ranking_maker(recorder)
    labels = TeacherLabels(OracleTeacher(), store, run, maker, RANKING)
    found = comparisons_of(labels.collect(wanted(4), 80))
    assert [len(one.segments) for one in found] == [5] * 4
    for one in found:
        returns = [segment.env_return for segment in one.segments]
        assert one.preferences == Ranking.by(returns).preferences
    assert labels.n_labels == 4
    assert maker.most_at_once < make_maker(recorder).most_at_once


def test_rankings_need_as_many_places_as_they_have_clips() -> None:
    recorder = SegmentRecorder(SPACE, SPACE, 1, capacity=100)
    maker = ranking_maker(recorder)
    for n_steps in range(1, 10):
        recorder.record(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1, bool))
        assert maker.is_ready == (n_steps - 4 >= 5)


def test_people_find_rankings_to_make(recorder: SegmentRecorder, store: Store, run: int) -> None:
    labels = PeopleLabels(store, run, ranking_maker(recorder), FeedbackSettings(stock=3))
    assert list(labels.collect(wanted(3), 80)) == []
    claims = store.claim("ann", 5)
    assert [len(claim.segment_ids) for claim in claims] == [5, 5, 5]
    said = Ranking((1, 2, 0, 1, 3))
    store.add_answers(
        [NewAnswer(id=uuid4().hex, query_id=claims[0].query_id, labeler="ann", answer=said, kind="ranking")]
    )
    [comparison] = comparisons_of(labels.collect(wanted(3), 160))
    assert comparison.preferences == said.preferences


def test_a_teacher_of_rankings_asked_about_pairs_is_refused(
    recorder: SegmentRecorder, store: Store, run: int
) -> None:
    """Nothing that it said is stored."""
    labels = TeacherLabels(OracleTeacher(), store, run, make_maker(recorder), RANKING)
    with pytest.raises(
        SettingError, match=r"Of 2 segments oracle cannot say .* of kind 'ranking' is about 3 to 6"
    ):
        list(labels.collect(wanted(4), 80))
    assert store.answers() == []


def test_what_was_open_of_another_kind_is_asked_no_more(recorder: SegmentRecorder, store: Store, run: int) -> None:
    """Where a run goes on with rankings that had begun with pairs, and the other way round."""
    settings = FeedbackSettings(stock=4)
    for make, n_segments in ((make_maker, 2), (ranking_maker, 5), (make_maker, 2)):
        maker = make(recorder)
        maker.n_made = store.counts(run=run).queries
        assert list(PeopleLabels(store, run, maker, settings).collect(wanted(4), 80)) == []
        assert [query.n_segments for query in store.open_queries(run=run)] == [n_segments] * 4
