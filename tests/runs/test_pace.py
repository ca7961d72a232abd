"""People as teachers: the agent waits for them and not they for it, and nothing they said is lost."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError, MissingDependencyError, SettingError, StoreError
from prefrl.feedback import OracleTeacher
from prefrl.runs import RunFolder, TrainingProgress, live_status, pace, resume, start
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.live_status import LiveStatus, question_of
from prefrl.runs.metrics_log import read_metrics
from prefrl.segments import Answer
from prefrl.store import NewAnswer, RunRecord, Store, TrainerRecord
from prefrl_envs.rendering import StateRenderer
from prefrl_envs.testing import CountingEnv

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]

pytestmark = pytest.mark.usefixtures("train_only")
SLACK = 3


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(pace, "REFIT_SECONDS", 0.05)


@pytest.fixture
def human(small_config: MakeConfig) -> MakeConfig:
    """Settings of the short run, with people who should give 12 labels."""

    def make(**changes: Any) -> RunConfig:
        feedback = {"slack": SLACK, "stock": 4, "labels_per_round": 2, "asking_share": 0.7}
        return small_config(teacher="human", labels=12, feedback=feedback, **changes)

    return make


class Ann(threading.Thread):
    """Answers one query after the other as the oracle would, until told to stop or out of patience."""

    def __init__(self, run: Path, *, patience: int = 10_000, pause: float = 0.005) -> None:
        super().__init__()
        self.run_folder, self.patience, self.pause = run, patience, pause
        self.over = threading.Event()
        self.given: list[str] = []

    def run(self) -> None:
        while not (self.run_folder / "store.sqlite").exists() and not self.over.is_set():
            time.sleep(self.pause)
        with Store(self.run_folder) as store:
            while not self.over.is_set() and len(self.given) < self.patience:
                for claim in store.claim("Ann", 1):
                    answer = OracleTeacher().answer(store.query(claim.query_id))
                    sent = NewAnswer(
                        id=f"ann-{claim.query_id}", query_id=claim.query_id, answer=answer, labeler="Ann"
                    )
                    store.add_answers([sent])
                    self.given.append(claim.query_id)
                time.sleep(self.pause)


@contextmanager
def answering(run: Path, **how: Any) -> Iterator[Ann]:
    ann = Ann(run, **how)
    ann.start()
    try:
        yield ann
    finally:
        ann.over.set()
        ann.join()


def interrupt_when(condition: Callable[[TrainingProgress], bool]) -> Listener:
    def listener(progress: TrainingProgress) -> None:
        if condition(progress):
            os.kill(os.getpid(), signal.SIGINT)

    return listener


def trainer_state(store: Store) -> str | None:
    trainer = store.published(TrainerRecord)
    return None if trainer is None else trainer.state


def test_a_run_ends_with_the_labels_that_people_gave(
    human: MakeConfig, quiet: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And at no rollout's start was the agent further ahead of them than the slack."""
    ahead: list[int] = []
    begin = pace.PacedCallback._on_rollout_start

    def remember(self: pace.PacedCallback) -> None:
        begin(self)
        ahead.append(self.preferences.n_due(self.num_timesteps) - self.preferences.trainer.n_known)

    run = tmp_path / "run"
    monkeypatch.setattr(pace.PacedCallback, "_on_rollout_start", remember)
    with answering(run) as ann:
        start(human(), run, quiet)
    with Store(run) as store:
        counts = store.counts()
        # The last `slack` labels may be due when the training is over.
        assert 12 - SLACK <= counts.comparisons <= 12
        assert counts.comparisons == len(ann.given)
    assert len(ahead) == 10
    assert max(ahead) <= SLACK
    lines = read_metrics(run / "log" / "metrics.jsonl")
    assert lines[-1]["time/total_timesteps"] == 640
    assert lines[-1]["labels/total"] >= 12 - SLACK


