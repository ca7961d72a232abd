"""Labelled queries as the page shows them: what was said, what the learned reward says, and all clips in one."""

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
from prefrl.segments import Answer, Judgement, Ranking, Rating
from prefrl_envs.clips import encode_clip
from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.rendering import StateRenderer

CLIP_SIZE = 200
"""Pixels along each side of an example's clips."""
CLIP_GAP = 4
"""Pixels between two of them."""
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
    """A labelled pair, ranking or rating, as the page shows it."""

    title: str
    answer: str
    sentence: str
    sides: list[tuple[str, bool]]
    """What each clip is called, and whether it is said to be better than all others."""
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
    returns = " and ".join(", ".join(number(one.env_return) for one in example.segments).rsplit(", ", 1))
    probability = f"{100 * example.probability_first:.0f} %"
    said = example.answer
    guess = f"gives the first {probability} to be better"
    verdict = _VERDICTS[said] if isinstance(said, Answer) else str(said)
    if isinstance(said, Ranking):
        guess = f"ranks them {Ranking.by(example.predicted)}"
    elif isinstance(said, Rating):
        guess = f"predicts a return of {number(example.predicted[0])}"
    return Pair(
        title=f"Asked at {example.num_timesteps:,} steps",
        answer=f"{example.labeler}: {verdict}",
        sentence=f"The learned reward {guess}. True return{'s' if len(example.segments) > 1 else ''}: {returns}.",
        sides=[(name, place == _best(said)) for place, name in enumerate(example.names)],
        clip=clip,
        chart=Markup(panels.example_chart(example, key)),
    )


def _best(said: Judgement) -> int | None:
    """Return the place of the one segment that is said to be better than all others."""
    if isinstance(said, Ranking):
        return said.ranks.index(0) if said.ranks.count(0) == 1 else None
    if isinstance(said, Rating):
        return None
    return {Answer.FIRST: 0, Answer.SECOND: 1}.get(said.direction)


def _clips(run: RunData) -> tuple[list[str | None], list[str]]:
    """Return a clip of each labelled pair, all segments side by side, or None and the reason why not."""
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
    parts = [part for side in sides for part in (between, side)][1:]
    buffer = io.BytesIO()
    encode_clip(np.concatenate(parts, axis=2), buffer, max(1.0, length / CLIP_SECONDS))
    return data_uri(buffer.getvalue())


def data_uri(clip: bytes) -> str:
    """Return a clip as an address that holds it."""
    return f"data:video/mp4;base64,{base64.b64encode(clip).decode('ascii')}"
