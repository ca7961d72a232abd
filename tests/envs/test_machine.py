"""What the machine has and lacks."""

import subprocess
import sys
from typing import Any

import pytest

from prefrl_envs import clips, machine
from prefrl_envs.extras import EXTRAS, Extra
from prefrl_envs.machine import Check, check_codec, check_extra, check_gl, check_machine


def test_this_machine_has_all_that_clips_need() -> None:
    every = check_machine()
    checks = [check for check in every if check.needed]
    assert [check.name for check in checks] == ["off-screen OpenGL", "H.264 encoder", "VP9 encoder"]
    assert [check.name for check in every if not check.needed] == ["ale-py", "dm_control", "envpool"]
    assert all(check.ok and check.detail and not check.mend for check in checks), checks
    assert "ms" in checks[0].detail


def test_a_choice_that_cannot_draw_is_named_and_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disable")
    check = check_gl()
    assert not check.ok
    assert check.detail.startswith("disable: ")
    assert check.mend == "unset MUJOCO_GL"


@pytest.mark.parametrize(
    ("returncode", "stderr", "detail"),
    [
        (1, "Traceback\nImportError: libEGL.so.1 is missing\n", "egl: ImportError: libEGL.so.1 is missing"),
        (1, "", "egl: no message"),
        (-11, "", "egl: drawing crashed with signal 11"),
    ],
)
def test_a_machine_without_opengl_is_told_the_packages(
    returncode: int, stderr: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: Any, **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], returncode, "", stderr)

    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr("prefrl_envs.machine.subprocess.run", run)
    packages = "libegl1 libegl-mesa0 libopengl0 libgl1-mesa-dri"
    command = f"apt-get install -y --no-install-recommends {packages}"
    assert check_gl() == Check("off-screen OpenGL", False, detail, command)


def test_drawing_that_hangs_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DRAWING_SECONDS", 0.01)
    check = check_gl()
    assert not check.ok
    assert check.detail.endswith("no frame within 0.01 s")


def test_a_missing_encoder_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(clips._ENCODERS, "h264", ("libx264_missing", {}))
    check = check_codec("h264")
    assert (check.name, check.ok) == ("H.264 encoder", False)
    assert "libx264_missing" in check.detail
    assert check.mend == f"{sys.executable} -m pip install --force-reinstall 'av>=15'"
    assert check_codec("vp9").ok


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.name)
def test_an_extra_that_is_missing_is_told_with_its_command_and_is_not_needed(
    extra: Extra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefrl_envs.extras.find_spec", lambda name: None)
    detail, command = f"not installed, for {extra.purpose}", f"pip install 'prefrl[{extra.name}]'"
    assert check_extra(extra) == Check(extra.package, False, detail, command, needed=False)


def test_an_extra_that_is_there_is_told_with_its_version() -> None:
    numpy = Extra(name="x", package="numpy", module="numpy", purpose="arrays")
    assert check_extra(numpy) == Check("numpy", True, f"{numpy.version}, for arrays", "", needed=False)
