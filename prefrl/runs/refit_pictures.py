"""Pictures of what the reward has learned: true and predicted reward, step by step, and a clip of the same."""

import math
import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from stable_baselines3.common.logger import Image

from prefrl.agents import PreferenceLearning
from prefrl.config import RunConfig
from prefrl.runs.live_status import SHOWCASE_SEGMENTS
from prefrl.segments import Segment
from prefrl_envs.clips import clip_timing
from prefrl_envs.rendering import StateRenderer

Frames: TypeAlias = npt.NDArray[np.uint8]

TRACE_KEY, CLIP_KEY = "pictures/rewards", "pictures/clip"
MAX_FPS = 20.0
"""Of a clip. A page for people who judge shows more, for twice the time that drawing takes."""
CLIP_SIZE = (192, 192)
"""Small: TensorBoard keeps clips as GIFs, and forty of them are on one page."""
_INCHES, _DPI = (6.4, 3.6), 100


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A clip for the writers of a log that show clips; SB3's `Video` needs moviepy to be written."""

    frames: Frames
    """RGB, shape [T, height, width, 3]."""
    fps: float
    """Frames per second."""


class RefitPictures:
    """Draws the newest behaviour of the first environment, and what the reward says of it now.

    Args:
        config: The settings of the run.
        preferences: The recent experience, and the reward.
    """

    def __init__(self, config: RunConfig, preferences: PreferenceLearning) -> None:
        self._config = config
        self._preferences = preferences
        self._renderer: StateRenderer | None = None
        self._can_draw = True

    def draw(self) -> dict[str, Image | Clip | str]:
        """Return the pictures by key; fewer where there is no experience as yet, or nothing can draw it.

        Why there is no clip is said once, by a warning and in its place.
        """
        recorder, length = self._preferences.recorder, self._config.segment_length
        piece = recorder.latest(SHOWCASE_SEGMENTS * length) or recorder.latest(length)
        if piece is None:
            return {}
        predicted = self._preferences.reward_model.predict_segment(piece)
        pictures: dict[str, Image | Clip | str] = {
            TRACE_KEY: Image(pixels(reward_traces(piece, predicted, length)), "HWC")
        }
        if self._can_draw:
            pictures[CLIP_KEY] = self._clip(piece)
        return pictures

    def close(self) -> None:
        """Free what draws."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _clip(self, piece: Segment) -> Clip | str:
        """Return the last segment of a piece as a clip, or why there will be none."""
        try:
            return self._drawn(piece)
        # What an environment of somebody's raises when it draws may be anything, and its training goes on.
        except Exception as error:
            self._can_draw = False
            note = f"No clips of {self._config.env_id} are logged, as nothing can draw them: {error}"
        warnings.warn(note, stacklevel=2)
        return note

    def _drawn(self, piece: Segment) -> Clip:
        if piece.render_states is None:
            raise TypeError("it keeps neither states nor frames to draw from (docs/own-environment.md).")
        if self._renderer is None:
            self._renderer = StateRenderer(self._config.env_id, *CLIP_SIZE, env_kwargs=self._config.env_kwargs)
        states = piece.render_states[-self._config.segment_length :]
        timing = clip_timing(len(states), self._renderer.step_seconds)
        stride = math.ceil(timing.fps / MAX_FPS)
        steps = timing.steps[::-1][::stride][::-1]  # the last one always
        return Clip(self._renderer.frames(states[list(steps)]), timing.fps / stride)


def reward_traces(piece: Segment, predicted: npt.NDArray[Any], n_shown: int) -> Figure:
    """Return a figure of the true and the predicted reward of each step, one above the other.

    Two scales, as that of a learned reward is its own: what counts is whether they rise and fall together.

    Args:
        piece: Consecutive steps.
        predicted: What the reward says of them, shape [T].
        n_shown: The last steps, which the clip shows and the figure marks.
    """
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")  # not pyplot's, so nothing has to be closed
    above, below = figure.subplots(2, sharex=True)
    steps = piece.start + np.arange(piece.n_steps)
    for axes, values, name in ((above, piece.env_rewards, "true reward"), (below, predicted, "learned reward")):
        axes.plot(steps, values, linewidth=1.2)
        axes.axvspan(steps[-min(n_shown, len(steps))], steps[-1], alpha=0.12)
        axes.set_ylabel(name)
    below.set_xlabel("step of the episode (shaded: the clip)")
    return figure


def pixels(figure: Figure) -> Frames:
    """Return a figure as RGB, shape [height, width, 3]."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
