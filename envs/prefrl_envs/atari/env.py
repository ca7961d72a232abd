"""One Atari game as an endless task: nothing tells the agent that a life or a game is lost but the picture."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from prefrl_envs.atari.games import GAMES, Game, Rectangle
from prefrl_envs.atari.randomness import draw_noops, episode_seed, noop_generator
from prefrl_envs.atari.screen import SIDE, agent_frame, blank, enlarged, pack_screen, unpack_screen
from prefrl_envs.extras import ATARI

FRAME_SKIP = 4
"""Frames of the emulator in one step; the action is held that long."""
FRAMES_PER_SECOND = 60
"""Of the emulator."""
NOOP_MAX = 30
"""Frames in which nothing is done at the start of a game, at most."""

Frame = npt.NDArray[np.uint8]


class AtariGame(gymnasium.Env[Frame, np.int64]):
    """A game of the Arcade Learning Environment, played in one endless episode.

    Observation: one frame of 84 x 84 grey values, the brighter of the last two frames in each pixel, with the
    score blanked. Actions: those that have an effect in the game; each is held for 4 frames, and none is
    repeated at random ("NoFrameskip-v4"). Reward: the change of the score over these frames, unclipped, and a
    penalty in the step in which a game ends.

    When a game is over, the next one begins within the same step, after FIRE (where the game has it) and 0 to
    30 frames of doing nothing, and its first frame is what the step returns. In a game that stands still after
    a lost life until FIRE is pressed, the first step of the next life presses it, whatever the action was.
    `task_metrics()` has the mean `score` of the games that ended in this episode (of the running one, if none
    has) and how many `games` that were; penalties are no part of the score.

    Args:
        game: Name of the game as ale-py writes it, such as "pong" or "ms_pacman".
        masks: What is blanked, as (top, bottom, left, right) on the native screen, ends excluded. None stands
            for what is known of the game, which is nothing for most: then the agent sees the score.
        game_over_penalty: Added to the reward when a game ends, at most 0. None stands for the game's own.
        noop_max: Frames of doing nothing at the start of a game, at most.
        show_score: Whether people see what is masked for the agent.
        render_mode: None or "rgb_array".

    Raises:
        DependencyNotInstalled: ale-py is missing.
        ValueError: There is no such game, or a number is out of its range.
    """

    metadata = {  # noqa: RUF012 - gymnasium's own convention
        "render_modes": ["rgb_array"],
        "render_fps": FRAMES_PER_SECOND // FRAME_SKIP,
    }

    def __init__(
        self,
        *,
        game: str,
        masks: Sequence[Sequence[int]] | None = None,
        game_over_penalty: float | None = None,
        noop_max: int = NOOP_MAX,
        show_score: bool = False,
        render_mode: str | None = None,
    ) -> None:
        ale_py, self._rom = _rom(game)
        if noop_max < 0:
            raise ValueError(f"`noop_max` must be at least 0. Received {noop_max}.")
        self.game = game
        self.rules = rules_of(game, masks, game_over_penalty)
        self.render_mode = render_mode
        self.show_score = show_score
        self.noop_max = noop_max
        self.ale: Any = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(self._rom)
        self._actions = self.ale.getMinimalActionSet()
        fire = ale_py.Action.FIRE
        self.fire_action = self._actions.index(fire) if fire in self._actions else None
        self._noop = ale_py.Action.NOOP
        height, width = self.ale.getScreenDims()
        self._screen = np.zeros((height, width, 3), dtype=np.uint8)
        self._frame_before = self._screen.copy()
        self._seed: int | None = None
        self._n_episodes = 0
        self._noops: np.random.Generator | None = None
        self._lives = 0
        self._life_lost = False
        self._score = 0
        self._ended: list[int] = []
        self.observation_space = spaces.Box(0, 255, (SIDE, SIDE, 1), np.uint8)
        self.action_space = spaces.Discrete(len(self._actions))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Begin an episode: the first of a seed, or the next one."""
        super().reset(seed=seed)
        if seed is not None or self._seed is None:
            self._seed = int(self.np_random.integers(2**31)) if seed is None else seed
            self._n_episodes = 0
        emulator_seed = episode_seed(self._seed, self._n_episodes)
        self._n_episodes += 1
        self.ale.setInt("random_seed", emulator_seed)
        self.ale.loadROM(self._rom)
        self._noops = noop_generator(emulator_seed)
        self._ended = []
        self._begin_game()
        return self._observation(), {}

    def step(self, action: np.int64) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Hold an action for 4 frames."""
        if self._life_lost and self.rules.waits_for_fire and self.fire_action is not None:
            action = np.int64(self.fire_action)
        points, over = self._play(self._actions[action])
        reward = float(points)
        self._score += points
        if over:
            reward += self.rules.game_over_penalty
            self._ended.append(self._score)
            self._begin_game()
        return self._observation(), reward, False, False, {}

    def task_metrics(self) -> dict[str, float]:
        """Return `score` and `games` of this episode so far."""
        return score_metrics(self._ended, self._score)

    def render(self) -> Frame | None:
        """Return the colour screen at twice its native size if `render_mode` is "rgb_array"."""
        if self.render_mode is None:
            return None
        height, width = self._screen.shape[:2]
        return self.draw_state(self.render_state(), 2 * width, 2 * height)

    def render_state(self) -> Frame:
        """Return the colour screen, compressed, shape [S]; the score is in it."""
        return pack_screen(self._screen, self.rules.state_bytes)

    def draw_state(self, state: Frame, width: int, height: int) -> Frame:
        """Draw a screen as large as fits, shape [height, width, 3], with what is masked black.

        Raises:
            ValueError: The state is none of this game's, or damaged.
        """
        native = unpack_screen(state, self._screen.shape[:2])
        if not self.show_score:
            blank(native, self.rules.masks)
        return enlarged(native, width, height)

    def simulator_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the emulator's state, its random numbers included."""
        state = self.ale.cloneState(include_rng=True).serialize()
        return {"emulator": np.frombuffer(state, dtype=np.uint8).copy()}

    def restore_simulator(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Put the emulator into a state that `simulator_arrays` returned.

        Raises:
            ValueError: It is one of another game, or damaged.
        """
        import ale_py

        # What the last instruction left on the data bus is no part of a state, but Qbert reads it. After any
        # frame it is right; in an emulator that has not emulated one it is not.
        self.ale.reset_game()
        self.ale.act(self._noop)
        try:
            self.ale.restoreState(ale_py.ALEState(arrays["emulator"].tobytes()))
        except (RuntimeError, SystemError) as error:
            raise ValueError(f"The saved state of the emulator is damaged or not one of {self.game}.") from error

    def _begin_game(self) -> None:
        """Start the game, press FIRE and wait, as ale-py's vector environment does."""
        assert self._noops is not None
        self.ale.reset_game()
        n_noops = draw_noops(self._noops, self.noop_max)
        if self.fire_action is not None:
            self.ale.act(self._actions[self.fire_action])
            n_noops -= 1
        for _ in range(n_noops):
            self.ale.act(self._noop)
            if self.ale.game_over():
                self.ale.reset_game()
        self.ale.getScreenRGB(self._screen)
        self._lives = self.ale.lives()
        self._life_lost = False
        self._score = 0

    def _play(self, action: Any) -> tuple[int, bool]:
        """Hold an action; return the change of the score, and whether the game is over."""
        points, act = 0, self.ale.act
        for remaining in reversed(range(FRAME_SKIP)):
            points += act(action)
            if self.ale.game_over():
                return points, True
            if remaining < 2:
                self.ale.getScreenRGB(self._frame_before if remaining else self._screen)
        np.maximum(self._screen, self._frame_before, out=self._screen)
        lives = self.ale.lives()
        self._life_lost, self._lives = lives < self._lives, lives
        return points, False

    def _observation(self) -> Frame:
        return agent_frame(self._screen, self.rules.masks)


def score_metrics(ended: Sequence[int], running: int) -> dict[str, float]:
    """Return the metrics of an episode.

    Args:
        ended: Final scores of the games that ended in it.
        running: Score of the game under way.
    """
    score = float(np.mean(ended)) if ended else float(running)
    return {"score": score, "games": float(len(ended))}


def rules_of(game: str, masks: Sequence[Sequence[int]] | None = None, penalty: float | None = None) -> Game:
    """Return how a game is played: as it is known, or as told.

    Args:
        game: Name of the game.
        masks: As in `AtariGame`.
        penalty: As `game_over_penalty` in `AtariGame`.

    Raises:
        ValueError: A mask is no rectangle, or the penalty is above 0.
    """
    known = GAMES.get(game, Game())
    if penalty is not None and not penalty <= 0:
        raise ValueError(f"`game_over_penalty` must be at most 0. Received {penalty}.")
    if masks is not None:
        for mask in masks:
            if len(mask) != 4 or min(mask) < 0 or mask[0] >= mask[1] or mask[2] >= mask[3]:
                raise ValueError(
                    "Each of `masks` must be (top, bottom, left, right) with top < bottom and left < right. "
                    f"Received {mask}."
                )
        known = known._replace(masks=tuple(Rectangle(*mask) for mask in masks))
    return known if penalty is None else known._replace(game_over_penalty=float(penalty))


def _rom(game: str) -> tuple[Any, Any]:
    """Return the module ale-py, told to be quiet, and the path of a game.

    Raises:
        DependencyNotInstalled, ValueError: As in `AtariGame`.
    """
    try:
        import ale_py
        from ale_py import roms
    except ImportError as error:
        raise gymnasium.error.DependencyNotInstalled(
            f"Atari games need {ATARI.package}; install it by `{ATARI.command}`"
        ) from error
    if game not in roms.get_all_rom_ids():
        names = {name.replace("_", ""): name for name in roms.get_all_rom_ids()}
        close = get_close_matches(game.lower(), names, n=1)
        advice = f"did you mean {names[close[0]]!r}?" if close else 'they are written as in "ms_pacman".'
        raise ValueError(f"`game` must be one of ale-py's games. Received {game!r}; {advice}")
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return ale_py, roms.get_rom_path(game)
