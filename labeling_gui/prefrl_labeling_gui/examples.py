"""Clips that show what good looks like, and clips to practise on: seen in the help, before the first pair.

A folder of examples holds `good.mp4`, `bad.mp4` and `tricky.mp4`, any of them, and may hold `practice/1.mp4` to
`practice/6.mp4`, from the worst to the best. `sentences.json` says what each shows, the examples by name, and as a
list, `practice`, the clips to practise on in their order. Those of some tasks are shipped
(`tools/example_clips.py` makes them); `--examples` names one's own.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import av

from prefrl.errors import SettingError
from prefrl.files import read_json

ExampleName = Literal["good", "bad", "tricky"]
PracticeName = Literal["1", "2", "3", "4", "5", "6"]
"""The worst is the first."""

SHIPPED = Path(str(files("prefrl_labeling_gui"))) / "examples"
"""A folder for each task that has examples."""
SENTENCES = "sentences.json"
PRACTICE = "practice"
"""Folder of the clips to practise on, and the name of their sentences."""


class Example(NamedTuple):
    """One clip, and what it shows."""

    name: ExampleName
    sentence: str
    """Empty where nobody has said."""
    path: Path
    """An MP4."""


class PracticeClip(NamedTuple):
    """A clip to practise on, better than those before it."""

    name: PracticeName
    sentence: str
    path: Path
    """An MP4."""
    fps: float
    """Frames per second."""


class Examples(NamedTuple):
    """What a folder holds."""

    shown: Sequence[Example]
    practice: Sequence[PracticeClip]
    """All six, the worst first; or none."""


NONE = Examples((), ())


@cache
def shipped_examples(task: str | None) -> Examples:
    """Return the examples of a task; one without any has none."""
    folders = [folder for folder in SHIPPED.iterdir() if folder.name == task]  # so that no name leads elsewhere
    return examples_in(folders[0]) if folders else NONE


def examples_in(folder: Path) -> Examples:
    """Return the examples of a folder.

    Raises:
        SettingError: It holds none, its sentences are no text, or its clips to practise on are not all there.
    """
    found: list[ExampleName] = [name for name in get_args(ExampleName) if (folder / f"{name}.mp4").is_file()]
    if not found:
        raise SettingError(f"`examples` must be a folder with good.mp4, bad.mp4 or tricky.mp4. Received {folder}.")
    sentences = read_json(folder / SENTENCES) if (folder / SENTENCES).is_file() else {}
    if not all(isinstance(sentences.get(name, ""), str) for name in found):
        raise SettingError(f'{folder / SENTENCES} must hold a sentence by name, such as {{"good": "It flies."}}.')
    shown = [Example(name, sentences.get(name, ""), folder / f"{name}.mp4") for name in found]
    return Examples(shown, _practice_in(folder, sentences))


def _practice_in(folder: Path, sentences: Mapping[str, Any]) -> Sequence[PracticeClip]:
    if not (folder / PRACTICE).is_dir():
        return ()
    names: Sequence[PracticeName] = get_args(PracticeName)
    paths = [folder / PRACTICE / f"{name}.mp4" for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise SettingError(
            f"{folder / PRACTICE} must hold 1.mp4 to {names[-1]}.mp4, the worst clip first. "
            f"There is no {', '.join(missing)}."
        )
    said = sentences.get(PRACTICE)
    told = [one for one in said if isinstance(one, str) and one] if isinstance(said, list) else []
    if said != told or len(told) != len(names):
        raise SettingError(
            f"{folder / SENTENCES} must hold a list `{PRACTICE}` of {len(names)} sentences, that of the worst "
            "clip first: they are said of who practises."
        )
    return [
        PracticeClip(name, sentence, path, _fps(path))
        for name, sentence, path in zip(names, told, paths, strict=True)
    ]


def _fps(path: Path) -> float:
    """Return the frames per second of a clip.

    Raises:
        SettingError: It is none.
    """
    try:
        with av.open(str(path)) as video:
            rates = [stream.average_rate for stream in video.streams.video]
    except av.FFmpegError as error:
        raise SettingError(f"{path} cannot be played: {error}.") from error
    if not rates or not rates[0]:
        raise SettingError(f"{path} cannot be played: it holds no pictures.")
    return float(rates[0])
