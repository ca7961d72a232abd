"""Screens of the emulator: what the agent sees, how they are kept, and how they are shown."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs.atari.games import Rectangle
from prefrl_envs.atari.screen import agent_frame, blank, enlarged, pack_screen, unpack_screen

Screen = npt.NDArray[np.uint8]
SIZE = (210, 160)


def blocks(rng: np.random.Generator, side: int) -> Screen:
    """A screen of squares of random colours; the smaller, the harder to compress."""
    small = rng.integers(0, 256, (210 // side + 1, 160 // side + 1, 3), dtype=np.uint8)
    return small.repeat(side, axis=0).repeat(side, axis=1)[:210, :160]


def test_the_agents_frame_is_that_of_stable_baselines3(rng: np.random.Generator) -> None:
    import gymnasium
    from stable_baselines3.common.atari_wrappers import WarpFrame

    class Still(gymnasium.Env[Any, Any]):
        observation_space = gymnasium.spaces.Box(0, 255, (210, 160, 3), np.uint8)

    screen = blocks(rng, 7)
    np.testing.assert_array_equal(agent_frame(screen), WarpFrame(Still()).observation(screen))


def test_nothing_of_a_mask_bleeds_into_its_neighbours(rng: np.random.Generator) -> None:
    mask = Rectangle(5, 14, 31, 73)  # no border of it falls on one of the small picture
    one, other = blocks(rng, 7), blocks(rng, 7)
    other_inside = one.copy()
    other_inside[5:14, 31:73] = other[5:14, 31:73]
    assert (agent_frame(one) != agent_frame(other_inside)).sum() > 20
    np.testing.assert_array_equal(agent_frame(one, [mask]), agent_frame(other_inside, [mask]))
    assert (agent_frame(one, [mask]) != agent_frame(other, [mask])).mean() > 0.5  # the rest is still seen


def test_blank_makes_black_what_is_inside_and_nothing_else() -> None:
    screen = np.full((6, 5, 3), 9, np.uint8)
    blank(screen, [Rectangle(1, 3, 2, 4)])
    assert np.argwhere((screen == 0).all(axis=-1)).tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]
    assert (screen == 9).sum() == 3 * (30 - 4)


def test_a_screen_that_fits_is_kept_without_loss(rng: np.random.Generator) -> None:
    screen = blocks(rng, 14)
    packed = pack_screen(screen, 4096)
    assert packed.shape == (4096,)
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(unpack_screen(packed, SIZE), screen)


@pytest.mark.parametrize("n_bytes", [1024, 4096])
def test_a_screen_that_does_not_fit_becomes_coarse_and_stays_a_picture(
    n_bytes: int, rng: np.random.Generator
) -> None:
    ramp = np.linspace(0, 200, 160).astype(np.uint8)[None, :, None]
    screen = np.asarray(ramp + rng.integers(0, 50, (210, 160, 3)), dtype=np.uint8)
    seen = unpack_screen(pack_screen(screen, n_bytes), SIZE)
    assert seen.shape == screen.shape
    assert 0 < np.abs(seen.astype(int) - screen).mean() < 30  # the ramp is there, the noise is not


def test_the_worst_screen_fits_into_the_smallest_size(rng: np.random.Generator) -> None:
    screen = rng.integers(0, 256, (250, 160, 3), dtype=np.uint8)
    assert unpack_screen(pack_screen(screen, 1024), (250, 160)).shape == (250, 160, 3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda packed: packed[4:], "does not begin as Atari screens do"),
        (lambda packed: packed[:100], "does not begin as Atari screens do"),  # shorter than its header says
        (lambda packed: np.zeros(64, np.uint8), "does not begin as Atari screens do"),
        (lambda packed: packed.astype(np.float64), "does not begin as Atari screens do"),
        (lambda packed: np.concatenate([packed[:12], packed[200:]]), "is damaged"),
    ],
)
def test_damaged_screens_are_noticed(damage: Any, message: str, rng: np.random.Generator) -> None:
    packed = pack_screen(blocks(rng, 14), 4096)
    with pytest.raises(ValueError, match=message):
        unpack_screen(damage(packed), SIZE)


def test_pixels_are_repeated_where_the_size_is_a_multiple(rng: np.random.Generator) -> None:
    screen = blocks(rng, 7)
    seen = enlarged(screen, 320, 420)
    np.testing.assert_array_equal(seen[::2, ::2], screen)
    np.testing.assert_array_equal(seen[1::2, 1::2], screen)


def test_any_size_keeps_the_shape_of_the_screen_and_its_colours() -> None:
    screen = np.full((210, 160, 3), (250, 10, 90), np.uint8)
    seen = enlarged(screen, 256, 256)
    columns = np.flatnonzero(seen.any(axis=(0, 2)))
    assert (seen.any(axis=(1, 2))).all()  # as high as there is room
    assert (columns.min(), columns.max()) == (30, 224)  # 256 x 160 / 210 = 195 wide, in the middle
    assert (seen[:, columns] == (250, 10, 90)).all()


def test_a_ball_of_one_pixel_is_seen_wherever_it_is() -> None:
    for row, column in [(0, 0), (100, 33), (101, 34), (209, 159)]:
        screen = np.zeros((210, 160, 3), np.uint8)
        screen[row, column] = 255
        assert enlarged(screen, 256, 256).max() > 120
