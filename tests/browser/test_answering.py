"""A person answers: by keys, by clicks, by swipes; changes their mind, reloads, plays the clips.

`visitor` is a `Visitor` of conftest.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright, Route, expect

from tests.browser.test_layout import resize

KEYS = {
    "ArrowLeft": "left",
    "ArrowRight": "right",
    "ArrowUp": "equal",
    "=": "equal",
    "ArrowDown": "cannot_tell",
    "?": "cannot_tell",
}
CHOICES = ("left", "right", "equal", "cannot_tell")
WATCH_DRIFT = """(loops) => new Promise((resolve) => {
    const [left, right] = document.querySelectorAll("#stage video.shown");
    const seen = {left: 0, right: 0, drifts: [], starts: 0};
    const watch = (video, name) => video.requestVideoFrameCallback(function look(now, {mediaTime}) {
        if (mediaTime < seen[name]) seen.starts += 1;
        seen[name] = mediaTime;
        if (!left.ended && !right.ended && !left.seeking && !right.seeking)
            seen.drifts.push(left.currentTime - right.currentTime);
        if (seen.starts >= 2 * loops) resolve(seen.drifts);
        else video.requestVideoFrameCallback(look);
    });
    watch(left, "left");
    watch(right, "right");
})"""
VIDEOS = """document.querySelectorAll("#stage video.shown")"""
SHOWN = f"(property) => [...{VIDEOS}].map((video) => video[property])"
NEXT_READY = """() => [...document.querySelectorAll("#stage video:not(.shown)")]
    .filter((video) => video.src !== "" && video.readyState === 4 && video.paused && video.currentTime === 0)
    .length >= 2"""


def playing(page: Page) -> None:
    """Wait until both clips move."""
    page.wait_for_function(f"() => [...{VIDEOS}].filter((v) => v.currentTime > 0).length === 2")


def test_every_answer_by_key_is_stored_as_it_was_seen(visitor: Any) -> None:
    page = visitor.label()
    playing(page)
    given = {}
    for key, choice in KEYS.items():
        page.keyboard.press(" ")
        page.keyboard.press(" ")
        given[visitor.press(key)] = choice
    visitor.all_saved()

    assert visitor.said() == given
    rows = visitor.rows()
    assert len(rows) == len(KEYS)
    assert [row.replays for row in rows] == [2] * len(KEYS)
    assert all(row.reaction_ms is not None and 0 < row.reaction_ms < 60_000 for row in rows)
    assert all(abs((row.client_time or 0) - row.server_time) < 60_000 for row in rows)


def test_every_answer_by_click_is_about_the_clips_that_were_seen(visitor: Any) -> None:
    page = visitor.label()
    seen, given = {}, {}
    for choice in CHOICES:
        clips = visitor.clips
        query = visitor.click(choice)
        seen[query], given[query] = clips, choice
    clips, query = visitor.clips, visitor.see_pair()
    visitor.videos.first.click()  # the better clip itself
    visitor.leave(query)
    seen[query], given[query] = clips, "left"
    query = visitor.see_pair()
    visitor.button("equal").focus()
    page.keyboard.press("Enter")  # as by Tab
    visitor.leave(query)
    given[query] = "equal"
    visitor.all_saved()

    assert visitor.said() == given
    for item in visitor.history():
        said = item.answer.answer.value
        if said in ("first", "second"):
            better = item.segment_ids[("first", "second").index(said)]
            side = ("left", "right").index(given[item.answer.query_id])
            assert seen[item.answer.query_id][side] == f"/clips/{better}.mp4"


def test_undo_goes_back_several_answers(visitor: Any) -> None:
    page = visitor.label()
    queries = [visitor.press(key) for key in ("ArrowLeft", "ArrowUp", "ArrowDown")]
    for key, query in zip(("u", "Control+z", "Meta+z"), reversed(queries), strict=True):
        expect(visitor.button("undo")).to_be_enabled()
        page.keyboard.press(key)
        expect(page.locator("#stage")).to_have_attribute("data-query", query)
    expect(visitor.button("undo")).to_be_disabled()
    visitor.all_saved()
    assert visitor.said() == {}

    again = [visitor.click("right") for _ in queries]
    visitor.all_saved()
    assert again == queries, "what was taken back is asked again, in its order"
    assert visitor.said() == dict.fromkeys(queries, "right")
    assert len(visitor.rows()) == 9


def test_reload_shows_the_same_pair_with_the_same_sides_and_undo_goes_on(visitor: Any) -> None:
    page = visitor.label()
    first, second = visitor.press("ArrowRight"), visitor.press("ArrowLeft")
    shown, clips = visitor.see_pair(), visitor.clips
    page.reload()
    assert visitor.see_pair() == shown
    assert visitor.clips == clips

    for query in (second, first):
        visitor.button("undo").click()
        expect(page.locator("#stage")).to_have_attribute("data-query", query)
    page.reload()
    assert visitor.see_pair() == first, "an answer that was taken back is asked again first"
    visitor.press("=")
    visitor.all_saved()
    assert visitor.said() == {first: "equal"}


def test_who_is_quicker_than_the_server_undoes_what_an_earlier_page_stored(visitor: Any) -> None:
    page = visitor.label()
    earlier = visitor.press("ArrowRight")
    visitor.all_saved()
    held: list[Route] = []
    page.route("**/api/history?*", lambda route: held.append(route))
    page.reload()
    visitor.see_pair()
    while not held:
        page.wait_for_timeout(10)
    page.keyboard.press("u")
    held.pop().continue_()
    expect(page.locator("#stage")).to_have_attribute("data-query", earlier)
    visitor.all_saved()
    assert visitor.said() == {}


def test_what_is_said_before_the_server_told_of_earlier_answers_can_be_undone_as_they_can(visitor: Any) -> None:
    page = visitor.label()
    earlier = visitor.press("ArrowRight")
    visitor.all_saved()
    held: list[Route] = []
    page.route("**/api/history?*", lambda route: held.append(route))
    page.reload()
    taken_back, kept = visitor.press("ArrowLeft"), visitor.see_pair()
    page.keyboard.press("u")
    assert visitor.see_pair(other_than=kept) == taken_back
    kept = visitor.press("ArrowUp")
    visitor.all_saved()
    held.pop().continue_()
    for query in (kept, earlier):
        expect(visitor.button("undo")).to_be_enabled()
        page.keyboard.press("u")
        expect(page.locator("#stage")).to_have_attribute("data-query", query)
    expect(visitor.button("undo")).to_be_disabled()


def test_next_pair_is_loaded_before_the_answer(visitor: Any) -> None:
    page = visitor.label()
    shown = visitor.see_pair()
    # Before any answer the next pair is the only hidden one; later an answered pair may look just as ready.
    page.wait_for_function(NEXT_READY)
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.keyboard.press("ArrowRight")
    state = page.evaluate("""() => ({...document.querySelector("#stage").dataset})""")

    assert state["query"] != shown
    assert state["state"] == "ready"
    assert state["paused"] == "false"
    assert not [url for url in fetched if url.endswith(visitor.clips)]


def test_both_clips_stay_within_one_frame(visitor: Any) -> None:
    page = visitor.label()
    fps = page.evaluate("""async () => {
        const clip = document.querySelector(".side.left").dataset.clip;
        const {items} = await (await fetch("/api/history")).json();
        return items.find(({clips}) => clips.some((one) => one.clip === clip))?.clips[0].fps ?? 25;
    }""")
    playing(page)
    drifts = page.evaluate(WATCH_DRIFT, 3)

    assert len(drifts) > 30
    within = sorted(abs(drift) for drift in drifts)
    assert within[int(0.95 * len(within))] <= 1 / fps
    assert page.locator("#stage video[loop]").count() == 0


def test_playing_is_controlled_by_keys(visitor: Any) -> None:
    page = visitor.label()
    playing(page)
    page.keyboard.press("<")
    assert page.evaluate(SHOWN, "playbackRate") == [0.75, 0.75]
    visitor.press("ArrowLeft")
    visitor.see_pair()
    assert page.evaluate(SHOWN, "playbackRate") == [0.75, 0.75], "the speed stays"
    page.keyboard.press(">")
    expect(page.locator("#rate")).to_have_attribute("data-rate", "1")

    page.keyboard.press("p")
    assert page.evaluate(SHOWN, "paused") == [True, True]
    expect(visitor.button("pause")).to_contain_text("Play")
    page.keyboard.press(" ")
    page.wait_for_function(f"() => [...{VIDEOS}].every((v) => !v.paused && v.currentTime < 0.5)")
    page.keyboard.press(".")
    page.wait_for_function(
        """() => [...document.querySelectorAll("#stage video.shown")].every((v) => !v.seeking)"""
    )
    before = page.evaluate(SHOWN, "currentTime")
    page.keyboard.press(".")
    after = page.evaluate(SHOWN, "currentTime")
    steps = [late - early for early, late in zip(before, after, strict=True)]
    assert page.evaluate(SHOWN, "paused") == [True, True]
    assert steps[0] == pytest.approx(steps[1], abs=1e-4)  # the browser rounds to a microsecond, either way
    assert 1 / 60 < steps[0] < 1 / 5


def test_keys_rest_while_somebody_types_or_holds_a_modifier_or_reads_a_dialog(visitor: Any) -> None:
    page = visitor.label()
    query = visitor.query
    for key in ("Control+ArrowLeft", "Alt+ArrowRight", "Meta+ArrowUp", "Shift+U", "x", "Control+Shift+Z"):
        page.keyboard.press(key)
    page.evaluate("""document.querySelector("main").append(document.createElement("textarea"))""")
    page.locator("textarea").focus()
    for key in ("ArrowLeft", "=", "u", "Control+z"):
        page.keyboard.press(key)
    expect(page.locator("textarea")).to_be_focused()
    page.locator("#settings").click()
    page.locator("dialog select").first.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Close").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")

    assert visitor.query == query
    assert visitor.rows() == []
    visitor.press("ArrowLeft")  # and now they work


def test_a_key_that_means_nothing_has_those_told_that_do_and_once(visitor: Any) -> None:
    page = visitor.label()
    toast = page.locator("#toast")
    for key in ("Control+x", "Shift", "Tab", "F2"):
        page.keyboard.press(key)
    expect(toast).to_be_hidden()
    page.keyboard.press("x")
    expect(toast).to_have_text("← → ↑ ↓ answer; H shows all keys")
    page.evaluate("""document.querySelector("#toast").textContent = "" """)
    page.keyboard.press("y")
    expect(toast).to_have_text("")
    assert visitor.rows() == []


def test_a_key_is_changed_and_stays_changed(visitor: Any) -> None:
    page = visitor.label()
    page.locator("#settings").click()
    page.get_by_role("button", name="Key for: Left is better").click()
    page.keyboard.press("Delete")
    expect(page.locator(".said")).to_contain_text("cannot be used")
    page.get_by_role("button", name="Key for: Left is better").click()
    page.keyboard.press("u")  # which was undo
    expect(page.locator(".said")).to_have_text("U is now “Left is better”; “Undo” is on ←.")
    page.get_by_role("button", name="Close").click()
    expect(visitor.button("left")).to_have_attribute("aria-keyshortcuts", "u")
    expect(visitor.button("left").locator("kbd")).to_have_text("U")

    first = visitor.press("u")
    page.reload()
    second = visitor.press("u")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#stage")).to_have_attribute("data-query", second)
    visitor.all_saved()
    assert visitor.said() == {first: "left"}


def test_stored_settings_that_are_no_settings_are_not_believed(visitor: Any) -> None:
    stored = """{"helpSeen": true, "theme": "x\\" onload=alert(1)", "rate": 1e9, "ahead": 4000,
                 "keys": {"left": ["<img src=x onerror=alert(1)>"], "right": "j", "constructor": ["q"]}}"""
    visitor.page.evaluate("(stored) => localStorage.setItem('prefrl.settings', stored)", stored)
    visitor.page.reload()
    page = visitor.label()

    expect(page.locator("#rate")).to_have_attribute("data-rate", "1")
    expect(visitor.button("left").locator("kbd")).to_have_text("←")
    assert page.evaluate("document.documentElement.dataset.theme ?? null") is None
    assert page.locator("img").count() == 0


def test_less_motion_starts_nothing_by_itself(visit: Callable[..., Any], office: Any) -> None:
    visitor = visit(office, reduced_motion="reduce")
    page = visitor.label(looked=False)
    assert page.evaluate(SHOWN, "paused") == [True, True]
    expect(visitor.button("pause")).to_contain_text("Play")
    for note in page.locator("#stage .note").all():
        expect(note).to_have_text("Press Space to play")
    query = visitor.query
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#toast")).to_have_text("Look at both clips first.")
    assert visitor.query == query
    page.keyboard.press(" ")
    playing(page)
    expect(page.locator("#stage .note").first).to_be_empty()
    expect(page.locator("#stage")).to_have_attribute("data-paused", "true")
    assert page.evaluate(SHOWN, "ended") == [True, True], "once for each time it is asked for"
    assert visitor.press("ArrowLeft") == query
    visitor.all_saved()
    assert visitor.said() == {query: "left"}


def test_who_presses_before_the_clips_have_played_answers_nothing(visitor: Any) -> None:
    page = visitor.label()
    query = visitor.see_pair()
    # Five presses within one turn of the browser: no clip of the pairs after the first can have played meanwhile.
    page.evaluate("""() => {
        for (let n = 0; n < 5; n += 1) document.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}));
    }""")
    expect(page.locator("#toast")).to_have_text("Look at both clips first.")
    after = visitor.see_pair(query)
    visitor.all_saved()
    assert visitor.said() == {query: "left"}
    assert visitor.press("ArrowRight") == after
    visitor.all_saved()
    [newest] = [row for row in visitor.rows() if row.query_id == after]
    assert newest.reaction_ms is not None
    assert newest.reaction_ms >= 250


def test_a_pair_that_cannot_be_seen_is_passed_over_at_once(visitor: Any) -> None:
    refusal = {"status": 404, "json": {"error": "A clip cannot be drawn."}}
    visitor.page.route("**/clips/*.mp4", lambda route: route.fulfill(**refusal))
    page = visitor.open("/")
    expect(page.locator("#stage .note").first).to_have_text(
        "A clip cannot be drawn. Answer \u201ccan\u2019t tell\u201d to go on."
    )
    query = visitor.query
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#toast")).to_have_text("This pair cannot be seen: answer \u201ccan\u2019t tell\u201d.")
    assert visitor.query == query
    page.keyboard.press("?")
    visitor.leave(query)
    visitor.all_saved()
    assert visitor.said() == {query: "cannot_tell"}
    visitor.forgive("404")


def test_no_look_is_longer_than_the_clips_last(
    visit: Callable[..., Any], small_office: Callable[..., Any]
) -> None:
    visitor = visit(small_office("--least-look", "10"))
    page = visitor.label(looked=False)
    page.keyboard.press("ArrowDown")  # that one cannot tell may be said at once
    visitor.press("ArrowLeft")  # after the end of clips of 1.2 s
    visitor.all_saved()
    assert sorted(visitor.said().values()) == ["cannot_tell", "left"]


def test_how_long_to_look_is_the_owners_choice(
    visit: Callable[..., Any], small_office: Callable[..., Any]
) -> None:
    visitor = visit(small_office("--least-look", "1.1"))
    visitor.label()
    visitor.press("ArrowLeft")
    visitor.all_saved()
    [row] = visitor.rows()
    assert row.reaction_ms is not None
    assert row.reaction_ms >= 1_000


def test_two_tabs_ask_nothing_twice(visitor: Any) -> None:
    visitor.label()
    other = visitor.context.new_page()
    other.goto(visitor.server.url)
    stage = other.locator("#stage")
    answered = visitor.query
    expect(stage).to_have_attribute("data-query", answered)  # of one person, so of one pair
    visitor.press("ArrowLeft")
    expect(stage).not_to_have_attribute("data-query", answered)
    expect(other.locator("#toast")).to_have_text("Answered in another tab.")
    expect(stage).to_have_attribute("data-seen", "true")
    following = stage.get_attribute("data-query")
    other.keyboard.press("ArrowRight")
    expect(stage).not_to_have_attribute("data-query", following)
    expect(visitor.page.locator("#stage")).not_to_have_attribute("data-query", following)
    expect(other.locator("#save")).to_have_attribute("data-state", "saved")
    visitor.all_saved()
    assert visitor.said() == {answered: "left", following: "right"}
    assert visitor.page.locator(".banner").count() == other.locator(".banner").count() == 0

    visitor.button("undo").click()  # of the first answer; the other tab may ask it again
    expect(visitor.page.locator("#stage")).to_have_attribute("data-query", answered)
    visitor.all_saved()
    visitor.page.close()
    for _ in range(3):
        if stage.get_attribute("data-query") == answered:
            break
        expect(stage).to_have_attribute("data-seen", "true")
        other.keyboard.press("ArrowLeft")
        other.wait_for_timeout(500)
    expect(stage).to_have_attribute("data-query", answered)


def test_what_was_done_and_that_a_pair_is_there_is_spoken_also_when_it_is_the_same_again(visitor: Any) -> None:
    page = visitor.label()
    page.evaluate("""() => {
        window.spoken = [];
        const place = document.querySelector("#announcement");
        new MutationObserver(() => window.spoken.push(place.textContent)).observe(place, {childList: true});
    }""")
    for _ in range(3):
        visitor.press("ArrowLeft")
        visitor.see_pair()
    page.keyboard.press("u")
    # In one breath where the next pair was loaded already, else in two.
    page.wait_for_function("""() => window.spoken.join(" ").match(/pair is there/g)?.length === 4""")
    spoken = page.evaluate("window.spoken")
    assert " ".join(re.findall(r"Taken back|Left|pair", " ".join(spoken))) == (
        "Left pair Left pair Left pair Taken back Left pair"
    )
    assert all(one != another for one, another in pairwise(spoken)), "a text that does not change is not spoken"


def test_all_is_on_one_screen_of_a_laptop_beside_each_other_or_stacked(visitor: Any) -> None:
    page = visitor.label()
    frames = page.locator(".frame")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    left, right = frames.nth(0).bounding_box(), frames.nth(1).bounding_box()
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["width"] > 480
    page.set_viewport_size({"width": 1366, "height": 600})
    bottom = page.locator("#progress").bounding_box()
    assert bottom is not None
    assert bottom["y"] + bottom["height"] <= 600

    page.locator("#settings").click()
    page.get_by_role("combobox", name="Clips").select_option("stacked")
    page.get_by_role("button", name="Close").click()
    expect(visitor.button("right")).to_have_accessible_name("Lower is better")
    upper, lower = frames.nth(0).bounding_box(), frames.nth(1).bounding_box()
    assert upper is not None
    assert lower is not None
    assert upper["y"] + upper["height"] <= lower["y"]


def test_a_phone_stacks_the_clips_and_understands_swipes(
    visit: Callable[..., Any], office: Any, playwright: Playwright
) -> None:
    visitor = visit(office, **playwright.devices["Pixel 7"])
    page = visitor.label()
    upper, lower = (page.locator(".frame").nth(i).bounding_box() for i in (0, 1))
    assert upper is not None
    assert lower is not None
    assert upper["y"] + upper["height"] <= lower["y"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 44
    expect(visitor.button("left")).to_have_accessible_name("Upper is better")
    expect(visitor.button("left").locator(".swipe")).to_have_text("↑")

    given = {}
    said = {
        "left": "Upper is better",
        "right": "Lower is better",
        "equal": "Equally good",
        "cannot_tell": "Can\u2019t tell",
    }
    for (x, y), choice in {
        (0, -120): "left",
        (0, 120): "right",
        (-120, 0): "equal",
        (120, 0): "cannot_tell",
    }.items():
        query = visitor.see_pair()
        visitor.swipe(x, y)
        visitor.leave(query)
        expect(page.locator("#toast")).to_have_text(said[choice])
        given[query] = choice
    shown = visitor.see_pair()
    visitor.swipe(20, 10)  # too short to mean anything
    assert visitor.query == shown
    visitor.all_saved()
    assert visitor.said() == given


def heights(page: Page) -> tuple[float, float]:
    """Height of the viewport and of the clips, from the top of the first to the bottom of the last."""
    seen = page.evaluate("""() => {
        const boxes = [...document.querySelectorAll(".frame")].map((frame) => frame.getBoundingClientRect());
        const bottom = Math.max(...boxes.map(({bottom}) => bottom));
        return [innerHeight, bottom - Math.min(...boxes.map(({top}) => top))];
    }""")
    return seen[0], seen[1]


OVERFLOWING = """() => [...document.querySelectorAll("button, #progress p, #question, .frame")].filter((node) => {
    const {left, right, top, bottom, width} = node.getBoundingClientRect();
    const out = left < 0 || right > innerWidth || top < 0 || bottom > innerHeight;
    const cut = node.scrollWidth > node.clientWidth || node.scrollHeight > node.clientHeight;
    return width > 0 && (out || (cut && node.matches("button")));
}).map(({id, className}) => id || className)"""


def test_a_small_screen_leaves_the_clips_their_room(visit: Callable[..., Any], office: Any) -> None:
    """However the telephone is turned."""
    visitor = visit(office, viewport={"width": 844, "height": 390}, has_touch=True, is_mobile=True)
    page = visitor.label()
    for size in ((844, 390), (750, 342), (568, 320), (320, 568), (390, 844)):
        resize(page, size)
        beside = size[0] > size[1]
        expect(visitor.button("left")).to_have_accessible_name("Left is better" if beside else "Upper is better")
        expect(visitor.button("left").locator(".swipe")).to_have_text("←" if beside else "↑")
        expect(page.locator("#progress .sentence")).to_be_visible()
        height, clips = heights(page)
        assert clips >= 0.45 * height, size
        assert page.evaluate(OVERFLOWING) == [], size
        status = page.locator("#progress .sentence").bounding_box()
        assert status is not None
        assert status["height"] < 24, f"one line at {size}"


ANSWERED = """(choice) => {
    document.querySelector(`#do-${choice}`).click();
    const pressed = document.getAnimations().filter(({id}) => id === "pressed");
    const flashes = [...document.querySelectorAll("#stage .flash")];
    const painted = flashes.map((flash) => getComputedStyle(flash).opacity);
    return [pressed.map(({effect}) => effect.target.id), painted];
}"""
SHADOW = """() => getComputedStyle(document.querySelector(".side.left .frame")).boxShadow"""


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_an_answer_lights_its_button_and_nothing_on_the_next_clips(
    visit: Callable[..., Any], office: Any, motion: str
) -> None:
    visitor = visit(office, reduced_motion=motion)
    page = visitor.label(looked=motion != "reduce")
    for choice in CHOICES:
        if motion == "reduce":
            visitor.see_pair(looked=False)
            page.keyboard.press(" ")
        visitor.see_pair()
        lit, painted = page.evaluate(ANSWERED, choice)
        assert f"do-{choice}" in lit
        assert painted == ["0", "0"]


def test_a_clip_that_is_pointed_at_looks_so_only_until_the_answer(visitor: Any) -> None:
    page = visitor.label()
    plain = page.evaluate(SHADOW)
    query = visitor.see_pair()
    visitor.videos.first.hover()
    assert page.evaluate(SHADOW) != plain
    page.mouse.down()
    page.mouse.up()
    visitor.leave(query)
    visitor.see_pair()
    assert page.evaluate(SHADOW) == plain
    page.mouse.move(400, 300)
    assert page.evaluate(SHADOW) != plain


def test_one_number_says_how_fast_the_clips_are(visitor: Any) -> None:
    page = visitor.label()
    rate = page.locator("#rate")
    expect(rate).to_have_text(re.compile(r"^([\d.]+× (slower|faster) than real|real speed)$"))
    before = rate.inner_text()
    page.keyboard.press("<")
    expect(rate).not_to_have_text(before)
    page.keyboard.press(">")
    expect(rate).to_have_text(before)


def background(page: Page) -> int:
    """Brightness of the page's ground, 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return int(colour.removeprefix("rgb(").split(",")[0])


