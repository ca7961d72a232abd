"""Frames that are kept beside observations."""

from typing import Any

import cv2
import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.spaces import Box

from prefrl_envs.live_frames import LiveFrames, is_live_frame, pack_frame, unpack_frame

Frame = npt.NDArray[np.uint8]


class Slides(gymnasium.Env[Any, Any]):
    """A third party's environment: a square that moves right by 8 pixels a step."""

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 10}  # noqa: RUF012 - gymnasium's convention
    observation_space = Box(0, 1, (1,))
    action_space = Box(0, 1, (1,))

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self._step = 0
        return np.zeros(1, np.float32), {"reset": True}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._step += 1
        return np.zeros(1, np.float32), 0.0, False, False, {"step": self._step}

    def render(self) -> Any:
        frame = np.full((120, 200, 3), 240, np.uint8)
        frame[40:80, 8 * self._step : 8 * self._step + 40] = (200, 30, 60)
        return frame


def mean_difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_every_reset_and_step_carries_the_frame_of_its_observation() -> None:
    env = LiveFrames(Slides("rgb_array"))
    _, info = env.reset()
    assert info["reset"]
    infos = [info] + [env.step(np.zeros(1))[4] for _ in range(5)]
    assert infos[3]["step"] == 3
    plain = Slides()
    for n_steps, info in enumerate(infos):
        plain._step = n_steps
        packed = info["render_state"]
        assert packed.dtype == np.uint8
        assert packed.shape == (8192,)
        assert is_live_frame(packed)
        assert mean_difference(unpack_frame(packed, 200, 120), plain.render()) < 2


def test_a_large_frame_is_made_smaller_and_keeps_its_shape() -> None:
    frame = np.zeros((400, 600, 3), np.uint8)
    frame[:, 300:] = (0, 200, 0)
    seen = unpack_frame(pack_frame(frame, max_side=150), 300, 300)
    assert (seen[:45] == 0).all()  # the ground above and below: 300 x 200 lie in the middle
    assert (seen[-45:] == 0).all()
    assert mean_difference(seen[60:240, 160:], np.broadcast_to((0, 200, 0), (180, 140, 3))) < 4


def test_colours_keep_their_order() -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[..., 0] = 250
    assert unpack_frame(pack_frame(frame), 64, 64).mean(axis=(0, 1)).round().tolist() == pytest.approx(
        [250, 0, 0], abs=6
    )


def test_a_small_frame_is_enlarged_and_its_pixels_stay_visible() -> None:
    frame = np.zeros((60, 60, 3), np.uint8)
    frame[30, 30] = 255  # such as the ball of an Atari game
    seen = unpack_frame(pack_frame(frame), 240, 240)
    assert seen[118:126, 118:126].max() > 150


@pytest.mark.parametrize("n_bytes", [1024, 4096, 8192])
def test_what_does_not_fit_is_compressed_harder_until_it_does(n_bytes: int, rng: np.random.Generator) -> None:
    noise = cv2.resize(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8), (224, 224))
    worst = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for frame, bound in ((noise, 40), (worst, 110)):
        packed = pack_frame(np.asarray(frame, np.uint8), n_bytes=n_bytes)
        assert packed.shape == (n_bytes,)
        assert mean_difference(unpack_frame(packed, 224, 224), np.asarray(frame)) < bound


def test_more_room_gives_a_better_picture(rng: np.random.Generator) -> None:
    frame = np.asarray(cv2.resize(rng.integers(0, 256, (60, 60, 3), dtype=np.uint8), (224, 224)), np.uint8)
    differences = [
        mean_difference(unpack_frame(pack_frame(frame, n_bytes=n), 224, 224), frame) for n in (2048, 8192, 65536)
    ]
    assert differences[0] > differences[1] > differences[2]


def test_simulator_states_are_no_frames() -> None:
    assert not is_live_frame(np.zeros(6))
    assert not is_live_frame(np.zeros(6, np.float32))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda packed: packed[4:], "does not begin as the frames"),
        (lambda packed: packed[:100], "does not begin as the frames"),  # shorter than its header says
        (lambda packed: np.concatenate([packed[:8], packed[300:]]), "its JPEG cannot be read"),
        (lambda packed: np.zeros(4, np.uint8), "does not begin as the frames"),
    ],
)
def test_damaged_frames_are_noticed(damage: Any, message: str) -> None:
    packed = pack_frame(np.full((64, 64, 3), 77, np.uint8))
    with pytest.raises(ValueError, match=message):
        unpack_frame(damage(packed), 64, 64)


@pytest.mark.parametrize("mode", [None, "human"])
def test_an_environment_that_draws_no_arrays_is_refused(mode: str | None) -> None:
    with pytest.raises(ValueError, match=f'must be made with render_mode="rgb_array". Received {mode!r}'):
        LiveFrames(Slides(mode))


@pytest.mark.parametrize(("max_side", "n_bytes"), [(15, 8192), (100, 1023)])
def test_numbers_too_small_are_refused(max_side: int, n_bytes: int) -> None:
    with pytest.raises(ValueError, match=f"Received {max_side} and {n_bytes}"):
        LiveFrames(Slides("rgb_array"), max_side=max_side, n_bytes=n_bytes)


@pytest.mark.parametrize("frame", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8)])
def test_what_is_no_picture_is_refused(frame: Frame) -> None:
    with pytest.raises(ValueError, match=r"A frame must be uint8 of shape \[height, width, 3\]"):
        pack_frame(frame)
