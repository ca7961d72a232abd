"""Whole sessions of people with known faults, through the page's own interface: `prefrl compare` finds them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.config import load_preset
from prefrl.feedback import SimulatedTeacher
from prefrl.feedback.teachers import ask
from prefrl.report.comparison import compared
from prefrl.segments import Answer, Query, Segment, feedback_kind

CHOICES = {
    Answer.FIRST: "left",
    Answer.SECOND: "right",
    Answer.EQUAL: "equal",
    Answer.CANNOT_TELL: "cannot_tell",
}
N_ANSWERS = 300
FAULTS: dict[str, dict[str, Any]] = {
    "slips": {"mistakes": 0.2},
    "sees badly": {"rationality": 2.0},
    "leans to the left": {"first_bias": 0.3, "mistakes": 0.05},
    "is careful": {"equal_below": 0.5, "cannot_tell": 0.15},
}


@pytest.mark.slow
@pytest.mark.parametrize("who", list(FAULTS))
def test_faults_come_back_within_their_intervals(
    who: str,
    make_run: Callable[..., Path],
    serve_here: Callable[..., Any],
    claimed: Callable[..., list[dict[str, Any]]],
    said: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    teacher = SimulatedTeacher(**FAULTS[who], seed=5)
    run = make_run(tmp_path / "run", n_queries=N_ANSWERS, task="pendulum", segment_length=10, n_labels=400)
    config = load_preset("pendulum", teacher="human").to_json()
    (run / "config.json").write_text(json.dumps({"config": config}))
    served = serve_here(run)
    client = served.join("Ada")
    known: dict[str, Segment] = {}
    for number in range(N_ANSWERS):
        [pair] = claimed(client)
        known |= {segment.id: segment for segment in served.store.query(pair["query_id"]).segments}
        shown = tuple(known[Path(clip["clip"]).stem] for clip in pair["clips"])  # as on the screen
        answer = ask(teacher, feedback_kind("pair"), Query(segments=shown, ordinal=number))
        assert isinstance(answer, Answer)
        said(client, pair["query_id"], CHOICES[answer], client_time=1_700_000_000_000 + 3000 * number)
    found = compared(run)
    [person] = found.people
    assert (person.name, person.n_answers) == ("Ada", N_ANSWERS)
    assert person.minutes == pytest.approx(3 * (N_ANSWERS - 1) / 60)
    assert person.seconds_each == pytest.approx(3)
    assert person.fit is not None
    for name in ("mistakes", "rationality", "first_bias", "equal_below", "cannot_tell"):
        interval, truth = person.fit.intervals[name], getattr(teacher, name)
        assert interval.low - 1e-9 <= truth <= interval.high + 1e-9, (name, interval)
    has_faults = [name for name in FAULTS[who] if name not in ("rationality", "equal_below")]
    assert all(person.fit.intervals[name].low > 0 for name in has_faults), "and none is taken for chance"
    if who == "leans to the left":
        assert person.left.value > 0.58
