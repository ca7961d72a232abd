"""The other pages: past answers, the training, people; and what stands in for clips while there are none.

`visitor` is a `Visitor` of conftest.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, Playwright, expect

from prefrl.segments import Query
from prefrl.store import RunRecord, Store
from prefrl_labeling_gui.assignment import sides_of
from tests.browser.conftest import opened

GONE_MS = 3_600_000


def test_history_plays_what_is_in_sight(visitor: Any) -> None:
    visitor.label()
    for _ in range(8):
        visitor.press("ArrowRight")
    visitor.all_saved()
    page = visitor.open("/history")
    page.set_viewport_size({"width": 700, "height": 500})
    cards = page.locator("#answers > li")
    expect(cards).to_have_count(8)
    page.wait_for_function("""() => document.querySelector("#answers video").currentTime > 0""")
    expect(cards.last.locator("video").first).not_to_have_attribute("src", "/.*/")
    cards.last.scroll_into_view_if_needed()
    page.wait_for_function("""() => [...document.querySelectorAll("#answers video")].at(-1).currentTime > 0""")
    expect(cards.first.locator("video").first).not_to_have_attribute("src", "/.*/")
    assert page.locator("video[loop]").count() == 0


def test_history_changes_and_takes_back(visitor: Any) -> None:
    visitor.label()
    first, second, third = visitor.press("ArrowLeft"), visitor.press("ArrowUp"), visitor.press("?")
    visitor.all_saved()
    page = visitor.open("/history")
    expect(page.locator("#answers > li")).to_have_count(3)
    newest, middle, oldest = page.locator("#answers > li").all()
    expect(newest.get_by_role("button", name=re.compile("tell"))).to_have_attribute("aria-pressed", "true")
    oldest.get_by_role("button", name="Right").click()
    oldest.get_by_role("button", name="Equal").click()  # of a mind to change again
    expect(oldest.get_by_role("button", name="Equal")).to_have_attribute("aria-pressed", "true")
    middle.get_by_role("button", name="Take back").click()
    expect(middle).to_contain_text("will be asked again")
    visitor.all_saved()
    assert visitor.said() == {third: "cannot_tell", first: "equal"}
    assert len(visitor.rows()) == 6, "nothing is overwritten"

    with page.expect_download() as download:
        page.get_by_role("link", name="Download my answers").click()
    kept = download.value.path().read_text()
    assert first in kept
    assert second not in kept

    page.reload()
    expect(page.locator("#answers > li")).to_have_count(2)
    expect(page.locator("#answers > li").first).to_contain_text("just now · changed")
    visitor.open("/")
    assert visitor.see_pair() == second


def test_undo_goes_back_in_the_order_of_answering_whatever_was_changed_since(visitor: Any) -> None:
    """Here, and in another tab that was open all the time."""
    tab = visitor.label()
    given = [visitor.press(key) for key in ("ArrowLeft", "ArrowLeft", "ArrowRight")]
    visitor.all_saved()
    page = visitor.context.new_page()
    page.goto(f"{visitor.server.url}/history")
    oldest = page.locator("#answers > li").last
    oldest.get_by_role("button", name="Equal").click()
    expect(page.locator("#save")).to_have_attribute("data-state", "saved")
    for label in (tab, page):
        if label is page:
            page.goto(visitor.server.url)
        expect(label.locator("#do-undo")).to_contain_text("right")  # the last one, and not that which was changed
    tab.bring_to_front()
    for query in reversed(given):
        tab.keyboard.press("u")
        visitor.see_pair()
        assert visitor.query == query
    visitor.all_saved()
    assert visitor.said() == {}, "what was changed in the other tab is taken back, too"
    page.close()


def test_the_owner_marks_answers_as_gold(
    visit: Callable[..., Any],
    open_office: Callable[..., Any],
    serve: Callable[..., Any],
    make_run: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Those that say something; a labeler's history has no such button."""
    run = make_run(tmp_path / "run", n_queries=3, task="gridworld", segment_length=6, overlap=2)
    office = open_office(serve(run))
    labeler = visit(office, "Bo")
    labeler.label()
    labeler.press("ArrowLeft")
    labeler.all_saved()
    expect(labeler.open("/history").locator("#answers > li")).to_have_count(1)
    expect(labeler.page.get_by_role("button", name="Gold")).to_have_count(0)

    visitor = visit(office, "owner")
    visitor.label()
    visitor.press("ArrowLeft")
    visitor.press("?")
    visitor.all_saved()
    page = visitor.open("/history")
    expect(page.locator("#answers > li")).to_have_count(2)
    sure = page.locator("#answers > li").last
    mark = sure.get_by_role("button", name="Gold")
    expect(mark).to_have_attribute("aria-pressed", "false")
    mark.click()
    expect(mark).to_have_attribute("aria-pressed", "true")
    assert [item.is_gold for item in visitor.history()] == [False, True]
    page.reload()
    mark = page.locator("#answers > li").last.get_by_role("button", name="Gold")
    expect(mark).to_have_attribute("aria-pressed", "true")
    mark.click()
    expect(mark).to_have_attribute("aria-pressed", "false")
    assert not any(item.is_gold for item in visitor.history())
    unsure = page.locator("#answers > li").first
    unsure.get_by_role("button", name="Gold").click()
    expect(page.locator("#banner-history")).to_contain_text("or how good they are, can be gold")
    visitor.forgive("409")


