"""Any order of claims, answers, lapses, undos, changes, expiries and repeats, beside a plain account of them."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prefrl.segments import Answer, Query, Segment
from prefrl.store import Claim, NewAnswer, OpenQuery, RunAbout, Store, StoreCounts, StoredAnswer

_PEOPLE = ("ann", "bob", "cid")
_SEGMENTS = tuple(
    Segment(observations=np.full((1, 1), k), actions=np.zeros(1), env_rewards=np.zeros(1, np.float32), start=k)
    for k in range(4)
)
_LEASE = 60_000
"""Lease of a claim in these tests, milliseconds."""
_UNDO_LEASE = 600_000
"""Lease that comes with taking an answer back."""

people = st.sampled_from(_PEOPLE)
answers = st.sampled_from(list(Answer))


@dataclass
class Asked:
    """What the account knows of a query."""

    query_id: str
    segment_ids: tuple[str, str]
    overlap: int
    num_timesteps: int
    ordinal: int
    original: str | None = None
    over: bool = False

    @property
    def pair(self) -> frozenset[str]:
        return frozenset(self.segment_ids)


@dataclass
class Person:
    """What the account knows of a person."""

    until: dict[str, int] = field(default_factory=dict)
    """End of the lease of each query in hand or lapsed; the order is that in which they come back."""
    said: dict[str, list[StoredAnswer]] = field(default_factory=dict)
    """Rows for each query, oldest first."""
    sides: dict[str, bool] = field(default_factory=dict)
    """How each query was shown."""

    def present(self, query_id: str) -> StoredAnswer | None:
        rows = self.said.get(query_id)
        return rows[-1] if rows and rows[-1].answer is not None else None


class Account:
    """The rules of the store, written down a second time with dictionaries and loops."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.asked: dict[str, Asked] = {}
        self.people = {name: Person() for name in _PEOPLE}
        self.rows: list[StoredAnswer] = []

    def n_answers(self, query_id: str) -> int:
        return sum(person.present(query_id) is not None for person in self.people.values())

    def holders(self, query_id: str) -> set[str]:
        return {name for name, p in self.people.items() if p.until.get(query_id, 0) > self.now}

    def is_open(self, query: Asked) -> bool:
        return not query.over and self.n_answers(query.query_id) < query.overlap

    def asked_before(self, query: Asked) -> bool:
        had = {key for person in self.people.values() for key in (*person.until, *person.said)}
        others = [
            other
            for other in self.asked.values()
            if other is not query and other.original is None and other.pair == query.pair
        ]
        return any(
            other.query_id in had or (not other.over and other.query_id < query.query_id) for other in others
        )

    def may_have_again(self, name: str, query_id: str) -> bool:
        query, holders = self.asked[query_id], self.holders(query_id)
        n_taken = self.n_answers(query_id) + len(holders)
        return self.is_open(query) and (name in holders or n_taken < query.overlap)

    def may_have(self, name: str, query: Asked) -> bool:
        person = self.people[name]
        known = {self.asked[key].pair for key in (*person.until, *person.said)}
        n_taken = self.n_answers(query.query_id) + len(self.holders(query.query_id))
        return (
            self.is_open(query) and query.original is None and n_taken < query.overlap and query.pair not in known
        )

    def claim(self, name: str, n: int, held: set[str]) -> list[str]:
        person = self.people[name]
        had = [key for key in person.until if self.may_have_again(name, key)]
        claimed = [key for key in had if key not in held][:n]
        for key in [key for key in had if key in held] + claimed:
            person.until[key] = self.now + _LEASE
        newest_first = sorted(self.asked.values(), key=lambda q: (-q.num_timesteps, q.ordinal))
        for query in newest_first:
            if len(claimed) < n and query.query_id not in held and self.may_have(name, query):
                assert len(self.holders(query.query_id)) + self.n_answers(query.query_id) < query.overlap
                person.until[query.query_id] = self.now + _LEASE
                claimed.append(query.query_id)
        return claimed

    def say(self, row: StoredAnswer) -> None:
        person = self.people[row.labeler]
        end = person.until.pop(row.query_id, None)
        assert row.late == (row.answer is not None and end is not None and end <= self.now)
        person.said.setdefault(row.query_id, []).append(row)
        self.rows.append(row)
        if row.answer is None:
            self.asked[row.query_id].over = False
            person.until = {row.query_id: self.now + _UNDO_LEASE} | person.until

    def expire(self, query_ids: list[str]) -> int:
        gone = [
            query
            for query in (self.asked[key] for key in query_ids)
            if not query.over and not self.n_answers(query.query_id) and not self.holders(query.query_id)
        ]
        for query in gone:
            query.over = True
        return len(gone)

    def in_hand(self) -> list[tuple[str, str]]:
        return [(name, query_id) for name, person in self.people.items() for query_id in person.until]

    def repeatable(self) -> list[tuple[str, str]]:
        rows = self.present_rows()
        return [(row.labeler, row.query_id) for row in rows if self.asked[row.query_id].original is None]

    def present_rows(self) -> list[StoredAnswer]:
        return [row for row in self.rows if self.people[row.labeler].present(row.query_id) is row]