@pytest.mark.parametrize(
    ("due", "known", "slack", "fitted", "n_open", "missing"),
    [
        (20, 10, 10, True, 2, 0),  # ahead by the slack, and no further
        (21, 10, 10, True, 2, 1),
        (30, 10, 10, True, 2, 10),
        (30, 10, 0, True, 2, 20),
        (30, 40, 10, True, 2, 0),
        (0, 0, 0, True, 2, 0),
        # Without a first answer there is no reward at all, whatever the slack.
        (5, 0, 10, False, 2, 1),
        (0, 0, 10, False, 2, 0),
        (5, 1, 10, False, 2, 0),
        (15, 0, 10, False, 2, 5),
        # Where nobody has anything to answer, waiting is for ever.
        (30, 10, 10, True, 0, 0),
        (5, 0, 10, False, 0, 0),
    ],
)
def test_the_labels_that_the_agent_waits_for(
    due: int, known: int, slack: int, fitted: bool, n_open: int, missing: int, small_config: MakeConfig
) -> None:
    callback = object.__new__(pace.PacedCallback)
    preferences: Any = SimpleNamespace(
        n_due=lambda: due,
        labels=SimpleNamespace(n_labels=known, n_open=n_open),
        reward_model=SimpleNamespace(fitted=fitted),
    )
    callback.preferences = preferences
    run: Any = SimpleNamespace(config=small_config(feedback={"slack": slack}))
    callback.run = run
    assert callback.n_missing == missing


