"""A person ranks several clips: by keys, clicks, taps, drags; takes it back, reloads, changes it, is offline."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from prefrl.store import Store
from prefrl_labeling_gui.assignment import OnScreen, sides_of
from tests.browser.conftest import Office, ServerProcess, opened
from tests.browser.test_layout import LARGE_TEXT_SIZES, SIZES, cut_off, cut_off_at, resize
from tests.browser.test_network import OFFLINE
from tests.browser.test_pages import faults
from tests.browser.test_strength import TOO_TALL

BOXES = """() => [...document.querySelectorAll("#stage .frame")].map((frame) => {
    const {left, top, right, bottom} = frame.getBoundingClientRect();
    return [left, top, right, bottom].map(Math.round);
})"""


@pytest.fixture
def office_of(office_with: Callable[..., Office]) -> Callable[[int], Office]:
    """`office_of(4)`: a gridworld's run that asks to rank four clips."""
    about = {"n_queries": 20, "n_segments": 12, "task": "gridworld", "segment_length": 6, "feedback": "ranking"}
    return lambda n_clips: office_with(**about, n_clips=n_clips)


@pytest.fixture
def ranks(visit: Callable[..., Any], office_of: Callable[[int], Office]) -> Any:
    """Somebody new, at a laptop, who ranks four clips."""
    visitor = visit(office_of(4))
    visitor.label()
    return visitor


def picks(page: Page) -> Locator:
    """The buttons over the clips that are seen."""
    return page.locator("#stage .pick:visible")


def expect_places(page: Page, *places: str) -> None:
    """The badges of the clips, in the order of the screen."""
    expect(page.locator("#stage .side:visible .place")).to_have_text([*places])


def test_keys_give_places_and_enter_sends(ranks: Any) -> None:
    page = ranks.page
    expect(page.locator("#question")).to_contain_text("Rank the clips, the best first.")
    expect(page.locator("#answers button")).to_have_count(3)
    query = ranks.see_pair()
    expect(ranks.button("send")).to_be_disabled()
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_have_text("Give every clip its place first.")
    page.keyboard.press("3")
    page.keyboard.press("5")  # there are four
    expect_places(page, "", "", "1st", "")
    page.keyboard.press("1")
    expect_places(page, "2nd", "", "1st", "")
    page.keyboard.press("3")  # the same again: those after it move up
    expect_places(page, "1st", "", "", "")
    page.keyboard.press("2")
    page.keyboard.press("4")
    expect_places(page, "1st", "2nd", "4th", "3rd")  # the last by itself
    expect(ranks.button("send")).to_be_enabled()
    page.keyboard.press(" ")
    assert ranks.query == query, "Space plays again"
    given: dict[str, OnScreen] = {ranks.press("Enter"): (0, 1, 3, 2)}
    given[ranks.rank("4", "3", "2")] = (3, 2, 1, 0)
    given[ranks.press("?")] = "cannot_tell"
    ranks.all_saved()
    assert ranks.said() == given
    rows = ranks.rows()
    assert {row.kind for row in rows} == {"ranking"}
    assert (rows[0].replays, rows[1].replays) == (1, 0)
    assert all(row.reaction_ms is not None and 250 <= row.reaction_ms < 60_000 for row in rows[:2])
    expect(page.locator("#progress")).to_contain_text("of 300 rankings")


def test_what_is_seen_is_what_is_ranked(ranks: Any) -> None:
    clips = ranks.clips
    assert len(set(clips)) == 4
    query = ranks.rank("2", "4", "1")
    ranks.all_saved()
    [item] = ranks.history()
    shown = sides_of(item.segment_ids, sides_swapped=item.answer.sides_swapped)
    assert [f"/clips/{segment}.mp4" for segment in shown] == list(clips)
    order = {segment: rank for segment, rank in zip(item.segment_ids, item.answer.answer.ranks, strict=True)}
    assert [order[segment] for segment in shown] == [2, 0, 3, 1]
    assert ranks.said() == {query: (2, 0, 3, 1)}


def test_a_mouse_ranks_and_drags(ranks: Any) -> None:
    page = ranks.page
    query = ranks.see_pair()
    for clip in (1, 0):
        picks(page).nth(clip).click()
    picks(page).nth(2).drag_to(picks(page).nth(1))  # before all have a place, a drag does nothing
    expect_places(page, "2nd", "1st", "", "")
    picks(page).nth(3).click()
    expect_places(page, "2nd", "1st", "4th", "3rd")
    picks(page).nth(2).drag_to(picks(page).nth(1))
    expect_places(page, "2nd", "4th", "1st", "3rd")
    picks(page).nth(0).drag_to(page.locator("#question"))  # onto nothing
    expect_places(page, "2nd", "4th", "1st", "3rd")
    ranks.button("send").click()
    ranks.leave(query)
    again = ranks.rank("1", "2", "3")
    ranks.all_saved()
    assert ranks.said() == {query: (1, 3, 0, 2), again: (0, 1, 2, 3)}, "Enter sends after clicks, too"


