"""Clips that show what good looks like, and what does not: seen in the help, before the first pair.

A folder of examples holds `good.mp4`, `bad.mp4` and `tricky.mp4`, any of them, and may hold `sentences.json`: what
each shows, by name. Those of some tasks are shipped (`tools/example_clips.py` makes them); `--examples` names
one's own.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from prefrl.errors import SettingError
from prefrl.files import read_json

ExampleName = Literal["good", "bad", "tricky"]

SHIPPED = Path(str(files("prefrl_labeling_gui"))) / "examples"
"""A folder for each task that has examples."""
SENTENCES = "sentences.json"


class Example(NamedTuple):
    """One clip, and what it shows."""

    name: ExampleName
    sentence: str
    """Empty where nobody has said."""
    path: Path
    """An MP4."""


def examples_of(task: str | None, own: Path | None) -> Sequence[Example]:
    """Return the examples that people see.

    Args:
        task: Whose shipped examples are taken; a task without any has none.
        own: A folder that is taken instead.

    Raises:
        SettingError: There is no clip in one's own folder, or its sentences are no text by name.
    """
    shipped = [folder for folder in SHIPPED.iterdir() if folder.name == task]  # so that no name leads elsewhere
    [folder] = [own] if own is not None else shipped or [SHIPPED]
    found: list[ExampleName] = [name for name in get_args(ExampleName) if (folder / f"{name}.mp4").is_file()]
    if own is not None and not found:
        raise SettingError(f"`examples` must be a folder with good.mp4, bad.mp4 or tricky.mp4. Received {own}.")
    sentences = read_json(folder / SENTENCES) if (folder / SENTENCES).is_file() else {}
    if not all(isinstance(sentences.get(name, ""), str) for name in found):
        raise SettingError(f'{folder / SENTENCES} must hold a sentence by name, such as {{"good": "It flies."}}.')
    return [Example(name, sentences.get(name, ""), folder / f"{name}.mp4") for name in found]
