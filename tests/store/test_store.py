import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.errors import AnswerConflictError, SettingError, StoreError
from prefrl.segments import Answer, Query, Remark, Segment, Strength
from prefrl.store import NewAnswer, RunAbout, Store, StoreCounts, StoredAnswer, TrainerRecord

MakeQuery = Callable[..., Query]
MakeSegment = Callable[..., Segment]


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path, about: RunAbout) -> Iterator[Store]:
    with Store(None if request.param == "memory" else tmp_path) as store:
        store.begin_run(about)
        yield store


def new(query: Query, answer: Answer | None = Answer.FIRST, **changes: Any) -> NewAnswer:
    return NewAnswer(**({"query_id": query.id, "answer": answer, "labeler": "ann", "id": "a"} | changes))


def test_segments_of_queries_are_told_without_reading_them(store: Store, make_query: MakeQuery) -> None:
    queries = store.add_queries([make_query(0), make_query(1)])
    found = store.segment_ids([*(query.id for query in queries), "unknown"])
    assert found == {query.id: tuple(segment.id for segment in query.segments) for query in queries}


def assert_identical(left: Segment, right: Segment) -> None:
    for name in ("observations", "actions", "env_rewards", "render_states"):
        a, b = getattr(left, name), getattr(right, name)
        if a is None:
            assert b is None
        else:
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert a.tobytes() == b.tobytes()
            assert not b.flags.writeable
    for name in ("env_index", "episode", "start", "num_timesteps", "id"):
        assert getattr(left, name) == getattr(right, name)


def test_comparisons_bring_back_the_segments_bit_for_bit_in_the_order_of_answers(
    store: Store, make_query: MakeQuery
) -> None:
    queries = [make_query(k, num_timesteps=1000 * k) for k in range(3)]
    store.add_queries(queries)
    order = [2, 0, 1]
    said = [Answer.SECOND, Answer.FIRST, Answer.EQUAL]
    for k, answer in zip(order, said, strict=True):
        store.add_answers([new(queries[k], answer, id=f"a{k}", labeler=f"person {k}")])

    comparisons = store.comparisons()

    assert [c.seq for c in comparisons] == [1, 2, 3]
    assert [c.preference for c in comparisons] == [0.0, 1.0, 0.5]
    assert [c.teacher for c in comparisons] == ["person 2", "person 0", "person 1"]
    for comparison, k in zip(comparisons, order, strict=True):
        assert comparison.query_id == queries[k].id
        assert_identical(queries[k].segments[0], comparison.first)
        assert_identical(queries[k].segments[1], comparison.second)


def test_everything_is_there_after_reopening(
    tmp_path: Path, make_query: MakeQuery, about: RunAbout, trainer_record: Callable[..., TrainerRecord]
) -> None:
    query = make_query(7, num_timesteps=123)
    sent = new(
        query,
        Answer.SECOND,
        sides_swapped=True,
        reaction_ms=812,
        replays=2,
        client_time=1_700_000_000_123,
        gui_version="1.2",
    )
    before = time.time_ns() // 1_000_000
    with Store(tmp_path) as store:
        store.begin_run(about)
        store.add_queries([query])
        (stored,) = store.add_answers([sent])
        store.publish(status := trainer_record(state="waiting"))
    with Store(tmp_path) as store:
        assert store.answers() == [stored]
        assert store.query(query.id).id == query.id
        assert store.query(query.id).num_timesteps == 123
        assert store.published(TrainerRecord) == status
    assert isinstance(stored, StoredAnswer)
    assert replace(stored, seq=0, server_time=0) == StoredAnswer(
        query_id=query.id,
        answer=Answer.SECOND,
        labeler="ann",
        id="a",
        supersedes=None,
        sides_swapped=True,
        reaction_ms=812,
        replays=2,
        client_time=1_700_000_000_123,
        gui_version="1.2",
        seq=0,
        server_time=0,
        late=False,
    )
    assert before <= stored.server_time <= time.time_ns() // 1_000_000


def test_a_query_of_several_segments_keeps_their_order(store: Store, make_query: MakeQuery) -> None:
    query = make_query(1, n_segments=5)
    store.add_queries([query])
    read = store.query(query.id)
    assert read.ordinal == 1
    for left, right in zip(query.segments, read.segments, strict=True):
        assert_identical(left, right)
    with pytest.raises(
        StoreError, match=r"has 5 segments, of which <Answer.FIRST: .* of kind 'pair' says nothing"
    ):
        store.add_answers([new(query)])


