"""A person practises on clips whose order is known: by their keys, mouse and finger; and nothing of it is sent."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from prefrl.files import read_json
from prefrl_labeling_gui.examples import SENTENCES, SHIPPED
from tests.browser.conftest import Office
from tests.browser.test_layout import AT_REST, SIZES, cut_off
from tests.browser.test_pages import faults
from tests.browser.test_ranking import BOXES, crowded
from tests.browser.test_strength import TOO_TALL

KINDS = {"pair": 2, "strength": 2, "ranking": 4, "rating": 1}
"""Clips of a query of each kind."""
SAID = read_json(SHIPPED / "hopper-backflip" / SENTENCES)["practice"]
AGREES, DIFFERS = "Most would say the same.", "Most would say something else."
ASKED = """([n]) => {
    const {told} = document.querySelector("#label")?.dataset ?? {};
    const {seen, query} = document.querySelector("#stage")?.dataset ?? {};
    return told === "false" && seen === "true" && query === `practice ${n}`;
}"""


@pytest.fixture
def office_of(office_with: Callable[..., Office]) -> Callable[[str], Office]:
    """`office_of("rating")`: a backflip's run that asks for this kind of feedback."""
    return lambda kind: office_with(n_queries=2, n_segments=8, feedback=kind, n_clips=KINDS[kind])


class Trainee:
    """Somebody on the page for practice, and what their browser asked of the server there."""

    def __init__(self, visitor: Any) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page
        self.sent: list[str] = []
        self.page.goto("about:blank")  # so that the page before has asked all that it will
        self.page.on("request", lambda request: self.sent.append(f"{request.method} {request.url}"))
        self.page.goto(f"{visitor.server.url}/practice")

    @property
    def told(self) -> Locator:
        """What most would say."""
        return self.page.locator("#told")

    def see(self, n: int) -> list[int]:
        """Wait for a question, the first is 1; return the places of its clips, 1 for the worst."""
        self.page.wait_for_function(ASKED, arg=[n])
        expect(self.page.locator("#practice")).to_contain_text(f"Practice {n} of 5: nothing of it counts.")
        return [int(clip.split("/")[-1].removesuffix(".mp4")) for clip in self.visitor.clips]

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def go_on(self) -> None:
        """Ask for the next question."""
        self.page.keyboard.press("Enter")

    def posted(self) -> list[str]:
        """What was more than asking."""
        return [one for one in self.sent if not one.startswith("GET ")]


@pytest.fixture
def practise(visit: Callable[..., Any], office_of: Callable[[str], Office]) -> Callable[..., Trainee]:
    """`practise("ranking", **context options)`: somebody new on the page for practice."""

    def come(kind: str, **options: Any) -> Trainee:
        return Trainee(visit(office_of(kind), **options))

    return come


def right_keys(kind: str, places: Sequence[int]) -> list[str]:
    """What somebody presses who sees what the order says."""
    if kind == "rating":
        return [str(round(1 + 4 * (places[0] - 1) / 5))]
    if kind == "ranking":
        best_first = sorted(range(len(places)), key=lambda clip: -places[clip])
        return [*(str(clip + 1) for clip in best_first[:-1]), "Enter"]
    side = "ArrowLeft" if places[0] > places[1] else "ArrowRight"
    return [f"Shift+{side}" if kind == "strength" and abs(places[0] - places[1]) > 2 else side]


def wrong_keys(kind: str, places: Sequence[int]) -> list[str]:
    """What somebody presses who sees the opposite."""
    if kind == "rating":
        return ["1" if places[0] > 3 else "5"]
    return right_keys(kind, [-place for place in places])


@pytest.mark.parametrize("kind", KINDS)
def test_five_questions_are_told_at_once_and_nothing_is_sent(practise: Callable[..., Trainee], kind: str) -> None:
    trainee = practise(kind)
    page = trainee.page
    asked = []
    for n in range(1, 6):
        places = trainee.see(n)
        asked.append(tuple(places))
        expect(trainee.told).to_be_hidden()
        trainee.press(*right_keys(kind, places))
        expect(trainee.told).to_contain_text(AGREES)
        expect(trainee.told).to_contain_text(SAID[max(places) - 1])
        expect(page.locator("#answers")).to_be_hidden()
        expect(page.locator("#announcement")).to_contain_text(SAID[max(places) - 1])
        if n < 5:
            trainee.go_on()
    assert len(set(asked)) == 5 or kind == "ranking"
    assert all(len(set(places)) == KINDS[kind] for places in asked)
    if kind in ("pair", "strength"):
        assert all(abs(one - other) >= 2 for one, other in asked)
    expect(trainee.told).to_contain_text("In 5 of 5 you said what most would say.")
    assert trainee.posted() == []
    expect(trainee.told.get_by_role("button")).to_contain_text("Begin")
    trainee.go_on()
    page.wait_for_url(f"{trainee.visitor.server.url}/")
    assert trainee.visitor.rows() == []
    trainee.visitor.label()
    expect(page.locator("#do-undo")).to_be_disabled()  # there is nothing to take back


