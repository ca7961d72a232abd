"""What all tests share: one torch thread, drawing without a display, random numbers, and a labelling server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")  # read by MuJoCo when it is first imported

import gymnasium
import httpx
import hypothesis
import numpy as np
import pytest
import torch

from prefrl.segments import Query, Segment, SegmentRecorder
from prefrl.store import RunAbout, RunRecord, Store, TrainerRecord
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.tasks import TASKS

# For the processes that tests start, too: threads of several processes that wait for each other on two cores make
# a script of one minute last for six.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# The same examples every time, and no failure because the machine was busy.
hypothesis.settings.register_profile("prefrl", derandomize=True, deadline=None)
hypothesis.settings.load_profile("prefrl")


def _make_segment(
    number: int = 0,
    *,
    n_steps: int = 4,
    rewards: Sequence[float] | None = None,
    num_timesteps: int = 0,
    render: bool = True,
) -> Segment:
    rng = np.random.default_rng(number)
    return Segment(
        observations=rng.normal(size=(n_steps, 3)).astype(np.float32),
        actions=rng.integers(5, size=n_steps),
        env_rewards=np.asarray(rng.normal(size=n_steps) if rewards is None else rewards, dtype=np.float32),
        render_states=rng.normal(size=(n_steps, 2)) if render else None,
        env_index=number % 3,
        episode=number // 3,
        start=number,
        num_timesteps=num_timesteps,
    )


def _make_query(ordinal: int = 0, *, n_segments: int = 2, n_steps: int = 4, num_timesteps: int = 0) -> Query:
    segments = (
        _make_segment(100 * ordinal + k, n_steps=n_steps, num_timesteps=num_timesteps + k)
        for k in range(n_segments)
    )
    return Query(segments=tuple(segments), ordinal=ordinal, num_timesteps=num_timesteps, run=1)


@pytest.fixture
def make_segment() -> Callable[..., Segment]:
    """Segment number `number`: the same number is the same content."""
    return _make_segment


@pytest.fixture
def make_query() -> Callable[..., Query]:
    """Query number `ordinal`: the same number is the same content."""
    return _make_query


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


ABOUT = RunAbout(task="a task", observation_space={}, action_space={}, segment_length=4)


@pytest.fixture(scope="session")
def about() -> RunAbout:
    """What a run is about, to begin one in a store; `make_query` makes queries of the first."""
    return ABOUT


@cache
def random_experience(env_id: str, n_steps: int, seed: int = 0) -> SegmentRecorder:
    """What a random policy does in one environment; to be drawn from, not to be added to."""
    env = SimulatorState(gymnasium.make(env_id))
    recorder = SegmentRecorder(env.observation_space, env.action_space, 1, capacity=n_steps)
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    for _ in range(n_steps):
        action, state = env.action_space.sample(), info["render_state"]
        following, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        rewards, dones = np.array([float(reward)]), np.array([done])
        recorder.record(
            observation[None],
            np.asarray(action)[None],
            rewards,
            dones,
            next_observations=np.asarray(following)[None],
            render_states=state[None],
        )
        observation, info = env.reset() if done else (following, info)
    env.close()
    return recorder


def make_trainer_record(**changes: Any) -> TrainerRecord:
    record = TrainerRecord(
        state="training",
        num_timesteps=20_000,
        labels=12,
        labels_due=40,
        refits=3,
        true_return=1.5,
        held_out_accuracy=0.8,
        updated_at=time.time_ns() // 1_000_000,
    )
    return replace(record, **changes)


def make_run_record(**changes: Any) -> RunRecord:
    task = changes.get("task", "hopper-backflip")
    known = TASKS.get(task)
    record = RunRecord(
        task=task,
        env_id=known.env_id if known else "e",
        question=known.question if known else "Which?",
        n_labels=300,
        segment_length=35,
        total_timesteps=640_000,
        seed=0,
        algo="ppo",
    )
    return replace(record, **changes)


@pytest.fixture(scope="session")
def trainer_record() -> Callable[..., TrainerRecord]:
    """`trainer_record(state="waiting", …)`: what a trainer publishes of itself now."""
    return make_trainer_record


@pytest.fixture(scope="session")
def run_record() -> Callable[..., RunRecord]:
    """`run_record(task="gridworld", …)`: what a trainer publishes of its run."""
    return make_run_record


@pytest.fixture(scope="session")
def trainer_beats() -> Callable[..., None]:
    """`trainer_beats(run, state="waiting", …)` publishes what the trainer does, as if it did so now."""

    def beat(run: Path, **changes: Any) -> None:
        with Store(run) as store:
            store.publish(make_trainer_record(**changes))

    return beat


@pytest.fixture(scope="session")
def begin_like() -> Callable[[Store, Store], None]:
    """`begin_like(source, store)` begins a run in a store as if its trainer were that of another one."""

    def begin(source: Store, store: Store) -> None:
        run, trainer = source.published(RunRecord), source.published(TrainerRecord)
        assert run is not None
        assert trainer is not None
        store.publish(run)
        store.publish(trainer)
        store.begin_run(ABOUT)

    return begin


def build_run(
    folder: Path,
    *,
    n_queries: int = 20,
    task: str = "hopper-backflip",
    segment_length: int = 35,
    n_labels: int = 300,
    overlap: int = 1,
    started: bool = True,
    n_segments: int | None = None,
    feedback: str = "pair",
    n_clips: int = 2,
) -> Path:
    """Make the folder of a run whose trainer has asked `n_queries` queries about a random policy.

    `started=False` leaves it as it is before the trainer has said anything. `n_segments` bounds how many
    different segments the queries share, where drawing them all would take long. Each query is about `n_clips`.
    """
    env_id = TASKS[task].env_id
    (folder / "log").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"config": {"task": task}}) + "\n")
    if not started:
        return folder
    rng = np.random.default_rng(0)
    recorder = random_experience(env_id, 1500)
    drawn = recorder.sample(n_segments or n_clips * n_queries, length=segment_length, rng=rng)
    segments = list({segment.id: segment for segment in drawn}.values())
    lines = [
        {
            "time/total_timesteps": 4096 * (i + 1),
            "rollout/ep_rew_mean": 0.1 * i,
            "rollout/ep_predicted_rew_mean": 0.2 * i,
            "reward_model/accuracy": 0.5 + 0.04 * i,
            "reward_model/fresh_accuracy": i % 2,
            "labels/total": 4 * i,
            "task/backflips": 0.05 * i,
        }
        for i in range(8)
    ]
    (folder / "log" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Store(folder) as store:
        store.publish(
            make_run_record(task=task, n_labels=n_labels, segment_length=segment_length, feedback=feedback)
        )
        store.publish(make_trainer_record())
        spaces = recorder.observation_space, recorder.action_space
        begun = store.begin_run(RunAbout.of(*spaces, segment_length=segment_length, task=task))
        queries = queries_about(segments, n_queries, rng, n_clips=n_clips)
        store.add_queries(queries, run=begun, overlap=overlap)
        for number in range(3):
            [episode] = recorder.sample(1, length=100, rng=rng)
            store.add_showcase(episode, num_timesteps=4096 * number)
    return folder


def queries_about(segments: list[Segment], n: int, rng: np.random.Generator, *, n_clips: int) -> list[Query]:
    """`n` queries, none about the same of these segments as another."""
    seen: set[frozenset[int]] = set()
    queries: list[Query] = []
    while len(queries) < n:
        chosen = [int(i) for i in rng.choice(len(segments), size=n_clips, replace=False)]
        if frozenset(chosen) not in seen:
            seen.add(frozenset(chosen))
            shown = tuple(segments[i] for i in chosen)
            queries.append(Query(segments=shown, ordinal=len(queries), num_timesteps=20_000))
    return queries


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """`make_run(folder, n_queries=20, …)`: see `build_run`."""
    return build_run


@dataclass(frozen=True)
class ServerProcess:
    """A labelling server in a process of its own."""

    process: subprocess.Popen[str]
    link: str
    """Address with the owner's token, good for one use."""
    run: Path
    clients: list[httpx.Client] = field(default_factory=list)
    """Closed when the test is over."""

    @property
    def url(self) -> str:
        """Address without the token or a slash at the end."""
        return self.link.partition("/?")[0]

    def owner(self) -> httpx.Client:
        """Sign in by the link that the server printed, which works once."""
        return self.visit(self.link)

    def visit(self, link: str) -> httpx.Client:
        """Follow a link as a browser would, and return a client that is signed in."""
        # The server closes a connection that was idle for 5 s; a request that crosses it fails here, where a
        # browser sends it again.
        limits = httpx.Limits(keepalive_expiry=2.0)
        client = httpx.Client(base_url=self.url, timeout=60, follow_redirects=True, limits=limits)
        self.clients.append(client)
        client.get(link).raise_for_status()
        return client

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(20)


