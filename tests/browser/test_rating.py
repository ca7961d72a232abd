"""A person says how good one clip is: by keys, clicks, taps; takes it back, reloads, changes it, is offline."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from prefrl.segments import Rating
from prefrl.segments.answers import LEVELS
from prefrl.store import Store
from prefrl_labeling_gui.assignment import OnScreen
from tests.browser.conftest import Office, opened
from tests.browser.test_layout import SIZES, cut_off, cut_off_at, resize
from tests.browser.test_network import OFFLINE
from tests.browser.test_pages import faults
from tests.browser.test_ranking import BOXES, crowded
from tests.browser.test_strength import TOO_TALL

ALL = range(1, LEVELS + 1)
LEAST_TOUCH = 44
TOO_SMALL = """() => {
    const boxOf = (name) => document.querySelector(name).getBoundingClientRect();
    const [clip, room] = [boxOf("#stage .frame"), boxOf("#stage")];
    const fills = room.width - clip.width < 2 || room.height - clip.height < 2;
    return fills ? [] : [`the clip is ${clip.width} wide in ${room.width} by ${room.height}`];
}"""


@pytest.fixture
def rating_office(office_with: Callable[..., Office]) -> Office:
    """A gridworld's run that asks to rate clips, some of which are alike."""
    about = {"n_queries": 30, "n_segments": 90, "task": "gridworld", "segment_length": 6, "feedback": "rating"}
    return office_with("--show-predictions", **about, n_clips=1)


@pytest.fixture
def rater(visit: Callable[..., Any], rating_office: Office) -> Any:
    """Somebody new, at a laptop, who rates clips."""
    visitor = visit(rating_office)
    visitor.label()
    return visitor


def test_every_key_and_every_button_says_what_is_stored(rater: Any) -> None:
    page = rater.page
    expect(page.locator("#question")).to_contain_text("Rate this one clip.")
    expect(page.locator("#answers button .says")).to_have_text(
        ["1 worst", "2", "3", "4", f"{LEVELS} best", re.compile("tell")]
    )
    expect(rater.videos).to_have_count(1)
    clip = rater.clips
    assert len(clip) == 1
    page.keyboard.press("6")  # there are five
    page.keyboard.press("ArrowLeft")  # which says something of pairs
    page.keyboard.press("Enter")  # which sends rankings
    rater.videos.first.click()  # which chooses the better of two
    page.keyboard.press(" ")
    given: dict[str, OnScreen] = {}
    for level in ALL:
        given[rater.press(str(level))] = Rating(level)
    for level in ALL:
        given[rater.click(f"level_{level}")] = Rating(level)
    given[rater.press("?")] = given[rater.click("cannot_tell")] = "cannot_tell"
    rater.all_saved()
    assert rater.said() == given
    rows = rater.rows()
    assert {row.kind for row in rows} == {"rating"}
    assert (rows[0].replays, rows[1].replays) == (1, 0)
    assert all(row.reaction_ms is not None and 250 <= row.reaction_ms < 60_000 for row in rows[:LEVELS])
    [first] = rater.history()[-1].segment_ids
    assert clip == (f"/clips/{first}.mp4",)
    expect(page.locator("#progress")).to_contain_text("of 300 ratings")


def test_it_is_taken_back_over_a_reload_and_asked_again(rater: Any) -> None:
    page = rater.page
    first, second = rater.press("2"), rater.press("5")
    expect(rater.button("undo")).to_contain_text("“5”")
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-query", second)
    given = {rater.press("4"): Rating(4)}
    shown, clips = rater.see_pair(), rater.clips
    rater.all_saved()
    page.reload()
    assert rater.see_pair() == shown
    assert rater.clips == clips
    expect(rater.button("undo")).to_contain_text("“4”")
    for query in (second, first):
        page.keyboard.press("Control+z")
        expect(page.locator("#stage")).to_have_attribute("data-query", query)
    given = {rater.press("1"): Rating(1)}
    assert given == {first: Rating(1)}
    rater.all_saved()
    assert rater.said() == given