@pytest.mark.parametrize("kind", KINDS)
def test_what_others_would_not_say_is_told_and_taken_back(practise: Callable[..., Trainee], kind: str) -> None:
    trainee = practise(kind)
    page = trainee.page
    places = trainee.see(1)
    trainee.press(*wrong_keys(kind, places))
    expect(trainee.told).to_contain_text(DIFFERS)
    trainee.press("ArrowLeft", "3")  # says nothing while most are heard
    expect(trainee.told).to_contain_text(DIFFERS)
    trainee.press("u")
    assert trainee.see(1) == places
    expect(trainee.told).to_be_hidden()
    expect(page.locator("#do-undo")).to_be_disabled()
    trainee.press("ArrowDown")
    expect(trainee.told).to_contain_text("You may always say “can\u2019t tell”.")
    expect(trainee.told).not_to_contain_text("Most")
    trainee.press("u")
    trainee.see(1)
    trainee.press(*right_keys(kind, places))
    expect(trainee.told).to_contain_text(AGREES)
    for n in range(2, 6):
        trainee.go_on()
        trainee.press(*wrong_keys(kind, trainee.see(n)))
    expect(trainee.told).to_contain_text("In 1 of 5 you said what most would say.")
    assert trainee.posted() == []


def test_what_is_near_is_right_of_a_rating_and_equal_is_not_of_a_pair(practise: Callable[..., Trainee]) -> None:
    trainee = practise("rating")
    for n in range(1, 6):
        [place] = trainee.see(n)
        level = round(1 + 4 * (place - 1) / 5)
        trainee.press(str(level + 1 if level < 3 else level - 1))
        expect(trainee.told).to_contain_text(f"{AGREES} About a {level}: {SAID[place - 1]}")
        if n < 5:
            trainee.go_on()
    trainee = practise("pair")
    one, other = trainee.see(1)
    trainee.press("ArrowUp")
    better, worse = ("Left", "Right") if one > other else ("Right", "Left")
    low, high = sorted((one, other))
    expect(trainee.told).to_contain_text(
        f"{DIFFERS} {better} is better: {SAID[high - 1]} {worse}: {SAID[low - 1]}"
    )


def test_a_ranking_is_right_where_what_is_clearly_better_comes_first(practise: Callable[..., Trainee]) -> None:
    trainee = practise("ranking")
    places = trainee.see(1)
    order = sorted(range(4), key=lambda clip: -places[clip])
    near = next(i for i in range(3) if places[order[i]] - places[order[i + 1]] == 1)  # of six, four have such two
    swapped = [*order[:near], order[near + 1], order[near], *order[near + 2 :]]
    trainee.press(*(str(clip + 1) for clip in swapped[:-1]), "Enter")
    expect(trainee.told).to_contain_text(AGREES)
    trainee.press("u")
    trainee.see(1)
    keys = [str(clip + 1) for clip in [order[3], *order[1:3]]]  # the worst is the first
    trainee.press(*keys, "Enter")
    words = ", ".join(str(clip + 1) for clip in order)
    best, worst = order[0], order[-1]
    expect(trainee.told).to_contain_text(
        f"{DIFFERS} The best first: {words}. Clip {best + 1}: {SAID[places[best] - 1]} "
        f"Clip {worst + 1}: {SAID[places[worst] - 1]}"
    )
    expect(trainee.page.locator(".pick .place").first).not_to_be_empty()  # what was said is seen
    trainee.press("u")
    trainee.see(1)
    expect(trainee.page.locator(".pick .place").first).to_be_empty()
    trainee.press(keys[0])
    expect(trainee.visitor.button("undo")).to_contain_text(f"clip {worst + 1}")
    trainee.press("u")
    expect(trainee.page.locator(".pick[aria-pressed=true]")).to_have_count(0)


