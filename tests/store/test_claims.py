import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pytest

from prefrl.errors import SettingError, StoreError
from prefrl.segments import Answer, Query, Segment
from prefrl.store import Claim, NewAnswer, OpenQuery, Store, StoreCounts, StoredAnswer

MakeQuery = Callable[..., Query]
MakeSegment = Callable[..., Segment]

_ids = itertools.count()


class Clock(Protocol):
    now: int

    def advance(self, seconds: float) -> None: ...


def ids(claims: Sequence[Claim]) -> list[str]:
    return [claim.query_id for claim in claims]


def say(store: Store, query_id: str, answer: Answer | None = Answer.FIRST, **changes: Any) -> StoredAnswer:
    fields = {"query_id": query_id, "answer": answer, "labeler": "ann", "id": f"answer {next(_ids)}"} | changes
    (stored,) = store.add_answers([NewAnswer(**fields)])
    return stored


def withdraw(store: Store, answer: StoredAnswer) -> StoredAnswer:
    return say(store, answer.query_id, None, labeler=answer.labeler, supersedes=answer.id)


def test_the_newest_queries_are_handed_out_first_and_only_once(
    timed: Store, clock: Clock, make_query: MakeQuery
) -> None:
    queries = [make_query(k, num_timesteps=steps) for k, steps in enumerate([500, 900, 900, 100])]
    timed.add_queries(queries)
    claims = timed.claim("ann", 3, lease_seconds=60)
    assert ids(claims) == [queries[k].id for k in (1, 2, 0)]
    for claim in claims:
        query = timed.query(claim.query_id)
        assert claim.segment_ids == tuple(segment.id for segment in query.segments)
        assert claim.lease_expires_at == clock.now + 60_000
        assert claim.repeat_of is None
    assert ids(timed.claim("bob", 5)) == [queries[3].id]
    assert timed.claim("cid", 5) == []


def test_greater_priority_goes_first(timed: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k, num_timesteps=k) for k in range(3)]
    timed.add_queries(queries)
    with timed._database.write() as connection:
        connection.exec_driver_sql("UPDATE query SET priority = 1 WHERE ordinal = 0")
    assert ids(timed.claim("ann", 3)) == [queries[k].id for k in (0, 2, 1)]


def test_a_reload_brings_the_same_queries_in_the_same_order_and_on_the_same_sides(
    timed: Store, clock: Clock, make_query: MakeQuery
) -> None:
    timed.add_queries([make_query(k) for k in range(5)])
    before = timed.claim("ann", 3)
    clock.advance(200)
    after = timed.claim("ann", 3)
    assert ids(after) == ids(before)
    assert [c.sides_swapped for c in after] == [c.sides_swapped for c in before]
    assert {c.lease_expires_at for c in after} == {clock.now + 600_000}


def test_what_the_page_holds_is_renewed_and_not_sent_again(
    timed: Store, clock: Clock, make_query: MakeQuery
) -> None:
    timed.add_queries([make_query(k) for k in range(4)])
    held = ids(timed.claim("ann", 2, lease_seconds=60))
    clock.advance(50)
    (more,) = timed.claim("ann", 1, lease_seconds=60, exclude=held)
    assert more.query_id not in held
    clock.advance(50)  # the first lease would be over by now
    assert len(timed.claim("bob", 4)) == 1
    assert [q.n_leases for q in timed.open_queries()] == [1, 1, 1, 1]


def test_a_lease_that_is_over_comes_back_to_the_same_person_unless_somebody_else_has_it(
    timed: Store, clock: Clock, make_query: MakeQuery
) -> None:
    timed.add_queries([make_query(k) for k in range(2)])
    first, second = ids(timed.claim("ann", 2, lease_seconds=60))
    clock.advance(59.999)
    assert timed.claim("bob", 2) == []
    clock.advance(0.001)
    assert [q.n_leases for q in timed.open_queries()] == [0, 0]
    assert ids(timed.claim("bob", 1, lease_seconds=60)) == [first]
    assert ids(timed.claim("ann", 2, lease_seconds=600)) == [second]
    clock.advance(60)
    assert ids(timed.claim("ann", 2)) == [first, second], "bob's time is over too"
    assert timed.claim("bob", 2) == []