def test_equals_share_a_place(ranks: Any) -> None:
    page = ranks.page
    tie = ranks.button("tie")
    page.keyboard.press("e")
    expect(page.locator("#announcement")).to_have_text("Choose the best clip first.")
    page.keyboard.press("2")
    page.keyboard.press("e")
    expect(tie).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("4")
    expect_places(page, "", "1st =", "", "1st =")
    expect(tie).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("1")
    expect_places(page, "2nd", "1st =", "3rd", "1st =")
    tie.click()  # the last, which got its place by itself
    expect_places(page, "2nd =", "1st =", "2nd =", "1st =")
    given = {ranks.press("Enter"): (1, 0, 1, 0)}
    ranks.see_pair()
    for key in ("1", "e", "2", "1"):
        page.keyboard.press(key)  # of two equals the first is taken back: the other leads
    expect_places(page, "", "1st", "", "")
    given[ranks.rank("3", "4")] = (3, 0, 1, 2)
    ranks.all_saved()
    assert ranks.said() == given


def test_half_a_ranking_is_taken_back_before_an_answer_is(ranks: Any) -> None:
    page = ranks.page
    first = ranks.rank("1", "2", "3")
    expect(ranks.button("undo")).to_contain_text("“1 > 2 > 3 > 4”")
    second = ranks.see_pair()
    page.keyboard.press("4")
    page.keyboard.press("2")
    expect(ranks.button("undo")).to_contain_text("“clip 2”")
    page.keyboard.press("Backspace")
    expect_places(page, "", "", "", "1st")
    page.keyboard.press("u")
    expect_places(page, "", "", "", "")
    page.keyboard.press("Backspace")  # takes places back, and no answers
    assert ranks.query == second
    ranks.button("undo").click()
    expect(page.locator("#stage")).to_have_attribute("data-query", first)
    expect_places(page, "", "", "", "")
    ranks.see_pair(second)
    for key in ("1", "2", "3", "Control+z"):  # the last place came with the third
        page.keyboard.press(key)
    expect_places(page, "1st", "2nd", "", "")
    picks(page).nth(3).click()
    given = {ranks.press("Enter"): (0, 1, 3, 2)}
    ranks.all_saved()
    assert ranks.said() == given == {first: (0, 1, 3, 2)}
    assert len(ranks.rows()) == 3


def test_a_reload_forgets_half_a_ranking_and_no_answer(ranks: Any) -> None:
    page = ranks.page
    first = ranks.rank("3", "2", "1")
    second, clips = ranks.see_pair(), ranks.clips
    page.keyboard.press("2")
    ranks.all_saved()
    page.reload()
    assert ranks.see_pair() == second
    assert ranks.clips == clips
    expect_places(page, "", "", "", "")
    expect(ranks.button("undo")).to_contain_text("“3 > 2 > 1 > 4”")
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-query", first)
    ranks.all_saved()
    assert ranks.said() == {}


