"""Many people at once on one SQLite file: nobody gets what another has in hand, and nothing fails."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from prefrl.errors import QueryTakenError
from prefrl.segments import Answer, Query, Segment
from prefrl.store import NewAnswer, RunAbout, Store


def fill(folder: Path, n_queries: int, *, overlap: int = 1) -> list[Query]:
    """Put queries of different pairs of a few segments into a store."""
    segments = [
        Segment(observations=np.full((1, 1), k), actions=np.zeros(1), env_rewards=np.zeros(1, np.float32), start=k)
        for k in range(80)
    ]
    pairs = [(a, b) for i, a in enumerate(segments) for b in segments[:i]]
    queries = [Query(segments=pair, ordinal=k, run=1) for k, pair in enumerate(pairs[:n_queries])]
    with Store(folder) as store:
        store.begin_run(RunAbout(observation_space={}, action_space={}, segment_length=1))
        store.add_queries(queries, overlap=overlap)
    return queries


def test_16_threads_never_get_the_same_query(tmp_path: Path) -> None:
    fill(tmp_path, 3000)
    deadline = time.monotonic() + 2.0
    answered: dict[str, list[str]] = {f"person {k}": [] for k in range(16)}
    held: dict[str, list[str]] = {name: [] for name in answered}
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            # SQLite is not fair: on a busy machine somebody's first turn comes late.
            while time.monotonic() < deadline or len(answered[name]) < 2:
                claims = store.claim(name, 2, exclude=held[name])
                held[name] += [claim.query_id for claim in claims]
                query_id = held[name].pop(0)
                answer_id = f"{name} {len(answered[name])}"
                store.add_answers([NewAnswer(query_id=query_id, answer=Answer.FIRST, labeler=name, id=answer_id)])
                answered[name].append(query_id)
        except BaseException as error:
            failures.append(error)

    with Store(tmp_path) as store:
        threads = [threading.Thread(target=work, args=(name,)) for name in answered]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        times_taken = Counter(query_id for own in (*answered.values(), *held.values()) for query_id in own)
        assert set(times_taken.values()) == {1}
        assert sorted(row.query_id for row in store.answers()) == sorted(
            q for own in answered.values() for q in own
        )
        in_hand = {query.query_id for query in store.open_queries() if query.n_leases}
        assert in_hand == {query_id for own in held.values() for query_id in own}


_LABELER = """
import json, sys, time
from pathlib import Path
from prefrl.store import NewAnswer, Store
from prefrl.segments import Answer

folder, name = Path(sys.argv[1]), sys.argv[2]
done = []
with Store(folder) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    while claims := store.claim(name, 3):
        for claim in claims:
            store.add_answers(
                [NewAnswer(query_id=claim.query_id, answer=Answer.EQUAL, labeler=name, id=f"{name} {len(done)}")]
            )
            done.append(claim.query_id)
            time.sleep(0.005)  # a person would take longer; SQLite is not fair between processes
print(json.dumps(done))
"""


def test_two_processes_share_the_queries(tmp_path: Path) -> None:
    queries = fill(tmp_path, 120)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _LABELER, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("ann", "bob")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    done = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0
        done.append(json.loads(output))
    assert min(len(own) for own in done) > 0, "both had a share"
    assert sorted(done[0] + done[1]) == sorted(query.id for query in queries)
    with Store(tmp_path) as store:
        assert store.counts().comparisons == len(queries)
        assert store.open_queries() == []
        assert [row.seq for row in store.answers()] == list(range(1, len(queries) + 1))


def test_readers_never_wait_for_each_other(tmp_path: Path) -> None:
    """More threads read at once than a pool of connections usually has."""
    fill(tmp_path, 10)
    inside = threading.Barrier(40, timeout=20)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with store._database.read():
                inside.wait()
        except BaseException as error:
            failures.append(error)

    with Store(tmp_path) as store:
        threads = [threading.Thread(target=work) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def race(folder: Path, query_id: str, names: list[str]) -> tuple[list[str], list[str]]:
    """Have all of them answer the query at the same moment; return who was accepted and who was told why not."""
    accepted: list[str] = []
    refused: list[str] = []
    together = threading.Barrier(len(names))

    def work(name: str, store: Store) -> None:
        together.wait()
        try:
            store.add_answers([NewAnswer(query_id=query_id, answer=Answer.FIRST, labeler=name, id=name)])
            accepted.append(name)
        except QueryTakenError:
            refused.append(name)

    with ExitStack() as stack:
        stores = [stack.enter_context(Store(folder)) for _ in range(2)]
        threads = [
            threading.Thread(target=work, args=(name, stores[k % len(stores)])) for k, name in enumerate(names)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return accepted, refused


@pytest.mark.parametrize("overlap", [1, 3])
def test_of_12_who_answer_at_once_as_many_are_accepted_as_were_asked(tmp_path: Path, overlap: int) -> None:
    [query] = fill(tmp_path, 1, overlap=overlap)
    accepted, refused = race(tmp_path, query.id, [f"person {k}" for k in range(12)])
    assert (len(accepted), len(refused)) == (overlap, 12 - overlap)
    with Store(tmp_path) as store:
        assert [row.labeler for row in store.answers()] == accepted
        assert store.counts().comparisons == overlap
        assert {person.name for person in store.labelers()} == set(accepted), "who was refused is nobody here"


def test_whoever_was_given_it_is_never_refused(tmp_path: Path) -> None:
    """However late, and although the place was given to another since."""
    now = 1_000_000
    [query] = fill(tmp_path, 1)
    with Store(tmp_path, clock=lambda: now) as store:
        for name in ("ann", "bob", "cid"):
            assert [claim.query_id for claim in store.claim(name, 1, lease_seconds=1)] == [query.id]
            now += 2000
        assert [claim.query_id for claim in store.claim("dan", 1, lease_seconds=60)] == [query.id]
        with pytest.raises(QueryTakenError, match=r"in hand by all 1 who .* 'eva' was not given it"):
            store.add_answers([NewAnswer(query_id=query.id, answer=Answer.FIRST, labeler="eva", id="eva")])
        for name in ("bob", "dan", "ann"):
            store.add_answers([NewAnswer(query_id=query.id, answer=Answer.EQUAL, labeler=name, id=name)])
        change = NewAnswer(query_id=query.id, answer=Answer.FIRST, labeler="bob", id="b", supersedes="bob")
        store.add_answers([change])
        with pytest.raises(QueryTakenError):
            store.add_answers([NewAnswer(query_id=query.id, answer=Answer.FIRST, labeler="eva", id="eva")])
        assert [c.teacher for c in store.comparisons()] == ["dan", "ann", "bob"]


_RACER = """
import sys
from pathlib import Path
from prefrl.errors import QueryTakenError
from prefrl.segments import Answer
from prefrl.store import NewAnswer, Store

folder, name, *query_ids = Path(sys.argv[1]), *sys.argv[2:]
with Store(folder) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for query_id in query_ids:
        try:
            answer_id = name + query_id
            store.add_answers([NewAnswer(query_id=query_id, answer=Answer.FIRST, labeler=name, id=answer_id)])
            print(query_id)
        except QueryTakenError:
            pass
"""


def test_of_processes_that_answer_at_once_one_is_accepted(tmp_path: Path) -> None:
    queries = fill(tmp_path, 30)
    ids = [query.id for query in queries]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(tmp_path), name, *ids],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("ann", "bob", "cid")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    accepted = []
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0
        accepted += output.split()
    assert sorted(accepted) == sorted(ids), "each query once"
    with Store(tmp_path) as store:
        assert store.counts().comparisons == len(ids)
