"""What must not teach the agent anything: the true reward, answers without information, a constant reward."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import LearnedRewardVecEnv, PreferenceLearning, make_agent
from prefrl.agents.algorithms import Agent
from prefrl.feedback import OracleTeacher, ShuffledTeacher, Teacher
from prefrl.settings import AgentSettings, FeedbackSettings, RewardSettings
from prefrl_envs.fixed_horizon import HideTermination

MakeVenv = Callable[..., VecEnv]
FloatArray = npt.NDArray[np.float32]

SETTINGS: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 16, "batch_size": 64, "n_epochs": 4},
    "a2c": {"n_steps": 16},
    "trpo": {"n_steps": 16, "batch_size": 64, "ent_coef": 0.01},
}


# --- the true reward never reaches the agent --------------------------------------------------------------


def train_on_answers(algo: str, venv: VecEnv, teacher: Teacher) -> tuple[Agent, PreferenceLearning]:
    preferences = PreferenceLearning(
        venv,
        teacher=teacher,
        n_labels=20,
        feedback=FeedbackSettings(segment_length=5, initial_timesteps=128, labels_per_round=3),
        reward=RewardSettings(first_epochs=3, epochs=2),
    )
    with preferences.store:
        model = make_agent(
            algo, preferences.venv, seed=0, settings=AgentSettings(hidden_sizes=(8,), settings=SETTINGS[algo])
        )
        model.learn(640, callback=preferences.callback())
    return model, preferences


@pytest.mark.parametrize("algo", ["ppo", "a2c", "trpo"])
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_the_hidden_reward_leaves_no_trace_in_the_agent(
    drift_venv: MakeVenv,
    position_teacher: Teacher,
    policy_weights: Callable[[Agent], FloatArray],
    algo: str,
) -> None:
    """Answers come from what is observed, so another true reward, even NaN, must give the same agent."""
    rng = np.random.default_rng(0)
    hidden: dict[str, Callable[[Any, float], float]] = {
        "zero": lambda env, action: 0.0,
        "random": lambda env, action: float(rng.normal(scale=100)),
        "action": lambda env, action: -1000 * action,
        "nan": lambda env, action: float("nan"),
    }
    agents, rewards = {}, {}
    for name, reward in hidden.items():
        model, preferences = train_on_answers(algo, drift_venv(hidden_reward=reward), position_teacher)
        assert preferences.trainer.n_comparisons == 20
        agents[name] = policy_weights(model)
        rewards[name] = np.concatenate([a.ravel() for a in preferences.reward_model.state()[0].values()])
    for name in hidden:
        np.testing.assert_array_equal(agents[name], agents["zero"], err_msg=name)
        np.testing.assert_array_equal(rewards[name], rewards["zero"], err_msg=name)


def test_the_answers_do_reach_the_agent(
    drift_venv: MakeVenv,
    position_teacher: Teacher,
    policy_weights: Callable[[Agent], FloatArray],
) -> None:
    """The test above would pass on an agent that learns nothing."""
    answered, _ = train_on_answers("ppo", drift_venv(), position_teacher)
    shuffled, _ = train_on_answers("ppo", drift_venv(), ShuffledTeacher(position_teacher, seed=0))
    assert not np.array_equal(policy_weights(answered), policy_weights(shuffled))


# --- answers without information --------------------------------------------------------------------------


class Levers(gym.Env[FloatArray, FloatArray]):
    """Eight levers to push one way or the other; the true reward is 20 x the mean of the right ways.

    20, so that a true reward that leaked would be louder than a learned one, whose sd is 1.
    """

    DIRECTIONS = np.array([1, -1, 1, 1, -1, -1, 1, -1])

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (8,), np.float32)
        self._n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        super().reset(seed=seed)
        self._n_steps = 0
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        self._n_steps += 1
        reward = 20 * float(np.mean(action * self.DIRECTIONS))
        return np.zeros(1, dtype=np.float32), reward, False, self._n_steps >= 10, {}


def levers_learned(teacher: Teacher, seed: int) -> float:
    """Mean push in the right direction, in [-1, 1], of what was learned; an untrained agent has about 0."""
    preferences = PreferenceLearning(
        make_vec_env(Levers, n_envs=8, seed=seed),
        teacher=teacher,
        n_labels=100,
        seed=seed,
        feedback=FeedbackSettings(segment_length=3, initial_timesteps=512, initial_share=0.5, labels_per_round=10),
    )
    with preferences.store:
        model = PPO(
            "MlpPolicy",
            preferences.venv,
            n_steps=64,
            batch_size=256,
            n_epochs=8,
            learning_rate=5e-3,
            seed=seed,
            device="cpu",
        )
        model.learn(12 * 512, callback=preferences.callback())
    action, _ = model.predict(np.zeros(1, dtype=np.float32), deterministic=True)
    return float(np.mean(action * Levers.DIRECTIONS))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_answers_without_information_teach_nothing() -> None:
    """Each shuffled agent goes somewhere, but not where the true reward points.

    Eight levers pushed at random give ±0.35 per seed and ±0.16 for the mean of five seeds.
    """
    seeds = range(5)
    oracle = [levers_learned(OracleTeacher(), seed) for seed in seeds]
    shuffled = [levers_learned(ShuffledTeacher(OracleTeacher(), seed=seed), seed) for seed in seeds]
    assert min(oracle) > 0.5
    assert abs(np.mean(shuffled)) < 0.32
    assert max(shuffled) < min(oracle)


# --- a constant reward ------------------------------------------------------------------------------------


def survived_after_a_constant_reward(make_env: Callable[[], gym.Env[Any, Any]], seed: int) -> float:
    """Mean true return of the last episodes minus that of the first."""
    venv = LearnedRewardVecEnv(
        make_vec_env(make_env, n_envs=8, seed=seed),
        lambda observations, actions, following: np.ones(len(actions), dtype=np.float32),
    )
    returns: list[float] = []
    model = PPO(
        "MlpPolicy", venv, n_steps=64, batch_size=128, n_epochs=8, learning_rate=3e-3, seed=seed, device="cpu"
    )

    def remember(variables: dict[str, Any], _: dict[str, Any]) -> bool:
        returns.extend(info["episode"]["r"] for info in variables["infos"] if "episode" in info)
        return True

    model.learn(12 * 512, callback=remember)
    tenth = len(returns) // 10
    return float(np.mean(returns[-tenth:]) - np.mean(returns[:tenth]))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:An episode ended before its time limit")
def test_a_constant_reward_teaches_nothing_where_episodes_have_one_length(
    make_drift: Callable[..., gym.Env[Any, Any]],
) -> None:
    """The true reward is 1 near the middle. Where leaving it ends the episode, staying is learned from nothing."""

    def near_the_middle(env: Any, action: float) -> float:
        return float(abs(env.position) <= 0.25)

    def open_ended() -> gym.Env[Any, Any]:
        return make_drift(30, hidden_reward=near_the_middle, edge=0.25)

    leaking = [survived_after_a_constant_reward(open_ended, seed) for seed in range(3)]
    fixed = [survived_after_a_constant_reward(lambda: HideTermination(open_ended()), seed) for seed in range(3)]
    assert min(leaking) > 5, "the leak is there to be found"
    assert np.mean(fixed) < 2
