"""What was acknowledged is there after the process was killed, wherever it was."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prefrl.segments import Answer, Query
from prefrl.store import NewAnswer, RunAbout, Store
from prefrl.store.database import sqlite_module
from prefrl.store.schema import metadata

MakeQuery = Callable[..., Query]

_WRITER = """
import sys
from pathlib import Path

import numpy as np

from prefrl.store import NewAnswer, RunAbout, Store
from prefrl.segments import Answer, Query, Segment

folder, life = Path(sys.argv[1]), int(sys.argv[2])
store = Store(folder)
if not store.runs():
    store.begin_run(RunAbout(observation_space={}, action_space={}, segment_length=25))
for number in range(1_000_000):
    segments = tuple(
        Segment(
            observations=np.full((25, 11), number),
            actions=np.zeros((25, 3)),
            env_rewards=np.zeros(25),
            env_index=life,
            start=2 * number + side,
        )
        for side in range(2)
    )
    query = Query(segments=segments, ordinal=number, run=1)
    store.add_queries([query])
    print("query", query.id, flush=True)
    claims = store.claim("ann", 2)  # this query, after one that the life before left in hand
    for claim in claims:
        print("claim", claim.query_id, flush=True)
    for claim in claims:
        answer_id = f"{life}-{claim.query_id}"
        store.add_answers([NewAnswer(query_id=claim.query_id, answer=Answer.FIRST, labeler="ann", id=answer_id)])
        print("answer", answer_id, flush=True)
"""


def test_every_acknowledged_query_claim_and_answer_survives_kill_9(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    acknowledged: dict[str, list[str]] = {"query": [], "claim": [], "answer": []}
    for life in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(life)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(rng.integers(12, 90))]
        time.sleep(rng.uniform(0.0, 0.01))  # anywhere in the steps that follow
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait()
        process.stdout.close()
        for line in lines:
            if line.endswith("\n"):  # a line cut short acknowledges nothing
                kind, name = line.split()
                acknowledged[kind].append(name)
        with Store(tmp_path) as store:
            answered = {row.query_id for row in store.answers()}
            asked = {query.query_id: query.n_leases for query in store.open_queries()}
            assert asked.keys().isdisjoint(answered)
            assert len(asked) + len(answered) == store.counts().queries
            assert all(query_id in answered or asked[query_id] == 1 for query_id in acknowledged["claim"])

    assert len(acknowledged["answer"]) >= 20
    with Store(tmp_path) as store:
        rows = store.answers()
        assert set(acknowledged["answer"]) <= {row.id for row in rows}
        for query_id in acknowledged["query"]:
            assert store.query(query_id).id == query_id
        assert len(store.comparisons()) == len(rows)
        assert len({row.query_id for row in rows}) == len(rows), "nothing was asked again that was answered"
        assert [row.seq for row in rows] == sorted({row.seq for row in rows})
    connection = sqlite_module()[0].connect(tmp_path / "store.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


_KILLED_BEFORE_COMMIT = """
import os, signal, sys
from pathlib import Path

from sqlalchemy import Engine, event

from prefrl.store import NewAnswer, Store
from prefrl.segments import Answer

folder, step, answered, held = Path(sys.argv[1]), *sys.argv[2:]
second = NewAnswer(query_id=held, answer=Answer.SECOND, labeler="ann", id="b")
undo = NewAnswer(query_id=answered, answer=None, labeler="ann", id="u", supersedes="a")
steps = {
    "claim": lambda: store.claim("bob", 1),
    "answer": lambda: store.add_answers([second]),
    "undo": lambda: store.add_answers([undo]),
    "repeat": lambda: store.add_repeat(answered, "ann"),
}
with Store(folder) as store:
    event.listen(Engine, "commit", lambda connection: os.kill(os.getpid(), signal.SIGKILL))
    steps[step]()
"""


@pytest.mark.parametrize("step", ["claim", "answer", "undo", "repeat"])
def test_a_step_that_was_not_committed_has_left_nothing(
    tmp_path: Path, make_query: MakeQuery, about: RunAbout, step: str
) -> None:
    answered, held, free = (make_query(k) for k in range(3))
    with Store(tmp_path) as store:
        store.begin_run(about)
        store.add_queries([answered])
        store.add_answers([NewAnswer(query_id=answered.id, answer=Answer.FIRST, labeler="ann", id="a")])
        store.add_queries([held])
        assert len(store.claim("ann", 1)) == 1
        store.add_queries([free])
        before = state(store)
    command = [sys.executable, "-c", _KILLED_BEFORE_COMMIT, str(tmp_path), step, answered.id, held.id]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with Store(tmp_path) as store:
        assert state(store) == before
        assert [claim.query_id for claim in store.claim("bob", 9)] == [free.id]
        assert [claim.query_id for claim in store.claim("ann", 9)] == [held.id]


def state(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables."""
    with store._database.read() as connection:
        return {
            name: [tuple(row) for row in connection.execute(table.select())]
            for name, table in metadata.tables.items()
        }