@pytest.mark.parametrize("answer", list(Answer))
def test_what_is_answered_is_over(timed: Store, make_query: MakeQuery, answer: Answer) -> None:
    timed.add_queries([make_query(0)])
    (claim,) = timed.claim("ann", 1)
    say(timed, claim.query_id, answer, kind="strength")
    assert timed.open_queries() == []
    assert timed.claim("ann", 1) == timed.claim("bob", 1) == []


def test_overlap_is_the_number_of_people_who_answer(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0, num_timesteps=7)
    timed.add_queries([query], overlap=3)
    assert ids(timed.claim("ann", 2)) == [query.id]
    assert ids(timed.claim("bob", 2)) == [query.id]
    say(timed, query.id, Answer.CANNOT_TELL)
    assert timed.open_queries() == [
        OpenQuery(query_id=query.id, num_timesteps=7, n_answers=1, n_leases=1, overlap=3)
    ]
    assert timed.claim("ann", 2) == []
    assert ids(timed.claim("cid", 2)) == [query.id]
    assert timed.claim("dan", 2) == [], "three have it in hand or answered it"
    say(timed, query.id, labeler="bob")
    say(timed, query.id, labeler="cid")
    assert timed.open_queries() == []
    with pytest.raises(SettingError, match=r"`overlap` must be at least 1\. Received 0"):
        timed.add_queries([query], overlap=0)


def test_nobody_sees_a_pair_twice_in_either_order(timed: Store, make_segment: MakeSegment) -> None:
    a, b, c = (make_segment(k) for k in range(3))
    pairs = [(a, b), (b, a), (a, b), (a, c)]
    queries = [Query(segments=pair, ordinal=k, run=1) for k, pair in enumerate(pairs)]
    timed.add_queries(queries)
    assert ids(timed.claim("ann", 4)) == [queries[0].id, queries[3].id], "not even within one call"
    say(timed, queries[0].id)
    assert timed.claim("ann", 4, exclude=[queries[3].id]) == []
    assert ids(timed.claim("bob", 4)) == [queries[1].id]
    assert ids(timed.claim("cid", 4)) == [queries[2].id]
    timed.revoke("cid")
    assert timed.claim("bob", 4, exclude=[queries[1].id]) == []


def test_an_answer_after_the_lease_is_late_and_counts(timed: Store, clock: Clock, make_query: MakeQuery) -> None:
    timed.add_queries([make_query(k) for k in range(4)])
    in_time, late, taken, given_back = ids(timed.claim("ann", 4, lease_seconds=60))
    clock.advance(59.999)
    assert not say(timed, in_time).late
    clock.advance(0.001)
    answer = say(timed, late)
    assert answer.late
    assert timed.answers()[-1] == answer
    assert ids(timed.claim("bob", 1)) == [taken]
    assert say(timed, taken).late
    assert say(timed, given_back).late
    assert timed.claim("ann", 4) == timed.claim("bob", 4) == [], "what bob has is not wanted any more"
    assert not say(timed, taken, labeler="bob").late
    assert timed.counts() == StoreCounts(queries=4, answers=5, comparisons=5, cannot_tell=0)
    assert not say(timed, in_time, Answer.EQUAL, supersedes=timed.answers()[0].id).late, "a change is not late"


def test_taking_back_opens_the_query_for_the_same_person_before_all_else(
    timed: Store, clock: Clock, make_query: MakeQuery
) -> None:
    timed.add_queries([make_query(k) for k in range(5)])
    held = ids(timed.claim("ann", 3))
    answers = [say(timed, query_id) for query_id in held[:2]]
    for answer in reversed(answers):
        withdraw(timed, answer)
    assert len(timed.claim("bob", 5)) == 2, "nobody else gets what was taken back"
    assert [q.n_answers for q in timed.open_queries()] == [0] * 5
    clock.advance(100)
    again = timed.claim("ann", 5)
    assert ids(again) == held
    assert {c.lease_expires_at for c in again} == {clock.now + 600_000}
    say(timed, held[0], Answer.SECOND)
    assert timed.answered([held[0]])[held[0]].answer is Answer.SECOND


