"""Many people label at once: how many answers a second, how long each waits, whether two ever get the same pair.

    python -m benchmarks.labellers [--people 50] [--seconds 60] [--out PATH]

A labelling server in a process of its own serves a run from SQLite. The people are scripted: each claims a pair
and answers it as soon as the reply is there (closed loop, no thinking: fifty people who need four seconds for a
pair make 12 answers a second). They share the machine with the server. Meanwhile this process asks, as a trainer
does, so that some hundred queries are open at any time. The clips have been drawn before. One person alone comes
first.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from uuid import uuid4

import gymnasium
import httpx
import numpy as np
import tyro
from rich.console import Console

from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, row, write
from prefrl.segments import Query, Segment, SegmentRecorder
from prefrl.store import RunAbout, RunRecord, Store
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.tasks import TASKS

RESULTS = Path(__file__).parent / "results" / "labellers"
SECTION = "People who label at once, closed loop"
TASK = "pendulum"
N_SEGMENTS, SEGMENT_STEPS = 200, 25
"""200 segments make 19,900 pairs, so that nobody runs out of them, and few clips."""
N_OPEN = 300
"""Queries that are open at any time."""
ABOUT = RunRecord(
    task=TASK,
    env_id=TASKS[TASK].env_id,
    question=TASKS[TASK].question,
    n_labels=10**6,
    segment_length=SEGMENT_STEPS,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure the labelling server under many people."""

    people: int = 50
    """How many label at once."""
    seconds: float = 60.0
    """How long."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/labellers for 50 people and a minute, else
    nowhere."""

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        complete = (self.people, self.seconds) == (Settings.people, Settings.seconds)
        return self.out or (RESULTS if complete else None)


@dataclass
class Round:
    """What some people went through."""

    claim_seconds: list[float] = field(default_factory=list)
    answer_seconds: list[float] = field(default_factory=list)
    n_errors: int = 0
    n_empty: int = 0
    """Claims that found nothing open: then the asking was too slow, not the labelling."""
    acknowledged: Counter[str] = field(default_factory=Counter)
    """Answers by query; repeats are queries of their own."""


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    console, about = Console(width=None if sys.stdout.isatty() else 120), machine()
    console.print(f"{about['hardware']}; {about['versions']}")
    rows: list[Row] = []
    for n_people in progress(sorted({1, settings.people}), SECTION):
        rows += measure(n_people, settings.seconds)
    print_table(rows, console)
    if settings.result is not None:
        options = {key: value for key, value in asdict(settings).items() if key != "out"}
        write(rows, {**about, "settings": options}, settings.result)
        console.print(f"Written: {settings.result}.json and .csv")


