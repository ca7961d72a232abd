"""Settings after a run has begun: what may change changes, what may not is refused by its name."""

import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from prefrl.config import CHANGEABLE, RunConfig, flat
from prefrl.errors import InterruptedRunError, RunError, SettingError
from prefrl.reward import RewardEnsemble
from prefrl.runs import RunFolder, TrainingProgress, evaluate, resume, start, training
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.metrics_log import read_metrics
from prefrl.runs.settings_changes import check_budget, check_unchanged
from prefrl.store import Store

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]

pytestmark = pytest.mark.usefixtures("train_only")


@pytest.fixture(scope="module")
def make_stopped(tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunConfig, bool], Path]:
    """Make a run that is finished, or was stopped by Ctrl-C in its first rollouts; each is made once."""
    made: dict[bool, Path] = {}

    def make(config: RunConfig, finished: bool) -> Path:
        if finished in made:
            return made[finished]
        path = made[finished] = tmp_path_factory.mktemp("runs") / "run"

        def ctrl_c(progress: TrainingProgress) -> None:
            if not finished and progress.labels >= 6:
                os.kill(os.getpid(), signal.SIGINT)

        try:
            start(config, path, ctrl_c)
        except InterruptedRunError:
            assert not finished
        return path

    return make


@pytest.fixture
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LOG_EVERY", 64)


@pytest.fixture
def stopped(
    make_stopped: Callable[[RunConfig, bool], Path], small_config: MakeConfig, tmp_path: Path, short_lines: None
) -> Path:
    return shutil.copytree(make_stopped(small_config("pendulum"), False), tmp_path / "run")


@pytest.fixture
def finished(
    make_stopped: Callable[[RunConfig, bool], Path], small_config: MakeConfig, tmp_path: Path, short_lines: None
) -> Path:
    return shutil.copytree(make_stopped(small_config("pendulum"), True), tmp_path / "run")


def edit(run: Path, name: str, value: Any) -> None:
    """Change a setting in config.json as somebody with an editor does."""
    file = run / "config.json"
    description = json.loads(file.read_text())
    *parents, leaf = name.split(".")
    place = description["config"]
    for parent in parents:
        place = place[parent]
    place[leaf] = value
    file.write_text(json.dumps(description))


def newest(run: Path) -> Checkpoint:
    return Checkpoint(checkpoints(run / "checkpoints")[-1])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("algo", "a2c", r"`algo` \(from 'ppo' to 'a2c'\)"),
        ("seed", 3, r"`seed` \(from 0 to 3\)"),
        ("agent.settings.gamma", 0.5, r"`agent.settings.gamma` \(from 0.9\d* to 0.5\)"),
        ("agent.n_envs", 4, r"`agent.n_envs` \(from 2 to 4\)"),
        ("reward_model.epochs", 7, r"`reward_model.epochs` \(from 2 to 7\)"),
        ("feedback.labels_per_round", 5, r"`feedback.labels_per_round` \(from 4 to 5\)"),
        ("env_id", "Pendulum-v1", "`env_id`"),
        ("reward", "true", "`reward`"),
        ("agent.settings", {"n_steps": 32, "batch_size": 64, "n_epochs": 2}, "`agent.settings.gamma`"),
    ],
)
def test_a_setting_that_may_not_change_is_refused_by_name(
    name: str, value: Any, words: str, stopped: Path, quiet: Listener
) -> None:
    edit(stopped, name, value)
    for command in ("resume", "evaluate"):
        with pytest.raises(RunError, match=words) as caught:
            resume(stopped, quiet) if command == "resume" else evaluate(RunFolder(stopped))
        assert "cannot change in the middle of a run; put back what it was, or train anew" in str(caught.value)
        assert str(caught.value).count("(from") == 1 or name == "agent.settings"


def test_what_may_change_is_taken_over(stopped: Path, quiet: Listener) -> None:
    for name, value in {"total_timesteps": 512, "labels": 20, "checkpoint_every": 64, "n_threads": 2}.items():
        edit(stopped, name, value)
    resume(stopped, quiet)
    assert newest(stopped).num_timesteps == 512
    with Store(stopped) as store:
        assert store.counts().comparisons == 20


def test_every_changeable_setting_is_a_setting(small_config: MakeConfig) -> None:
    assert set(CHANGEABLE) <= set(flat(small_config().to_json()))


def test_before_the_first_checkpoint_settings_are_fixed_as_well(stopped: Path, quiet: Listener) -> None:
    shutil.rmtree(stopped / "checkpoints")
    edit(stopped, "labels", 20)
    edit(stopped, "seed", 3)
    with pytest.raises(RunError, match=r"config\.json was edited after the run had begun; put back what it was"):
        resume(stopped, quiet)
    edit(stopped, "seed", 0)
    resume(stopped, quiet)
    assert newest(stopped).num_timesteps == 640


