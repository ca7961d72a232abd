"""A new run that begins with the labels of another one."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefrl.cli.commands import _summary
from prefrl.config import RunConfig, load_preset
from prefrl.errors import InterruptedRunError, PrefRLError, RunError, SettingError
from prefrl.report import write_report
from prefrl.report.comparison import compared
from prefrl.runs import RunFolder, TrainingProgress, hackcheck, refit, resume, start, training
from prefrl.runs.metrics_log import read_metrics
from prefrl.runs.refit import label_seqs
from prefrl.settings import RewardSettings
from prefrl.store import Store
from tests.runs.conftest import small_config_of
from tests.runs.test_resume import Killed, assert_same, killed_at, outcome

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 24 labels."""
    run = tmp_path_factory.mktemp("source") / "first"
    start(small_config_of("pendulum"), run, lambda progress: None)
    return run


@pytest.fixture(autouse=True)
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of the log for each rollout."""
    monkeypatch.setattr(training, "LOG_EVERY", 64)
    monkeypatch.setattr(training, "LINES_AT_LEAST", 1)


def test_whether_its_reward_is_exploited_can_be_checked(
    source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    start(small_config("pendulum", from_labels=str(source), labels=0), tmp_path / "run", quiet)

    def stop(progress: TrainingProgress) -> None:
        raise InterruptedRunError("enough")

    with pytest.raises(InterruptedRunError):
        hackcheck(RunFolder(tmp_path / "run"), stop, labels=20)
    frozen = RunFolder.open(tmp_path / "run" / "hackcheck" / "20" / "frozen").config()
    assert (frozen.reward, frozen.from_labels) == ("saved", "")


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_the_reward_is_learned_before_the_first_step_and_nothing_is_asked(
    algo: str, source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config("pendulum", algo, from_labels=str(source), labels=0)
    result = start(config, tmp_path / "run", quiet)
    assert (result["labels"], result["labels_before"]) == (0, 24)
    with Store(tmp_path / "run") as store, Store(source) as old:
        assert [run.n_comparisons for run in store.runs()] == [24, 0]
        assert store.counts().queries == old.counts().queries
        assert [run.about.origin for run in store.runs() if run.about] == [str(source), ""]
        assert {str(one.segments[0].id) for one in store.comparisons()} == {
            str(one.segments[0].id) for one in old.comparisons()
        }
    lines = read_metrics(RunFolder(tmp_path / "run").metrics)
    paid = [line["rollout/ep_predicted_rew_mean"] for line in lines if "rollout/ep_predicted_rew_mean" in line]
    assert paid
    assert all(value != 0 for value in paid)  # of the first steps, too
    page = write_report([tmp_path / "run"]).read_text()
    assert "24 comparisons of another run" in page
    assert "0 comparisons and" not in page
    assert len({line["reward_model/train_loss"] for line in lines if "reward_model/train_loss" in line}) == 1


def test_further_questions_come_on_top(
    source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config("pendulum", from_labels=str(source), labels=8, seed=3)
    result = start(config, tmp_path / "run", quiet)
    assert (result["labels"], result["labels_before"]) == (8, 24)
    folder = RunFolder(tmp_path / "run")
    assert len(label_seqs(folder)) == 32
    found = refit(folder, RewardSettings(hidden_sizes=(8,), first_epochs=1), n_folds=2)
    assert found["labels"] == 32
    page = write_report([tmp_path / "run"]).read_text()
    assert f"of 8, after 24 of {source}; oracle teacher" in page
    assert "8 comparisons and 24 of another run" in page
    assert any("learned 24 labels of" in note for note in compared(tmp_path / "run").notes)
    assert ", 8 labels and 24 of another run, " in _summary(result)
    assert ", 24 labels of another run, " in _summary(result | {"labels": 0})
    assert ", 8 labels, " in _summary(result | {"labels_before": 0})


@pytest.mark.usefixtures("train_only")
@pytest.mark.parametrize(("steps", "labels"), [(64, 0), (64, 12), (448, 12)])  # first checkpoint: at 128
def test_one_that_was_killed_ends_as_one_that_was_not(
    steps: int, labels: int, source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config("pendulum", from_labels=str(source), labels=labels, seed=1)
    start(config, tmp_path / "whole", quiet)
    with pytest.raises(Killed):
        start(config, tmp_path / "killed", killed_at(steps))
    resume(tmp_path / "killed", quiet)
    assert_same(outcome(tmp_path / "whole"), outcome(tmp_path / "killed"))


@pytest.mark.usefixtures("train_only")
def test_the_source_is_not_needed_any_more(
    source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    passing = shutil.copytree(source, tmp_path / "passing")
    config = small_config("pendulum", from_labels=str(passing), labels=0)
    with pytest.raises(Killed):
        start(config, tmp_path / "run", killed_at(64))
    shutil.rmtree(passing)
    resume(tmp_path / "run", quiet)
    assert len(label_seqs(RunFolder(tmp_path / "run"))) == 24


@pytest.mark.usefixtures("train_only")
def test_one_that_died_between_copying_and_beginning_begins(
    source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config("pendulum", from_labels=str(source), labels=0)
    start(config, tmp_path / "whole", quiet)

    def dies(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(training, "_preferences", dies)
        patched.setattr(RunFolder, "discard", lambda folder: None)
        with pytest.raises(Killed):
            start(config, tmp_path / "run", quiet)
    resume(tmp_path / "run", quiet)
    assert_same(outcome(tmp_path / "whole"), outcome(tmp_path / "run"))


@pytest.mark.usefixtures("train_only")
def test_a_run_of_a_run_learns_from_both(
    source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    second = small_config("pendulum", from_labels=str(source), labels=8, seed=1)
    start(second, tmp_path / "second", quiet)
    third = replace(second, from_labels=str(tmp_path / "second"), labels=0, seed=2)
    with pytest.raises(Killed):
        start(third, tmp_path / "third", killed_at(64))
    resume(tmp_path / "third", quiet)
    assert len(label_seqs(RunFolder(tmp_path / "third"))) == 32
    with Store(tmp_path / "third") as store:
        assert [run.about.learns_from for run in store.runs() if run.about] == [(), (1,), (1, 2)]


@pytest.mark.usefixtures("train_only")
def test_a_finished_one_is_extended_by_questions(
    source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    start(small_config("pendulum", from_labels=str(source), labels=0), tmp_path / "run", quiet)
    with pytest.raises(RunError, match="say by how many it goes on"):
        resume(tmp_path / "run", quiet, labels=8)
    resume(tmp_path / "run", quiet, labels=8, total_timesteps=1280)
    with Store(tmp_path / "run") as store:
        assert [run.n_comparisons for run in store.runs()] == [24, 8]


def test_rankings_of_the_source_are_learned_beside_pairs(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    ranked = small_config("pendulum", feedback={"kind": "ranking", "ranking_size": 3})
    start(ranked, tmp_path / "ranked", quiet)
    pairs = small_config("pendulum", from_labels=str(tmp_path / "ranked"), labels=4, seed=1)
    result = start(pairs, tmp_path / "pairs", quiet)
    assert (result["labels"], result["labels_before"]) == (4, 24)


def test_what_cannot_be_leaves_nothing_behind(
    source: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with Store(empty) as store:
        store.counts()
    config = small_config("pendulum", from_labels=str(source), labels=0)
    other_task = shutil.copytree(source, tmp_path / "other")
    settings = json.loads((other_task / "config.json").read_text())
    settings["config"]["env_id"] = "CartPole-v1"
    (other_task / "config.json").write_text(json.dumps(settings))
    unnamed = shutil.copytree(source, tmp_path / "unnamed")
    (unnamed / "config.json").unlink()
    cases: list[tuple[RunConfig, str]] = [
        (replace(config, from_labels="nowhere"), "`from_labels` is nowhere, which has no labels"),
        (
            replace(config, from_labels=str(empty)),
            "which has no labels yet: nobody has answered; wait for the first",
        ),
        (replace(config, from_labels=str(other_task)), "whose labels are about CartPole-v1"),
        (
            small_config("cartpole", from_labels=str(unnamed), labels=0),
            "are of environments with observation space",
        ),
    ]
    for wrong, message in cases:
        with pytest.raises(PrefRLError, match=message):
            start(wrong, tmp_path / "run", quiet)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": 0}, "`labels` must be at least 1. Received 0."),
        ({"from_labels": "x", "labels": -1}, "`labels` must be at least 0"),
        ({"from_labels": "x", "reward": "true"}, "`from_labels` needs reward=preferences"),
        ({"from_labels": "x", "shuffle_labels": True}, "`from_labels` needs reward=preferences"),
        ({"from_labels": "x", "labels": 0, "teacher": "human"}, "`teacher=human` needs questions"),
    ],
)
def test_settings_that_do_not_go_together(changes: dict[str, Any], message: str, small_config: MakeConfig) -> None:
    with pytest.raises(SettingError, match=message):
        small_config("pendulum", **changes)


def test_nothing_is_asked_unless_somebody_says_so(tmp_path: Path) -> None:
    assert load_preset("hopper", from_labels="run").labels == 0
    assert load_preset("hopper", from_labels="run", teacher="human").labels == load_preset("hopper").labels
    (tmp_path / "own.yaml").write_text("from_labels: run\nlabels: 5\n")
    both = load_preset("hopper", config_file=tmp_path / "own.yaml")
    assert (both.from_labels, both.labels) == ("run", 5)
    (tmp_path / "one.yaml").write_text("from_labels: run\n")
    assert load_preset("hopper", config_file=tmp_path / "one.yaml").labels == 0
