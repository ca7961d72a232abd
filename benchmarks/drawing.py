"""How fast clips are drawn: frames per second, and the seconds from a stored segment to a file that plays.

    python -m benchmarks.drawing [--quick] [--clock cpu] [--out PATH]

Everything runs on one core. Nothing is asserted. README.md here tells how to read the tables.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
import tyro
from rich.console import Console

from benchmarks._loops import Clock
from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, ratios, row, write
from prefrl.segments import Segment
from prefrl_envs.clips import DEFAULT_SIZE, SUFFIXES, clip_timing, encode_clip
from prefrl_envs.rendering import StateRenderer
from prefrl_envs.simulator_state import SimulatorState
from prefrl_labeling_gui.clip_worker import Job, Style, draw
from prefrl_labeling_gui.clips import Clips

RESULTS = Path(__file__).parent / "results" / "drawing"
SIZE = DEFAULT_SIZE
TASKS = ("Hopper", "HopperBackflip", "HalfCheetah", "Walker2d", "Ant", "Swimmer", "Reacher")
CLIP_STEPS = 25


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure how fast clips are drawn."""

    quick: bool = False
    """A tenth of the work: a look, not a result."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/drawing, with --quick nowhere."""
    clock: Literal["wall", "cpu"] = "wall"
    """Which seconds are counted; "cpu" counts this process's only, for a machine that others use meanwhile."""

    @property
    def seconds(self) -> Clock:
        """The clock."""
        return time.perf_counter if self.clock == "wall" else time.process_time

    @property
    def n_rounds(self) -> int:
        """Turns of each case."""
        return 2 if self.quick else 5

    @property
    def n_frames(self) -> int:
        """Frames of one turn."""
        return 50 if self.quick else 250

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        return self.out or (None if self.quick else RESULTS)


class Segments:
    """Where clips come from here: segments in memory."""

    def __init__(self) -> None:
        """Begin empty."""
        self._segments: dict[str, Segment] = {}

    def add(self, render_states: npt.NDArray[Any]) -> str:
        """Keep a segment that has nothing but states, and return its id."""
        zeros = np.zeros(len(render_states), dtype=np.float32)
        segment = Segment(observations=zeros, actions=zeros, env_rewards=zeros, render_states=render_states)
        self._segments[segment.id] = segment
        return segment.id

    def segment(self, segment_id: str, /) -> Segment:
        """Return a segment."""
        return self._segments[segment_id]


def states_of(task: str, n_steps: int) -> npt.NDArray[np.float64]:
    """Return the states of an agent that acts at random, shape [n_steps, S]."""
    env = SimulatorState(gymnasium.make(f"prefrl/{task}-v0"))
    env.action_space.seed(0)
    states = [env.reset(seed=0)[1]["render_state"]]
    while len(states) < n_steps:
        _, _, _, truncated, info = env.step(env.action_space.sample())
        states.append(env.reset()[1]["render_state"] if truncated else info["render_state"])
    env.close()
    return np.array(states)


def seconds_of(work: Callable[[], object], clock: Clock) -> float:
    """Return how long a call takes."""
    started = clock()
    work()
    return clock() - started


def measure_frames(settings: Settings) -> list[Row]:
    """Frames per second, and those of MuJoCo's defaults (shadows, reflections, multisampling) beside them."""
    import mujoco  # not above: `prefrl_envs` must come first, to choose what MuJoCo draws with

    section, rows = f"Frames per second, {SIZE} x {SIZE} pixels, one core", []
    for task in progress(TASKS, section):
        states, ours, theirs = states_of(task, settings.n_frames), [], []
        env = gymnasium.make(f"prefrl/{task}-v0")
        env.reset(seed=0)
        inner: Any = env.unwrapped
        inner.model.vis.global_.offwidth = inner.model.vis.global_.offheight = SIZE
        n_plain = len(states) // 10  # they take several times as long
        with (
            StateRenderer(f"prefrl/{task}-v0", SIZE, SIZE) as renderer,
            mujoco.Renderer(inner.model, SIZE, SIZE) as plain,
        ):
            for turn in range(settings.n_rounds + 1):
                drawn = seconds_of(lambda: renderer.frames(states), settings.seconds)  # noqa: B023
                rendered = seconds_of(lambda: render(plain, inner.data, n_plain), settings.seconds)  # noqa: B023
                if turn > 0:  # the first warms up
                    ours.append(len(states) / drawn)
                    theirs.append(n_plain / rendered)
        env.close()
        rows.append(row(section, task, "prefrl", ours))
        rows.append(row(section, task, "MuJoCo's defaults", theirs))
        rows.append(row(section, task, "prefrl / defaults", ratios(ours, theirs)))
    return rows


