"""What an evaluation measures and writes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.envs.registration import EnvSpec
from safetensors.numpy import load_file

from prefrl.config import RunConfig
from prefrl.errors import RunError, SettingError
from prefrl.reward import RewardEnsemble
from prefrl.runs import RunFolder, evaluate, evaluation, start, train
from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.rendering import StateRenderer

MakeConfig = Callable[..., RunConfig]


class Counting(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """The n-th instance has episodes of 2 n + 1 steps, each worth 1; it counts them, and its observation steps."""

    made = 0

    def __init__(self, **arguments: Any) -> None:
        self.length = 2 * Counting.made + 1
        Counting.made += 1
        self.observation_space = gymnasium.spaces.Box(0, 100, (1,))
        self.action_space = gymnasium.spaces.Discrete(2)
        self.steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action: np.int64) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        done = self.steps == self.length
        info: dict[str, Any] = {"task_metrics": {"length": float(self.length)}} if done else {}
        return np.full(1, self.steps, dtype=np.float32), 1.0, False, done, info


@pytest.fixture
def counting(
    small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train_only: None
) -> RunFolder:
    """A run in the environment above; the instances that are made next are counted from 0."""
    monkeypatch.setitem(
        gymnasium.registry, "Counting-v0", EnvSpec("Counting-v0", entry_point=Counting, max_episode_steps=50)
    )
    config = small_config("Counting-v0", total_timesteps=64, reward="true")
    start(config, tmp_path / "run", lambda progress: None)
    monkeypatch.setattr(Counting, "made", 0)
    return RunFolder(tmp_path / "run")


class Larger(Counting):
    """Observes two numbers, as the next version of somebody's environment may."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.observation_space = gymnasium.spaces.Box(0, 100, (2,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        return np.repeat(observation, 2), info

    def step(self, action: np.int64) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return np.repeat(observation, 2), reward, terminated, truncated, info