@contextmanager
def servers() -> Iterator[Callable[..., ServerProcess]]:
    """Start labelling servers; they are killed at the end."""
    started: list[ServerProcess] = []

    def start(run: Path, *options: str) -> ServerProcess:
        port = () if "--port" in options else ("--port", "0")
        command = [sys.executable, "-P", "-m", "prefrl_labeling_gui", str(run), *port, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("Label at "):
            process.kill()
            process.wait()
            pytest.fail(f"The server did not start: {line!r}.")
        server = ServerProcess(process, line.split()[2], run)
        started.append(server)
        return server

    yield start
    for server in started:
        for client in server.clients:
            client.close()
        server.kill()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., ServerProcess]]:
    """`serve(run, *options)` starts the labelling server of a run on a free port; it is killed at the end."""
    with servers() as start:
        yield start


@pytest.fixture(scope="session")
def serve_for_session() -> Iterator[Callable[..., ServerProcess]]:
    """As `serve`, for servers that many tests share."""
    with servers() as start:
        yield start


@pytest.fixture
def read_events(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], SimpleNamespace]:
    """Read a TensorBoard log as TensorBoard does.

    Scalars, by key, are pairs of step and value; images pairs of step and file; texts are texts.
    """
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.summary.writer import event_file_writer

    # Within one second event files are in the order of this number as text: a resume in a test takes less.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(1000))

    def read(folder: Path) -> SimpleNamespace:
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
        events.Reload()
        tags = events.Tags()
        return SimpleNamespace(
            scalars={tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]},
            images={tag: [(e.step, e.encoded_image_string) for e in events.Images(tag)] for tag in tags["images"]},
            texts={
                tag: [(e.step, e.tensor_proto.string_val[0].decode()) for e in events.Tensors(tag)]
                for tag in tags["tensors"]
            },
        )

    return read
