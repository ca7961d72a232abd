"""`prefrl compare`: who answered in which run, how well, how fast, and by which faults."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from prefrl import cli
from prefrl.config import load_preset
from prefrl.data import export_labels, import_labels
from prefrl.errors import RunError
from prefrl.feedback import OracleTeacher, SimulatedTeacher
from prefrl.feedback.teachers import ask
from prefrl.report.comparison import compared
from prefrl.report.comparison_page import compare_runs
from prefrl.runs import RunFolder
from prefrl.segments import Query, Segment, feedback_kind
from prefrl.store import NewAnswer, Store
from prefrl.store.runs import RunAbout


def segment(rewards: Any) -> Segment:
    return Segment(
        observations=np.zeros((len(rewards), 1)), actions=np.zeros((len(rewards), 1)), env_rewards=rewards
    )


def made(
    path: Path,
    teacher: OracleTeacher,
    *,
    n: int = 60,
    kind: str = "pair",
    flat: bool = False,
    by: str = "human",
    beside: str | None = None,
    timed: bool = True,
) -> Path:
    """A run in which anna answers every 3 seconds, with a pause of an hour before her last answer."""
    config = load_preset("pendulum", teacher=by)
    RunFolder.create(path, config)
    (path / "log" / "metrics.jsonl").write_text(
        "\n".join(
            json.dumps({"time/total_timesteps": 100 * i, "labels/total": 10 * i, "rollout/ep_rew_mean": -10.0 + i})
            for i in range(4)
        )
    )
    rng = np.random.default_rng(0)
    n_clips = {"rating": 1, "ranking": 3}.get(kind, 2)
    now = [1_000_000]
    with Store(path, clock=lambda: now[0]) as store:
        box = spaces.Box(-1, 1, (1,))
        run = store.begin_run(RunAbout.of(box, box, segment_length=4))
        for place in range(n):
            rewards = (
                np.zeros((n_clips, 4)) if flat else rng.normal(rng.normal(size=(n_clips, 1)), 1, (n_clips, 4))
            )
            # Where rewards do not differ, segments still do: by where they come from.
            segments = [segment(own.astype(np.float32)) for own in rewards]
            segments = [
                Segment(
                    observations=np.full((4, 1), 10 * place + i), actions=one.actions, env_rewards=one.env_rewards
                )
                for i, one in enumerate(segments)
            ]
            [query] = store.add_queries([Query(segments=tuple(segments), ordinal=place)], run=run, overlap=2)
            now[0] += 3_600_000 if place == n - 1 else 3000
            said = ask(teacher, feedback_kind(kind), query)
            store.add_answers(
                [
                    NewAnswer(
                        id=str(place),
                        query_id=query.id,
                        answer=said,
                        labeler="anna",
                        kind=kind,
                        client_time=now[0] if timed else None,
                    )
                ]
            )
            if beside:
                store.add_answers([NewAnswer(id=f"{place}b", query_id=query.id, answer=said, labeler=beside)])
        if beside:
            store.set_aside(beside)
    return path


def test_a_person_in_numbers(tmp_path: Path) -> None:
    run = compared(made(tmp_path / "run", SimulatedTeacher(mistakes=0.2)))
    [anna] = run.people
    assert anna.n_answers == 60
    assert anna.minutes == pytest.approx(58 * 3 / 60), "without the pause"
    assert anna.seconds_each == pytest.approx(3)
    assert [seconds for _, seconds in anna.speed] == pytest.approx([3.0] * len(anna.speed))
    assert anna.agreement.of == 60 == sum(one.of for one in anna.errors)
    assert anna.agreement.n == 60 - sum(one.n for one in anna.errors)
    assert anna.fit is not None
    assert anna.fit.intervals["mistakes"].low <= 1 - anna.agreement.value <= anna.fit.intervals["mistakes"].high
    assert run.curve["labels"] == [0, 10, 20, 30]
    assert run.curve["person_minutes"] == pytest.approx([0, 9 * 3 / 60, 19 * 3 / 60, 29 * 3 / 60])
    assert run.curve["true_return"] == [-10, -9, -8, -7]


def test_what_is_no_label_takes_time_all_the_same(tmp_path: Path) -> None:
    """Bo answers whatever Anna does, right after her, and is set aside: a label takes two answers."""
    run = compared(made(tmp_path / "run", OracleTeacher(), n=40, beside="bo"))
    assert [one.n_answers for one in run.people] == [40, 40]
    assert run.curve["labels"] == [0, 10, 20, 30]
    assert run.curve["person_minutes"] == pytest.approx([0, (9 + 8) / 20, (19 + 18) / 20, (29 + 28) / 20])


def test_of_answers_without_a_time_of_their_own_no_time_is_said(tmp_path: Path) -> None:
    run = compared(made(tmp_path / "run", OracleTeacher(), timed=False))
    assert (run.people[0].minutes, run.minutes, run.people[0].agreement.of) == (None, [], 60)
    assert "nothing is said of time" in run.notes[0]


def test_labels_of_an_export_without_settings_are_compared(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", OracleTeacher())
    (folder / "config.json").unlink()
    export_labels(folder, tmp_path / "export")
    import_labels(tmp_path / "export", tmp_path / "imported")
    run = compared(tmp_path / "imported")
    assert [one.name for one in run.people] == ["person-1"]
    assert run.people[0].minutes == pytest.approx(58 * 3 / 60)
    assert run.data.labels == 60


def test_errors_are_counted_where_they_are_made(tmp_path: Path) -> None:
    """Of one who sees what is clear, and guesses what is not, all errors are of small gaps."""
    [anna] = compared(made(tmp_path / "run", SimulatedTeacher(rationality=4.0), n=300)).people
    shares = [one.value for one in anna.errors if one.of > 10]
    assert shares[0] > 0.2 > 0.02 > shares[-1]


def test_of_a_teacher_no_time_is_said(tmp_path: Path) -> None:
    run = compared(made(tmp_path / "run", OracleTeacher(), by="oracle"))
    assert run.people[0].minutes is None
    assert "person_minutes" not in run.curve
    assert run.people[0].agreement.value == 1


@pytest.mark.parametrize("kind", ["strength", "ranking", "rating"])
def test_other_kinds_of_feedback(kind: str, tmp_path: Path) -> None:
    [anna] = compared(made(tmp_path / "run", SimulatedTeacher(rating_range=(-1.0, 1.0)), kind=kind)).people
    assert anna.fit is not None
    assert anna.fit.kind == kind
    assert anna.agreement.of == {"strength": 60, "ranking": 180, "rating": 0}[kind]
    assert any("None of two clips" in note for note in anna.notes) is (kind == "rating")


@pytest.mark.parametrize(
    ("make", "note"),
    [
        (lambda path: made(path, OracleTeacher(), n=0), "Nobody has answered anything in it"),
        (lambda path: made(path, OracleTeacher(), flat=True), "no true reward that tells clips apart"),
        (
            lambda path: made(path, OracleTeacher(), n=12),
            "No teacher was fitted: A teacher is fitted to 30 answers",
        ),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_shown(
    make: Callable[[Path], Path], note: str, tmp_path: Path
) -> None:
    run = compared(make(tmp_path / "run"))
    assert note in " ".join([*run.notes, *(one for person in run.people for one in person.notes)])
    assert run.curve["true_return"][-1] == -7


def test_the_command_writes_one_page_a_table_and_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [made(tmp_path / "one", SimulatedTeacher()), made(tmp_path / "two", OracleTeacher(), by="oracle")]
    cli.main(["compare", *map(str, runs)])
    out, _ = capsys.readouterr()
    assert out.splitlines()[0].split()[:2] == ["who", "answers"]
    assert re.search(r"one, anna +60 +2\.9 +100 % \[94, 100\]", out)
    page = (tmp_path / "comparison.html").read_text()
    assert out.splitlines()[-1] == str(tmp_path / "comparison.html")
    assert page.count("<svg") == 5
    fetched = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)["']|url\(([^)]+)\)""", page)
    assert [a or b for a, b in fetched if not (a or b).strip("'\"").startswith(("data:", "#"))] == []
    cli.main(["compare", "--json", str(runs[0]), str(runs[0])])
    [one] = json.loads(capsys.readouterr()[0])["runs"]
    assert one["people"][0]["fit"]["settings"]["mistakes"]["value"] < 0.02
    assert one["person_minutes"] == pytest.approx(2.9)


def test_runs_of_several_tasks_and_none(tmp_path: Path) -> None:
    first, second = made(tmp_path / "one", OracleTeacher()), tmp_path / "two"
    RunFolder.create(second, load_preset("gridworld"))
    assert all("Returns of several tasks" in " ".join(run.notes) for run in compare_runs([first, second]))
    with pytest.raises(RunError, match="Nothing is compared without a run"):
        compare_runs([])
    with pytest.raises(RunError, match="is no run"):
        compare_runs([tmp_path])
