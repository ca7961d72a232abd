"""Makes the examples of a task that the labelling page ships, from the segments of a run that were compared.

    python tools/example_clips.py RUN --good 0.9 --bad 0 --tricky 0.3

Each share is the place of a segment when all are put in order of their true return: 0 the worst, 1 the best.
`--look` writes film strips of eleven places to a picture instead, to choose by.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from prefrl.segments import Segment
from prefrl.store import RunRecord, Store
from prefrl_envs.clips import clip_timing, encode_clip
from prefrl_envs.rendering import StateRenderer
from prefrl_labeling_gui.examples import SHIPPED

SIZE = 320
"""Width and height of an example, in pixels."""
SMALL, FRAMES = 128, 10
"""Of the film strips."""


def compared(store: Store) -> list[Segment]:
    """Return the segments that were compared, those of the lowest true return first."""
    found = {segment.id: segment for pair in store.comparisons() for segment in pair.segments}
    return sorted(found.values(), key=lambda segment: segment.env_return)


def at(segments: Sequence[Segment], share: float) -> Segment:
    """Return the segment at a place, from 0 to 1."""
    return segments[round(share * (len(segments) - 1))]


def write_clip(about: RunRecord, segment: Segment, path: Path) -> None:
    """Write a segment as a clip."""
    assert segment.render_states is not None
    with StateRenderer(about.env_id, SIZE, SIZE, env_kwargs=about.env_kwargs) as renderer:
        timing = clip_timing(segment.n_steps, renderer.step_seconds)
        steps = segment.render_states[timing.steps.start :: timing.stride]
        encode_clip(renderer.frames(steps), path, timing.fps)


def write_strips(about: RunRecord, segments: Sequence[Segment], path: Path) -> None:
    """Write a picture with a film strip a line, the worst segment first."""
    rows = []
    with StateRenderer(about.env_id, SMALL, SMALL, env_kwargs=about.env_kwargs) as renderer:
        for share in np.linspace(0, 1, 11):
            states = at(segments, share).render_states
            assert states is not None
            rows.append(
                np.hstack(list(renderer.frames(states[np.linspace(0, len(states) - 1, FRAMES).astype(int)])))
            )
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def main() -> None:
    """Write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    for name in ("good", "bad", "tricky"):
        parser.add_argument(f"--{name}", type=float, metavar="SHARE")
    parser.add_argument("--look", type=Path, metavar="PICTURE")
    given = parser.parse_args()
    with Store(given.run) as store:
        about, segments = store.published(RunRecord), compared(store)
    assert about is not None
    if given.look is not None:
        write_strips(about, segments, given.look)
        return
    folder = SHIPPED / about.task
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("good", "bad", "tricky"):
        if getattr(given, name) is not None:
            write_clip(about, at(segments, getattr(given, name)), folder / f"{name}.mp4")


if __name__ == "__main__":
    main()
