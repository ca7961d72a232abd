from collections.abc import Iterator

import numpy as np
import pytest
from gymnasium import spaces

from prefrl.agents import Questioner
from prefrl.feedback import NewAnswer, OracleTeacher, Store, Teacher, UniformSelector
from prefrl.segments import Answer, Query, SegmentRecorder


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


def make_questioner(recorder: SegmentRecorder, store: Store, teacher: Teacher, *, seed: int = 0) -> Questioner:
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

    def __init__(self, *answers: Answer | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def answer(self, query: Query) -> Answer | None:
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
    assert (questioner.n_asked, questioner.n_read, questioner.n_open) == (10, 10, 0)


def test_what_cannot_be_told_is_asked_of_another_pair(recorder: SegmentRecorder, store: Store) -> None:
    unsure = Answer.CANNOT_TELL
    teacher = Scripted(unsure, Answer.SECOND, unsure, Answer.EQUAL, unsure)
    questioner = make_questioner(recorder, store, teacher)
    comparisons = questioner.ask(4, 80)
    # The first four: two answers count; then two more: one counts; then the last.
    assert [c.preference for c in comparisons] == [0.0, 0.5, 1.0, 1.0]
    assert len(set(teacher.asked)) == len(teacher.asked) == 7
    assert store.counts().cannot_tell == 3
    assert questioner.n_open == 0


def test_a_teacher_who_never_can_tell_is_given_up_on(recorder: SegmentRecorder, store: Store) -> None:
    teacher = Scripted(*[Answer.CANNOT_TELL] * 100)
    questioner = make_questioner(recorder, store, teacher)
    assert questioner.ask(2, 80) == []
    assert store.counts().queries == 20
    assert store.counts().comparisons == 0


def test_answers_that_come_later_are_read_later(recorder: SegmentRecorder, store: Store) -> None:
    teacher = Scripted(None, None, None)
    questioner = make_questioner(recorder, store, teacher)
    assert questioner.ask(3, 80) == []
    assert questioner.n_open == 3
    assert questioner.read() == []
    for number in (2, 0):
        store.add_answers(
            [NewAnswer(id=f"a{number}", query_id=teacher.asked[number], answer=Answer.FIRST, labeler="Ann")]
        )
    comparisons = questioner.read()
    assert [c.query_id for c in comparisons] == [teacher.asked[2], teacher.asked[0]]
    assert {c.teacher for c in comparisons} == {"Ann"}
    assert questioner.n_open == 1
    assert questioner.read() == []


def test_answers_given_at_once_are_kept_when_others_come_later(recorder: SegmentRecorder, store: Store) -> None:
    teacher = Scripted(Answer.SECOND, None, Answer.FIRST)
    questioner = make_questioner(recorder, store, teacher)
    assert questioner.ask(3, 80) == []
    assert [c.preference for c in questioner.read()] == [0.0, 1.0]
    assert questioner.n_open == 1


def test_at_most_so_many_answers_are_read(recorder: SegmentRecorder, store: Store) -> None:
    teacher = Scripted(None, None, None)
    questioner = make_questioner(recorder, store, teacher)
    questioner.ask(3, 80)
    kinds = [Answer.CANNOT_TELL, Answer.FIRST, Answer.SECOND]
    for number, (query_id, kind) in enumerate(zip(teacher.asked, kinds, strict=True)):
        store.add_answers([NewAnswer(id=str(number), query_id=query_id, answer=kind, labeler="Ann")])
    assert [c.seq for c in questioner.read(limit=2)] == [2]
    assert [c.seq for c in questioner.read(limit=2)] == [3]
    assert questioner.n_open == 0


@pytest.mark.parametrize("n_answered", [0, 2, 5])
def test_a_replayed_round_asks_the_same_and_answers_only_what_is_missing(
    recorder: SegmentRecorder, store: Store, n_answered: int
) -> None:
    """As after a crash in the middle of answering: the state is from before, the store from after."""
    interrupted = make_questioner(recorder, store, Scripted(*[None] * 5))
    interrupted.ask(5, 80)
    asked = interrupted.teacher.asked  # type: ignore[attr-defined]
    for query_id in asked[:n_answered]:
        store.add_answers(
            [NewAnswer(id=f"scripted:{query_id}", query_id=query_id, answer=Answer.SECOND, labeler="scripted")]
        )
    teacher = Scripted()
    resumed = make_questioner(recorder, store, teacher, seed=1)
    resumed.rng = np.random.default_rng(0)
    resumed.load_state_dict({"n_asked": 0, "n_read": 0, "cursor": 0})
    comparisons = resumed.ask(5, 80)
    assert [c.query_id for c in comparisons] == asked
    assert teacher.asked == asked[n_answered:]
    assert [c.preference for c in comparisons] == [0.0] * n_answered + [1.0] * (5 - n_answered)
    assert store.counts().queries == store.counts().answers == 5
    assert resumed.state_dict() == {"n_asked": 5, "n_read": 5, "cursor": 5}


def test_nothing_asked_for_is_nothing_done(recorder: SegmentRecorder, store: Store) -> None:
    questioner = make_questioner(recorder, store, OracleTeacher())
    assert questioner.ask(0, 80) == []
    assert questioner.ask(-3, 80) == []
    assert store.counts().queries == 0