def test_dark_as_the_system_or_as_chosen(visit: Callable[..., Any], office: Any) -> None:
    visitor = visit(office, color_scheme="dark")
    page = visitor.label()
    assert background(page) < 40
    page.locator("#settings").click()
    page.get_by_role("combobox", name="Colours").select_option("light")
    assert background(page) > 220
    visitor.open("/history")
    assert background(page) > 220


def test_help_comes_once_by_itself_and_again_when_asked_for(visit: Callable[..., Any], office: Any) -> None:
    visitor = visit(office, helped=False)
    page = visitor.label(looked=False)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("backflip")
    expect(page.locator("#stage")).to_have_attribute("data-paused", "true")
    examples = dialog.locator(".examples video")
    expect(examples).to_have_count(3)
    expect(dialog.locator("figcaption").first).to_contain_text("Good: it takes off and turns over")
    page.wait_for_function(
        """() => [...document.querySelectorAll(".examples video")].every((v) => v.currentTime > 0)"""
    )
    page.keyboard.press("ArrowLeft")  # not behind the help
    assert set(page.locator("#stage .note").all_text_contents()) == {""}, (
        "and no key is named that does nothing there"
    )
    start = page.get_by_role("button", name="Start")
    assert dialog.evaluate("(it) => it.scrollHeight <= it.clientHeight"), "it fits a laptop's screen"
    expect(start).to_be_focused()
    page.keyboard.press("Enter")
    playing(page)
    page.reload()
    visitor.see_pair()
    expect(dialog).to_have_count(0)
    page.keyboard.press("h")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_have_accessible_name("Help")
    expect(page.locator("#help kbd")).to_have_text("H")
    expect(page.locator("#help")).not_to_contain_text("?")  # the key of "can't tell"
    page.get_by_role("button", name="Help").click()
    expect(dialog).to_be_visible()
    assert visitor.rows() == []