def test_history_shows_the_places_and_ranks_anew(ranks: Any) -> None:
    page = ranks.page
    first, second = ranks.rank("2", "e", "1", "4"), ranks.press("?")
    ranks.all_saved()
    ranks.open("/history")
    cards = page.locator("#answers > li")
    expect(cards).to_have_count(2)
    newest, oldest = cards.first, cards.last
    expect(oldest.locator(".place")).to_have_text(["1st =", "1st =", "3rd", "2nd"])
    expect(newest.get_by_role("button", name="tell")).to_have_attribute("aria-pressed", "true")
    expect(newest.locator(".place")).to_have_text(["", "", "", ""])

    expect(oldest.locator(".pick").first).to_be_disabled()
    oldest.get_by_role("button", name="Rank anew").click()
    expect(oldest.locator(".pick").first).to_be_focused()
    expect(oldest.locator(".place")).to_have_text(["", "", "", ""])
    oldest.locator(".pick").nth(3).click()
    oldest.get_by_role("button", name="Cancel").click()
    expect(oldest.locator(".place")).to_have_text(["1st =", "1st =", "3rd", "2nd"])
    expect(oldest.get_by_role("button", name="Rank anew")).to_be_focused()

    oldest.get_by_role("button", name="Rank anew").click()
    send = oldest.get_by_role("button", name="Send ranking")
    page.keyboard.press("Enter")  # of the clip that has the focus
    oldest.locator(".pick").nth(2).click()
    expect(send).to_be_disabled()
    oldest.get_by_role("button", name="Equal to the one before").click()
    oldest.locator(".pick").nth(3).click()
    expect(oldest.locator(".place")).to_have_text(["1st", "3rd", "2nd =", "2nd ="])
    oldest.locator(".pick").nth(0).drag_to(oldest.locator(".pick").nth(1))
    send.click()
    expect(oldest.locator(".place")).to_have_text(["3rd", "1st", "2nd =", "2nd ="])
    expect(oldest).to_contain_text("just now · changed")
    newest.get_by_role("button", name="Take back").click()
    expect(newest.get_by_role("button", name="Rank anew")).to_be_disabled()
    ranks.all_saved()
    assert ranks.said() == {first: (2, 0, 1, 1)}

    oldest.get_by_role("button", name="tell").click()
    expect(oldest.locator(".place")).to_have_text(["", "", "", ""])
    ranks.all_saved()
    assert ranks.said() == {first: "cannot_tell"}
    ranks.open("/")
    assert ranks.see_pair() == second


def test_history_draws_what_the_model_makes_of_ranked_clips(
    serve: Callable[..., ServerProcess],
    open_office: Callable[[ServerProcess], Office],
    visit: Callable[..., Any],
    make_run: Callable[..., Path],
    tmp_path: Path,
) -> None:
    run = make_run(
        tmp_path / "run", n_queries=2, task="gridworld", segment_length=6, feedback="ranking", n_clips=3
    )
    visitor = visit(open_office(serve(run, "--show-predictions")))
    visitor.label()
    visitor.rank("1", "2")
    visitor.all_saved()
    [item] = visitor.history()
    shown = sides_of(item.segment_ids, sides_swapped=item.answer.sides_swapped)
    with Store(run) as store:
        predicted = dict(zip(shown, ([0.0] * 6, [1.5] * 6, [0.0] * 6), strict=True))
        store.set_predictions(predicted, 20_000)
    page = visitor.open("/history")
    expect(page.locator(".predicted polyline")).to_have_count(3)
    expect(page.locator(".verdict")).to_have_text(
        "Reward model: 2 > 1 = 3, with 0, 9, 0 in all (a step: 0 to 1.5)"
    )


def test_it_is_kept_without_network(ranks: Any) -> None:
    page = ranks.page
    page.wait_for_load_state("networkidle")
    ranks.context.set_offline(True)
    given = {ranks.rank("3", "e", "1", "2"): (0, 1, 0, 2)}
    expect(page.locator("#save")).to_have_attribute("data-state", "waiting")
    expect(page.locator("#progress")).to_contain_text("You gave 1 answer")
    ranks.context.set_offline(False)
    ranks.all_saved()
    assert ranks.said() == given
    ranks.forgive(*OFFLINE)


def test_two_tabs_ask_nothing_twice(ranks: Any) -> None:
    other = ranks.context.new_page()
    other.goto(ranks.server.url)
    stage = other.locator("#stage")
    expect(stage).to_have_attribute("data-query", ranks.query)
    expect(stage).to_have_attribute("data-seen", "true")
    other.keyboard.press("1")
    query = ranks.rank("1", "2", "3")
    expect(other.locator("#toast")).to_have_text("Answered in another tab.")
    expect(stage).not_to_have_attribute("data-query", query)
    expect_places(other, "", "", "", "")  # half a ranking was of other clips
    ranks.all_saved()
    assert ranks.said() == {query: (0, 1, 2, 3)}


def test_nobody_ranks_what_they_have_not_seen(
    visit: Callable[..., Any], office_of: Callable[[int], Office]
) -> None:
    visitor = visit(office_of(4), reduced_motion="reduce")
    page = visitor.label(looked=False)
    for note in page.locator("#stage .side:visible .note").all():
        expect(note).to_have_text("Press Space to play")
    page.keyboard.press("1")
    expect(page.locator("#toast")).to_have_text("Look at all clips first.")
    expect_places(page, "", "", "", "")
    page.keyboard.press(" ")
    visitor.rank("1", "2", "3")


def test_a_remark_goes_with_a_ranking(ranks: Any) -> None:
    page = ranks.page
    page.keyboard.press("2")
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("In your own words").fill("Two are the same")
    dialog.get_by_role("button", name="Keep").click()
    expect_places(page, "", "1st", "", "")
    ranks.rank("1", "3")
    ranks.all_saved()
    [row] = ranks.rows()
    assert row.comment == "Two are the same"