class ClaimsMachine(RuleBasedStateMachine):
    """Every rule does the same to the store and to the account."""

    @initialize()
    def open(self) -> None:
        self.account = Account()
        self.store = Store(clock=lambda: self.account.now)
        self.store.begin_run(RunAbout(observation_space={}, action_space={}, segment_length=1))
        self.n_ids = 0
        for k in range(3):
            self.ask(_SEGMENTS[k : k + 2], 1 + k % 2, k)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    @rule(
        pair=st.tuples(st.sampled_from(_SEGMENTS), st.sampled_from(_SEGMENTS)),
        overlap=st.integers(1, 2),
        num_timesteps=st.integers(0, 2),
    )
    def ask_more(self, pair: tuple[Segment, Segment], overlap: int, num_timesteps: int) -> None:
        self.ask(pair, overlap, num_timesteps)

    def ask(self, pair: tuple[Segment, ...], overlap: int, num_timesteps: int) -> None:
        query = Query(segments=pair, ordinal=len(self.account.asked), num_timesteps=num_timesteps, run=1)
        self.store.add_queries([query], overlap=overlap)
        self.account.asked[query.id] = Asked(
            query.id, (pair[0].id, pair[1].id), overlap, num_timesteps, query.ordinal
        )

    @rule(name=people, n=st.integers(0, 3), data=st.data())
    def claim(self, name: str, n: int, data: st.DataObject) -> None:
        in_hand = list(self.account.people[name].until)
        held = set(data.draw(st.lists(st.sampled_from(in_hand), unique=True))) if in_hand else set()
        self.claim_and_check(name, n, held)

    def claim_and_check(self, name: str, n: int, held: set[str]) -> None:
        expected = self.account.claim(name, n, held)
        claims = self.store.claim(name, n, lease_seconds=_LEASE / 1000, exclude=sorted(held))
        assert [claim.query_id for claim in claims] == expected
        for claim in claims:
            self.check_claim(name, claim)

    def check_claim(self, name: str, claim: Claim) -> None:
        person, query = self.account.people[name], self.account.asked[claim.query_id]
        assert claim.segment_ids == query.segment_ids
        assert claim.lease_expires_at == self.account.now + _LEASE
        assert claim.repeat_of == query.original
        assert person.sides.setdefault(claim.query_id, claim.sides_swapped) is claim.sides_swapped
        if query.original is not None:
            assert claim.sides_swapped is (not person.said[query.original][0].sides_swapped)
        assert person.present(claim.query_id) is None

    def send(self, name: str, query_id: str, answer: Answer | None, supersedes: str | None = None) -> None:
        self.n_ids += 1
        claim = self.store.given(name, query_id)
        assert claim is not None
        sent = NewAnswer(
            id=str(self.n_ids),
            query_id=query_id,
            labeler=name,
            answer=answer,
            kind="strength",
            supersedes=supersedes,
            sides_swapped=claim.sides_swapped,
        )
        (row,) = self.store.add_answers([sent])
        assert (row.id, row.query_id, row.labeler, row.answer) == (sent.id, query_id, name, answer)
        assert (row.seq, row.server_time) == (len(self.account.rows) + 1, self.account.now)
        self.account.say(row)
        assert self.store.add_answers([sent]) == [row], "sent again, it is stored once"

    @precondition(lambda self: self.account.in_hand())
    @rule(answer=answers, data=st.data())
    def answer(self, answer: Answer, data: st.DataObject) -> None:
        """Answer anything that was given and not answered, in time or late."""
        name, query_id = data.draw(st.sampled_from(self.account.in_hand()))
        self.send(name, query_id, answer)

    @precondition(lambda self: self.account.present_rows())
    @rule(answer=answers, keep=st.booleans(), data=st.data())
    def change(self, answer: Answer, keep: bool, data: st.DataObject) -> None:
        """Give another answer in place of an earlier one, or none."""
        row = data.draw(st.sampled_from(self.account.present_rows()))
        self.send(row.labeler, row.query_id, answer if keep else None, row.id)

    @rule(seconds=st.sampled_from([1, 20, 59, 60, 61, 700]))
    def wait(self, seconds: int) -> None:
        self.account.now += 1000 * seconds

    @precondition(lambda self: self.account.asked)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        query_ids = data.draw(st.lists(st.sampled_from(list(self.account.asked)), unique=True))
        assert self.store.expire_queries(query_ids) == self.account.expire(query_ids)

    @precondition(lambda self: self.account.repeatable())
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Repeat to a person what they have answered, and hand it out again."""
        name, original = data.draw(st.sampled_from(self.account.repeatable()))
        repeat_id = self.store.add_repeat(original, name)
        if repeat_id not in self.account.asked:
            query = self.account.asked[original]
            self.account.asked[repeat_id] = Asked(
                repeat_id, query.segment_ids, 1, query.num_timesteps, query.ordinal, original
            )
            self.account.people[name].until[repeat_id] = self.account.now
        self.claim_and_check(name, 3, set())

    @invariant()
    def no_answer_is_lost(self) -> None:
        assert self.store.answers() == self.account.rows

    @invariant()
    def the_open_queries_are_those_that_want_an_answer(self) -> None:
        expected = [
            OpenQuery(
                query_id=query.query_id,
                num_timesteps=query.num_timesteps,
                n_answers=self.account.n_answers(query.query_id),
                n_leases=len(self.account.holders(query.query_id)),
                overlap=query.overlap,
                asked_before=self.account.asked_before(query),
            )
            for query in sorted(self.account.asked.values(), key=lambda q: (q.num_timesteps, q.ordinal))
            if query.original is None and self.account.is_open(query)
        ]
        assert self.store.open_queries() == expected

    @invariant()
    def what_is_trained_on_and_the_budget_are_right(self) -> None:
        present = self.account.present_rows()
        counted = [row for row in present if self.account.asked[row.query_id].original is None]
        compared = [row for row in counted if row.answer is not Answer.CANNOT_TELL]
        assert [(c.seq, c.teacher) for c in self.store.comparisons()] == [(r.seq, r.labeler) for r in compared]
        assert self.store.counts() == StoreCounts(
            queries=sum(query.original is None for query in self.account.asked.values()),
            answers=len(self.account.rows),
            comparisons=len(compared),
            cannot_tell=len(counted) - len(compared),
        )
        assert [item.answer for item in self.store.history(None, limit=None)] == present[::-1]

    @invariant()
    def nobody_is_shown_a_pair_twice(self) -> None:
        for person in self.account.people.values():
            shown = [self.account.asked[key] for key in {*person.until, *person.said}]
            pairs = [query.pair for query in shown if query.original is None]
            assert len(pairs) == len(set(pairs))


class LongClaimsMachine(ClaimsMachine):
    """The same, longer."""


TestClaims = ClaimsMachine.TestCase
TestClaims.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)

TestClaimsForLong = pytest.mark.slow(LongClaimsMachine.TestCase)
TestClaimsForLong.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
