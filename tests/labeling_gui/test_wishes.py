"""What the owner wishes of the agent, as the server takes it and shows it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from prefrl.store import TrainerRecord, WishRecord

TrainerRecordFactory = Callable[..., TrainerRecord]
AGO_MS = 60_000


@pytest.fixture
def trains(served: Any, trainer_record: TrainerRecordFactory) -> Iterator[Callable[..., None]]:
    """`trains(training="new", …)`: what the trainer last said; nobody's wish is known for that one."""

    def say(**changes: Any) -> None:
        served.store.publish(trainer_record(**changes))
        served.context.look()

    yield say
    say()


def now() -> int:
    return time.time_ns() // 1_000_000


def wish(client: httpx.Client, wish: str) -> httpx.Response:
    return client.post("/api/agent", json={"wish": wish})


def shown(client: httpx.Client) -> dict[str, Any]:
    trainer: dict[str, Any] = client.get("/api/progress").json()["trainer"]
    return trainer


def test_a_wish_is_stored_for_the_training_that_runs_and_shown_at_once(
    served: Any, trains: Callable[..., None]
) -> None:
    owner, labeler = served.owner(), served.join()
    trains(training="first")
    assert (shown(owner)["listens"], shown(owner)["wish"]) == (True, None)
    for word in ("pause", "go_on", "stop"):
        reply = wish(owner, word)
        assert reply.status_code == 200
        assert reply.json()["progress"]["trainer"]["wish"] == word
        assert shown(labeler)["wish"] == word
        stored = served.store.published(WishRecord)
        assert (stored.training, stored.wish, stored.by) == ("first", word, "owner")
        assert abs(now() - stored.updated_at) < AGO_MS
    trains(training="resumed")
    assert (shown(owner)["listens"], shown(owner)["wish"]) == (True, None)


def test_a_wish_outlives_the_servers_own_memory(served: Any, trains: Callable[..., None]) -> None:
    """Another page of the same run, or this one after a restart, shows it."""
    trains(training="told elsewhere")
    served.store.publish(WishRecord(training="told elsewhere", wish="pause", by="owner", updated_at=now()))
    served.context.look()
    assert shown(served.owner())["wish"] == "pause"


def test_nobody_but_the_owner_wishes(served: Any, trains: Callable[..., None]) -> None:
    trains(training="guarded")
    reply = wish(served.join(), "stop")
    assert reply.status_code == 403
    assert "owner" in reply.json()["error"]
    assert shown(served.owner())["wish"] is None


@pytest.mark.parametrize("body", [{}, {"wish": "explode"}, {"wish": None}, {"wish": "pause", "training": "other"}])
def test_what_is_no_wish_is_refused(served: Any, trains: Callable[..., None], body: dict[str, Any]) -> None:
    trains(training="strict")
    assert served.owner().post("/api/agent", json=body).status_code == 422
    assert shown(served.owner())["wish"] is None


@pytest.mark.parametrize(
    "said",
    [
        {"training": ""},  # of an older version, or a script's
        {"training": "dead", "updated_at": now() - AGO_MS},
        {"training": "over", "state": "finished"},
        {"training": "ended", "state": "stopped"},
    ],
    ids=lambda said: said["training"] or "deaf",
)
def test_a_training_that_would_do_nothing_of_it_is_told_nothing(
    served: Any, trains: Callable[..., None], said: dict[str, Any]
) -> None:
    trains(**said)
    before = served.store.published(WishRecord)
    reply = wish(served.owner(), "pause")
    assert (reply.status_code, reply.json()["error"]) == (409, "No training is running that could be told.")
    assert served.store.published(WishRecord) == before
    assert not shown(served.owner())["listens"]


def test_before_any_training_there_is_nobody_to_tell(
    serve_here: Callable[..., Any], make_run: Callable[..., Path], tmp_path: Path
) -> None:
    served = serve_here(make_run(tmp_path / "run", started=False))
    assert wish(served.owner(), "pause").status_code == 409
    assert not shown(served.owner())["listens"]


def test_a_stop_is_not_taken_back(served: Any, trains: Callable[..., None]) -> None:
    trains(training="stopping")
    owner = served.owner()
    assert wish(owner, "stop").status_code == 200
    reply = wish(owner, "go_on")
    assert (reply.status_code, "already" in reply.json()["error"]) == (409, True)
    assert wish(owner, "stop").status_code == 200
    assert shown(owner)["wish"] == "stop"


def test_the_owner_learns_how_to_go_on_and_nobody_else_where_the_run_lies(served: Any) -> None:
    command = served.owner().get("/api/training").json()["resume_command"]
    assert command == f"prefrl resume {served.run}"
    assert served.join().get("/api/training").json()["resume_command"] is None
