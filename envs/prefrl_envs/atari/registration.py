"""The ids of the Atari tasks: `prefrl/Pong-v0` and its like, and `prefrl/Atari-v0` for any game of ale-py."""

from prefrl_envs.ids import TASK_METRICS
from prefrl_envs.ids import register as register_id

HORIZON = 4000
"""Agent steps of every episode, 4.4 minutes of play; a game that ends before starts anew inside it."""

_GAMES = {
    "Pong": "pong",
    "BeamRider": "beam_rider",
    "Breakout": "breakout",
    "Enduro": "enduro",
    "Qbert": "qbert",
    "Seaquest": "seaquest",
    "SpaceInvaders": "space_invaders",
}


def register() -> None:
    """Register every id of this family with gymnasium."""
    for name, game in _GAMES.items():
        _register(name, "env:AtariGame", {"game": game})
    _register("Atari", "env:AtariGame", {"game": "ms_pacman"})
    _register("EnduroEven", "enduro:EnduroEven", {})


def _register(name: str, where: str, kwargs: dict[str, object]) -> None:
    register_id(name, f"prefrl_envs.atari.{where}", HORIZON, kwargs=kwargs, wrappers=(TASK_METRICS,))
