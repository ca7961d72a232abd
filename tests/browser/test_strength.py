"""A person says how much better: by keys, clicks, swipes; takes it back, reloads, changes it, is offline."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Playwright, expect

from tests.browser.conftest import Office
from tests.browser.test_layout import cut_off, resize
from tests.browser.test_network import OFFLINE

TOO_TALL = """() => [...document.querySelectorAll("button")]
    .filter((button) => button.scrollHeight > button.clientHeight + 1 && button.checkVisibility())
    .map((button) => `${button.id}: ${button.scrollHeight} in ${button.clientHeight} high`)"""
KEYS = {
    "Shift+ArrowLeft": "much_left",
    "ArrowLeft": "left",
    "ArrowUp": "equal",
    "ArrowDown": "cannot_tell",
    "ArrowRight": "right",
    "Shift+ArrowRight": "much_right",
}


@pytest.fixture
def strong(office_with: Callable[..., Office]) -> Office:
    """A gridworld's run that asks how much better."""
    return office_with(n_queries=40, n_segments=10, task="gridworld", segment_length=6, feedback="strength")


def test_every_key_and_every_button_says_what_is_stored(visit: Callable[..., Any], strong: Office) -> None:
    visitor = visit(strong)
    page = visitor.label()
    assert page.locator("#answers button").count() == 6
    expect(visitor.button("much_left")).to_have_attribute("aria-keyshortcuts", "Shift+ArrowLeft")
    given = {visitor.press(key): choice for key, choice in KEYS.items()}
    given |= {visitor.click(choice): choice for choice in KEYS.values()}
    for modifiers, choice in (([], "left"), (["Shift"], "much_left")):  # the better clip itself
        query = visitor.see_pair()
        visitor.videos.first.click(modifiers=modifiers)
        visitor.leave(query)
        given[query] = choice
    visitor.all_saved()
    assert visitor.said() == given
    assert {row.kind for row in visitor.rows()} == {"strength"}


def test_it_is_taken_back_and_changed_like_any_answer(visit: Callable[..., Any], strong: Office) -> None:
    visitor = visit(strong)
    page = visitor.label()
    first = visitor.press("Shift+ArrowRight")
    expect(page.locator("#do-undo")).to_contain_text("“much right”")
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-query", first)
    visitor.press("Shift+ArrowLeft")
    second = visitor.press("ArrowRight")
    visitor.all_saved()
    page.reload()
    visitor.label()
    expect(page.locator("#do-undo")).to_contain_text("“right”")

    visitor.open("/history")
    expect(page.locator("#answers > li")).to_have_count(2)
    newest = page.locator("#answers > li").first
    assert newest.locator(".choices button").count() == 6
    newest.get_by_role("button", name="Much right").click()
    visitor.all_saved()
    assert visitor.said() == {first: "much_left", second: "much_right"}
    assert [row.kind for row in visitor.rows()] == ["strength"] * 5


def test_it_is_kept_without_network(visit: Callable[..., Any], strong: Office) -> None:
    visitor = visit(strong)
    page = visitor.label()
    page.wait_for_load_state("networkidle")
    visitor.context.set_offline(True)
    given = {visitor.press("Shift+ArrowLeft"): "much_left"}
    expect(page.locator("#save")).to_have_attribute("data-state", "waiting")
    visitor.context.set_offline(False)
    visitor.all_saved()
    assert visitor.said() == given
    visitor.forgive(*OFFLINE)


def test_a_long_swipe_says_much_better(visit: Callable[..., Any], strong: Office, playwright: Playwright) -> None:
    visitor = visit(strong, **playwright.devices["Pixel 7"])
    page = visitor.label()
    assert page.evaluate("document.documentElement.dataset.layout") == "stacked"
    given = {}
    for way, choice in {-80: "left", -200: "much_left", 80: "right", 200: "much_right"}.items():
        query = visitor.see_pair()
        visitor.swipe(0, way)
        visitor.leave(query)
        given[query] = choice
    query = visitor.see_pair()
    visitor.swipe(-200, 0)  # across there is nothing more to say
    visitor.leave(query)
    given[query] = "equal"
    visitor.all_saved()
    assert visitor.said() == given


def test_shift_means_nothing_where_strength_is_not_asked(visit: Callable[..., Any], office: Office) -> None:
    visitor = visit(office)
    page = visitor.label()
    assert page.locator("#answers button").count() == 4
    given = {visitor.press("Shift+ArrowLeft"): "left"}
    visitor.all_saved()
    assert visitor.said() == given
    page.locator("#settings").click()
    expect(page.locator("dialog")).not_to_contain_text("much better")


def test_help_and_settings_know_the_keys(visit: Callable[..., Any], strong: Office) -> None:
    visitor = visit(strong)
    page = visitor.label()
    page.keyboard.press("h")
    expect(page.locator("dialog")).to_contain_text("left (or upper) is much better")
    expect(page.locator("dialog")).to_contain_text("⇧ ←")
    page.keyboard.press("Escape")
    page.locator("#settings").click()
    page.get_by_role("button", name="Key for: Left is much better").click()
    page.keyboard.press("1")
    expect(page.locator("dialog .said")).to_have_text("1 is now “Left is much better”.")
    page.keyboard.press("Escape")
    given = {visitor.press("1"): "much_left"}
    shown = visitor.see_pair()
    page.keyboard.press("Shift+ArrowLeft")  # said "much" before: it must not say less now
    given |= {visitor.press("ArrowRight"): "right"}
    assert shown in given
    visitor.all_saved()
    assert visitor.said() == given


@pytest.mark.parametrize("has_touch", [False, True])
def test_nothing_is_cut_off_where_there_are_six_answers(
    visit: Callable[..., Any], strong: Office, has_touch: bool
) -> None:
    """On one page whose window changes; with a finger those of phones."""
    sizes = [(320, 640), (360, 640), (640, 360), (701, 768), (910, 700), (1024, 768), (1440, 900)]
    sizes = [size for size in sizes if has_touch == (min(size) < 400)]
    visitor = visit(strong, viewport={"width": sizes[0][0], "height": sizes[0][1]}, has_touch=has_touch)
    page, found = visitor.label(), {}
    visitor.press("Shift+ArrowLeft")
    visitor.see_pair()
    for size in sizes:
        resize(page, size)
        found[size, "label"] = cut_off(page) + page.evaluate(TOO_TALL)
        box = page.locator(".side.left .frame").bounding_box()
        assert box is not None
        assert box["width"] >= 100, f"there is room for the clips at {size}"
    visitor.open("/history")
    expect(page.locator("#answers li").first).to_be_visible()
    for size in sizes:
        resize(page, size)
        found[size, "history"] = cut_off(page)
    assert {place: sentences for place, sentences in found.items() if sentences} == {}