# --- extending ---------------------------------------------------------------------------------------------


def history(run: Path, until: int) -> tuple[list[Any], list[Any]]:
    """The log and the answers of a run's first so many steps."""
    with Store(run) as store:
        answers = [answer for answer in store.answers() if store.query(answer.query_id).num_timesteps <= until]
    return [
        line for line in read_metrics(run / "log" / "metrics.jsonl") if line["time/total_timesteps"] <= until
    ], answers


@pytest.mark.parametrize(
    ("labels", "total_timesteps"),
    [pytest.param(None, 1280, id="steps"), pytest.param(40, 1280, id="both")],
)
def test_a_finished_run_is_extended(
    labels: int | None, total_timesteps: int, finished: Path, quiet: Listener
) -> None:
    assert newest(finished).num_timesteps == 640
    before = history(finished, 640)
    resume(finished, quiet, labels=labels, total_timesteps=total_timesteps)
    assert newest(finished).num_timesteps == total_timesteps
    assert history(finished, 640) == before, "what was learned until then stays"
    config = RunFolder(finished).config()
    assert (config.labels, config.total_timesteps) == (labels or 24, total_timesteps)
    with Store(finished) as store:
        assert store.counts().comparisons == config.labels
    log = read_metrics(finished / "log" / "metrics.jsonl")
    assert log[-1]["labels/total"] == config.labels
    assert [line["time/total_timesteps"] for line in log] == list(range(64, total_timesteps + 1, 64))
    if labels is not None:
        # They follow the schedule of the new totals: not all of them come at once.
        assert len({line["labels/total"] for line in log if line["time/total_timesteps"] > 640}) > 1
    assert len(RunFolder(finished).description()["changes"]) == 1


def test_a_stopped_run_is_extended_by_labels(stopped: Path, quiet: Listener) -> None:
    resume(stopped, quiet, labels=32)
    assert newest(stopped).num_timesteps == 640
    with Store(stopped) as store:
        assert store.counts().comparisons == 32


