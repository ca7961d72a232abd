"""Whose code the page runs: nothing that merely lies in the working directory, or that a store alone names."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from prefrl.labeling_page import LabelingPage, page_command
from prefrl.store import RunRecord, Store
from prefrl_labeling_gui.clip_folder import ClipError
from prefrl_labeling_gui.foreign_module import module_folder

MODULES = (
    "secrets",
    "json",
    "random",
    "logging",
    "multiprocessing",
    "pickle",
    "numpy",
    "cv2",
    "tyro",
    "uvicorn",
    "prefrl",
    "colorsys",
)
"""Each is imported by the page's process or by the one that draws, the last by a module of the user's."""
MINE = "my_grid:MyGrid-v0"
MY_GRID = """
import colorsys  # not imported by anything before
from pathlib import Path

import gymnasium

from prefrl_envs.small.gridworld import GridWorld

(Path({folder!r}) / "imported").touch()
gymnasium.register("MyGrid-v0", GridWorld)
"""

MakeRun = Callable[..., Path]
Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def template(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody serves; to be copied."""
    return make_run(tmp_path_factory.mktemp("template") / "run", task="gridworld", n_queries=3, segment_length=6)


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "run"))


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with modules that must not run; `ran` in it tells which did."""
    folder = tmp_path / "trap"
    folder.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'a').write('{name} ')\n")
    monkeypatch.chdir(folder)
    return folder


class Started:
    """A page that was started in some way, and the owner in it."""

    def __init__(self, line: str) -> None:
        assert line.startswith("Label at "), line
        link = line.split()[2]
        self.client = httpx.Client(base_url=link.partition("/?")[0], timeout=60, follow_redirects=True)
        self.client.get(link).raise_for_status()

    def look_at_a_clip(self) -> None:
        """Have a clip drawn."""
        reply = self.client.post("/api/claims", json={"n": 1})
        assert reply.status_code == 200, reply.text
        assert self.client.get(reply.json()["queries"][0]["clips"][0]["clip"]).status_code == 200


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    """`start(command, **environment)` starts a page and has the owner come in."""
    with ExitStack() as stack:

        def begin(command: list[str], environment: Mapping[str, str] | None = None) -> Started:
            environment = {**os.environ, **(environment or {})}
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            started = Started(process.stdout.readline())
            stack.callback(started.client.close)
            return started

        yield begin


COMMANDS = {
    "as we start it": page_command([]),
    "by hand": [sys.executable, "-m", "prefrl_labeling_gui"],
    "prefrl label": [str(Path(sys.executable).with_name("prefrl")), "label"],
}


@pytest.mark.parametrize("way", COMMANDS)
def test_no_module_of_the_working_directory_runs(
    way: str, run: Path, trap: Path, start: Callable[..., Started]
) -> None:
    start([*COMMANDS[way], str(run), "--port", "0"]).look_at_a_clip()
    assert not (trap / "ran").exists(), (trap / "ran").read_text()


def test_nor_does_one_in_the_page_of_a_training(run: Path, trap: Path) -> None:
    lines: list[str] = []
    with LabelingPage(lines.append, wanted=True) as page:
        page.open(run)
        started = Started(lines[0])
        started.look_at_a_clip()
        started.client.close()
    assert not (trap / "ran").exists(), (trap / "ran").read_text()


def test_options_of_python_given_by_hand_are_kept(run: Path, trap: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "prefrl_labeling_gui", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "prefrl_labeling_gui.command" in done.stderr  # imported only once it is isolated
    assert "--repeat-share" in done.stdout


# --- modules of the user's --------------------------------------------------------------------------------


def name_environment(run: Path, env_id: str, *, in_config: str | None = None) -> None:
    """Have the store name an environment, and config.json another, or none."""
    with Store(run) as store:
        record = store.published(RunRecord)
        assert record is not None
        store.publish(replace(record, env_id=env_id))
    config = run / "config.json"
    if in_config is None:
        config.unlink()
    else:
        config.write_text(json.dumps({"config": {"task": "mine", "env_id": in_config}}))


@pytest.fixture
def my_grid(tmp_path: Path) -> Path:
    """A folder with a module of the user's; `imported` in it tells whether it was."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "my_grid.py").write_text(MY_GRID.format(folder=str(folder)))
    return folder


def test_the_owners_own_module_is_imported_from_the_working_directory(
    run: Path, trap: Path, my_grid: Path, start: Callable[..., Started]
) -> None:
    """And nothing else of it: what lies there hides no other module."""
    name_environment(run, MINE, in_config=MINE)
    shutil.move(my_grid / "my_grid.py", trap)
    start([*page_command([str(run), "--port", "0"])]).look_at_a_clip()
    assert (my_grid / "imported").exists()
    assert not (trap / "ran").exists(), (trap / "ran").read_text()
    assert f"{MINE} is imported as a module of the user's own" in (run / "labeling" / "server.log").read_text()


