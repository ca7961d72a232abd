"""Draw docs/pictures/limbs.png: robots in their models' own colours, and below in those that clips give them.

python tools/limbs_picture.py
"""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from PIL import Image

from prefrl_envs.clips import Frame
from prefrl_envs.mujoco.rendering import MujocoStateRenderer
from prefrl_envs.rendering import StateRenderer
from prefrl_envs.tasks import TASKS

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "limbs.png"
SIZE, N_COLOURS, MAX_BYTES = 256, 128, 150_000

POSES: dict[str, tuple[float, ...]] = {
    "hopper": (0.0, 0.95, -2.7, -0.5, -0.9, 0.5),
    "halfcheetah": (0.0, -0.35, 3.0, 0.4, -0.3, 0.3, -0.4, 0.4, 0.2),
    "walker2d": (0.0, 1.2, 0.15, -0.9, -0.5, 0.2, -0.1, -0.6, 0.1),
    "ant": (0.0, 0.0, 0.6, 0.92, 0.0, 0.0, 0.39, 0.2, 1.0, -0.2, -1.0, 0.3, -1.0, 0.1, 1.0),
}
"""Where each part can be taken for another: MuJoCo's generalised positions."""


def draw(name: str, position: tuple[float, ...]) -> Frame:
    """Return a robot in a pose, before and below it after, shape [2 SIZE, SIZE, 3]."""
    task, state = TASKS[name], np.array(position)
    env: Any = gymnasium.make(task.env_id)
    plain = MujocoStateRenderer(env.unwrapped, SIZE, SIZE)
    before: npt.NDArray[np.uint8] = plain.frame(state)
    plain.close()
    env.close()
    with StateRenderer(task.env_id, SIZE, SIZE) as renderer:
        return np.concatenate([before, renderer.frame(state)])


def main() -> None:
    """Draw and write the picture."""
    picture = Image.fromarray(np.concatenate([draw(*pose) for pose in POSES.items()], axis=1))
    small = picture.quantize(N_COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    small.save(PICTURE, optimize=True)
    n_bytes = PICTURE.stat().st_size
    print(f"{PICTURE} {n_bytes / 1000:.0f} kB")
    if n_bytes > MAX_BYTES:
        raise SystemExit(f"The picture may take {MAX_BYTES / 1000:.0f} kB.")


if __name__ == "__main__":
    main()