def test_history_draws_what_the_model_makes_of_answered_pairs(
    visit: Callable[..., Any], small_office: Callable[..., Any]
) -> None:
    visitor = visit(small_office("--show-predictions"))
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.label()
    visitor.press("ArrowLeft")
    visitor.all_saved()
    [item] = visitor.history()
    with Store(visitor.server.run) as store:
        left, right = sides_of(item.segment_ids, sides_swapped=item.answer.sides_swapped)
        store.set_predictions({left: [0.1 * step for step in range(6)], right: [-0.25] * 6}, 20_000)
    assert not [url for url in asked if "predictions" in url], "not before the answer"
    page = visitor.open("/history")
    expect(page.locator(".predicted polyline")).to_have_count(2)
    expect(page.locator(".verdict")).to_have_text(
        "Reward model: left is better, 1.5 against -1.5 in all (a step: -0.25 to 0.5)"
    )
    clips, curves = (page.locator(part).first.bounding_box() for part in (".thumb", ".predicted"))
    assert clips is not None
    assert curves is not None
    assert clips["y"] + clips["height"] <= curves["y"], "below the clip, not over it"
    page.wait_for_function("""() => Number(document.querySelector(".cursor").getAttribute("x1")) > 0""")


def test_a_list_that_comes_late_is_not_mixed_into_the_one_that_was_asked_for_since(
    visit: Callable[..., Any], office: Any, visitor: Any
) -> None:
    visitor.label()
    visitor.press("ArrowLeft")
    visitor.all_saved()
    owner = visit(office, "owner")
    owner.label()
    owner.press("ArrowRight")
    owner.all_saved()
    late: list[Any] = []
    owner.context.route("**/api/history?*", lambda route: late.append((route, route.fetch())), times=1)
    page = owner.open("/history")
    page.get_by_role("combobox", name="Answers of").select_option(visitor.name)
    expect(page.locator("#answers > li")).to_have_count(1)
    [(route, own_answers)] = late
    route.fulfill(response=own_answers)
    page.wait_for_timeout(300)
    expect(page.locator("#answers > li")).to_have_count(1)
    assert "1 answer" in page.locator("#summary").inner_text()


def test_owner_looks_at_the_answers_of_others_and_changes_none(
    visit: Callable[..., Any], office: Any, visitor: Any
) -> None:
    visitor.label()
    visitor.press("ArrowLeft")
    visitor.all_saved()
    page = visit(office, "owner").open("/history")
    page.get_by_role("combobox", name="Answers of").select_option(visitor.name)
    expect(page.locator("#answers > li")).to_have_count(1)
    expect(page.locator("#answers .thumb")).to_have_count(2)
    expect(page.locator("#answers button")).to_have_count(0)


