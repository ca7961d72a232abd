"""A Hopper learns to backflip from what somebody clicks in the browser, while it trains."""

import json
import logging
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, TimeoutError

from prefrl.config import load_preset
from prefrl.feedback import OracleTeacher
from prefrl.feedback.teachers import ask
from prefrl.runs.metrics_log import read_metrics
from prefrl.segments import Answer, Query, Ranking, Rating, Segment, feedback_kind
from prefrl.store import Store

LOGGER = logging.getLogger(__name__)
TASK = "hopper-backflip"

# Milliseconds from each key to the next pair, ready to play; until the first pair was there; and for how long
# there was none after that.
WATCH = """
localStorage["prefrl.settings"] ??= '{"helpSeen": true}';
window.seen = {gaps: [], pressed: null, first: null, without: 0, since: null};
addEventListener("keydown", () => { seen.pressed = performance.now(); }, true);
addEventListener("DOMContentLoaded", () => {
    const stage = document.querySelector("#stage");
    let query = null;
    new MutationObserver(() => {
        const now = performance.now(), {state} = stage.dataset, ready = state === "ready" && stage.dataset.query;
        if (!ready && seen.since === null) seen.since = now;
        if (!ready || stage.dataset.query === query) return;
        if (seen.first === null) seen.first = now;
        else if (seen.since !== null) seen.without += now - seen.since;
        seen.since = null;
        query = stage.dataset.query;
        if (seen.pressed !== null) seen.gaps.push(now - seen.pressed);
        seen.pressed = null;
    }).observe(stage, {attributes: true, attributeFilter: ["data-query", "data-state"]});
});
"""
NEXT_PAIR = """(other) => {
    const {seen, query} = document.querySelector("#stage")?.dataset ?? {};
    return seen === "true" && query && query !== other && query;
}"""


class Labeler:
    """Somebody who knows the true return of the clips on the screen, and thinks for a moment."""

    def __init__(
        self, page: Page, store: Store, *, errs: float, skips: float, thinks: float, seed: int, kind: str = "pair"
    ) -> None:
        self.page, self.store, self.kind = page, store, kind
        self.errs, self.skips, self.thinks = errs, skips, thinks
        self.random = random.Random(seed)
        # What the oracle of this task is told, so that it can say how good a single clip is.
        self.teacher = OracleTeacher(**load_preset(TASK).teacher_settings)
        self.n_answers = 0

    def segments(self) -> tuple[Segment, ...]:
        """What is seen, in the order of the screen."""
        found = []
        for side in self.page.locator(".side:visible").all():
            clip = re.search(r"[0-9a-f]{32}", side.get_attribute("data-clip") or "")
            assert clip is not None
            found.append(self.store.segment(clip.group()))
        return tuple(found)

    def keys(self) -> list[str]:
        """What is pressed for the clips that are seen, one key after another."""
        if self.random.random() < self.skips:
            return ["ArrowDown"]
        seen = Query(segments=self.segments(), ordinal=0)
        answer = ask(self.teacher, feedback_kind(self.kind), seen)
        if self.random.random() < self.errs:
            answer = answer.turned_round
        if isinstance(answer, Ranking):
            return ranking_keys(answer)
        if isinstance(answer, Rating):
            return [str(answer.level)]
        arrow = "ArrowLeft" if answer.direction is Answer.FIRST else "ArrowRight"
        return [f"Shift+{arrow}" if answer.is_much else arrow]

    def label(self, training: "subprocess.Popen[str]") -> None:
        """Answer until the training is over."""
        query = None
        while training.poll() is None:
            try:
                query = self.page.wait_for_function(NEXT_PAIR, arg=query, timeout=2_000).json_value()
            except TimeoutError:  # nothing to be asked yet, or any more
                continue
            keys = self.keys()
            time.sleep(self.random.uniform(0.5, 1.5) * self.thinks)
            for key in keys:
                self.page.keyboard.press(key)
            self.n_answers += 1


def ranking_keys(ranking: Ranking) -> list[str]:
    """What is pressed to rank clips so: the last gets its place by itself, and "e" then says that it is equal."""
    keys: list[str] = []
    for group in ranking.order:
        for i, place in enumerate(group):
            keys += [*(["e"] if i > 0 else []), str(place + 1)]
    return [*keys[:-1], "Enter"]


@contextmanager
def training(run: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Train with people; give the process and the address of the page."""
    command = [sys.executable, "-m", "prefrl", "train", TASK, "--teacher", "human"]
    error = (run.parent / "stderr").open("w+")
    process = subprocess.Popen([*command, "--out", str(run), *options], stderr=error, text=True)
    try:
        found = None
        while found is None:
            assert process.poll() is None, (run.parent / "stderr").read_text()
            time.sleep(0.2)
            found = re.search(r"http://\S+", (run.parent / "stderr").read_text())
        yield process, found.group()
    finally:
        process.terminate()
        process.wait(60)
        error.close()


EXACT, ERRS = (0.0, 0.0), (0.1, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 105))
@pytest.mark.parametrize(
    ("errs", "skips", "kind"),
    [(*EXACT, "pair"), (*ERRS, "pair"), (*EXACT, "strength"), (*EXACT, "ranking"), (*EXACT, "rating")],
    ids=["exact", "errs and skips", "strength", "ranking", "rating"],
)
def test_a_hopper_learns_to_backflip_from_clicks(
    errs: float, skips: float, kind: str, seed: int, chromium: Browser, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    page = chromium.new_page(viewport={"width": 1366, "height": 768})
    page.add_init_script(WATCH)
    with training(run, "--seed", str(seed), "--feedback", kind) as (process, address), Store(run) as store:
        page.goto(address)
        labeler = Labeler(page, store, errs=errs, skips=skips, thinks=0.7, seed=seed, kind=kind)
        labeler.label(process)
        seen: dict[str, Any] = page.evaluate("seen")
        assert process.wait() == 0
        assert store.counts().comparisons >= 200
        assert {answer.kind for answer in store.answers()} == {kind}
    page.close()
    result = json.loads((run / "evaluation.json").read_text())
    lines = read_metrics(run / "log" / "metrics.jsonl")
    LOGGER.info(
        "flips %.2f, labels %d, answers %d, training %.0f s; the agent waited %.0f s; first pair after %.1f s, "
        "then none for %.1f s; next pair after a key: median %.0f ms, p95 %.0f ms",
        result["metrics"]["backflips_per_episode"],
        result["labels"],
        labeler.n_answers,
        result["training_seconds"],
        lines[-1]["time/waited_seconds"],
        seen["first"] / 1000,
        seen["without"] / 1000,
        np.median(seen["gaps"]),
        np.percentile(seen["gaps"], 95),
    )
    assert result["metrics"]["backflips_per_episode"] >= 2.0
