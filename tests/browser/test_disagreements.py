"""The owner settles what people say opposite things of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from prefrl.segments import Answer, Judgement, Ranking, Rating
from prefrl.store import NewAnswer, Store
from tests.browser.test_layout import cut_off
from tests.browser.test_pages import faults

KINDS = {Ranking: "ranking", Rating: "rating"}
LONG = "Somebody of a very long name indeed"


def say(run: Path, **said: Judgement) -> str:
    """Have people answer the first query of a run; return it."""
    kind = KINDS.get(type(next(iter(said.values()))), "pair")
    with Store(run) as store:
        query_id = store.open_queries()[-1].query_id
        for name, answer in said.items():
            given = NewAnswer(query_id=query_id, answer=answer, labeler=name, id=name, kind=kind, comment="Sure.")
            store.add_answers([given])
    return query_id


def settled(run: Path) -> dict[str, str]:
    with Store(run) as store:
        return store.settled()


def holds(card: Locator, sentence: str) -> Locator:
    return card.get_by_role("button", name=f"This holds. {sentence}", exact=True)


def test_the_owner_settles_and_takes_back(
    visit: Callable[..., Any],
    open_office: Callable[..., Any],
    serve: Callable[..., Any],
    make_run: Callable[..., Path],
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", n_queries=3, task="gridworld", segment_length=6, overlap=2)
    visitor = visit(open_office(serve(run)), "owner")
    page = visitor.open("/disagreements")
    expect(page.get_by_role("heading", name="Nobody contradicts anybody")).to_be_visible()
    query_id = say(run, Ann=Answer.FIRST, Bo=Answer.SECOND)
    visitor.open("/history")
    expect(page.get_by_role("link", name="Disagreements (1)")).to_be_visible()
    visitor.open("/people")
    page.get_by_role("link", name="1 disagreement to settle").click()
    card = page.locator("#answers > li")
    expect(card).to_have_count(1)
    expect(page.locator("#summary")).to_have_text("1 to settle, 0 settled")
    expect(card.locator(".says")).to_have_text(["Ann: left is better (Sure.)", "Bo: right is better (Sure.)"])
    page.wait_for_function(
        """() => [...document.querySelectorAll("#answers video")].every((v) => v.currentTime > 0)"""
    )

    holds(card, "Bo: right is better").focus()
    page.keyboard.press("Enter")
    expect(holds(card, "Bo: right is better")).to_have_attribute("aria-pressed", "true")
    expect(holds(card, "Ann: left is better")).to_have_attribute("aria-pressed", "false")
    expect(card).to_contain_text("✓ Settled")
    expect(page.locator("#summary")).to_have_text("0 to settle, 1 settled")
    expect(page.locator("#announcement")).to_have_text("Settled: what Bo says holds.")
    assert settled(run) == {query_id: "Bo"}
    holds(card, "Ann: left is better").click()
    expect(holds(card, "Ann: left is better")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#summary")).to_have_text("0 to settle, 1 settled")
    assert settled(run) == {query_id: "Ann"}

    page.reload()
    expect(holds(card, "Ann: left is better")).to_have_attribute("aria-pressed", "true")
    card.get_by_role("button", name="Take back").focus()
    page.keyboard.press("Enter")
    expect(card).to_contain_text("Not settled")
    expect(card.get_by_role("button", name="Take back")).to_be_hidden()
    expect(holds(card, "Ann: left is better")).to_be_focused()
    expect(page.locator("#summary")).to_have_text("1 to settle, 0 settled")
    assert settled(run) == {}

    with Store(run) as store:
        store.set_aside("Bo")
    holds(card, "Bo: right is better").click()
    expect(page.locator("#banner-disagreements")).to_contain_text("taken back or set aside meanwhile")
    expect(card).to_contain_text("Not settled")
    visitor.forgive("409")


def test_whose_answer_holds_and_who_says_nothing_any_more_is_told(
    visit: Callable[..., Any],
    open_office: Callable[..., Any],
    serve: Callable[..., Any],
    make_run: Callable[..., Path],
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", n_queries=1, task="gridworld", segment_length=6, overlap=2)
    query_id = say(run, Ann=Answer.FIRST, Bo=Answer.SECOND)
    with Store(run) as store:
        store.settle(query_id, "Bo", "owner")
        store.set_aside("Bo")
    page = visit(open_office(serve(run)), "owner").open("/disagreements")
    card = page.locator("#answers > li")
    expect(card).to_contain_text(
        "Nothing is learned from these clips: Bo, whose answer holds, has taken it back or"
    )
    card.get_by_role("button", name="Take back").click()
    expect(card).to_contain_text("Not settled")
    assert settled(run) == {}


@pytest.mark.parametrize("n_clips", [1, 2, 5])
def test_everybody_can_use_it_on_the_narrowest_screen(
    visit: Callable[..., Any],
    open_office: Callable[..., Any],
    serve: Callable[..., Any],
    make_run: Callable[..., Path],
    tmp_path: Path,
    n_clips: int,
) -> None:
    feedback = {1: "rating", 2: "pair"}.get(n_clips, "ranking")
    run = make_run(
        tmp_path / "run",
        **{"n_queries": 1, "task": "gridworld", "segment_length": 6, "overlap": 2},
        feedback=feedback,
        n_clips=n_clips,
    )
    said: list[Judgement] = [Answer.FIRST, Answer.SECOND]
    if n_clips == 1:
        said = [Rating(5), Rating(1)]
    elif n_clips > 2:
        said = [Ranking(tuple(range(n_clips))), Ranking(tuple(range(n_clips))[::-1])]
    say(run, **dict(zip((LONG, "Bo"), said, strict=True)))
    options = {"viewport": {"width": 320, "height": 640}, "reduced_motion": "reduce"}
    page = visit(open_office(serve(run)), "owner", **options).open("/disagreements")
    card = page.locator("#answers > li")
    expect(card.locator("video")).to_have_count(n_clips)
    if n_clips > 2:
        expect(card.locator(".thumb .number")).to_have_text(["1", "2", "3", "4", "5"])
        expect(card.locator(".says").first).to_contain_text(f"{LONG}: ranked 1, then 2, then 3, then 4, then 5")
    elif n_clips == 1:
        expect(card.locator(".says")).to_have_text([f"{LONG}: rated 5 (Sure.)", "Bo: rated 1 (Sure.)"])
    assert not faults(page)
    card.get_by_role("button", name="This holds").first.click()
    expect(card).to_contain_text("✓ Settled")
    assert not faults(page)
    assert cut_off(page) == []
