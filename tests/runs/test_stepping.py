import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from prefrl.agents.environments import horizon_of
from prefrl.agents.gymnasium_vec_env import GymnasiumVecEnv
from prefrl.config import RunConfig, load_preset
from prefrl.errors import MissingDependencyError, SettingError
from prefrl.runs import RunFolder, TrainingProgress, start
from prefrl.runs.checkpoint import Checkpoint, checkpoints
from prefrl.runs.evaluation import evaluate
from prefrl.runs.stepping import make_stepped_environments, resolve_stepping
from prefrl.store import Store
from prefrl_envs import extras
from prefrl_envs.testing import CountingEnv

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]

needs_envpool = pytest.mark.skipif(find_spec("envpool") is None, reason="the extra `fast` is not installed")
needs_ale = pytest.mark.skipif(find_spec("ale_py") is None, reason="the extra `atari` is not installed")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[str]], None]:
    """`installed({"envpool"})`: as if of all steppers these were installed."""

    def pretend(names: set[str]) -> None:
        monkeypatch.setattr(extras, "find_spec", lambda name: object() if name in names else None)

    return pretend


@pytest.mark.parametrize(
    ("task", "names", "expected"),
    [
        ("hopper", {"envpool", "ale_py"}, "envpool"),
        ("hopper-backflip", {"envpool"}, "envpool"),
        ("hopper", {"ale_py"}, "sb3"),
        ("inverted-double-pendulum", {"envpool"}, "sb3"),  # EnvPool cannot
        ("ant", {"envpool"}, "sb3"),  # EnvPool can, but moves it a little differently
        ("pendulum", {"envpool", "ale_py"}, "sb3"),
        ("Hopper-v5", {"envpool"}, "sb3"),  # ends early, and nobody asked for that to change
        ("pong", {"envpool", "ale_py"}, "ale"),
        ("pong", {"envpool"}, "sb3"),
    ],
)
def test_auto_is_the_fastest_that_is_there_and_the_same(
    task: str, names: set[str], expected: str, installed: Callable[[set[str]], None]
) -> None:
    installed(names)
    assert resolve_stepping(load_preset(task)) == expected


def changed(task: str, **changes: Any) -> RunConfig:
    return RunConfig.from_json(load_preset(task).to_json() | changes)


def test_what_is_asked_for_is_taken(installed: Callable[[set[str]], None]) -> None:
    installed({"envpool"})
    assert resolve_stepping(changed("hopper", stepping="sb3")) == "sb3"
    assert resolve_stepping(changed("ant", stepping="envpool")) == "envpool"


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("pendulum", {"stepping": "envpool"}, "cannot step prefrl/Pendulum-v0; leave `stepping` at auto"),
        (
            "hopper",
            {"stepping": "ale"},
            "Atari games whose reward is their score, and cannot step prefrl/Hopper-v0",
        ),
        ("hopper", {"stepping": "envpool", "env_kwargs": {"frame_skip": 2}}, "with {'frame_skip': 2}"),
    ],
)
def test_a_stepper_that_cannot_is_a_sentence(
    task: str, changes: dict[str, Any], message: str, installed: Callable[[set[str]], None]
) -> None:
    installed({"envpool", "ale_py"})
    with pytest.raises(SettingError, match=message):
        resolve_stepping(changed(task, **changes))


@pytest.mark.parametrize(("task", "name", "extra"), [("hopper", "envpool", "fast"), ("pong", "ale", "atari")])
def test_a_stepper_that_is_not_installed_is_a_sentence(
    task: str, name: str, extra: str, installed: Callable[[set[str]], None]
) -> None:
    installed(set())
    with pytest.raises(MissingDependencyError, match=rf"install it by `pip install 'prefrl\[{extra}\]'`"):
        resolve_stepping(changed(task, stepping=name))


def test_an_oracle_where_there_is_none_is_refused_by_every_stepper(installed: Callable[[set[str]], None]) -> None:
    installed({"envpool"})
    with pytest.raises(SettingError, match="`oracle` is a choice"):
        make_stepped_environments(changed("hopper-backflip", oracle="gymnasium"), n_envs=1, seed=0)


