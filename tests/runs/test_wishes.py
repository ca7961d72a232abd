"""What the owner wishes on the page: the agent pauses, goes on, or saves and stops; an old wish holds nobody."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError
from prefrl.feedback import OracleTeacher
from prefrl.runs import TrainingProgress, live_status, pace, resume, start
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.metrics_log import read_metrics
from prefrl.runs.training import Training
from prefrl.store import NewAnswer, Store, TrainerRecord, Wish, WishRecord, schema

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]

pytestmark = pytest.mark.usefixtures("train_only")
NOTICED_SECONDS = 0.3
"""Long enough for a wish to be read, also on a busy machine."""
WISHED_AT = 256


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(pace, "REFIT_SECONDS", 0.05)
    monkeypatch.setattr(live_status, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(live_status, "HEARTBEAT_SECONDS", 0.01)


@pytest.fixture
def human(small_config: MakeConfig) -> MakeConfig:
    """The short run with people, who are waited for once: for the first label; saved at its end only."""

    def make(**changes: Any) -> RunConfig:
        feedback = {"slack": 16, "stock": 4, "labels_per_round": 2, "asking_share": 0.7}
        return small_config(teacher="human", labels=16, feedback=feedback, checkpoint_every=10_000, **changes)

    return make


class Owner:
    """A listener that answers where the agent waits, notes what it saw, and has a page's wishes."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.seen: list[TrainingProgress] = []

    def __call__(self, progress: TrainingProgress) -> None:
        self.seen.append(progress)
        if progress.waiting:
            self.answer()

    @property
    def paused(self) -> list[TrainingProgress]:
        return [progress for progress in self.seen if progress.paused]

    def answer(self, n: int = 1) -> None:
        with Store(self.run) as store:
            for claim in store.claim("Ann", n):
                answer = OracleTeacher().answer(store.query(claim.query_id))
                sent = NewAnswer(id=f"ann-{claim.query_id}", query_id=claim.query_id, answer=answer, labeler="Ann")
                store.add_answers([sent])

    def wish(self, wish: Wish) -> None:
        with Store(self.run) as store:
            store.publish(wish_for(self.told().training, wish))
        time.sleep(NOTICED_SECONDS)

    def told(self) -> TrainerRecord:
        with Store(self.run) as store:
            trainer = store.published(TrainerRecord)
        assert trainer is not None
        return trainer


