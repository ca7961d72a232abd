"""A real browser in front of a real labelling server, and people who use it."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from prefrl.store import HistoryItem, Store, StoredAnswer
from prefrl_labeling_gui.assignment import OnScreen, on_screen

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The browser's own tool bar and address bar, which nobody sees, are pages too: half of what a context costs.
    # This list takes the place of Playwright's; what of that one matters here comes last.
    "--disable-features="
    "InitialWebUI,WebUIOmniboxPopup,WebUIOmniboxFullPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess,"
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,"
    "HttpsFirstBalancedModeAutoEnable,MediaRouter,OptimizationHints,PaintHolding,ThirdPartyStoragePartitioning",
)
LAPTOP: dict[str, Any] = {"viewport": {"width": 1366, "height": 768}}
NO_HELP = """if (location.protocol === "http:") localStorage["prefrl.settings"] ??= '{"helpSeen": true}';"""
N_QUERIES = 80
PATIENCE_MS = 15_000
"""The machine may be busy; what is right comes in a fraction of it."""


class ServerProcess(Protocol):
    """What `serve` returns."""

    run: Path

    @property
    def url(self) -> str: ...
    def owner(self) -> httpx.Client: ...
    def visit(self, link: str) -> httpx.Client: ...
    def stop(self) -> int: ...
    def kill(self) -> None: ...


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """The driver; one a module, because its event loop must not run while other tests start theirs."""
    with sync_playwright() as started:
        expect.set_options(timeout=PATIENCE_MS)
        yield started


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The browser; without it these tests fail where they must run, and are skipped elsewhere."""
    if not CHROMIUM.exists():
        sentence = f"{CHROMIUM} is missing, so the labelling page is not tested: apt-get install chromium."
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def with_large_text(playwright: Playwright) -> Iterator[Browser]:
    """A browser whose owner has set text to twice the usual size."""
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*FLAGS, "--blink-settings=defaultFontSize=32"]
    )
    yield browser
    browser.close()


class Visitor:
    """Somebody at a browser of their own, and what the store has of them."""

    def __init__(self, name: str, server: ServerProcess, context: BrowserContext) -> None:
        self.name = name
        self.server = server
        self.context = context
        self.errors: list[str] = []
        """What the browser's console complained of; there must be nothing at the end."""
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.set_default_timeout(PATIENCE_MS)
        self.page = context.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def forgive(self, *texts: str) -> None:
        """Drop complaints that contain one of these: the test provoked them."""
        self.errors = [error for error in self.errors if not any(text in error for text in texts)]

    def open(self, path: str = "/") -> Page:
        """Go to a page of the server."""
        self.page.goto(f"{self.server.url}{path}")
        return self.page

    def label(self, *, looked: bool = True) -> Page:
        """Go to the page that asks, unless that is where the person is, and wait for its first pair."""
        if self.page.url != f"{self.server.url}/":
            self.open("/")
        self.see_pair(looked=looked)
        return self.page

    def see_pair(self, other_than: str | None = None, *, looked: bool = True) -> str:
        """Wait until a pair is seen, and by default for so long that it can be answered; return its query."""
        condition = """([other, looked]) => {
            const {state, query, seen} = document.querySelector("#stage")?.dataset ?? {};
            return state === "ready" && (seen === "true" || !looked) && query !== other && query;
        }"""
        return str(self.page.wait_for_function(condition, arg=[other_than, looked]).json_value())

    @property
    def query(self) -> str | None:
        """The query that is seen."""
        return self.page.locator("#stage").get_attribute("data-query")

    @property
    def clips(self) -> tuple[str, ...]:
        """Addresses of the clips that are seen, in the order of the screen."""
        clips = [side.get_attribute("data-clip") for side in self.page.locator(".side:visible").all()]
        assert clips
        return tuple(clip for clip in clips if clip is not None)

    @property
    def videos(self) -> Locator:
        """The videos that are seen."""
        return self.page.locator("#stage video.shown")

    def button(self, action: str) -> Locator:
        """The button of an action."""
        return self.page.locator(f"#do-{action}")

    def press(self, key: str) -> str:
        """Answer by a key, and return the query that was answered."""
        query = self.see_pair()
        self.page.keyboard.press(key)
        self.leave(query)
        return query

    def rank(self, *keys: str) -> str:
        """Rank by keys, send that, and return the query that was answered."""
        self.see_pair()
        for key in keys:
            self.page.keyboard.press(key)
        return self.press("Enter")

    def click(self, action: str) -> str:
        """Answer by a click, and return the query that was answered."""
        query = self.see_pair()
        self.button(action).click()
        self.leave(query)
        return query

    def swipe(self, x: int, y: int) -> None:
        """Move a finger over the clips."""
        session = self.context.new_cdp_session(self.page)
        at = {"x": 200, "y": 330}
        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
        for part in (0.4, 0.8, 1):
            point = {"x": at["x"] + part * x, "y": at["y"] + part * y}
            session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()

    def leave(self, query: str) -> None:
        """Wait until a query is not seen any more."""
        expect(self.page.locator("#stage")).not_to_have_attribute("data-query", query)

    def all_saved(self) -> None:
        """Wait until the page says that everything is stored."""
        expect(self.page.locator("#save")).to_have_attribute("data-state", "saved")

    def history(self) -> list[HistoryItem]:
        """Present answers, newest first."""
        with Store(self.server.run) as store:
            return list(store.history(self.name, limit=None))

    def said(self) -> dict[str, OnScreen]:
        """Present answers as they were given on the screen, by query, oldest first."""
        items = reversed(self.history())
        return {item.answer.query_id: pressed(item.answer) for item in items}

    def rows(self) -> list[StoredAnswer]:
        """Everything that was ever stored of this person, oldest first."""
        with Store(self.server.run) as store:
            return [answer for answer in store.answers() if answer.labeler == self.name]


