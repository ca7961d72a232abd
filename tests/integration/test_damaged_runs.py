"""Runs that are damaged, in use, or out of disk: one sentence, exit code 2, and nothing lost or half-written."""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prefrl import report
from prefrl.cli import main
from prefrl.config import RunConfig, load_preset
from prefrl.errors import InterruptedRunError
from prefrl.runs import RunFolder, TrainingProgress, start, train, training
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.metrics_log import MetricsLog
from prefrl.store import Store

Refused = Callable[..., str]
N_ANSWERS = 14
"""Labels of the stopped run."""


def small_config() -> RunConfig:
    values = load_preset("gridworld", "ppo").to_json()
    values |= {"total_timesteps": 1024, "labels": 24, "segment_length": 8, "evaluation_episodes": 2}
    values |= {"checkpoint_every": 128}
    values["feedback"] |= {
        "initial_timesteps": 128,
        "labels_per_round": 2,
        "initial_share": 0.5,
        "asking_share": 1.0,
    }
    values["reward_model"] |= {"hidden_sizes": [16], "first_epochs": 2, "epochs": 1}
    values["agent"] |= {"n_envs": 4, "hidden_sizes": [16]}
    values["agent"]["settings"] |= {"n_steps": 32, "batch_size": 64, "n_epochs": 1}
    return RunConfig.from_json(values)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after its first labels, with two checkpoints."""
    path = tmp_path_factory.mktemp("stopped") / "run"

    def ctrl_c(progress: TrainingProgress) -> None:
        if progress.labels:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="Stopped and saved"):
        start(small_config(), path, ctrl_c)
    assert len(checkpoints(path / "checkpoints")) == 2
    with Store(path) as store:
        assert store.counts().comparisons == N_ANSWERS
    return path


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    """A copy of that run, to be damaged."""
    return shutil.copytree(stopped, tmp_path / "run")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that is refused, and return its sentence."""

    def run_refused(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (stop.value.code, out) == (2, "")
        sentence: str = err.splitlines()[-1]
        others = [line for line in err.splitlines()[:-1] if " steps, " not in line and ": Policy " not in line]
        assert others == []
        return sentence.removeprefix("prefrl: ")

    return run_refused


def content(folder: Path) -> dict[str, str]:
    """Hash of every file; without the lock and the database's own working files."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "lock" and not path.name.startswith("store.sqlite-")
    }


@pytest.mark.parametrize("file", ["agent.zip", "arrays.safetensors", "manifest.json", "state.json"])
@pytest.mark.parametrize("share", [0.0, 0.5, None])
def test_checkpoint_cut_short(file: str, share: float | None, run: Path, refused: Refused) -> None:
    newest = checkpoints(run / "checkpoints")[-1]
    damaged = newest / file
    if share is None:
        damaged.unlink()
    else:
        os.truncate(damaged, int(share * damaged.stat().st_size))
    before = content(run)
    for command in ("resume", "evaluate"):
        sentence = refused(command, run)
        assert sentence.startswith(f"The checkpoint {newest} is damaged (")
        assert "remove that folder and resume" in sentence
    assert content(run) == before


def test_checkpoint_of_a_later_version(run: Path, refused: Refused) -> None:
    manifest = checkpoints(run / "checkpoints")[-1] / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    assert "has format 99, and this prefrl reads up to 2; use the version that wrote it" in refused("resume", run)


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("manifest.json", lambda v: v.update(num_timesteps=9_999_999)),
        ("state.json", lambda v: v["random"]["numpy"].__setitem__(1, 3)),
        ("state.json", lambda v: v["progress"].update(labels=1000)),
        ("state.json", lambda v: v.pop("preferences")),
    ],
)
def test_edited_checkpoint(file: str, edit: Callable[[dict[str, Any]], Any], run: Path, refused: Refused) -> None:
    """Another random state was another policy, silently; more steps an evaluation that claims them."""
    newest = checkpoints(run / "checkpoints")[-1]
    values = json.loads((newest / file).read_text())
    edit(values)
    (newest / file).write_text(json.dumps(values))
    before = content(run)
    for command in ("resume", "evaluate"):
        assert refused(command, run).startswith(f"The checkpoint {newest} is damaged ({file} was changed")
    assert content(run) == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answer SET value = (SELECT value FROM answer WHERE value !="
        " (SELECT value FROM answer WHERE seq = 3) LIMIT 1) WHERE seq = 3",
        "DELETE FROM answer WHERE seq = 3",
        "UPDATE answer SET labeler = 'ann' WHERE seq = 3",
        "UPDATE query_segment SET position = 11 - position WHERE query_id = (SELECT query_id FROM answer LIMIT 1)",
    ],
)
def test_store_that_was_changed_under_a_checkpoint(change: str, run: Path, refused: Refused) -> None:
    with sqlite3.connect(run / "store.sqlite") as database:
        database.execute("INSERT OR IGNORE INTO labeler (name, created_at) VALUES ('ann', 0)")
        assert database.execute(change).rowcount >= 1
    database.close()
    newest = checkpoints(run / "checkpoints")[-1].name
    assert refused("resume", run) == (
        f"The store in {run} is not the one that the checkpoint {newest} was trained on: of its first {N_ANSWERS} "
        "answers and their queries some are missing or were changed; restore store.sqlite and segments from a "
        "copy of the run."
    )


def garble(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[100:] = bytes(byte ^ 0xFF for byte in damaged[100:])
    path.write_bytes(damaged)


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def delete(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (garble, "store.sqlite is damaged"),
        (shorten, "store.sqlite is damaged"),
        (empty, f"of its first {N_ANSWERS} answers and their queries some are missing"),
        (delete, f"of its first {N_ANSWERS} answers and their queries some are missing"),
    ],
)
def test_damaged_database(damage: Callable[[Path], None], words: str, run: Path, refused: Refused) -> None:
    for journal in run.glob("store.sqlite-*"):
        journal.unlink()
    damage(run / "store.sqlite")
    before = content(run)
    assert words in refused("resume", run)
    after = content(run)
    if damage in (garble, shorten):
        assert after == before
    before.pop("store.sqlite", None)
    after.pop("store.sqlite")
    assert after == before


@pytest.mark.parametrize(("damage", "state"), [(shorten, "damaged"), (delete, "missing")])
def test_damaged_segment(damage: Callable[[Path], None], state: str, run: Path, refused: Refused) -> None:
    segment = next((run / "segments").glob("*.safetensors"))
    damage(segment)
    before = content(run)
    assert f"The segment file {segment} is {state}; restore it" in refused("resume", run)
    assert content(run) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read: "),
        ('{"config": {"task": ', "cannot be read: "),
        ("[]", "is damaged: it holds no JSON object"),
        ("{}", "is damaged: it holds no settings"),
        ('{"config": {"task": "pendulum", "labelz": 3}}', "There is no setting `labelz`"),
    ],
)
def test_damaged_settings(text: str, words: str, run: Path, refused: Refused) -> None:
    (run / "config.json").write_text(text)
    before = content(run)
    for command in ("resume", "evaluate"):
        assert words in refused(command, run)
    assert content(run) == before


def test_log_cut_short_is_repaired(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RunFolder(run).metrics
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines) + lines[-1][: len(lines[-1]) // 2])
    monkeypatch.setattr(train, "_finish", lambda folder: {})
    train.resume(run, lambda progress: None)
    steps = [json.loads(line)["time/total_timesteps"] for line in log.read_text().splitlines()]
    assert steps == list(range(128, 1025, 128))


def test_second_trainer_refuses(run: Path, refused: Refused) -> None:
    before = content(run)
    with RunFolder(run).locked():
        for command in ("resume", "evaluate"):
            assert refused(command, run) == f"{run} is in use by another process; wait for it, or stop it first."
    assert "exists already; choose another --out, or go on" in refused("train", "gridworld", "--out", run)
    assert content(run) == before


def test_run_without_checkpoint_has_nothing_to_evaluate(run: Path, refused: Refused) -> None:
    shutil.rmtree(run / "checkpoints")
    assert refused("evaluate", run) == f"{run} has no checkpoint yet; go on with `prefrl resume {run}`."


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def on_a_full_disk(function: Callable[..., Any], size: int = 200) -> Callable[..., Any]:
    def limited(*arguments: Any, **keywords: Any) -> Any:
        with full_disk(size):
            return function(*arguments, **keywords)

    return limited


@pytest.mark.parametrize(
    ("owner", "name", "words"),
    [
        (training, "write_checkpoint", r"The checkpoint .*/000000000384 cannot be written: .*free some space"),
        (Store, "add_queries", r"could not be written \(File too large\); mend that and repeat"),
        (Store, "add_answers", r"refused a step \(.*\): nothing of this step was stored"),
        (MetricsLog, "write", r"The run cannot go on: .*File too large; mend that and go on"),
        (train, "evaluate", r"The run cannot go on: .*File too large.*; mend that and go on"),
        (report, "write_report", r"cannot be written"),
    ],
)
def test_no_space_left(
    owner: Any, name: str, words: str, run: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(run) as store:
        acknowledged = store.answers()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, on_a_full_disk(getattr(owner, name)))
        sentence = refused("resume", run)
    assert re.search(words, sentence), sentence
    assert not list(run.rglob("*.new"))
    assert not list(run.rglob("*.tmp"))
    with Store(run) as store:
        assert store.answers()[: len(acknowledged)] == acknowledged
    now = [Checkpoint(folder).num_timesteps for folder in checkpoints(run / "checkpoints")]
    assert len(now) == 2
    assert now >= [128, 256]
    # With space again the run goes on, and loses nothing.
    main(["resume", str(run)])
    with Store(run) as store:
        assert store.counts().comparisons == 24
        assert store.answers()[: len(acknowledged)] == acknowledged


def test_no_space_for_a_new_run(tmp_path: Path, refused: Refused) -> None:
    for size in (10, 3000):
        with full_disk(size):
            refused("train", "gridworld", "--out", tmp_path / "run")
        assert list(tmp_path.iterdir()) == []
