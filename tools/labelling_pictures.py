"""Makes the pictures and the short film of the labelling page in docs/pictures, from a run that is over.

    python tools/labelling_pictures.py runs/demo

The run stays as it is: a copy of it is served, with new questions about its clips, and somebody who knows which
clip is better answers them in Chromium.
"""

import argparse
import base64
import io
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from prefrl.segments import Query, Segment
from prefrl.store import RunRecord, Store, TrainerRecord
from prefrl_envs.tasks import TASKS

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
TASK = "hopper-backflip"
SCREEN = {"width": 1366, "height": 768}
WIDTH_STILL, WIDTH_FILM = 1100, 860
FRAMES_PER_SECOND = 10
N_QUERIES = 40
SETTINGS = """if (location.protocol === "http:") localStorage["prefrl.settings"] ??= '{"helpSeen": true}';"""
READY = """() => document.querySelector("#stage").dataset.state === "ready" """


def ask(run: Path) -> None:
    """Ask new questions about the clips that were compared while the agent learned, and show some of them."""
    with Store(run) as store:
        compared = [segment for pair in store.comparisons() for segment in pair.segments]
        segments = sorted({one.id: one for one in compared}.values(), key=lambda one: one.num_timesteps)
        store.publish(about(len(compared)))
        for segment in segments[:: len(segments) // 16]:
            store.add_showcase(segment, segment.num_timesteps)
        late = segments[len(segments) // 2 :]
        rng = np.random.default_rng(0)
        picked = [rng.choice(len(late), size=2, replace=False) for _ in range(N_QUERIES)]
        store.add_queries(
            [
                Query(segments=(late[i], late[j]), ordinal=10_000 + n, num_timesteps=late[-1].num_timesteps)
                for n, (i, j) in enumerate(picked)
            ],
            run=store.runs()[-1].id,
        )


def about(n_labels: int) -> RunRecord:
    """Return what a trainer would publish of this run."""
    return RunRecord(
        task=TASK,
        env_id=TASKS[TASK].env_id,
        question=TASKS[TASK].question,
        n_labels=n_labels,
        segment_length=35,
        total_timesteps=640_000,
        seed=0,
        algo="ppo",
    )


def publish(run: Path, over: threading.Event) -> None:
    """Publish a trainer that is at work, until the pictures are made."""
    started = time.time()
    with Store(run) as store:
        while not over.wait(1):
            labels = store.counts().comparisons
            trainer = TrainerRecord(
                state="training",
                num_timesteps=352_256 + int(4_096 * (time.time() - started)),
                labels=labels,
                labels_due=labels + 4,
                refits=40,
                updated_at=time.time_ns() // 1_000_000,
            )
            store.publish(trainer)


@contextmanager
def served(run: Path) -> Iterator[str]:
    """Serve a run; give the owner's link."""
    command = [sys.executable, "-P", "-m", "prefrl_labeling_gui", str(run), "--port", "0", "--repeat-share", "0"]
    over = threading.Event()
    trainer = threading.Thread(target=publish, args=(run, over))
    trainer.start()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[2]
        process.terminate()
    over.set()
    trainer.join()


class Film:
    """What a page shows, frame by frame."""

    def __init__(self, page: Page) -> None:
        """Begin to film."""
        self._frames: list[tuple[float, bytes]] = []
        self._camera = page.context.new_cdp_session(page)
        self._camera.on("Page.screencastFrame", self._take)
        self._camera.send("Page.startScreencast", {"format": "jpeg", "quality": 95})

    def _take(self, event: dict[str, Any]) -> None:
        self._frames.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        self._camera.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    def save(self, path: Path) -> None:
        """Stop, and write an animated WebP of about ten frames a second."""
        self._camera.send("Page.stopScreencast")
        kept = [self._frames[0]]
        for frame in self._frames:
            if frame[0] - kept[-1][0] >= 0.9 / FRAMES_PER_SECOND:
                kept.append(frame)
        pictures = [scaled(Image.open(io.BytesIO(data)), WIDTH_FILM) for _, data in kept]
        durations = [round(1000 * (after - before)) for (before, _), (after, _) in pairwise(kept)] + [1000]
        options: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "duration": durations}
        pictures[0].save(path, loop=0, quality=50, method=6, **options)


def scaled(picture: Image.Image, width: int) -> Image.Image:
    """Return a smaller picture."""
    size = (width, round(picture.height * width / picture.width))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def still(page: Page, name: str) -> None:
    """Write what a page shows as a small PNG."""
    picture = scaled(Image.open(io.BytesIO(page.screenshot())), WIDTH_STILL)
    picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(
        PICTURES / name, optimize=True
    )


def better(page: Page, store: Store) -> str:
    """Return the key for the better of the two clips that a page shows."""
    clips = [page.locator(f".side.{side}").get_attribute("data-clip") or "" for side in ("left", "right")]
    left, right = (store.segment(clip.removeprefix("/clips/").removesuffix(".mp4")) for clip in clips)
    return "ArrowLeft" if worth(left) > worth(right) else "ArrowRight"


def worth(segment: Segment) -> float:
    """Return what the task's own reward says of a segment."""
    return segment.env_return


def answer(page: Page, store: Store, *keys: str, milliseconds: int) -> None:
    """Answer one pair after another; an empty key stands for the right answer."""
    for key in keys:
        page.wait_for_function(READY)
        page.wait_for_timeout(milliseconds)
        page.keyboard.press(key or better(page, store))


def make_pictures(browser: Browser, link: str, run: Path) -> None:
    """Film somebody who answers, then looks at how the agent learns; and take two pictures."""
    home = link.partition("?")[0]
    context = browser.new_context(viewport=SCREEN)  # type: ignore[arg-type]  # a TypedDict
    context.add_init_script(SETTINGS)
    page = context.new_page()
    page.goto(link)
    with Store(run) as store:
        answer(page, store, *[""] * 6, milliseconds=900)
        page.wait_for_timeout(3_000)  # until the server has drawn ahead
        film = Film(page)
        answer(page, store, "", "", "=", "u", "", "", milliseconds=1_500)
        page.wait_for_timeout(600)
        page.goto(f"{home}training")
        page.get_by_role("button", name="Watch it learn").click()
        page.wait_for_timeout(6_000)
    film.save(PICTURES / "labelling.webp")
    page.goto(home)
    page.wait_for_function(READY)
    page.wait_for_timeout(1_200)
    still(page, "labelling-page.png")
    page.emulate_media(color_scheme="dark")
    page.goto(f"{home}training")
    page.wait_for_timeout(4_000)
    still(page, "labelling-training.png")
    context.close()


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="folder of a finished run of hopper-backflip")
    source: Path = parser.parse_args().run
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        shutil.copytree(source, run, ignore=shutil.ignore_patterns("labeling", "checkpoints"))
        ask(run)
        with served(run) as link, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            make_pictures(browser, link, run)
            browser.close()


if __name__ == "__main__":
    main()