def test_what_was_taken_back_lapses_as_any_lease(timed: Store, clock: Clock, make_query: MakeQuery) -> None:
    timed.add_queries([make_query(0)])
    (query_id,) = ids(timed.claim("ann", 1))
    withdraw(timed, say(timed, query_id))
    clock.advance(599)
    assert timed.claim("bob", 1) == []
    clock.advance(1)
    assert ids(timed.claim("bob", 1)) == [query_id]


def test_only_what_nobody_has_or_answered_expires(timed: Store, clock: Clock, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(4)]
    timed.add_queries(queries, overlap=2)
    answered, held, lapsed = ids(timed.claim("ann", 3, lease_seconds=60))
    say(timed, answered)
    clock.advance(60)
    timed.claim("ann", 1, lease_seconds=60)  # renews the first that is left
    every = [query.id for query in queries]
    assert timed.expire_queries([*every, "unknown"]) == 2
    assert timed.expire_queries(every) == 0
    assert [q.query_id for q in timed.open_queries()] == [answered, held]
    assert ids(timed.claim("bob", 5)) == [answered, held]
    assert ids(timed.claim("ann", 5)) == [held]

    late = say(timed, lapsed)
    assert late.late
    assert timed.counts().comparisons == 2, "an answer to what has expired counts"
    withdraw(timed, late)
    assert ids(timed.claim("ann", 5)) == [lapsed, held], "what is taken back is asked again"


def test_a_clock_that_is_set_back_prolongs_no_lease(timed: Store, clock: Clock, make_query: MakeQuery) -> None:
    timed.add_queries([make_query(k) for k in range(3)])
    held = ids(timed.claim("ann", 1, lease_seconds=60))
    timed.claim("dan", 1, lease_seconds=60)
    timed.revoke("dan")
    clock.advance(-24 * 3600)
    assert len(timed.claim("bob", 3, lease_seconds=1000)) == 2, "ann keeps what she has in hand"
    clock.advance(59.999)
    assert timed.claim("cid", 3) == []
    clock.advance(0.001)
    assert ids(timed.claim("cid", 3)) == held


@pytest.mark.parametrize("write", ["expire", "answer"])
def test_a_clock_that_is_set_back_is_noticed_by_every_writer(
    timed: Store, clock: Clock, make_query: MakeQuery, write: str
) -> None:
    timed.add_queries([make_query(0), make_query(1)], overlap=2)
    first, second = ids(timed.claim("ann", 2, lease_seconds=60))
    clock.advance(-3600)
    if write == "expire":
        assert timed.expire_queries([first, second]) == 0
    else:
        assert not say(timed, second, labeler="oracle").late
    clock.advance(61)
    assert timed.expire_queries([first]) == 1


def test_a_clock_set_forward_ends_leases_and_loses_nothing(
    timed: Store, clock: Clock, make_query: MakeQuery
) -> None:
    timed.add_queries([make_query(0)])
    (query_id,) = ids(timed.claim("ann", 1))
    clock.advance(365 * 24 * 3600)
    assert say(timed, query_id).late
    assert len(timed.comparisons()) == 1


def test_sides_are_shuffled_for_each_query_and_person(timed: Store, make_query: MakeQuery) -> None:
    timed.add_queries([make_query(k) for k in range(40)], overlap=2)
    ann = {c.query_id: c.sides_swapped for c in timed.claim("ann", 40)}
    bob = {c.query_id: c.sides_swapped for c in timed.claim("bob", 40)}
    assert 10 <= sum(ann.values()) <= 30  # a fair coin is outside in 1 of 500 cases; these coins are fixed
    assert ann.keys() == bob.keys()
    assert 10 <= sum(ann[key] != bob[key] for key in ann) <= 30