def test_extending_is_exactly_a_longer_run(small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    """To the last bit where nothing follows a schedule; also with noise that outlives a step."""
    for use_sde in (False, True):
        agent = {"settings": {"use_sde": use_sde, "sde_sample_freq": 8, "learning_rate": 3e-4}}
        settings = {"agent": agent, "reward": "true", "restarts": {"window_share": 1.0}}
        long, extended = tmp_path / f"long{use_sde}", tmp_path / f"extended{use_sde}"
        start(small_config("pendulum", total_timesteps=512, **settings), long, quiet)
        start(small_config("pendulum", total_timesteps=256, **settings), extended, quiet)
        resume(extended, quiet, total_timesteps=512)
        one, other = newest(long), newest(extended)
        assert list(one.arrays) == list(other.arrays)
        for name in set(one.arrays) - {"agent/zip"}:
            np.testing.assert_array_equal(one.arrays[name], other.arrays[name], err_msg=name)
        assert one.values["random"] == other.values["random"]
        first, second = (PPO.load(io.BytesIO(checkpoint.agent)).policy.state_dict() for checkpoint in (one, other))
        for name, parameter in first.items():
            assert torch.equal(parameter, second[name]), name


def test_an_extended_run_can_be_stopped(small_config: MakeConfig, tmp_path: Path, quiet: Listener) -> None:
    """Also where its first part ended between two lines of the log that its new length has."""

    def ctrl_c(progress: TrainingProgress) -> None:
        if progress.num_timesteps == 1024:
            os.kill(os.getpid(), signal.SIGINT)

    run = tmp_path / "run"
    start(small_config("pendulum", total_timesteps=320, checkpoint_every=192), run, quiet)
    with pytest.raises(InterruptedRunError, match="Stopped and saved"):
        resume(run, ctrl_c, total_timesteps=2600)  # a line for 130 steps, so for two rollouts of 64
    assert newest(run).num_timesteps < 1200
    assert RunFolder(run).config().total_timesteps == 2600
    resume(run, quiet)
    assert newest(run).num_timesteps == 2624
    log = [line["time/total_timesteps"] for line in read_metrics(run / "log" / "metrics.jsonl")]
    assert log == [*range(64, 321, 64), *range(448, 2625, 128)], "as if the extension had not been stopped"


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"total_timesteps": 320}, "`total_timesteps` must not be below the 640 steps .* Received 320"),
        ({"labels": 23}, "`labels` must not be below the 24 comparisons .* Received 23"),
        ({"labels": 23, "total_timesteps": 1280}, "`labels` must not be below the 24 comparisons"),
        ({"labels": 36}, "More labels need more steps.*such as --total-timesteps 960"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(
    budget: dict[str, Any], words: str, finished: Path, quiet: Listener
) -> None:
    before = (finished / "config.json").read_bytes()
    with pytest.raises(RunError, match=words):
        resume(finished, quiet, **budget)
    assert (finished / "config.json").read_bytes() == before
    for name, value in budget.items():
        edit(finished, name, value)
    with pytest.raises(RunError, match=words):
        resume(finished, quiet)


def test_a_budget_that_was_used_up_and_a_little_more_is_no_reason_to_refuse(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    """The last rollout is finished where fewer steps were asked for; and several people may answer a query."""
    config = small_config("pendulum", total_timesteps=600)
    start(config, tmp_path / "run", quiet)
    resume(tmp_path / "run", quiet)
    assert newest(tmp_path / "run").num_timesteps == 640
    checkpoint: Any = SimpleNamespace(num_timesteps=640, progress={"labels": 26}, config=config.to_json())
    check_budget(config, checkpoint)
    with pytest.raises(RunError, match="must not be below the 26 comparisons"):
        check_budget(replace(config, labels=23), checkpoint)
    with pytest.raises(RunError, match="must not be below the 640 steps"):
        check_budget(replace(config, total_timesteps=599), checkpoint)


def test_a_stopped_run_has_the_reward_of_its_newest_checkpoint(stopped: Path, quiet: Listener) -> None:
    """Also one that was finished, made longer and stopped: its policy is judged by the reward that paid it."""

    def saved_and_kept() -> tuple[Any, Any]:
        kept = newest(stopped).arrays
        saved, _ = RewardEnsemble.load(RunFolder(stopped).reward_model).state()
        name = next(name for name in saved if "weights.0" in name)
        return saved[name], next(array for key, array in kept.items() if key.endswith(f"reward/{name}"))

    def stop(progress: TrainingProgress) -> None:
        if progress.num_timesteps >= 900:
            os.kill(os.getpid(), signal.SIGINT)

    first = saved_and_kept()
    np.testing.assert_array_equal(*first)
    resume(stopped, quiet)
    with pytest.raises(InterruptedRunError):
        resume(stopped, stop, labels=60, total_timesteps=1280)
    later = saved_and_kept()
    np.testing.assert_array_equal(*later)
    assert not np.array_equal(later[0], first[0])


def test_what_both_files_lack_was_not_edited(small_config: MakeConfig, tmp_path: Path) -> None:
    """A run of before there was a setting: the folder and the checkpoint know nothing of it."""
    old = small_config("pendulum").to_json()
    del old["reward_model"]["bootstrap"]
    checkpoint: Any = SimpleNamespace(config=old, folder=tmp_path / "128")
    check_unchanged(tmp_path, RunConfig.from_saved(old), checkpoint)
    with pytest.raises(RunError, match=r"`reward_model.bootstrap` \(from True to False\)"):
        check_unchanged(tmp_path, small_config("pendulum"), checkpoint)


def test_labels_must_not_exceed_the_steps_of_an_extension(finished: Path, quiet: Listener) -> None:
    with pytest.raises(SettingError, match="`labels` must not exceed the 700 steps of the training"):
        resume(finished, quiet, labels=701, total_timesteps=700)
    with pytest.raises(SettingError, match="`total_timesteps` must be at least 1"):
        resume(finished, quiet, total_timesteps=0)


def test_a_run_on_the_true_reward_takes_no_labels(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    start(small_config("pendulum", total_timesteps=256, reward="true"), tmp_path / "run", quiet)
    with pytest.raises(SettingError, match=r"`labels` needs reward=preferences\. Received 30"):
        resume(tmp_path / "run", quiet, labels=30)
    resume(tmp_path / "run", quiet, total_timesteps=320)
    assert newest(tmp_path / "run").num_timesteps == 320


def test_the_same_budget_is_no_extension(finished: Path, quiet: Listener) -> None:
    evaluation, report = finished / "evaluation.json", finished / "report.html"
    evaluation.write_text('{"num_timesteps": 640}')
    report.touch()
    with pytest.raises(RunError, match=r"is complete; its report is .*--total-timesteps N` trains it further"):
        resume(finished, quiet, labels=24, total_timesteps=640)
    resume(finished, quiet, total_timesteps=704)
    assert newest(finished).num_timesteps == 704