class Freer(Counting):
    """Has one more action."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.action_space = gymnasium.spaces.Discrete(3)


@pytest.mark.parametrize(("now", "what"), [(Larger, "observation space"), (Freer, "action space")])
def test_an_environment_that_has_changed_since_is_one_sentence(
    now: type[Counting], what: str, counting: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        gymnasium.registry, "Counting-v0", EnvSpec("Counting-v0", entry_point=now, max_episode_steps=50)
    )
    with pytest.raises(RunError, match=f"has changed since this run was trained: its {what} was"):
        evaluate(counting)
    with pytest.raises(RunError, match=f"has changed since this run was trained: its {what} was"):
        train.resume(counting.path, lambda progress: None, total_timesteps=128)


@pytest.mark.parametrize(
    ("episodes", "lengths"),
    [
        (1, [1]),
        (4, [1, 3, 5, 7]),
        # Ten environments at most: the first two play twice, the long ones once.
        (12, [1, 1, 3, 3, *range(5, 20, 2)]),
    ],
)
def test_each_environment_plays_its_share(episodes: int, lengths: list[int], counting: RunFolder) -> None:
    result = evaluate(counting, episodes=episodes)
    assert result["true_return"]["episodes"] == episodes
    assert result["true_return"]["mean"] == pytest.approx(np.mean(lengths))
    assert result["true_return"]["std"] == pytest.approx(np.std(lengths))
    assert result["metrics"] == {"length": pytest.approx(np.mean(lengths))}
    assert json.loads(counting.evaluation.read_text()) == result


def test_first_episode_is_kept_step_by_step(counting: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "made", 3)  # episodes of 7 steps
    evaluate(counting, episodes=1)
    arrays = load_file(counting.evaluation_states)
    assert sorted(arrays) == ["actions", "env_rewards", "observations"]
    np.testing.assert_array_equal(arrays["observations"], np.arange(7, dtype=np.float32)[:, None])
    np.testing.assert_array_equal(arrays["env_rewards"], np.ones(7, dtype=np.float32))
    assert arrays["actions"].shape == (7,)


def test_true_rewards_are_kept_where_the_agents_are_clipped(
    small_config: MakeConfig, tmp_path: Path, train_only: None
) -> None:
    """The report called −184.5 the true reward of −968."""
    config = small_config("pendulum", total_timesteps=64, reward="true", agent={"clip_rewards": True})
    start(config, tmp_path / "run", lambda progress: None)
    folder = RunFolder(tmp_path / "run")
    result = evaluate(folder, episodes=1)
    env_rewards = load_file(folder.evaluation_states)["env_rewards"]
    assert env_rewards.dtype == np.float32
    assert env_rewards.min() < -1.5
    assert env_rewards.sum() == pytest.approx(result["true_return"]["mean"], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("backflips", "backflips_per_episode"),
        ("front_flips", "front_flips_per_episode"),
        ("one_leg_share", "one_leg_share"),
        ("backward_speed", "backward_speed"),
        ("turns_per_minute", "turns_per_minute"),
    ],
)
def test_only_counts_are_per_episode(name: str, key: str) -> None:
    assert evaluation.metric_key(name) == key


def test_environment_that_cannot_be_drawn(counting: RunFolder) -> None:
    counting.clip.write_bytes(b"a clip of an earlier policy")
    evaluate(counting, episodes=1)
    assert counting.clip_error.read_text().startswith("Counting-v0 cannot be drawn from a stored state, and")
    assert not counting.clip.exists()


@pytest.mark.parametrize("episodes", [0, -1])
def test_number_of_episodes_is_checked(episodes: int, counting: RunFolder) -> None:
    with pytest.raises(SettingError, match=f"`episodes` must be at least 1. Received {episodes}"):
        evaluate(counting, episodes=episodes)
    assert not counting.evaluation.exists()


def test_run_without_checkpoint(counting: RunFolder) -> None:
    shutil.rmtree(counting.checkpoints)
    with pytest.raises(RunError, match="has no checkpoint yet; go on with `prefrl resume"):
        evaluate(counting)


@pytest.fixture
def gridworld(small_config: MakeConfig, tmp_path: Path, train_only: None) -> RunFolder:
    config = small_config("gridworld")
    reward = replace(config.reward_model, next_observation=True)
    start(replace(config, reward_model=reward), tmp_path / "run", lambda progress: None)
    return RunFolder(tmp_path / "run")


def test_what_is_written(gridworld: RunFolder) -> None:
    result = evaluate(gridworld)
    assert {"task": "gridworld", "algo": "ppo", "reward": "preferences", "seed": 0}.items() <= result.items()
    assert (result["num_timesteps"], result["labels"], result["metrics"]) == (640, 24, {})
    assert result["true_return"]["episodes"] == 2
    assert 0 < result["refit_seconds"] <= result["training_seconds"]
    arrays = load_file(gridworld.evaluation_states)
    assert {name: len(array) for name, array in arrays.items()} == dict.fromkeys(
        ("actions", "env_rewards", "observations", "predicted_rewards", "render_states"), 20
    )
    # The state drawn with a step is the one in which its observation was seen.
    np.testing.assert_array_equal(arrays["render_states"][:, 0], arrays["observations"])
    ensemble = RewardEnsemble.load(gridworld.reward_model)
    observations = arrays["observations"]
    expected = ensemble.predict(observations[:-1], arrays["actions"][:-1], observations[1:])
    np.testing.assert_allclose(arrays["predicted_rewards"][:-1], expected, rtol=1e-4, atol=1e-5)
    assert gridworld.clip.stat().st_size > 0
    assert not gridworld.clip_error.exists()


def test_seed_decides_the_episodes(gridworld: RunFolder) -> None:
    one, same, other = (evaluate(gridworld, episodes=5, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one["true_return"] != other["true_return"]


def test_evaluation_leaves_the_run_as_it_is(gridworld: RunFolder) -> None:
    before = {path: path.read_bytes() for path in gridworld.checkpoints.rglob("*") if path.is_file()}
    evaluate(gridworld)
    after = {path: path.read_bytes() for path in gridworld.checkpoints.rglob("*") if path.is_file()}
    assert after == before


def test_clip_goes_where_it_is_asked_for(gridworld: RunFolder, tmp_path: Path) -> None:
    evaluate(gridworld, video=tmp_path / "mine.mp4")
    assert (tmp_path / "mine.mp4").stat().st_size > 0
    assert not gridworld.clip.exists()


def test_why_there_is_no_clip(gridworld: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*arguments: object, **keywords: object) -> StateRenderer:
        raise RenderingUnavailableError("There is no GL here; install libegl1.")

    evaluate(gridworld)
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "StateRenderer", unavailable)
        evaluate(gridworld)
    assert gridworld.clip_error.read_text() == "There is no GL here; install libegl1.\n"
    assert not gridworld.clip.exists()
    evaluate(gridworld)
    assert gridworld.clip.exists()
    assert not gridworld.clip_error.exists()


def test_training_ends_with_an_evaluation(
    small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluated(folder: RunFolder) -> dict[str, Any]:
        assert folder.reward_model.is_dir()
        return {"labels": 24}

    monkeypatch.setattr(train, "evaluate", evaluated)
    config = small_config("gridworld", total_timesteps=256)
    assert start(config, tmp_path / "run", lambda progress: None) == {"labels": 24}
