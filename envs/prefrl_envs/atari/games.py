"""What is known of each game: where the score stands, what a lost game costs, which games wait for FIRE."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Rectangle(NamedTuple):
    """A part of the native screen of 210 x 160 pixels; ends are excluded."""

    top: int
    """First row."""
    bottom: int
    """Row after the last."""
    left: int = 0
    """First column."""
    right: int = 160
    """Column after the last."""


class Game(NamedTuple):
    """How one game is played here."""

    masks: tuple[Rectangle, ...] = ()
    """What is blanked: wherever the score, or a number that stands for it, is shown."""
    game_over_penalty: float = 0.0
    """Added to the reward of the step in which a game ends; at most 0."""
    waits_for_fire: bool = False
    """Whether the game stands still after a lost life until FIRE is pressed."""
    state_bytes: int = 4096
    """Bytes of a stored screen; the largest of the seven games, Qbert's, took 3,700."""


# Penalties are five times what the cheapest target pays: a clip in which the game ends then ranks below one in
# which as much is hit and it does not. Without one, losing would pay where the next game brings new targets.
# Pong needs none, as in the paper: each lost point is a reward of -1 already.
GAMES: Mapping[str, Game] = MappingProxyType(
    {
        "beam_rider": Game(
            masks=(
                Rectangle(9, 30, 59, 109),  # the score, and the number of the sector below it
                Rectangle(31, 41, 18, 33),  # how many enemy ships are left
            ),
            game_over_penalty=-220.0,
        ),
        "breakout": Game(
            masks=(Rectangle(4, 16, 34, 82),),  # beside it remain the lives
            game_over_penalty=-5.0,
            waits_for_fire=True,
        ),
        "enduro": Game(
            masks=(Rectangle(160, 192, 46, 114),),  # the board: distance, day, and cars that are left to pass
            game_over_penalty=-5.0,
        ),
        "pong": Game(masks=(Rectangle(0, 22),)),
        "qbert": Game(masks=(Rectangle(5, 14, 31, 73),), game_over_penalty=-125.0),
        "seaquest": Game(masks=(Rectangle(8, 18, 57, 106),), game_over_penalty=-100.0),
        "space_invaders": Game(
            # the other player's score stays, it is always 0; the command ship passes behind the mask
            masks=(Rectangle(9, 21, 0, 66),),
            game_over_penalty=-25.0,
        ),
    }
)
"""The games of Christiano et al. (2017), by ale-py's names."""
