"""Pairs, answers, history: what the page asks for, with the server in the same process."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from prefrl.segments import Answer
from prefrl.store import Store
from prefrl_envs.tasks import TASKS

Claimed = Callable[..., list[dict[str, Any]]]
Said = Callable[..., dict[str, Any]]
BodyOf = Callable[..., dict[str, Any]]


def test_the_run_is_described(served: Any) -> None:
    about = served.join("Åsa").get("/api/run").json()
    assert about["state"] == "ready"
    assert about["task"] == "gridworld"
    assert about["budget"] == 300
    assert about["labeler"] == {"name": "Åsa", "role": "labeler"}
    assert not about["question_is_custom"]
    assert about["question"]
    assert about["legend"] == []


def test_the_legend_names_the_colours_of_the_body(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], run_record: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=1, segment_length=6)
    with Store(run) as store:
        store.publish(run_record(task="hopper-backflip", env_id="prefrl/HopperBackflip-v0"))
    legend = serve_here(run).owner().get("/api/run").json()["legend"]
    parts = TASKS["hopper-backflip"].parts
    assert legend == [{"name": part.name, "colour": part.colour} for part in parts]
    assert [part["name"] for part in legend] == ["torso", "thigh", "lower leg", "foot"]


def test_pairs_come_with_all_that_is_needed_to_play_them(served: Any, claimed: Claimed) -> None:
    client = served.join()
    pairs = claimed(client, 3)
    assert len({pair["query_id"] for pair in pairs}) == 3
    for pair in pairs:
        assert pair.keys() == {"query_id", "lease_expires_at", "clips"}  # nothing tells first from second
        for side in pair["clips"]:
            assert side.keys() == {"clip", "poster", "duration_s", "fps", "speed"}
            assert 1.0 <= side["duration_s"] <= 2.3
        shown = {Path(side["clip"]).stem for side in pair["clips"]}
        assert shown == {segment.id for segment in served.store.query(pair["query_id"]).segments}


def test_what_the_page_holds_is_not_sent_again_but_stays_its_own(served: Any, claimed: Claimed) -> None:
    client = served.join()
    [held] = claimed(client)
    [other] = claimed(client, holding=[held["query_id"]])
    assert other["query_id"] != held["query_id"]
    after_reload = [pair["query_id"] for pair in claimed(client, 2)]
    assert after_reload == [held["query_id"], other["query_id"]]


def test_sides_stay_where_they_are_after_a_reload(served: Any, claimed: Claimed) -> None:
    client = served.join()
    before, after = ([(pair["query_id"], pair["clips"]) for pair in claimed(client, 5)] for _ in range(2))
    assert after == before


def test_two_people_never_hold_the_same_pair(served: Any, claimed: Claimed) -> None:
    clients = [served.join() for _ in range(4)]
    given = [pair["query_id"] for client in clients for pair in claimed(client, 5)]
    assert len(set(given)) == 20


@pytest.mark.parametrize("choice", ["left", "right", "equal", "cannot_tell"])
def test_an_answer_is_stored_in_the_order_of_the_query(
    served: Any, claimed: Claimed, said: Said, choice: str
) -> None:
    client = served.join()
    for pair in claimed(client, 5):  # some swapped, some not
        reply = said(client, pair["query_id"], choice, reaction_ms=1200, replays=2, client_time=5)
        [stored] = served.store.answers(reply["seq"] - 1, limit=1)
        first, second = (segment.id for segment in served.store.query(pair["query_id"]).segments)
        left, right = (Path(side["clip"]).stem for side in pair["clips"])
        shown = {left: "left", right: "right"}
        meaning = {shown[first]: Answer.FIRST, shown[second]: Answer.SECOND}
        assert stored.answer == meaning.get(choice, choice)
        assert stored.sides_swapped == (shown[first] == "right")
        assert (stored.reaction_ms, stored.replays, stored.client_time) == (1200, 2, 5)
        assert reply["id"] == stored.id
        assert not reply["late"]


def test_the_same_answer_sent_again_is_stored_once(
    served: Any, claimed: Claimed, body_of: Callable[..., dict[str, Any]]
) -> None:
    client = served.join()
    body = body_of(claimed(client)[0]["query_id"])
    before = served.store.counts().answers
    replies = [client.post("/api/answers", json=body) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    first, *again = (reply.json() for reply in replies)
    for reply in again:  # the rest of the progress is what was last read of the store: it may change in between
        assert {**reply, "progress": None} == {**first, "progress": None}
        assert reply["progress"]["answered"] == first["progress"]["answered"] == 1
    assert served.store.counts().answers == before + 1
    other = client.post("/api/answers", json=body | {"choice": "right"})
    assert other.status_code == 409
    assert served.store.counts().answers == before + 1


def test_an_undo_brings_the_pair_back_first(served: Any, claimed: Claimed, said: Said) -> None:
    client = served.join()
    first, second, third = (pair["query_id"] for pair in claimed(client, 3))
    answer = said(client, first)
    said(client, second)
    assert answer["progress"]["answered"] == 1
    undone = said(client, first, None, supersedes=answer["id"])
    assert undone["progress"]["answered"] == 1  # the second one
    assert [pair["query_id"] for pair in claimed(client, 2)] == [first, third]
    assert said(client, first, "right")["progress"]["answered"] == 2


def test_an_undo_names_the_answer_it_takes_back(
    served: Any, claimed: Claimed, said: Said, body_of: Callable[..., dict[str, Any]]
) -> None:
    client = served.join()
    query_id = claimed(client)[0]["query_id"]
    said(client, query_id)
    stale = client.post("/api/answers", json=body_of(query_id, None, supersedes=str(uuid4())))
    assert stale.status_code == 409
    nameless = client.post("/api/answers", json=body_of(query_id, None))
    assert nameless.status_code == 422


def test_a_changed_answer_counts_once(served: Any, claimed: Claimed, said: Said) -> None:
    client = served.join()
    query_id = claimed(client)[0]["query_id"]
    first = said(client, query_id, "cannot_tell")
    second = said(client, query_id, "left", supersedes=first["id"])
    assert first["progress"]["cannot_tell"] == 1
    assert second["progress"]["cannot_tell"] == 0
    assert second["progress"]["answered"] == 1
    assert second["progress"]["total"] == first["progress"]["total"] + 1
    [item] = client.get("/api/history").json()["items"]
    assert (item["choice"], item["changed"], item["answer_id"]) == ("left", True, second["id"])


def test_history_pages_through_ones_own_answers(served: Any, claimed: Claimed, said: Said) -> None:
    client, other = served.join(), served.join()
    said(other, claimed(other)[0]["query_id"])
    choices = ["left", "right", "equal", "cannot_tell", "left"]
    pairs = claimed(client, 5)
    for pair, choice in zip(pairs, choices, strict=True):
        said(client, pair["query_id"], choice)
    first = client.get("/api/history", params={"limit": 3}).json()
    rest = client.get("/api/history", params={"limit": 3, "before": first["next_before"]}).json()
    items = first["items"] + rest["items"]
    assert [item["choice"] for item in items] == choices[::-1]
    assert [item["query_id"] for item in items] == [pair["query_id"] for pair in reversed(pairs)]
    assert [item["clips"] for item in items] == [pair["clips"] for pair in reversed(pairs)]
    assert rest["next_before"] is None


def test_what_was_answered_last_is_told_whatever_was_changed_since(
    served: Any, claimed: Claimed, said: Said
) -> None:
    client = served.join()
    pairs = [pair["query_id"] for pair in claimed(client, 4)]
    replies = [said(client, query_id) for query_id in pairs]
    for query_id, reply in zip(pairs[:2], replies, strict=False):
        said(client, query_id, "equal", supersedes=reply["id"])
    for last_answered, expected in ((False, pairs[:2]), (True, pairs[2:])):
        told = client.get("/api/history", params={"limit": 2, "last_answered": last_answered}).json()["items"]
        assert {item["query_id"] for item in told} == set(expected)


def test_the_owner_sees_the_history_of_others(served: Any, claimed: Claimed, said: Said) -> None:
    client = served.join("Bo")
    reply = said(client, claimed(client)[0]["query_id"])
    [item] = served.owner().get("/api/history", params={"labeler": "Bo"}).json()["items"]
    assert item["answer_id"] == reply["id"]
    assert served.join().get("/api/history", params={"labeler": "Bo"}).status_code == 403


def test_predictions_are_shown_after_the_answer_only(served: Any, claimed: Claimed, said: Said) -> None:
    client = served.join()
    pair = claimed(client)[0]
    query = {"query_id": pair["query_id"]}
    left, right = (Path(side["clip"]).stem for side in pair["clips"])
    served.store.set_predictions({left: [1.0, 2.0], right: [3.0, 4.0]}, num_timesteps=1)
    assert client.get("/api/predictions", params=query).status_code == 404
    answer = said(client, pair["query_id"])
    assert client.get("/api/predictions", params=query).json() == {"clips": [[1.0, 2.0], [3.0, 4.0]]}
    assert served.join().get("/api/predictions", params=query).status_code == 404
    said(client, pair["query_id"], None, supersedes=answer["id"])
    assert client.get("/api/predictions", params=query).status_code == 404


def test_predictions_are_off_by_default(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], claimed: Claimed, said: Said, tmp_path: Path
) -> None:
    served = serve_here(make_run(tmp_path / "run", task="gridworld", n_queries=2, segment_length=6))
    client = served.owner()
    pair = claimed(client)[0]
    ids = [Path(side["clip"]).stem for side in pair["clips"]]
    served.store.set_predictions({segment_id: [1.0] for segment_id in ids}, num_timesteps=1)
    said(client, pair["query_id"])
    assert client.get("/api/predictions", params={"query_id": pair["query_id"]}).status_code == 404


def test_answers_can_be_taken_home(served: Any, claimed: Claimed, said: Said) -> None:
    client = served.join()
    for pair, choice in zip(claimed(client, 2), ("right", "equal"), strict=True):
        said(client, pair["query_id"], choice)
    reply = client.get("/api/export")
    assert reply.headers["content-disposition"] == 'attachment; filename="answers.jsonl"'
    rows = [json.loads(line) for line in reply.text.splitlines()]
    assert [row["choice"] for row in rows] == ["right", "equal"]

    reply = client.get("/api/export", params={"kind": "csv"})
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(io.StringIO(reply.text)))
    assert [row["choice"] for row in table] == ["right", "equal"]
    assert [row["query_id"] for row in table] == [row["query_id"] for row in rows]
    assert list(table[0]) == list(rows[0])
    assert [row["segments"].split(" ") for row in table] == [row["segments"] for row in rows]
    assert [row["ranks"] for row in rows] == [None, None]
    assert [row["ranks"] for row in table] == ["", ""]


def test_the_owner_takes_everybodys_answers_home_with_what_they_are_about(
    served: Any, claimed: Claimed, said: Said
) -> None:
    ann, bo = served.join(), served.join()
    [first], [second] = claimed(ann, 1), claimed(bo, 1)
    said(ann, first["query_id"], "left")
    said(bo, second["query_id"], "cannot_tell")
    lines = served.owner().get("/api/export", params={"everybody": True}).text.splitlines()
    mine, theirs = (json.loads(line) for line in lines[-2:])
    assert mine["labeler"] != theirs["labeler"]
    assert (mine["choice"], theirs["choice"]) == ("left", "cannot_tell")
    assert [side["clip"] for side in first["clips"]] == [f"/clips/{segment}.mp4" for segment in mine["segments"]]
    assert mine["question"] == ann.get("/api/run").json()["question"]
    with Store(served.context.settings.run) as store:
        assert mine["num_timesteps"] == store.query(mine["query_id"]).num_timesteps > 0
    reply = ann.get("/api/export", params={"everybody": True})
    assert reply.status_code == 403
    assert reply.json() == {"error": "The answers of others are for the owner of the run only."}


def test_nobody_answers_what_they_were_not_asked(
    served: Any, claimed: Claimed, body_of: Callable[..., dict[str, Any]]
) -> None:
    someone, other = served.join(), served.join()
    query_id = claimed(someone)[0]["query_id"]
    before = served.store.counts().answers
    assert other.post("/api/answers", json=body_of(query_id)).status_code == 404
    assert someone.post("/api/answers", json=body_of("0" * 32)).status_code == 404
    assert served.store.counts().answers == before


def test_a_late_answer_is_kept(served: Any, claimed: Claimed, said: Said) -> None:
    client = served.join("late")
    query_id = claimed(client)[0]["query_id"]
    served.store.revoke("late")  # which ends what they have in hand
    served.store.set_token_hash("late", "new")
    assert said(client, query_id)["late"]


def test_the_answer_is_in_the_store_before_the_reply(served: Any, claimed: Claimed, said: Said) -> None:
    client = served.join()
    reply = said(client, claimed(client)[0]["query_id"])
    with Store(served.run) as other:  # another process would see the same
        assert [answer.id for answer in other.answers(reply["seq"] - 1)] == [reply["id"]]


@pytest.mark.parametrize(
    ("state", "n_labels", "reason"),
    [("training", 300, "none_open"), ("finished", 300, "finished"), ("waiting", 2, "budget_used")],
)
def test_an_empty_hand_says_why(
    make_run: Callable[..., Path],
    serve_here: Callable[..., Any],
    trainer_beats: Callable[..., None],
    claimed: Claimed,
    said: Said,
    tmp_path: Path,
    state: str,
    n_labels: int,
    reason: str,
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=2, segment_length=6, n_labels=n_labels)
    trainer_beats(run, state=state)
    served = serve_here(run)
    client = served.owner()
    for pair in claimed(client, 2):
        said(client, pair["query_id"])
    reply = client.post("/api/claims", json={"n": 1, "holding": []}).json()
    assert (reply["queries"], reply["reason"]) == ([], reason)


def test_before_the_trainer_has_begun_the_page_says_so(
    make_run: Callable[..., Path],
    serve_here: Callable[..., Any],
    claimed: Claimed,
    begin_like: Callable[..., None],
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", started=False)
    served = serve_here(run)
    client = served.owner()
    about = client.get("/api/run").json()
    assert (about["state"], about["question"], about["budget"]) == ("waiting_for_trainer", None, None)
    reply = client.post("/api/claims", json={"n": 2, "holding": []}).json()
    assert (reply["queries"], reply["reason"]) == ([], "none_open")
    assert reply["progress"]["trainer"] == {
        **dict.fromkeys(reply["progress"]["trainer"], None),
        "alive": False,
        "listens": False,
    }
    training = client.get("/api/training").json()
    assert (training["curves"], training["showcase"]) == ({"num_timesteps": []}, [])
    assert training["resume_command"] == f"prefrl resume {run}"
    begun = make_run(tmp_path / "begun", task="gridworld", n_queries=2, segment_length=6)
    with Store(begun) as theirs:
        begin_like(theirs, served.store)
        queries = [theirs.query(query.query_id) for query in theirs.open_queries()]
    served.store.add_queries(queries)
    served.context.look()
    assert client.get("/api/run").json()["state"] == "ready"
    assert len(claimed(client, 2)) == 2


def test_a_click_that_arrives_late_does_not_overrule_the_answer_given_meanwhile(
    served: Any, claimed: Claimed, said: Said, body_of: BodyOf
) -> None:
    """The pair was asked again in another tab while the first could not reach the server."""
    person = served.join()
    (query,) = claimed(person)
    stuck = body_of(query["query_id"], "left")
    newer = said(person, query["query_id"], "right")
    reply = person.post("/api/answers", json=stuck)
    assert reply.status_code == 409
    assert "that answer stands" in reply.json()["error"]
    (item,) = person.get("/api/history").json()["items"]
    assert (item["answer_id"], item["choice"]) == (newer["id"], "right")


def test_a_remark_goes_with_the_answer(served: Any, claimed: Claimed, said: Said, body_of: BodyOf) -> None:
    client = served.join()
    first, second = claimed(client, 2)
    said(client, first["query_id"], "cannot_tell", remark="broken", comment="It is black.")
    said(client, second["query_id"])
    shown = [(item["remark"], item["comment"]) for item in client.get("/api/history").json()["items"]]
    assert shown == [(None, None), ("broken", "It is black.")]
    lines = [json.loads(line) for line in client.get("/api/export").text.splitlines()]
    assert [(line["remark"], line["comment"]) for line in lines] == [("broken", "It is black."), (None, None)]
    for wrong in ({"remark": "boring"}, {"comment": ""}, {"comment": "x" * 501}):
        assert client.post("/api/answers", json=body_of(first["query_id"], **wrong)).status_code == 422