def test_pythonpath_is_kept(run: Path, my_grid: Path, trap: Path, start: Callable[..., Started]) -> None:
    name_environment(run, MINE, in_config=MINE)
    path = os.pathsep.join([str(my_grid), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    for way in COMMANDS.values():
        (my_grid / "imported").unlink(missing_ok=True)
        shutil.rmtree(run / "labeling", ignore_errors=True)
        start([*way, str(run), "--port", "0"], {"PYTHONPATH": path}).look_at_a_clip()
        assert (my_grid / "imported").exists()


def allow_others(run: Path) -> None:
    run.chmod(0o777)


def allow_others_config(run: Path) -> None:
    (run / "config.json").chmod(0o666)


REFUSALS: dict[str, tuple[str | None, Callable[[Path], None] | None, str]] = {
    "no config.json": (None, None, "cannot be read, so nothing says that this run is yours"),
    "another environment": ("Hopper-v5", None, "names another"),
    "a folder of everybody's": (MINE, allow_others, "others may write it"),
    "a config.json of everybody's": (MINE, allow_others_config, "others may write it"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_module_that_the_store_alone_names_is_not_imported(
    kind: str, run: Path, my_grid: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clips are refused in a sentence; all else works."""
    in_config, change, sentence = REFUSALS[kind]
    name_environment(run, MINE, in_config=in_config)
    if change is not None:
        change(run)
    monkeypatch.chdir(my_grid)
    owner = serve(run).owner()
    with Store(run) as store:
        _, segment_id = store.showcase()[0]
    for reply in (owner.post("/api/claims", json={"n": 1}), owner.get(f"/clips/{segment_id}.mp4")):
        assert reply.status_code in (404, 503)
        assert sentence in reply.json()["error"]
        assert f"--trust-env {MINE}" in reply.json()["error"]
    for path in ("/", "/history", "/training", "/people", "/api/history", "/api/training", "/api/people"):
        assert owner.get(path).status_code == 200, path
    assert len(owner.get("/api/training").json()["showcase"]) == 3
    assert sentence in (run / "labeling" / "server.log").read_text()
    assert not (my_grid / "imported").exists()


def test_the_command_line_may_trust_a_module(
    run: Path, my_grid: Path, start: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    name_environment(run, MINE)
    monkeypatch.chdir(my_grid)
    start([*page_command([str(run), "--port", "0", "--trust-env", MINE])]).look_at_a_clip()
    assert (my_grid / "imported").exists()


@pytest.fixture
def own_run(tmp_path: Path) -> Path:
    """What decides about a module, and nothing else of a run."""
    run = tmp_path / "own"
    run.mkdir(mode=0o755)
    (run / "config.json").write_text(json.dumps({"config": {"task": "mine", "env_id": MINE}}))
    (run / "config.json").chmod(0o644)
    return run


def test_known_environments_import_nothing_from_the_working_directory(tmp_path: Path) -> None:
    for env_id in ("prefrl/GridWorld-v0", "Hopper-v5"):
        assert module_folder(tmp_path / "nowhere", env_id) is None


def test_a_run_that_was_imported_names_what_anybody_may_have_written(own_run: Path) -> None:
    config = own_run / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"imported": {"at": "today"}}))
    with pytest.raises(ClipError, match="was imported with its labels, and may come from anybody"):
        module_folder(own_run, MINE)
    assert module_folder(own_run, MINE, trusted=MINE) == Path.cwd()


def test_a_run_is_ones_own_by_its_owner_and_its_config(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module_folder(own_run, MINE) == Path.cwd()
    with pytest.raises(ClipError, match="names another"):
        module_folder(own_run, "my_grid:Other-v0")
    assert module_folder(own_run, "my_grid:Other-v0", trusted="my_grid:Other-v0") == Path.cwd()
    with pytest.raises(ClipError, match="names another"):
        module_folder(own_run, "my_grid:Other-v0", trusted=MINE)
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(ClipError, match="belongs to somebody else"):
        module_folder(own_run, MINE)


def test_an_older_config_names_the_environment_as_its_task(own_run: Path) -> None:
    (own_run / "config.json").write_text(json.dumps({"config": {"task": MINE}}))
    assert module_folder(own_run, MINE) == Path.cwd()


@pytest.mark.parametrize("content", ["[]", "{", '{"config": []}', '{"config": {}}', "{}"])
def test_a_config_that_says_nothing_trusts_nothing(own_run: Path, content: str) -> None:
    (own_run / "config.json").write_text(content)
    with pytest.raises(ClipError, match="--trust-env"):
        module_folder(own_run, MINE)


@pytest.mark.parametrize(
    ("members", "is_own"), [([], True), (["me"], True), (["me", "another"], False), (["unknown"], False)]
)
def test_a_group_of_ones_own_may_write(
    own_run: Path, members: list[str], is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As is usual where each user has a group."""
    import grp
    import pwd

    uids = {"me": os.geteuid(), "another": os.geteuid() + 1}

    class User:
        def __init__(self, name: str) -> None:
            self.pw_uid = uids[name]  # KeyError as of `pwd`
            self.pw_gid = -1

    class Group:
        gr_mem = members

    monkeypatch.setattr(grp, "getgrgid", lambda gid: Group)
    monkeypatch.setattr(pwd, "getpwnam", User)
    monkeypatch.setattr(pwd, "getpwall", lambda: [User("me"), User("another")])
    own_run.chmod(0o775)
    if is_own:
        assert module_folder(own_run, MINE) == Path.cwd()
    else:
        with pytest.raises(ClipError, match="others may write it"):
            module_folder(own_run, MINE)


# --- how `prefrl label` ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_who_stops_the_command_stops_the_page(run: Path, number: signal.Signals) -> None:
    command = [*COMMANDS["prefrl label"], str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2].partition("/?")[0]
        assert httpx.get(f"{url}/static/api.js").status_code == 200
        process.send_signal(number)
        assert process.wait(20) == (-number if number is signal.SIGKILL else 0)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/static/api.js")
