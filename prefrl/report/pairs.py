"""Labelled pairs as the page shows them: what was said, what the learned reward says, and both clips in one."""

import base64
import io
from dataclasses import dataclass

import gymnasium
import numpy as np
from markupsafe import Markup

from prefrl.report import panels
from prefrl.report.data import Example, RunData
from prefrl.report.words import number
from prefrl.runs.environments import OWN_ENVIRONMENT
from prefrl.segments import Answer
from prefrl_envs.clips import encode_clip
from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.rendering import StateRenderer

CLIP_SIZE = 200
"""Pixels along each side of an example's clips."""
CLIP_GAP = 4
"""Pixels between the two."""
CLIP_SECONDS = 1.5
"""How long an example's clip plays, whatever it took in the simulation, so that it can be followed."""

_VERDICTS = {
    Answer.FIRST: "the first is better",
    Answer.SECOND: "the second is better",
    Answer.EQUAL: "both are equal",
    Answer.MUCH_FIRST: "the first is much better",
    Answer.MUCH_SECOND: "the second is much better",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A labelled pair as the page shows it."""

    title: str
    answer: str
    sentence: str
    better: int | None
    """0 or 1: which side the answer prefers; None for equal."""
    clip: str | None
    chart: Markup


def labelled_pairs(run: RunData, index: int) -> tuple[list[Pair], list[str]]:
    """Return the labelled pairs with their clips, and notes on what could not be drawn."""
    if not run.examples:
        return [], []
    clips, notes = _clips(run)
    return [
        _pair(example, clip, f"pair{index}x{number}")
        for number, (example, clip) in enumerate(zip(run.examples, clips, strict=True))
    ], notes


def _pair(example: Example, clip: str | None, key: str) -> Pair:
    returns = [number(segment.env_return) for segment in example.segments]
    probability = f"{100 * example.probability_first:.0f} %"
    return Pair(
        title=f"Asked at {example.num_timesteps:,} steps",
        answer=f"{example.labeler}: {_VERDICTS[example.answer]}",
        sentence=(
            f"The learned reward gives the first {probability} to be better. "
            f"True returns: {returns[0]} and {returns[1]}."
        ),
        better={Answer.FIRST: 0, Answer.SECOND: 1}.get(example.answer.direction),
        clip=clip,
        chart=Markup(panels.example_chart(example, key)),
    )


def _clips(run: RunData) -> tuple[list[str | None], list[str]]:
    """Return a clip of each labelled pair, first beside second, or None and the reason why not."""
    nothing: list[str | None] = [None] * len(run.examples)
    if any(segment.render_states is None for example in run.examples for segment in example.segments):
        return nothing, [
            "No clips of the labelled pairs: no states to draw them from were recorded; "
            f"{OWN_ENVIRONMENT} shows what it takes."
        ]
    env_id, kwargs = str(run.config.get("env_id")), run.config.get("env_kwargs", {})
    try:
        with StateRenderer(env_id, CLIP_SIZE, CLIP_SIZE, env_kwargs=kwargs) as renderer:
            return [_clip(renderer, example) for example in run.examples], []
    except (
        RenderingUnavailableError,
        gymnasium.error.Error,
        ImportError,
        TypeError,
        ValueError,
    ) as error:
        return nothing, [f"No clips of the labelled pairs: {str(error).rstrip('.')}."]


def _clip(renderer: StateRenderer, example: Example) -> str:
    sides = []
    length = max(segment.n_steps for segment in example.segments)
    for segment in example.segments:
        assert segment.render_states is not None
        frames = renderer.frames(segment.render_states)
        rest = np.repeat(frames[-1:], length - len(frames), axis=0)
        sides.append(np.concatenate([frames, rest]))
    between = np.zeros((length, CLIP_SIZE, CLIP_GAP, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    encode_clip(np.concatenate([sides[0], between, sides[1]], axis=2), buffer, max(1.0, length / CLIP_SECONDS))
    return data_uri(buffer.getvalue())


def data_uri(clip: bytes) -> str:
    """Return a clip as an address that holds it."""
    return f"data:video/mp4;base64,{base64.b64encode(clip).decode('ascii')}"
