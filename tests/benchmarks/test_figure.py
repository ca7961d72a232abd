"""Learning curves, drawn."""

from pathlib import Path
from xml.etree import ElementTree

from benchmarks.tables.figure import arm_name, curve, draw
from benchmarks.tables.plans import ONE_BY_ONE
from benchmarks.tables.rows import Point
from tests.benchmarks.conftest import RUN


def point(**changes: object) -> Point:
    values = {"num_timesteps": 1, "labels_given": 1, "minutes": 1.0, "true_return": 1.0, "metric": None}
    return Point(**RUN | values | changes)


def test_a_curve_is_the_median_in_a_band_of_quartiles() -> None:
    points = [point(seed=seed, num_timesteps=10, true_return=float(seed)) for seed in (1, 2, 3, 4, 10)]
    points += [point(seed=1, num_timesteps=20)]  # one seed of five: left out
    assert curve(points) == ([10], [2.0], [3.0], [4.0])
    metrics = [point(seed=seed, metric=float(seed)) for seed in (1, 3)]
    assert curve(metrics) == ([1], [1.5], [2.0], [2.5])


def test_arms_are_told_apart() -> None:
    arms = [point(), point(labels=1400), point(variant="no L2"), point(reward="true"), point(reward="shuffled")]
    assert [arm_name(arm) for arm in arms] == ["700 labels", "1,400 labels", "no L2", "true", "shuffled"]
    assert arm_name(point(variant=ONE_BY_ONE)) == "700 labels"


def test_the_figure_has_a_panel_per_task_and_is_small(tmp_path: Path) -> None:
    points = [
        point(task=task, reward=reward, seed=seed, num_timesteps=10 * step, true_return=float(seed * step))
        for task in ("hopper", "ant", "swimmer", "reacher")
        for reward in ("preferences", "true")
        for seed in range(5)
        for step in range(40)
    ]
    draw(points, tmp_path / "new" / "a.svg")
    draw(points, tmp_path / "b.svg")
    drawn = (tmp_path / "new" / "a.svg").read_bytes()
    assert drawn == (tmp_path / "b.svg").read_bytes()
    assert len(drawn) < 100_000
    text = "".join(ElementTree.fromstring(drawn).itertext())
    assert all(word in text for word in ("hopper", "ant", "swimmer", "reacher", "700 labels", "true return"))
