"""Clips that show what good looks like."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from prefrl.errors import SettingError
from prefrl_envs.tasks import TASKS
from prefrl_labeling_gui.examples import SENTENCES, SHIPPED, examples_of

TASKS_WITH_EXAMPLES = sorted(folder.name for folder in SHIPPED.iterdir())


@pytest.mark.parametrize("task", TASKS_WITH_EXAMPLES)
def test_shipped_examples_are_small_clips_of_tasks_each_with_a_sentence(task: str) -> None:
    assert task in TASKS
    examples = examples_of(task, None)
    assert [example.name for example in examples] == ["good", "bad", "tricky"]
    for example in examples:
        assert example.sentence.endswith(".")
        assert example.path.stat().st_size < 100_000
        with av.open(str(example.path)) as video:
            assert video.streams.video[0].codec_context.name == "h264"


def test_the_backflip_has_examples() -> None:
    assert "hopper-backflip" in TASKS_WITH_EXAMPLES


@pytest.mark.parametrize("task", ["gridworld", None, "", "..", "/"])
def test_other_tasks_have_none(task: str | None) -> None:
    assert list(examples_of(task, None)) == []


def test_ones_own_are_taken_in_place_of_the_tasks(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"a clip")
    [example] = examples_of("hopper-backflip", tmp_path)
    assert example == ("bad", "", tmp_path / "bad.mp4")
    (tmp_path / SENTENCES).write_text(json.dumps({"bad": "It falls.", "good": 3}))
    assert examples_of("hopper-backflip", tmp_path)[0].sentence == "It falls."
    (tmp_path / SENTENCES).write_text(json.dumps({"bad": 3}))
    with pytest.raises(SettingError, match="must hold a sentence by name"):
        examples_of(None, tmp_path)


def test_a_folder_without_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"`examples` must be a folder with good.mp4, bad.mp4 or tricky.mp4"):
        examples_of("hopper-backflip", tmp_path)


def test_they_are_told_and_served_to_who_is_signed_in(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", n_queries=1)
    served = serve_here(run)
    client = served.join()
    told = client.get("/api/run").json()["examples"]
    assert [example["name"] for example in told] == ["good", "bad", "tricky"]
    for example in told:
        reply = client.get(example["clip"])
        assert reply.headers["content-type"] == "video/mp4"
        assert reply.content == (SHIPPED / "hopper-backflip" / f"{example['name']}.mp4").read_bytes()
    assert client.get("/examples/secret.mp4").status_code == 422
    assert served.anonymous().get(told[0]["clip"]).status_code == 401

    client = serve_here(run, question="Which hops higher?").join("a third")
    assert client.get("/api/run").json()["examples"] == []  # a backflip is no answer to that
    assert client.get("/examples/good.mp4").status_code == 404

    client = serve_here(run, question=TASKS["hopper-backflip"].rating_question).join("a fourth")
    assert len(client.get("/api/run").json()["examples"]) == 3  # where one clip is rated, they show the same

    (tmp_path / "good.mp4").write_bytes(b"a clip")
    client = serve_here(run, examples=tmp_path).join("another")
    assert [example["name"] for example in client.get("/api/run").json()["examples"]] == ["good"]
    assert client.get("/examples/good.mp4").content == b"a clip"
    assert client.get("/examples/bad.mp4").status_code == 404
