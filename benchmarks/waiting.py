"""How long somebody who answers fast waits for the next pair, while an agent trains beside.

    python -m benchmarks.waiting [--seconds 120] [--alone] [--out PATH]

A labelling server in a process of its own serves a run from SQLite, and draws every clip anew. One scripted person
holds as many pairs as the page does, fetches their clips as the page does, and answers at a fixed pace. Meanwhile
this process asks, as a trainer does: there are always as many open pairs as a run keeps in stock, all of them of
new clips. A training of a Hopper runs beside, unless `--alone`. What a browser needs to decode is not in the
figures.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import tyro
from rich.console import Console

from benchmarks._machine import machine
from benchmarks._results import Row, print_table, progress, row, write
from benchmarks.drawing import states_of
from benchmarks.labellers import percentile, served
from prefrl.config import load_preset
from prefrl.segments import Query, Segment
from prefrl.store import RunAbout, RunRecord, Store
from prefrl_envs.tasks import TASKS

RESULTS = Path(__file__).parent / "results" / "waiting"
SECTION = "Wait for the next pair, one person"
TASK, TASK_ID = "hopper-backflip", "HopperBackflip"
PACES = (0.6, 2.0)
"""Seconds from a pair that is there to its answer."""
HELD = 3
"""Pairs that the page holds unless told otherwise."""
HEAD_START = 10.0
"""Seconds before the first answer, in which the first pairs are drawn: a person reads what is asked."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Measure how long the next pair takes."""

    seconds: float = 120.0
    """How long, at each pace."""
    alone: bool = False
    """Have nothing train beside."""
    out: Path | None = None
    """Where to write (.json and .csv); by default benchmarks/results/waiting for two minutes beside a training,
    else nowhere."""

    @property
    def result(self) -> Path | None:
        """Where to write, without suffix."""
        complete = (self.seconds, self.alone) == (Settings.seconds, Settings.alone)
        return self.out or (RESULTS if complete else None)


class Pairs:
    """Pairs of clips that nobody has seen, of an agent that acts at random.

    Args:
        n_steps: Of a clip.
        most: How many are wanted at most.
    """

    def __init__(self, n_steps: int, most: int) -> None:
        self._states = states_of(TASK_ID, 2 * most * n_steps)
        self._n_steps = n_steps
        self._ordinals = count()

    def new(self) -> Query:
        """Return the next pair."""
        ordinal = next(self._ordinals)
        first, second = (self._segment(2 * ordinal + side) for side in (0, 1))
        return Query(segments=(first, second), ordinal=ordinal, run=1)

    def _segment(self, number: int) -> Segment:
        zeros = np.zeros((self._n_steps, 1), dtype=np.float32)
        states = self._states[number * self._n_steps : (number + 1) * self._n_steps]
        return Segment(observations=zeros, actions=zeros, env_rewards=zeros[:, 0], render_states=states)


class Person:
    """Somebody at the page: holds pairs, loads their clips, answers."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._held: dict[str, asyncio.Task[Any]] = {}
        self._claiming = asyncio.Lock()
        self.waits: list[float] = []
        """Seconds from each answer until the clips of the next pair were there."""

    async def fill(self) -> None:
        """Claim, and load what came."""
        async with self._claiming:
            missing = HELD - len(self._held)
            if missing <= 0:
                return
            body = {"n": missing, "holding": list(self._held)}
            reply = (await self._client.post("/api/claims", json=body)).raise_for_status().json()
            for query in reply["queries"]:
                self._held[query["query_id"]] = asyncio.create_task(self._load(query["clips"]))

    async def _load(self, clips: list[dict[str, Any]]) -> None:
        replies = await asyncio.gather(*(self._client.get(clip["clip"]) for clip in clips))
        for reply in replies:
            reply.raise_for_status()

    async def answer(self, pace: float) -> None:
        """Look at the first pair that is held, answer, and go on at once."""
        since = time.perf_counter()
        while not self._held:  # as the page hears of new pairs
            await self.fill()
            await asyncio.sleep(0.05)
        query_id, loading = next(iter(self._held.items()))
        await loading
        self.waits.append(time.perf_counter() - since)
        await asyncio.sleep(pace)
        del self._held[query_id]
        body = {"id": str(uuid4()), "query_id": query_id, "choice": "left"}
        asyncio.create_task(self._send(body))  # noqa: RUF006 - the page waits for neither

    async def _send(self, body: dict[str, Any]) -> None:
        (await self._client.post("/api/answers", json=body)).raise_for_status()
        await self.fill()


def main() -> None:
    """Measure, print and write."""
    settings = tyro.cli(Settings)
    console, about = Console(width=None if sys.stdout.isatty() else 120), machine()
    console.print(f"{about['hardware']}; {about['versions']}")
    rows: list[Row] = []
    for pace in progress(PACES, SECTION):
        rows += measure(pace, settings)
    print_table(rows, console)
    if settings.result is not None:
        options = {key: value for key, value in asdict(settings).items() if key != "out"}
        write(rows, {**about, "settings": options}, settings.result)
        console.print(f"Written: {settings.result}.json and .csv")


def measure(pace: float, settings: Settings) -> list[Row]:
    """Have a person answer at a pace; return the figures."""
    config = load_preset(TASK, teacher="human")
    about = RunRecord(
        task=TASK,
        env_id=config.env_id,
        question=TASKS[TASK].question,
        n_labels=10**6,
        segment_length=config.feedback.segment_length,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        pairs = Pairs(about.segment_length, round(settings.seconds / pace) + 2 * config.feedback.stock)
        with Store(run) as store, trained(Path(folder) / "other", settings.alone):
            store.publish(about)
            store.begin_run(RunAbout(observation_space={}, action_space={}, segment_length=about.segment_length))
            with served(run) as link:
                waits = asyncio.run(label(store, link, pairs, config.feedback.stock, pace, settings.seconds))
    figures = {f"p{percent} ms": 1000 * percentile(waits, percent) for percent in (50, 90, 99)}
    figures |= {"answers": float(len(waits)), "longest ms": 1000 * max(waits)}
    return [row(SECTION, f"{pace:g} s per answer", name, [value]) for name, value in figures.items()]


@contextmanager
def trained(out: Path, alone: bool) -> Iterator[None]:
    """Train a Hopper beside, for longer than anybody measures."""
    if alone:
        yield
        return
    command = [sys.executable, "-m", "prefrl", "train", "hopper", "--total-timesteps", str(10**8)]
    with subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()  # nothing of it is wanted


async def label(store: Store, link: str, pairs: Pairs, stock: int, pace: float, seconds: float) -> list[float]:
    """Have one person answer for some seconds; return how long each pair took to come."""
    store.add_queries([pairs.new() for _ in range(stock)])
    async with httpx.AsyncClient(base_url=link.partition("/?")[0], timeout=60, follow_redirects=True) as client:
        (await client.get(link)).raise_for_status()
        person = Person(client)
        await person.fill()
        await asyncio.sleep(HEAD_START)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            await person.answer(pace)
            await asyncio.to_thread(store.add_queries, [pairs.new()])
        return person.waits


if __name__ == "__main__":
    main()
