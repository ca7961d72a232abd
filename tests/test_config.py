"""Settings: where they come from, which win, and which are refused."""

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from prefrl import config as module
from prefrl import settings
from prefrl.config import RunConfig, load_preset, preset_names, upgraded
from prefrl.errors import PrefRLError, SettingError
from prefrl.registry import ALGORITHMS, OFF_POLICY
from prefrl.settings import AgentSettings, RewardSettings
from prefrl_envs.clips import clip_timing
from prefrl_envs.rendering import StateRenderer
from prefrl_envs.tasks import TASKS


def test_every_task_has_a_preset() -> None:
    assert preset_names() == sorted(TASKS)
    assert all(load_preset(name).env_id == task.env_id for name, task in TASKS.items())


def test_the_tasks_of_the_paper_say_which_oracle_is_theirs() -> None:
    said = {name: load_preset(name).oracle for name in TASKS}
    assert {name for name, oracle in said.items() if oracle is not None} == {
        name for name, task in TASKS.items() if task.paper_oracle
    }
    assert set(said.values()) == {None, "gymnasium"}


def test_the_papers_oracle_is_an_argument_of_the_environment() -> None:
    values = load_preset("hopper").to_json()
    assert RunConfig.from_json(values).make_kwargs == {}
    paper = RunConfig.from_json(values | {"oracle": "paper", "env_kwargs": {"reset_noise_scale": 0.1}})
    assert paper.env_kwargs == {"reset_noise_scale": 0.1}
    assert paper.make_kwargs == {"reset_noise_scale": 0.1, "oracle": "paper"}
    assert RunConfig.from_json(json.loads(json.dumps(paper.to_json()))) == paper


@pytest.mark.parametrize("task", preset_names())
def test_people_see_clips_of_one_to_two_seconds(task: str) -> None:
    config = load_preset(task, teacher="human")
    assert config.segment_length <= TASKS[task].horizon
    with StateRenderer(config.env_id, 32, 32, env_kwargs=config.env_kwargs) as renderer:
        timing = clip_timing(config.segment_length, renderer.step_seconds)
    assert 1.0 <= len(timing.steps) / timing.fps <= 2.0 + 1e-9


@pytest.mark.parametrize("algo", list(ALGORITHMS))
@pytest.mark.parametrize("task", preset_names())
def test_presets_load_for_every_algorithm(task: str, algo: str) -> None:
    config = load_preset(task, algo)
    assert (config.task, config.algo) == (task, algo)
    assert config.segment_length <= TASKS[task].horizon
    settings = config.agent.settings
    rollout = settings["train_freq"] if algo in OFF_POLICY else settings["n_steps"]
    assert rollout * config.agent.n_envs < config.total_timesteps
    if algo in OFF_POLICY:
        assert settings["learning_starts"] <= config.feedback.initial_timesteps < config.total_timesteps