def test_without_a_time_limit_there_is_no_horizon() -> None:
    venv = make_stepped_environments(changed("pendulum"), n_envs=1, seed=0)
    assert isinstance(venv, DummyVecEnv)
    assert horizon_of(venv) == 200
    endless = SyncVectorEnv([CountingEnv], autoreset_mode=AutoresetMode.SAME_STEP)
    assert horizon_of(VecMonitor(GymnasiumVecEnv(endless))) is None


@needs_envpool
def test_both_steppers_hand_out_the_same_things() -> None:
    """Infos at the end of an episode included: the true return, the task's metrics, the state to draw from."""
    kwargs = {"max_episode_steps": 3}
    infos = {}
    for name in ("sb3", "envpool"):
        venv = make_stepped_environments(
            changed("hopper-backflip", stepping=name, env_kwargs=kwargs), n_envs=2, seed=0
        )
        assert horizon_of(venv) == 3
        observations = venv.reset()
        assert isinstance(observations, np.ndarray)
        rewards, dones = np.zeros(2), np.zeros(2, dtype=bool)
        while not dones.any():
            observations, reward, dones, told = venv.step(np.zeros((2, 3), dtype=np.float32))
            assert isinstance(observations, np.ndarray)
            rewards += reward
        infos[name] = told[1]
        assert told[1]["episode"]["l"] == 3
        assert told[1]["episode"]["r"] == pytest.approx(rewards[1], rel=1e-5)
        assert told[1]["TimeLimit.truncated"] is True
        assert told[1]["task_metrics"] == {"backflips": 0.0}
        assert told[1]["terminal_observation"].shape == (12,)
        assert told[1]["render_state"][1] == pytest.approx(told[1]["terminal_observation"][0], abs=1e-12)
        assert venv.unwrapped.reset_infos[1]["render_state"][1] == pytest.approx(observations[1, 0])
        venv.close()
    assert infos["sb3"].keys() >= infos["envpool"].keys()


@needs_envpool
def test_a_run_writes_down_what_steps_it_and_is_evaluated_one_by_one(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config("hopper", total_timesteps=256, env_kwargs={"max_episode_steps": 20}, stepping="auto")
    monkeypatch.setattr("prefrl.runs.evaluation.draw_clip", lambda *arguments: None)
    start(config, tmp_path / "run", quiet)
    folder = RunFolder(tmp_path / "run")
    assert json.loads((folder.path / "config.json").read_text())["config"]["stepping"] == "envpool"
    checkpoint = Checkpoint(checkpoints(folder.checkpoints)[-1])
    assert checkpoint.config is not None
    assert checkpoint.config["stepping"] == "envpool"
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert evaluate(folder)["true_return"]["episodes"] == 2  # EnvPool is not needed for that
    with Store(folder.path) as store:
        segment = store.comparisons()[0].first
    assert segment.render_states is not None
    np.testing.assert_allclose(segment.render_states[:, 1:], segment.observations[:, :5], atol=1e-12)


@needs_ale
def test_atari_is_stepped_by_ale_py() -> None:
    config = changed("pong", stepping="ale", env_kwargs={"max_episode_steps": 5})
    venv = make_stepped_environments(config, n_envs=2, seed=0)
    assert isinstance(venv, VecMonitor)
    venv.reset()
    for _ in range(5):
        _, _, dones, infos = venv.step(np.zeros(2, dtype=np.int64))
    assert dones.all()
    assert infos[0]["episode"]["l"] == 5
    assert infos[0]["TimeLimit.truncated"] is True
    assert "score" in infos[0]["task_metrics"]
    venv.close()


def test_what_the_making_of_a_game_says_is_a_sentence() -> None:
    pytest.importorskip("ale_py")
    config = load_preset("atari/no_such_game")
    assert resolve_stepping(config) == "ale"
    with pytest.raises(
        SettingError, match=r"'prefrl/Atari-v0' cannot be made: `game` must be one of ale-py's games"
    ):
        make_stepped_environments(config, n_envs=2, seed=0)
