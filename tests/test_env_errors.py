"""What the making of an environment raises, in sentences, and at once."""

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from prefrl.config import RunConfig
from prefrl.env_errors import error_text, explain_env_errors
from prefrl.errors import MissingDependencyError, SettingError, SpaceError
from prefrl_envs.ids import find_spec


def config(task: str) -> RunConfig:
    return RunConfig(task=task, env_id=task)


def look_up(env_id: str) -> None:
    with explain_env_errors(config(env_id)):
        find_spec(env_id)


@pytest.mark.parametrize("env_id", ["Hopper-v5", "prefrl/Hopper-v0", "gymnasium:CartPole-v1", "CartPole"])
def test_what_is_there_passes(env_id: str) -> None:
    look_up(env_id)


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("Hoper-v5", "There is no environment 'Hoper-v5'; did you mean Hopper-v5"),
        ("zzzzz", "There is no environment 'zzzzz' (Environment `zzzzz` doesn't exist); `prefrl tasks` lists"),
        ("no_such_package:Env-v0", "The module of 'no_such_package:Env-v0' cannot be imported: No module named"),
        ("not an id!", "The environment 'not an id!' cannot be made: Malformed environment ID"),
    ],
)
def test_what_is_not_there_is_a_sentence(env_id: str, words: str) -> None:
    with pytest.raises(SettingError) as raised:
        look_up(env_id)
    assert str(raised.value).startswith(words)


def test_a_module_that_cannot_be_imported_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingError, match=r"cannot be made: division by zero \(--debug shows where\)"):
        look_up("broken_package:Env-v0")


def test_errors_of_ours_stay_as_they_are_and_missing_packages_are_named() -> None:
    with pytest.raises(SpaceError, match=r"^as it was$"), explain_env_errors(config("E")):
        raise SpaceError("as it was")
    words = r"^E needs a package: run pip\.$"
    with pytest.raises(MissingDependencyError, match=words), explain_env_errors(config("E")):
        raise gym.error.DependencyNotInstalled("run pip.")


def test_an_error_that_says_nothing_is_named() -> None:
    assert error_text(ValueError()) == "ValueError"
    assert error_text(ValueError("two\n  lines.")) == "two lines"


def test_an_unknown_task_is_told_before_torch_is_imported() -> None:
    """It took seconds, for nothing."""
    script = (
        "import sys\n"
        "from prefrl.cli import main\n"
        "try:\n"
        "    main(['train', 'nonsense'])\n"
        "except SystemExit as end:\n"
        "    heavy = {'torch', 'stable_baselines3', 'mujoco', 'matplotlib'} & set(sys.modules)\n"
        "    print(end.code, *heavy)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stderr.startswith("prefrl: There is no environment 'nonsense'")
    assert result.stdout.split() == ["2"]