def test_segments_without_render_states_and_segments_shared_by_queries(
    store: Store, make_segment: MakeSegment
) -> None:
    shared = make_segment(1, render=False)
    later = replace(shared, num_timesteps=99)  # the same content, cut a second time
    first = Query(segments=(shared, make_segment(2)), ordinal=0, run=1)
    second = Query(segments=(make_segment(3), later), ordinal=1, run=1)
    store.add_queries([first])
    store.add_queries([second])
    assert_identical(store.query(first.id).segments[0], shared)
    assert_identical(store.query(second.id).segments[1], later)


def test_adding_again_changes_nothing(store: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(4)]
    store.add_queries(queries[:2])
    store.add_queries([*queries, queries[3]])
    store.add_queries([])
    sent = [new(query, id=f"a{k}") for k, query in enumerate(queries)]
    once = store.add_answers(sent[:3])
    twice = store.add_answers([sent[1], sent[3], sent[0], sent[3]])
    assert [row.seq for row in twice] == [2, 4, 1, 4]
    assert twice[0] == once[1]
    assert store.counts() == StoreCounts(queries=4, answers=4, comparisons=4, cannot_tell=0)


@pytest.mark.parametrize(
    "change",
    [
        {"answer": Answer.SECOND},
        {"labeler": "bob"},
        {"reaction_ms": 5},
        {"sides_swapped": True},
        {"client_time": 1},
    ],
)
def test_an_id_with_another_content_is_a_conflict_and_nothing_is_stored(
    store: Store, make_query: MakeQuery, change: dict[str, Any]
) -> None:
    queries = [make_query(k) for k in range(2)]
    store.add_queries(queries)
    store.add_answers([new(queries[0])])
    with pytest.raises(AnswerConflictError, match="Answer 'a' is stored already with another content"):
        store.add_answers([new(queries[1], id="b"), new(queries[0], **change)])
    assert [row.id for row in store.answers()] == ["a"]


