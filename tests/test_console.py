"""The progress display: lines without a terminal, a bar with one; all of it on stderr."""

import io
import time

import pytest
from rich.console import Console

from prefrl.console import TrainingDisplay, describe
from prefrl.runs import TrainingProgress


def progress(steps: int = 2500, *, true_return: float = 12.34, n_labels: int = 300) -> TrainingProgress:
    return TrainingProgress(
        num_timesteps=steps,
        total_timesteps=10_000,
        labels=75 if n_labels else 0,
        n_labels=n_labels,
        true_return=true_return,
        metrics={"backflips": 1.5},
    )


def test_description() -> None:
    assert describe(progress()) == "2,500/10,000 steps, 75/300 labels, true return 12.3, backflips 1.50"


def test_description_without_labels_and_episodes() -> None:
    assert describe(progress(true_return=float("nan"), n_labels=0)) == "2,500/10,000 steps, backflips 1.50"


def test_what_was_said_before_a_run_was_resumed_is_not_said_again() -> None:
    file = io.StringIO()
    with TrainingDisplay("x", Console(file=file, width=40)) as display:
        for notes in (("Old.",), ("Old.", "New.")):
            display(progress()._replace(notes=notes))
    assert file.getvalue().splitlines()[1:] == ["x: New."]


def test_what_is_said_of_the_policies_is_a_line_of_its_own_once() -> None:
    file = io.StringIO()
    with TrainingDisplay("x", Console(file=file, width=40)) as display:
        for notes in ((), ("Policy 1 is stuck.",), ("Policy 1 is stuck.",), ("Policy 1 is stuck.", "It goes on.")):
            display(progress()._replace(policies=2, notes=notes))
    assert file.getvalue().splitlines()[1:] == ["x: Policy 1 is stuck.", "x: It goes on."]
    assert describe(progress()._replace(policies=2)).endswith("backflips 1.50, policy 2")
    assert describe(progress()._replace(stopping=True)).endswith(
        "saving soon, then stopping (Ctrl-C again: at once)"
    )


def test_a_pause_is_said_in_place_of_the_wait() -> None:
    assert describe(progress()._replace(paused=True)).endswith("backflips 1.50, paused on the page")


def test_lines_without_a_terminal() -> None:
    """Plain text, one line each however long, and not more often than every ten seconds."""
    file = io.StringIO()
    title = "a task with a name that is longer than a line of a terminal is wide [and brackets], by an algorithm"
    with TrainingDisplay(title, Console(file=file, width=40)) as display:
        display(progress(0))
        display(progress(2500))
    assert file.getvalue() == f"{title}:   0%, {describe(progress(0))}\n"


def test_lines_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.0, 105.0, 110.0, 110.0])  # read once to look, and again to remember
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    file = io.StringIO()
    with TrainingDisplay("x", Console(file=file, width=200)) as display:
        for steps in (1000, 2000, 12_000):  # the last rollout goes beyond
            display(progress(steps))
    assert [line.split(",")[0] for line in file.getvalue().splitlines()] == ["x:  10%", "x: 100%"]


def test_while_people_are_waited_for_a_log_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    file = io.StringIO()
    with TrainingDisplay("x", Console(file=file, width=200)) as display:
        for waiting in (False, True, True, True, False):
            display(progress(1000)._replace(waiting=waiting))
    lines = file.getvalue().splitlines()
    assert [line.endswith("waiting for labels") for line in lines] == [False, True, False]


def test_bar_on_a_terminal() -> None:
    file = io.StringIO()
    terminal = Console(file=file, force_terminal=True, width=160, _environ={"TERM": "xterm"})
    with TrainingDisplay("hopper, ppo", terminal) as display:
        display(progress(5000))
    shown = file.getvalue()
    assert "\x1b[" in shown
    assert "hopper, ppo" in shown
    assert describe(progress(5000)) in shown
    assert "━" in shown


def test_bar_stays_as_it_is_after_an_error() -> None:
    file = io.StringIO()
    terminal = Console(file=file, force_terminal=True, width=160, _environ={"TERM": "xterm"})

    def fail() -> None:
        with TrainingDisplay("x", terminal) as display:
            display(progress(5000))
            raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        fail()
    assert file.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_stderr_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingDisplay("x") as display:
        display(progress())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("x:  25%")