def test_the_next_clip_is_loaded_before_the_answer(rater: Any) -> None:
    """It is seen in the frame after the key, as with pairs: nothing is fetched in between."""
    page = rater.page
    ready = """() => [...document.querySelectorAll("#stage video:not(.shown)")].some((v) => v.readyState >= 2)"""
    page.wait_for_function(ready)
    took = page.evaluate("""async () => {
        const stage = document.querySelector("#stage");
        const {query} = stage.dataset;
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "3", bubbles: true, cancelable: true}));
        return [stage.dataset.query !== query, stage.dataset.state,
                document.querySelectorAll("#stage video.shown").length];
    }""")
    assert took == [True, "ready", 1]


def test_history_shows_the_level_and_changes_it(rater: Any) -> None:
    page = rater.page
    first, second = rater.press("2"), rater.press("?")
    rater.all_saved()
    [_, item] = rater.history()
    with Store(rater.server.run) as store:
        store.set_predictions({item.segment_ids[0]: [0.5] * 6}, 20_000)
    rater.forgive("404")
    rater.open("/history")
    cards = page.locator("#answers > li")
    expect(cards).to_have_count(2)
    newest, oldest = cards.first, cards.last
    expect(oldest.locator(".choices button")).to_have_text(
        ["1 worst", "2", "3", "4", "5 best", re.compile("tell")]
    )
    expect(oldest.locator("[aria-pressed=true]")).to_have_text(["2"])
    expect(newest.locator("[aria-pressed=true]")).to_have_text([re.compile("tell")])
    expect(oldest.locator(".verdict")).to_have_text("Reward model: 3 in all (a step: 0.5 to 0.5)")
    oldest.get_by_role("button", name="5 best").click()
    expect(oldest.locator("[aria-pressed=true]")).to_have_text(["5 best"])
    expect(oldest).to_contain_text("just now · changed")
    newest.get_by_role("button", name="3", exact=True).click()
    rater.all_saved()
    assert rater.said() == {first: Rating(5), second: Rating(3)}
    newest.get_by_role("button", name="Take back").click()
    expect(newest.get_by_role("button", name="4", exact=True)).to_be_disabled()
    oldest.get_by_role("button", name="tell").click()
    rater.all_saved()
    assert rater.said() == {first: "cannot_tell"}
    rater.open("/")
    assert rater.see_pair() == second
    rater.forgive("404")  # of what the model has not seen yet there is no prediction


def test_it_is_kept_without_network(rater: Any) -> None:
    page = rater.page
    page.wait_for_load_state("networkidle")
    rater.context.set_offline(True)
    given = {rater.press("4"): Rating(4)}
    expect(page.locator("#save")).to_have_attribute("data-state", "waiting")
    expect(page.locator("#progress")).to_contain_text("You gave 1 answer")
    rater.context.set_offline(False)
    rater.all_saved()
    assert rater.said() == given
    rater.forgive(*OFFLINE)


def test_nobody_rates_what_they_have_not_seen(visit: Callable[..., Any], rating_office: Office) -> None:
    visitor = visit(rating_office, reduced_motion="reduce")
    page = visitor.label(looked=False)
    expect(page.locator("#stage .note:visible")).to_have_text("Press Space to play")
    query = visitor.query
    page.keyboard.press("5")
    expect(page.locator("#toast")).to_have_text("Look at the clip first.")
    assert visitor.query == query
    page.keyboard.press(" ")
    given = {visitor.press("5"): Rating(5)}
    visitor.all_saved()
    assert visitor.said() == given