def test_ctrl_c_before_the_first_label_stops_at_once(
    human: MakeConfig, quiet: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rollout follows with a reward that nobody has taught."""
    run, reached = tmp_path / "run", []

    def ctrl_c_when_it_waits(progress: TrainingProgress) -> None:
        reached.append(progress.num_timesteps)
        if progress.waiting and not reached.count(-1):
            reached.append(-1)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="Stopped and saved"):
        start(human(), run, ctrl_c_when_it_waits)
    assert max(reached) == 128, "the first questions are due there"
    assert Checkpoint(checkpoints(run / "checkpoints")[-1]).num_timesteps == 128
    assert all("reward_model/accuracy" not in line for line in read_metrics(run / "log" / "metrics.jsonl"))
    with answering(run):
        resume(run, quiet)
    assert Checkpoint(checkpoints(run / "checkpoints")[-1]).num_timesteps == 640


def test_the_agent_does_not_run_ahead_of_people_who_stop_answering(human: MakeConfig, tmp_path: Path) -> None:
    """With 5 answers the schedule and its slack allow so many steps and not one rollout more."""
    run, reached = tmp_path / "run", []
    waits = 0

    def listener(progress: TrainingProgress) -> None:
        nonlocal waits
        reached.append((progress.num_timesteps, progress.labels))
        waits += progress.waiting and progress.labels == 5
        if progress.waiting and waits == 20:
            os.kill(os.getpid(), signal.SIGINT)

    with answering(run, patience=5), pytest.raises(InterruptedRunError, match="prefrl resume"):
        start(human(), run, listener)
    stopped_at = max(steps for steps, labels in reached)
    assert 128 <= stopped_at < 640
    with Store(run) as store:
        assert store.counts().comparisons == 5
        assert len(store.open_queries()) >= 2, "whoever comes finds queries"
        assert trainer_state(store) == "stopped"

    def waited() -> float:
        return float(read_metrics(run / "log" / "metrics.jsonl")[-1]["time/waited_seconds"])

    saved = Checkpoint(checkpoints(run / "checkpoints")[-1]).progress["waited_seconds"]
    assert saved > waited(), "the last wait came after the last line"
    with answering(run):
        resume(run, lambda progress: None)
    assert waited() >= saved
    with Store(run) as store:
        assert store.counts().comparisons >= 12 - SLACK
        assert trainer_state(store) == "finished"


def test_a_store_that_is_locked_for_a_moment_does_not_end_the_signs_of_life(
    human: MakeConfig, quiet: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[str] = []
    publish = LiveStatus._publish

    def failing(self: LiveStatus) -> None:
        if threading.current_thread().name == "live-status":
            beats.append(self._record.state)
            if len(beats) == 1:
                raise StoreError("locked")
        publish(self)

    monkeypatch.setattr(live_status, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(live_status, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(LiveStatus, "_publish", failing)
    with answering(tmp_path / "run"):
        start(human(), tmp_path / "run", quiet)
    assert len(beats) > 1


def test_nobody_there_is_waited_for_until_ctrl_c(human: MakeConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    seen: list[TrainingProgress] = []

    def listener(progress: TrainingProgress) -> None:
        seen.append(progress)
        if progress.waiting and sum(p.waiting for p in seen) == 10:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="Stopped and saved; go on with"):
        start(human(), run, listener)
    assert all(p.labels == 0 for p in seen)
    waiting = [p.num_timesteps for p in seen if p.waiting]
    assert set(waiting) == {128}, "it waits at the first questions"
    with answering(run):
        resume(run, lambda progress: None)
    assert RunFolder.open(run).reward_model.exists()


def test_what_was_withdrawn_or_changed_since_the_checkpoint_is_taken_in_on_resume(
    human: MakeConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    stop = interrupt_when(lambda progress: progress.labels >= 8)
    with answering(run) as ann, pytest.raises(InterruptedRunError):
        start(human(), run, stop)
    with Store(run) as store:
        before = {c.query_id: c for c in store.comparisons()}
        for number, query_id in enumerate(ann.given[:3]):
            first = before[query_id].preference == 1.0
            changed = None if number == 0 else (Answer.SECOND if first else Answer.FIRST)
            change = NewAnswer(
                id=f"new-{number}",
                query_id=query_id,
                answer=changed,
                labeler="Ann",
                supersedes=f"ann-{query_id}",
            )
            store.add_answers([change])
    with answering(run):
        resume(run, lambda progress: None)
    with Store(run) as store:
        now = {c.query_id: c.preference for c in store.comparisons()}
        for query_id in ann.given[1:3]:
            assert now[query_id] == 1.0 - before[query_id].preference
        lines = read_metrics(run / "log" / "metrics.jsonl")
        assert lines[-1]["labels/total"] <= len(now)


def test_people_are_told_that_a_fresh_policy_began(human: MakeConfig, quiet: Listener, tmp_path: Path) -> None:
    """Its clips look like those of a beginner again."""
    config = human(time_limit=16, restarts={"window_share": 0.1, "patience": 1, "least_gain": 9.0})
    told: list[TrainingProgress] = []
    with answering(tmp_path / "run"):
        start(config, tmp_path / "run", told.append)
    with Store(tmp_path / "run") as store:
        trainer = store.published(TrainerRecord)
    assert trainer is not None
    assert trainer.policies == told[-1].policies == 3
    assert trainer.note == told[-1].notes[-1]
    assert "Policy 1 has got no better" in told[-1].notes[0]
    assert sum("a fresh one, takes its place" in note for note in told[-1].notes) == 2


def test_the_page_learns_what_the_run_is_about_and_what_the_agent_does(
    human: MakeConfig, quiet: Listener, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with answering(run):
        start(human(question="Which <one>?"), run, quiet)
    with Store(run) as store:
        about, trainer = store.published(RunRecord), store.published(TrainerRecord)
        assert about is not None
        assert trainer is not None
        assert about.question == "Which <one>?"
        assert (about.task, about.n_labels, about.segment_length) == ("pendulum", 12, 8)
        assert about.total_timesteps == 640
        assert trainer.state == "finished"
        assert trainer.num_timesteps == 640
        assert trainer.refits >= 2
        assert trainer.labels >= 12 - SLACK
        assert abs(time.time() * 1000 - trainer.updated_at) < 60_000

        showcase = store.showcase()
        assert [steps for steps, _ in showcase] == sorted(steps for steps, _ in showcase)
        assert len(showcase) >= 5
        shown = store.segment(showcase[-1][1])
        assert shown.n_steps == 40
        assert shown.render_states is not None

        segments = [segment for c in store.comparisons() for segment in c.segments]
        predicted = store.predictions([segment.id for segment in segments])
        assert len(predicted) >= len(segments) - 2 * SLACK * 2
        assert all(len(rewards) == 8 for rewards in predicted.values())


@pytest.mark.parametrize(
    ("kind", "task", "question", "expected"),
    [
        ("pair", "hopper-backflip", "", "closer to a backflip"),
        ("pair", "hopper-backflip", "Which is nicer?", "Which is nicer?"),
        ("pair", "CartPole-v1", "", "Which clip is better?"),
        ("rating", "hopper-backflip", "", "How well is this done? A one-legged robot does backflips."),
        ("rating", "hopper-backflip", "How nice?", "How nice?"),
        ("rating", "CartPole-v1", "", "How good is this clip?"),
    ],
)
def test_the_question_is_the_users_or_the_tasks(
    small_config: MakeConfig, kind: str, task: str, question: str, expected: str
) -> None:
    config = small_config()
    values = config.to_json() | {"task": task, "question": question}
    values["feedback"] |= {"kind": kind}
    assert expected in question_of(RunConfig.from_json(values))


class Drawn(gym.Wrapper[Any, Any, Any, Any]):
    """A user's own environment: it has no state to draw from, and draws itself, or not."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  gymnasium's

    def __init__(self, render_mode: str | None = None, fails: bool = False) -> None:
        super().__init__(CountingEnv())
        self._mode, self._fails = render_mode, fails

    @property
    def render_mode(self) -> str | None:  # type: ignore[override]
        return self._mode

    def render(self) -> Any:
        if self._fails:
            raise gym.error.DependencyNotInstalled("pygame is not installed")
        return np.full((40, 60, 3), 128, dtype=np.uint8)


def make_drawn(**settings: Any) -> gym.Env[Any, Any]:
    return Drawn(**settings)


@pytest.fixture
def own_env() -> Iterator[str]:
    gym.register("Own-v0", entry_point=make_drawn, max_episode_steps=50)
    yield "Own-v0"
    del gym.registry["Own-v0"]


def test_people_see_the_frames_of_an_environment_that_has_no_state_to_draw_from(
    human: MakeConfig, quiet: Listener, tmp_path: Path, own_env: str
) -> None:
    run = tmp_path / "run"
    config = RunConfig.from_json(human().to_json() | {"task": own_env, "env_id": own_env})
    said = "Own-v0 cannot be drawn from a stored state, so every step is drawn and kept .* ms per step, and .* MB"
    with answering(run), pytest.warns(UserWarning, match=said):
        start(config, run, quiet)
    with Store(run) as store, StateRenderer(own_env, 60, 40) as renderer:
        states = store.comparisons()[0].first.render_states
        assert states is not None
        frames = renderer.frames(states)
    assert frames.shape == (8, 40, 60, 3)
    assert abs(int(frames.mean()) - 128) <= 3


@pytest.mark.parametrize(
    ("env_kwargs", "error", "words"),
    [
        ({"fails": True}, MissingDependencyError, "needs a package: pygame is not installed"),
        ({}, SettingError, "draws no frames that people could be shown"),
    ],
)
def test_an_environment_that_draws_nothing_cannot_be_shown_to_people(
    env_kwargs: dict[str, Any],
    error: type[Exception],
    words: str,
    human: MakeConfig,
    quiet: Listener,
    tmp_path: Path,
    own_env: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not env_kwargs:
        monkeypatch.setattr(Drawn, "render_mode", None)
    values = {"task": own_env, "env_id": own_env, "env_kwargs": env_kwargs}
    with pytest.raises(error, match=words):
        start(RunConfig.from_json(human().to_json() | values), tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()