def test_everything_is_spoken_and_reached_by_tab(ranks: Any) -> None:
    page = ranks.page
    spoken = page.locator("#announcement")
    expect(picks(page).first).to_have_accessible_name("Clip 1: no place yet")
    picks(page).first.focus()
    for number in ("2", "3", "4"):
        page.keyboard.press("Tab")
        assert str(page.evaluate("document.activeElement.ariaLabel")).startswith(f"Clip {number}")
    page.keyboard.press("Enter")  # of a clip that has the focus, as of any button
    expect(picks(page).nth(3)).to_have_accessible_name("Clip 4: first")
    expect(picks(page).nth(3)).to_have_attribute("aria-pressed", "true")
    expect(spoken).to_have_text("Clip 4 is first.")
    page.keyboard.press("Tab")
    expect(ranks.button("tie")).to_be_focused()
    page.keyboard.press("Enter")
    expect(spoken).to_have_text("The next clip is equal to the one before.")
    page.keyboard.press("1")
    expect(picks(page).nth(0)).to_have_accessible_name("Clip 1: first with others")
    expect(spoken).to_have_text("Clip 1 is first with others.")
    page.keyboard.press("2")
    expect(spoken).to_have_text("Clip 2 is second, clip 3 is third. All have their place.")
    page.keyboard.press("Backspace")
    expect(spoken).to_have_text("Clip 2 has no place any more.")
    page.keyboard.press("2")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(ranks.button("send")).to_be_focused()
    query = ranks.query
    page.keyboard.press("Enter")
    ranks.leave(query)
    expect(spoken).to_contain_text(re.compile("Ranked 1 and 4, then 2, then 3|The next clips are there"))


def test_a_phone_ranks_by_taps_and_drags(
    visit: Callable[..., Any], office_of: Callable[[int], Office], playwright: Playwright
) -> None:
    visitor = visit(office_of(4), **playwright.devices["Pixel 7"])
    page = visitor.label()
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    query = visitor.see_pair()
    boxes = page.evaluate(BOXES)
    assert boxes[0][1] == boxes[1][1] < boxes[2][1] == boxes[3][1], "two columns"
    for clip in (2, 0, 1):
        picks(page).nth(clip).tap()
    expect_places(page, "2nd", "3rd", "1st", "4th")
    session = visitor.context.new_cdp_session(page)
    middle = [{"x": (left + right) / 2, "y": (top + bottom) / 2} for left, top, right, bottom in boxes]
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [middle[3]]})
    for point in (middle[2], middle[0]):
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    expect(picks(page).nth(0)).to_have_attribute("data-drag", "onto")
    # A finger that rests before it lets go: after a flick the browser takes the next tap for the end of that.
    page.wait_for_timeout(200)
    session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [middle[0]]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()
    expect_places(page, "4th", "3rd", "1st", "2nd")
    visitor.button("send").tap()
    visitor.leave(query)
    visitor.see_pair()
    visitor.swipe(-150, 0)  # which says nothing here
    visitor.all_saved()
    assert visitor.said() == {query: (3, 2, 0, 1)}
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
    assert not faults(page)


def test_help_and_settings_know_the_keys(ranks: Any) -> None:
    page = ranks.page
    page.keyboard.press("h")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("the next place, the best first")
    expect(dialog).not_to_contain_text("left (or upper)")
    page.keyboard.press("Escape")
    page.locator("#settings").click()
    expect(dialog).not_to_contain_text("Left is better")
    page.get_by_role("button", name="Key for: Clip 1").click()
    page.keyboard.press("ArrowLeft")  # free here, though it says "left" where two clips are compared
    expect(page.locator(".said")).to_have_text("← is now “Clip 1”.")
    page.get_by_role("button", name="Key for: Clip 2").click()
    page.keyboard.press("u")
    expect(page.locator(".said")).to_have_text(
        "U is now “Clip 2”; “Undo” is on A."
    )  # 2 is a level where clips are rated
    page.keyboard.press("Escape")
    page.reload()
    given = {ranks.rank("ArrowLeft", "u", "4"): (0, 1, 3, 2)}
    ranks.all_saved()
    assert ranks.said() == given


