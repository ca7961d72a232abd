"""What the pages show of a run, from what the trainer publishes and people answer."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import time_machine

from prefrl.errors import StoreError
from prefrl.segments import Answer, Query
from prefrl.store import NewAnswer, Store
from prefrl_labeling_gui.board import Board
from prefrl_labeling_gui.ledger import Ledger

RUN: dict[str, Any] = {
    "task": "t",
    "env_id": "e",
    "env_kwargs": {},
    "question": "Which?",
    "n_labels": 4,
    "segment_length": 6,
    "algo": "ppo",
}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def board(store: Store) -> Board:
    return Board(store, Ledger(store))


def trainer(state: str, seconds_ago: float = 0.0) -> dict[str, Any]:
    return {"state": state, "num_timesteps": 10, "updated_at": time.time_ns() // 1_000_000 - 1000 * seconds_ago}


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
    store: Store, board: Board, state: str, seconds_ago: float, alive: bool
) -> None:
    store.set_status({"run": RUN, "trainer": trainer(state, seconds_ago)})
    board.look()
    shown = board.progress("Ann").trainer
    assert (shown.state, shown.alive, shown.num_timesteps) == (state, alive, 10)


def test_a_trainer_dies_while_nobody_looks(store: Store, board: Board) -> None:
    store.set_status({"run": RUN, "trainer": trainer("training")})
    board.look()
    assert board.progress("Ann").trainer.alive
    with time_machine.travel(time.time() + 20):
        assert not board.progress("Ann").trainer.alive


def test_before_the_trainer_begins_nothing_is_known(board: Board) -> None:
    board.look()
    progress = board.progress("Ann")
    assert board.run is None
    assert (progress.budget, progress.seconds_left, progress.per_minute) == (None, None, None)
    assert (progress.trainer.state, progress.trainer.alive) == (None, False)


def test_progress_counts_ones_own_and_all(store: Store, board: Board, some_query: Callable[[int], Query]) -> None:
    store.set_status({"run": RUN})
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
    board.look()
    progress = board.progress("Ann")
    assert (progress.answered, progress.cannot_tell, progress.total, progress.budget) == (3, 1, 3, 4)
    assert progress.open == 2
    assert progress.per_minute == pytest.approx(20)
    assert progress.seconds_left == pytest.approx(3)  # one more, at 20 per minute
    assert not board.budget_is_used
    store.add_answers([NewAnswer(id="last", query_id=asked[4].id, answer=Answer.FIRST, labeler="Bo")])
    board.look()
    assert board.budget_is_used
    assert board.progress("Ann").seconds_left == 0


def test_news_are_queries_that_were_not_open_before(
    store: Store, board: Board, some_query: Callable[[int], Query]
) -> None:
    board.look()
    store.add_queries([some_query(0), some_query(1)])
    board.look()
    assert (board.n_news, board.n_open) == (1, 2)
    store.add_answers([NewAnswer(id="a", query_id=some_query(0).id, answer=Answer.FIRST, labeler="Ann")])
    board.look()
    assert (board.n_news, board.n_open) == (1, 1)
    store.add_queries([some_query(2)])
    board.look()
    assert (board.n_news, board.n_open) == (2, 2)


def test_a_run_that_says_nonsense_is_an_error_of_one_sentence(store: Store, board: Board) -> None:
    store.set_status({"run": {"task": "t"}})
    with pytest.raises(StoreError, match="What the trainer says of the run cannot be read: Field required"):
        board.look()
