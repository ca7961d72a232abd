from collections.abc import Callable
from typing import Any, Protocol

import pytest

from prefrl.errors import SettingError, StoreError
from prefrl.segments import Answer, Query
from prefrl.store import Labeler, NewAnswer, Store

MakeQuery = Callable[..., Query]


class Clock(Protocol):
    now: int

    def advance(self, seconds: float) -> None: ...


def test_people_come_in_by_the_hash_of_their_token(timed: Store, clock: Clock) -> None:
    owner = timed.add_labeler("eva", role="owner", token_hash="aa")
    clock.advance(1)
    ann = timed.add_labeler("ann", token_hash="bb")
    bob = timed.add_labeler("bob")
    assert owner == Labeler(name="eva", role="owner", token_hash="aa", revoked=False, created_at=clock.now - 1000)
    assert (ann.role, bob.token_hash) == ("labeler", None)
    assert timed.labelers() == [owner, ann, bob]
    assert timed.labeler("ann") == ann
    assert timed.labeler("nobody") is None


def test_a_new_token_closes_the_old_way_in(timed: Store) -> None:
    timed.add_labeler("ann", token_hash="old")
    timed.set_token_hash("ann", "new")
    assert [person.token_hash for person in timed.labelers()] == ["new"]
    timed.set_token_hash("ann", None)
    assert [person.token_hash for person in timed.labelers()] == [None]


