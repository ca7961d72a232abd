"""`--teacher like:RUN`: whoever answered in a run is played in another, which needs the first no more."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.cli.parsing import train_settings
from prefrl.config import RunConfig, load_preset
from prefrl.errors import PrefRLError
from prefrl.feedback import SimulatedTeacher
from prefrl.feedback.teachers import ask
from prefrl.runs import RunFolder
from prefrl.runs.fitted_teacher import fit_run, remembered
from prefrl.segments import Query, Segment, feedback_kind
from prefrl.store import NewAnswer, Store
from prefrl.store.runs import RunAbout


def asked(n: int, n_clips: int = 2) -> list[Query]:
    rng = np.random.default_rng(3)
    rewards = rng.normal(rng.normal(size=(n, n_clips, 1)), 1, size=(n, n_clips, 5))
    return [
        Query(
            segments=tuple(
                Segment(observations=np.full((5, 1), place), actions=np.zeros(5), env_rewards=own, env_index=place)
                for place, own in enumerate(clips)
            ),
            ordinal=ordinal,
        )
        for ordinal, clips in enumerate(rewards)
    ]


def answered(
    path: Path, teacher: SimulatedTeacher, *, n: int = 200, who: str = "anna", kind: str = "pair"
) -> Path:
    """A run in which somebody answers as that teacher would, with the sides of every second query swapped."""
    if not path.exists():
        RunFolder.create(path, load_preset("pendulum", teacher="human"))
    from gymnasium import spaces

    with Store(path) as store:
        space = spaces.Box(-1, 1, (1,))
        run = store.newest_run() or store.begin_run(RunAbout.of(space, space, segment_length=5))
        queries = store.add_queries(asked(n), run=run, overlap=2)
        said = []
        for place, query in enumerate(queries):
            swapped = place % 2 == 1
            segments = query.segments[::-1] if swapped else query.segments
            shown = ask(teacher, feedback_kind(kind), Query(segments=segments, ordinal=query.ordinal))
            said.append(
                NewAnswer(
                    id=f"{who}:{place}",
                    query_id=query.id,
                    answer=shown.turned_round if swapped else shown,
                    labeler=who,
                    sides_swapped=swapped,
                    kind=kind,
                )
            )
        store.add_answers(said)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of somebody who presses left in a third of the pairs, and slips in some."""
    return answered(tmp_path_factory.mktemp("like") / "run", SimulatedTeacher(first_bias=0.35, mistakes=0.1))


def test_what_was_said_is_remembered_as_it_was_shown(run: Path) -> None:
    with Store(run) as store:
        answers = remembered(store)
    assert len(answers) == 200
    assert all(segment.observations.size == 0 for one in answers for segment in one.query.segments)
    assert fit_run(run).intervals["first_bias"].low > 0.2, "of the left side, and not of the first of a query"


def test_it_is_played_by_its_settings_alone(run: Path) -> None:
    _, config = train_settings(["pendulum", "--teacher", f"like:{run}", "--labels", "50"])
    assert config.teacher == "simulated"
    assert config.labels == 50
    found = fit_run(run).settings()
    assert {name: config.teacher_settings[name] for name in found} == found
    assert 0.2 < config.teacher_settings["first_bias"] < 0.5
    kept = RunConfig.from_saved(json.loads(json.dumps(config.to_json())))
    assert kept.teacher_settings == config.teacher_settings, "a resumed run reads them in its own file"
    assert train_settings(["pendulum", f"--teacher=like:{run}"])[1].teacher == "simulated"


def test_what_was_found_to_be_none_replaces_what_a_file_says(run: Path, tmp_path: Path) -> None:
    never = answered(tmp_path / "run", SimulatedTeacher(rationality=5.0))
    (tmp_path / "own.yaml").write_text("teacher_settings: {cannot_tell: 0.3, skip_below: -2.0, discount: 0.9}")
    arguments = ["pendulum", "--teacher", f"like:{never}", "--config", str(tmp_path / "own.yaml")]
    found = train_settings(arguments)[1].teacher_settings
    assert found.keys().isdisjoint({"cannot_tell", "skip_below"})
    assert found["discount"] == 0.9, "which is not fitted"


def test_rewards_of_one_task_are_not_those_of_another(run: Path, tmp_path: Path) -> None:
    assert train_settings(["cartpole", "--teacher", f"like:{run}"])[1].task == "cartpole", "it goes by none"
    skips = answered(tmp_path / "run", SimulatedTeacher(skip_below=-0.5))
    assert "skip_below" in train_settings(["pendulum", "--teacher", f"like:{skips}"])[1].teacher_settings
    with pytest.raises(PrefRLError, match="in cartpole: its `skip_below` is a reward of pendulum"):
        train_settings(["cartpole", "--teacher", f"like:{skips}"])


def test_whose_answers_are_set_aside_is_not_in_it(run: Path, tmp_path: Path) -> None:
    both = answered(tmp_path / "both", SimulatedTeacher(rationality=5.0))
    before = fit_run(both).settings()
    answered(both, SimulatedTeacher(mistakes=1.0, rationality=5.0), who="foe")
    with Store(both) as store:
        store.set_aside("foe")
    assert fit_run(both).settings() == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "is no run"),
        (lambda path: RunFolder.create(path, load_preset("pendulum")).path, "nobody was asked anything"),
        (lambda path: answered(path, SimulatedTeacher(), n=20), "30 answers or more.*Received 20"),
        (lambda path: answered(path, SimulatedTeacher(), n=0), "Nobody has said anything"),
    ],
)
def test_what_nobody_can_be_like(make: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    make(tmp_path / "run")
    with pytest.raises(PrefRLError, match=message):
        train_settings(["pendulum", "--teacher", f"like:{tmp_path / 'run'}"])
