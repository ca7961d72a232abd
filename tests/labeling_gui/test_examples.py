"""Clips that show what good looks like, and clips to practise on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest

from prefrl.errors import SettingError
from prefrl_envs.clips import encode_clip
from prefrl_envs.tasks import TASKS
from prefrl_labeling_gui.examples import (
    PRACTICE,
    SENTENCES,
    SHIPPED,
    Example,
    ExampleName,
    PracticeClip,
    PracticeName,
    examples_in,
    shipped_examples,
)

TASKS_WITH_EXAMPLES = sorted(folder.name for folder in SHIPPED.iterdir())
NAMES = get_args(PracticeName)
LONGEST_SENTENCE, MOST_BYTES, MOST_BYTES_OF_A_TASK = 16, 40_000, 350_000
"""Words, and bytes: what is shipped is small."""


@pytest.mark.parametrize("task", TASKS_WITH_EXAMPLES)
def test_shipped_examples_are_small_clips_of_tasks_each_with_a_sentence(task: str) -> None:
    assert task in TASKS
    shown, practice = shipped_examples(task)
    assert [example.name for example in shown] == list(get_args(ExampleName))
    assert [clip.name for clip in practice] == list(NAMES)
    clips: list[Example | PracticeClip] = [*shown, *practice]
    for clip in clips:
        assert clip.sentence.startswith("it ")
        assert clip.sentence.endswith(".")
        assert len(clip.sentence.split()) <= LONGEST_SENTENCE
        assert clip.path.stat().st_size < MOST_BYTES
        with av.open(str(clip.path)) as video:
            assert video.streams.video[0].codec_context.name == "h264"
    contents = {clip.path.read_bytes() for clip in clips}
    assert len(contents) == len(clips)  # none is there twice
    assert len({clip.sentence for clip in clips}) == len(contents)
    assert sum(map(len, contents)) < MOST_BYTES_OF_A_TASK
    known = {f"{name}.mp4" for name in (*get_args(ExampleName), *NAMES)} | {SENTENCES}
    assert {path.name for path in (SHIPPED / task).rglob("*") if path.is_file()} == known


def test_the_backflip_has_examples() -> None:
    assert "hopper-backflip" in TASKS_WITH_EXAMPLES


@pytest.mark.parametrize("task", ["gridworld", None, "", "..", "/"])
def test_other_tasks_have_none(task: str | None) -> None:
    assert shipped_examples(task) == ((), ())


def test_the_frames_of_a_clip_are_counted(own: Path) -> None:
    encode_clip(np.zeros((3, 16, 16, 3), np.uint8), own / PRACTICE / "2.mp4", 12.5)
    assert [round(clip.fps, 3) for clip in examples_in(own).practice[:2]] == [25, 12.5]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of one's own with one example and clips to practise on."""
    folder = tmp_path / "own"
    (folder / PRACTICE).mkdir(parents=True)
    (folder / "bad.mp4").write_bytes(b"a clip")
    for name in NAMES:
        encode_clip(np.full((2, 16, 16, 3), 20 * int(name), np.uint8), folder / PRACTICE / f"{name}.mp4", 25)
    say(folder)
    return folder


def say(folder: Path, **others: Any) -> None:
    """Write the sentences."""
    said = {"bad": "It falls.", PRACTICE: [f"It is {name}." for name in NAMES]} | others
    (folder / SENTENCES).write_text(json.dumps(said))


def test_ones_own_are_read(own: Path) -> None:
    shown, practice = examples_in(own)
    assert shown == [("bad", "It falls.", own / "bad.mp4")]
    assert practice == [(name, f"It is {name}.", own / PRACTICE / f"{name}.mp4", 25) for name in NAMES]
    say(own, good=3)
    assert len(examples_in(own).shown) == 1  # of what is not there nothing need be said
    shutil.rmtree(own / PRACTICE)
    assert examples_in(own).practice == ()
    (own / SENTENCES).unlink()
    assert examples_in(own).shown[0].sentence == ""


def test_a_folder_without_examples_is_refused(own: Path) -> None:
    (own / "bad.mp4").unlink()
    with pytest.raises(SettingError, match=r"`examples` must be a folder with good.mp4, bad.mp4 or tricky.mp4"):
        examples_in(own)