def test_somebody_revoked_is_out_until_a_new_token(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    timed.add_queries([query])
    timed.add_labeler("ann", token_hash="aa")
    timed.claim("ann", 1)
    assert timed.claim("bob", 1) == []
    timed.revoke("ann")
    ann = timed.labeler("ann")
    assert ann is not None
    assert (ann.revoked, ann.token_hash) == (True, None)
    assert len(timed.claim("bob", 1)) == 1, "what ann had in hand is asked of others"
    timed.set_token_hash("ann", "bb")
    again = timed.labeler("ann")
    assert again is not None
    assert (again.revoked, again.token_hash) == (False, "bb")


def test_whoever_answers_is_known(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    timed.add_queries([query])
    timed.add_answers([NewAnswer(query_id=query.id, answer=Answer.FIRST, labeler="oracle", id="a")])
    timed.claim("ann", 1)
    assert [(p.name, p.role, p.token_hash) for p in timed.labelers()] == [
        ("ann", "labeler", None),
        ("oracle", "labeler", None),
    ]
    with pytest.raises(SettingError, match="There is a labeler 'oracle' already"):
        timed.add_labeler("oracle", token_hash="aa")
    timed.set_token_hash("oracle", "aa")
    assert [p.token_hash for p in timed.labelers()] == [None, "aa"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": ""}, "`name` must not be empty"),
        ({"name": "ann", "role": "king"}, "`role` must be one of owner, labeler. Received 'king'"),
    ],
)
def test_people_who_cannot_be_added(timed: Store, values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        timed.add_labeler(**values)
    assert timed.labelers() == []


def test_nobody_is_changed_who_is_not_there(timed: Store) -> None:
    with pytest.raises(StoreError, match="no labeler 'ann'; add one with `add_labeler`"):
        timed.revoke("ann")
    with pytest.raises(StoreError, match="no labeler 'ann'; add one with `add_labeler`"):
        timed.set_token_hash("ann", "aa")


def test_no_two_people_share_a_token(timed: Store) -> None:
    timed.add_labeler("ann", token_hash="aa")
    with pytest.raises(StoreError, match=r"refused a step .*UNIQUE"):
        timed.add_labeler("bob", token_hash="aa")
    assert timed.labeler("bob") is None


def test_what_somebody_says_is_set_aside_and_counts_again(timed: Store, make_query: MakeQuery) -> None:
    queries = [make_query(number) for number in range(2)]
    timed.add_queries(queries, overlap=2)
    for number, (name, query) in enumerate((name, query) for name in ("ann", "bob") for query in queries):
        answer = NewAnswer(query_id=query.id, answer=Answer.FIRST, labeler=name, id=str(number))
        timed.add_answers([answer])
    assert timed.aside() == frozenset()
    timed.set_aside("ann")
    assert timed.aside() == {"ann"}
    assert [person.set_aside for person in timed.labelers()] == [True, False]
    assert [one.teacher for one in timed.comparisons()] == ["bob", "bob"]
    assert timed.comparison_seqs() == [3, 4]
    assert timed.counts().comparisons == 2
    assert [one.teacher for one in timed.comparisons_of([queries[0].id])] == ["bob"]
    assert [one.seq for one in timed.comparisons_at([1])] == [1], "what a checkpoint learned from can be read"
    assert len(timed.answers()) == len(timed.history(None)) == 4, "nothing is lost"
    timed.set_aside("ann", False)
    assert timed.comparison_seqs() == [1, 2, 3, 4]
    with pytest.raises(StoreError, match="There is no labeler 'nobody'"):
        timed.set_aside("nobody")


def test_comparisons_of_people_as_they_were(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    timed.add_queries([query], overlap=2)

    def add(number: int, answer: Answer | None, name: str = "ann", supersedes: str | None = None) -> None:
        timed.add_answers(
            [NewAnswer(id=str(number), query_id=query.id, answer=answer, labeler=name, supersedes=supersedes)]
        )

    add(1, Answer.FIRST)
    add(2, Answer.SECOND)
    add(3, Answer.FIRST, "bob")
    add(4, None, supersedes="2")

    def then(until: int, aside: frozenset[str] = frozenset(), holds: str | None = None) -> list[int]:
        settled = {} if holds is None else {query.id: holds}
        return timed.comparison_seqs_then(until, aside=aside, settled=settled)

    assert [then(until) for until in range(6)] == [[], [1], [2], [2, 3], [3], [3]]
    assert then(3, frozenset({"ann"})) == [3]
    assert then(3, frozenset({"ann", "bob"})) == []
    assert then(3, holds="ann") == [2]
    assert then(4, holds="ann") == []
    assert then(3, frozenset({"bob"}), holds="bob") == []
    for query_ids, found in (([query.id], [2, 3]), (["another"], []), ([], [])):
        assert timed.comparison_seqs_then(3, aside=(), settled={}, query_ids=query_ids) == found


def test_somebody_is_asked_for_so_much_at_most(timed: Store) -> None:
    ann = timed.add_labeler("ann", quota=100)
    bob = timed.add_labeler("bob")
    timed.add_labeler("eva", role="owner")
    assert (ann.quota, bob.quota) == (100, None)
    assert timed.labeler("ann") == ann
    assert timed.quotas() == {"ann": 100}
    timed.set_quota("bob", 7)
    timed.set_quota("ann", None)
    assert timed.quotas() == {"bob": 7}
    assert [person.quota for person in timed.labelers()] == [None, 7, None]


@pytest.mark.parametrize("quota", [0, -1, 2**31])
def test_a_quota_is_a_number_of_answers(timed: Store, quota: int) -> None:
    timed.add_labeler("ann", quota=3)
    with pytest.raises(SettingError, match=f"`quota` must be at least 1.* Received {quota}"):
        timed.set_quota("ann", quota)
    with pytest.raises(SettingError, match="`quota` must be at least 1"):
        timed.add_labeler("bob", quota=quota)
    assert timed.quotas() == {"ann": 3}
    assert timed.labeler("bob") is None
    with pytest.raises(StoreError, match="There is no labeler 'nobody'"):
        timed.set_quota("nobody", 3)


def test_an_owner_has_no_quota(timed: Store) -> None:
    timed.add_labeler("eva", role="owner")
    with pytest.raises(SettingError, match="An owner has no quota"):
        timed.set_quota("eva", 3)
    with pytest.raises(SettingError, match="An owner has no quota"):
        timed.add_labeler("edna", role="owner", quota=3)
    timed.set_quota("eva", None)
    assert timed.quotas() == {}
