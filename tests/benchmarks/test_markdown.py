"""The tables as pages show them."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tables import markdown
from benchmarks.tables.peers import IMITATION
from benchmarks.tables.plans import ONE_BY_ONE
from benchmarks.tables.rows import append
from prefrl.registry import ALGORITHMS
from tests.benchmarks.conftest import MakeRow

ROOT = Path(__file__).parents[2]
BACKFLIP: dict[str, Any] = {
    "task": "hopper-backflip",
    "table": "flagship",
    "metric_name": "backflips",
    "labels": 300,
}


def cells(text: str, first: str) -> list[str]:
    """The cells of the one line that begins so."""
    [line] = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_nothing_is_said_of_what_was_not_run() -> None:
    for name in markdown.FORMS:
        assert markdown.page(name, []) == "Not run yet."


def test_the_flagship_says_who_made_it_and_how_soon(make_row: MakeRow) -> None:
    soon = {"half_labels": 100, "half_minutes": 0.5, "goal_labels": 150, "goal_minutes": 1.0}
    rows = [
        make_row(**BACKFLIP, seed=1, metric=4.0, true_return=50.0, policies=3, training_s=120.0, **soon),
        make_row(
            **BACKFLIP, seed=2, metric=2.0, true_return=100.0, training_s=180.0, **soon | {"goal_labels": 250}
        ),
        make_row(**BACKFLIP, seed=3, metric=1.0, true_return=0.0, training_s=240.0),
        make_row(
            **BACKFLIP | {"labels": 0}, reward="true", metric=5.0, true_return=100.0, **soon | {"goal_labels": 0}
        ),
    ]
    said = markdown.flagship(rows)
    assert cells(said, "hopper-backflip | 300 labels")[2:] == [
        "2 of 3",
        "backflips 2.00 (1.00 – 4.00)",
        "0.50",
        "3.0",
        "100 labels, 0.5 min (2 of 3)",
        "200 labels, 1.0 min (2 of 3)",
        "1",
    ]
    assert cells(said, "hopper-backflip | true reward")[2:5] == ["1 of 1", "backflips 5.00 (5.00 – 5.00)", "1.00"]
    assert cells(said, "hopper-backflip | true reward")[7] == "1.0 min"


def test_the_paper_table_has_shares_and_their_interquartile_mean(make_row: MakeRow) -> None:
    rows = []
    for task in ("hopper", "ant"):
        rows += [make_row(task=task, reward="true", labels=0, seed=seed, true_return=100.0) for seed in range(4)]
        rows += [make_row(task=task, labels=200, seed=seed, true_return=80.0) for seed in range(4)]
        rows += [
            make_row(task=task, labels=700, seed=s, true_return=v)
            for s, v in enumerate((80.0, 90.0, 110.0, 120.0))
        ]
    rows += [make_row(algo="a2c", true_return=10.0)]
    said = markdown.paper(rows)
    assert cells(said, "ant")[1:] == ["0.80 (0.80 – 0.80)", "1.00 (0.80 – 1.20)", "1.00 (1.00 – 1.00)"]
    overall = cells(said.split("**A2C**")[0], "**interquartile mean**")
    assert overall[1] == "0.80 (95 %: 0.80 – 0.80)"
    assert overall[2].startswith("1.00 (95 %: 0.")
    assert cells(said.split("**A2C**")[1], "hopper")[1:] == [""]
    assert "| 200 labels | 700 labels | true reward |" in said


def test_reliability_counts_runs_below_half_of_the_median(make_row: MakeRow) -> None:
    rows = [make_row(seed=seed, true_return=value) for seed, value in enumerate((100.0, 110.0, 49.0, 50.0, 100.0))]
    assert cells(markdown.reliability(rows), "hopper | 700 labels")[2:] == ["100", "49", "110", "1 of 5"]


def test_algorithms_have_a_line_per_task_with_both_arms(make_row: MakeRow) -> None:
    rows = [
        *(make_row(algo="sac", seed=s, true_return=v, training_s=60.0) for s, v in enumerate((50.0, 70.0, 90.0))),
        make_row(algo="sac", reward="true", labels=0, true_return=100.0, training_s=50.0),
        make_row(algo="sac", task="pendulum", true_return=-150.0),
        make_row(algo="ppo", true_return=10.0),
    ]
    said = markdown.algorithms(rows)
    sac = cells(said, "hopper | `sac`")
    assert sac[3:] == ["70.00 (50.00 – 90.00)", "100.00 (100.00 – 100.00)", "0.70", "60", "50"]
    assert cells(said, "pendulum | `sac`")[4:6] == ["", ""]
    assert cells(said, "hopper | `ppo`")[5] == ""


def test_the_list_of_algorithms_has_what_there_is_with_what_was_run(make_row: MakeRow) -> None:
    rows = [
        *(
            make_row(algo="sac", task="halfcheetah", seed=s, true_return=v)
            for s, v in enumerate((500.0, 700.0, 1900.0))
        ),
        make_row(algo="sac", task="halfcheetah", reward="true", labels=0, true_return=1000.0),
        make_row(algo="dqn", task="cartpole", true_return=150.0),
    ]
    said = markdown.algorithms_there_are(rows)
    assert cells(said, "`sac`")[1:] == ["Stable-Baselines3's SAC", "a replay buffer", "", "", "700 / 1,000"]
    assert cells(said, "`dqn`")[3:] == ["", "150 / –", ""]
    assert cells(said, "`trpo`")[1:3] == ["prefrl's EntropyTRPO", "rollouts"]
    assert len(said.splitlines()) == 2 + len(ALGORITHMS)


def test_bpref_has_returns_and_shares_beside_what_was_published(make_row: MakeRow) -> None:
    walker = {"task": "walker-walk", "algo": "sac"}
    rows = [
        *(make_row(**walker, labels=500, seed=s, true_return=v) for s, v in enumerate((700.0, 800.0))),
        make_row(**walker, labels=100, true_return=450.0, training_s=1800.0),
        make_row(**walker, reward="true", labels=0, true_return=1000.0),
    ]
    said = markdown.bpref(rows)
    of_500 = cells(said, "walker-walk | 500 labels")
    assert of_500[2:6] == ["500,000", "750 (700 – 800)", "0.75", "PEBBLE 0.955 of true reward"]
    of_100 = cells(said, "walker-walk | 100 labels")
    assert (of_100[4], of_100[6]) == ("0.45", "1,800")
    assert "PPE 908" in of_100[5]
    assert cells(said, "walker-walk | true reward")[4:6] == ["1.00", ""]


def test_feedback_has_a_line_per_kind_and_number_of_labels(make_row: MakeRow) -> None:
    rows = [make_row(variant="erring pairs", seed=seed, true_return=10.0 * seed) for seed in (1, 2, 4)]
    rows += [make_row(variant="erring strengths", labels=560, true_return=30.0)]
    said = markdown.feedback(rows)
    assert said.splitlines()[2:] == [
        "| hopper | pairs | 700 | 20.00 (10.00 – 40.00) | 3 |",
        "| hopper | strengths | 560 | 30.00 (30.00 – 30.00) | 1 |",
    ]


def test_ablations_have_a_line_per_variant(make_row: MakeRow) -> None:
    rows = [
        make_row(reward="true", labels=0, true_return=10.0),
        make_row(true_return=9.0),
        make_row(variant="no L2", true_return=5.0),
    ]
    said = markdown.ablations(rows)
    assert cells(said, "the preset") == ["the preset", "0.90 (0.90 – 0.90)"]
    assert cells(said, "no L2") == ["no L2", "0.50 (0.50 – 0.50)"]
    assert len(said.splitlines()) == 4


def test_variants_have_a_line_each_and_a_column_for_each_task_and_budget(make_row: MakeRow) -> None:
    rows = [
        make_row(reward="true", labels=0, true_return=10.0),
        make_row(reward="true", labels=0, true_return=20.0, task="halfcheetah"),
        make_row(labels=200, true_return=5.0),
        make_row(labels=700, true_return=9.0),
        make_row(labels=700, true_return=16.0, task="halfcheetah"),
        make_row(labels=700, true_return=4.0, variant="B-Pref's mistake"),
    ]
    said = markdown.teachers(rows)
    assert said.splitlines()[0] == (
        "|  | hopper, 200 | halfcheetah, 200 | **interquartile mean**, 200 | hopper, 700 | halfcheetah, 700 | "
        "**interquartile mean**, 700 |"
    )
    first = ["0.50 (0.50 – 0.50)", "", "0.50", "0.90 (0.90 – 0.90)", "0.80 (0.80 – 0.80)", "0.85"]
    assert cells(said, "oracle") == ["oracle", *first]
    assert cells(said, "mistake") == ["mistake", "", "", "", "0.40 (0.40 – 0.40)", "", "0.40"]
    assert len(said.splitlines()) == 4
    flips = [make_row(**BACKFLIP | {"labels": 100, "variant": "spread queries"}, metric=2.5)]
    assert cells(markdown.asking(flips), "spread") == ["spread", "1 of 1 made it", ""]


def test_label_efficiency_has_a_line_per_number_of_labels(make_row: MakeRow) -> None:
    rows = [
        make_row(reward="true", labels=0, true_return=10.0),
        make_row(labels=25, true_return=4.0),
        make_row(labels=100, true_return=8.0),
        make_row(**BACKFLIP | {"labels": 100}, metric=2.5),
    ]
    said = markdown.label_efficiency(rows)
    assert cells(said, "25") == ["25", "0.40 (0.40 – 0.40)", ""]
    assert cells(said, "100") == ["100", "0.80 (0.80 – 0.80)", "1 of 1 made it"]


def test_systems_stand_side_by_side_each_with_its_own_share(make_row: MakeRow) -> None:
    rows = [
        make_row(reward="true", labels=0, true_return=2000.0, variant=ONE_BY_ONE),
        make_row(true_return=1500.0, variant=ONE_BY_ONE, agent_steps=503_808),
        make_row(reward="true", labels=0, true_return=1000.0, variant=IMITATION),
        make_row(true_return=250.0, variant=IMITATION, training_s=300.0, refit_s=100.0, peak_mb=None),
    ]
    said = markdown.imitation(rows).splitlines()[2:]
    assert [line.strip("| ").split(" | ")[1:] for line in said] == [
        ["prefrl", "700 labels", "1,500 (1,500 – 1,500)", "0.75", "503,808", "120", "6", "500"],
        ["imitation 1.0.1", "700 labels", "250 (250 – 250)", "0.25", "", "300", "100"],
        ["prefrl", "true reward", "2,000 (2,000 – 2,000)", "1.00", "", "120", "6", "500"],
        ["imitation 1.0.1", "true reward", "1,000 (1,000 – 1,000)", "1.00", "", "120", "6", "500"],
    ]


def test_pendulum_counts_what_is_above_the_threshold(make_row: MakeRow) -> None:
    rows = [make_row(task="pendulum", seed=s, true_return=v) for s, v in enumerate((-150.0, -200.0, -160.0))]
    assert cells(markdown.pendulum(rows), "700 labels")[1:] == ["-170.0", "-160.0", "-200.0", "2 of 3"]


def test_several_revisions_are_told_of(make_row: MakeRow) -> None:
    rows = [make_row(seed=seed) for seed in (100, 101, 102)]
    assert markdown.note("paper", rows) == "3 of 200 runs so far, at revision abc"
    rows.append(make_row(seed=103, revision="def+"))
    assert markdown.note("paper", rows) == "4 of 200 runs so far, not all with the same code: 3 at abc, 1 at def+"
    assert markdown.page("paper", rows).endswith(
        "\n\n*4 of 200 runs so far, not all with the same code: 3 at abc, 1 at def+.*"
    )


def test_another_systems_code_is_another(make_row: MakeRow) -> None:
    rows = [make_row(variant=ONE_BY_ONE), make_row(variant=IMITATION, revision="def")]
    assert markdown.note("imitation", rows) == "2 of 36 runs so far, at revision abc; imitation's at revision def"


def test_different_stepping_is_told_of(make_row: MakeRow) -> None:
    rows = [make_row(seed=1), make_row(seed=2, stepping="envpool")]
    assert markdown.note("paper", rows) == "2 of 200 runs so far, at revision abc"
    rows.append(make_row(seed=3, stepping="sb3"))
    assert markdown.note("paper", rows).endswith(
        "; not all stepped in the same way: 1 unknown, 1 by envpool, 1 by sb3"
    )


def test_the_short_table_has_behaviours_and_the_tasks_together(make_row: MakeRow) -> None:
    behaviours = [
        make_row(**BACKFLIP, metric=4.0),
        make_row(**BACKFLIP | {"labels": 0}, reward="true", metric=4.0),
    ]
    tasks = [
        make_row(task=task, seed=seed, reward=reward, labels=labels)
        for task in ("hopper", "ant")
        for seed in (1, 2)
        for reward, labels in (("preferences", 700), ("true", 0))
    ]
    said = markdown.short(behaviours, tasks)
    assert cells(said, "`hopper-backflip`") == ["`hopper-backflip`", "300", "2.0", "1 of 1", "1.00"]
    assert cells(said, "2 of the paper's MuJoCo tasks")[1:] == ["700", "2.0", "", "1.00 (95 %: 1.00 – 1.00)"]
    assert len(said.splitlines()) == 6
    behaviours_said, tasks_said = markdown.note("flagship", behaviours), markdown.note("paper", tasks)
    assert said.endswith(f"\n\n*Behaviours: {behaviours_said}. The paper's tasks: {tasks_said}.*")


def test_the_short_table_counts_tasks_that_have_a_share(make_row: MakeRow) -> None:
    tasks = [make_row(task="hopper", reward="true", labels=0)]
    tasks += [make_row(task=task, training_s=s) for task, s in (("hopper", 60.0), ("ant", 600.0))]
    tasks += [make_row(task="ant", labels=200)]
    said = markdown.short([], tasks)
    assert cells(said, "1 of the paper's MuJoCo tasks")[1:] == ["700", "1.0", "", "1.00"]
    assert len(said.splitlines()) == 5  # nothing of the 200 labels
    assert said.endswith("*Behaviours: not run yet. The paper's tasks: 4 of 200 runs so far, at revision abc.*")


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "benchmark_tables.py"))


def test_earlier_results_stay_until_the_new_ones_are_there(
    tool: dict[str, Any], make_row: MakeRow, tmp_path: Path
) -> None:
    assert tool["earlier_page"](tmp_path).startswith("## Earlier results\n")
    source = "`git_revision` in `benchmarks/results/learning.csv`"
    origin = f"with 18 states of the code ({source}), seeds from 0 on in order"
    assert tool["short_page"](tmp_path).startswith(f"Earlier, {origin}:\n")
    assert f"\n\nMade {origin}.\n\n" in tool["earlier_page"](tmp_path)
    plans = {name: plan() for name, plan in tool["PLANS"].items()}
    append(tmp_path / "flagship.csv", [make_row(**vars(run) | {"metric": 1.0}) for run in plans["flagship"]])
    assert "| `hopper-backflip` | 300 |" in tool["short_page"](tmp_path)
    assert tool["earlier_page"](tmp_path) != ""
    append(tmp_path / "paper.csv", [make_row(**vars(run)) for run in plans["paper"]])
    assert tool["earlier_page"](tmp_path) == ""


def test_every_table_has_its_place_in_the_pages(tool: dict[str, Any]) -> None:
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in tool["PAGES"])
    for name in tool["TABLES"]:
        assert text.count(f"<!-- {name} results: start -->\n") == 1
        assert text.count(f"<!-- {name} results: end -->\n") == 1
