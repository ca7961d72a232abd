"""What the pages show of a run, from what the trainer publishes and people answer."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
import time_machine
from sqlalchemy import insert

from prefrl.errors import StoreError
from prefrl.segments import Answer, Query
from prefrl.store import NewAnswer, RunAbout, RunRecord, Store, TrainerRecord, schema
from prefrl_labeling_gui.answer_index import AnswerIndex
from prefrl_labeling_gui.training_view import TrainingView

RunRecordFactory = Callable[..., RunRecord]
TrainerRecordFactory = Callable[..., TrainerRecord]


@pytest.fixture
def store(about: RunAbout) -> Store:
    store = Store()
    store.begin_run(about)
    return store


@pytest.fixture
def training_view(store: Store) -> TrainingView:
    return TrainingView(store, AnswerIndex(store))


@pytest.mark.parametrize(
    ("state", "seconds_ago", "alive"),
    [
        ("training", 0, True),
        ("waiting", 14, True),
        ("training", 16, False),
        ("finished", 0, False),
        ("stopped", 0, False),
    ],
)
def test_a_trainer_lives_that_has_said_so_lately(
    store: Store,
    training_view: TrainingView,
    trainer_record: TrainerRecordFactory,
    state: str,
    seconds_ago: int,
    alive: bool,
) -> None:
    said_at = time.time_ns() // 1_000_000 - 1000 * seconds_ago
    store.publish(trainer_record(state=state, num_timesteps=10, updated_at=said_at))
    training_view.look()
    shown = training_view.progress("Ann").trainer
    assert (shown.state, shown.alive, shown.num_timesteps) == (state, alive, 10)


def test_a_trainer_dies_while_nobody_looks(
    store: Store, training_view: TrainingView, trainer_record: TrainerRecordFactory
) -> None:
    store.publish(trainer_record())
    training_view.look()
    assert training_view.progress("Ann").trainer.alive
    with time_machine.travel(time.time() + 20):
        assert not training_view.progress("Ann").trainer.alive


def test_before_the_trainer_begins_nothing_is_known(training_view: TrainingView) -> None:
    training_view.look()
    progress = training_view.progress("Ann")
    assert training_view.run is None
    assert (progress.budget, progress.seconds_left, progress.per_minute) == (None, None, None)
    assert (progress.trainer.state, progress.trainer.alive) == (None, False)


def test_progress_counts_ones_own_and_all(
    store: Store,
    training_view: TrainingView,
    run_record: RunRecordFactory,
    trainer_record: TrainerRecordFactory,
    some_query: Callable[[int], Query],
) -> None:
    store.publish(run_record(n_labels=4))
    store.publish(trainer_record())
    asked = [some_query(i) for i in range(6)]
    store.add_queries(asked)
    said = [
        ("Ann", Answer.FIRST, 0),
        ("Ann", Answer.CANNOT_TELL, 3),
        ("Ann", Answer.EQUAL, 6),
        ("Bo", Answer.FIRST, 0),
    ]
    for one, (name, answer, seconds) in zip(asked, said, strict=False):
        store.add_answers(
            [NewAnswer(id=str(uuid4()), query_id=one.id, answer=answer, labeler=name, client_time=1000 * seconds)]
        )
    training_view.look()
    progress = training_view.progress("Ann")
    assert (progress.answered, progress.cannot_tell, progress.total, progress.budget) == (3, 1, 3, 4)
    assert progress.open == 2
    assert progress.per_minute == pytest.approx(20)
    # One more at 3 s each, where three of four answers are comparisons; nobody knows how fast Bo is.
    assert progress.seconds_left == pytest.approx(4)
    assert not training_view.budget_is_used
    store.add_answers([NewAnswer(id="last", query_id=asked[4].id, answer=Answer.FIRST, labeler="Bo")])
    training_view.look()
    assert training_view.budget_is_used
    assert training_view.progress("Ann").seconds_left == 0


class Session:
    """People who answer one after the other, in a store and by a clock."""

    def __init__(self, store: Store, queries: list[Query]) -> None:
        self.store = store
        self.queries = iter(queries)
        store.add_queries(queries)

    def answers(self, name: str) -> None:
        """Somebody prefers one of the next pair, now."""
        now = time.time_ns() // 1_000_000
        query = next(self.queries)
        self.store.add_answers(
            [NewAnswer(id=str(uuid4()), query_id=query.id, answer=Answer.FIRST, labeler=name, client_time=now)]
        )


@pytest.fixture
def session(
    store: Store,
    run_record: RunRecordFactory,
    trainer_record: TrainerRecordFactory,
    some_query: Callable[[int], Query],
) -> Session:
    store.publish(run_record(n_labels=120))
    store.publish(trainer_record())
    return Session(store, [some_query(i) for i in range(120)])


def test_the_forecast_is_within_a_quarter_of_the_truth_although_people_pause(
    session: Session, training_view: TrainingView, trainer_record: TrainerRecordFactory
) -> None:
    rng = random.Random(0)
    work = [rng.lognormvariate(0.8, 0.35) for _ in range(120)]
    errors = []
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        for n, seconds in enumerate(work, start=1):
            clock.shift(seconds + (rng.choice((40, 100, 900)) if n % 15 == 0 else 0))
            session.answers("Ann")
            if n >= 10 and n % 10 == 0 and n < 120:
                session.store.publish(trainer_record(updated_at=time.time_ns() // 1_000_000))
                training_view.look()
                told, true = training_view.progress("Ann").seconds_left, sum(work[n:])
                assert told is not None
                errors.append(told / true - 1)
    assert len(errors) == 11
    assert max(map(abs, errors)) <= 0.25


def test_the_forecast_is_the_teams(
    session: Session, training_view: TrainingView, trainer_record: TrainerRecordFactory
) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        for _ in range(20):
            clock.shift(4)
            session.answers("Ann")
            session.answers("Bo")
        session.store.publish(trainer_record(updated_at=time.time_ns() // 1_000_000))
        training_view.look()
        assert training_view.progress("Ann").seconds_left == pytest.approx(80 * 4 / 2)
        assert training_view.progress("Cid").seconds_left == pytest.approx(80 * 4 / 2), "of who has yet to begin"
        clock.shift(100)
        session.answers("Bo")
        clock.shift(100)
        session.store.publish(trainer_record(updated_at=time.time_ns() // 1_000_000))
        training_view.look()
        assert training_view.progress("Ann").seconds_left == pytest.approx(79 * 4), "Ann has left"


def test_the_forecast_knows_who_stops_when(
    session: Session, training_view: TrainingView, trainer_record: TrainerRecordFactory
) -> None:
    session.store.add_labeler("Ann", quota=30)
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        for _ in range(20):
            clock.shift(4)
            session.answers("Ann")
            session.answers("Bo")
        session.store.publish(trainer_record(updated_at=time.time_ns() // 1_000_000))
        training_view.look()
        assert training_view.progress("Ann").seconds_left == pytest.approx(10 * 4), "until her own quota"
        assert training_view.progress("Bo").seconds_left == pytest.approx(70 * 4), "alone for 60 after her last"
        session.store.set_quota("Bo", 30)
        training_view.look()
        assert training_view.progress("Bo").seconds_left == pytest.approx(10 * 4)
        assert training_view.progress("Cid").seconds_left is None, "nobody gives the other sixty"


def test_answers_that_the_agent_has_yet_to_read_are_taken_off_what_it_waits_for(
    session: Session, training_view: TrainingView, trainer_record: TrainerRecordFactory
) -> None:
    waits_for = []
    session.answers("Ann")
    for labels in (0, 1, 2):  # it has begun from one label of elsewhere in the end
        session.store.publish(trainer_record(state="waiting", labels=labels, waits_for=3))
        training_view.look()
        waits_for.append(training_view.progress("Ann").trainer.waits_for)
    assert waits_for == [2, 3, 3]
    for _ in range(9):
        session.answers("Ann")
    training_view.look()
    assert training_view.progress("Ann").trainer.waits_for == 0


@pytest.mark.parametrize("state", ["stopped", "finished"])
def test_nothing_is_foretold_where_nobody_waits(
    session: Session, training_view: TrainingView, trainer_record: TrainerRecordFactory, state: str
) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        for _ in range(20):
            clock.shift(4)
            session.answers("Ann")
        session.store.publish(trainer_record(updated_at=time.time_ns() // 1_000_000))
        training_view.look()
        assert training_view.progress("Ann").seconds_left == pytest.approx(400)
        clock.shift(30)  # it was killed, and says nothing any more
        assert training_view.progress("Ann").seconds_left is None
        session.store.publish(trainer_record(state=state, updated_at=time.time_ns() // 1_000_000))
        training_view.look()
        assert training_view.progress("Ann").seconds_left is None


def test_news_are_queries_that_were_not_open_before(
    store: Store, training_view: TrainingView, some_query: Callable[[int], Query]
) -> None:
    training_view.look()
    store.add_queries([some_query(0), some_query(1)])
    training_view.look()
    assert (training_view.n_news, training_view.n_open) == (1, 2)
    store.add_answers([NewAnswer(id="a", query_id=some_query(0).id, answer=Answer.FIRST, labeler="Ann")])
    training_view.look()
    assert (training_view.n_news, training_view.n_open) == (1, 1)
    store.add_queries([some_query(2)])
    training_view.look()
    assert (training_view.n_news, training_view.n_open) == (2, 2)


def test_a_run_that_says_nonsense_is_an_error_of_one_sentence(store: Store, training_view: TrainingView) -> None:
    with store._database.write() as connection:
        connection.execute(insert(schema.status).values(key="run", value='{"task": "t"}'))
    with pytest.raises(StoreError, match="The RunRecord in the store cannot be read: `env_id` is missing"):
        training_view.look()


def test_what_an_earlier_run_was_told_does_not_count_for_this_one(
    store: Store,
    training_view: TrainingView,
    run_record: RunRecordFactory,
    about: RunAbout,
    some_query: Callable[[int], Query],
) -> None:
    store.publish(run_record(n_labels=1))
    store.add_queries([some_query(0)], overlap=2)
    store.add_answers([NewAnswer(id="a", query_id=some_query(0).id, answer=Answer.FIRST, labeler="Ann")])
    training_view.look()
    assert (training_view.budget_is_used, training_view.n_open, training_view.progress("Ann").answered) == (
        True,
        1,
        1,
    )
    second = store.begin_run(about)
    training_view.look()
    assert (training_view.budget_is_used, training_view.n_open, training_view.progress("Ann").answered) == (
        False,
        0,
        0,
    )
    [asked] = store.add_queries([replace(some_query(0), run=0)], run=second)
    training_view.look()
    assert training_view.n_open == 1
    store.add_answers([NewAnswer(id="b", query_id=asked.id, answer=Answer.FIRST, labeler="Ann")])
    training_view.look()
    assert (training_view.budget_is_used, training_view.progress("Ann").total) == (True, 1)