def test_clips_of_another_kind_are_not_shown_by_an_open_page(ranks: Any) -> None:
    """A run has begun in the folder that asks something else."""
    page = ranks.page

    def as_pair(route: Any) -> None:
        reply = route.fetch()
        content = reply.json()
        for query in content["queries"]:
            query["clips"] = query["clips"][:2]
        route.fulfill(response=reply, json=content)

    page.route("**/api/claims", as_pair)
    ranks.rank("1", "2", "3")
    expect(page.locator("#banner-kind")).to_contain_text("The training asks something else now.")
    page.unroute("**/api/claims")
    page.locator("#banner-kind button").click()
    expect(page.locator("#banner-kind")).to_have_count(0)
    ranks.see_pair()


def test_the_owner_sees_the_rankings_of_others(
    visit: Callable[..., Any], office_of: Callable[[int], Office], ranks: Any
) -> None:
    ranks.rank("4", "e", "3", "1")
    ranks.all_saved()
    owner = visit(office_of(4), "owner")
    page = owner.open("/history")
    page.get_by_role("combobox", name="Answers of").select_option(ranks.name)
    expect(page.locator("#answers > li")).to_have_count(1)
    expect(page.locator("#answers > li")).to_contain_text("3 = 4 > 1 > 2")
    expect(page.locator("#answers .pick:enabled")).to_have_count(0)
    owner.open("/people")
    expect(opened(page, ranks.name)).to_contain_text("Left / right")


@pytest.mark.parametrize("n_clips", [3, 4, pytest.param(5, marks=pytest.mark.slow), 6])
@pytest.mark.parametrize("has_touch", [False, True])
def test_nothing_is_cut_off_where_clips_are_ranked(
    visit: Callable[..., Any], office_of: Callable[[int], Office], n_clips: int, has_touch: bool
) -> None:
    """On one page whose window changes; with a finger those of phones."""
    sizes = [size for size in SIZES if has_touch == (min(size) < 400)]
    visitor = visit(office_of(n_clips), has_touch=has_touch)
    page, found = visitor.label(), {}
    visitor.rank("1", "e", *(str(number) for number in range(2, n_clips)))
    visitor.see_pair()
    page.keyboard.press("1")
    for size in sizes:
        resize(page, size)
        found[size, "clips"] = crowded(page.evaluate(BOXES), n_clips, size)
        found[size, "label"] = cut_off(page) + page.evaluate(TOO_TALL)
    visitor.open("/history")
    page.get_by_role("button", name="Rank anew").click()
    for size in sizes:
        resize(page, size)
        found[size, "history"] = cut_off(page)
    assert {place: sentences for place, sentences in found.items() if sentences} == {}


def crowded(boxes: list[list[int]], n_clips: int, size: tuple[int, int]) -> list[str]:
    """Return what is wrong with where the clips lie."""
    found = [] if len(boxes) == n_clips else [f"{len(boxes)} clips"]
    for i, (left, top, right, bottom) in enumerate(boxes):
        if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
            found.append(f"clip {i + 1} is not all in the window")
        if right - left < 80:
            found.append(f"clip {i + 1} has no room")
        for other in boxes[:i]:
            if left < other[2] and other[0] < right and top < other[3] and other[1] < bottom:
                found.append(f"clip {i + 1} lies over another")
    return found


def test_nothing_is_cut_off_in_text_of_twice_the_size(
    office_of: Callable[[int], Office], with_large_text: Browser
) -> None:
    page = with_large_text.new_page(viewport={"width": 780, "height": 900})
    page.goto(office_of(6).invite("Reader"))
    found: dict[Any, Any] = {"help": cut_off_at(page, LARGE_TEXT_SIZES)}
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#stage")).to_have_attribute("data-seen", "true")
    page.keyboard.press("2")
    for size in LARGE_TEXT_SIZES:
        resize(page, size)
        found[size, "label"] = cut_off(page) + page.evaluate(TOO_TALL)
    page.locator("#settings").click()
    found["settings"] = cut_off_at(page, LARGE_TEXT_SIZES)
    page.close()
    assert {place: sentences for place, sentences in found.items() if sentences} == {}


def test_everybody_can_rank(visit: Callable[..., Any], office_of: Callable[[int], Office]) -> None:
    visitor = visit(office_of(3), reduced_motion="reduce")
    page = visitor.label(looked=False)
    assert not faults(page)  # before the clips have played
    page.keyboard.press(" ")
    visitor.rank("1", "e", "2")
    visitor.see_pair(looked=False)
    page.keyboard.press(" ")
    visitor.see_pair()
    page.keyboard.press("3")
    assert not faults(page)
    page.keyboard.press("1")
    assert not faults(page)
    page.keyboard.press("h")
    assert not faults(page)
    visitor.open("/history")
    expect(page.locator("#answers li").first).to_be_visible()
    assert not faults(page)
    page.get_by_role("button", name="Rank anew").click()
    assert not faults(page)