def test_sentences_that_are_none_are_refused(own: Path) -> None:
    say(own, bad=3)
    with pytest.raises(SettingError, match="must hold a sentence by name"):
        examples_in(own)


@pytest.mark.parametrize(
    "said", [None, "It is 1.", ["It."] * 5, ["It."] * 7, [1] * 6, ["It."] * 6 + [1], ["It."] * 5 + [""]]
)
def test_clips_to_practise_on_want_a_sentence_each(own: Path, said: object) -> None:
    say(own, practice=said)
    with pytest.raises(SettingError, match="a list `practice` of 6 sentences, that of the worst clip first"):
        examples_in(own)


def test_clips_to_practise_on_are_there_and_can_be_played(own: Path) -> None:
    (own / PRACTICE / "4.mp4").write_bytes(b"a clip")
    with pytest.raises(SettingError, match=r"4\.mp4 cannot be played"):
        examples_in(own)
    (own / PRACTICE / "4.mp4").unlink()
    (own / PRACTICE / "6.mp4").unlink()
    with pytest.raises(
        SettingError, match=r"1\.mp4 to 6\.mp4, the worst clip first\. There is no 4\.mp4, 6\.mp4\."
    ):
        examples_in(own)


def test_a_file_without_pictures_is_refused(own: Path) -> None:
    with av.open(str(own / PRACTICE / "1.mp4"), "w") as sound:
        stream = sound.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        sound.mux(stream.encode(frame))
        sound.mux(stream.encode(None))
    with pytest.raises(SettingError, match=r"1\.mp4 cannot be played: it holds no pictures"):
        examples_in(own)


def test_they_are_told_and_served_to_who_is_signed_in(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path: Path, own: Path
) -> None:
    run = make_run(tmp_path / "run", n_queries=1)
    served = serve_here(run)
    client = served.join()
    told = client.get("/api/run").json()
    assert [example["name"] for example in told["examples"]] == ["good", "bad", "tricky"]
    assert [clip["clip"] for clip in told["practice"]] == [f"/practice/{name}.mp4" for name in NAMES]
    said = json.loads((SHIPPED / "hopper-backflip" / SENTENCES).read_text())
    assert [clip["sentence"] for clip in told["practice"]] == said["practice"]
    for one in (*told["examples"], *told["practice"]):
        reply = client.get(one["clip"])
        assert reply.headers["content-type"] == "video/mp4"
        path = one["clip"].removeprefix("/").removeprefix("examples/")
        assert reply.content == (SHIPPED / "hopper-backflip" / path).read_bytes()
        assert served.anonymous().get(one["clip"]).status_code == 401
    for unknown in ("/examples/secret.mp4", "/practice/7.mp4", "/practice/good.mp4", "/examples/1.mp4"):
        assert client.get(unknown).status_code == 422

    client = serve_here(run, question="Which hops higher?").join("a third")
    told = client.get("/api/run").json()
    assert told["examples"] == told["practice"] == []  # a backflip is no answer to that
    assert client.get("/examples/good.mp4").status_code == client.get("/practice/1.mp4").status_code == 404

    client = serve_here(run, question=TASKS["hopper-backflip"].rating_question).join("a fourth")
    told = client.get("/api/run").json()
    assert (len(told["examples"]), len(told["practice"])) == (3, 6)  # where one clip is rated, they show the same

    client = serve_here(run, examples=own).join("another")
    told = client.get("/api/run").json()
    assert [example["name"] for example in told["examples"]] == ["bad"]
    assert told["practice"][2] == {"sentence": "It is 3.", "clip": "/practice/3.mp4", "fps": 25}
    assert client.get("/examples/bad.mp4").content == b"a clip"
    assert client.get("/practice/3.mp4").content == (own / PRACTICE / "3.mp4").read_bytes()
    assert client.get("/examples/good.mp4").status_code == 404

    told = serve_here(make_run(tmp_path / "waiting", started=False), examples=own).owner().get("/api/run").json()
    assert (len(told["examples"]), told["practice"]) == (1, [])  # what will be asked is not known yet


def test_a_folder_that_is_not_as_it_should_be_is_refused_at_the_start(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path: Path, own: Path
) -> None:
    (own / PRACTICE / "5.mp4").unlink()
    with pytest.raises(SettingError, match=r"There is no 5\.mp4"):
        serve_here(make_run(tmp_path / "run", n_queries=1), examples=own)
