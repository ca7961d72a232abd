"""Clips: drawn once, by processes that may die, kept as files."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from prefrl.errors import PrefRLError, SettingError, StoreError
from prefrl.segments import Segment
from prefrl.store.blobs import FolderBlobs
from prefrl_envs.clips import clip_timing
from prefrl_envs.live_frames import pack_frame
from prefrl_envs.rendering import StateRenderer
from prefrl_labeling_gui.clip_worker import Style
from prefrl_labeling_gui.clips import ClipError, Clips

GRID = "prefrl/GridWorld-v0"
UNUSUAL = """
import os, time
import gymnasium
from prefrl_envs.small.gridworld import GridWorld

class Unusual(GridWorld):
    def draw_state(self, state, width, height):
        if state[0] == 13.0:
            os._exit(3)
        if state[0] == 12.0:
            time.sleep(600)
        return super().draw_state(state, width, height)

gymnasium.register("Unusual-v0", Unusual)
"""
"""A module whose environment kills its process in cell 13 and hangs in cell 12; the drawing process imports it."""


class Source:
    """Segments by id; notes who was asked for, in order, and waits at a gate before it answers."""

    def __init__(self) -> None:
        self.segments: dict[str, Segment] = {}
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def add(self, render_states: npt.NDArray[Any] | None, n_steps: int = 3) -> str:
        n_steps = n_steps if render_states is None else len(render_states)
        zeros = np.zeros(n_steps, np.float32)
        segment = Segment(
            observations=zeros,
            actions=zeros,
            env_rewards=zeros,
            render_states=render_states,
            start=len(self.segments),
        )
        self.segments[segment.id] = segment
        return segment.id

    def walk(self, *cells: int) -> str:
        return self.add(np.array(cells, dtype=float)[:, None])

    def segment(self, segment_id: str, /) -> Segment:
        self.asked.append(segment_id)
        assert self.gate.wait(20)
        if segment_id not in self.segments:
            raise StoreError(f"There is no segment {segment_id}.")
        return self.segments[segment_id]


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def make_clips(source: Source, tmp_path: Path) -> Iterator[Callable[..., Clips]]:
    made: list[Clips] = []

    def make(env_id: str = GRID, **settings: Any) -> Clips:
        width, height = settings.pop("size", (64, 64))
        style = Style(env_id, settings.pop("env_kwargs", {}), width, height, settings.pop("codec", "h264"))
        made.append(Clips(source, tmp_path / "clips", style, **settings))
        return made[-1]

    yield make
    for clips in made:
        clips.close()


@pytest.fixture
def unusual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "prefrl_unusual.py").write_text(UNUSUAL)
    monkeypatch.syspath_prepend(tmp_path)
    return "prefrl_unusual:Unusual-v0"


def frames_of(path: Path) -> tuple[str, list[npt.NDArray[Any]]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return stream.codec_context.name, frames


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether a process runs; one that is dead and only not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- what comes out ---------------------------------------------------------------------------------------


def test_a_clip_shows_the_segment_at_the_speed_that_timing_tells(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    states = np.zeros((30, 6))
    states[:, 1] = 1.25
    states[:, 2] = np.linspace(0, 2 * np.pi, 30)
    segment_id = source.add(states)
    clips = make_clips("prefrl/Hopper-v0", size=(96, 80))
    timing = clips.timing(segment_id)
    assert timing == clip_timing(30, 0.008)
    codec, frames = frames_of(clips.path(segment_id))
    assert codec == "h264"
    assert len(frames) == round(timing.duration_seconds * timing.fps)
    with StateRenderer("prefrl/Hopper-v0", 96, 80) as renderer:
        expected = renderer.frames(states)
    for frame, original in zip(frames, expected, strict=False):
        assert np.abs(frame.astype(int) - original.astype(int)).mean() < 8
    poster = cv2.imread(str(clips.poster(segment_id)))
    assert poster is not None
    middle = cv2.cvtColor(poster, cv2.COLOR_BGR2RGB).astype(int)
    distances = [np.abs(middle - original.astype(int)).mean() for original in expected]
    assert abs(int(np.argmin(distances)) - 15) <= 1


def test_vp9_is_a_switch(make_clips: Callable[..., Clips], source: Source) -> None:
    clips = make_clips(codec="vp9")
    path = clips.path(source.walk(1, 2, 3))
    assert path.suffix == clips.suffix == ".webm"
    assert frames_of(path)[0] == "vp9"


def test_frames_kept_by_an_environment_that_cannot_be_restored_are_shown(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    packed = [pack_frame(np.full((48, 48, 3), shade, np.uint8)) for shade in (40, 120, 200)]
    _, frames = frames_of(make_clips("Acrobot-v1").path(source.add(np.stack(packed))))
    # The video's range of brightness and its compression change a plain picture by a few shades.
    assert [float(frame.mean()) for frame in frames[:3]] == pytest.approx([40, 120, 200], abs=6)


# --- when it is drawn -------------------------------------------------------------------------------------


def test_nothing_is_drawn_twice_and_nothing_started_for_what_is_there(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    segment_id = source.walk(1, 2, 3)
    first = make_clips()
    path = first.path(segment_id)
    modified = path.stat().st_mtime_ns
    assert first.path(segment_id) == path
    assert source.asked == [segment_id]
    later = make_clips()
    assert later.path(segment_id) == path
    assert later.poster(segment_id).is_file()
    assert later.pids == []
    assert path.stat().st_mtime_ns == modified  # browsers know a file by it
    assert source.asked == [segment_id]


def test_another_style_is_another_file(make_clips: Callable[..., Clips], source: Source) -> None:
    segment_id = source.walk(1, 2, 3)
    small, large = make_clips().path(segment_id), make_clips(size=(96, 96)).path(segment_id)
    assert small != large
    assert [frames_of(path)[1][0].shape[0] for path in (small, large)] == [64, 96]


def test_calls_at_the_same_time_draw_once(make_clips: Callable[..., Clips], source: Source) -> None:
    segment_id = source.walk(1, 2, 3)
    source.gate.clear()
    clips = make_clips(n_processes=2)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(clips.path, segment_id) for _ in range(8)]
        wait_until(lambda: bool(source.asked))
        source.gate.set()
        assert len({future.result() for future in futures}) == 1
    assert source.asked == [segment_id]


def test_what_somebody_waits_for_comes_before_what_is_drawn_ahead(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    ids = [source.walk(cell, cell) for cell in range(6)]
    source.gate.clear()
    clips = make_clips()
    clips.prefetch(ids[:5])
    wait_until(lambda: source.asked == ids[:1])
    with ThreadPoolExecutor(2) as pool:
        futures = []
        for waiting in (ids[3], ids[5]):  # one is drawn ahead already, one is new
            futures.append(pool.submit(clips.path, waiting))
            wait_until(lambda: len(clips._wanted) == len(futures))
        source.gate.set()
        assert all(future.result().is_file() for future in futures)
    wait_until(lambda: len(source.asked) == 6)
    assert source.asked == [ids[0], ids[3], ids[5], ids[1], ids[2], ids[4]]


def test_the_stock_is_drawn_last_in_its_order_and_only_what_is_missing(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    ids = [source.walk(cell, cell) for cell in range(7)]
    clips = make_clips()
    clips.path(ids[2])
    source.gate.clear()
    source.asked.clear()
    clips.stock([ids[0], ids[6]])
    wait_until(lambda: source.asked == ids[:1])
    clips.stock([ids[1], ids[2], ids[0], ids[3], ids[4]])  # what was said before is over: nobody wants 6 any more
    clips.prefetch([ids[5], ids[4]])
    source.gate.set()
    wait_until(lambda: len(source.asked) == 5 and not clips._pending)
    assert source.asked == [ids[0], ids[5], ids[4], ids[1], ids[3]]
    assert clips.path(ids[3]).is_file()
    assert source.asked[-1] == ids[3]


def test_what_is_no_id_is_refused_before_it_is_in_stock(make_clips: Callable[..., Clips], source: Source) -> None:
    clips = make_clips()
    with pytest.raises(ClipError, match="32 hexadecimal digits"):
        clips.stock([source.walk(1), "../secret"])
    assert clips.path(source.walk(2)).is_file(), "the drawing goes on"


def test_waiting_does_not_block_others_and_one_who_leaves_takes_nothing_along(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    segment_id = source.walk(1, 2, 3)
    source.gate.clear()
    clips = make_clips()

    async def two_wait_and_one_leaves() -> Path:
        leaves = asyncio.create_task(clips.ready(segment_id))
        stays = asyncio.create_task(clips.ready(segment_id))
        await asyncio.sleep(0.05)  # the loop runs meanwhile
        leaves.cancel()
        await asyncio.sleep(0)
        assert leaves.cancelled()
        source.gate.set()
        return (await stays).video

    assert asyncio.run(two_wait_and_one_leaves()).is_file()


# --- the folder -------------------------------------------------------------------------------------------


def test_clips_unused_for_longest_go_when_the_folder_is_full(
    make_clips: Callable[..., Clips], source: Source, tmp_path: Path
) -> None:
    ids = [source.walk(cell, cell + 1) for cell in range(5)]
    clips = make_clips()
    paths = [clips.path(segment_id) for segment_id in ids[:4]]
    for age, path in zip((400, 300, 200, 100), paths, strict=True):
        for file in (path, path.with_suffix(".jpg")):
            os.utime(file, (time.time() - age, time.time() - age))
    assert clips.path(ids[0]) == paths[0]  # looked at again just now
    clips.close()
    size = sum(file.stat().st_size for file in (tmp_path / "clips").iterdir())
    clips = make_clips(limit_bytes=size)
    newest = clips.path(ids[4])
    left = {file.stem for file in (tmp_path / "clips").iterdir()}
    assert {newest.stem, paths[0].stem} <= left
    assert paths[1].stem not in left
    assert all(path.with_suffix(".jpg").exists() == path.exists() for path in paths)
    assert sum(file.stat().st_size for file in (tmp_path / "clips").iterdir()) <= size
    assert clips.path(ids[1]).is_file()  # and come back when somebody looks


def test_what_was_looked_at_within_the_minute_stays_whatever_the_limit(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    clips = make_clips(limit_bytes=1)
    paths = [clips.path(source.walk(cell, cell)) for cell in range(3)]
    assert all(path.is_file() for path in paths)


def test_the_folder_is_private_and_half_written_files_are_removed(
    make_clips: Callable[..., Clips], source: Source, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    make_clips().path(source.walk(1, 2))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / ".0123.mp4.part").write_bytes(b"half")
    make_clips().path(source.walk(3, 4))
    assert sorted(file.suffix for file in folder.iterdir()) == [".jpg", ".jpg", ".mp4", ".mp4"]


@pytest.mark.parametrize(
    "segment_id", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 32 + "\n", "0" * 32 + "/"]
)
def test_what_is_no_id_becomes_no_path(segment_id: str, make_clips: Callable[..., Clips], tmp_path: Path) -> None:
    clips = make_clips()
    for call in (clips.path, clips.poster, lambda one: clips.prefetch([one]), clips.timing):
        with pytest.raises(ClipError, match="must be 32 hexadecimal digits"):
            call(segment_id)
    assert clips.pids == []


# --- what goes wrong --------------------------------------------------------------------------------------


def test_a_killed_process_costs_nothing(make_clips: Callable[..., Clips], source: Source) -> None:
    clips = make_clips()
    clips.path(source.walk(1, 2))
    (pid,) = clips.pids
    os.kill(pid, signal.SIGSTOP)  # so that it is killed in the middle of its work
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(clips.path, source.walk(3, 4))
        wait_until(lambda: len(source.asked) == 2)
        time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        assert future.result().is_file()
    assert clips.pids != [pid]
    os.kill(clips.pids[0], signal.SIGKILL)  # and while it has nothing to do
    assert clips.path(source.walk(5, 6)).is_file()


def test_a_segment_that_kills_its_process_is_an_error_for_its_clip_alone(
    make_clips: Callable[..., Clips], source: Source, unusual: str
) -> None:
    clips = make_clips(unusual)
    poison, good = source.walk(1, 13), source.walk(1, 2)
    clips.prefetch([poison, good])
    with pytest.raises(ClipError, match=rf"Segment {poison} cannot be drawn\. .*exit code 3"):
        clips.path(poison)
    assert clips.path(good).is_file()
    (pid,) = clips.pids
    with pytest.raises(ClipError, match="cannot be drawn"):
        clips.path(poison)
    assert clips.pids == [pid]  # no further process was risked for it


def test_a_process_that_hangs_is_replaced(
    make_clips: Callable[..., Clips], source: Source, unusual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = make_clips(unusual)
    assert clips.path(source.walk(1, 2)).is_file()
    (pid,) = clips.pids
    with monkeypatch.context() as patch:
        patch.setattr("prefrl_labeling_gui.clip_process.JOB_SECONDS", 0.5)
        with pytest.raises(ClipError, match=r"did not answer within 0\.5 s"):
            clips.path(source.walk(1, 12))
    assert not lives(pid)
    assert clips.path(source.walk(3, 4)).is_file()


def test_a_damaged_a_missing_and_an_unknown_segment_are_errors_of_their_own(
    make_clips: Callable[..., Clips], source: Source, tmp_path: Path
) -> None:
    ids = [source.walk(cell, cell) for cell in range(3)]
    folder = tmp_path / "segments"
    blobs = FolderBlobs(folder)
    blobs.write(source.segments)
    damaged = bytearray((folder / f"{ids[0]}.safetensors").read_bytes())
    damaged[-1] ^= 1
    (folder / f"{ids[0]}.safetensors").write_bytes(damaged)
    (folder / f"{ids[1]}.safetensors").unlink()

    class Blobs:
        def segment(self, segment_id: str, /) -> Segment:
            return blobs.read(segment_id, num_timesteps=0)

    with Clips(Blobs(), tmp_path / "clips", Style(GRID, width=64, height=64)) as clips:
        with pytest.raises(StoreError, match="is damaged"):
            clips.path(ids[0])
        with pytest.raises(StoreError, match="is missing"):
            clips.poster(ids[1])
        with pytest.raises(StoreError, match="is missing"):
            clips.timing(ids[1])
        assert clips.path(ids[2]).is_file()


def test_states_that_do_not_fit_and_segments_without_any_are_errors(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    clips = make_clips()
    with pytest.raises(ClipError, match=r"cannot be drawn \(ValueError\): A render state .* has shape \(1,\)"):
        clips.path(source.add(np.zeros((3, 5))))
    with pytest.raises(ClipError, match="has no states to draw it from"):
        clips.path(source.add(None))
    assert clips.path(source.walk(1, 2)).is_file()


def test_a_machine_without_opengl_says_what_to_install(
    make_clips: Callable[..., Clips], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disable")
    clips = make_clips("prefrl/Hopper-v0")
    segment_id = source.add(np.zeros((25, 6)))
    assert clips.timing(segment_id).fps == 25
    with pytest.raises(ClipError, match="apt-get install -y --no-install-recommends libegl1"):
        clips.path(segment_id)
    assert issubclass(ClipError, PrefRLError)


def test_an_environment_that_cannot_be_made_is_an_error_for_every_call(
    make_clips: Callable[..., Clips], source: Source
) -> None:
    segment_id = source.walk(1, 2)
    clips = make_clips("prefrl/NoSuchTask-v0")
    for call in (clips.timing, clips.path, clips.poster):
        with pytest.raises(ClipError, match=r"prefrl/NoSuchTask-v0 cannot be made \(NameNotFound\)"):
            call(segment_id)
    clips.stock([segment_id])
    assert not clips._stock, "what nobody waits for is not worth another start"


def test_a_full_disk_is_an_error_and_leaves_nothing(
    make_clips: Callable[..., Clips], source: Source, tmp_path: Path
) -> None:
    clips = make_clips()
    clips.path(source.walk(1, 2))
    (tmp_path / "clips").rename(tmp_path / "elsewhere")  # a folder that is gone fails as a full one does
    with pytest.raises(ClipError, match=r"cannot be drawn \(FileNotFoundError\)"):
        clips.path(source.walk(3, 4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": (0, 64)}, r"must be at least 1\. Received 0, 64, 1 and"),
        ({"n_processes": 0}, "must be at least 1"),
        ({"limit_bytes": 0}, "must be at least 1"),
        ({"codec": "gif"}, r"`codec` must be one of h264, vp9\. Received 'gif'"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    settings: dict[str, Any], message: str, make_clips: Callable[..., Clips]
) -> None:
    with pytest.raises(SettingError, match=message):
        make_clips(**settings)


# --- the end ----------------------------------------------------------------------------------------------


def test_close_ends_all_processes_and_whoever_waits_hears_of_it(
    make_clips: Callable[..., Clips], source: Source, unusual: str
) -> None:
    clips = make_clips(unusual, n_processes=2)
    clips.path(source.walk(1, 2))
    wait_until(lambda: len(clips.pids) == 2)
    pids = clips.pids
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(clips.path, source.walk(cell, 12)) for cell in range(3)]  # two hang, one waits
        wait_until(lambda: len(source.asked) == 3 and len(clips._pending) == 3)
        time.sleep(0.2)
        clips.close()
        for future in futures:
            with pytest.raises(ClipError, match="The clips are closed"):
                future.result(timeout=10)
    assert not any(lives(pid) for pid in pids)
    assert not [thread for thread in threading.enumerate() if thread.name == "prefrl-clips"]
    clips.close()  # twice is once
    for call in (clips.path, clips.timing):
        with pytest.raises(ClipError, match="The clips are closed"):
            call(source.walk(3, 4))


@pytest.mark.parametrize("cells", [(1, 2), (1, 12)], ids=["idle", "drawing"])
def test_processes_end_when_their_parent_is_killed(cells: tuple[int, int], tmp_path: Path, unusual: str) -> None:
    code = f"""
