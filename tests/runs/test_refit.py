"""Another reward on the labels of a run, and how it compares."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.cli import main
from prefrl.errors import NotEnoughExperienceError, RunError, SettingError
from prefrl.reward import RewardEnsemble
from prefrl.runs import RunFolder, refit
from prefrl.runs.refit import fit_anew, label_seqs
from prefrl.segments import Answer
from prefrl.settings import RewardSettings
from prefrl.store import NewAnswer, Store

MakeRun = Callable[..., Path]
OWN = {"hidden_sizes": [16], "first_epochs": 1, "bootstrap": False}


@pytest.fixture(scope="module")
def answered(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose 60 queries were answered by the true reward, twice each of the first ten."""
    run = make_run(tmp_path_factory.mktemp("refit") / "run", n_queries=60, task="gridworld", segment_length=6)
    config = {"task": "gridworld", "env_id": "prefrl/GridWorld-v0", "reward_model": OWN}
    (run / "config.json").write_text(json.dumps({"config": config}))
    with Store(run) as store:
        for number, query in enumerate(store.open_queries()):
            segments = store.query(query.query_id).segments
            first, second = (segment.env_return for segment in segments)
            answer = Answer.EQUAL if first == second else Answer.FIRST if first > second else Answer.SECOND
            said = NewAnswer(id=f"a{number}", query_id=query.query_id, answer=answer, labeler="Ann")
            store.add_answers([said])
    return run


def test_another_reward_is_compared_and_written(answered: Path) -> None:
    run = RunFolder.open(answered)
    with Store(answered) as store:
        before = store.digest(store.newest_run() or 0, 10**9)
    settings = RewardSettings(hidden_sizes=(16,), first_epochs=40)
    told: list[tuple[int, int]] = []
    result = refit(run, settings, n_folds=3, told=lambda done, of: told.append((done, of)))
    assert told == [(done, 7) for done in range(1, 8)]
    assert result["labels"] == 60
    assert result["changes"] == {"first_epochs": {"run": 1, "refit": 40}}
    written = json.loads((answered / "refits" / "1" / "refit.json").read_text())
    assert written == result
    model = RewardEnsemble.load(answered / "refits" / "1")
    assert model.settings == settings
    held_out, difference = result["held_out"], result["difference"]
    assert held_out["refit"]["log_loss"] < held_out["run"]["log_loss"]
    for name in ("accuracy", "log_loss"):
        gain = held_out["refit"][name] - held_out["run"][name]
        assert difference[name]["mean"] == pytest.approx(gain)
        assert difference[name]["low"] < gain < difference[name]["high"]
    assert difference["log_loss"]["high"] < 0
    assert refit(run, settings, n_folds=3)["held_out"] == held_out, "chance is the seed's"
    assert refit(run, settings, n_folds=3, seed=1)["held_out"] != held_out
    assert sorted(path.name for path in (answered / "refits").iterdir()) == ["1", "2", "3"]
    with Store(answered) as store:
        assert store.digest(store.newest_run() or 0, 10**9) == before
        comparisons = store.comparisons()
    scores = [np.diff(model.returns(list(one.segments)).mean(axis=0))[0] < 0 for one in comparisons]
    right = [bool(score) == (one.preferences[0] == 1) for score, one in zip(scores, comparisons, strict=True)]
    decided = [one.preferences[0] != 0.5 for one in comparisons]
    assert np.mean(np.array(right)[decided]) > 0.7, "it has learned"


def test_the_settings_of_the_run_are_compared_with_nothing(answered: Path, tmp_path: Path) -> None:
    run = RunFolder.open(answered)
    result = refit(run, run.config().reward_model, n_folds=2, out=tmp_path / "new")
    assert result["changes"] == {}
    assert result["difference"]["accuracy"] == {"mean": 0, "low": 0, "high": 0}
    assert (tmp_path / "new" / "refit.json").exists()
    assert result["epic_distance"] is None, "the run has no reward yet"


def test_how_far_it_is_from_the_reward_of_the_run(answered: Path, tmp_path: Path) -> None:
    run = RunFolder.open(shutil.copytree(answered, tmp_path / "run", ignore=shutil.ignore_patterns("refits")))
    settings = RewardSettings(hidden_sizes=(16,), first_epochs=40)
    refit(run, settings, n_folds=2, out=run.reward_model)
    assert refit(run, settings, n_folds=2)["epic_distance"] == pytest.approx(0, abs=1e-3)
    other = refit(run, settings, n_folds=2, seed=1)["epic_distance"]
    assert 0.01 < other < 0.6


