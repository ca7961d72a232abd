"""The labelling page of a run that was imported: what was said is there, and what is open is asked."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium

from prefrl.data import export_labels, import_labels
from prefrl.segments import Answer
from prefrl.store import NewAnswer, RunAbout, Store
from prefrl.store.typed_json import encode_record
from prefrl_envs.tasks import TASKS


def test_imported_labels_are_shown_and_added_to(
    make_run: Callable[..., Path], serve: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=3, segment_length=8)
    env = gymnasium.make(TASKS["gridworld"].env_id)
    about = RunAbout.of(env.observation_space, env.action_space, segment_length=8, task="gridworld")
    env.close()
    with closing(sqlite3.connect(run / "store.sqlite")) as connection, connection:
        connection.execute("UPDATE run SET about = ?", [encode_record(about)])
    with Store(run) as store:
        first = store.open_queries()[0].query_id
        store.add_answers([NewAnswer(query_id=first, answer=Answer.FIRST, labeler="owner", id="1")])
    export_labels(run, tmp_path / "export", names=True)
    import_labels(tmp_path / "export", tmp_path / "imported")
    owner = serve(tmp_path / "imported").owner()
    queries = owner.post("/api/claims", json={"n": 5}).json()["queries"]
    assert len({query["query_id"] for query in queries} - {first}) == len(queries) == 2
    clip = owner.get(queries[0]["clips"][0]["clip"])
    assert (clip.status_code, clip.headers["content-type"]) == (200, "video/mp4")
    history = owner.get("/api/history", params={"labeler": "owner"}).json()
    assert [item["query_id"] for item in history["items"]] == [first]
    with Store(tmp_path / "imported") as store:
        assert {person.name: person.role for person in store.labelers()} == {
            "owner": "labeler",
            "owner 2": "owner",
        }