def wish_for(training: str, wish: Wish) -> WishRecord:
    return WishRecord(training=training, wish=wish, by="owner", updated_at=time.time_ns() // 1_000_000)


class Pausing(Owner):
    """Pauses the agent after 256 steps, and does something at each look of the agent while it waits for that."""

    def __init__(self, run: Path, meanwhile: Callable[["Pausing"], None]) -> None:
        super().__init__(run)
        self.meanwhile = meanwhile
        self.has_wished = False

    def __call__(self, progress: TrainingProgress) -> None:
        super().__call__(progress)
        if progress.num_timesteps >= WISHED_AT and not (self.has_wished or progress.waiting):
            self.has_wished = True
            self.wish("pause")
        if progress.paused:
            self.meanwhile(self)


def last_checkpoint(run: Path) -> Checkpoint:
    return Checkpoint(checkpoints(run / "checkpoints")[-1])


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_while_the_agent_is_paused_its_reward_learns_on_and_it_goes_on_when_told(
    human: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algo: str
) -> None:
    run, told, n_open, saved = tmp_path / "run", [], [], []
    save = Training.save

    def note(training: Training) -> None:
        saved.append(training.agent.num_timesteps)
        save(training)

    def meanwhile(owner: Pausing) -> None:
        if len(owner.paused) == 2:
            told.append(owner.told())
            owner.answer(2)
        if len(owner.paused) == 40:
            time.sleep(NOTICED_SECONDS)
            told.append(owner.told())
            with Store(run) as store:
                n_open.append(len(store.open_queries()))
            owner.wish("go_on")

    monkeypatch.setattr(Training, "save", note)
    monkeypatch.setattr(pace, "SAVE_SECONDS", 0.1)
    owner = Pausing(run, meanwhile)
    start(human(algo=algo), run, owner)
    assert {progress.num_timesteps for progress in owner.paused} == {WISHED_AT}, "noticed within one rollout"
    assert not any(progress.waiting for progress in owner.seen if progress.num_timesteps == WISHED_AT)
    assert len(owner.paused) <= 41, "it goes on at once"
    assert [trainer.state for trainer in told] == ["paused", "paused"]
    assert told[1].labels == told[0].labels + 2
    assert told[1].refits > told[0].refits
    assert n_open[0] >= 2, "who labels finds queries"
    assert saved.count(WISHED_AT) == 1, "a long pause is saved, once"
    assert last_checkpoint(run).num_timesteps == 640
    assert owner.told().state == "finished"
    assert last_checkpoint(run).progress["waited_seconds"] > NOTICED_SECONDS


def test_the_page_is_told_of_a_pause_before_the_next_sign_of_life(
    human: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []

    def meanwhile(owner: Pausing) -> None:
        time.sleep(NOTICED_SECONDS)
        states.append(owner.told().state)
        owner.wish("go_on")

    monkeypatch.setattr(live_status, "HEARTBEAT_SECONDS", 3600)
    start(human(), tmp_path / "run", Pausing(tmp_path / "run", meanwhile))
    assert states == ["paused"]


def test_a_paused_agent_that_is_told_to_stop_is_kept_and_goes_on_unpaused(
    human: MakeConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    owner = Pausing(run, lambda owner: owner.wish("stop"))
    with pytest.raises(InterruptedRunError, match="Stopped and saved; go on with `prefrl resume"):
        start(human(), run, owner)
    assert len(owner.paused) == 1
    assert last_checkpoint(run).num_timesteps == WISHED_AT
    assert owner.told().state == "stopped"
    again = Owner(run)
    resume(run, again)
    assert again.paused == []
    assert last_checkpoint(run).num_timesteps == 640


def test_a_pause_holds_no_training_that_comes_after(human: MakeConfig, tmp_path: Path) -> None:
    """It was interrupted while it was paused, and nobody has told it to go on."""
    run = tmp_path / "run"
    with pytest.raises(InterruptedRunError):
        start(human(), run, Pausing(run, lambda owner: os.kill(os.getpid(), signal.SIGINT)))
    with Store(run) as store:
        wish = store.published(WishRecord)
    assert wish is not None
    assert wish.wish == "pause"
    again = Owner(run)
    resume(run, again)
    assert again.paused == []


@pytest.mark.parametrize("wish", ["pause", "stop"])
def test_a_wish_from_before_the_training_is_none_of_its_own(human: MakeConfig, tmp_path: Path, wish: Wish) -> None:
    def opened(run: Path) -> None:
        with Store(run) as store:
            store.publish(wish_for("", wish))

    owner = Owner(tmp_path / "run")
    start(human(), tmp_path / "run", owner, opened=opened)
    assert owner.paused == []
    assert last_checkpoint(owner.run).num_timesteps == 640


class Stopping(Owner):
    """Tells the agent to stop, at the first look at which it trains, or waits for labels, and answers nothing."""

    def __init__(self, run: Path, *, waiting: bool) -> None:
        super().__init__(run)
        self.waiting = waiting

    def __call__(self, progress: TrainingProgress) -> None:
        self.seen.append(progress)
        if progress.waiting is self.waiting:
            self.wish("stop")


@pytest.mark.parametrize(("waiting", "steps"), [(False, 64), (True, 128)])
def test_an_agent_that_trains_or_waits_stops_and_is_kept(
    human: MakeConfig, tmp_path: Path, waiting: bool, steps: int
) -> None:
    run = tmp_path / "run"
    with pytest.raises(InterruptedRunError, match="Stopped and saved"):
        start(human(), run, Stopping(run, waiting=waiting))
    assert last_checkpoint(run).num_timesteps == steps
    assert read_metrics(run / "log" / "metrics.jsonl")[-1]["time/total_timesteps"] == steps


def test_a_wish_that_cannot_be_read_ends_no_sign_of_life(human: MakeConfig, tmp_path: Path) -> None:
    states = []

    def opened(run: Path) -> None:
        with Store(run) as store, store._database.write() as connection:
            connection.execute(insert(schema.status).values(key="wish", value="{}"))

    class Watching(Owner):
        def __call__(self, progress: TrainingProgress) -> None:
            super().__call__(progress)
            if progress.num_timesteps == WISHED_AT:
                time.sleep(NOTICED_SECONDS)
                states.append(self.told().state)

    start(human(), tmp_path / "run", Watching(tmp_path / "run"), opened=opened)
    assert states
    assert "starting" not in states
