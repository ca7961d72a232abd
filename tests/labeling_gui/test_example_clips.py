"""`tools/example_clips.py` makes the folder of a task, from the worst to the best by the true return."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from prefrl.config import load_preset
from prefrl.files import write_json
from prefrl.segments import Answer, Segment
from prefrl.store import NewAnswer, Store
from prefrl_labeling_gui.examples import PRACTICE

TOOL = Path(__file__).parents[2] / "tools" / "example_clips.py"


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(TOOL))


@pytest.fixture(scope="module")
def runs(make_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of one task whose segments were compared, and one of another."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        answered(make_run(folder / f"{task} {n}", task=task, n_queries=n, segment_length=6), task)
        for task, n in (("gridworld", 20), ("gridworld", 25), ("moving-dot", 2))
    ]


def answered(run: Path, task: str) -> Path:
    """Have every pair of a run answered, and its settings written in full."""
    write_json(run / "config.json", {"config": load_preset(task).to_json()})
    with Store(run) as store:
        answers = [
            NewAnswer(id=f"a{i}", query_id=query.query_id, answer=Answer.FIRST, labeler="Ann")
            for i, query in enumerate(store.open_queries())
        ]
        store.add_answers(answers)
    return run


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """`make(*arguments)` runs the tool and returns the folder that it writes to."""

    def call(*arguments: object) -> Path:
        monkeypatch.setattr(sys, "argv", ["example_clips.py", *map(str, arguments), "--out", str(tmp_path)])
        runpy.run_path(str(TOOL), run_name="__main__")
        return tmp_path / "gridworld"

    return call


def test_segments_of_all_runs_are_in_order_of_their_true_return(tool: dict[str, Any], runs: list[Path]) -> None:
    about, segments = tool["in_order"](runs[:2])
    assert about.task == "gridworld"
    returns = [segment.env_return for segment in segments]
    assert returns == sorted(returns)
    assert len({segment.id for segment in segments}) == len(segments)
    alone: list[Segment] = [segment for run in runs[:2] for segment in tool["in_order"]([run])[1]]
    assert {segment.id for segment in alone} == {segment.id for segment in segments}
    assert tool["at"](segments, 0) is segments[0]
    assert tool["at"](segments, 1) is segments[-1]
    assert tool["at"](segments[:11], 0.3) is segments[3]


def test_one_command_makes_the_folder(tool: dict[str, Any], runs: list[Path], make: Callable[..., Path]) -> None:
    _, segments = tool["in_order"](runs[:2])
    returns = [segment.env_return for segment in segments]
    steps = sorted({returns.index(value) / (len(returns) - 1) for value in returns})
    assert len(steps) >= 6
    practice = [*steps[:5], steps[-1]]
    folder = make(*runs[:2], "--good", 1, "--bad", 0, "--tricky", 0.5, "--practice", *practice)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"good.mp4", "bad.mp4", "tricky.mp4", *(f"{PRACTICE}/{i}.mp4" for i in range(1, 7))}
    assert (folder / "bad.mp4").read_bytes() == (folder / PRACTICE / "1.mp4").read_bytes()
    assert (folder / "good.mp4").read_bytes() != (folder / "bad.mp4").read_bytes()
    before = (folder / "good.mp4").read_bytes()
    make(*runs[:2], "--tricky", 0)
    assert (folder / "tricky.mp4").read_bytes() == (folder / "bad.mp4").read_bytes()
    assert (folder / "good.mp4").read_bytes() == before  # what is not named stays


def test_an_order_that_is_none_is_refused(runs: list[Path], make: Callable[..., Path]) -> None:
    for shares in ((0, 0.2, 0.4, 0.6, 1, 0.8), (0, 0, 0.4, 0.6, 0.8, 1)):
        with pytest.raises(SystemExit, match="must be better than the one before"):
            make(runs[0], "--good", 1, "--practice", *shares)
    assert not make(runs[0], "--look", runs[0] / "look.png").exists(), "nothing was written before"


def test_runs_of_two_tasks_are_refused(runs: list[Path], make: Callable[..., Path]) -> None:
    with pytest.raises(SystemExit, match="must be of one task"):
        make(*runs, "--good", 1)


def test_film_strips_are_drawn_to_choose_by(runs: list[Path], make: Callable[..., Path], tmp_path: Path) -> None:
    assert not make(runs[0], "--look", tmp_path / "look.png").exists()
    whole = cv2.imread(str(tmp_path / "look.png"))
    assert whole is not None
    assert whole.shape == (11 * 128, 10 * 128, 3)
    make(runs[0], "--look", tmp_path / "end.png", "--from", 1)
    end = cv2.imread(str(tmp_path / "end.png"))
    assert end is not None
    assert (end[-128:] == whole[-128:]).all()
    assert (end[:128] != whole[:128]).any()
