"""Builds the wheel, installs it into an empty environment, trains from it and opens its labelling page.

    python tools/wheel_check.py [--keep FOLDER]

The environment is empty but for the wheel and what it says that it needs: each of these packages is a link to the
copy in the environment that this runs in, so that nothing of 2 GB is fetched or written again. That is as honest
as an installation where it counts: neither this checkout nor its editable installation can be imported, and a
package that the wheel forgets to require is missing. All of prefrl, its presets, migrations, pages and pictures
come out of the wheel, which is checked.
"""

import argparse
import http.cookiejar
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "prefrl": ROOT / "prefrl",
    "prefrl_envs": ROOT / "envs" / "prefrl_envs",
    "prefrl_labeling_gui": ROOT / "labeling_gui" / "prefrl_labeling_gui",
}
TRAIN = (
    *("train", "gridworld", "--labels", "30", "--total-timesteps", "6000", "--feedback.initial-timesteps", "1000"),
    *("--feedback.labels-per-round", "10", "--evaluation-episodes", "2", "--out", "run", "--json"),
)
WHERE = f"import {', '.join(PACKAGES)}; print({', '.join(f'{name}.__file__' for name in PACKAGES)}, sep='\\n')"
SECONDS = 300
"""More than any single command here takes."""


def main() -> None:
    """Build, install, train, serve; the first thing that is not as it should be ends it with an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", type=Path, help="folder for the wheel; by default it is thrown away")
    keep: Path | None = parser.parse_args().keep
    with tempfile.TemporaryDirectory(prefix="prefrl-wheel-") as name:
        folder = Path(name)
        wheel = build(keep.resolve() if keep else folder / "dist")
        check_content(wheel)
        home = make_environment(folder / "environment", wheel)
        here = folder / "elsewhere"
        here.mkdir()
        check_origin(home, here)
        train(home, here)
        open_page(home, here)
    print(f"{wheel.name}: trains and serves from an environment of its own.")


def build(target: Path) -> Path:
    """Return the wheel of this checkout."""
    target.mkdir(parents=True, exist_ok=True)
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", target, ROOT)
    [wheel] = target.glob("prefrl-*.whl")
    return wheel


def check_content(wheel: Path) -> None:
    """Compare the files of a wheel with those that git knows of the packages.

    Raises:
        SystemExit: One is missing, or too many.
    """
    listed = call("git", "-C", ROOT, "ls-files", *PACKAGES.values()).splitlines()
    wanted = {re.sub("^(envs|labeling_gui)/", "", path) for path in listed if (ROOT / path).exists()}
    with zipfile.ZipFile(wheel) as archive:
        found = {path for path in archive.namelist() if ".dist-info/" not in path}
    if wanted != found:
        sys.exit(f"The wheel lacks {sorted(wanted - found)} and has besides {sorted(found - wanted)}.")


def make_environment(folder: Path, wheel: Path) -> Path:
    """Return a virtual environment with the wheel, and with links to what it requires."""
    venv.create(folder, with_pip=False, symlinks=True)
    [site] = folder.glob("lib/python*/site-packages")
    call(sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-deps", wheel)
    for package in required(Distribution.at(next(site.glob("prefrl-*.dist-info")))):
        for path in package.files or ():
            top = path.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(str(package.locate_file(top))).resolve())
    return folder


def required(package: Distribution) -> Iterator[Distribution]:
    """Yield every package that one needs without its extras, directly or not.

    Raises:
        SystemExit: The environment that this runs in lacks one.
    """
    here = {canonicalize_name(one.name): one for one in distributions()}
    waiting, seen = [(package, "")], {("prefrl", "")}
    while waiting:
        current, extra = waiting.pop()
        for line in current.requires or ():
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            if name not in here:
                sys.exit(f"{current.name} requires {name}, which is not installed; run `make` anew.")
            for wanted in {"", *requirement.extras}:
                if (name, wanted) not in seen:
                    seen.add((name, wanted))
                    waiting.append((here[name], wanted))
                    yield here[name]


def check_origin(home: Path, here: Path) -> None:
    """Refuse an environment that imports anything of prefrl from elsewhere, or more than the wheel requires.

    Raises:
        SystemExit: It does.
    """
    origins = call(home / "bin" / "python", "-c", WHERE, at=here).splitlines()
    if not all(Path(origin).is_relative_to(home) for origin in origins):
        sys.exit(f"Expected all of prefrl from {home}, but found {origins}.")
    find = "import importlib.util; print(importlib.util.find_spec('pytest'))"
    if call(home / "bin" / "python", "-c", find, at=here).strip() != "None":
        sys.exit("The environment has pytest, which the wheel does not require: more is in it than should be.")


def train(home: Path, here: Path) -> None:
    """Train a small agent to the end, with its evaluation and report.

    Raises:
        SystemExit: Something of it is missing.
    """
    result = json.loads(call(home / "bin" / "prefrl", *TRAIN, at=here))
    if result["labels"] != 30 or not (here / "run" / "report.html").exists():
        sys.exit(f"The training from the wheel did not come to its end: {result}.")


def open_page(home: Path, here: Path) -> None:
    """Serve the labelling page of that run, and fetch it with all that it is made of.

    Raises:
        SystemExit: A file of it is missing.
    """
    with served(home, here) as link:
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        browser = urllib.request.build_opener(jar, urllib.request.ProxyHandler({}))
        address = link.partition("/?")[0]
        page = browser.open(link, timeout=60).read().decode()
        parts = sorted(set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page)))
        if not parts:
            sys.exit(f"The page names none of its scripts:\n{page}")
        for path in (*parts, "/history", "/training", "/people"):
            with browser.open(address + path, timeout=60) as response:
                if response.status != 200 or not response.read():
                    sys.exit(f"{path} cannot be had from the page of the wheel.")


@contextmanager
def served(home: Path, here: Path) -> Iterator[str]:
    """Serve the labelling page of the run, and give the owner's link."""
    command = [str(home / "bin" / "prefrl"), "label", "run", "--port", "0"]
    with subprocess.Popen(command, cwd=here, env=surroundings(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line.startswith("Label at "):
                sys.exit(f"The labelling page of the wheel did not start: {line!r}.")
            yield line.split()[2]
        finally:
            process.terminate()


def call(*command: object, at: Path | None = None) -> str:
    """Run a command and return what it prints; end with what it complains of where it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=at, env=surroundings(), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        sys.exit(f"`{' '.join(words)}` failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def surroundings() -> dict[str, str]:
    """Return the environment's variables without those that make Python look elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


if __name__ == "__main__":
    main()
