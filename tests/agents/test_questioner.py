from collections.abc import Iterator

import numpy as np
import pytest
from gymnasium import spaces

from prefrl.agents import People, Questioner
from prefrl.errors import SettingError
from prefrl.feedback import OracleTeacher, Teacher, UniformSelector
from prefrl.segments import Answer, Query, SegmentRecorder
from prefrl.store import NewAnswer, Store


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as opened:
        yield opened


@pytest.fixture
def recorder() -> SegmentRecorder:
    """Forty steps of two environments, each with its own reward."""
    space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    recorder = SegmentRecorder(space, space, 2, capacity=100)
    rng = np.random.default_rng(0)
    for _ in range(40):
        recorder.record(rng.normal(size=(2, 1)), rng.normal(size=(2, 1)), rng.normal(size=2), np.zeros(2, bool))
    return recorder


def make_questioner(
    recorder: SegmentRecorder, store: Store, teacher: Teacher | People, *, seed: int = 0
) -> Questioner:
    return Questioner(
        recorder,
        store,
        teacher,
        selector=UniformSelector(),
        segment_length=5,
        rng=np.random.default_rng(seed),
        predict_returns=lambda segments: np.zeros((3, len(segments))),
    )


class Scripted:
    """Answers in turn what it was told to, and then calls the first better."""

    name = "scripted"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def answer(self, query: Query) -> Answer:
        self.asked.append(query.id)
        return self.answers.pop(0) if self.answers else Answer.FIRST


def test_as_many_comparisons_as_were_asked_for(recorder: SegmentRecorder, store: Store) -> None:
    questioner = make_questioner(recorder, store, OracleTeacher())
    comparisons = questioner.ask(7, 80) + questioner.ask(3, 160)
    assert [c.seq for c in comparisons] == list(range(1, 11))
    for comparison in comparisons:
        better = comparison.first.env_return > comparison.second.env_return
        assert comparison.preference == float(better)
        assert comparison.teacher == "oracle"
    queries = [store.query(c.query_id) for c in comparisons]
    assert [q.ordinal for q in queries] == list(range(10))
    assert [q.num_timesteps for q in queries] == [80] * 7 + [160] * 3
    assert questioner.state_dict() == {"n_asked": 10, "cursor": 10}


def test_how_many_are_asked_at_once_depends_on_the_size_of_clips(recorder: SegmentRecorder, store: Store) -> None:
    # 4 + 4 + 4 + 1 + 4 + 4 bytes a step, two segments of 5 steps
    assert make_questioner(recorder, store, OracleTeacher()).most_at_once == 2**26 // 210
    screens = SegmentRecorder(
        spaces.Box(0, 255, (84, 84, 1), np.uint8), spaces.Discrete(6), 8, capacity=10, frame_stack=1
    )
    at_once = make_questioner(screens, store, OracleTeacher()).most_at_once
    assert 2**26 // (10 * 7200) < at_once < 2**26 // (10 * 7056)


def test_what_cannot_be_told_is_asked_of_another_pair(recorder: SegmentRecorder, store: Store) -> None:
    unsure = Answer.CANNOT_TELL
    teacher = Scripted(unsure, Answer.SECOND, unsure, Answer.EQUAL, unsure)
    questioner = make_questioner(recorder, store, teacher)
    comparisons = questioner.ask(4, 80)
    # The first four: two answers count; then two more: one counts; then the last.
    assert [c.preference for c in comparisons] == [0.0, 0.5, 1.0, 1.0]
    assert len(set(teacher.asked)) == len(teacher.asked) == 7
    assert store.counts().cannot_tell == 3


def test_a_teacher_who_never_can_tell_is_given_up_on(recorder: SegmentRecorder, store: Store) -> None:
    teacher = Scripted(*[Answer.CANNOT_TELL] * 100)
    questioner = make_questioner(recorder, store, teacher)
    assert questioner.ask(2, 80) == []
    assert store.counts().queries == 20
    assert store.counts().comparisons == 0


# --- people -----------------------------------------------------------------------------------------------


def say(store: Store, query_id: str, answer: Answer | None, number: int, **more: str) -> int:
    """Ann answers; return the number that the store gives it."""
    row = NewAnswer(id=f"a{number}", query_id=query_id, answer=answer, labeler="Ann", **more)  # type: ignore[arg-type]
    return store.add_answers([row])[0].seq


def restock(questioner: Questioner, n_labels: int, num_timesteps: int) -> None:
    questioner.restock(questioner.store.open_queries(), n_labels, num_timesteps)


def test_people_find_a_stock_and_their_answers_are_read_when_they_have_come(
    recorder: SegmentRecorder, store: Store
) -> None:
    questioner = make_questioner(recorder, store, People(stock=3))
    restock(questioner, 100, 80)
    stock = [query.query_id for query in store.open_queries()]
    assert len(stock) == 3
    assert questioner.read() == ([], [])
    for number in (2, 0):
        say(store, stock[number], Answer.FIRST, number)
    comparisons, outdated = questioner.read()
    assert [c.query_id for c in comparisons] == [stock[2], stock[0]]
    assert {c.teacher for c in comparisons} == {"Ann"}
    assert outdated == []
    assert questioner.read() == ([], [])


