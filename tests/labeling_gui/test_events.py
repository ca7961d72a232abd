"""The stream of events of an open page."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx

from prefrl.store import Store
from prefrl_labeling_gui.events import Streams, event, messages
from prefrl_labeling_gui.messages import Progress, TrainerProgress

Claimed = Callable[..., list[dict[str, Any]]]


def events_of(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read events as they come."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_page_hears_of_answers_and_of_new_queries(
    served: Any, claimed: Claimed, said: Callable[..., Any], make_run: Callable[..., Any], tmp_path: Any
) -> None:
    client, tab = served.join("Ann"), served.signed_in("Ann")
    with tab.stream("GET", "/api/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        events = events_of(response)
        name, progress = next(events)
        assert (name, progress["answered"]) == ("progress", 0)
        said(client, claimed(client)[0]["query_id"])
        started = time.monotonic()
        while progress["answered"] == 0:
            name, progress = next(events)
        assert time.monotonic() - started < 5
        with Store(make_run(tmp_path / "more", task="gridworld", n_queries=160, segment_length=6)) as theirs:
            ids = [query.query_id for query in theirs.open_queries()]
            served.store.add_queries([theirs.query(query_id) for query_id in ids])
        while name != "queries":
            name, data = next(events)
        assert data == {"open": served.context.training_view.n_open}


def progress(answered: int) -> Progress:
    return Progress(
        answered=answered,
        cannot_tell=0,
        total=0,
        budget=None,
        per_minute=None,
        seconds_left=None,
        open=0,
        quota=None,
        counted=0,
        trainer=TrainerProgress(alive=False),
    )


async def collect(streams: Streams, seconds: float, answered: Callable[[], int]) -> list[tuple[float, str]]:
    """What one stream says within some seconds, and when."""
    said, started = [], time.monotonic()
    stream = messages(
        streams, progress=lambda: progress(answered()), stock=lambda: (0, 0), is_welcome=lambda: True
    )

    async def listen() -> None:
        async for message in stream:
            said.append((time.monotonic() - started, message))

    listening = asyncio.create_task(listen())
    await asyncio.sleep(seconds)
    streams.closing = True
    await listening
    return said


def test_what_changes_all_the_time_is_sent_twice_a_second() -> None:
    count = iter(range(10**9))
    said = asyncio.run(collect(Streams(), 1.8, lambda: next(count)))
    assert 3 <= len(said) <= 4
    assert all(b - a > 0.45 for (a, _), (b, _) in itertools.pairwise(said))


def test_what_does_not_change_is_sent_once_and_after_a_silence(monkeypatch: Any) -> None:
    assert len(asyncio.run(collect(Streams(), 1.2, lambda: 0))) == 1
    monkeypatch.setattr("prefrl_labeling_gui.events.SECONDS_OF_SILENCE", 1.0)
    assert len(asyncio.run(collect(Streams(), 1.2, lambda: 0))) == 2


def test_a_stream_ends_when_the_server_stops() -> None:
    started = time.monotonic()
    asyncio.run(collect(Streams(), 0.1, lambda: 0))
    assert time.monotonic() - started < 2


def test_an_event_is_written_as_browsers_read_it() -> None:
    assert event("progress", '{"a":1}') == 'event: progress\ndata: {"a":1}\n\n'


def test_streams_are_counted_while_they_are_open() -> None:
    streams = Streams()
    with ExitStack() as stack:
        for _ in range(8):
            assert not streams.is_full("Ann")
            stack.enter_context(streams.counted("Ann"))
        assert streams.is_full("Ann")
        assert not streams.is_full("Bo")
    assert not streams.is_full("Ann")