@pytest.mark.parametrize("task", [*preset_names(), "my_pkg:MyEnv-v0"])
def test_json_and_back(task: str) -> None:
    config = load_preset(task, "trpo")
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_any_id_is_a_task() -> None:
    config = load_preset("my_pkg:MyEnv-v0")
    assert (config.task, config.env_id, config.algo) == ("my_pkg:MyEnv-v0", "my_pkg:MyEnv-v0", "ppo")


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task whose preset and algorithms set what the tests below look at."""
    presets: dict[str, dict[str, Any]] = {
        "_algorithms": {
            "ppo": {"agent": {"n_envs": 5, "log_std_init": -1.0, "settings": {"n_steps": 5, "gamma": 0.5}}},
            "a2c": {"agent": {"n_envs": 6, "settings": {"n_steps": 6}}},
        },
        "walk": {
            "env_id": "Walk-v0",
            "labels": 70,
            "segment_length": 7,
            "agent": {"log_std_init": -2.0, "settings": {"gamma": 0.7}},
            "by_algo": {"a2c": {"labels": 80, "segment_length": 8}},
        },
    }
    monkeypatch.setattr(module, "preset_names", lambda: ["walk"])
    monkeypatch.setattr(module, "_read_preset", lambda name: json.loads(json.dumps(presets[name])))


@pytest.mark.usefixtures("made_up")
def test_preset_wins_over_algorithm_and_algorithm_over_defaults() -> None:
    config = load_preset("walk")
    assert config.agent.n_envs == 5
    assert config.agent.log_std_init == -2.0
    assert config.agent.settings == {"n_steps": 5, "gamma": 0.7}
    assert (config.labels, config.segment_length) == (70, 7)
    assert config.seed == RunConfig(task="x").seed


@pytest.mark.usefixtures("made_up")
def test_algorithm_of_the_preset_is_asked_for() -> None:
    config = load_preset("walk", "a2c")
    assert (config.labels, config.segment_length, config.agent.n_envs) == (80, 8, 6)
    assert config.agent.settings == {"n_steps": 6, "gamma": 0.7}


@pytest.mark.usefixtures("made_up")
def test_file_wins_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("algo: a2c\nlabels: 90\nagent: {settings: {gamma: 0.9}}\n")
    config = load_preset("walk", config_file=file)
    assert (config.algo, config.labels, config.segment_length) == ("a2c", 90, 8)
    assert config.agent.settings == {"n_steps": 6, "gamma": 0.9}
    # The command line has the last word on the algorithm.
    config = load_preset("walk", "ppo", file)
    assert (config.algo, config.labels, config.agent.n_envs) == ("ppo", 90, 5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labels": 0}, "`labels` must be at least 1. Received 0"),
        ({"labels": -3}, "`labels` must be at least 1. Received -3"),
        ({"labels": 5001}, "`labels` must not exceed the 5000 steps of the training"),
        ({"total_timesteps": 0}, "`total_timesteps` must be at least 1. Received 0"),
        ({"total_timesteps": 4096}, "`total_timesteps` must exceed the 4096 steps before the first questions"),
        ({"segment_length": 0}, "`segment_length`, .* must be at least 1. Received 0"),
        ({"feedback": {"segment_length": 0}}, "`segment_length`, .* must be at least 1. Received 0"),
        ({"checkpoint_every": 0}, "`checkpoint_every` must be at least 1. Received 0"),
        ({"evaluation_episodes": 0}, "`evaluation_episodes` must be at least 1. Received 0"),
        ({"n_threads": 0}, "`n_threads` must be at least 1. Received 0"),
        ({"agent": {"n_envs": 0}}, "`agent.n_envs` must lie between 1 and 4,096. Received 0"),
        ({"agent": {"n_envs": 1_000_000}}, "`agent.n_envs` must lie between 1 and 4,096. Received 1,000,000"),
        ({"agent": {"frame_stack": 0}}, "`frame_stack` and `hidden_sizes` of the agent must be at least 1. .* 0"),
        ({"agent": {"hidden_sizes": [64, 0]}}, "`frame_stack` and `hidden_sizes` of the agent must be at least 1"),
        ({"shuffle_labels": True, "reward": "true"}, "`shuffle_labels` needs reward=preferences"),
        ({"reward_model": {"first_epochs": 0}}, "`first_epochs`, `epochs` and `hidden_sizes` of the reward model"),
        ({"reward_model": {"hidden_sizes": [8, 0]}}, "`first_epochs`, `epochs` and `hidden_sizes` of the reward"),
        ({"feedback": {"recent_share": 0.5, "recent_steps": 49}}, "must hold a segment of 50 steps. Received 49"),
        ({"labels": "many"}, "The setting `labels` is wrong: .*Received 'many'"),
        ({"feedback": 3}, "The setting `feedback` is wrong: .*Received 3"),
        (
            {"algo": "reinforce"},
            "The setting `algo` is wrong: .*'ppo', 'a2c', .* or 'qrdqn'.*Received 'reinforce'",
        ),
        ({"labelz": 3}, "There is no setting `labelz`"),
        ({"feedback": {"schedul": "constant"}}, "There is no setting `feedback.schedul`"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], sentence: str) -> None:
    values = {"task": "x", "total_timesteps": 5000, **changes}
    with pytest.raises(SettingError, match=sentence) as caught:
        RunConfig.from_json(values)
    assert isinstance(caught.value, PrefRLError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sizes", [64, (64, "64"), (64.0,), "64", None])
@pytest.mark.parametrize(("kind", "whose"), [(RewardSettings, "the reward model"), (AgentSettings, "the agent")])
def test_sizes_that_are_no_row_of_whole_numbers_are_refused(kind: type, whose: str, sizes: object) -> None:
    with pytest.raises(SettingError, match=f"`hidden_sizes` of {whose} must have a whole number for each layer"):
        kind(hidden_sizes=sizes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"agent": {"settings": {"learning_rate": float("inf")}}},
            "`learning_rate` of the agent must be a finite",
        ),
        (
            {"agent": {"settings": {"learning_rate": float("nan")}}},
            "`learning_rate` of the agent must be a finite",
        ),
        (
            {"agent": {"settings": {"learning_rate": "lin_inf"}}},
            "`learning_rate` of the agent .* Received lin_inf",
        ),
        (
            {"agent": {"settings": {"learning_rate": 0.0}}},
            "`learning_rate` of the agent must be above 0. Rec.* 0.0",
        ),
        ({"agent": {"settings": {"learning_rate": "lin_-1"}}}, "`learning_rate` of the agent must be above 0"),
        ({"agent": {"settings": {"n_steps": 0}}}, "`n_steps` of the agent must be above 0. Received 0"),
        ({"agent": {"settings": {"gamma": 1.01}}}, "`gamma` of the agent must lie between 0 and 1. Received 1.01"),
        ({"agent": {"settings": {"gamma": -0.1}}}, "`gamma` of the agent must lie between 0 and 1. Received -0.1"),
        (
            {"agent": {"settings": {"policy_kwargs": {"a": [1.0, float("inf")]}}}},
            "policy_kwargs.a` must be a finite",
        ),
        (
            {"agent": {"log_std_init": float("nan")}},
            "`log_std_init` of the agent must be a finite number. Rec.* nan",
        ),
        ({"feedback": {"time_constant": float("inf")}}, "`time_constant` must be above 0 and finite"),
        (
            {"feedback": {"stale_after": 10**12}},
            "`feedback.stale_after` must not exceed 999,999,999,999. Received 1,0",
        ),
        ({"reward_model": {"l2": float("nan")}}, "l2"),
        ({"total_timesteps": 10**400}, "`total_timesteps` must not exceed .* Received a number of 401 digits"),
        ({"agent": {"n_envs": 10**400}}, "`agent.n_envs` must lie .* Received a number of 401 digits"),
        ({"reward_model": {"learning_rate": 10**400}}, "The setting `reward_model.learning_rate` is wrong: "),
        ({"seed": 10**400}, "`seed` must lie between 0 and 2.*63 - 1. Received a number of 401 digits"),
        ({"seed": -1}, "`seed` must lie between 0 and 2.*63 - 1. Received -1"),
        ({"time_limit": 10**400}, "`time_limit` must not exceed .* Received a number of 401 digits"),
    ],
)
def test_numbers_that_nothing_can_be_done_with(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence) as caught:
        RunConfig.from_json({"task": "x", **changes})
    assert len(str(caught.value)) < 300


def test_the_limits_of_an_environment_may_be_infinite() -> None:
    kwargs = {"healthy_z_range": [0.7, float("inf")]}
    assert RunConfig.from_json({"task": "Hopper-v5", "env_kwargs": kwargs}).env_kwargs == kwargs


def test_settings_of_earlier_versions_are_read_under_their_present_names() -> None:
    old = load_preset("hopper").to_json()
    feedback = old.pop("feedback")
    old["segment_length"] = feedback.pop("segment_length") + 1
    old["label"] = {("selection" if name == "strategy" else name): value for name, value in feedback.items()}
    old["label"]["selection"] = "spread"
    config = RunConfig.from_json(old)
    assert config.feedback.strategy == "spread"
    assert config.segment_length == load_preset("hopper").segment_length + 1
    assert config.feedback.labels_per_round == load_preset("hopper").feedback.labels_per_round
    assert upgraded(config.to_json()) == config.to_json()


def test_a_run_goes_on_as_it_was_where_its_file_lacks_what_came_later() -> None:
    now = load_preset("hopper")
    assert not now.reward_model.bootstrap
    assert RunConfig.from_saved(now.to_json()) == now
    old = now.to_json()
    del old["reward_model"]["bootstrap"]
    as_then = replace(now.reward_model, bootstrap=True)
    assert RunConfig.from_saved(old) == replace(now, reward_model=as_then)


def test_the_length_of_segments_may_be_set_beside_the_feedback(tmp_path: Path) -> None:
    """In presets and files it is the setting that most tasks have of their own; the last layer wins."""
    file = tmp_path / "my.yaml"
    file.write_text("segment_length: 11\nfeedback: {slack: 3}\n")
    config = load_preset("hopper", config_file=file)
    assert (config.segment_length, config.feedback.segment_length, config.feedback.slack) == (11, 11, 3)
    both = config.to_json() | {"segment_length": 13}
    assert RunConfig.from_json(both).feedback.segment_length == 13
    file.write_text("feedback: {segment_length: 12}\n")
    assert load_preset("hopper", config_file=file).segment_length == 12


def test_true_reward_needs_no_labels() -> None:
    assert RunConfig(task="x", reward="true", labels=10, total_timesteps=5).total_timesteps == 5


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"labelz: 3", "There is no setting `labelz`"),
        (b"- 1", "must hold settings as `name: value` lines"),
        (b"", "must hold settings as `name: value` lines"),
        (b"a: [", "my.yaml cannot be read: .*expected the node content"),
        (b"labels: " + 5000 * b"1", "my.yaml cannot be read: .*limit"),
        (b"a: " + 3000 * b"[", "my.yaml cannot be read: .*recursion"),
        (b"\xff\xfe\x00", "my.yaml cannot be read: .*decode"),
        (b"algo: dq", f"`algo` must be one of {', '.join(ALGORITHMS)}. Received 'dq'"),
        (b"task: !!python/object/apply:os.getcwd []", "my.yaml cannot be read: could not determine a constructor"),
        (None, "my.yaml cannot be read: .*No such file"),
    ],
)
def test_bad_file(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError, match=sentence) as caught:
        load_preset("pendulum", config_file=file)
    assert "\n" not in str(caught.value)


def test_every_setting_says_what_it_is() -> None:
    """The help of the command line is made of these sentences."""
    source = "".join(Path(str(one.__file__)).read_text() for one in (module, settings))

    def check(kind: Any) -> int:
        n = 0
        for field in fields(kind):
            after = source.split(f"\n    {field.name}: ", 1)[1]
            assert after.split("\n", 1)[1].lstrip().startswith('"""'), field.name
            n += 1 + (check(field.type) if is_dataclass(field.type) else 0)
        return n

    assert check(RunConfig) > 40


# --- presets that share something -------------------------------------------------------------------------


def test_a_preset_may_extend_another_and_wins_over_it() -> None:
    pong, breakout = load_preset("pong"), load_preset("breakout")
    assert (pong.env_id, breakout.env_id) == ("prefrl/Pong-v0", "prefrl/Breakout-v0")
    assert pong.total_timesteps < breakout.total_timesteps == 10_000_000
    assert pong.feedback.labels_per_round == breakout.feedback.labels_per_round == 50
    assert pong.feedback.time_constant < breakout.feedback.time_constant
    assert pong.agent == breakout.agent
    assert pong.agent.frame_stack == 4


def test_any_atari_game_can_be_named() -> None:
    config = load_preset("atari/ms_pacman")
    assert config.task == "atari/ms_pacman"
    assert (config.env_id, config.env_kwargs) == ("prefrl/Atari-v0", {"game": "ms_pacman"})
    assert config.agent == load_preset("pong").agent