def test_the_stock_is_filled_up_when_half_of_it_is_gone(recorder: SegmentRecorder, store: Store) -> None:
    questioner = make_questioner(recorder, store, People(stock=4))
    restock(questioner, 100, 80)
    first = [query.query_id for query in store.open_queries()]
    say(store, first[0], Answer.CANNOT_TELL, 0)
    restock(questioner, 100, 80)
    assert len(store.open_queries()) == 3
    say(store, first[1], Answer.EQUAL, 1)
    restock(questioner, 100, 80)
    assert len(store.open_queries()) == 4
    assert {query.query_id for query in store.open_queries()} >= set(first[2:])


def test_no_more_is_put_than_labels_are_wanted(recorder: SegmentRecorder, store: Store) -> None:
    questioner = make_questioner(recorder, store, People(stock=10))
    restock(questioner, 2, 80)
    restock(questioner, 2, 80)
    assert len(store.open_queries()) == 2
    restock(questioner, 0, 80)
    assert store.counts().queries == 2


def test_at_the_end_of_the_budget_the_oldest_of_too_many_are_taken_away(
    recorder: SegmentRecorder, store: Store
) -> None:
    questioner = make_questioner(recorder, store, People(stock=6))
    restock(questioner, 100, 80)
    queries = [query.query_id for query in store.open_queries()]
    restock(questioner, 2, 80)
    assert [query.query_id for query in store.open_queries()] == queries[4:]
    restock(questioner, -1, 80)
    assert store.open_queries() == []


def test_with_overlap_a_query_stands_for_several_labels(recorder: SegmentRecorder, store: Store) -> None:
    restock(make_questioner(recorder, store, People(stock=10, overlap=3)), 7, 80)
    assert len(store.open_queries()) == 3, "3 x 3 answers are the least that give 7"


def test_a_query_about_an_agent_of_the_past_is_taken_away_unless_somebody_looks_at_it(
    recorder: SegmentRecorder, store: Store
) -> None:
    questioner = make_questioner(recorder, store, People(stock=4, stale_after=100))
    restock(questioner, 100, 80)
    (held,) = store.claim("Ann", 1)
    restock(questioner, 100, 180)
    assert {query.num_timesteps for query in store.open_queries()} == {80}, "100 steps are not yet too many"
    restock(questioner, 100, 181)
    waiting = {query.query_id: query.num_timesteps for query in store.open_queries()}
    assert waiting.pop(held.query_id) == 80
    assert list(waiting.values()) == [181] * 3


def test_a_change_of_mind_outdates_what_was_read(recorder: SegmentRecorder, store: Store) -> None:
    questioner = make_questioner(recorder, store, People(stock=4))
    restock(questioner, 100, 80)
    queries = [query.query_id for query in store.open_queries()]
    seqs = [say(store, query_id, Answer.FIRST, number) for number, query_id in enumerate(queries)]
    questioner.read()
    say(store, queries[0], Answer.SECOND, 10, supersedes="a0")
    say(store, queries[1], None, 11, supersedes="a1")
    say(store, queries[2], Answer.CANNOT_TELL, 12)
    comparisons, outdated = questioner.read()
    assert [(c.query_id, c.preference) for c in comparisons] == [(queries[0], 0.0)]
    assert sorted(outdated) == seqs[:3]
    assert questioner.read() == ([], [])


def test_what_was_changed_before_it_was_read_is_read_once(recorder: SegmentRecorder, store: Store) -> None:
    questioner = make_questioner(recorder, store, People(stock=2))
    restock(questioner, 100, 80)
    query_id = store.open_queries()[0].query_id
    say(store, query_id, Answer.FIRST, 0)
    say(store, query_id, Answer.SECOND, 1, supersedes="a0")
    comparisons, outdated = questioner.read()
    assert [c.preference for c in comparisons] == [0.0]
    assert outdated == []


@pytest.mark.parametrize("wrong", [{"stock": 0}, {"stale_after": 0}, {"overlap": 0}])
def test_people_need_at_least_one_of_each(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingError, match="must be at least 1"):
        People(**wrong)


# --- after a crash ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_answered", [0, 2, 5])
def test_a_replayed_round_asks_the_same_and_answers_only_what_is_missing(
    recorder: SegmentRecorder, store: Store, n_answered: int
) -> None:
    """As after a crash in the middle of answering: the state is from before, the store from after."""
    with Store() as elsewhere:
        interrupted = Scripted()
        make_questioner(recorder, elsewhere, interrupted).ask(5, 80)
        store.add_queries([elsewhere.query(query_id) for query_id in interrupted.asked])
    asked = interrupted.asked
    for query_id in asked[:n_answered]:
        store.add_answers(
            [NewAnswer(id=f"scripted:{query_id}", query_id=query_id, answer=Answer.SECOND, labeler="scripted")]
        )
    teacher = Scripted()
    resumed = make_questioner(recorder, store, teacher, seed=1)
    resumed.rng = np.random.default_rng(0)
    resumed.load_state_dict({"n_asked": 0, "cursor": 0})
    comparisons = resumed.ask(5, 80)
    assert [c.query_id for c in comparisons] == asked
    assert teacher.asked == asked[n_answered:]
    assert [c.preference for c in comparisons] == [0.0] * n_answered + [1.0] * (5 - n_answered)
    assert store.counts().queries == store.counts().answers == 5
    assert resumed.state_dict() == {"n_asked": 5, "cursor": 5}


def test_nothing_asked_for_is_nothing_done(recorder: SegmentRecorder, store: Store) -> None:
    questioner = make_questioner(recorder, store, OracleTeacher())
    assert questioner.ask(0, 80) == []
    assert questioner.ask(-3, 80) == []
    assert store.counts().queries == 0