def render(renderer: Any, data: Any, n_frames: int) -> None:
    """Draw the same moment some times, as MuJoCo does unless told otherwise."""
    for _ in range(n_frames):
        renderer.update_scene(data)
        renderer.render()


def measure_encoding(settings: Settings) -> list[Row]:
    """Seconds and bytes of encoding a clip that is drawn already."""
    section, rows = f"Encoding a clip of {CLIP_STEPS} steps, one core", []
    for task in progress(("Hopper", "HalfCheetah"), section):
        states = states_of(task, CLIP_STEPS)
        with StateRenderer(f"prefrl/{task}-v0", SIZE, SIZE) as renderer, tempfile.TemporaryDirectory() as folder:
            timing, frames = clip_timing(CLIP_STEPS, renderer.step_seconds), renderer.frames(states)
            for codec, suffix in SUFFIXES.items():
                path = Path(folder) / f"clip{suffix}"
                seconds = [
                    seconds_of(
                        lambda: encode_clip(frames, path, timing.fps, codec=codec),  # noqa: B023
                        settings.seconds,
                    )
                    for _ in range(settings.n_rounds + 1)
                ]
                rows.append(row(section, f"{task}, {codec}", "seconds", seconds[1:]))
                rows.append(row(section, f"{task}, {codec}", "bytes", [path.stat().st_size]))
    return rows


def measure_clips(settings: Settings) -> list[Row]:
    """Seconds from a stored segment to a file that plays, in a process that is warm."""
    section, rows = f"From a stored segment of {CLIP_STEPS} steps to a file, seconds, one core", []
    n_clips = 10 if settings.quick else 50
    for task in progress(("Hopper", "HalfCheetah"), section):
        env_id, segments = f"prefrl/{task}-v0", Segments()
        states = np.split(states_of(task, (n_clips + 1) * CLIP_STEPS), n_clips + 1)
        with StateRenderer(env_id, SIZE, SIZE) as renderer, tempfile.TemporaryDirectory() as folder:
            video, poster = Path(folder) / "clip.mp4", Path(folder) / "clip.jpg"
            drawn = [
                seconds_of(lambda: draw(renderer, Job(some, video, poster), "h264"), settings.seconds)  # noqa: B023
                for some in states
            ]
        ids = [segments.add(some) for some in states]
        with (
            tempfile.TemporaryDirectory() as folder,
            Clips(segments, Path(folder), Style(env_id, width=SIZE, height=SIZE)) as clips,
        ):
            asked = [seconds_of(lambda: clips.path(one), time.perf_counter) for one in ids]  # noqa: B023
            cached = [seconds_of(lambda: clips.path(one), time.perf_counter) for one in ids]  # noqa: B023
        rows.append(row(section, task, "drawn here", drawn[1:]))
        rows.append(row(section, task, "asked of Clips (wall)", asked[1:]))
        rows.append(row(section, task, "slowest (wall)", asked[1:], max(asked[1:])))
        rows.append(row(section, task, "first, process started (wall)", asked[:1]))
        rows.append(row(section, task, "cached (wall)", cached))
    return rows


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    console, about = Console(width=None if sys.stdout.isatty() else 120), machine()
    console.print(f"{about['hardware']}; {about['versions']}")
    rows: list[Row] = []
    for measure in (measure_frames, measure_encoding, measure_clips):
        measured = measure(settings)
        print_table(measured, console)
        rows += measured
    if settings.result is not None:
        options = {key: value for key, value in asdict(settings).items() if key != "out"}
        write(rows, {**about, "settings": options}, settings.result)
        console.print(f"Written: {settings.result}.json and .csv")


if __name__ == "__main__":
    main()
