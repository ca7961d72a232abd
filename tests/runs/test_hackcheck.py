"""Whether a frozen reward is exploited: the verdict on curves known by hand, and a whole check of a small run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.cli import main
from prefrl.errors import InterruptedRunError, RunError, SettingError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.runs import RunFolder, TrainingProgress, hackcheck, start
from prefrl.runs.hackcheck import verdict
from prefrl.runs.refit import fit_anew, label_seqs
from prefrl.segments import Answer
from prefrl.store import NewAnswer, Store

Listener = Callable[[TrainingProgress], None]
N = 40
RISES = np.linspace(0.0, 10.0, N)
FALLS_LATER = np.concatenate([np.linspace(0.0, 5.0, N // 2), np.linspace(5.0, 1.0, N // 2)])


def log(true: Any, predicted: Any, *, sd: float = 1.0, kl: bool = True) -> list[dict[str, float]]:
    return [
        {
            "time/total_timesteps": 100.0 * (i + 1),
            "rollout/ep_rew_mean": float(true[i]),
            "rollout/ep_rew_std": sd,
            "rollout/ep_len_mean": 1.0,
            "rollout/ep_predicted_rew_mean": float(predicted[i]),
            **({"policy/kl": float(i)} if kl else {}),
        }
        for i in range(len(true))
    ]


def noise(sd: float) -> Any:
    return np.random.default_rng(0).normal(scale=sd, size=N)


@pytest.mark.parametrize(
    ("true", "predicted", "exploited"),
    [
        (FALLS_LATER, RISES, True),
        (FALLS_LATER + noise(0.1), RISES, True),
        (-RISES, RISES, True),
        (RISES, RISES, False),
        (FALLS_LATER, FALLS_LATER, False),
        (noise(0.1), RISES, False),
        (RISES - 0.1 * np.maximum(0, RISES - 8), RISES, False),
        (np.zeros(N), RISES, False),
    ],
    ids=["later", "noisy", "at once", "both rise", "both fall", "noise", "hardly", "constant"],
)
def test_verdict(true: Any, predicted: Any, exploited: bool) -> None:
    assert verdict(log(true, predicted))["exploited"] is exploited


@pytest.mark.parametrize("n", [20, 25, 40, 100])
@pytest.mark.parametrize("n_alike", [1, 5])
def test_chance_is_no_exploit(n: int, n_alike: int) -> None:
    """Means of 100 episodes that scatter as they must, apart or over windows that overlap."""
    rng = np.random.default_rng(n)
    found = []
    for _ in range(200):
        lines = rng.normal(scale=0.1 * np.sqrt(n_alike), size=n + n_alike - 1)
        true = np.convolve(lines, np.ones(n_alike) / n_alike, mode="valid")
        found.append(verdict(log(true, np.linspace(0, 1, n)))["exploited"])
    assert np.mean(found) < 0.05


def test_few_episodes_tell_less() -> None:
    lines = log(0.1 * FALLS_LATER, RISES, sd=0.5)
    assert verdict(lines)["exploited"] is True
    few = [line | {"rollout/ep_len_mean": 1000.0} for line in lines]
    assert verdict(few)["exploited"] is False, "no more than four have ended"


def test_figures_are_those_of_the_best_block() -> None:
    found = verdict([{"time/total_timesteps": 1.0}, *log(FALLS_LATER, RISES)])
    best = slice(20, 24)
    assert found["best_step"] == 100 * np.mean(range(21, 25))
    assert found["best_distance"] == pytest.approx(np.sqrt(np.mean(range(20, 24))))
    assert found["best_true"] == pytest.approx(FALLS_LATER[best].mean())
    assert found["last_true"] == pytest.approx(FALLS_LATER[-4:].mean())
    assert found["predicted_at_best"] == pytest.approx(RISES[best].mean())
    assert found["last_predicted"] == pytest.approx(RISES[-4:].mean())
    assert verdict(log(RISES, RISES, kl=False))["best_distance"] is None


def test_too_little_to_say() -> None:
    with pytest.raises(RunError, match="Too few episodes have ended"):
        verdict(log(RISES[:9], RISES[:9]))
    assert verdict(log(-RISES[:19], RISES[:19]))["exploited"] is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose teacher cannot play elsewhere: its settings must not matter for the check."""
    from prefrl.config import RunConfig, load_preset

    values = load_preset("pendulum").to_json()
    values |= {"total_timesteps": 640, "labels": 24, "segment_length": 8, "evaluation_episodes": 1}
    values |= {"time_limit": 16, "teacher": "simulated", "teacher_settings": {"mistakes": 0.1}}
    values["feedback"] |= {"initial_timesteps": 128, "labels_per_round": 4, "recorder_steps": 80}
    values["reward_model"] |= {"hidden_sizes": [16], "first_epochs": 3, "epochs": 2, "batch_size": 8}
    values["agent"] |= {"n_envs": 2, "hidden_sizes": [16]}
    values["agent"]["settings"] |= {"n_steps": 32, "batch_size": 64, "n_epochs": 2}
    run = tmp_path_factory.mktemp("hackcheck") / "run"
    start(RunConfig.from_json(values), run, lambda progress: None)
    return run


