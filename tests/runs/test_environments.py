"""Environments that somebody brings along: what is refused, what is put right, and what is said of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from prefrl.agents.algorithms import SmallCNN
from prefrl.config import RunConfig, load_preset
from prefrl.errors import RunError, SettingError, SpaceError
from prefrl.report import write_report
from prefrl.reward import RewardEnsemble
from prefrl.reward.inputs import PixelInputs
from prefrl.runs import RunFolder, memory_limits, start
from prefrl.runs.advice import environment_advice
from prefrl.runs.environments import make_environments
from prefrl.runs.stepping import resolve_stepping
from prefrl.runs.training import Training

MakeConfig = Callable[..., RunConfig]
Listener = Callable[..., None]

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
SPACES: dict[str, spaces.Space[Any]] = {
    "box": BOX,
    "tuple": spaces.Tuple([BOX, BOX]),
    "dict": spaces.Dict({"a": BOX}),
    "image": spaces.Box(0, 255, (84, 84, 3), np.uint8),
    "channels first": spaces.Box(0, 255, (3, 48, 48), np.uint8),
    "flat": spaces.Box(0, 255, (21_168,), np.uint8),
    "large": spaces.Box(0, 255, (200, 200, 3), np.uint8),
}


class Own(gym.Env[Any, Any]):
    """Somebody's environment: episodes end where they say, and only they; it draws its step as a shade of grey."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  gymnasium's

    def __init__(
        self,
        ends_after: int | None = None,
        sees: str = "box",
        acts: str = "box",
        fault: str = "",
        render_mode: str | None = None,
    ) -> None:
        if fault == "making":
            raise RuntimeError("No licence was found.")
        self.observation_space, self.action_space = SPACES[sees], SPACES[acts]
        self.render_mode = render_mode
        self.ends_after, self.fault, self.n_steps = ends_after, fault, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.n_steps = 0
        return self.seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.n_steps += 1
        return self.seen(), 0.1 * self.n_steps, self.n_steps == self.ends_after, False, {}

    def seen(self) -> Any:
        observation = self.observation_space.sample()
        return observation * np.nan if self.fault == "nan" and self.n_steps > 3 else observation

    def render(self) -> Any:
        if self.fault == "drawing":
            raise AssertionError("The window is closed.")
        return np.full((40, 60, 3), 10 * (self.n_steps % 20), dtype=np.uint8)

    def task_metrics(self) -> dict[str, float]:
        return {"steps": float(self.n_steps)}


@pytest.fixture
def own(small_config: MakeConfig) -> Iterator[Callable[..., RunConfig]]:
    """`own(limit=None, **settings)`: the settings of a run in the environment above."""

    def config(*, limit: int | None = 50, **settings: Any) -> RunConfig:
        gym.registry.pop("Own-v0", None)
        gym.register("Own-v0", entry_point=lambda **kwargs: Own(**kwargs), max_episode_steps=limit)
        return small_config("Own-v0", **settings)

    yield config
    gym.registry.pop("Own-v0", None)


def episode_length(config: RunConfig) -> int:
    """Steps of the first episode."""
    env = make_environments(config, n_envs=1, seed=0).envs[0]
    env.reset(seed=0)
    length, ended = 0, False
    while not ended:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        length, ended = length + 1, terminated or truncated
    return length


def notes(config: RunConfig, **settings: Any) -> list[str]:
    return list(environment_advice(config, make_environments(config, n_envs=2, seed=0, **settings)))


# --- the ends of episodes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "kwargs", "settings", "length"),
    [
        (50, {}, {}, 50),
        (None, {}, {}, 1000),
        (50, {}, {"time_limit": 7}, 7),
        (None, {}, {"time_limit": 1200}, 1200),
        (50, {"ends_after": 9}, {}, 9),
        (50, {"ends_after": 9}, {"hide_termination": True}, 50),
        (None, {"ends_after": 9}, {"hide_termination": True}, 1000),
        (None, {"ends_after": 9}, {"hide_termination": True, "time_limit": 20}, 20),
    ],
)
def test_every_episode_ends(
    limit: int | None, kwargs: dict[str, Any], settings: dict[str, Any], length: int, own: MakeConfig
) -> None:
    assert episode_length(own(limit=limit, env_kwargs=kwargs, **settings)) == length