def test_a_repeat_is_for_one_person_swapped_and_costs_nothing(timed: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k, num_timesteps=k) for k in range(3)]
    timed.add_queries(queries, overlap=2)
    first, second = timed.claim("ann", 2)
    for claim in (first, second):
        say(timed, claim.query_id, sides_swapped=claim.sides_swapped)
    before = timed.counts()
    repeats = [timed.add_repeat(claim.query_id, "ann") for claim in (first, second)]
    assert timed.add_repeat(first.query_id, "ann") == repeats[0], "asked to repeat twice, it is repeated once"
    assert [q.query_id for q in timed.open_queries()] == [query.id for query in queries]
    assert timed.counts() == before

    assert not set(ids(timed.claim("bob", 9))) & set(repeats)
    claims = timed.claim("ann", 9)
    assert [c.repeat_of for c in claims] == [first.query_id, second.query_id, None]
    for shown, again in zip((first, second), claims, strict=False):
        assert again.query_id in repeats
        assert again.segment_ids == shown.segment_ids
        assert again.sides_swapped is (not shown.sides_swapped)
    answer = say(timed, repeats[0], Answer.SECOND, sides_swapped=claims[0].sides_swapped)
    say(timed, repeats[1], Answer.CANNOT_TELL)
    assert timed.counts() == StoreCounts(queries=3, answers=4, comparisons=2, cannot_tell=0)
    assert [c.seq for c in timed.comparisons()] == [1, 2]
    assert timed.query(repeats[0]).id == first.query_id
    withdraw(timed, answer)
    assert ids(timed.claim("ann", 1)) == repeats[:1]
    assert timed.claim("ann", 1)[0].sides_swapped is (not first.sides_swapped)


def test_a_repeat_shows_the_opposite_of_the_first_time_whatever_was_changed_since(
    timed: Store, make_query: MakeQuery
) -> None:
    query = make_query(0)
    timed.add_queries([query])
    first = say(timed, query.id, sides_swapped=True)
    say(timed, query.id, Answer.EQUAL, sides_swapped=False, supersedes=first.id)
    timed.add_repeat(query.id, "ann")
    (claim,) = timed.claim("ann", 1)
    assert claim.sides_swapped is False


def test_only_an_answered_query_is_repeated(timed: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    with pytest.raises(StoreError, match=f"no query '{query.id}'"):
        timed.add_repeat(query.id, "ann")
    timed.add_queries([query])
    timed.claim("ann", 1)
    refused = pytest.raises(StoreError, match="cannot be repeated: 'ann' has not answered it")
    with refused:
        timed.add_repeat(query.id, "ann")
    answer = say(timed, query.id)
    repeat_id = timed.add_repeat(query.id, "ann")
    with refused:
        timed.add_repeat(repeat_id, "ann")
    with pytest.raises(StoreError, match="'bob' has not answered it"):
        timed.add_repeat(query.id, "bob")
    withdraw(timed, answer)
    with refused:
        timed.add_repeat(query.id, "ann")


def test_what_was_given_is_known_before_and_after_the_answer(
    timed: Store, clock: Clock, make_query: MakeQuery
) -> None:
    queries = [make_query(k) for k in range(2)]
    timed.add_queries(queries)
    claims = timed.claim("ann", 2)
    assert [timed.given("ann", claim.query_id) for claim in claims] == claims
    clock.advance(10_000)
    assert timed.given("ann", claims[0].query_id) == claims[0], "also when the lease is over"
    answer = say(timed, claims[0].query_id, sides_swapped=claims[0].sides_swapped)
    after = timed.given("ann", claims[0].query_id)
    assert after is not None
    assert (after.lease_expires_at, after.sides_swapped) == (0, claims[0].sides_swapped)
    withdraw(timed, answer)
    back = timed.given("ann", claims[0].query_id)
    assert back is not None
    assert back.lease_expires_at == clock.now + 600_000
    assert timed.given("bob", claims[0].query_id) is None
    assert timed.given("ann", "unknown") is None


@pytest.mark.parametrize(
    ("labeler", "n", "lease_seconds"),
    [("", 1, 60.0), ("ann", -1, 60.0), ("ann", 1, 0.0), ("ann", 1, float("nan"))],
)
def test_a_claim_that_makes_no_sense(timed: Store, labeler: str, n: int, lease_seconds: float) -> None:
    with pytest.raises(SettingError, match="A claim needs a `labeler`"):
        timed.claim(labeler, n, lease_seconds=lease_seconds)


def test_many_at_once(timed: Store, make_query: MakeQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefrl.store.database._IDS_PER_STATEMENT", 7)
    queries = [make_query(k) for k in range(20)]
    timed.add_queries(queries)
    held = ids(timed.claim("ann", 15))
    assert len(set(held)) == 15
    assert timed.claim("ann", 0, exclude=held) == []
    timed.revoke("ann")
    assert timed.expire_queries([query.id for query in queries]) == 20
    assert timed.open_queries() == []
