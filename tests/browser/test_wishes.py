"""The owner has the agent pause, go on, and stop, by buttons on the training page."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from prefrl.store import Store, TrainerRecord, WishRecord
from tests.browser.test_pages import faults

GONE_MS = 3_600_000
SLOW_MS = 60_000
"""A training process may take that long to begin."""


@contextmanager
def training(run: Path, *command: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Train with people; give the process and the address of its page."""
    log = run.parent / "stderr"
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", "prefrl", *command], stderr=file, text=True)
    try:
        deadline = time.monotonic() + SLOW_MS / 1000
        while (found := re.search(r"http://\S+", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process, found.group()
    finally:
        process.terminate()
        process.wait(60)


def test_a_training_pauses_goes_on_stops_and_is_resumed(chromium: Browser, tmp_path: Path) -> None:
    """A real one, which waits for its first labels; after the stop `prefrl resume` finds it as it was."""
    run = tmp_path / "run"
    page = chromium.new_page()
    people = ("train", "gridworld", "--teacher", "human", "--out", str(run))
    with training(run, *people) as (process, address):
        page.goto(address)
        page.goto(f"{address.partition('/?')[0]}/training")
        agent, said = page.locator("#agent"), page.locator("#wish")
        expect(agent).to_contain_text("The agent starts to train after", timeout=SLOW_MS)
        page.get_by_role("button", name="Pause").click()
        expect(agent).to_contain_text("The agent is paused, after")
        expect(said).to_be_empty()
        page.get_by_role("button", name="Go on").click()
        expect(agent).to_contain_text("The agent starts to train after")
        page.get_by_role("button", name="Pause").click()
        expect(agent).to_contain_text("The agent is paused")
        page.get_by_role("button", name="Stop and keep").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop and keep").click()
        expect(said).to_contain_text(re.compile(f"Saving and stopping|Go on with “prefrl resume {run}”"))
        assert process.wait(60) == 130, "as after Ctrl-C"
    page.close()
    assert f"Stopped and saved; go on with `prefrl resume {run}`" in (tmp_path / "stderr").read_text()
    assert list((run / "checkpoints").iterdir())
    with Store(run) as store:
        trainer = store.published(TrainerRecord)
        assert trainer is not None
        assert trainer.state == "stopped"

    page = chromium.new_page()
    with training(run, "resume", str(run)) as (_, address):
        page.goto(address)
        page.goto(f"{address.partition('/?')[0]}/training")
        expect(page.locator("#agent")).to_contain_text("The agent starts to train after", timeout=SLOW_MS)
        expect(page.get_by_role("button", name="Pause")).to_be_enabled()
    page.close()


@pytest.fixture
def trains(small_office: Callable[..., Any], trainer_beats: Callable[..., None]) -> Callable[..., Any]:
    """`trains(state="waiting")`: a small office whose training says so, and is alive for an hour."""
    offices: list[Any] = []

    def say(**changes: Any) -> Any:
        if not offices:
            offices.append(small_office())
        alive_until = time.time_ns() // 1_000_000 + GONE_MS
        trainer_beats(offices[0].server.run, **{"training": "mine", "updated_at": alive_until, **changes})
        return offices[0]

    return say


def wished(office: Any) -> str | None:
    with Store(office.server.run) as store:
        wish = store.published(WishRecord)
    return None if wish is None else wish.wish


def test_between_press_and_effect_the_page_says_what_is_to_come(
    visit: Callable[..., Any], trains: Callable[..., Any]
) -> None:
    office = trains()
    page = visit(office, "owner").open("/training")
    pause, said = page.locator("#pause"), page.locator("#wish")
    expect(pause).to_have_text("Pause")
    pause.focus()
    page.keyboard.press("Enter")
    expect(said).to_have_text("Pausing after this rollout…")
    expect(pause).to_have_text("Go on")
    assert wished(office) == "pause"
    page.reload()
    expect(said).to_have_text("Pausing after this rollout…")
    trains(state="paused")
    expect(page.locator("#agent")).to_have_text("The agent is paused, after 20,000 steps")
    expect(said).to_be_empty()
    pause.focus()
    page.keyboard.press("Enter")
    expect(said).to_have_text("Going on…")
    expect(pause).to_be_focused()
    assert wished(office) == "go_on"
    trains(state="training")
    expect(said).to_be_empty()


def test_a_stop_asks_once_and_can_be_thought_better_of(
    visit: Callable[..., Any], trains: Callable[..., Any]
) -> None:
    office = trains()
    page = visit(office, "owner").open("/training")
    page.get_by_role("button", name="Stop and keep").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Every answer is kept")
    expect(dialog.locator("code")).to_have_text(f"prefrl resume {office.server.run}")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert wished(office) is None
    page.locator("#stop").click()
    dialog.get_by_role("button", name="Stop and keep").click()
    expect(page.locator("#wish")).to_have_text("Saving and stopping after this rollout…")
    expect(page.locator("#wish")).to_be_focused()
    expect(page.locator("#pause")).to_be_disabled()
    expect(page.locator("#stop")).to_be_disabled()
    assert wished(office) == "stop"
    trains(state="stopped")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#wish")).to_have_text(f"Go on with “prefrl resume {office.server.run}”.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "finished"}, ""),
        ({"updated_at": 1}, "Go on with “prefrl resume"),
        ({"training": ""}, ""),
    ],
    ids=["finished", "dead", "deaf"],
)
def test_no_button_is_there_that_would_do_nothing(
    visit: Callable[..., Any], trains: Callable[..., Any], changes: dict[str, Any], words: str
) -> None:
    page = visit(trains(), "owner").open("/training")
    expect(page.locator("#pause")).to_be_visible()
    trains(**changes)
    expect(page.locator("#pause")).to_be_hidden()
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#wish")).to_contain_text(words)