def test_a_limit_that_was_not_asked_for_is_told(own: MakeConfig) -> None:
    (note,) = notes(own(limit=None))
    assert (
        note
        == "Own-v0 names no time limit: its episodes are cut off after 1,000 steps (`--time-limit` changes that)."
    )
    assert notes(own()) == []
    assert notes(own(limit=None, time_limit=80)) == []


@pytest.mark.parametrize(
    ("ends_after", "hide", "is_time_limit"),
    [(5, False, False), (5, True, True), (None, False, True), (4, False, False)],
)
def test_an_end_that_is_both_is_a_termination_unless_that_is_hidden(
    ends_after: int | None, hide: bool, is_time_limit: bool, own: MakeConfig
) -> None:
    kwargs = {"ends_after": ends_after}
    venv = make_environments(own(limit=5, env_kwargs=kwargs, hide_termination=hide), n_envs=1, seed=0)
    venv.reset()
    dones = np.zeros(1, dtype=bool)
    while not dones[0]:
        _, _, dones, infos = venv.step(np.zeros((1, 2), dtype=np.float32))
    assert infos[0]["TimeLimit.truncated"] is is_time_limit


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"env_kwargs": {"max_episode_steps": 7}}, 7),
        ({"env_kwargs": {"max_episode_steps": 7}, "time_limit": 7}, 7),  # as runs were once written down
        ({"time_limit": 7}, 7),
        ({}, 0),
    ],
)
def test_there_is_one_place_for_the_time_limit(settings: dict[str, Any], limit: int, own: MakeConfig) -> None:
    config = own(**settings)
    assert (config.time_limit, config.env_kwargs) == (limit, {})
    assert config.make_kwargs == ({"max_episode_steps": limit} if limit else {})
    assert RunConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("in_file", ["time_limit: 7", "env_kwargs: {max_episode_steps: 7, size: 3}"])
