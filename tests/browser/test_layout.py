"""No control is cut off and no page scrolls sideways, at any width: boxes are measured, not looked at.

`visitor` is a `Visitor` of conftest.
"""

from collections.abc import Callable, Iterable
from typing import Any

from playwright.sync_api import Browser, Page, expect

SIZES = (
    (320, 640),
    (360, 640),
    (390, 844),
    (683, 384),  # a laptop's screen at 200 %
    (701, 768),
    (768, 1024),
    (910, 700),
    (1024, 768),
    (1440, 900),
    (2560, 1440),
)
CUT_OFF = """() => {
    const shown = (node) => node.checkVisibility({visibilityProperty: true, opacityProperty: true});
    const unseen = (node) => getComputedStyle(node).clipPath !== "none";
    const scrolls = (node) =>  // within something that scrolls sideways by itself, other than a dialog
        node !== null && !node.matches("dialog, body") &&
        (["auto", "scroll"].includes(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
    const found = [];
    const {scrollWidth} = document.documentElement;
    if (scrollWidth > innerWidth) found.push(`page: ${scrollWidth}`);
    const dialog = document.querySelector("dialog[open]");
    if (dialog !== null && dialog.scrollWidth > dialog.clientWidth) found.push("dialog scrolls sideways");
    const root = dialog ?? document;
    for (const node of root.querySelectorAll("button, a, select, input, h1, h2, label, kbd, output, dt, dd")) {
        if (!shown(node) || unseen(node) || scrolls(node.parentElement)) continue;
        const {left, right, width, height} = node.getBoundingClientRect();
        const name = node.id || node.textContent.slice(0, 30);
        if (width === 0 || height === 0) continue;
        if (left < -0.5 || right > innerWidth + 0.5) found.push(`${name}: ${left} to ${right}`);
        // What spills over a button is seen, but over its neighbour.
        const cuts = node.matches("button") || getComputedStyle(node).overflowX !== "visible";
        if (cuts && node.scrollWidth > node.clientWidth + 1 && !node.matches("input, #question"))
            found.push(`${name}: ${node.scrollWidth} in ${node.clientWidth}`);
    }
    return found;
}"""


AT_REST = """() => {
    const places = () => [...document.querySelectorAll("#stage .frame")]
        .map((frame) => Object.values(frame.getBoundingClientRect().toJSON())).join();
    const before = places();
    const frame = () => new Promise(requestAnimationFrame);
    return frame().then(frame).then(() => places() === before);
}"""
"""The clips lie where they will stay."""
LARGE_TEXT_SIZES = ((780, 900), (1024, 768), (1440, 900))


def cut_off(page: Page) -> list[str]:
    return [str(sentence) for sentence in page.evaluate(CUT_OFF)]


def resize(page: Page, size: tuple[int, int]) -> None:
    """Give the window another size, and wait until the clips have their places in it."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.wait_for_function(AT_REST)


def cut_off_at(page: Page, sizes: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[str]]:
    """What is cut off where the window has each of these sizes; those where nothing is are left out."""
    found = {}
    for size in sizes:
        resize(page, size)
        found[size] = cut_off(page)
    return {size: sentences for size, sentences in found.items() if sentences}


def test_nothing_is_cut_off(visit: Callable[..., Any], office: Any) -> None:
    for width, height in SIZES:
        office.invite(f"Somebody of a long name {width} {height}")
    visitor = visit(office, "owner", viewport={"width": SIZES[0][0], "height": SIZES[0][1]})
    page = visitor.label()
    visitor.press("ArrowLeft")  # so that there is something to undo
    visitor.see_pair()
    found = {"label": cut_off_at(page, SIZES)}
    page.keyboard.press("h")
    found["help"] = cut_off_at(page, SIZES)
    page.keyboard.press("Escape")
    page.locator("#settings").click()
    found["settings"] = cut_off_at(page, SIZES)
    for path, sign in {
        "/history": "#answers li",
        "/people": "#people li",
        "/disagreements": "#answers li",
    }.items():
        visitor.open(path)
        expect(page.locator(sign).first).to_be_visible()
        found[path] = cut_off_at(page, SIZES)
    for size in SIZES:
        resize(page, size)
        visitor.open("/training")  # whose curves are asked for anew
        expect(page.locator(".curve").first).to_be_visible()
        found[f"/training {size}"] = cut_off_at(page, [size])
    assert {place: sentences for place, sentences in found.items() if sentences} == {}


def test_nothing_is_cut_off_in_text_of_twice_the_size(office: Any, with_large_text: Browser) -> None:
    context = with_large_text.new_context(viewport={"width": 780, "height": 900})
    page = context.new_page()
    page.goto(office.invite("Reader"))
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#stage")).to_have_attribute("data-seen", "true")
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "32px"
    found = {"label": cut_off_at(page, LARGE_TEXT_SIZES)}
    page.locator("#settings").click()
    found["settings"] = cut_off_at(page, LARGE_TEXT_SIZES)
    context.close()
    assert {place: sentences for place, sentences in found.items() if sentences} == {}
