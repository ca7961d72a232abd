"""What happens to answers when the network, the server or the page goes away: nothing.

`visitor` is a `Visitor` of conftest.
"""

import json
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Request, Route, expect

OFFLINE = ("ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_REFUSED", "ERR_FAILED", "ERR_EMPTY_RESPONSE")
STREAM_LOST = "ERR_INCOMPLETE_CHUNKED_ENCODING"
AHEAD = """(settings) => localStorage.setItem("prefrl.settings", JSON.stringify(settings))"""


def save_state(visitor: Any, state: str) -> None:
    """Wait until the page shows whether all is saved."""
    expect(visitor.page.locator("#save")).to_have_attribute("data-state", state)


def all_loaded(requests: Sequence[Request], n_queries: int) -> bool:
    """Whether the clips of so many queries have come."""
    replies = [request.response() for request in requests if urlsplit(request.url).path == "/api/claims"]
    queries = [query for reply in replies if reply is not None for query in reply.json()["queries"]]
    clips = {clip["clip"] for query in queries for clip in query["clips"]}
    return len(queries) >= n_queries and clips <= {urlsplit(request.url).path for request in requests}


@pytest.mark.parametrize("n_offline", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_many_answers_during_two_minutes_without_network(visitor: Any, n_offline: int) -> None:
    visitor.page.evaluate(AHEAD, {"helpSeen": True, "ahead": n_offline})
    visitor.context.clock.install()
    page = visitor.page
    loaded: list[Request] = []
    page.on("requestfinished", lambda request: loaded.append(request))
    page.reload()
    visitor.label()
    while not all_loaded(loaded, n_offline):
        page.wait_for_timeout(100)
    visitor.context.set_offline(True)
    given = {}
    keys = {"ArrowLeft": "left", "ArrowRight": "right", "=": "equal", "?": "cannot_tell"}
    for key in islice(cycle(keys), n_offline):
        given[visitor.press(key)] = keys[key]
    assert len(given) == n_offline
    assert visitor.rows() == []
    save_state(visitor, "waiting")
    expect(page.locator("#save")).to_contain_text(f"Waiting for network ({n_offline})")
    page.clock.fast_forward("02:00")
    expect(page.locator("#banner-network")).to_contain_text(f"{n_offline} answers are kept in this browser")

    visitor.context.set_offline(False)
    visitor.all_saved()
    expect(page.locator("#banner-network")).to_have_count(0)
    assert visitor.said() == given
    assert list(visitor.said()) == list(given), "in the order in which they were given"
    assert len(visitor.rows()) == n_offline
    visitor.forgive(*OFFLINE)


def test_undo_works_without_network(visitor: Any) -> None:
    visitor.label()
    visitor.page.wait_for_load_state("networkidle")
    kept = visitor.press("ArrowLeft")
    visitor.all_saved()
    visitor.context.set_offline(True)
    taken_back = visitor.press("ArrowRight")
    for query in (taken_back, kept):
        visitor.page.keyboard.press("u")
        expect(visitor.page.locator("#stage")).to_have_attribute("data-query", query)
    visitor.press("=")
    save_state(visitor, "waiting")
    visitor.context.set_offline(False)
    visitor.all_saved()
    assert visitor.said() == {kept: "equal"}
    assert len(visitor.rows()) == 5
    visitor.forgive(*OFFLINE)


def test_answers_outlive_the_page_that_could_not_send_them(visitor: Any) -> None:
    visitor.label()
    visitor.context.route("**/api/answers", lambda route: route.abort())
    given = {visitor.press(key): choice for key, choice in (("ArrowLeft", "left"), ("ArrowUp", "equal"))}
    save_state(visitor, "waiting")
    visitor.page.close()
    visitor.context.unroute("**/api/answers")
    visitor.page = visitor.context.new_page()
    visitor.label()
    visitor.all_saved()

    assert visitor.query not in given
    assert visitor.said() == given
    visitor.page.keyboard.press("u")
    expect(visitor.page.locator("#stage")).to_have_attribute("data-query", list(given)[-1])
    visitor.forgive(*OFFLINE)


def test_a_lost_reply_does_not_double_an_answer(visitor: Any) -> None:
    visitor.label()
    lost: list[str] = []

    def lose_the_first_reply(route: Route) -> None:
        reply = route.fetch()
        if lost:
            route.fulfill(response=reply)
        else:
            lost.append(reply.text())
            route.abort()

    visitor.context.route("**/api/answers", lose_the_first_reply)
    query = visitor.press("ArrowRight")
    save_state(visitor, "waiting")
    visitor.all_saved()
    visitor.context.unroute("**/api/answers")
    assert json.loads(lost[0])["seq"] == visitor.rows()[0].seq
    assert visitor.said() == {query: "right"}
    assert len(visitor.rows()) == 1
    visitor.forgive(*OFFLINE)


def test_what_the_server_refuses_is_said_and_holds_nothing_up(visitor: Any) -> None:
    page = visitor.label()
    refusal = {"status": 409, "json": {"error": "Somebody <b>else</b> was quicker."}}
    page.route("**/api/answers", lambda route: route.fulfill(**refusal), times=1)
    visitor.press("ArrowLeft")
    banner = page.locator("#banner-refused")
    expect(banner).to_contain_text("1 answer could not be stored: Somebody <b>else</b> was quicker.")
    kept = visitor.press("ArrowRight")
    visitor.all_saved()
    assert visitor.said() == {kept: "right"}

    page.reload()
    expect(banner).to_be_visible()
    banner.get_by_role("button").click()
    expect(banner).to_have_count(0)
    page.reload()
    visitor.see_pair()
    expect(banner).to_have_count(0)
    visitor.forgive("409")


def test_the_server_may_die_and_come_back(
    serve: Callable[..., Any],
    open_office: Callable[..., Any],
    visit: Callable[..., Any],
    make_run: Callable[..., Path],
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", n_queries=12, task="gridworld", segment_length=6)
    visitor = visit(open_office(serve(run)))
    visitor.label()
    given = {visitor.press("ArrowLeft"): "left"}
    visitor.all_saved()
    visitor.page.wait_for_load_state("networkidle")
    visitor.server.kill()
    keys = {"ArrowRight": "right", "=": "equal", "ArrowLeft": "left"}
    given |= {visitor.press(key): choice for key, choice in keys.items()}
    save_state(visitor, "waiting")
    expect(visitor.page.get_by_role("heading", name="Waiting for the server")).to_be_visible()
    expect(visitor.page.locator("#progress .agent")).to_contain_text("Last seen: ")
    expect(visitor.page.locator("#progress .agent")).to_have_attribute("data-mood", "gone")
    expect(visitor.page.locator("#progress")).to_contain_text("4 of 300 comparisons")
    visitor.page.keyboard.press("u")
    expect(visitor.page.locator("#progress")).to_contain_text("3 of 300 comparisons")
    visitor.press("ArrowRight")
    given[list(given)[-1]] = "right"

    serve(run, "--port", str(urlsplit(visitor.server.url).port))
    visitor.all_saved()
    expect(visitor.page.locator("#progress .agent")).not_to_contain_text("Last seen")
    given[visitor.press("?")] = "cannot_tell"
    visitor.all_saved()
    assert visitor.said() == given
    assert len(visitor.rows()) == len(given) + 2
    visitor.forgive(*OFFLINE, STREAM_LOST)


def test_signed_out_is_said(visit: Callable[..., Any], office: Any) -> None:
    visitor = visit(office)
    visitor.label()
    office.renewed(visitor.name)
    visitor.press("ArrowLeft")
    expect(visitor.page.locator("#banner-network")).to_contain_text("Your link was replaced by a newer one")
    visitor.page.reload()
    expect(visitor.page.locator("main")).to_contain_text("Your link was replaced by a newer one")
    visitor.page.goto(office.renewed(visitor.name))
    visitor.see_pair()
    visitor.all_saved()
    assert list(visitor.said().values()) == ["left"]
    visitor.forgive("401")


def test_who_comes_back_after_the_lease_gets_the_pair_again(visitor: Any) -> None:
    visitor.context.clock.install()
    visitor.page.reload()
    visitor.label()
    query = visitor.query
    visitor.page.clock.fast_forward("20:00")
    with visitor.page.expect_response("**/api/claims"):
        visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert visitor.press("ArrowLeft") == query
    visitor.all_saved()
    assert visitor.said() == {query: "left"}
