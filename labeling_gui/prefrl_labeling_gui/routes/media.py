"""Clips and their posters, by content: drawn when they are first asked for, and never changing; and examples."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import FastAPI, Path
from starlette.responses import FileResponse

from prefrl.errors import StoreError
from prefrl_labeling_gui.access import Person, Refusal, Shared
from prefrl_labeling_gui.clips import ClipError
from prefrl_labeling_gui.examples import Example, ExampleName, PracticeClip, PracticeName

_CACHED = {"cache-control": "private, max-age=31536000, immutable"}
_TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".jpg": "image/jpeg"}

ClipName = Annotated[str, Path(pattern=r"^[0-9a-f]{32}\.(mp4|webm|jpg)$")]


def add_to(app: FastAPI) -> None:
    """Register the routes."""
    app.get("/clips/{name}", response_class=FileResponse, response_model=None)(clip)
    app.get("/examples/{name}.mp4", response_class=FileResponse, response_model=None)(example)
    app.get("/practice/{name}.mp4", response_class=FileResponse, response_model=None)(practice_clip)


async def clip(name: ClipName, context: Shared, person: Person) -> FileResponse:
    """Serve the clip of a segment, or its poster; in parts where the player wants parts."""
    segment_id, _, ending = name.partition(".")
    clips = context.clips
    if context.clips_refusal is not None:
        raise Refusal(404, context.clips_refusal)
    if clips is None or f".{ending}" not in (clips.suffix, ".jpg"):
        raise Refusal(404, "There is no such clip.")
    try:
        drawn = await clips.ready(segment_id)
    except (ClipError, StoreError) as error:
        raise Refusal(404, str(error)) from error
    path = drawn.poster if ending == "jpg" else drawn.video
    return FileResponse(path, media_type=_TYPES[f".{ending}"], headers=_CACHED)


async def example(name: ExampleName, context: Shared, person: Person) -> FileResponse:
    """Serve a clip that shows what is asked for, or what is not."""
    return _named(name, context.examples.shown)


async def practice_clip(name: PracticeName, context: Shared, person: Person) -> FileResponse:
    """Serve a clip to practise on."""
    return _named(name, context.examples.practice)


def _named(name: str, some: Sequence[Example | PracticeClip]) -> FileResponse:
    found = next((one for one in some if one.name == name), None)
    if found is None:
        raise Refusal(404, "There is no such clip.")
    return FileResponse(found.path, media_type=_TYPES[".mp4"], headers={"cache-control": "no-cache"})