def test_everything_is_spoken_and_reached_by_tab(rater: Any) -> None:
    page = rater.page
    spoken = page.locator("#announcement")
    expect(page.locator("#answers")).to_have_accessible_name(
        f"Your answer, from 1 for the worst to {LEVELS} for the best"
    )
    rater.button("level_1").focus()
    for level in range(2, LEVELS + 1):
        page.keyboard.press("Tab")
        expect(rater.button(f"level_{level}")).to_be_focused()
        expect(rater.button(f"level_{level}")).to_have_attribute("aria-keyshortcuts", str(level))
    page.keyboard.press("Tab")
    expect(rater.button("cannot_tell")).to_be_focused()
    query = rater.press("4")
    expect(spoken).to_have_text(re.compile(r"^(Rated 4\. )?The next clip is there\."))
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-query", query)
    expect(spoken).to_contain_text(re.compile("Taken back: Rated 4|The next clip is there"))


def test_a_phone_rates_by_taps_and_understands_no_swipe(
    visit: Callable[..., Any], rating_office: Office, playwright: Playwright
) -> None:
    visitor = visit(rating_office, **playwright.devices["Pixel 7"])
    page = visitor.label()
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    query = visitor.see_pair()
    visitor.button("level_2").tap()
    visitor.leave(query)
    following = visitor.see_pair()
    for x, y in ((-150, 0), (150, 0), (0, -150), (0, 150)):
        visitor.swipe(x, y)
    assert visitor.query == following
    visitor.all_saved()
    assert visitor.said() == {query: Rating(2)}
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= LEAST_TOUCH
    page.keyboard.press("h")
    expect(page.get_by_role("dialog")).to_contain_text("Tap how good the clip is")
    expect(page.get_by_role("dialog")).not_to_contain_text("swipe")


def test_help_remark_and_settings_know_that_there_is_one_clip(rater: Any) -> None:
    page = rater.page
    dialog = page.get_by_role("dialog")
    page.keyboard.press("h")
    expect(dialog).to_contain_text("how close this clip of an agent comes")
    expect(dialog).to_contain_text("how good it is, from the worst to the best")
    expect(dialog).not_to_contain_text("left (or upper)")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(dialog.locator("option")).to_have_text(
        ["Nothing of these", "A clip is broken", "The question does not fit"]
    )
    dialog.get_by_label("What is the matter").select_option("unclear")
    dialog.get_by_role("button", name="Keep").click()
    page.locator("#settings").click()
    for other in ("Left is better", "Send the ranking", "Clip 1"):
        expect(dialog).not_to_contain_text(other)
    page.get_by_role("button", name="Key for: Level 1").click()
    page.keyboard.press("ArrowLeft")  # free here, though it says "left" where two clips are compared
    expect(page.locator(".said")).to_have_text("← is now “Level 1”.")
    page.get_by_role("button", name="Key for: Level 2").click()
    page.keyboard.press("u")
    expect(page.locator(".said")).to_have_text("U is now “Level 2”; “Undo” is on A.")  # digits are levels
    page.keyboard.press("Escape")
    expect(rater.button("level_1").locator("kbd")).to_have_text(["←"])
    expect(rater.button("level_3").locator("kbd")).to_have_count(0)  # its number is its name
    page.reload()
    given = {rater.press("ArrowLeft"): Rating(1), rater.press("u"): Rating(2), rater.press("3"): Rating(3)}
    rater.all_saved()
    assert rater.said() == given


def test_clips_of_another_kind_are_not_shown_by_an_open_page(rater: Any) -> None:
    """A run has begun in the folder that asks something else."""
    page = rater.page

    def as_pair(route: Any) -> None:
        reply = route.fetch()
        content = reply.json()
        for query in content["queries"]:
            query["clips"] *= 2
        route.fulfill(response=reply, json=content)

    page.route("**/api/claims", as_pair)
    rater.press("3")
    expect(page.locator("#banner-kind")).to_contain_text("The training asks something else now.")
    page.unroute("**/api/claims")
    page.locator("#banner-kind button").click()
    expect(page.locator("#banner-kind")).to_have_count(0)
    rater.see_pair()


