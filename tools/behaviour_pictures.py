"""Draw the gallery of docs/behaviours.md: a small animated picture of what a run's policy does.

    python tools/behaviour_pictures.py runs/ant-turning-ppo-0 [--start 100]

Each picture is written to docs/pictures/behaviours/TASK.webp, at most 150 kB.
"""

import argparse
import io
from pathlib import Path

from PIL import Image
from safetensors.numpy import load_file

from prefrl.runs import RunFolder
from prefrl_envs.clips import Frame
from prefrl_envs.rendering import StateRenderer

PICTURES = Path(__file__).parent.parent / "docs" / "pictures" / "behaviours"
SIZE, N_FRAMES, FPS, MAX_BYTES = 200, 50, 20.0, 150_000
SECONDS = 1.0
"""Simulated time that is shown of fast robots; slow ones are shown in real time."""


def draw(run: Path, start: int) -> Path:
    """Draw steps of the episode that a run's last evaluation kept, from one on, and return the picture's path."""
    folder = RunFolder.open(run)
    config = folder.config()
    states = load_file(folder.evaluation_states)["render_states"]
    with StateRenderer(config.env_id, SIZE, SIZE, env_kwargs=config.env_kwargs) as renderer:
        stride = max(1, round(SECONDS / N_FRAMES / renderer.step_seconds))
        frames = renderer.frames(states[start : start + stride * N_FRAMES : stride])
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{config.task}.webp"
    path.write_bytes(animation(frames))
    return path


def animation(frames: Frame) -> bytes:
    """Return an animated WebP that is small enough, as good as that allows."""
    pictures = [Image.fromarray(frame) for frame in frames]
    for quality in (70, 55, 40, 25, 10):
        buffer = io.BytesIO()
        pictures[0].save(
            buffer,
            "WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 / FPS),
            loop=0,
            quality=quality,
            method=6,
        )
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--start", type=int, default=100, help="first step that is shown")
    options = parser.parse_args()
    for run in options.runs:
        path = draw(run, options.start)
        print(f"{path} {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
