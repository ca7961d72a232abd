import errno
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open

from prefrl.errors import StoreError
from prefrl.segments import Query, Segment
from prefrl.store import RunAbout, Store
from prefrl.store.blobs import FolderBlobs

MakeSegment = Callable[..., Segment]
MakeQuery = Callable[..., Query]

_DTYPES = st.sampled_from(["<f4", "<f8", "<f2", "|u1", "<i8", "<i4", "|i1", "|b1", "<u2"])


@given(
    observations=hnp.arrays(_DTYPES, st.tuples(st.just(3), st.integers(1, 4), st.integers(0, 2))),
    actions=hnp.arrays(_DTYPES, st.just(3)),
    render_states=st.none() | hnp.arrays("<f8", (3, 2)),
    data=st.data(),
)
@settings(deadline=None, max_examples=40)
def test_any_content_comes_back_bit_for_bit(
    observations: npt.NDArray[np.generic],
    actions: npt.NDArray[np.generic],
    render_states: npt.NDArray[np.float64] | None,
    data: st.DataObject,
) -> None:
    segment = Segment(
        observations=observations,
        next_observation=data.draw(st.none() | hnp.arrays(observations.dtype, observations.shape[1:])),
        drawn_actions=data.draw(st.none() | hnp.arrays(actions.dtype, actions.shape)),
        actions=actions,
        env_rewards=np.array([np.nan, -0.0, np.inf], dtype=np.float32),
        render_states=render_states,
        env_index=5,
        episode=6,
        start=7,
        num_timesteps=8,
    )
    with tempfile.TemporaryDirectory() as folder:
        blobs = FolderBlobs(Path(folder) / "segments")
        blobs.write({segment.id: segment})
        read = blobs.read(segment.id, num_timesteps=8)
    assert read.id == segment.id  # covers dtype, shape, bytes and place
    assert read.num_timesteps == 8
    assert read.observations.tobytes() == observations.tobytes()
    for name in ("next_observation", "drawn_actions"):
        there, back = getattr(segment, name), getattr(read, name)
        assert (there is None) == (back is None)
        assert there is None or (there.shape, there.tobytes()) == (back.shape, back.tobytes())


def test_a_file_holds_its_segment_and_nothing_else(tmp_path: Path, make_segment: MakeSegment) -> None:
    segment = make_segment(4)
    FolderBlobs(tmp_path).write({segment.id: segment})
    assert [path.name for path in tmp_path.iterdir()] == [f"{segment.id}.safetensors"]
    with safe_open(tmp_path / f"{segment.id}.safetensors", framework="numpy") as file:
        assert set(file.keys()) == {"observations", "actions", "env_rewards", "render_states"}
        assert file.metadata() == {"segment": '{"env_index": 1, "episode": 1, "start": 4}'}


def test_missing_and_foreign_content_is_refused(tmp_path: Path, make_segment: MakeSegment) -> None:
    blobs = FolderBlobs(tmp_path)
    one, two = make_segment(1), make_segment(2)
    blobs.write({one.id: one, two.id: two})
    file = tmp_path / f"{one.id}.safetensors"
    file.write_bytes((tmp_path / f"{two.id}.safetensors").read_bytes())
    with pytest.raises(StoreError, match=f"{one.id}.safetensors is damaged; restore it"):
        blobs.read(one.id, num_timesteps=0)
    file.unlink()
    with pytest.raises(StoreError, match=f"{one.id}.safetensors is missing; restore it"):
        blobs.read(one.id, num_timesteps=0)


@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_a_damaged_file_is_never_taken_for_another_segment(data: st.DataObject) -> None:
    segment = Segment(
        observations=np.arange(6, dtype=np.float32).reshape(3, 2),
        actions=np.arange(3),
        env_rewards=np.arange(3, dtype=np.float32),
    )
    with tempfile.TemporaryDirectory() as folder:
        blobs = FolderBlobs(Path(folder))
        blobs.write({segment.id: segment})
        file = Path(folder) / f"{segment.id}.safetensors"
        content = bytearray(file.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[position] = data.draw(st.integers(0, 255))
        else:
            del content[position:]
        file.write_bytes(content)
        try:
            read = blobs.read(segment.id, num_timesteps=0)
        except StoreError:
            return
        assert read.id == segment.id  # white space in the header, or the byte that was there


def test_torn_temporary_files_do_no_harm_and_old_ones_go(
    tmp_path: Path, make_query: MakeQuery, about: RunAbout
) -> None:
    segments = tmp_path / "segments"
    with Store(tmp_path) as store:
        store.begin_run(about)
        store.add_queries([make_query(0)])
    written = {path.name for path in segments.iterdir()}
    assert len(written) == 2
    for name, age in (("abc.1.tmp", 7200.0), ("abc.2.tmp", 60.0)):
        (segments / name).write_bytes(b"half")
        os.utime(segments / name, (time.time() - age, time.time() - age))
    with Store(tmp_path) as store:
        store.add_queries([make_query(1)])
        assert store.query(make_query(0).id).id == make_query(0).id
    left = {path.name for path in segments.iterdir()}
    assert written < left
    assert len(left) == 5
    assert {name for name in left if name.endswith(".tmp")} == {"abc.2.tmp"}


def test_rewriting_heals_a_damaged_file(tmp_path: Path, make_segment: MakeSegment) -> None:
    segment = make_segment(1)
    blobs = FolderBlobs(tmp_path)
    blobs.write({segment.id: segment})
    (tmp_path / f"{segment.id}.safetensors").write_bytes(b"")
    blobs.write({segment.id: segment})
    assert blobs.read(segment.id, num_timesteps=0).id == segment.id


@pytest.mark.parametrize("good_syncs", [0, 1, 3, 4])
def test_no_space_for_segments_leaves_no_row_and_no_half_file(
    tmp_path: Path, make_query: MakeQuery, about: RunAbout, monkeypatch: pytest.MonkeyPatch, good_syncs: int
) -> None:
    calls = iter(range(100))

    def fsync(_: int) -> None:
        if next(calls) >= good_syncs:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    queries = [make_query(0), make_query(1)]
    with Store(tmp_path) as store:
        store.begin_run(about)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(StoreError, match=r"could not be written \(No space left on device\)"):
                store.add_queries(queries)
        assert store.counts().queries == 0
        files = list((tmp_path / "segments").iterdir())
        assert [path for path in files if path.suffix != ".safetensors"] == []
        assert len(files) == good_syncs
        store.add_queries(queries)
        assert [store.query(query.id).id for query in queries] == [query.id for query in queries]


def test_segments_are_on_the_disk_before_the_row_and_the_folder_is_synced_once(
    tmp_path: Path, make_query: MakeQuery, about: RunAbout, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "segments"
    events: list[str] = []
    fsync = os.fsync
    store = Store(tmp_path)

    def watched(descriptor: int) -> None:
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        names = [path.suffix for path in folder.iterdir()]
        events.append("folder" if target == folder else target.suffix)
        if target == folder:
            assert names == [".safetensors"] * 4
            assert store.counts().queries == 0
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with store:
        store.begin_run(about)
        store.add_queries([make_query(0), make_query(1)])
        assert store.counts().queries == 2
    assert events == [".tmp"] * 4 + ["folder"]