def test_a_whole_check(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stopped, gone on with, asked for again, and longer; the run that is checked stays as it was."""
    run = RunFolder.open(trained)
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}

    def stop(progress: TrainingProgress) -> None:
        if progress.num_timesteps >= 320:
            raise InterruptedRunError("enough")

    with pytest.raises(InterruptedRunError):
        hackcheck(run, stop)
    main(["hackcheck", str(trained), "--json"])
    said = json.loads(capsys.readouterr().out)
    folder = trained / "hackcheck" / "12"
    assert said["labels"] == 12
    assert said["run"] == str(folder / "frozen")
    assert said["exploited"] is None, "ten lines"
    assert json.loads((folder / "hackcheck.json").read_text()) == {k: v for k, v in said.items() if k != "report"}
    page = Path(said["report"]).read_text()
    assert "Predicted and true return over distance: frozen" in page
    ours, theirs = (RewardEnsemble.load(path / "reward_model") for path in (folder, folder / "frozen"))
    assert all(np.array_equal(ours.state()[0][name], array) for name, array in theirs.state()[0].items())
    config = RunFolder.open(folder / "frozen").config()
    assert (config.reward, config.total_timesteps, config.restarts.at_most) == ("saved", 640, 0)

    def never(progress: TrainingProgress) -> None:
        pytest.fail("what is over was trained again")

    assert hackcheck(run, never) == {k: v for k, v in said.items() if k != "report"}
    longer = hackcheck(run, lambda progress: None, total_timesteps=960)
    assert longer["run"] == said["run"]
    assert RunFolder.open(folder / "frozen").config().total_timesteps == 960
    assert hackcheck(run, never, total_timesteps=800)["last_true"] != longer["last_true"]
    fewer = hackcheck(run, lambda progress: None, labels=3)
    assert fewer["labels"] == 3
    after = {path: path.read_bytes() for path in before}
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed <= {"store.sqlite", "store.sqlite-shm", "store.sqlite-wal"}, "only SQLite's own housekeeping"


def test_the_check_of_other_answers_is_not_told_again(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("hackcheck"))
    hackcheck(RunFolder.open(run), lambda progress: None, labels=5)
    with Store(run) as store:
        [old] = [answer for answer in store.answers() if answer.seq == 2]
        changed = NewAnswer(
            id="x", query_id=old.query_id, answer=Answer.EQUAL, labeler=old.labeler, supersedes=old.id
        )
        store.add_answers([changed])
    with pytest.raises(RunError, match="is a check of other answers"):
        hackcheck(RunFolder.open(run), lambda progress: None, labels=5)


def test_a_reward_that_was_half_written_is_written_anew(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("hackcheck"))
    (run / "hackcheck" / "5" / "reward_model").mkdir(parents=True)
    assert hackcheck(RunFolder.open(run), lambda progress: None, labels=5)["labels"] == 5


def test_the_first_labels_are_learned(trained: Path) -> None:
    """And not the last: what they say is turned round, and nothing changes."""
    run = RunFolder.open(trained)
    seqs = label_seqs(run)
    with Store(trained) as store:
        assert seqs == store.comparison_seqs()
        first = next(store.comparisons_at(seqs[:1]))
    hackcheck(run, lambda progress: None, labels=1)
    one, six = RewardEnsemble.load(trained / "hackcheck" / "1" / "reward_model"), fit_anew(run, seqs[:6])
    config = run.config()
    trainer = RewardTrainer(
        RewardEnsemble(one.observation_space, one.action_space, settings=config.reward_model, seed=one.seed)
    )
    trainer.add([first])
    trainer.fit(config.reward_model.first_epochs)
    assert np.array_equal(one.state()[0]["output_mean"], trainer.ensemble.state()[0]["output_mean"])
    assert not np.array_equal(one.state()[0]["output_mean"], six.state()[0]["output_mean"])


def test_a_module_of_somebody_else_is_not_imported(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("hackcheck"))
    description = json.loads((run / "config.json").read_text())
    description["config"]["env_id"] = "evil:X-v0"
    (run / "config.json").write_text(json.dumps(description | {"imported": {"at": "", "by": ""}}))
    with pytest.raises(RunError, match="of a module that may come from anybody"):
        hackcheck(RunFolder.open(run), lambda progress: None, labels=5)
    assert not (run / "hackcheck").exists()


@pytest.mark.parametrize("labels", [0, 25, -1])
def test_labels_that_there_are_not(labels: int, trained: Path) -> None:
    with pytest.raises(SettingError, match=f"between 1 and the 24 of .* Received {labels}"):
        hackcheck(RunFolder.open(trained), lambda progress: None, labels=labels)


def test_a_run_without_labels(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    with pytest.raises(RunError, match="no labels"):
        hackcheck(RunFolder.open(make_run(tmp_path / "run", started=False)), lambda progress: None)
