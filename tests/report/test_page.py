"""The report of a run: one page that stands alone, and its figures as tables."""

import csv
import html
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.config import RunConfig, load_preset
from prefrl.errors import RunError
from prefrl.report import write_report
from prefrl.runs import TrainingProgress, start

MakeConfig = Callable[..., RunConfig]


def trained(folder: Path, *, kind: str = "pair", **changes: Any) -> Path:
    """A whole run of a few hundred steps, with its report."""
    values = load_preset("pendulum").to_json()
    values |= {"total_timesteps": 640, "labels": 24, "segment_length": 8, "evaluation_episodes": 2} | changes
    values["feedback"] |= {"initial_timesteps": 128, "labels_per_round": 4, "recorder_steps": 80, "kind": kind}
    values["reward_model"] |= {"hidden_sizes": [16], "first_epochs": 3, "epochs": 2, "batch_size": 8}
    values["agent"] |= {"n_envs": 2, "hidden_sizes": [16]}
    values["agent"]["settings"] |= {"n_steps": 32, "batch_size": 64, "n_epochs": 2}
    start(RunConfig.from_json(values), folder, ignore)
    write_report([folder])
    return folder


def ignore(progress: TrainingProgress) -> None:
    pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned from preferences; tests that change it copy it."""
    return trained(tmp_path_factory.mktemp("runs") / "learned")


@pytest.fixture(scope="module")
def true_reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned from the true reward."""
    return trained(tmp_path_factory.mktemp("runs") / "true", reward="true")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_needs_nothing_from_outside(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    # Namespaces and licence notes inside SVG are names, not requests; what a browser would fetch is checked.
    fetched = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)["']|url\(([^)]+)\)""", page)
    assert [a or b for a, b in fetched if not (a or b).strip("'\"").startswith(("data:", "#"))] == []
    assert len(page) < 3_000_000


def test_the_page_shows_the_clip_and_the_figures(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert page.count("<video") >= 2, "the policy's clip and clips of labelled pairs"
    assert page.count("<svg") >= 5
    assert "24" in page


def test_how_sure_the_reward_was_is_drawn_from_new_comparisons(finished: Path) -> None:
    bins = rows(finished / "report" / "calibration.csv")
    answers = rows(finished / "report" / "answers.csv")
    first_round = sum(row["num_timesteps"] == answers[0]["num_timesteps"] for row in answers)
    decided = sum(row["answer"] != "equal" for row in answers[first_round:])
    assert sum(int(row["pairs"]) for row in bins) == decided > 10
    for row in bins:
        assert 0.5 <= float(row["confidence"]) <= 0.95, "as sure as answers with errors let it be"
        assert float(row["accuracy"]) == int(row["right"]) / int(row["pairs"])
    page = (finished / "report.html").read_text()
    assert ">How sure the reward is, and how right<" in page
    assert f"{decided} pairs, expected calibration error 0." in page


def test_answers_are_counted_over_steps(finished: Path) -> None:
    tables = {path.stem: rows(path) for path in (finished / "report").glob("*.csv")}
    assert tables, "no table was written"
    answers = next(table for name, table in tables.items() if "answer" in name)
    assert len(answers) >= 1
    last = {key: float(value) for key, value in answers[-1].items() if _is_number(value)}
    assert 24.0 in last.values(), f"24 labels were asked, the table ends with {last}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_a_guess_among_more_than_two_answers_has_no_line(finished: Path, tmp_path: Path) -> None:
    pairs = (finished / "report.html").read_text()
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    description = json.loads((run / "config.json").read_text())
    description["config"]["feedback"]["kind"] = "strength"
    (run / "config.json").write_text(json.dumps(description))
    strengths = write_report([run]).read_text()
    assert pairs.count("guessing") == 2 * strengths.count("guessing") > 0, "that of the accuracy stays"


def test_rankings_are_shown_with_all_their_clips(finished: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "ranked", kind="ranking")
    page = html.unescape((run / "report.html").read_text())
    assert re.search(r"oracle: (\d) > (?!\1)\d > \d > \d", page)
    for number in range(1, 5):
        assert page.count(f">{number}</span>") + page.count(f">{number} ✓</span>") >= 4, (
            "of every labelled ranking"
        )
    assert re.search(r"The learned reward ranks them \d [>=] \d [>=] \d [>=] \d\. True returns: ", page)
    assert "100 % ranked" in page
    assert page.count("guessing") == (finished / "report.html").read_text().count("guessing"), (
        "of each two the same"
    )
    assert {row["side"] for row in rows(run / "report" / "example_rewards.csv")} == {"1", "2", "3", "4"}
    assert any(" > " in row["answer"] for row in rows(run / "report" / "answers.csv"))


def test_ratings_are_shown_with_their_clip(finished: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "rated", kind="rating", teacher_settings={"rating_range": [-10, 0]})
    page = html.unescape((run / "report.html").read_text())
    assert re.search(r"oracle: [1-5] of 5", page)
    assert re.search(r"\d+ % rated [1-5] of 5", page)
    assert "ranked" not in page
    assert page.count("guessing") < (finished / "report.html").read_text().count("guessing"), (
        "that of the accuracy stays"
    )
    assert re.search(r"The learned reward predicts a return of [−-]?[\d.,]+\. True return: [−-]?[\d.,]+\.", page)
    assert {row["side"] for row in rows(run / "report" / "example_rewards.csv")} == {"1"}
    assert {row["answer"] for row in rows(run / "report" / "answers.csv")} <= {f"{n} of 5" for n in range(1, 6)}


def test_true_return_in_the_table_is_that_of_the_log(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "log" / "metrics.jsonl").read_text().splitlines()]
    logged = [line["rollout/ep_rew_mean"] for line in lines if "rollout/ep_rew_mean" in line]
    tables = [rows(path) for path in (finished / "report").glob("*.csv")]
    shown = [
        [float(row["true_return"]) for row in table if row["true_return"]]
        for table in tables
        if table and "true_return" in table[0]
    ]
    assert logged
    assert any(values == pytest.approx(logged) for values in shown)