def measure(n_people: int, seconds: float) -> list[Row]:
    """Let people label a fresh run; return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        segments = make_segments()
        with Store(run) as store:
            store.publish(ABOUT)
            store.begin_run(RunAbout(observation_space={}, action_space={}, segment_length=SEGMENT_STEPS))
            with served(run) as link:
                done = asyncio.run(label(store, link, segments, n_people, seconds))
        stored = check(run, done)
    case = f"{n_people} {'person' if n_people == 1 else 'people'}"
    figures = {
        "answers/s": len(done.answer_seconds) / seconds,
        "claim p50 ms": 1000 * statistics.median(done.claim_seconds),
        "claim p95 ms": 1000 * percentile(done.claim_seconds, 95),
        "claim p99 ms": 1000 * percentile(done.claim_seconds, 99),
        "answer p50 ms": 1000 * statistics.median(done.answer_seconds),
        "answer p95 ms": 1000 * percentile(done.answer_seconds, 95),
        "answer p99 ms": 1000 * percentile(done.answer_seconds, 99),
        "errors": float(done.n_errors),
        "nothing open": float(done.n_empty),
        "double claims": float(stored.n_double),
        "lost": float(stored.n_lost),
    }
    return [row(SECTION, case, name, [value]) for name, value in figures.items()]


def percentile(values: list[float], percent: float) -> float:
    """Return a percentile of some times."""
    return float(np.percentile(values, percent))


def make_segments() -> list[Segment]:
    """Cut different segments from what a random policy does."""
    env = SimulatorState(gymnasium.make(TASKS[TASK].env_id))
    recorder = SegmentRecorder(env.observation_space, env.action_space, 1, capacity=N_SEGMENTS * SEGMENT_STEPS)
    env.action_space.seed(0)
    observation, info = env.reset(seed=0)
    while recorder.n_recorded < recorder.capacity:
        action, state = env.action_space.sample(), info["render_state"]
        following, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        recorder.record(
            observation[None], action[None], np.array([reward]), np.array([done]), render_states=state[None]
        )
        observation, info = env.reset() if done else (following, info)
    env.close()
    drawn = recorder.sample(2 * N_SEGMENTS, length=SEGMENT_STEPS, rng=np.random.default_rng(0))
    return list({segment.id: segment for segment in drawn}.values())[:N_SEGMENTS]


@contextmanager
def served(run: Path) -> Iterator[str]:
    """Serve a run; give the owner's link."""
    command = [sys.executable, "-P", "-m", "prefrl_labeling_gui", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[2]
        finally:
            process.terminate()


async def label(store: Store, link: str, segments: list[Segment], n_people: int, seconds: float) -> Round:
    """Draw the clips, invite the people and let them label for some seconds."""
    url = link.partition("/?")[0]
    done = Round()
    pairs = (pair for k in range(1, len(segments)) for pair in zip(segments, segments[k:], strict=False))
    queries = (Query(segments=pair, ordinal=number, run=1) for number, pair in enumerate(pairs))
    store.add_queries(list(islice(queries, N_OPEN)))
    async with httpx.AsyncClient(base_url=url, timeout=60, follow_redirects=True) as owner:
        await owner.get(link)
        for segment in segments:
            (await owner.get(f"/clips/{segment.id}.mp4")).raise_for_status()
        names = [f"person {number}" for number in range(n_people)]
        links = [(await owner.post("/api/people", json={"name": name})).json()["link"] for name in names]
        until = time.perf_counter() + seconds
        people = [work(url, invitation, until, done) for invitation in links]
        await asyncio.gather(ask(store, queries, until, done), *people)
    return done


async def ask(store: Store, queries: Iterator[Query], until: float, done: Round) -> None:
    """Be the trainer: keep queries open."""
    n_asked = N_OPEN
    while time.perf_counter() < until:
        n_new = N_OPEN + done.acknowledged.total() - n_asked
        await asyncio.to_thread(store.add_queries, list(islice(queries, n_new)))
        n_asked += n_new
        await asyncio.sleep(0.5)


async def work(url: str, link: str, until: float, done: Round) -> None:
    """Be one person: claim, answer, and again."""
    async with httpx.AsyncClient(base_url=url, timeout=60, follow_redirects=True) as client:
        await client.get(link)
        while time.perf_counter() < until:
            started = time.perf_counter()
            claimed = await client.post("/api/claims", json={"n": 1, "holding": []})
            done.claim_seconds.append(time.perf_counter() - started)
            if claimed.status_code != 200:
                done.n_errors += 1
                continue
            if not claimed.json()["queries"]:
                done.n_empty += 1
                await asyncio.sleep(0.1)
                continue
            query_id = claimed.json()["queries"][0]["query_id"]
            body = {"id": str(uuid4()), "query_id": query_id, "choice": "left"}
            started = time.perf_counter()
            answered = await client.post("/api/answers", json=body)
            done.answer_seconds.append(time.perf_counter() - started)
            if answered.status_code == 200:
                done.acknowledged[query_id] += 1
            else:
                done.n_errors += 1


@dataclass(frozen=True)
class Stored:
    """What the store has of a round."""

    n_lost: int
    """Acknowledged answers that are not there."""
    n_double: int
    """Answers beyond the first to the same query."""


def check(run: Path, done: Round) -> Stored:
    """Compare what was acknowledged with what is stored."""
    with Store(run) as store:
        stored = Counter(answer.query_id for answer in store.answers())
    return Stored(n_lost=(done.acknowledged - stored).total(), n_double=stored.total() - len(stored))


if __name__ == "__main__":
    main()
