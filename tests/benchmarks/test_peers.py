"""What imitation is asked to do. It cannot be installed beside prefrl, so what it is called with is looked at."""

import argparse
import importlib.util
import sys
from collections.abc import Callable
from math import ceil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from benchmarks import _imitation, speed
from benchmarks.tables import peers
from benchmarks.tables.plans import PLANS
from benchmarks.tables.rows import Run
from prefrl.config import load_preset
from tests.benchmarks.conftest import MakeRun

ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
PARTS = {
    "imitation.algorithms": ("preference_comparisons",),
    "imitation.data.types": ("TrajectoryWithRew",),
    "imitation.policies.base": ("NormalizeFeaturesExtractor",),
    "imitation.rewards.reward_nets": ("BasicRewardNet", "NormalizedRewardNet", "RewardEnsemble"),
    "imitation.util": ("logger",),
    "imitation.util.networks": ("RunningNorm",),
    "imitation.util.util": ("make_vec_env",),
}


class Extractor(FlattenExtractor):
    """Normalises nothing."""

    def __init__(self, observation_space: spaces.Space[Any], normalize_class: object) -> None:
        super().__init__(observation_space)


class Calls:
    """Stands for imitation's classes and functions: remembers what each was called with."""

    def __init__(self) -> None:
        self.of: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.of.setdefault(name, []).append((args, kwargs))
            done: Any = SimpleNamespace(train=getattr(self, f"{name}.train"))
            done.reward_trainer = kwargs.get("reward_trainer")
            return done

        return call

    def keywords(self, name: str) -> dict[str, Any]:
        """Those of the only call."""
        [(_, kwargs)] = self.of[name]
        return kwargs


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def measure(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`measure.py` without imitation."""
    for name, parts in PARTS.items():
        module = ModuleType(name)
        for part in parts:
            setattr(module, part, getattr(calls, part))
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["imitation.algorithms"].preference_comparisons = calls  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_file_location("measure", _imitation.FOLDER / "measure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "NormalizeFeaturesExtractor", Extractor)
    monkeypatch.setattr(module, "make_vec_env", make_vec_env)
    return module


def make_vec_env(name: str, *, rng: Any, n_envs: int, env_make_kwargs: dict[str, Any]) -> VecEnv:
    return DummyVecEnv([lambda: Monitor(gymnasium.make("Pendulum-v1"))] * n_envs)


def read(measure: ModuleType, command: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    monkeypatch.setattr(sys, "argv", command[1:])
    args: argparse.Namespace = measure.parse_args()
    return args


Options = Callable[..., argparse.Namespace]


@pytest.fixture
def options(measure: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Options:
    """What `measure.py` reads of a command of "ppo"."""
    return lambda **given: read(measure, _imitation.command("ppo", **given), monkeypatch)


TINY = {"total_timesteps": 64, "n_envs": 2, "n_steps": 16, "batch_size": 32, "n_epochs": 1}


def test_a_run_is_asked_for_with_our_settings(
    measure: ModuleType, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(run: Run) -> argparse.Namespace:
        return read(measure, peers.command(run), monkeypatch)

    args = asked(make_run(task="halfcheetah", labels=700, variant=peers.IMITATION, seed=7))
    assert (args.task, args.reward, args.seed, args.evaluate) == ("halfcheetah", "preferences", 7, True)
    assert (args.total_timesteps, args.n_comparisons, args.n_refits) == (500_000, 700, peers.N_REFITS)
    assert (args.learning_rate, args.falling_rate) == (1e-3, False)
    agent = load_preset("halfcheetah").agent
    assert (args.n_envs, args.log_std_init) == (agent.n_envs, agent.log_std_init)
    for name in ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda"):
        assert getattr(args, name) == agent.settings[name]
    true = asked(make_run(task="halfcheetah", reward="true", labels=0, variant=peers.IMITATION))
    assert (true.reward, true.learning_rate, true.falling_rate) == ("true", 1e-3, True)


def test_speed_asks_with_the_same_settings_as_the_tables(
    measure: ModuleType, options: Options, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def answer(part: str, **given: Any) -> dict[str, float]:
        asked.append(given)
        return {"steps_per_s": 1.0}

    monkeypatch.setattr(_imitation, "measure", answer)
    for loop in ("PlainLoop", "RunLoop"):
        monkeypatch.setattr(speed, loop, lambda *args, **kwargs: None)
    monkeypatch.setattr(speed, "Loops", FakeLoops)
    speed.measure_imitation(speed.Settings(quick=True, seed=5))
    assert [given["reward"] for given in asked] == ["true", "learned", "preferences"]
    ours = read(measure, peers.command(make_run(variant=peers.IMITATION, seed=5)), monkeypatch)
    differs = {name for name, value in vars(options(**asked[2])).items() if value != getattr(ours, name)}
    assert differs == {
        "total_timesteps", "n_comparisons", "n_envs", "n_refits", "first_fit_multiplier", "evaluate"
    }  # fmt: skip


class FakeLoops:
    """Take no time."""

    def __init__(self, loops: dict[str, Any]) -> None:
        self.loops = loops

    def __enter__(self) -> "FakeLoops":
        return self

    def __exit__(self, *error: object) -> None: ...

    def measure(self, n_steps: int, n_rounds: int) -> dict[str, list[float]]:
        return {name: [1.0] for name in self.loops}


def steps_learned(asked: int, n_iterations: int, rollout: int) -> int:
    """Steps of an agent that PreferenceComparisons trains: one iteration more, each in whole rollouts of SB3."""
    per_iteration, extra = divmod(asked, n_iterations)
    given = [per_iteration + extra * (i == n_iterations - 1) for i in range(n_iterations + 1)]
    return sum(ceil(steps / rollout) * rollout for steps in given)


@pytest.mark.parametrize(
    ("total", "n_envs", "n_refits", "learned"),
    [(500_000, 16, 30, 507_904), (500_000, 16, 60, 499_712), (500_000, 16, 5, 491_520), (49_152, 8, 5, 49_152)],
)
def test_the_agent_learns_from_about_as_many_steps_as_asked_for(
    measure: ModuleType, options: Options, total: int, n_envs: int, n_refits: int, learned: int
) -> None:
    args = options(reward="preferences", total_timesteps=total, n_envs=n_envs, n_refits=n_refits)
    assert steps_learned(measure.asked_timesteps(args), n_refits, n_envs * args.n_steps) == learned


def test_each_iteration_holds_an_episode_of_every_environment() -> None:
    for run in (run for run in PLANS["imitation"]() if peers.is_peer(run)):
        agent = load_preset(run.task).agent
        rollout = agent.n_envs * agent.settings["n_steps"]
        n_rollouts = round(run.steps / (peers.N_REFITS + 1) / rollout)
        assert n_rollouts * agent.settings["n_steps"] >= 1000


def test_preferences_are_learned_as_imitations_script_does_with_a_teacher_that_makes_no_errors(
    measure: ModuleType, options: Options, calls: Calls
) -> None:
    args = options(reward="preferences", n_refits=3, n_comparisons=50, segment_steps=10, **TINY)
    result = measure.measure_ppo(args, None)
    assert calls.keywords("SyntheticGatherer")["temperature"] == 0
    learning = calls.keywords("PreferenceComparisons")
    assert (learning["num_iterations"], learning["fragment_length"]) == (3, 10)
    assert (learning["initial_comparison_frac"], learning["initial_epoch_multiplier"]) == (0.1, 200)
    [((asked, labels), _)] = calls.of["PreferenceComparisons.train"]
    assert (asked, labels) == (96, 50)  # of one rollout of 32 in each of four trainings
    assert calls.keywords("EnsembleTrainer")["epochs"] == 3
    members = calls.of["BasicRewardNet"]
    assert [kwargs["normalize_input_layer"] for _, kwargs in members] == [measure.RunningNorm] * 3
    assert len(calls.of["NormalizedRewardNet"]) == 3
    assert result["refit_seconds"] == 0
    assert "peak_mb" not in result


def test_the_true_reward_is_normalised_and_the_evaluation_is_not(
    measure: ModuleType, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents: list[Any] = []
    evaluated: list[VecEnv] = []
    make_agent = measure._agent

    def agent_of(args: argparse.Namespace, venv: VecEnv) -> Any:
        agents.append(make_agent(args, venv))
        return agents[-1]

    def evaluate(agent: Any, venv: VecEnv, n_episodes: int, **kwargs: Any) -> tuple[list[float], list[int]]:
        evaluated.append(venv)
        return [1.0] * n_episodes, [200] * n_episodes

    monkeypatch.setattr(measure, "_agent", agent_of)
    monkeypatch.setattr(measure, "evaluate_policy", evaluate)
    args = options(reward="true", gamma=0.97, gae_lambda=0.9, evaluate=True, **TINY)
    result = measure.measure_ppo(args, None)
    [agent], [raw] = agents, evaluated
    venv = agent.get_env()
    assert isinstance(venv, VecNormalize)
    assert (venv.norm_reward, venv.norm_obs, venv.gamma) == (True, False, 0.97)
    assert (agent.gamma, agent.gae_lambda) == (0.97, 0.9)
    assert type(raw) is DummyVecEnv
    assert (result["agent_steps"], result["env_steps"], result["true_return"]["mean"]) == (64, 64, 1.0)


def test_the_walker_has_the_feet_that_ours_has(
    measure: ModuleType, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (mujoco.MjModel.from_xml_path(str(ASSETS / f"{name}.xml")) for name in ("walker2d", "walker2d_v5"))
    assert not np.array_equal(old.geom_friction, new.geom_friction)
    venv = make_vec_env("", rng=None, n_envs=1, env_make_kwargs={})
    venv.get_attr("unwrapped")[0].model = old
    monkeypatch.setattr(measure, "make_vec_env", lambda *args, **kwargs: venv)
    measure._tasks(options(reward="true", task="walker2d"), None, 1)
    np.testing.assert_array_equal(old.geom_friction, new.geom_friction)