def test_training_draws_curves_and_shows_the_agent(visitor: Any) -> None:
    page = visitor.open("/training")
    names = ["predicted_return", "true_return", "backflips", "accuracy", "fresh_accuracy", "labels"]
    charts = page.locator("#curves > div")
    expect(charts).to_have_count(len(names))
    assert [chart.get_attribute("data-curve") for chart in charts.all()] == names
    expect(charts.nth(3)).to_contain_text("Held-out accuracy78 %")
    expect(charts.nth(0).get_by_role("img")).to_have_accessible_name("Predicted return: 1.4 after 32,768 steps")
    for chart in charts.all():
        expect(chart.locator(".says")).not_to_be_empty()
    assert charts.nth(3).locator("svg text").all_text_contents()[:3] == ["0 %", "50 %", "100 %"]
    expect(charts.nth(4)).to_contain_text("Accuracy on new answers60 %")  # of 1, 0, 1, 0, 1
    expect(charts.nth(4).locator(".says")).to_contain_text("Mean of the latest 5; thin: each.")
    expect(page.locator("#start figcaption")).to_have_text("At the start")
    page.wait_for_function("""() => document.querySelector("#start video").currentTime > 0""")
    charts.nth(0).locator("svg").hover(position={"x": 60, "y": 60})
    expect(charts.nth(0)).to_contain_text("0 at 4,096")

    newest, strip = page.locator("#showcase"), page.locator("#strip button")
    expect(newest).to_contain_text("After 8,192 steps")
    page.wait_for_function("""() => document.querySelector("#showcase video").currentTime > 0""")
    expect(strip).to_have_count(3)
    strip.first.click()
    expect(newest).to_contain_text("The agent then")
    expect(newest).to_contain_text("After 0 steps")
    page.get_by_role("button", name="Watch it learn").click()
    expect(strip.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(strip.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(newest).to_contain_text("The agent now")


def test_owner_invites_and_locks_out(visit: Callable[..., Any], office: Any, chromium: Any) -> None:
    owner = visit(office, "owner")
    page = owner.open("/people")
    page.get_by_label("Names").fill("Grace H.")
    page.get_by_role("button", name="Make links").click()
    link = page.get_by_role("textbox", name="Link for Grace H.").input_value()
    owner.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link

    guest = chromium.new_context().new_page()
    guest.goto(link)
    expect(guest.locator(".who")).to_have_text("Grace H.")
    expect(guest.get_by_role("link", name="People")).to_have_count(0)
    assert guest.goto(f"{office.server.url}/people").status == 403

    row = opened(page, "Grace H.")
    row.get_by_role("button", name="Lock out").click()
    page.get_by_role("dialog").get_by_role("button", name="Lock out").click()
    expect(row).to_contain_text("locked out")
    assert guest.goto(office.server.url).status == 401
    expect(guest.locator("main")).to_contain_text("You are locked out")
    guest.context.close()


def test_owner_invites_another_owner(visit: Callable[..., Any], office: Any, chromium: Any) -> None:
    page = visit(office, "owner").open("/people")
    page.get_by_label("Names").fill("Barbara L.")
    page.get_by_label("as", exact=True).select_option(label="owners, who may do all you may")
    page.get_by_role("button", name="Make links").click()
    expect(page.locator("#invited")).to_contain_text(
        "answers as Barbara L., sees what all say, invites people, and says what the agent does"
    )
    link = page.get_by_role("textbox", name="Link for Barbara L.").input_value()
    other = chromium.new_context().new_page()
    other.goto(link)
    other.get_by_role("dialog").get_by_role("button", name="Start").click()
    other.get_by_role("link", name="People").click()
    expect(other.locator("#people")).to_contain_text("Barbara L.")
    row = opened(page, "Barbara L.")
    expect(row).to_contain_text("owner")
    row.get_by_role("button", name="Lock out").click()
    page.get_by_role("dialog").get_by_role("button", name="Lock out").click()
    expect(row).to_contain_text("locked out")
    assert other.goto(f"{office.server.url}/people").status == 401
    other.context.close()


def test_owner_sets_somebody_aside_and_takes_it_back(visit: Callable[..., Any], office: Any) -> None:
    name = "Hasty H."
    hasty = visit(office, name)
    hasty.label()
    hasty.press("ArrowLeft")
    hasty.all_saved()
    with Store(office.server.run) as store:
        n_before = store.counts().comparisons
        page = visit(office, "owner").open("/people")
        row = opened(page, name)
        row.get_by_role("button", name="Set aside").click()
        expect(row).to_contain_text("set aside")
        assert store.aside() == {name}
        assert store.counts().comparisons == n_before - 1
        expect(page.locator("#announcement")).to_have_text(f"The answers of {name} are set aside.")
        row.get_by_role("button", name="Count again").click()
        expect(row).not_to_contain_text("set aside")
        expect(row.get_by_role("button", name="Set aside")).to_be_visible()
        assert store.counts().comparisons == n_before
    hasty.press("ArrowRight")  # may go on meanwhile


def test_owner_invites_several_at_once_and_keeps_the_refused_name_to_mend(
    visit: Callable[..., Any], office: Any
) -> None:
    owner = visit(office, "owner")
    page = owner.open("/people")
    names, make = page.get_by_label("Names"), page.get_by_role("button", name="Make links")
    links = page.locator("#invited input")
    names.fill("Mary; Rosalind F., <b>, Emmy")
    make.click()
    expect(links).to_have_count(3)
    for name in ("Mary", "Rosalind F.", "Emmy"):
        expect(page.get_by_role("textbox", name=f"Link for {name}", exact=True)).to_be_visible()
    expect(names).to_have_value("<b>")
    banner = page.locator("#banner-act")
    expect(banner).to_have_text(
        "A name must begin with a letter or digit, and hold letters, digits, spaces and . ' @ - _ only. "
        "Received '<b>'."
    )
    with page.expect_response("**/api/people"):  # looked at again, as every few seconds
        page.wait_for_timeout(1)
    expect(banner).to_be_visible()

    names.fill("Mary")
    make.click()
    expect(banner).to_contain_text("Mary looks like Mary, who is here already")
    expect(links).to_have_count(0)  # none of an earlier invitation is left to be sent to the wrong person
    row = opened(page, "Emmy")
    row.get_by_role("button", name="New link").click()
    expect(links).to_have_count(1)
    expect(banner).to_have_count(0)
    owner.forgive("422", "409")


def test_names_and_questions_are_shown_as_text(
    serve: Callable[..., Any],
    open_office: Callable[..., Any],
    visit: Callable[..., Any],
    make_run: Callable[..., Path],
    tmp_path: Path,
) -> None:
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    run = make_run(tmp_path / "run", n_queries=3, task="gridworld", segment_length=6)
    with Store(run) as store:
        store.add_labeler(markup)
    visitor = visit(open_office(serve(run, "--question", markup)), "owner")
    page = visitor.label()
    expect(page.locator("#question")).to_have_text(markup)
    page.keyboard.press("h")
    expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text(markup)
    visitor.open("/people")
    opened(page, markup).get_by_role("button", name="Lock out").click()
    expect(page.get_by_role("dialog").get_by_role("heading")).to_contain_text(markup)
    visitor.open("/history")
    expect(page.get_by_role("option", name=markup)).to_have_count(1)
    assert page.locator("img[src=x], main b").count() == 0


def ask(run: Path, number: int) -> None:
    """Let the trainer ask one more query, about segments that it has asked about before."""
    with Store(run) as store:
        segments = [store.segment(segment_id) for _, segment_id in store.showcase()]
        store.add_queries([Query(segments=(segments[number], segments[number + 1]), ordinal=100 + number)], run=1)


def test_a_run_from_before_its_first_clip_until_it_is_over(
    serve: Callable[..., Any],
    open_office: Callable[..., Any],
    visit: Callable[..., Any],
    make_run: Callable[..., Path],
    trainer_beats: Callable[..., None],
    begin_like: Callable[..., None],
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", started=False)
    begun = make_run(tmp_path / "begun", n_queries=1, task="gridworld", segment_length=6)
    visitor = visit(open_office(serve(run)))
    page = visitor.page
    title = page.locator("#rest h2")
    expect(title).to_have_text("The agent is warming up")
    expect(page.locator("#progress")).to_contain_text("Training has not begun")

    with Store(begun) as source, Store(run) as store:
        begin_like(source, store)
        for num_timesteps, segment_id in source.showcase():
            store.add_showcase(source.segment(segment_id), num_timesteps)
    ask(run, 0)
    visitor.see_pair()
    expect(page.locator("#question")).to_contain_text("Which walk is better?")
    expect(page.locator("#rest")).to_be_hidden()
    visitor.press("ArrowLeft")
    expect(title).to_have_text("You are quicker than the agent")
    expect(page.locator("#rest video")).to_be_visible()
    expect(page.locator("#answers button:visible")).to_have_count(0)

    trainer_beats(run, state="waiting", refits=0, labels=0, waits_for=13)  # it has yet to read the answer
    expect(page.locator("#progress .sentence")).to_have_text(
        "The agent starts to train after 12 more answers, while you go on answering"
    )
    trainer_beats(run, state="waiting", refits=3, waits_for=2)
    expect(page.locator("#progress")).to_contain_text("The agent waits for 2 answers")
    trainer_beats(run, state="waiting", refits=3)
    expect(page.locator("#progress .sentence")).to_have_text("The agent waits for answers")
    ask(run, 1)
    visitor.press("ArrowRight")
    trainer_beats(run, updated_at=GONE_MS)
    expect(title).to_have_text("Training is not running")
    trainer_beats(run, state="finished")
    expect(title).to_have_text("Thank you!")
    expect(page.locator("#rest")).to_contain_text("You gave 2 answers.")
    expect(page.get_by_role("link", name="Watch how it learned")).to_be_visible()
    page.keyboard.press("u")
    visitor.see_pair()  # even now an answer can be changed


COLOURS: tuple[dict[str, Any], ...] = (
    {"color_scheme": "light", "forced_colors": "none"},
    {"color_scheme": "dark", "forced_colors": "none"},
    {"color_scheme": "light", "forced_colors": "active"},
)
AT_REST = """() => document.getAnimations().every(({playState}) => playState !== "running")"""


def faults(page: Page) -> str:
    """What axe finds wrong with a page at rest, in light, dark and the user's own colours; empty when nothing is.

    All its rules in the first colours; in the others that of contrast, the only one that looks at them.
    """
    found = []
    for colours in COLOURS:
        page.emulate_media(**colours)
        page.wait_for_function(AT_REST)
        rules = {} if colours == COLOURS[0] else {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
        results = Axe().run(page, options={"resultTypes": ["violations"], **rules})
        if results.violations_count > 0:
            found.append(f"{colours}: {results.generate_report()}")
    page.emulate_media(**COLOURS[0])
    return "\n".join(found)


def test_everybody_can_use_the_pages(visit: Callable[..., Any], office: Any) -> None:
    visitor = visit(office, "owner", reduced_motion="reduce")
    page = visitor.label(looked=False)
    assert not faults(page)  # before the clips have played
    for key in ("ArrowLeft", "?"):
        page.keyboard.press(" ")
        visitor.press(key)
        visitor.see_pair(looked=False)
    assert not faults(page)
    page.locator("#progress .facts").click()
    expect(page.locator("#figures")).to_be_visible()
    assert not faults(page)
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    assert not faults(page)
    page.keyboard.press("Escape")
    page.locator("#settings").click()
    assert not faults(page)
    signs = {
        "/history": "#answers li",
        "/training": ".curve",
        "/people": "#people li",
        "/disagreements": "#answers li",
    }
    for path, sign in signs.items():
        visitor.open(path)
        expect(page.locator(sign).first).to_be_visible()
        if path == "/people":
            opened(page, visitor.name)
        assert not faults(page)


def test_everybody_can_use_the_page_on_a_phone(
    visit: Callable[..., Any], office: Any, playwright: Playwright
) -> None:
    visitor = visit(office, **playwright.devices["Pixel 7"])
    assert not faults(visitor.label())
    visitor.page.locator("#progress .facts").click()
    assert not faults(visitor.page)
    for path in ("/history", "/training"):
        page = visitor.open(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_owner_bounds_what_is_asked_of_people(visit: Callable[..., Any], small_office: Callable[..., Any]) -> None:
    here = small_office()
    with Store(here.server.run) as store:
        wanted = store.published(RunRecord)
        assert wanted is not None
        store.publish(replace(wanted, n_labels=7))
    page = visit(here, "owner").open("/people")
    names, quota, make = page.get_by_label("Names"), page.get_by_label("at most"), page.get_by_text("Make links")
    shortfall = page.locator("#shortfall")
    expect(shortfall).to_be_hidden()
    names.fill("Mary, Emmy")
    quota.fill("2")
    make.click()
    for name in ("Mary", "Emmy"):
        expect(page.locator("#people li").filter(has_text=name)).to_contain_text("0 of at most 2 answers")
    expect(shortfall).to_have_text(
        "These limits leave 3 answers that nobody gives, and the training would wait for ever: raise them, invite "
        "others, or answer those yourself."
    )

    row = opened(page, "Mary")
    row.get_by_role("button", name="Limit").click()
    dialog = page.get_by_role("dialog", name="How many answers of Mary?")
    field = dialog.get_by_label("At most")
    expect(field).to_have_value("2")
    field.fill("0")
    dialog.get_by_role("button", name="Set").click()
    expect(dialog).to_be_visible()  # the browser says that it must be at least 1
    field.fill("4")
    field.press("Enter")
    expect(row).to_contain_text("0 of at most 4 answers")
    expect(dialog).to_have_count(0)
    expect(page.locator("#announcement")).to_have_text("Mary is asked for 4 answers at most.")
    expect(shortfall).to_contain_text("leave 1 answer that nobody gives")
    row.get_by_role("button", name="Limit").click()
    field.fill("")
    dialog.get_by_role("button", name="Set").click()
    expect(row).not_to_contain_text("at most")
    expect(shortfall).to_be_hidden()

    page.get_by_label("as", exact=True).select_option("owner")
    expect(quota).to_be_disabled()
    names.fill("Barbara L.")
    make.click()
    barbara = opened(page, "Barbara L.")
    expect(barbara).to_contain_text("owner")
    expect(barbara.get_by_role("button", name="Limit")).to_have_count(0)
    with Store(here.server.run) as store:
        assert store.quotas() == {"Emmy": 2}
        store.set_quota("Mary", 2)
    owner = visit(here, "owner")
    owner.label()
    owner.press("ArrowLeft")
    owner.all_saved()
    shortfall = owner.open("/people").locator("#shortfall")
    expect(shortfall).to_have_text("These limits leave 2 answers to you: owners have none.")
    expect(shortfall).not_to_have_class("warning")


def test_who_has_given_their_share_is_thanked(visit: Callable[..., Any], small_office: Callable[..., Any]) -> None:
    here = small_office("--repeat-share", "0")
    ada = visit(here, "Ada")
    with Store(here.server.run) as store:
        store.set_quota("Ada", 2)
    page = ada.page
    page.wait_for_timeout(1_000)  # the server looks twice a second
    ada.label()
    expect(page.locator("#progress")).to_contain_text("0 of your 2 comparisons")
    ada.press("ArrowLeft")
    ada.press("?")
    last = ada.press("ArrowRight")
    rest = page.locator("#rest")
    expect(rest).to_contain_text("Your share is done")
    expect(rest).to_contain_text("You gave as many answers as you were asked for, and others go on.")
    expect(page.locator("#progress")).to_contain_text("2 of your 2 comparisons")
    ada.all_saved()
    page.keyboard.press("u")
    assert ada.see_pair() == last
    facts, figures = page.locator("#progress .facts"), page.locator("#figures")
    expect(facts).to_have_text("1 of your 2 comparisons")
    assert page.locator("#progress progress").evaluate("({max, value}) => [max, value]") == [2, 1], (
        "not the team's"
    )
    expect(figures).to_be_hidden()
    facts.click()
    expect(figures).to_contain_text("All together 1 of 300 comparisons")
    ada.press("ArrowLeft")
    expect(rest).to_contain_text("Your share is done")
    expect(figures).to_contain_text("All together 2 of 300 comparisons")
    expect(figures).to_be_visible()  # what is open stays so while the numbers change
    page.keyboard.press("Escape")
    expect(figures).to_be_hidden()