def test_who_labels_sees_the_pause_and_no_button(visit: Callable[..., Any], trains: Callable[..., Any]) -> None:
    visitor = visit(trains(state="paused"))
    page = visitor.label()
    expect(page.locator("#progress .sentence")).to_have_text("The agent is paused, after 20,000 steps")
    for _ in range(3):
        visitor.press("ArrowLeft")
    expect(page.locator("#rest h2")).to_have_text("The agent is paused")
    visitor.open("/training")
    expect(page.locator("#agent")).to_contain_text("The agent is paused")
    expect(page.locator("#wishes")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop and keep")).to_have_count(0)


def test_a_page_that_has_ended_with_its_training_says_how_to_go_on(
    visit: Callable[..., Any], trains: Callable[..., Any]
) -> None:
    office = trains()
    visitor = visit(office, "owner")
    page = visitor.open("/training")
    page.locator("#stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop and keep").click()
    expect(page.locator("#wish")).to_contain_text("Saving and stopping")
    office.server.kill()
    expect(page.locator("#wish")).to_contain_text("It was told to save and stop. Go on with “prefrl resume")
    visitor.forgive("ERR_")


def sideways(page: Page) -> list[str]:
    """What of buttons and words lies outside the window, or is cut off."""
    found: list[str] = page.evaluate("""() => {
        const {scrollWidth} = document.documentElement;
        const out = [...document.querySelectorAll("#wishes > *, dialog *")].filter((node) => {
            const {left, right} = node.getBoundingClientRect();
            const cut = node.clientWidth > 0 && node.scrollWidth > node.clientWidth + 1;
            return left < -0.5 || right > innerWidth + 0.5 || cut;
        });
        const page = scrollWidth > innerWidth ? [`page: ${scrollWidth}`] : [];
        return [...page, ...out.map((node) => node.outerHTML)];
    }""")
    return found


def test_everybody_can_use_the_buttons(visit: Callable[..., Any], trains: Callable[..., Any]) -> None:
    page = visit(trains(), "owner", reduced_motion="reduce").open("/training")
    expect(page.locator(".curve").first).to_be_visible()
    page.locator("#pause").click()
    expect(page.locator("#wish")).to_have_text("Pausing after this rollout…")
    expect_all_can_use(page)
    page.locator("#stop").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect_all_can_use(page)
    page.keyboard.press("Escape")
    trains(state="stopped")
    expect(page.locator("#wish")).to_contain_text("Go on with")
    expect_all_can_use(page)


def expect_all_can_use(page: Page) -> None:
    for width in (1024, 320):
        page.set_viewport_size({"width": width, "height": 700})
        assert sideways(page) == []
    assert faults(page) == ""


def test_nothing_is_cut_off_in_text_of_twice_the_size(
    with_large_text: Browser, trains: Callable[..., Any]
) -> None:
    office = trains()
    context = with_large_text.new_context(viewport={"width": 780, "height": 900})
    context.add_cookies(office.owners_cookies())
    page = context.new_page()
    page.goto(f"{office.server.url}/training")
    page.locator("#pause").click()
    expect(page.locator("#wish")).to_have_text("Pausing after this rollout…")
    assert sideways(page) == []
    page.locator("#stop").click()
    assert sideways(page) == []
    context.close()