def test_no_time_limit_on_the_command_line_undoes_that_of_a_file(in_file: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(in_file)
    by_file = load_preset("Pendulum-v1", config_file=tmp_path / "my.yaml")
    assert by_file.make_kwargs["max_episode_steps"] == 7
    assert "max_episode_steps" not in replace(by_file, time_limit=0).make_kwargs


def test_two_time_limits_are_refused(own: MakeConfig) -> None:
    words = "`time_limit` and `max_episode_steps` in `env_kwargs` say the same. Received 5 and 7; leave the latter"
    with pytest.raises(SettingError, match=words):
        own(env_kwargs={"max_episode_steps": 7}, time_limit=5)


@pytest.mark.parametrize("limit", [0, -1, "seven", 2.5])
def test_a_limit_among_the_arguments_is_a_number_too(limit: object, own: MakeConfig) -> None:
    with pytest.raises(SettingError, match=r"`time_limit` must be at least 0\. Received"):
        own(env_kwargs={"max_episode_steps": limit})


def test_an_oracle_of_the_paper_can_be_undone(small_config: MakeConfig) -> None:
    paper = small_config("hopper", oracle="paper")
    assert paper.make_kwargs["oracle"] == "paper"
    assert "oracle" not in replace(paper, oracle="gymnasium").make_kwargs


def test_a_million_environments_are_refused_before_one_is_made(own: MakeConfig) -> None:
    with pytest.raises(SettingError, match=r"`agent\.n_envs` must lie between 1 and 4,096\. Received 1,000,000\."):
        own(agent={"n_envs": 1_000_000})
    assert own(agent={"n_envs": 4096}).agent.n_envs == 4096


def test_a_time_limit_is_no_negative_number(own: MakeConfig) -> None:
    with pytest.raises(SettingError, match=r"`time_limit` must be at least 0\. Received -1"):
        own(time_limit=-1)


def test_steppers_that_hide_nothing_are_not_taken(small_config: MakeConfig) -> None:
    assert resolve_stepping(small_config("hopper", hide_termination=True, stepping="auto")) == "sb3"
    with pytest.raises(SettingError, match="`stepping=envpool` cannot hide terminations"):
        resolve_stepping(small_config("hopper", hide_termination=True, stepping="envpool"))


# --- what is refused --------------------------------------------------------------------------------------


def test_whatever_the_making_raises_is_a_sentence(own: MakeConfig) -> None:
    words = r"^The environment 'Own-v0' cannot be made: No licence was found \(--debug shows where\)\.$"
    with pytest.raises(SettingError, match=words):
        make_environments(own(env_kwargs={"fault": "making"}), n_envs=1, seed=0)


def test_whatever_the_drawing_raises_is_a_sentence(own: MakeConfig) -> None:
    config = own(env_kwargs={"fault": "drawing"})
    with pytest.raises(
        SettingError, match=r"people could be shown: The window is closed; docs/own-environment\.md"
    ):
        make_environments(config, n_envs=1, seed=0, keep_frames=True)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"sees": "tuple"}, "The observation space of Own-v0 is Tuple"),
        ({"acts": "tuple"}, "The action space of Own-v0 is Tuple"),
        ({"acts": "dict"}, "but agents act in Box, Discrete, MultiDiscrete, MultiBinary"),
    ],
)
@pytest.mark.parametrize("reward", ["preferences", "true"])
def test_spaces_that_nothing_reads_are_refused(
    reward: str, kwargs: dict[str, Any], words: str, own: MakeConfig, quiet: Listener, tmp_path: Path
) -> None:
    with pytest.raises(SpaceError, match=words):
        start(own(env_kwargs=kwargs, reward=reward), tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


def test_numbers_that_are_not_finite_are_a_sentence(own: MakeConfig, quiet: Listener, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="observations that are not finite"):
        start(own(env_kwargs={"fault": "nan"}), tmp_path / "run", quiet)


# --- large observations -----------------------------------------------------------------------------------


def test_the_recorder_keeps_what_fits(own: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = own(env_kwargs={"sees": "large"}, feedback={"recorder_steps": 2560})
    venv = make_environments(config, n_envs=2, seed=0)
    assert memory_limits.fitting_recorder_steps(config, venv) == 2560
    monkeypatch.setattr(memory_limits, "RECORDER_BYTES", 2 * 100 * 120_100)
    assert memory_limits.fitting_recorder_steps(config, venv) == 100
    (note,) = environment_advice(config, venv)
    assert "the latest 100 steps are kept to ask about, not 2,560" in note
    monkeypatch.setattr(memory_limits, "RECORDER_BYTES", 1)
    assert memory_limits.fitting_recorder_steps(config, venv) == 2 * config.segment_length


def test_kept_frames_count(own: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = own(feedback={"recorder_steps": 2560})
    monkeypatch.setattr(memory_limits, "RECORDER_BYTES", 2 * 100 * 8300)
    assert memory_limits.fitting_recorder_steps(config, make_environments(config, n_envs=2, seed=0)) == 2560
    shown = make_environments(config, n_envs=2, seed=0, keep_frames=True)
    assert 95 <= memory_limits.fitting_recorder_steps(config, shown) <= 100


def test_what_this_machine_cannot_hold_is_refused(own: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = own(env_kwargs={"sees": "large"}, feedback={"recorder_steps": 200})
    venv = make_environments(config, n_envs=2, seed=0)
    memory_limits.check_memory(config, venv)
    monkeypatch.setattr(memory_limits, "memory_bytes", lambda: 50_000_000)
    with pytest.raises(SettingError, match=r"a rollout 0\.0 GB, the recorder 0\.0 GB; make them smaller"):
        memory_limits.check_memory(config, venv)


@pytest.mark.parametrize(("reads_twice", "told"), [(False, "0.3 GB"), (True, "0.7 GB")])
def test_comparisons_count_with_all_that_the_reward_reads(
    reads_twice: bool, told: str, own: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 labels of two clips of 20 steps of 21,168 numbers, of 4 bytes each; or of twice as many."""
    reward = {"next_observation": reads_twice}
    config = own(env_kwargs={"sees": "flat"}, labels=100, segment_length=20, reward_model=reward)
    venv = make_environments(config, n_envs=2, seed=0)
    monkeypatch.setattr(memory_limits, "memory_bytes", lambda: 1)
    with pytest.raises(SettingError, match=rf"the comparisons {told}"):
        memory_limits.check_memory(config, venv)


def test_many_numbers_that_are_no_image_are_told(own: MakeConfig) -> None:
    (note,) = notes(own(env_kwargs={"sees": "flat"}))
    assert note.startswith("Observations of 21,168 numbers are slow.")
    assert notes(own(env_kwargs={"sees": "image"})) == []
    assert notes(own(env_kwargs={"sees": "channels first"})) == []


@pytest.mark.parametrize("frame_stack", [1, 2])
def test_screens_with_channels_first_are_trained_on_by_convolutions(
    frame_stack: int, own: MakeConfig, quiet: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agent and reward networks alike; as one vector they would be thousands of numbers."""
    policies = []
    monkeypatch.setattr(Training, "close", lambda training: policies.append(training.agent.policy))
    agent = {"frame_stack": frame_stack, "normalize_rewards": False}
    config = own(env_kwargs={"sees": "channels first"}, agent=agent, labels=8, total_timesteps=256)
    start(config, tmp_path / "run", quiet)
    ensemble = RewardEnsemble.load(RunFolder(tmp_path / "run").reward_model)
    assert isinstance(ensemble.inputs, PixelInputs)
    assert isinstance(policies[0].features_extractor, SmallCNN)
    assert policies[0].observation_space.shape == (3 * frame_stack, 48, 48)


def test_stacks_of_what_is_no_image_are_refused(own: MakeConfig, quiet: Listener, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"`agent\.frame_stack` needs images\. Received 2 with observations"):
        start(own(agent={"frame_stack": 2}), tmp_path / "run", quiet)


# --- what is seen -----------------------------------------------------------------------------------------


def test_keeping_frames_is_told_with_what_it_costs(own: MakeConfig) -> None:
    (note,) = notes(own(feedback={"recorder_steps": 2560}), keep_frames=True)
    assert note.startswith(
        "Own-v0 cannot be drawn from a stored state, so every step is drawn and kept for the people"
    )
    assert "ms per step, and 42 MB; docs/own-environment.md" in note


def test_what_draws_frames_has_a_clip_at_the_end_and_its_figures(
    own: MakeConfig, quiet: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    render = Own.render

    def noted(env: Own) -> Any:
        drawn.append(env.n_steps)
        return render(env)

    monkeypatch.setattr(Own, "render", noted)
    start(own(), tmp_path / "run", quiet)
    folder = RunFolder(tmp_path / "run")
    assert folder.clip.stat().st_size > 500
    assert not folder.clip_error.exists()
    assert drawn == [0, *range(51), 0], "one episode, and the reset that tries the drawing"
    assert '"steps": 50.0' in folder.evaluation.read_text()
    report = write_report([folder.path]).read_text()
    assert "No clips of the labelled pairs: no states" in report
    assert "docs/own-environment.md" in report


def test_what_draws_nothing_is_a_sentence(
    own: MakeConfig, quiet: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Own, "metadata", {"render_modes": []})
    start(own(reward="true"), tmp_path / "run", quiet)
    folder = RunFolder(tmp_path / "run")
    said = "Own-v0 cannot be drawn from a stored state, and draws no frames"
    assert folder.clip_error.read_text() == f"{said}; docs/own-environment.md shows what it takes.\n"
    assert said in write_report([folder.path]).read_text()


def test_each_environment_has_a_seed_of_its_own(own: MakeConfig) -> None:
    venv = make_environments(own(), n_envs=2, seed=3)
    assert isinstance(venv, DummyVecEnv)
    venv.reset()
    assert [env.unwrapped.np_random_seed for env in venv.envs] == [3, 4]