def test_a_remark_goes_with_the_answer_and_stays_when_that_is_changed(visitor: Any) -> None:
    page = visitor.label()
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing is learned from it")
    expect(dialog.get_by_label("In your own words")).to_be_focused()
    expect(page.locator("#stage")).to_have_attribute("data-paused", "true")
    dialog.get_by_label("What is the matter").select_option("A clip is broken")
    dialog.get_by_label("In your own words").fill(" <b>Black</b> at the end ")
    dialog.get_by_role("button", name="Keep").click()
    expect(visitor.button("remark")).to_have_attribute("aria-pressed", "true")
    query = visitor.press("ArrowDown")
    expect(visitor.button("remark")).to_have_attribute("aria-pressed", "false")
    other = visitor.press("ArrowLeft")
    for back in (other, query):  # the remark is there again with its pair
        page.keyboard.press("u")
        expect(page.locator("#stage")).to_have_attribute("data-query", back)
    expect(visitor.button("remark")).to_have_attribute("aria-pressed", "true")
    visitor.see_pair(other)
    visitor.press("ArrowDown")
    visitor.all_saved()
    page.reload()
    visitor.label()
    expect(page.locator("#do-undo")).to_be_enabled()
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-query", query)
    expect(visitor.button("remark")).to_have_attribute("aria-pressed", "true")  # after a reload, too
    visitor.press("ArrowDown")
    visitor.all_saved()
    visitor.open("/history")
    card = page.locator("#answers > li").first
    expect(card.locator(".remark")).to_have_text("A clip is broken: <b>Black</b> at the end")
    card.get_by_role("button", name="Equal").click()
    visitor.all_saved()
    newest = visitor.rows()[-1]
    assert (newest.query_id, newest.remark, newest.comment) == (query, "broken", "<b>Black</b> at the end")
    assert visitor.said() == {query: "equal"}


def test_keys_chosen_before_there_was_an_action_stay_what_they_were(visitor: Any) -> None:
    page = visitor.label()
    page.evaluate("""() => {
        const keys = {left: ["n"], right: ["m"], equal: ["ArrowUp", "="], cannot_tell: ["?"], undo: ["u"],
                      replay: [" "], pause: ["p"], step: ["."], slower: ["<"], faster: [">"], help: ["h"]};
        localStorage["prefrl.settings"] = JSON.stringify({helpSeen: true, keys});
    }""")
    page.reload()
    visitor.label()
    given = {visitor.press("n"): "left", visitor.press("m"): "right"}
    visitor.all_saved()
    assert visitor.said() == given
    expect(visitor.button("remark")).not_to_have_attribute("aria-keyshortcuts", "n")
