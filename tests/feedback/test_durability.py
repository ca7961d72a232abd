"""What was acknowledged is there after the process was killed, wherever it was."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from prefrl.feedback import Store
from prefrl.feedback.database import sqlite_module

_WRITER = """
import sys
from pathlib import Path

import numpy as np

from prefrl.feedback import NewAnswer, Store
from prefrl.segments import Answer, Query, Segment

folder, life = Path(sys.argv[1]), int(sys.argv[2])
store = Store(folder)
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
    query = Query(segments=segments, ordinal=number)
    store.add_queries([query])
    print("query", query.id, flush=True)
    answer_id = f"{life}-{number}"
    store.add_answers([NewAnswer(query_id=query.id, answer=Answer.FIRST, labeler="ann", id=answer_id)])
    print("answer", answer_id, flush=True)
"""


def test_every_acknowledged_query_and_answer_survives_kill_9(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    acknowledged: dict[str, list[str]] = {"query": [], "answer": []}
    for life in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(life)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(rng.integers(8, 60))]
        time.sleep(rng.uniform(0.0, 0.01))  # anywhere in the steps that follow
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait()
        process.stdout.close()
        for line in lines:
            if line.endswith("\n"):  # a line cut short acknowledges nothing
                kind, name = line.split()
                acknowledged[kind].append(name)

    assert len(acknowledged["answer"]) >= 20
    with Store(tmp_path) as store:
        rows = store.answers()
        assert set(acknowledged["answer"]) <= {row.id for row in rows}
        for query_id in acknowledged["query"]:
            assert store.query(query_id).id == query_id
        assert len(store.comparisons()) == len(rows)
        assert [row.seq for row in rows] == sorted({row.seq for row in rows})
    connection = sqlite_module()[0].connect(tmp_path / "store.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
