"""Nobody can read the score from what the agent sees.

The strongest test writes other scores into the emulator's memory and lets it draw the next frame: everything else
being equal, what the agent sees must not differ in one pixel. It presumes that we know where a game keeps its
score, which the control shows: unmasked, the frames do differ. A second test needs no such knowledge: a classifier
learns from frames of real play whether the score is high, and is no better than chance on the masked part.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs.atari.env import AtariGame
from prefrl_envs.atari.games import GAMES
from prefrl_envs.atari.screen import agent_frame

Frame = npt.NDArray[np.uint8]

# Where each game keeps what must not be seen: its score and what goes with it, in binary-coded decimals.
ADDRESSES = {
    "beam_rider": (9, 10, 11),
    "breakout": (76, 77),
    "enduro": (43, 44, 45),  # cars left to pass, and the day
    "pong": (13, 14),
    "qbert": (89, 90, 91),
    "seaquest": (56, 57, 58),
    "space_invaders": (102, 104),
}
LIMITS = {("pong", 13): 20, ("pong", 14): 20, ("enduro", 44): 2, ("enduro", 45): 3}


def bcd(rng: np.random.Generator, game: str, address: int) -> int:
    """A number as the game may have it there."""
    if (game, address) in LIMITS:
        return int(rng.integers(LIMITS[game, address])) + (address == 45)
    tens, ones = rng.integers(10, size=2)
    return int(16 * tens + ones)


def screens_with_other_scores(game: str, n_moments: int, n_scores: int) -> Iterator[list[Frame]]:
    """At moments of a game, the screens that follow if the score is changed: the first as it is."""
    env = AtariGame(game=game)
    env.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(n_moments):
        for action in rng.integers(env.action_space.n, size=50):  # type: ignore[attr-defined]
            env.step(action if game != "enduro" or rng.random() < 0.2 else np.int64(1))
        state, action = env.ale.cloneState(include_rng=True), env._actions[rng.integers(len(env._actions))]
        screens = []
        for score in range(n_scores):
            env.ale.restoreState(state)
            for address in ADDRESSES[game] if score else ():
                env.ale.setRAM(address, bcd(rng, game, address))
            env._play(action)
            screens.append(env._screen.copy())
        env.ale.restoreState(state)
        yield screens


@pytest.mark.parametrize("game", ADDRESSES)
def test_another_score_changes_nothing_that_the_agent_sees(game: str) -> None:
    n_changed = 0
    for screens in screens_with_other_scores(game, 12, 6):
        as_it_is = agent_frame(screens[0], GAMES[game].masks)
        for screen in screens[1:]:
            np.testing.assert_array_equal(agent_frame(screen, GAMES[game].masks), as_it_is)
            n_changed += bool((agent_frame(screen) != agent_frame(screens[0])).any())
    assert n_changed >= 20  # the control: without the mask it is seen (Qbert shows it now and then only)


def test_every_game_of_the_paper_has_a_mask() -> None:
    assert set(ADDRESSES) == set(GAMES)
    assert all(rules.masks for rules in GAMES.values())


def beam_rider_counts() -> tuple[npt.NDArray[np.int64], list[Frame]]:
    """Play BeamRider; return how many ships are hit since the start of the game, and the screens."""
    env = AtariGame(game="beam_rider")
    hits, screens = [], []
    rng = np.random.default_rng(0)
    for seed in range(3):
        env.reset(seed=seed)
        for _ in range(300):
            env.step(np.int64(rng.choice([1, 7, 8])))  # fire, and move
            if not env._life_lost and not env._ended:
                hits.append(env._score // 44)
                screens.append(env._screen.copy())
    return np.array(hits), screens


def test_beam_riders_count_of_ships_is_hidden() -> None:
    hits, screens = beam_rider_counts()
    count = np.array([screen[32:40, 18:33].max(axis=-1) for screen in screens])
    before, after = count[:-1][np.diff(hits) > 0], count[1:][np.diff(hits) > 0]
    assert len(before) >= 4
    masks = GAMES["beam_rider"].masks
    hidden = np.ones((210, 160), dtype=np.bool_)
    for top, bottom, left, right in masks:
        hidden[top:bottom, left:right] = False
    assert not hidden[32:40, 20:31].any()
    assert any((one != other).any() for one, other in zip(before, after, strict=True))


# Where the score is drawn, found by watching which pixels change with it; not taken from the masks under test.
SCORE_AREAS = {
    "beam_rider": (10, 18, 61, 107),
    "breakout": (5, 15, 36, 80),
    "pong": (1, 21, 20, 128),
    "seaquest": (9, 17, 59, 105),
    "space_invaders": (10, 20, 4, 64),
}


def played(game: str, seed: int, masked: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Play a game at random: what the agent sees of the score's area, shape [T, pixels], and the score [T]."""
    top, bottom, left, right = SCORE_AREAS[game]
    rows, columns = slice(top * 84 // 210, -(-bottom * 84 // 210)), slice(left * 84 // 160, -(-right * 84 // 160))
    env = AtariGame(game=game)
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    seen, scores = [], []
    for _ in range(700):
        env.step(rng.integers(env.action_space.n))  # type: ignore[attr-defined]
        if env._ended:
            break
        frame = agent_frame(env._screen, env.rules.masks if masked else ())
        seen.append(frame[rows, columns].ravel().astype(np.float64))
        scores.append(abs(env._score))
    return np.array(seen), np.array(scores)


def accuracy(game: str, masked: bool) -> float:
    """How often the nearest frame of other games tells whether the score is high; chance is 0.5."""
    games = [played(game, seed, masked) for seed in range(6)]
    known, known_scores = (np.concatenate(parts) for parts in zip(*games[:4], strict=True))
    asked, asked_scores = (np.concatenate(parts) for parts in zip(*games[4:], strict=True))
    limit = np.median(known_scores)
    right = {True: [], False: []}  # type: dict[bool, list[bool]]
    for frame, score in zip(asked[::5], asked_scores[::5], strict=True):
        nearest = int(np.abs(known - frame).sum(axis=1).argmin())
        high = bool(score > limit)
        right[high].append(bool(known_scores[nearest] > limit) == high)
    return float(np.mean([np.mean(right[True]), np.mean(right[False])]))


@pytest.mark.slow
@pytest.mark.parametrize("game", SCORE_AREAS)
def test_a_classifier_reads_the_score_only_where_it_is_not_masked(game: str) -> None:
    assert abs(accuracy(game, masked=True) - 0.5) < 0.1
    assert accuracy(game, masked=False) > 0.85