def test_keys_that_are_held_and_the_one_that_plays_again_skip_nothing(practise: Callable[..., Trainee]) -> None:
    trainee = practise("ranking")
    *keys, _ = right_keys("ranking", trainee.see(1))
    trainee.press(*keys)
    for _ in range(3):
        trainee.page.keyboard.down("Enter")  # the second time it is a repeat
    trainee.page.keyboard.up("Enter")
    expect(trainee.told).to_contain_text(AGREES)
    trainee.press("Space")
    expect(trainee.page.locator("#practice")).to_contain_text("Practice 1 of 5")
    expect(trainee.told).to_contain_text(AGREES)
    trainee.press("h")
    dialog = trainee.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Here nothing is learned from it.")
    for untrue in ("a remark", "as often as you like", "No answer is lost", "History"):
        expect(dialog.locator("dl, p:not(.touch)").filter(has_text=untrue)).to_have_count(0)
    for _ in range(3):
        trainee.page.keyboard.down("Escape")
    trainee.page.keyboard.up("Escape")
    expect(dialog).to_have_count(0)
    expect(trainee.told).to_contain_text(AGREES)
    trainee.go_on()
    trainee.see(2)


def test_with_the_mouse(practise: Callable[..., Trainee]) -> None:
    trainee = practise("pair")
    page = trainee.page
    one, other = trainee.see(1)
    page.locator(".side.left" if one > other else ".side.right").click()
    expect(trainee.told).to_contain_text(AGREES)
    expect(page.locator("#stage")).to_have_attribute("data-paused", "false")  # so that one may look again
    trainee.visitor.button("pause").click()
    expect(page.locator("#stage")).to_have_attribute("data-paused", "true")
    trainee.told.get_by_role("button", name="Next").click()
    one, other = trainee.see(2)
    trainee.visitor.button("left" if one > other else "right").click()
    expect(trainee.told).to_contain_text(AGREES)
    trainee.visitor.button("undo").click()
    trainee.see(2)
    page.get_by_role("link", name="Stop practising").click()
    trainee.visitor.label()
    assert trainee.visitor.rows() == []
    trainee = practise("ranking")
    places = trainee.see(1)
    for clip in sorted(range(4), key=lambda clip: -places[clip])[:-1]:
        trainee.page.locator(".pick").nth(clip).click()
    trainee.visitor.button("send").click()
    expect(trainee.told).to_contain_text(AGREES)


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_finger(practise: Callable[..., Trainee], playwright: Playwright, kind: str) -> None:
    trainee = practise(kind, **playwright.devices["Pixel 7"])
    page = trainee.page
    places = trainee.see(1)
    if kind == "ranking":
        for clip in sorted(range(4), key=lambda clip: -places[clip])[:-1]:
            page.locator(".pick").nth(clip).tap()
        trainee.visitor.button("send").tap()
    elif kind == "rating":
        trainee.visitor.button(f"level_{right_keys(kind, places)[0]}").tap()
    else:
        trainee.visitor.swipe(0, -90 if places[0] > places[1] else 90)
    expect(trainee.told).to_contain_text(AGREES)
    if kind == "pair":
        expect(trainee.told).to_contain_text(re.compile("(Upper|Lower) is better: .*(Upper|Lower): "))
    page.wait_for_timeout(400)  # a browser makes no click of a tap within 0.1 s of a swipe; nobody reads so fast
    trainee.told.get_by_role("button", name="Next").tap()
    trainee.see(2)
    page.get_by_role("link", name="Stop practising").tap()
    page.wait_for_url(f"{trainee.visitor.server.url}/")
    assert trainee.posted() == [one for one in trainee.posted() if one.endswith("/api/claims")]
    assert trainee.visitor.rows() == []


@pytest.mark.parametrize("kind", ["pair", "ranking"])
def test_escape_leaves_at_any_moment(practise: Callable[..., Trainee], kind: str) -> None:
    trainee = practise(kind)
    page = trainee.page
    places = trainee.see(1)
    page.keyboard.press("h")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("button", name="Practise")).to_have_count(0)
    page.keyboard.press("Escape")  # of the help alone
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert trainee.see(1) == places
    assert trainee.posted() == []
    if kind == "ranking":
        trainee.press("1", "2")
    else:
        trainee.press("ArrowLeft")
        expect(trainee.told).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_url(f"{trainee.visitor.server.url}/")
    trainee.visitor.label()
    expect(page.locator(".pick[aria-pressed=true]")).to_have_count(0)
    assert trainee.visitor.rows() == []


