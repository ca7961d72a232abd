"""What the training has the owner look at in people's answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.store import TrainerRecord

Claimed = Callable[..., list[dict[str, Any]]]
Said = Callable[..., dict[str, Any]]
SENTENCE = "Says the opposite of what was learned from others: as expected in 15% of 26 answers."


@pytest.fixture
def served(make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path: Path) -> Any:
    return serve_here(
        make_run(tmp_path / "run", task="gridworld", n_queries=6, segment_length=6), repeat_share=0.0
    )


def test_the_owner_sees_it_beside_the_person_and_nobody_else_does(
    served: Any, trainer_record: Callable[..., TrainerRecord], claimed: Claimed, said: Said
) -> None:
    owner, ann, bob = served.owner(), served.join("Ann"), served.join("Bob")
    for client in (ann, bob):
        [query] = claimed(client, 1)
        said(client, query["query_id"])
    served.store.publish(trainer_record(warnings={"Ann": SENTENCE, "Eve": "is not here"}))
    served.context.training_view.look()
    people = {person["name"]: person for person in owner.get("/api/people").json()["people"]}
    assert people["Ann"]["quality"]["warnings"] == [SENTENCE]
    assert people["Bob"]["quality"]["warnings"] == []
    assert people["owner"]["quality"] is None
    for client in (owner, ann, bob):
        for path in ("/api/progress", "/api/training", "/api/history"):
            reply = client.get(path)
            assert reply.status_code == 200, path
            assert "opposite" not in reply.text
    served.store.publish(trainer_record())
    served.context.training_view.look()
    people = {person["name"]: person for person in owner.get("/api/people").json()["people"]}
    assert people["Ann"]["quality"]["warnings"] == []
