"""Files that are whole or not there, and logs of JSON lines."""

import os
import re
import stat
from pathlib import Path

import pytest

from prefrl.errors import RunError
from prefrl.files import append_json_line, read_json, read_json_lines, write_json, write_json_lines, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_json_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_json(path, {"a": 2})
    assert names(tmp_path) == ["x.json"]
    assert read_json(path) == {"a": 1}
    write_whole(path, b'{"a": 3}')
    assert read_json(path) == {"a": 3}


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), (b'{"a"', "cannot be read"), (b"[]", "holds no JSON object")]
)
def test_json_that_cannot_be_read(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=f"^{re.escape(str(path))} .*{words}"):
        read_json(path)


def test_a_file_can_be_for_its_owner_only(tmp_path: Path) -> None:
    """Also where a crash has left a draft that anybody may read."""
    path = tmp_path / "token"
    (tmp_path / f".token.{os.getpid()}.new").write_text("left by a crash, and longer than what is written now")
    write_whole(path, "secret", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "secret"
    write_whole(path, "é")
    assert path.read_bytes() == "é".encode()
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0o066 & ~_umask()
    assert names(tmp_path) == ["token"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_folder_reaches_the_disk_after_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []

    def sync(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), (tmp_path / "x").exists()))

    monkeypatch.setattr(os, "fsync", sync)
    write_whole(tmp_path / "x", b"1")
    assert synced == [(str(tmp_path / f".x.{os.getpid()}.new"), False), (str(tmp_path), True)]


def test_lines_are_appended_and_read(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert read_json_lines(path) == []
    write_json_lines(path, [{"a": 1}, {"b": 2}])
    append_json_line(path, {"c": 3})
    assert path.read_text() == '{"a": 1}\n{"b": 2}\n{"c": 3}\n'
    assert read_json_lines(path) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_a_line_that_a_crash_cut_short_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n{"b": ')
    append_json_line(path, {"c": 3})
    assert read_json_lines(path) == [{"a": 1}, {"c": 3}]
    path.write_text('3\n[]\n{"a": 1}\n')
    assert read_json_lines(path) == [{"a": 1}]