import sys, threading, time
from pathlib import Path
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from prefrl.segments import Segment
from prefrl_labeling_gui.clip_worker import Style
from prefrl_labeling_gui.clips import Clips

zeros = np.zeros(2, np.float32)
states = np.array({cells!r}, float)[:, None]
segment = Segment(observations=zeros, actions=zeros, env_rewards=zeros, render_states=states)

class Source:
    def segment(self, segment_id):
        return segment

if __name__ == "__main__":
    clips = Clips(Source(), Path({str(tmp_path)!r}) / "clips", Style({unusual!r}), n_processes=2)
    clips.start()
    clips.prefetch([segment.id])
    while len(clips.pids) < 2:
        time.sleep(0.01)
    clips.timing(segment.id)
    time.sleep(0.5)
    print(*clips.pids, flush=True)
    time.sleep(600)
"""
    script = tmp_path / "parent.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            pids = [int(pid) for pid in parent.stdout.readline().split()]
            assert len(pids) == 2
            assert all(lives(pid) for pid in pids)
        finally:
            parent.kill()
        wait_until(lambda: not any(lives(pid) for pid in pids), seconds=5)


def test_a_drawing_process_loads_neither_the_store_nor_a_server_nor_torch() -> None:
    code = "import sys, prefrl_labeling_gui.clip_worker; print(*{name.split('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"prefrl", "sqlalchemy", "fastapi", "starlette", "torch", "pandas"} & set(result.stdout.split())
