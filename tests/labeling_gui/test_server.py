"""The server as a process: how it starts, what it refuses, how it ends."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from prefrl.labeling_page import page_command
from prefrl.store import Store
from prefrl_labeling_gui import command
from prefrl_labeling_gui.server import bound_socket

MODULE = page_command([])

MakeRun = Callable[..., Path]
Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def template(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody serves; to be copied."""
    return make_run(tmp_path_factory.mktemp("template") / "run", task="gridworld", n_queries=12, segment_length=6)


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "run"))


def refused(*arguments: str) -> str:
    """Start a server that does not start; return the sentence that says why."""
    done = subprocess.run([*MODULE, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("prefrl: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_the_printed_link_lets_the_owner_in_once(run: Path, serve: Serve) -> None:
    server = serve(run)
    owner = server.owner()
    assert owner.get("/api/run").json()["labeler"] == {"name": "owner", "role": "owner"}
    with httpx.Client() as stranger:
        assert stranger.get(server.link).status_code == 401
    assert owner.get(server.link).status_code == 200  # led back to the page


def test_its_files_are_private(run: Path, serve: Serve) -> None:
    os.umask(0o022)
    server = serve(run)
    folder = run / "labeling"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("secret", "server.json", "server.log", "lock"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    told = json.loads((folder / "server.json").read_text())
    assert told == {"url": server.url, "pid": server.process.pid, "port": int(server.url.rpartition(":")[2])}
    assert server.link.rpartition("=")[2] not in "".join(
        (folder / name).read_text() for name in ("secret", "server.json", "server.log")
    )


def test_a_loose_folder_is_made_private(run: Path, serve: Serve) -> None:
    (run / "labeling").mkdir(mode=0o755)
    (run / "labeling" / "secret").write_text("f" * 64)
    serve(run)
    assert stat.S_IMODE((run / "labeling").stat().st_mode) == 0o700
    assert stat.S_IMODE((run / "labeling" / "secret").stat().st_mode) == 0o600


def test_each_run_has_its_own_secret_which_stays(template: Path, tmp_path: Path, serve: Serve) -> None:
    secrets = []
    for name in ("a", "b"):
        run = Path(shutil.copytree(template, tmp_path / name))
        server = serve(run)
        secrets.append((run / "labeling" / "secret").read_text())
    assert len(set(secrets)) == 2
    assert all(len(secret) == 64 for secret in secrets)
    owner = server.owner()
    server.stop()
    again = serve(run, "--port", server.url.rpartition(":")[2])
    assert (run / "labeling" / "secret").read_text() == secrets[1]
    assert owner.get("/api/run").status_code == 200  # the session outlived the server
    assert again.link != server.link


def test_an_answer_leaves_a_line_in_the_log(
    run: Path, serve: Serve, claimed: Callable[..., Any], body_of: Callable[..., dict[str, Any]]
) -> None:
    server = serve(run)
    owner = server.owner()
    body = body_of(claimed(owner)[0]["query_id"])
    replies = [owner.post("/api/answers", json=body) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 200]
    [line] = (run / "labeling" / "server.log").read_text().splitlines()
    assert line.endswith(f" INFO answer {body['id']} by owner to {body['query_id']} is {replies[0].json()['seq']}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_with_streams_open_and_clips_to_draw(
    run: Path, serve: Serve, claimed: Callable[..., Any], number: signal.Signals
) -> None:
    server = serve(run)
    owner = server.owner()
    with owner.stream("GET", "/api/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: progress"
        claimed(owner, 5)
        started = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - started < 8
    assert not (run / "labeling" / "server.json").exists()
    assert "ERROR" not in (run / "labeling" / "server.log").read_text()
    assert "Traceback" not in (run / "labeling" / "server.log").read_text()


def test_a_second_server_tells_the_way_into_the_first(run: Path, serve: Serve) -> None:
    """Also where the first one's token is used up and nobody knows who started it."""
    server = serve(run)
    server.owner()
    again = subprocess.run(
        page_command([str(run), "--port", "0"]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    link = again.stdout.split()[2]
    assert link.startswith(f"{server.url}/?token=")
    assert f"`kill {server.process.pid}` ends that" in again.stdout
    assert server.visit(link).get("/api/run").json()["labeler"]["role"] == "owner"
    with httpx.Client(base_url=server.url) as other:
        assert other.get(link).status_code == 401, "a way in is for one browser"
    server.kill()
    restarted = serve(run)  # the lock died with its holder
    with httpx.Client(base_url=restarted.url) as other:
        assert other.get(f"/?{link.partition('?')[2]}").status_code == 401, "nor does a restart make it good again"


def test_the_page_comes_back_at_the_port_where_it_was(run: Path, serve: Serve) -> None:
    first = serve(run)
    first.kill()
    second = serve(run)
    assert second.url == first.url
    second.stop()
    with socket.create_server(("127.0.0.1", int(first.url.rsplit(":", 1)[1]))):
        assert serve(run).url != first.url, "somebody else has that port now"


def test_a_port_in_use_is_said(run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} is in use" in refused(str(run), "--port", str(port))


def test_replies_are_not_held_back() -> None:
    """Without this, asyncio leaves Nagle's algorithm on, and each reply takes 40 ms more."""
    with bound_socket("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    assert "is no run" in refused(str(tmp_path))
    assert "is no run" in refused(str(tmp_path / "nothing"))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_refused(run: Path) -> None:
    (run / "store.sqlite").write_bytes(b"SQLite format 3\x00" + bytes(range(256)) * 64)
    assert ".recover" in refused(str(run), "--port", "0")


def test_a_damaged_secret_is_refused(run: Path) -> None:
    (run / "labeling").mkdir()
    (run / "labeling" / "secret").write_text("short")
    assert "delete it" in refused(str(run), "--port", "0")


def test_others_are_not_let_in_by_accident(run: Path) -> None:
    done = subprocess.run([*MODULE, str(run), "--host", "0.0.0.0"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--allow-host" in done.stderr
    assert "Cannot listen at 192.0.2.1" in refused(
        str(run), "--host", "192.0.2.1", "--allow-host", "lab.example.org", "--port", "0"
    )


def test_others_come_in_by_name_where_they_may(run: Path, serve: Serve) -> None:
    server = serve(run, "--host", "0.0.0.0", "--allow-host", "lab.example.org", "other.example.org")
    assert server.url.startswith("http://lab.example.org:")
    local = f"http://127.0.0.1:{server.url.rpartition(':')[2]}"
    with httpx.Client(base_url=local) as client:
        token = server.link.partition("?")[2]
        assert client.get(f"/?{token}", headers={"Host": "other.example.org"}).status_code == 303
        link = client.post("/api/people", json={"name": "Ann"}, headers={"Host": "lab.example.org"}).json()["link"]
        assert link.startswith("http://lab.example.org/join/")
        assert not client.get("/api/people").json()["local_only"]
        assert client.get("/", headers={"Host": "evil.example.org"}).status_code == 400


def test_it_waits_for_a_trainer_that_has_not_begun(
    make_run: MakeRun,
    template: Path,
    serve: Serve,
    claimed: Callable[..., Any],
    begin_like: Callable[..., None],
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", started=False)
    server = serve(run)
    owner = server.owner()
    with Store(template) as theirs:
        assert owner.get("/api/run").json()["state"] == "waiting_for_trainer"
        with Store(run) as trainer:
            begin_like(theirs, trainer)
            trainer.add_queries([theirs.query(query.query_id) for query in theirs.open_queries()])
        wait_for(lambda: bool(owner.get("/api/run").json()["state"] == "ready"))
        assert len(claimed(owner, 3)) == 3


def test_a_run_that_is_over_is_served(run: Path, serve: Serve, trainer_beats: Callable[..., None]) -> None:
    trainer_beats(run, state="finished", updated_at=0)
    owner = serve(run).owner()
    shown = owner.get("/api/progress").json()["trainer"]
    assert (shown["state"], shown["alive"]) == ("finished", False)
    assert owner.get("/training").status_code == 200
    assert owner.get("/api/history").json() == {"items": [], "next_before": None}


def test_a_run_without_settings_is_served_by_its_store(run: Path, serve: Serve) -> None:
    """As a script of one's own makes it."""
    (run / "config.json").unlink()
    (run / "log" / "metrics.jsonl").unlink()
    owner = serve(run).owner()
    assert owner.get("/api/training").json()["curves"] == {"num_timesteps": []}


def test_the_question_can_be_set(run: Path, serve: Serve) -> None:
    owner = serve(run, "--question", "Which one jumps?").owner()
    about = owner.get("/api/run").json()
    assert (about["question"], about["question_is_custom"]) == ("Which one jumps?", True)


_LOADED = """
import sys
import prefrl_labeling_gui.server
print([name for name in ("torch", "stable_baselines3", "mujoco", "matplotlib") if name in sys.modules])
"""


def test_it_starts_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_tells_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    shown = capsys.readouterr().out
    for option in (
        "RUN",
        "--host",
        "--port",
        "--question",
        "--repeat-share",
        "--lease-minutes",
        "--clip-size",
        "--codec",
    ):
        assert option in shown


def command_lines() -> list[str]:
    """What all processes that run now were started with, as `ps` shows it."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


def test_a_browser_is_opened_where_asked_for(run: Path, serve: Serve, tmp_path: Path, monkeypatch: Any) -> None:
    """Whoever runs `ps` meanwhile sees no token: the browser gets a private page that leads to the address."""
    note = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\ntr "\\0" " " < /proc/$$/cmdline > {note}.new; mv {note}.new {note}; sleep 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(script))
    server = serve(run, "--open-browser")
    wait_for(note.exists)
    page = run / "labeling" / "open.html"
    assert note.read_text().split()[-1] == page.as_uri()
    token = server.link.partition("token=")[2]
    assert token not in note.read_text()
    assert not [line for line in command_lines() if token in line]
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert f'http-equiv="refresh" content="0; url={server.link}"' in page.read_text()
    assert server.owner().get("/api/run").json()["labeler"]["role"] == "owner"
    server.stop()
    assert not page.exists()