def test_unknown_queries_are_refused(store: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    for ask in (lambda: store.add_answers([new(query)]), lambda: store.query(query.id)):
        with pytest.raises(StoreError, match=f"no query '{query.id}'; add it with `add_queries`"):
            ask()
    assert store.answers() == []
    assert store.answered([query.id]) == {}


def test_a_chain_of_corrections_leaves_the_last(store: Store, make_query: MakeQuery) -> None:
    query, other = make_query(0), make_query(1)
    store.add_queries([query, other])
    store.add_answers([new(query, Answer.FIRST, id="a"), new(other, Answer.EQUAL, id="o")])
    store.add_answers([new(query, Answer.SECOND, id="b", supersedes="a")])
    store.add_answers([new(query, Answer.EQUAL, id="c", supersedes="b")])

    assert [(c.query_id, c.preference, c.seq) for c in store.comparisons()] == [
        (other.id, 0.5, 2),
        (query.id, 0.5, 4),
    ]
    assert [c.seq for c in store.comparisons(after=2)] == [4]
    assert store.answered([query.id, other.id])[query.id].id == "c"
    assert [row.id for row in store.answers()] == ["a", "o", "b", "c"]
    assert [row.id for row in store.answers(1, limit=2)] == ["o", "b"]
    assert store.counts() == StoreCounts(queries=2, answers=4, comparisons=2, cannot_tell=0)


def test_undo_takes_the_answer_back_and_the_query_can_be_answered_again(
    store: Store, make_query: MakeQuery
) -> None:
    query = make_query(0)
    store.add_queries([query])
    store.add_answers([new(query, id="a")])
    (undo,) = store.add_answers([new(query, None, id="u", supersedes="a")])
    assert undo.answer is None
    assert store.comparisons() == []
    assert store.answered([query.id]) == {}
    assert store.counts() == StoreCounts(queries=1, answers=2, comparisons=0, cannot_tell=0)

    store.add_answers([new(query, Answer.SECOND, id="b")])
    assert [c.preference for c in store.comparisons()] == [0.0]


@pytest.mark.parametrize("answer", [Answer.SECOND, None])
def test_superseding_anything_but_the_present_answer_is_a_conflict(
    store: Store, make_query: MakeQuery, answer: Answer | None
) -> None:
    query, other = make_query(0), make_query(1)
    store.add_queries([query, other], overlap=2)
    store.add_answers([new(query, id="a"), new(query, Answer.EQUAL, id="b", supersedes="a")])
    store.add_answers([new(other, id="o"), new(query, id="bob's", labeler="bob")])
    for stale in ("a", "o", "bob's", "nobody's"):
        with pytest.raises(AnswerConflictError, match=r"but the newest answer of 'ann' to query .* is 'b'"):
            store.add_answers([new(query, answer, id="x", supersedes=stale)])
    assert len(store.answers()) == 4


def test_nobody_counts_twice_and_everybody_counts_once(store: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    store.add_queries([query], overlap=3)
    for k, (labeler, answer) in enumerate(
        [("ann", Answer.FIRST), ("bob", Answer.SECOND), ("ann", Answer.EQUAL), ("cid", Answer.CANNOT_TELL)]
    ):
        store.add_answers([new(query, answer, labeler=labeler, id=f"a{k}")])
    assert [(c.teacher, c.preference) for c in store.comparisons()] == [("bob", 0.0), ("ann", 0.5)]
    assert store.answered([query.id])[query.id].labeler == "cid"
    assert store.counts() == StoreCounts(queries=1, answers=4, comparisons=2, cannot_tell=1)


def test_cannot_tell_is_an_answer_but_no_comparison(store: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    store.add_queries([query])
    store.add_answers([new(query, Answer.CANNOT_TELL)])
    assert store.comparisons() == []
    assert store.answered([query.id])[query.id].answer is Answer.CANNOT_TELL
    assert store.counts() == StoreCounts(queries=1, answers=1, comparisons=0, cannot_tell=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ""}, "needs an `id` and a `labeler`"),
        ({"labeler": ""}, "needs an `id` and a `labeler`"),
        ({"answer": None}, "may be None only to take back"),
    ],
)
def test_an_answer_that_says_nothing_cannot_be_made(
    make_query: MakeQuery, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        new(make_query(0), **changes)


def test_how_much_better_is_kept_where_it_was_asked(store: Store, make_query: MakeQuery) -> None:
    """What a run of pairs says of the better one is not "better, but not much"."""
    said = [
        ("pair", Answer.FIRST, 1.0, Strength.UNSAID),
        ("strength", Answer.FIRST, 1.0, Strength.SLIGHT),
        ("strength", Answer.MUCH_SECOND, 0.0, Strength.MUCH),
        ("strength", Answer.EQUAL, 0.5, Strength.UNSAID),
    ]
    queries = [make_query(number) for number in range(5)]
    store.add_queries(queries)
    for query, (kind, answer, *_) in zip(queries, said, strict=False):
        store.add_answers([new(query, answer, id=query.id, kind=kind)])
    store.add_answers([new(queries[4], Answer.CANNOT_TELL, id="none", kind="strength")])

    comparisons = store.comparisons()
    assert [(one.preference, one.strength) for one in comparisons] == [tuple(row[2:]) for row in said]
    assert [one.strength for one in store.comparisons_at([3, 2])] == [Strength.MUCH, Strength.SLIGHT]
    assert store.counts() == StoreCounts(queries=5, answers=5, comparisons=4, cannot_tell=1)
    assert [item.answer.kind for item in store.history("ann")][::-1] == [kind for kind, *_ in said] + ["strength"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": Answer.MUCH_FIRST}, r"of kind 'pair' must be one of .* Received <Answer.MUCH_FIRST"),
        ({"kind": "better"}, r"`kind` must be one of pair, strength, ranking, rating. Received 'better'"),
        ({"answer": "first"}, "must be one of Answer.FIRST"),
    ],
)
def test_what_a_kind_of_feedback_does_not_know_cannot_be_said(
    make_query: MakeQuery, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        new(make_query(0), **changes)


_ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from([*Answer, None]),
    ),
    max_size=12,
)


