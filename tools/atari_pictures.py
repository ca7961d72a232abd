"""Pictures of what is hidden in the Atari games, for docs/atari.md: `python tools/atari_pictures.py`.

For each game of the paper four pictures side by side: the colour screen, the same masked, and what the agent sees
of both.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from prefrl_envs.atari.env import AtariGame
from prefrl_envs.atari.games import GAMES
from prefrl_envs.atari.screen import agent_frame, blank

FOLDER = Path(__file__).parent.parent / "docs" / "pictures" / "atari"
GAP = 6
MOMENTS = {"beam_rider": 180, "breakout": 60, "enduro": 220, "qbert": 137, "seaquest": 160, "space_invaders": 130}
"""After how many steps a picture is taken; 110 in a game that is not named. Qbert shows its score now and then."""

Frame = npt.NDArray[np.uint8]


def main() -> None:
    """Write one picture per game."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for game, rules in GAMES.items():
        screen = screen_of(game)
        masked = screen.copy()
        blank(masked, rules.masks)
        seen = [grey_of(agent_frame(screen)), grey_of(agent_frame(screen, rules.masks))]
        picture = beside([screen, masked, *seen])
        path = FOLDER / f"{game}.png"
        cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(f"{path.name}: {path.stat().st_size} bytes")


def screen_of(game: str) -> Frame:
    """Play at random and return the screen."""
    env = AtariGame(game=game)
    env.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(MOMENTS.get(game, 110)):
        gas = game == "enduro" and rng.random() < 0.8
        action = rng.integers(env.action_space.n)  # type: ignore[attr-defined]
        env.step(np.int64(1) if gas else action)
    return env._screen.copy()


def grey_of(frame: Frame) -> Frame:
    """Enlarge what the agent sees, shape [84, 84, 1], to 168 x 168, in RGB."""
    return frame.repeat(2, axis=0).repeat(2, axis=1).repeat(3, axis=2)


def beside(pictures: list[Frame]) -> Frame:
    """Put pictures next to each other on white."""
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + GAP * (len(pictures) - 1)
    whole = np.full((height, width, 3), 255, dtype=np.uint8)
    left = 0
    for picture in pictures:
        whole[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + GAP
    return whole


if __name__ == "__main__":
    main()
