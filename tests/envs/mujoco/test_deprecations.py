"""One deprecation note is hidden, every other warning of MuJoCo's is not."""

from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import pytest

from prefrl_envs.mujoco.deprecations import hide_deprecations
from prefrl_envs.rendering import StateRenderer

DEPRECATED = '<mujoco><compiler settotalmass="1"/><worldbody><body><geom size="1"/></body></worldbody></mujoco>'


def diverge() -> None:
    """Make MuJoCo warn about an unstable simulation."""
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    data.qvel[:] = 1e12
    mujoco.mj_step(model, data)


@pytest.fixture(autouse=True)
def log_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_cheetah_is_made_in_silence(log_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gymnasium.make("prefrl/HalfCheetah-v0").close()
    assert capfd.readouterr() == ("", "")
    assert list(log_folder.iterdir()) == []


def test_gymnasiums_own_cheetah_is_drawn_in_silence(log_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    StateRenderer("HalfCheetah-v5", 32, 32).close()
    assert capfd.readouterr() == ("", "")
    assert list(log_folder.iterdir()) == []


def test_without_the_guard_mujoco_does_complain(capfd: pytest.CaptureFixture[str]) -> None:
    mujoco.MjModel.from_xml_string(DEPRECATED)
    assert "'settotalmass' is deprecated" in capfd.readouterr().err


def test_other_warnings_come_through_as_pythons() -> None:
    with pytest.warns(RuntimeWarning, match="MuJoCo: Nan, Inf or huge value"), hide_deprecations():
        diverge()


def test_a_handler_that_was_set_gets_the_others_and_is_put_back() -> None:
    messages: list[Any] = []
    mujoco.set_mju_user_warning(messages.append)
    try:
        with hide_deprecations():
            mujoco.MjModel.from_xml_string(DEPRECATED)
            diverge()
        assert [b"huge value" in m if isinstance(m, bytes) else "huge value" in m for m in messages] == [True]
        mujoco.MjModel.from_xml_string(DEPRECATED)
        assert len(messages) == 2
    finally:
        mujoco.set_mju_user_warning(None)
