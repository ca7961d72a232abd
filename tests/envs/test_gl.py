"""The choice of an OpenGL backend."""

import os

import pytest

from prefrl_envs import gl


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("prefrl_envs.gl.sys.platform", "linux")
    monkeypatch.setattr(gl, "has_egl", lambda: True)


def test_egl_is_chosen_without_a_display() -> None:
    gl.choose_backend()
    assert os.environ["MUJOCO_GL"] == "egl"


def test_the_users_choice_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    gl.choose_backend()
    assert os.environ["MUJOCO_GL"] == "osmesa"


def test_a_display_keeps_mujocos_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    gl.choose_backend()
    assert "MUJOCO_GL" not in os.environ


def test_other_systems_keep_mujocos_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefrl_envs.gl.sys.platform", "darwin")
    gl.choose_backend()
    assert "MUJOCO_GL" not in os.environ


def test_a_machine_without_egl_can_still_import_mujoco(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl, "has_egl", lambda: False)
    gl.choose_backend()
    assert "MUJOCO_GL" not in os.environ


def test_a_missing_library_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("prefrl_envs.gl.ctypes.CDLL", refuse)
    assert gl.has_egl() is False