@given(actions=_ACTIONS)
@settings(deadline=None, max_examples=25)
def test_the_present_answers_are_the_last_words_of_each_labeler(
    actions: list[tuple[int, str, Answer | None]],
) -> None:
    segments = [
        Segment(observations=np.full((2, 1), k), actions=np.zeros(2), env_rewards=np.zeros(2, np.float32), start=k)
        for k in range(4)
    ]
    queries = [Query(segments=(segments[k], segments[k + 1]), ordinal=k, run=1) for k in range(3)]
    last: dict[tuple[str, str], StoredAnswer] = {}
    with Store() as store:
        store.begin_run(RunAbout(observation_space={}, action_space={}, segment_length=2))
        store.add_queries(queries, overlap=2)
        for number, (k, labeler, answer) in enumerate(actions):
            before = last.get((queries[k].id, labeler))
            if answer is None and before is None:
                continue
            supersedes = None if before is None else before.id
            sent = new(queries[k], answer, labeler=labeler, id=str(number), supersedes=supersedes, kind="strength")
            (last[queries[k].id, labeler],) = store.add_answers([sent])
        said = sorted((row for row in last.values() if row.answer is not None), key=lambda row: row.seq)
        wanted = [row for row in said if row.answer is not Answer.CANNOT_TELL]
        found = store.comparisons()
        assert [(c.query_id, c.teacher, c.seq) for c in found] == [
            (row.query_id, row.labeler, row.seq) for row in wanted
        ]
        assert store.answered([query.id for query in queries]) == {row.query_id: row for row in said}
        seqs = [row.seq for row in store.answers()]
        assert seqs == list(range(1, len(seqs) + 1))


def test_more_queries_than_fit_into_one_statement(
    make_segment: MakeSegment, monkeypatch: pytest.MonkeyPatch, about: RunAbout
) -> None:
    monkeypatch.setattr("prefrl.store.database._IDS_PER_STATEMENT", 7)
    pool = [make_segment(k, n_steps=1) for k in range(2)]
    queries = [Query(segments=(pool[0], pool[1]), ordinal=k, run=1) for k in range(30)]
    with Store() as store:
        store.begin_run(about)
        store.add_queries(queries[:11])
        store.add_queries(queries)
        store.add_answers([new(query, id=str(query.ordinal)) for query in queries[:22]])
        answered = store.answered([query.id for query in queries])
        assert set(answered) == {query.id for query in queries[:22]}
        assert [c.query_id for c in store.comparisons()] == [query.id for query in queries[:22]]
        assert store.counts().queries == 30


def test_threads_share_one_store(store: Store, make_query: MakeQuery) -> None:
    queries = [make_query(k) for k in range(15)]
    store.add_queries(queries, overlap=3)
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for query in queries:
                store.add_answers([new(query, labeler=name, id=f"{name} {query.ordinal}")])
                store.comparisons()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"person {k}",)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(row.seq for row in store.answers()) == list(range(1, 46))
    assert len(store.comparisons()) == 45


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="has been closed; make a new `Store`"):
        store.counts()


def test_nothing_is_touched_before_the_first_use(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    store = Store(folder)
    assert not folder.exists()
    assert store.counts() == StoreCounts(queries=0, answers=0, comparisons=0, cannot_tell=0)
    assert (folder / "store.sqlite").exists()
    store.close()


def test_the_database_may_lie_elsewhere(tmp_path: Path, make_query: MakeQuery, about: RunAbout) -> None:
    query = make_query(0)
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'other.sqlite'}"
    for _ in range(2):
        with Store(tmp_path / "run", url=url) as store:
            store.runs() or store.begin_run(about)
            store.add_queries([query])
            assert store.query(query.id).id == query.id
    assert (tmp_path / "elsewhere" / "other.sqlite").exists()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["segments"]
    with pytest.raises(SettingError, match="`url` needs a `folder`"):
        Store(url=url)
    with pytest.raises(SettingError, match=r"must be an SQLAlchemy address\. Received 'nonsense'"):
        Store(tmp_path, url="nonsense")


def test_a_remark_is_kept_with_its_answer_and_decides_nothing(store: Store, make_query: MakeQuery) -> None:
    query = make_query(0)
    store.add_queries([query])
    sent = new(query, Answer.CANNOT_TELL, remark=Remark.BROKEN, comment="Upside down \u2013 twice")
    [stored] = store.add_answers([sent])
    assert (stored.remark, stored.comment) == (Remark.BROKEN, "Upside down \u2013 twice")
    assert store.answers() == [stored]
    assert [item.answer for item in store.history("ann")] == [stored]
    assert store.add_answers([sent]) == [stored], "sent twice it is stored once"
    with pytest.raises(AnswerConflictError):
        store.add_answers([replace(sent, remark=None)])
    assert store.comparisons() == []
    for comment in ("", "x" * 501):
        with pytest.raises(SettingError, match=r"`comment` must have 1 to 500 characters"):
            new(query, comment=comment)
