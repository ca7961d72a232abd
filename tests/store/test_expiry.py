"""Segments that nobody needs are deleted; whatever else happens, no segment that somebody needs is."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prefrl.errors import QueryTakenError, StoreError
from prefrl.segments import Answer, Query, Segment
from prefrl.store import NewAnswer, RunAbout, Store

MakeQuery = Callable[..., Query]
MakeSegment = Callable[..., Segment]


def files(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "segments").iterdir()}


def say(store: Store, query_id: str, answer: Answer | None = Answer.FIRST, supersedes: str | None = None) -> str:
    answer_id = f"{query_id} {answer}"
    store.add_answers(
        [NewAnswer(query_id=query_id, answer=answer, labeler="ann", id=answer_id, supersedes=supersedes)]
    )
    return answer_id


def chain(make_segment: MakeSegment, n: int) -> tuple[list[Segment], list[Query]]:
    """Queries each of which shares a segment with the one before."""
    segments = [make_segment(k) for k in range(n + 1)]
    return segments, [Query(segments=(segments[k], segments[k + 1]), ordinal=k, run=1) for k in range(n)]


def test_segments_go_that_no_query_answered_or_open_or_held_and_no_showcase_has(
    tmp_path: Path, make_segment: MakeSegment, about: RunAbout
) -> None:
    segments, queries = chain(make_segment, 8)
    answered, withdrawn, held, shown, dead, dead_too, dead_as_well, still_open = queries
    with Store(tmp_path) as store:
        store.begin_run(about)
        store.add_queries(queries)
        say(store, answered.id)
        say(store, withdrawn.id, None, supersedes=say(store, withdrawn.id))
        claims = store.claim("bob", 1)
        assert [claim.query_id for claim in claims] == [held.id]
        store.revoke("bob")  # whoever had it may still answer, however late
        store.add_showcase(replace(shown.segments[1], num_timesteps=7), 7)
        store.set_predictions({segment.id: [0.0] * 4 for segment in segments}, 1)
        assert store.expire_queries([query.id for query in queries[:-1]]) == 5, "what was taken back is in hand"
        kept = {s.id for query in (answered, withdrawn, held, still_open) for s in query.segments}
        kept.add(shown.segments[1].id)
        assert files(tmp_path) == kept
        assert kept < {segment.id for segment in segments}
        assert store.predictions([segment.id for segment in segments]).keys() == kept
        for segment in segments:
            if segment.id in kept:
                assert store.segment(segment.id).id == segment.id
            else:
                with pytest.raises(StoreError, match="has no segment"):
                    store.segment(segment.id)
        assert store.counts().queries == 8
        assert store.query(held.id).id == held.id
        for query in (dead, dead_too, dead_as_well):
            with pytest.raises(QueryTakenError):
                say(store, query.id)
        store.add_answers([NewAnswer(query_id=held.id, answer=Answer.FIRST, labeler="bob", id="late")])
        assert len(store.comparisons()) == 2


def test_in_memory_they_go_too(make_query: MakeQuery, about: RunAbout) -> None:
    queries = [make_query(0), make_query(1)]
    with Store() as store:
        store.begin_run(about)
        store.add_queries(queries)
        store.expire_queries([queries[0].id])
        ids = [segment.id for query in queries for segment in query.segments]
        assert store._blobs.missing(ids) == ids[:2]


def test_what_is_not_shown_any_more_goes_with_the_next_that_expires(
    tmp_path: Path, make_query: MakeQuery, make_segment: MakeSegment, about: RunAbout
) -> None:
    with Store(tmp_path) as store:
        store.begin_run(about)
        store.add_queries([make_query(9)])
        for number in (50, 51):
            store.add_showcase(make_segment(number), 1)
        assert len(files(tmp_path)) == 4
        store.expire_queries([make_query(9).id])
        assert files(tmp_path) == {make_segment(51).id}


_KILLED = """
import os, signal, sys
from pathlib import Path
from prefrl.store import RunAbout, Store
from prefrl.store.blobs import FolderBlobs

