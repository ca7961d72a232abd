import itertools
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from prefrl.errors import StoreError
from prefrl.segments import Answer, Query
from prefrl.store import HistoryItem, NewAnswer, Store, StoredAnswer

MakeQuery = Callable[..., Query]

_ids = itertools.count()


class Clock(Protocol):
    now: int

    def advance(self, seconds: float) -> None: ...


def say(store: Store, query: Query | str, answer: Answer | None = Answer.FIRST, **changes: Any) -> StoredAnswer:
    query_id = query if isinstance(query, str) else query.id
    fields = {"query_id": query_id, "answer": answer, "labeler": "ann", "id": f"answer {next(_ids)}"} | changes
    (stored,) = store.add_answers([NewAnswer(**fields)])
    return stored


def test_history_is_what_each_says_now_newest_first(timed: Store, clock: Clock, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(4)]
    timed.add_queries(queries, overlap=2)
    first = say(timed, queries[0], sides_swapped=True)
    clock.advance(1)
    bobs = say(timed, queries[0], Answer.EQUAL, labeler="bob")
    gone = say(timed, queries[1])
    say(timed, queries[1], None, supersedes=gone.id)
    told = say(timed, queries[2], Answer.CANNOT_TELL)
    change = say(timed, queries[0], Answer.SECOND, supersedes=first.id, sides_swapped=True)
    repeat_id = timed.add_repeat(queries[0].id, "ann")
    again = say(timed, repeat_id)

    def item(answer: StoredAnswer, query: Query, changed: bool = False, of: str | None = None) -> HistoryItem:
        first, second = query.segments
        return HistoryItem(
            answer=answer,
            segment_ids=(first.id, second.id),
            changed=changed,
            repeat_of=of,
            num_timesteps=query.num_timesteps,
        )

    ann = [
        item(again, queries[0], of=queries[0].id),
        item(change, queries[0], changed=True),
        item(told, queries[2]),
    ]
    bob = [item(bobs, queries[0])]
    assert timed.history("ann") == ann
    assert timed.history("bob") == bob
    assert timed.history(None) == ann + bob
    assert timed.history("ann", limit=2) == ann[:2]
    assert timed.history("ann", before=change.seq, limit=2) == ann[2:]
    assert timed.history("nobody") == []


def test_history_without_a_limit_has_everything(timed: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(60)]
    timed.add_queries(queries)
    for query in queries:
        say(timed, query)
    assert len(timed.history("ann")) == 50
    assert [item.answer.seq for item in timed.history(None, limit=None)] == list(range(60, 0, -1))


def test_a_comparison_is_found_by_its_number_whatever_came_later(timed: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(3)]
    timed.add_queries(queries)
    first, second = say(timed, queries[0]), say(timed, queries[1], Answer.EQUAL)
    say(timed, queries[0], Answer.SECOND, supersedes=first.id)
    undo = say(timed, queries[1], None, supersedes=second.id)
    skip = say(timed, queries[2], Answer.CANNOT_TELL)

    found = list(timed.comparisons_at([2, 1, 3, 2]))
    assert [(c.seq, c.query_id, c.preference) for c in found] == [
        (2, queries[1].id, 0.5),
        (1, queries[0].id, 1.0),
        (3, queries[0].id, 0.0),
        (2, queries[1].id, 0.5),
    ]
    assert [c.first.id for c in found[:2]] == [queries[1].segments[0].id, queries[0].segments[0].id]
    assert list(timed.comparisons_at([])) == []
    for seq in (undo.seq, skip.seq, 0, 99):
        with pytest.raises(StoreError, match=f"no comparison with number {seq}"):
            list(timed.comparisons_at([1, seq]))


def test_what_counted_before_later_answers_is_known(timed: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(4)]
    timed.add_queries(queries, overlap=2)
    rows = [say(timed, query, Answer.FIRST) for query in queries]  # 1 to 4
    say(timed, queries[2], None, supersedes=rows[2].id)  # 5
    say(timed, queries[0], Answer.SECOND, supersedes=rows[0].id)  # 6
    say(timed, queries[1], Answer.SECOND, labeler="bob")  # 7 replaces nothing of ann's
    say(timed, queries[0], Answer.EQUAL)  # 8
    say(timed, queries[0], Answer.FIRST)  # 9

    def then(until: int) -> list[int]:
        return timed.comparison_seqs_then(until, aside=(), settled={})

    assert then(0) == []
    assert then(4) == [1, 2, 3, 4]
    assert then(5) == [1, 2, 4]
    assert then(6) == [2, 4, 6]
    assert then(7) == [2, 4, 6, 7]
    assert then(8) == [2, 4, 7, 8]
    assert then(9) == timed.comparison_seqs() == [2, 4, 7, 9]
    repeat_id = timed.add_repeat(queries[3].id, "ann")
    repeated = say(timed, repeat_id)
    say(timed, repeat_id, Answer.SECOND)
    assert then(repeated.seq) == [2, 4, 7, 9], "repeats were never trained on"
