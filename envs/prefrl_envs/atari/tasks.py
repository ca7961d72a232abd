"""The Atari tasks: the seven games of Christiano et al. (2017), their Enduro behaviour, and any other game."""

from prefrl_envs.atari.stepping import AleStepping
from prefrl_envs.extras import ATARI
from prefrl_envs.task import Task

HORIZON = 4000
"""Agent steps of every episode, 4.4 minutes of play; a game that ends before starts anew inside it."""

_METRICS = ("score", "games")
_SCORE = "The change of the score, unclipped; {} when a game ends."


def _game(
    name: str, env_name: str, *, description: str, question: str, oracle: str, game: str | None = None
) -> Task:
    """Return the task of playing a game for its score; ale-py writes the game with underscores."""
    return Task(
        name=name,
        env_name=env_name,
        family="atari",
        entry_point="prefrl_envs.atari.env:AtariGame",
        kwargs={"game": game or name.replace("-", "_")},
        horizon=HORIZON,
        description=description,
        question=question,
        oracle=oracle,
        metrics=_METRICS,
        fast=AleStepping(),
        extra=ATARI,
    )


TASKS: tuple[Task, ...] = (
    _game(
        "pong",
        "Pong",
        description="Table tennis: win the points against the computer.",
        question="In which clip does the green player on the right do better?",
        oracle="The change of the score: 1 for a point won, -1 for a point lost.",
    ),
    _game(
        "beam-rider",
        "BeamRider",
        description="A spaceship shoots down enemies that come along five beams, and dodges what it cannot hit.",
        question="In which clip does the yellow ship do better: hit more enemies, and not get hit?",
        oracle=_SCORE.format("-220, five enemies,"),
    ),
    _game(
        "breakout",
        "Breakout",
        description="A bat plays a ball against a wall of bricks and must not miss it.",
        question="In which clip does the player do better: break more bricks, and not miss the ball?",
        oracle=_SCORE.format("-5, five bricks,"),
    ),
    _game(
        "enduro",
        "Enduro",
        description="A race: pass as many cars as possible without running into one.",
        question="In which clip does the car race better: pass more cars, and not crash?",
        oracle="Cars passed, less those that pass us; -5 when a day ends with too few.",
    ),
    _game(
        "qbert",
        "Qbert",
        description="Hop over all cubes of a pyramid to change their colour, away from what rolls and crawls.",
        question="In which clip does the orange creature do better: change more cubes, not fall or get caught?",
        oracle=_SCORE.format("-125, five cubes,"),
    ),
    _game(
        "seaquest",
        "Seaquest",
        description="A submarine shoots sharks, rescues divers and comes up for air in time.",
        question="In which clip does the submarine do better: shoot and rescue more, and not get hit?",
        oracle=_SCORE.format("-100, five sharks,"),
    ),
    _game(
        "space-invaders",
        "SpaceInvaders",
        description="A cannon shoots rows of invaders before they land, and dodges their bombs.",
        question="In which clip does the cannon do better: hit more invaders, and not get hit?",
        oracle=_SCORE.format("-25, five invaders,"),
    ),
    Task(
        name="enduro-even",
        env_name="EnduroEven",
        family="atari",
        entry_point="prefrl_envs.atari.enduro:EnduroEven",
        horizon=HORIZON,
        description="Drive level with the other cars: neither pass them nor be passed.",
        question="In which clip does the car keep more level with the others, without crashing?",
        oracle="Minus the difference to the other cars' speed, in units of that speed.",
        metrics=("level_share", "overtakings_per_minute"),
        extra=ATARI,
    ),
    _game(
        "atari",
        "Atari",
        game="ms_pacman",
        description="Any other game of ale-py, by its name: Ms. Pac-Man unless told otherwise. Nothing is masked.",
        question="In which clip does the player do better?",
        oracle="The change of the score, unclipped.",
    ),
)