def test_what_cannot_be_refitted_is_said(answered: Path, make_run: MakeRun, tmp_path: Path) -> None:
    run, settings = RunFolder.open(answered), RewardSettings()
    with pytest.raises(RunError, match="exists already; choose another --out"):
        refit(run, settings, out=tmp_path)
    with pytest.raises(SettingError, match="`folds` must be at least 2"):
        refit(run, settings, n_folds=1, out=tmp_path / "new")
    with pytest.raises(NotEnoughExperienceError, match="60 queries have a comparison, and 61 parts"):
        refit(run, settings, n_folds=61, out=tmp_path / "new")
    unanswered = make_run(tmp_path / "run", n_queries=2, task="gridworld", segment_length=6)
    with pytest.raises(RunError, match="no labels yet: nobody has answered; wait for the first"):
        refit(RunFolder.open(unanswered), settings)
    alone = make_run(tmp_path / "alone", started=False)
    with pytest.raises(RunError, match="has no labels: nobody was asked"):
        refit(RunFolder.open(alone), settings)
    assert not (tmp_path / "new").exists()
    assert not (unanswered / "refits").exists()


def test_the_command_begins_with_the_settings_of_the_run(
    answered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--folds", "2", "--reward-model.l2", "0.01"]
    main(["refit", str(answered), *flags, "--out", str(tmp_path / "a")])
    out, _ = capsys.readouterr()
    assert out.startswith("l2: 0.0001 in the run, 0.01 here\n60 labels, each held out once in 2 parts:\n")
    assert f"reward: {tmp_path / 'a'}\n" in out
    main(["refit", str(answered), *flags, "--out", str(tmp_path / "b"), "--json"])
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["changes"] == {"l2": {"run": 0.0001, "refit": 0.01}}
    for figure in ("accuracy", "log_loss", "brier", "calibration_error"):
        assert f" {said['held_out']['refit'][figure]:.3f}" in out
    main(["refit", str(answered), "--folds", "2", "--out", str(tmp_path / "c")])
    assert "there is nothing to compare" in capsys.readouterr().out


def test_pseudo_labels_are_of_trainings_only(answered: Path, tmp_path: Path) -> None:
    """A run keeps its labels, and no experience that nobody was asked about."""
    with pytest.raises(SettingError, match=r"^Pseudo-labels need experience that nobody was asked about"):
        refit(RunFolder.open(answered), RewardSettings(hidden_sizes=(16,), pseudo_weight=1.0), n_folds=2)
    run = RunFolder.open(shutil.copytree(answered, tmp_path / "run", ignore=shutil.ignore_patterns("refits")))
    config = json.loads((run.path / "config.json").read_text())
    config["config"]["reward_model"] = OWN | {"pseudo_weight": 1.0}
    (run.path / "config.json").write_text(json.dumps(config))
    own = run.config().reward_model
    with pytest.warns(UserWarning, match="fitted to labels alone, without the pseudo-labels"):
        found = refit(run, own, n_folds=2)
    expected = refit(RunFolder.open(answered), RunFolder.open(answered).config().reward_model, n_folds=2)
    assert found["held_out"] == expected["held_out"]
    with pytest.warns(UserWarning, match="fitted to labels alone"):
        assert fit_anew(run, label_seqs(run)).fitted


def test_crops_that_leave_segments_whole_are_refused(answered: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"`crop_least` of 0\.9 leaves segments of 6 steps whole"):
        refit(RunFolder.open(answered), RewardSettings(crop_least=0.9), out=tmp_path / "new", n_folds=2)
    assert not (tmp_path / "new").exists()


def test_the_error_rate_of_repeats_is_that_of_the_fits(answered: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(answered, run)
    with Store(run) as store:
        said = [one for one in store.answers() if one.answer in (Answer.FIRST, Answer.SECOND)][:20]
        for answer in said:
            assert isinstance(answer.answer, Answer)
            again = store.add_repeat(answer.query_id, "Ann")
            turned = answer.answer.turned_round
            store.add_answers([NewAnswer(id=f"r{answer.seq}", query_id=again, answer=turned, labeler="Ann")])
    settings = RewardSettings(hidden_sizes=(16,), first_epochs=1, bootstrap=False, error_rate_from_repeats=True)
    result = refit(RunFolder.open(run), settings, out=tmp_path / "new", n_folds=2)
    assert result["changes"] == {"error_rate_from_repeats": {"run": False, "refit": True}}
    # Of 20 all are turned round, and 0.095 of 20 assumed ones: r = 0.5475, so that e is as large as it may be.
    assert RewardEnsemble.load(tmp_path / "new").settings.error_rate == 0.9
    assert result["held_out"]["run"] != result["held_out"]["refit"]
