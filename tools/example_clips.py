"""Makes what the labelling page ships of a task: examples, and clips to practise on, from segments of runs.

    python tools/example_clips.py RUN [RUN ...] --look PICTURE [--from 0.4 --to 0.6]
    python tools/example_clips.py RUN [RUN ...] --good 0.98 --bad 0 --tricky 0.3 --practice 0 0.1 0.3 0.5 0.8 1

The segments are those that were compared, put in order of their true return. A share is a place in it: 0 is the
worst, 1 the best. `--look` writes film strips of places in even steps to a picture, to choose by. What is not
named stays as it is; what each clip shows is written into `sentences.json` by hand, once it was looked at.
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from prefrl.config import RunConfig
from prefrl.runs.folder import RunFolder
from prefrl.segments import Segment
from prefrl.store import Store
from prefrl_envs.clips import clip_timing, encode_clip
from prefrl_envs.rendering import StateRenderer
from prefrl_labeling_gui.examples import PRACTICE, SHIPPED, ExampleName, PracticeName

SIZE = 320
"""Width and height of an example, in pixels."""
SMALL, FRAMES, STRIPS = 128, 10, 11
"""Of the film strips: width and height of a frame, frames of one, and how many."""


def in_order(runs: Sequence[Path]) -> tuple[RunConfig, list[Segment]]:
    """Return what runs of one task are about, and their segments, those of the lowest true return first.

    Raises:
        SystemExit: They are of different tasks or rewards, or their segments differ in length or cannot be drawn.
    """
    about = [RunFolder.open(run).config() for run in runs]
    with ExitStack() as stack:
        stores = [stack.enter_context(Store(run)) for run in runs]
        found = {
            segment.id: segment
            for store in stores
            for comparison in store.comparisons()
            for segment in comparison.segments
        }
    if any(_rewarded(one) != _rewarded(about[0]) for one in about):
        raise SystemExit("The runs must be of one task, with the same `env_kwargs` and `oracle`.")
    if any(segment.render_states is None for segment in found.values()):
        raise SystemExit("These segments were kept without what draws them.")
    if len({segment.n_steps for segment in found.values()}) != 1:
        raise SystemExit("The segments must be equally long, or their returns say nothing.")
    return about[0], sorted(found.values(), key=lambda segment: segment.env_return)


def _rewarded(config: RunConfig) -> tuple[object, ...]:
    """Return what must be the same for returns to be compared."""
    return config.task, config.env_id, dict(config.env_kwargs), config.oracle


def at(segments: Sequence[Segment], share: float) -> Segment:
    """Return the segment at a place, from 0 to 1."""
    return segments[round(share * (len(segments) - 1))]


def write_clip(about: RunConfig, segment: Segment, path: Path) -> None:
    """Write a segment as a small file."""
    assert segment.render_states is not None
    with StateRenderer(about.env_id, SIZE, SIZE, env_kwargs=about.env_kwargs) as renderer:
        timing = clip_timing(segment.n_steps, renderer.step_seconds)
        steps = segment.render_states[timing.steps.start :: timing.stride]
        path.parent.mkdir(parents=True, exist_ok=True)
        encode_clip(renderer.frames(steps), path, timing.fps, small=True)


def write_strips(about: RunConfig, segments: Sequence[Segment], shares: Sequence[float], path: Path) -> None:
    """Write a picture with a film strip a line, each with its share and return."""
    rows = []
    with StateRenderer(about.env_id, SMALL, SMALL, env_kwargs=about.env_kwargs) as renderer:
        for share in shares:
            segment = at(segments, share)
            assert segment.render_states is not None
            states = segment.render_states[np.linspace(0, segment.n_steps - 1, FRAMES).astype(int)]
            row = cv2.cvtColor(np.hstack(list(renderer.frames(states))), cv2.COLOR_RGB2BGR)
            words = f"{share:.4f}: {segment.env_return:.1f}"
            rows.append(cv2.putText(row, words, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 255)))
    cv2.imwrite(str(path), np.vstack(rows))


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    for name in get_args(ExampleName):
        parser.add_argument(f"--{name}", type=float, metavar="SHARE")
    places = len(get_args(PracticeName))
    parser.add_argument("--practice", type=float, nargs=places, metavar="SHARE", help="the worst first")
    parser.add_argument("--look", type=Path, metavar="PICTURE")
    parser.add_argument("--from", type=float, default=0, metavar="SHARE", dest="low")
    parser.add_argument("--to", type=float, default=1, metavar="SHARE", dest="high")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where the folder of the task lies")
    return parser.parse_args()


def main() -> None:
    """Write what was asked for."""
    given = arguments()
    about, segments = in_order(given.runs)
    if given.look is not None:
        write_strips(about, segments, np.linspace(given.low, given.high, STRIPS).tolist(), given.look)
        return
    folder = given.out / about.task
    chosen = [at(segments, share) for share in given.practice or ()]
    returns = [segment.env_return for segment in chosen]
    if returns != sorted(set(returns)):
        raise SystemExit(
            f"Each clip to practise on must be better than the one before. Their returns are {returns}."
        )
    for name in get_args(ExampleName):
        if getattr(given, name) is not None:
            write_clip(about, at(segments, getattr(given, name)), folder / f"{name}.mp4")
    for name, segment in zip(get_args(PracticeName)[: len(chosen)], chosen, strict=True):
        write_clip(about, segment, folder / PRACTICE / f"{name}.mp4")


if __name__ == "__main__":
    main()
