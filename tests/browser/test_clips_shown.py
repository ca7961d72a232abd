"""What helps to judge clips: the legend of the body's parts, and the bar that tells where in the loop they are.

`visitor` is a `Visitor` of conftest, whose run is a HopperBackflip's.
"""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from prefrl_envs.tasks import TASKS
from tests.browser.test_layout import resize

SHARES = """() => [...document.querySelectorAll("#stage .loop-bar .done")].map(
    (done) => new DOMMatrix(getComputedStyle(done).transform).a)"""
PLAYED = """() => [...document.querySelectorAll("#stage video.shown")].map(
    (video) => video.currentTime / video.duration)"""
COUNT_BLINKS = """() => {
    window.blinks = 0;
    for (const veil of document.querySelectorAll("#stage .veil")) {
        const animate = veil.animate.bind(veil);
        veil.animate = (...how) => ((window.blinks += 1), animate(...how));
    }
}"""
PARTS = TASKS["hopper-backflip"].parts


def expect_bars_where_clips_are(page: Page) -> None:
    """A clip that stands still has its bar at the same place, at the latest with the next frame of the screen."""
    page.wait_for_function(
        f"() => {{ const [bars, clips] = [({SHARES})(), ({PLAYED})()];"
        " return bars.length === 2 && bars.every((share, i) => Math.abs(share - clips[i]) < 0.01); }"
    )


def test_the_legend_tells_the_parts_by_their_colours(visitor: Any) -> None:
    page = visitor.label()
    legend = page.get_by_role("list", name="What the colours mean")
    expect(legend.get_by_role("listitem")).to_have_text([part.name for part in PARTS])
    colours = legend.locator(".swatch").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert colours == [f"rgb({red}, {green}, {blue})" for red, green, blue in (part.rgb for part in PARTS)]
    page.emulate_media(forced_colors="active")
    kept = legend.locator(".swatch").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert kept == colours


def test_the_legend_takes_its_room_and_no_more(visitor: Any) -> None:
    page = visitor.label()
    for width, height, is_seen in ((1366, 768, True), (320, 720, True), (800, 400, False)):
        resize(page, (width, height))
        expect(page.locator("#legend")).to_be_visible(visible=is_seen)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_a_bar_runs_along_with_each_clip_and_a_blink_tells_that_it_starts_again(visitor: Any) -> None:
    page = visitor.label()
    page.evaluate(COUNT_BLINKS)
    page.wait_for_function("() => window.blinks >= 4")  # both clips, twice
    page.keyboard.press("p")
    expect_bars_where_clips_are(page)
    for _ in range(3):
        page.keyboard.press(".")
    expect_bars_where_clips_are(page)
    visitor.press("ArrowLeft")
    page.keyboard.press("p")
    expect_bars_where_clips_are(page)


def test_with_less_motion_nothing_blinks(visit: Callable[..., Any], office: Any) -> None:
    visitor = visit(office, reduced_motion="reduce")
    page = visitor.label(looked=False)
    page.evaluate(COUNT_BLINKS)
    assert page.evaluate(SHARES) == [0, 0]
    for _ in range(2):
        page.keyboard.press(" ")
        page.wait_for_function(f"() => ({PLAYED})().every((share) => share > 0.99)")
        expect_bars_where_clips_are(page)
    assert page.evaluate("window.blinks") == 0
