"""How much is asked of a person at most, and what the owner hears of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from prefrl.segments import Answer
from prefrl.store import NewAnswer, RunRecord, Store

Claimed = Callable[..., list[dict[str, Any]]]
Said = Callable[..., dict[str, Any]]
BUDGET = 12


@pytest.fixture
def house(make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path: Path) -> Any:
    """A run that wants twelve comparisons, of people who were not invited yet."""
    run = make_run(tmp_path / "run", task="gridworld", n_queries=20, segment_length=6)
    with Store(run) as store:
        about = store.published(RunRecord)
        assert about is not None
        store.publish(replace(about, n_labels=BUDGET))
    return serve_here(run, repeat_share=0.0)


def invite(house: Any, owner: httpx.Client, name: str, **more: Any) -> httpx.Client:
    reply = owner.post("/api/people", json={"name": name, **more})
    assert reply.status_code == 200, reply.text
    client: httpx.Client = house.signed_in(name)
    return client


def reason(client: httpx.Client, holding: list[str] | None = None) -> str | None:
    reply = client.post("/api/claims", json={"n": 1, "holding": holding or []}).json()
    assert (reply["reason"] is None) == bool(reply["queries"])
    found: str | None = reply["reason"]
    return found


def test_who_has_given_the_quota_learns_so_and_others_go_on(house: Any, claimed: Claimed, said: Said) -> None:
    owner = house.owner()
    ann, bo = invite(house, owner, "Ann", quota=2), invite(house, owner, "Bo")
    first, second = claimed(ann, 5)
    held = [first["query_id"], second["query_id"]]
    assert reason(ann, held) == "quota_given", "what is in hand is all that will come"
    said(ann, held[0])
    answered = said(ann, held[1])
    assert (answered["progress"]["counted"], answered["progress"]["quota"]) == (2, 2)
    assert reason(ann) == "quota_given"
    assert reason(bo) is None
    assert (bo.get("/api/progress").json()["counted"], bo.get("/api/progress").json()["quota"]) == (0, None)

    said(ann, held[1], None, supersedes=answered["id"])
    assert reason(ann) is None, "an undo gives one back"
    said(ann, held[1])
    assert owner.post("/api/people/Ann/quota", json={"quota": 3}).json() == {"name": "Ann", "quota": 3}
    assert len(claimed(ann, 5)) == 1
    assert owner.post("/api/people/Ann/quota", json={"quota": None}).status_code == 200
    assert len(claimed(ann, 5)) == 5


def test_an_answer_beyond_the_quota_is_stored(house: Any, claimed: Claimed, said: Said) -> None:
    owner = house.owner()
    ann = invite(house, owner, "Ann")
    one, other = claimed(ann, 2)
    owner.post("/api/people/Ann/quota", json={"quota": 1})
    said(ann, one["query_id"])
    assert said(ann, other["query_id"])["progress"]["counted"] == 2
    [_, entry] = owner.get("/api/people").json()["people"]
    assert (entry["name"], entry["counted"], entry["quota"]) == ("Ann", 2, 1)


def test_that_all_is_answered_is_said_before_that_a_quota_is(house: Any, claimed: Claimed, said: Said) -> None:
    owner = house.owner()
    ann = invite(house, owner, "Ann", quota=BUDGET)
    while pairs := claimed(ann, 1):
        said(ann, pairs[0]["query_id"])
    house.context.look()
    assert reason(ann) == "budget_used"


def test_the_owner_hears_how_much_nobody_will_give(house: Any, claimed: Claimed, said: Said) -> None:
    owner = house.owner()

    def shortfall() -> int:
        n: int = owner.get("/api/people").json()["shortfall"]
        return n

    assert shortfall() == 0, "of nobody who was invited the owner answers alone"
    ann = invite(house, owner, "Ann", quota=4)
    assert shortfall() == BUDGET - 4
    invite(house, owner, "Bo", quota=7)
    assert shortfall() == 1
    said(ann, claimed(ann)[0]["query_id"])
    assert shortfall() == 1, "an answer that was promised changes nothing"
    said(owner, claimed(owner)[0]["query_id"])
    assert shortfall() == 0, "one of the owner's does"
    owner.post("/api/people/Bo/revoke", json={})
    assert shortfall() == 7
    invite(house, owner, "Cid")
    assert shortfall() == 0, "somebody gives as much as there is"
    owner.post("/api/people/Cid/quota", json={"quota": 3})
    assert shortfall() == 4
    owner.post("/api/people/Cid/aside", json={"aside": True})
    assert shortfall() == 7
    invite(house, owner, "Dan", role="owner")
    assert shortfall() == 7, "owners are not counted on"


def test_nobody_makes_up_for_a_second_person(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], claimed: Claimed, said: Said, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=BUDGET // 2, segment_length=6, overlap=2)
    with Store(run) as store:
        about = store.published(RunRecord)
        assert about is not None
        store.publish(replace(about, n_labels=BUDGET))
    house = serve_here(run, repeat_share=0.0)
    owner = house.owner()
    ann, bo = invite(house, owner, "Ann", quota=10), invite(house, owner, "Bo", quota=2)
    house.context.look()
    assert owner.get("/api/people").json()["shortfall"] == BUDGET - (6 + 2), "Ann answers each of six once"
    for person in (ann, bo):
        while pairs := claimed(person, 1):
            said(person, pairs[0]["query_id"])
    house.context.look()
    assert owner.get("/api/people").json()["shortfall"] == BUDGET - 8, "Ann has answered all that is open"
    invite(house, owner, "Cid")
    assert owner.get("/api/people").json()["shortfall"] == 0


def test_programs_that_answer_are_not_counted_on_and_have_no_quota(house: Any) -> None:
    owner = house.owner()
    invite(house, owner, "Ann", quota=2)
    query = house.store.open_queries()[0].query_id
    house.store.add_answers([NewAnswer(id="a", query_id=query, answer=Answer.FIRST, labeler="oracle")])
    house.context.people.open()
    house.context.look()
    assert owner.get("/api/people").json()["shortfall"] == BUDGET - 1 - 2
    refused = owner.post("/api/people/oracle/quota", json={"quota": 3})
    assert (refused.status_code, "is a program that answers" in refused.json()["error"]) == (409, True)


def test_what_a_lowered_quota_takes_from_a_person_goes_to_others(house: Any, claimed: Claimed, said: Said) -> None:
    owner = house.owner()
    ann = invite(house, owner, "Ann")
    first, *others = [pair["query_id"] for pair in claimed(ann, 5)]

    def in_hand() -> set[str]:
        return {query.query_id for query in house.store.open_queries() if query.n_leases}

    said(ann, first)
    assert in_hand() == set(others)
    owner.post("/api/people/Ann/quota", json={"quota": 1})
    assert reason(ann, others[:1]) == "quota_given"
    assert in_hand() == set(others[:1]), "but for what she still holds"
    assert said(ann, others[1])["progress"]["counted"] == 2, "what was on her screen is stored all the same"


def test_nothing_is_missing_once_the_training_is_over(house: Any, trainer_record: Callable[..., Any]) -> None:
    owner = house.owner()
    invite(house, owner, "Ann", quota=4)
    assert owner.get("/api/people").json()["shortfall"] == BUDGET - 4
    house.store.publish(trainer_record(state="finished"))
    house.context.look()
    assert owner.get("/api/people").json()["shortfall"] == 0


@pytest.mark.parametrize(("quota", "status"), [(0, 422), (-5, 422), (1.5, 422), ("many", 422), (2**31, 422)])
def test_a_quota_is_a_number_of_answers(house: Any, quota: object, status: int) -> None:
    owner = house.owner()
    assert owner.post("/api/people", json={"name": "Ann", "quota": quota}).status_code == status
    invite(house, owner, "Ann")
    assert owner.post("/api/people/Ann/quota", json={"quota": quota}).status_code == status


def test_owners_have_no_quota(house: Any) -> None:
    owner = house.owner()
    refused = owner.post("/api/people", json={"name": "Eva", "role": "owner", "quota": 5})
    assert (refused.status_code, "An owner has no quota" in refused.json()["error"]) == (409, True)
    invite(house, owner, "Eva", role="owner")
    assert owner.post("/api/people/Eva/quota", json={"quota": 5}).status_code == 409
    refused = owner.post("/api/people/owner/quota", json={"quota": 5})
    assert (refused.status_code, "An owner has no quota" in refused.json()["error"]) == (409, True)
    assert owner.post("/api/people/nobody/quota", json={"quota": 5}).status_code == 404