def opened(page: Page, name: str) -> Locator:
    """Open what the page of people has of somebody."""
    entry = page.get_by_role("listitem").filter(
        has=page.locator("strong", has_text=re.compile(f"^{re.escape(name)}$"))
    )
    entry.locator("summary").click()
    return entry


def pressed(answer: StoredAnswer) -> OnScreen:
    """What somebody pressed."""
    assert answer.answer is not None
    return on_screen(answer.answer, sides_swapped=answer.sides_swapped)


class Office:
    """A server with its owner, who invites people."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._owner = server.owner()
        self.links: dict[str, str] = {}

    def invite(self, name: str) -> str:
        """Return somebody's link."""
        reply = self._owner.post("/api/people", json={"name": name})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["link"])

    def renewed(self, name: str) -> str:
        """Return a new link for somebody."""
        return str(self._owner.post(f"/api/people/{quote(name)}/link").json()["link"])

    def owners_cookies(self) -> list[dict[str, str]]:
        """What makes a browser the owner's."""
        return [
            {"name": cookie.name, "value": str(cookie.value), "url": self.server.url}
            for cookie in self._owner.cookies.jar
        ]

    def close(self) -> None:
        """Leave."""
        self._owner.close()


@pytest.fixture(scope="session")
def open_office() -> Iterator[Callable[[ServerProcess], Office]]:
    """`open_office(server)`: its owner, who invites people; of a server that nobody has signed in at."""
    offices: list[Office] = []

    def come(server: ServerProcess) -> Office:
        offices.append(Office(server))
        return offices[-1]

    yield come
    for office in offices:
        office.close()


@pytest.fixture
def small_office(
    serve: Callable[..., ServerProcess],
    open_office: Callable[[ServerProcess], Office],
    make_run: Callable[..., Path],
    tmp_path: Path,
) -> Callable[..., Office]:
    """`small_office("--least-look", "10")`: of a page with these options, and three pairs of clips of 1.2 s."""

    def come(*options: str) -> Office:
        run = make_run(tmp_path / "run", n_queries=3, task="gridworld", segment_length=6)
        return open_office(serve(run, *options))

    return come


@pytest.fixture(scope="session")
def office_with(
    serve_for_session: Callable[..., ServerProcess],
    open_office: Callable[[ServerProcess], Office],
    make_run: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Office]:
    """`office_with("--show-predictions", feedback="rating")`: of a page with these options, and a run made so.

    Many people may answer each query, and nothing is asked twice. Who asks for the same gets the same office.
    """
    offices: dict[tuple[object, ...], Office] = {}

    def come(*options: str, **about: Any) -> Office:
        key = (*options, *sorted(about.items()))
        if key not in offices:
            run = make_run(tmp_path_factory.mktemp("office") / "run", overlap=100, **about)
            offices[key] = open_office(serve_for_session(run, "--repeat-share", "0", *options))
        return offices[key]

    return come


@pytest.fixture(scope="session")
def office(office_with: Callable[..., Office]) -> Office:
    """A Hopper's run with plenty of pairs of few clips."""
    return office_with(n_queries=N_QUERIES, n_segments=14)


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    """`visit(office, name, **context options)`: somebody signed in. Whatever their console says fails the test."""
    visitors: list[Visitor] = []

    def come(office: Office, name: str | None = None, *, helped: bool = True, **options: Any) -> Visitor:
        context = chromium.new_context(**{**LAPTOP, **options})
        if helped:
            context.add_init_script(NO_HELP)
        if name == "owner":
            context.add_cookies(office.owners_cookies())  # type: ignore[arg-type]  # a TypedDict wants literals
        visitor = Visitor(name or f"Ada {time.time_ns()}", office.server, context)
        if name != "owner":
            visitor.page.goto(office.invite(visitor.name))
        visitors.append(visitor)
        return visitor

    yield come
    complaints = [(visitor.name, error) for visitor in visitors for error in visitor.errors]
    for visitor in visitors:
        visitor.context.close()
    assert complaints == []


@pytest.fixture
def visitor(visit: Callable[..., Visitor], office: Office) -> Visitor:
    """Somebody new, at a laptop, who has seen the help."""
    return visit(office)
