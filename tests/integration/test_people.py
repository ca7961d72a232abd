"""`prefrl train --teacher human` as a user runs it: a page in a process of its own, people who answer, kills."""

import json
import multiprocessing
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from prefrl.cli import main
from prefrl.feedback import OracleTeacher
from prefrl.store import NewAnswer, Store, TrainerRecord

SETTINGS = """
segment_length: 8
evaluation_episodes: 2
checkpoint_every: {checkpoint_every}
labels: {labels}
total_timesteps: {total_timesteps}
feedback: {{initial_timesteps: 256, labels_per_round: 2, recorder_steps: 200, slack: 3, stock: 6}}
reward_model: {{hidden_sizes: [16], first_epochs: 3, epochs: 2}}
agent: {{n_envs: 4, hidden_sizes: [16], settings: {{n_steps: 32, batch_size: 64, n_epochs: 2}}}}
"""
# The last `slack` labels may be due when the training is over.
SLACK = 3

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["prefrl.cli", "prefrl.runs", "torch._dynamo", "prefrl.store.migrations"])


def write_settings(folder: Path, *, labels: int, total_timesteps: int) -> Path:
    path = folder / "settings.yaml"
    path.write_text(
        SETTINGS.format(labels=labels, total_timesteps=total_timesteps, checkpoint_every=total_timesteps // 10)
    )
    return path


class Labeler:
    """Somebody in a browser who looks up which clip is truly better."""

    def __init__(self, run: Path, address: str) -> None:
        self.store = Store(run)
        base = address.split("/?")[0]
        self.client = httpx.Client(base_url=base, headers={"Origin": base}, timeout=60, follow_redirects=True)
        assert self.client.get(address).status_code == 200
        self.sent: list[str] = []

    def answer_all(self) -> None:
        """Answer until the page says that there is nothing more to be asked."""
        while True:
            reply = self.client.post("/api/claims", json={"n": 2, "holding": []}).raise_for_status().json()
            if reply["reason"] in ("budget_used", "finished"):
                return
            for query in reply["queries"]:
                self._answer(query)
            time.sleep(0.01)

    def _answer(self, query: dict[str, Any]) -> None:
        true = {}
        for side, clip in zip(("left", "right"), query["clips"], strict=True):
            assert self.client.get(clip["clip"]).status_code == 200
            found = re.search(r"[0-9a-f]{32}", clip["clip"])
            assert found is not None
            true[side] = self.store.segment(found.group()).env_return
        answer = {
            "id": str(uuid4()),
            "query_id": query["query_id"],
            "choice": max(true, key=lambda side: true[side]),
        }
        self.client.post("/api/answers", json=answer).raise_for_status()
        self.sent.append(answer["id"])

    def close(self) -> None:
        self.client.close()
        self.store.close()


def test_from_the_command_to_the_report(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, labels=16, total_timesteps=2048)
    run = tmp_path / "run"
    command = [sys.executable, "-m", "prefrl", "train", "pendulum", "--teacher", "human", "--json"]
    training = subprocess.Popen(
        [*command, "--config", str(settings), "--out", str(run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert training.stderr is not None
    try:
        address = next(found for line in training.stderr if (found := re.search(r"http://\S+", line))).group()
        labeler = Labeler(run, address)
        labeler.answer_all()
        out, _ = training.communicate(timeout=120)
    finally:
        training.kill()
    assert training.returncode == 0
    assert 16 - SLACK <= json.loads(out)["labels"] <= 16
    assert (run / "report.html").stat().st_size > 10_000
    with Store(run) as store:
        assert [answer.id for answer in store.answers()] == labeler.sent
        assert {answer.labeler for answer in store.answers()} == {"owner"}
    with pytest.raises(httpx.ConnectError, match="refused"):
        labeler.client.get("/api/progress")
    labeler.close()


# --- the trainer dies, people go on -----------------------------------------------------------------------


class Ann(threading.Thread):
    """Answers through the store whatever happens to the trainer, and keeps a list of what was acknowledged."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.run_folder = run
        self.over = threading.Event()
        self.acknowledged: list[tuple[int, str]] = []

    def run(self) -> None:
        while not (self.run_folder / "store.sqlite").exists() and not self.over.is_set():
            time.sleep(0.01)
        with Store(self.run_folder) as store:
            while not self.over.wait(0.005):
                for claim in store.claim("Ann", 1):
                    answer = OracleTeacher().answer(store.query(claim.query_id))
                    sent = NewAnswer(id=str(uuid4()), query_id=claim.query_id, answer=answer, labeler="Ann")
                    (stored,) = store.add_answers([sent])
                    self.acknowledged.append((stored.seq, stored.id))


@contextmanager
def answering(run: Path) -> Iterator[Ann]:
    ann = Ann(run)
    ann.start()
    try:
        yield ann
    finally:
        ann.over.set()
        ann.join()


def command_line(*arguments: str, kill_after: float | None = None) -> int:
    """Run the command line in a process of its own, and kill it after so many seconds.

    One that does not end by itself is killed, too: tests that wait for it at their end would never come to it.
    """
    process = PROCESSES.Process(target=main, args=(arguments,))
    process.start()
    process.join(kill_after if kill_after is not None else 240)
    ended = not process.is_alive()
    if not ended:
        process.kill()
        process.join()
    assert ended or kill_after is not None, "it did not end by itself"
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("n_kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_trainer_that_is_killed_loses_no_answer(n_kills: int, tmp_path: Path) -> None:
    total, labels = (4096, 40) if n_kills == 2 else (20_000, 160)
    settings = write_settings(tmp_path, labels=labels, total_timesteps=total)
    run = tmp_path / "run"
    train = ["train", "pendulum", "--teacher", "human", "--config", str(settings), "--out", str(run), "--no-page"]
    n_killed = 0
    with answering(run) as ann:
        for index in range(n_kills):
            begun = run.joinpath("config.json").exists()
            arguments = ["resume", str(run), "--no-page"] if begun else train
            code = command_line(*arguments, kill_after=random.uniform(0.6, 2.0) + (index == 0))
            n_killed += code == -signal.SIGKILL
        assert n_killed >= n_kills // 2, "the training was over too soon to be killed"
        assert command_line("resume", str(run), "--no-page") in (0, 2)
    with Store(run) as store:
        answers = store.answers()
        assert [(answer.seq, answer.id) for answer in answers] == ann.acknowledged
        assert len({answer.query_id for answer in answers}) == len(answers), "nothing is asked twice"
        assert labels - SLACK <= store.counts().comparisons <= labels
        trainer = store.published(TrainerRecord)
        assert trainer is not None
        assert trainer.state == "finished"
    assert (run / "report.html").exists()