def test_the_owner_sees_the_ratings_of_others_and_no_sides(
    visit: Callable[..., Any], rating_office: Office, rater: Any
) -> None:
    rater.press("4")
    rater.all_saved()
    owner = visit(rating_office, "owner")
    page = owner.open("/history")
    page.get_by_role("combobox", name="Answers of").select_option(rater.name)
    expect(page.locator("#answers > li")).to_have_count(1)
    expect(page.locator("#answers > li")).to_contain_text("Rated 4")
    owner.open("/people")
    entry = opened(page, rater.name)
    expect(entry).to_contain_text("1 answer")
    expect(entry).to_contain_text("Time")
    expect(entry).not_to_contain_text("Left / right")
    owner.forgive("404")


@pytest.mark.parametrize("has_touch", [False, True])
def test_nothing_is_cut_off_where_a_clip_is_rated(
    visit: Callable[..., Any], rating_office: Office, has_touch: bool
) -> None:
    """On one page whose window changes; with a finger those of phones, upright and on their side."""
    sizes = [size for size in (*SIZES, (640, 360), (568, 320)) if has_touch == (min(size) < 400)]
    visitor = visit(rating_office, has_touch=has_touch)
    page, found = visitor.label(), {}
    visitor.press("1")
    visitor.see_pair()
    for size in sizes:
        resize(page, size)
        found[size, "clip"] = crowded(page.evaluate(BOXES), 1, size) + page.evaluate(TOO_SMALL)
        found[size, "label"] = cut_off(page) + page.evaluate(TOO_TALL) + lopsided(page)
        page.locator("#settings").click()
        found[size, "settings"] = cut_off(page)
        page.keyboard.press("Escape")
    visitor.open("/history")
    expect(page.locator("#answers li").first).to_be_visible()
    for size in sizes:
        resize(page, size)
        found[size, "history"] = cut_off(page) + page.evaluate(TOO_TALL)
    visitor.forgive("404")
    assert {place: sentences for place, sentences in found.items() if sentences} == {}


def lopsided(page: Page) -> list[str]:
    """Return what is wrong with the buttons: the levels lie in one row, the worst on the left, all as wide."""
    boxes = [page.locator(f"#do-level_{level}").bounding_box() for level in ALL]
    assert None not in boxes
    found = [] if len({round(box["y"] + box["height"] / 2) for box in boxes if box}) == 1 else ["levels in rows"]
    lefts = [box["x"] for box in boxes if box]
    widths = [box["width"] for box in boxes if box]
    if lefts != sorted(lefts):
        found.append("levels not in order")
    if max(widths) - min(widths) > 2 or min(widths) < LEAST_TOUCH:
        found.append(f"levels as wide as {widths}")
    return found


def test_nothing_is_cut_off_in_text_of_twice_the_size(rating_office: Office, with_large_text: Browser) -> None:
    sizes = ((640, 900), (1024, 768), (1440, 900))
    page = with_large_text.new_page(viewport={"width": 640, "height": 900})
    page.goto(rating_office.invite("Reader"))
    found: dict[Any, Any] = {"help": cut_off_at(page, sizes)}
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#stage")).to_have_attribute("data-seen", "true")
    for size in sizes:
        resize(page, size)
        found[size, "label"] = cut_off(page) + page.evaluate(TOO_TALL)
    page.locator("#settings").click()
    found["settings"] = cut_off_at(page, sizes)
    page.close()
    assert {place: sentences for place, sentences in found.items() if sentences} == {}


def test_everybody_can_rate(visit: Callable[..., Any], rating_office: Office) -> None:
    visitor = visit(rating_office, reduced_motion="reduce")
    page = visitor.label(looked=False)
    assert not faults(page)  # before the clip has played
    page.keyboard.press(" ")
    visitor.press("3")
    visitor.see_pair(looked=False)
    page.keyboard.press(" ")
    visitor.see_pair()
    assert not faults(page)
    page.keyboard.press("h")
    assert not faults(page)
    visitor.open("/history")
    expect(page.locator("#answers li").first).to_be_visible()
    assert not faults(page)
    visitor.forgive("404")
