"""The Atari tasks: the seven games of Christiano et al. (2017), their Enduro behaviour, and any other game."""

from prefrl_envs.atari.registration import HORIZON
from prefrl_envs.task import Task

_METRICS = ("score", "games")
_SCORE = "The change of the score, unclipped; {} when a game ends."


def _game(name: str, env_name: str, description: str, question: str, oracle: str) -> Task:
    return Task(
        name=name,
        family="atari",
        env_id=f"prefrl/{env_name}-v0",
        description=description,
        question=question,
        oracle=oracle,
        horizon=HORIZON,
        metrics=_METRICS,
    )


TASKS = (
    _game(
        "pong",
        "Pong",
        "Table tennis: win the points against the computer.",
        "In which clip does the green player on the right do better?",
        "The change of the score: 1 for a point won, -1 for a point lost.",
    ),
    _game(
        "beam-rider",
        "BeamRider",
        "A spaceship shoots down enemies that come along five beams, and dodges what it cannot hit.",
        "In which clip does the yellow ship do better: hit more enemies, and not get hit?",
        _SCORE.format("-220, five enemies,"),
    ),
    _game(
        "breakout",
        "Breakout",
        "A bat plays a ball against a wall of bricks and must not miss it.",
        "In which clip does the player do better: break more bricks, and not miss the ball?",
        _SCORE.format("-5, five bricks,"),
    ),
    _game(
        "enduro",
        "Enduro",
        "A race: pass as many cars as possible without running into one.",
        "In which clip does the car race better: pass more cars, and not crash?",
        "Cars passed, less those that pass us; -5 when a day ends with too few.",
    ),
    _game(
        "qbert",
        "Qbert",
        "Hop over all cubes of a pyramid to change their colour, away from what rolls and crawls.",
        "In which clip does the orange creature do better: change more cubes, and neither fall nor get caught?",
        _SCORE.format("-125, five cubes,"),
    ),
    _game(
        "seaquest",
        "Seaquest",
        "A submarine shoots sharks, rescues divers and comes up for air in time.",
        "In which clip does the submarine do better: shoot and rescue more, and not get hit?",
        _SCORE.format("-100, five sharks,"),
    ),
    _game(
        "space-invaders",
        "SpaceInvaders",
        "A cannon shoots rows of invaders before they land, and dodges their bombs.",
        "In which clip does the cannon do better: hit more invaders, and not get hit?",
        _SCORE.format("-25, five invaders,"),
    ),
    Task(
        name="enduro-even",
        family="atari",
        env_id="prefrl/EnduroEven-v0",
        description="Drive level with the other cars: neither pass them nor be passed.",
        question="In which clip does the car keep more level with the others, without crashing?",
        oracle="Minus the difference to the other cars' speed, in units of that speed.",
        horizon=HORIZON,
        metrics=("level_share", "overtakings_per_minute"),
    ),
    _game(
        "atari",
        "Atari",
        "Any other game of ale-py, by its name: Ms. Pac-Man unless told otherwise. Nothing is masked.",
        "In which clip does the player do better?",
        "The change of the score, unclipped.",
    ),
)
"""Every task of the family, in the order in which they are listed."""