def test_a_measure_of_the_reward_that_nothing_else_draws_has_a_panel(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    log = run / "log" / "metrics.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        line |= {"reward_model/made_up_here": 1.25} if "reward_model/l2" in line else {}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = write_report([run]).read_text()
    assert ">Made up here<" in page
    assert {row["made_up_here"] for row in rows(run / "report" / "other_measures.csv")} == {"1.25"}
    assert page.count("<svg") == (finished / "report.html").read_text().count("<svg") + 1


def test_what_happened_to_the_policies_is_said_and_drawn(tmp_path: Path) -> None:
    run = trained(
        tmp_path / "run", time_limit=16, restarts={"window_share": 0.1, "patience": 1, "least_gain": 9.0}
    )
    page = (run / "report.html").read_text()
    assert re.search(r"Step \d+: Policy 1 has got no better since step \d+", page)
    assert "policy 2, a fresh one, takes its place" in page
    assert ">What the policy gained<" in page
    numbers = [float(row["number"]) for row in rows(run / "report" / "policy.csv")]
    assert numbers[0] == 1
    assert max(numbers) == 3


def test_a_run_on_the_true_reward_has_no_labels(true_reward: Path) -> None:
    page = (true_reward / "report.html").read_text()
    assert "Predicted return over steps" not in page
    assert "true reward" in page
    assert "Held-out accuracy" not in page


def test_runs_side_by_side(finished: Path, true_reward: Path, tmp_path: Path) -> None:
    page = write_report([finished, true_reward], tmp_path / "both.html")
    text = page.read_text()
    assert page == tmp_path / "both.html"
    assert finished.name in text
    assert true_reward.name in text


def test_a_line_cut_short_is_left_out(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "torn"
    shutil.copytree(finished, run)
    with (run / "log" / "metrics.jsonl").open("a") as file:
        file.write('{"time/total_timesteps": 99999, "rollout/ep_rew')
    write_report([run])
    assert "99999" not in (run / "report.html").read_text()
    assert "99,999" not in (run / "report.html").read_text()


def test_an_unfinished_run_says_so(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "unfinished"
    shutil.copytree(finished, run)
    for name in ("evaluation.json", "evaluation_states.safetensors", "clip.mp4"):
        (run / name).unlink()
    write_report([run])
    whole, partial = (path.joinpath("report.html").read_text() for path in (finished, run))
    assert "evaluat" in partial
    assert partial.count("<video") < whole.count("<video")


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run"):
        write_report([tmp_path])


def edited_config(run: Path) -> None:
    description = json.loads((run / "config.json").read_text())
    description["config"]["algo"] = "a2c"
    (run / "config.json").write_text(json.dumps(description))


def damaged_checkpoint(run: Path) -> None:
    newest = max((run / "checkpoints").iterdir())
    (newest / "state.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (edited_config, "`algo` (from &#39;ppo&#39; to &#39;a2c&#39;) cannot change in the middle of a run"),
        (damaged_checkpoint, "is damaged (state.json was changed or cut short)"),
    ],
)
def test_what_does_not_fit_the_checkpoint_is_said(
    damage: Callable[[Path], None], words: str, finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    damage(run)
    page = write_report([run]).read_text()
    assert words in page


def test_metrics_of_earlier_versions_have_their_present_names(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    evaluation = json.loads((run / "evaluation.json").read_text())
    evaluation["metrics"] = {"backflips_per_episode": 2.5, "drift_per_episode": 1.25}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    page = write_report([run]).read_text()
    assert "2.5 backflips per episode, 1.25 drift" in page
    assert "drift per episode" not in page


@pytest.mark.parametrize(("metrics", "learned"), [({"backflips_per_episode": 1.0}, True), ({"drift": 3.0}, False)])
def test_only_what_is_counted_is_said_to_be_learned(
    metrics: dict[str, float], learned: bool, finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    evaluation = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(evaluation | {"metrics": metrics}))
    assert ("Pendulum learned:" in write_report([run]).read_text()) is learned
