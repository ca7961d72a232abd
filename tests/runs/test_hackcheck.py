"""Whether a frozen reward is exploited: the verdict on curves known by hand, and a whole check of a small run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.cli import main
from prefrl.errors import InterruptedRunError, RunError, SettingError
from prefrl.reward import RewardEnsemble
from prefrl.runs import RunFolder, TrainingProgress, hackcheck, start
from prefrl.runs.hackcheck import verdict

Listener = Callable[[TrainingProgress], None]
N = 40
RISES = np.linspace(0.0, 10.0, N)
FALLS_LATER = np.concatenate([np.linspace(0.0, 5.0, N // 2), np.linspace(5.0, 1.0, N // 2)])


def log(true: Any, predicted: Any, *, kl: bool = True) -> list[dict[str, float]]:
    return [
        {
            "time/total_timesteps": 100.0 * (i + 1),
            "rollout/ep_rew_mean": float(true[i]),
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
        (FALLS_LATER + noise(0.3), RISES, True),
        (-RISES, RISES, True),
        (RISES, RISES, False),
        (FALLS_LATER, FALLS_LATER, False),
        (noise(1.0), RISES, False),
        (RISES - 0.1 * np.maximum(0, RISES - 8), RISES, False),
        (np.zeros(N), RISES, False),
    ],
    ids=["later", "noisy", "at once", "both rise", "both fall", "noise", "hardly", "constant"],
)
def test_verdict(true: Any, predicted: Any, exploited: bool) -> None:
    assert verdict(log(true, predicted))["exploited"] is exploited


def test_figures_are_those_of_the_best_line() -> None:
    lines = [{"time/total_timesteps": 1.0}, *log(FALLS_LATER, RISES)]
    found = verdict(lines)
    best = found["best_step"] // 100 - 1
    assert N // 2 <= best <= N // 2 + 2, "at the top, or a little later, as the mean is of what came before"
    assert found["best_distance"] == pytest.approx(np.sqrt(best))
    assert found["best_true"] == pytest.approx(FALLS_LATER[best - 3 : best + 1].mean())
    assert found["last_true"] == pytest.approx(FALLS_LATER[-4:].mean())
    assert found["predicted_at_best"] == pytest.approx(RISES[best - 3 : best + 1].mean())
    assert found["last_predicted"] == pytest.approx(RISES[-4:].mean())
    assert verdict(log(RISES, RISES, kl=False))["best_distance"] is None


def test_too_little_to_say() -> None:
    with pytest.raises(RunError, match="Too few episodes have ended"):
        verdict(log(RISES[:3], RISES[:3]))


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
    fewer = hackcheck(run, lambda progress: None, labels=3)
    assert fewer["labels"] == 3
    after = {path: path.read_bytes() for path in before}
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed <= {"store.sqlite", "store.sqlite-shm", "store.sqlite-wal"}, "only SQLite's own housekeeping"


@pytest.mark.parametrize("labels", [0, 25, -1])
def test_labels_that_there_are_not(labels: int, trained: Path) -> None:
    with pytest.raises(SettingError, match=f"between 1 and the 24 of .* Received {labels}"):
        hackcheck(RunFolder.open(trained), lambda progress: None, labels=labels)


def test_a_run_without_labels(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    with pytest.raises(RunError, match="no labels"):
        hackcheck(RunFolder.open(make_run(tmp_path / "run", started=False)), lambda progress: None)