folder, moment, query_id = Path(sys.argv[1]), *sys.argv[2:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

unlink, calls = Path.unlink, []

def unlink_once(path, **options):
    unlink(path, **options)
    die()

if moment == "before the files":
    FolderBlobs.delete = die
elif moment == "amid the files":
    Path.unlink = unlink_once
else:
    delete = FolderBlobs.delete
    FolderBlobs.delete = lambda self, ids: (delete(self, ids), die())
with Store(folder) as store:
    store.expire_queries([query_id])
"""


@pytest.mark.parametrize("moment", ["before the files", "amid the files", "after the files"])
def test_killed_between_files_and_rows_nothing_is_lost_and_the_next_call_goes_on(
    tmp_path: Path, make_query: MakeQuery, about: RunAbout, moment: str
) -> None:
    kept, dead, later = (make_query(k) for k in range(3))
    with Store(tmp_path) as store:
        store.begin_run(about)
        store.add_queries([kept, dead, later])
        say(store, kept.id)
    command = [sys.executable, "-c", _KILLED, str(tmp_path), moment, dead.id]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with Store(tmp_path) as store:
        assert [query.query_id for query in store.open_queries()] == [later.id], "it has expired for good"
        assert len(store.comparisons()) == 1
        assert store.query(later.id).id == later.id
        store.add_queries([dead])  # a run that is played again asks it anew
        assert store.query(dead.id).id == dead.id
        assert store.expire_queries([dead.id]) == 1
        assert files(tmp_path) == {segment.id for segment in kept.segments + later.segments}
    with Store(tmp_path) as store:
        assert store.expire_queries([later.id]) == 1
        assert files(tmp_path) == {segment.id for segment in kept.segments}


def test_what_another_process_adds_at_this_moment_is_not_deleted(
    tmp_path: Path, make_segment: MakeSegment, about: RunAbout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has written the files and not yet the rows, when the same segments are deleted."""
    segments, (dead, _, _) = chain(make_segment, 3)
    new = Query(segments=(segments[0], segments[1]), ordinal=99, run=1)
    with Store(tmp_path) as store, Store(tmp_path) as other:
        store.begin_run(about)
        store.add_queries([dead])
        write = other._blobs.write

        def write_and_wait(segments: dict[str, Segment]) -> None:
            write(segments)
            monkeypatch.undo()
            assert store.expire_queries([dead.id]) == 1
            assert files(tmp_path) == set()

        monkeypatch.setattr(other._blobs, "write", write_and_wait)
        other.add_queries([new])
        assert store.query(new.id).id == new.id
        other.add_showcase(segments[3], 5)
        assert store.segment(segments[3].id).id == segments[3].id


def test_adding_and_expiring_at_once_leaves_every_open_query_whole(
    tmp_path: Path, make_segment: MakeSegment, about: RunAbout
) -> None:
    """The same few segments come and go with queries of two threads."""
    segments = [make_segment(k) for k in range(6)]
    failures: list[BaseException] = []
    kept: list[str] = []

    def work(worker: int) -> None:
        try:
            with Store(tmp_path) as store:
                for number in range(25):
                    pair = (segments[number % 6], segments[(number + 1 + worker) % 6])
                    query = Query(segments=pair, ordinal=1000 * worker + number, run=1)
                    store.add_queries([query])
                    assert store.query(query.id).id == query.id
                    if number % 5:
                        store.expire_queries([query.id])
                    else:
                        kept.append(query.id)
        except BaseException as error:
            failures.append(error)

    with Store(tmp_path) as store:
        store.begin_run(about)
        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert {query.query_id for query in store.open_queries()} == set(kept)
        for query_id in kept:
            assert store.query(query_id).id == query_id
        store.expire_queries(kept)
        assert files(tmp_path) == set()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete anything")
def test_a_folder_that_cannot_be_written_is_an_error(
    tmp_path: Path, make_query: MakeQuery, about: RunAbout
) -> None:
    with Store(tmp_path) as store:
        store.begin_run(about)
        store.add_queries([make_query(0)])
        (tmp_path / "segments").chmod(0o555)
        with pytest.raises(StoreError, match="give this user write permission"):
            store.expire_queries([make_query(0).id])
        (tmp_path / "segments").chmod(0o755)