def test_the_help_offers_it(visit: Callable[..., Any], office_of: Callable[[str], Office]) -> None:
    visitor = visit(office_of("pair"), helped=False)
    page = visitor.label(looked=False)
    offer = page.get_by_role("dialog").get_by_role("button", name="Practise")
    expect(offer).to_be_visible()
    page.get_by_role("button", name="Start").click()
    page.reload()
    visitor.label()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("h")
    offer.click()
    page.wait_for_url("**/practice")
    visitor.see_pair()
    page.go_back()
    visitor.label()


def test_without_clips_there_is_none(visit: Callable[..., Any], small_office: Callable[..., Office]) -> None:
    visitor = visit(small_office())
    page = visitor.label()
    page.keyboard.press("h")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("button", name="Practise")).to_have_count(0)
    visitor.open("/practice")
    page.wait_for_url(f"{visitor.server.url}/")
    visitor.see_pair()


def test_it_is_done_with_ones_own_keys(practise: Callable[..., Trainee]) -> None:
    trainee = practise("pair")
    page = trainee.page
    trainee.see(1)
    page.locator("#settings").click()
    page.get_by_role("button", name="Key for: Left is better").click()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    trainee.press("ArrowLeft")
    expect(trainee.told).to_be_hidden()
    expect(trainee.visitor.button("left").locator("kbd")).to_have_text(["J"])
    trainee.press("j")
    expect(trainee.told).to_be_visible()
    expect(page.locator("#rate")).to_have_text("1×")
    trainee.press("<")
    expect(page.locator("#rate")).to_have_text("0.75×")


def test_who_wants_less_motion_plays_the_clips(practise: Callable[..., Trainee]) -> None:
    trainee = practise("pair", reduced_motion="reduce")
    page = trainee.page
    for n in (1, 2):
        expect(page.locator("#stage")).to_have_attribute("data-query", f"practice {n}")
        expect(page.locator("#stage .note:visible").first).to_have_text("Press Space to play")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#toast")).to_have_text("Look at both clips first.")
        expect(trainee.told).to_be_hidden()
        page.keyboard.press(" ")
        trainee.see(n)
        page.keyboard.press("ArrowLeft")
        expect(trainee.told).to_be_visible()
        trainee.go_on()


@pytest.mark.parametrize(
    "colours", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_everybody_can_practise(practise: Callable[..., Trainee], kind: str, colours: dict[str, str]) -> None:
    trainee = practise(kind, **colours)
    places = trainee.see(1)
    assert not faults(trainee.page)
    for keys in (right_keys(kind, places), wrong_keys(kind, places), ["ArrowDown"]):
        trainee.press(*keys)
        expect(trainee.told).to_be_visible()
        assert not faults(trainee.page)
        trainee.press("u")
        trainee.see(1)


@pytest.mark.parametrize("has_touch", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_cut_off(practise: Callable[..., Trainee], kind: str, has_touch: bool) -> None:
    sizes = [size for size in (*SIZES, (640, 360)) if has_touch == (min(size) < 400)]
    trainee = practise(kind, has_touch=has_touch)
    page, found = trainee.page, {}
    places = trainee.see(1)
    for told in (False, True):
        if told:
            trainee.press(*wrong_keys(kind, places))
        for size in sizes:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.wait_for_function(AT_REST)
            found[size, told] = (
                crowded(page.evaluate(BOXES), KINDS[kind], size) + cut_off(page) + page.evaluate(TOO_TALL)
            )
            if told:
                found[size, told] += hidden(trainee.told, size)
    assert {place: sentences for place, sentences in found.items() if sentences} == {}


def hidden(told: Locator, size: tuple[int, int]) -> list[str]:
    """Return what of what most would say cannot be read."""
    box = told.bounding_box()
    assert box is not None
    found = [] if box["y"] + box["height"] <= size[1] else ["it goes below the window"]
    cut = told.evaluate("(node) => node.scrollHeight - node.clientHeight")
    return found if cut <= 1 else [*found, f"{cut} pixels of it are cut off"]


@pytest.mark.parametrize("size", [(780, 900), (1440, 900)], ids=str)
def test_nothing_is_cut_off_in_text_of_twice_the_size(
    office_of: Callable[[str], Office], with_large_text: Browser, size: tuple[int, int]
) -> None:
    page = with_large_text.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(office_of("pair").invite(f"Reader {size[0]}"))
    found = {"help": cut_off(page)}
    page.get_by_role("button", name="Practise").click()
    page.wait_for_function(ASKED, arg=[1])
    found["asked"] = cut_off(page) + page.evaluate(TOO_TALL)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#told")).to_be_visible()
    found["told"] = cut_off(page) + page.evaluate(TOO_TALL)
    page.close()
    assert {place: sentences for place, sentences in found.items() if sentences} == {}
