"""Off-policy agents: what they have kept is always paid what the reward says now."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN, TQC, CrossQ
from stable_baselines3 import DDPG, DQN, PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.callbacks import ConvertCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import (
    VecCheckNan,
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecNormalize,
    VecTransposeImage,
)
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from prefrl.agents import PreferenceLearning
from prefrl.agents.learned_reward import ClippedRewardVecEnv
from prefrl.errors import SettingError
from prefrl.feedback import OracleTeacher
from prefrl.settings import FeedbackSettings, RestartSettings, RewardSettings
from prefrl_envs.testing import EXAMPLE_SPACES, SpacesEnv

MakeVenv = Callable[..., VecEnv]
TORQUES = spaces.Box(np.array([-2.0, 0.5], dtype=np.float32), np.array([3.0, 1.0], dtype=np.float32))
FEEDBACK = FeedbackSettings(segment_length=4, initial_timesteps=64, labels_per_round=3, recorder_steps=60)
SCREENS, COLOURS = (spaces.Box(0, 255, (43, 44, n_channels), np.uint8) for n_channels in (1, 3))
CONTINUOUS = {"sac": SAC, "td3": TD3, "ddpg": DDPG, "tqc": TQC, "crossq": CrossQ}
DISCRETE = {"dqn": DQN, "qrdqn": QRDQN}


class Spy(VecEnvWrapper):
    """Takes note of all that passes between environments and learned reward."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.steps: list[tuple[Any, npt.NDArray[Any], Any]] = []

    def reset(self) -> VecEnvObs:
        observations = self.venv.reset()
        self.before = _copy(observations)
        return observations

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        self.acted = actions.copy()
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        after = _copy(observations)
        for env in np.flatnonzero(dones):
            _put(after, env, infos[env]["terminal_observation"])
        self.steps.append((self.before, self.acted, after))
        self.before = _copy(observations)
        return observations, rewards, dones, infos


def _copy(observations: Any) -> Any:
    return (
        {k: v.copy() for k, v in observations.items()} if isinstance(observations, dict) else observations.copy()
    )


def _put(observations: Any, env: Any, value: Any) -> None:
    if isinstance(observations, dict):
        for key in observations:
            observations[key][env] = value[key]
    else:
        observations[env] = value


def learning(venv: VecEnv, **reward: Any) -> PreferenceLearning:
    return PreferenceLearning(
        venv,
        teacher=OracleTeacher(),
        n_labels=24,
        feedback=FEEDBACK,
        reward=replace(RewardSettings(hidden_sizes=(8,), first_epochs=2, epochs=1), **reward),
    )


def agent(kind: Any, venv: VecEnv, **settings: Any) -> OffPolicyAlgorithm:
    image = isinstance(venv.observation_space, spaces.Box) and len(venv.observation_space.shape) == 3
    several = isinstance(venv.observation_space, spaces.Dict)
    policy = "CnnPolicy" if image else "MultiInputPolicy" if several else "MlpPolicy"
    # Few updates, which cost the most: what is kept and paid anew is the same with many.
    own = {
        "learning_starts": 20,
        "batch_size": 4,
        "buffer_size": 5000,
        "train_freq": 8,
        "seed": 0,
        "device": "cpu",
    }
    own |= settings
    model: OffPolicyAlgorithm = kind(policy, venv, policy_kwargs={"net_arch": [8]}, **own)
    return model


def worlds(observed: spaces.Space[Any], acted: spaces.Space[Any], n_envs: int = 2) -> VecEnv:
    return make_vec_env(lambda: SpacesEnv(observed, acted, length=9), n_envs=n_envs, seed=0)


def expected(spy: Spy, prefs: PreferenceLearning, most: int = 10_000) -> npt.NDArray[np.float32]:
    """What the reward says now of so many latest steps, oldest first, shape [n, N]."""
    return np.array([prefs.reward_model.predict(*step) for step in spy.steps[-most:]])


def kept(model: OffPolicyAlgorithm) -> npt.NDArray[np.float32]:
    """Rewards in the buffer, oldest first."""
    buffer = model.replay_buffer
    assert buffer is not None
    return np.roll(buffer.rewards, -buffer.pos, axis=0) if buffer.full else buffer.rewards[: buffer.pos]


@pytest.mark.parametrize("algo", [*CONTINUOUS, *DISCRETE])
@pytest.mark.parametrize("next_observation", [False, True])
def test_all_that_is_kept_is_paid_what_the_reward_says_now(algo: str, next_observation: bool) -> None:
    kind, acted = (CONTINUOUS[algo], TORQUES) if algo in CONTINUOUS else (DISCRETE[algo], spaces.Discrete(3))
    spy = Spy(worlds(EXAMPLE_SPACES["box"], acted))
    prefs = learning(spy, next_observation=next_observation)
    model = agent(kind, prefs.venv)
    model.learn(800, callback=prefs.callback())
    rewards = kept(model)
    np.testing.assert_allclose(rewards, expected(spy, prefs), atol=1e-5)
    assert rewards.std() > 0.1
    assert prefs.labels.n_labels == 24


OBSERVED = {name: space for name, space in EXAMPLE_SPACES.items() if name != "discrete"} | {
    "discrete": spaces.Discrete(4),
    "dict with a picture": spaces.Dict({"camera": COLOURS, "speed": spaces.Box(-1, 1, (2,), np.float32)}),
}


@pytest.mark.parametrize("observation", OBSERVED)
@pytest.mark.parametrize("normalize", [False, True])
def test_whatever_is_observed(observation: str, normalize: bool) -> None:
    if normalize and observation not in ("box", "box-2d", "dict"):
        pytest.skip("only numbers are normalised, and SB3's buffer mixes up pictures beside them")
    spy = Spy(worlds(OBSERVED[observation], TORQUES))
    prefs = learning(spy, next_observation=not normalize)
    keys = ["speed"] if observation.startswith("dict") else None
    venv: VecEnv = (
        VecNormalize(VecCheckNan(prefs.venv), norm_reward=False, norm_obs_keys=keys) if normalize else prefs.venv
    )
    model = agent(SAC, venv)
    model.learn(600, callback=prefs.callback())
    np.testing.assert_allclose(kept(model), expected(spy, prefs), atol=1e-4)
    assert kept(model).std() > 0.1


def idly_normalized(venv: VecEnv) -> VecEnv:
    return VecNormalize(VecTransposeImage(venv), norm_obs=False, norm_reward=False)


@pytest.mark.parametrize("n_stacked", [1, 2])
@pytest.mark.parametrize("wrapped", [lambda venv: venv, idly_normalized])
def test_images_are_read_as_the_environments_showed_them(
    n_stacked: int, wrapped: Callable[[VecEnv], VecEnv]
) -> None:
    venv = worlds(SCREENS, spaces.Discrete(3))
    spy = Spy(VecFrameStack(venv, n_stacked) if n_stacked > 1 else venv)
    prefs = learning(spy)
    model = agent(DQN, wrapped(prefs.venv), buffer_size=300, train_freq=50)
    assert model.replay_buffer is not None
    assert model.replay_buffer.observations.shape[2:] == (n_stacked, 43, 44), "the agent sees channels first"
    model.learn(400, callback=prefs.callback())
    np.testing.assert_allclose(kept(model), expected(spy, prefs, 150), atol=1e-4)
    assert kept(model).std() > 0.01


@pytest.mark.parametrize("n_envs", [1, 3])
def test_a_buffer_that_has_forgotten_its_beginning(n_envs: int) -> None:
    spy = Spy(worlds(EXAMPLE_SPACES["box"], TORQUES, n_envs))
    prefs = learning(spy)
    model = agent(SAC, prefs.venv, buffer_size=100 * n_envs)
    model.learn(600, callback=prefs.callback())
    np.testing.assert_allclose(kept(model), expected(spy, prefs, 100), atol=1e-5)


def test_buffers_of_other_kinds() -> None:
    for settings in (
        {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}},
        {"replay_buffer_class": NStepReplayBuffer, "replay_buffer_kwargs": {"n_steps": 3}},
    ):
        spy = Spy(worlds(EXAMPLE_SPACES["box"], TORQUES))
        prefs = learning(spy)
        model = agent(SAC, prefs.venv, **settings)
        model.learn(600, callback=prefs.callback())
        np.testing.assert_allclose(kept(model), expected(spy, prefs), atol=1e-5)


def test_many_are_paid_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(worlds(EXAMPLE_SPACES["box"], TORQUES))
    prefs = learning(spy)
    monkeypatch.setattr("prefrl.agents.replay.ROWS", 7)
    model = agent(SAC, prefs.venv)
    model.learn(600, callback=prefs.callback())
    np.testing.assert_allclose(kept(model), expected(spy, prefs), atol=1e-5)


def test_what_was_filled_elsewhere_is_paid_before_the_first_step() -> None:
    """Rewards of another training, or the true ones, are not learned from."""
    prefs = learning(worlds(EXAMPLE_SPACES["box"], TORQUES))
    model = agent(SAC, prefs.venv)
    assert model.replay_buffer is not None
    seen = []
    prefs.plan(400)
    model.learn(300, callback=prefs.callback())
    model.replay_buffer.rewards[:] = 99.0

    def first(local: dict[str, Any], _: dict[str, Any]) -> bool:
        seen.append(float(np.abs(model.replay_buffer.rewards[:150]).max()))  # type: ignore[union-attr]
        return True

    again = [prefs.callback(), ConvertCallback(first)]
    model.learn(20, callback=again, reset_num_timesteps=False)
    assert max(seen) < 99.0


@pytest.mark.parametrize(
    ("train_freq", "every"),
    [
        (3, 258),
        (400, 800),
        ((1, "episode"), 400),  # episodes of 200 steps
    ],
)
def test_labels_are_looked_at_by_the_steps_of_environments(
    train_freq: Any, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not at every rollout, which is a few steps here, but at the beginning of one."""
    episodes = isinstance(train_freq, tuple)
    prefs = learning(make_vec_env("Pendulum-v1", n_envs=1 if episodes else 2, seed=0))
    looks = []
    update = prefs.update

    def watched(**given: Any) -> Any:
        looks.append(prefs.num_timesteps)
        return update(**given)

    monkeypatch.setattr(prefs, "update", watched)
    agent(TD3, prefs.venv, train_freq=train_freq).learn(2400, callback=prefs.callback())
    assert looks == list(range(0, 2400, every))
    assert prefs.labels.n_labels == 24, "all of them by the last look"


def test_what_cannot_be_paid_anew_is_refused_before_the_first_step(drift_venv: MakeVenv) -> None:
    class Doubled(VecEnvWrapper):
        def reset(self) -> VecEnvObs:
            return 2 * np.asarray(self.venv.reset())

        def step_wait(self) -> VecEnvStepReturn:
            observations, *rest = self.venv.step_wait()
            return 2 * np.asarray(observations), *rest  # type: ignore[return-value]

    prefs = learning(drift_venv())
    with pytest.raises(SettingError, match=r"Doubled lies above the learned reward.*below `prefs\.venv`"):
        agent(SAC, Doubled(prefs.venv)).learn(100, callback=prefs.callback())
    with pytest.raises(SettingError, match="VecFrameStack lies above the learned reward"):
        agent(SAC, VecFrameStack(prefs.venv, 2)).learn(100, callback=prefs.callback())
    with pytest.raises(SettingError, match="ARS is no on-policy or off-policy algorithm"):
        ARS("MlpPolicy", prefs.venv, device="cpu").learn(100, callback=prefs.callback())
    small = {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}}
    reads_next = learning(drift_venv(), next_observation=True)
    with pytest.raises(SettingError, match=r"`optimize_memory_usage`.*`next_observation` false"):
        agent(SAC, reads_next.venv, **small).learn(100, callback=reads_next.callback())
    with pytest.raises(SettingError, match=r"VecNormalize divides rewards.*`norm_reward=False`"):
        agent(SAC, VecNormalize(prefs.venv)).learn(100, callback=prefs.callback())
    screens = learning(worlds(SCREENS, spaces.Discrete(3)))
    with pytest.raises(SettingError, match=r"Put `VecTransposeImage\(prefs\.venv\)` below it"):
        agent(DQN, VecNormalize(screens.venv, norm_obs=False, norm_reward=False)).learn(
            100, callback=screens.callback()
        )
    with pytest.raises(SettingError, match=r"does not learn in `prefs\.venv`"):
        agent(SAC, drift_venv()).learn(100, callback=prefs.callback())
    assert prefs.num_timesteps == reads_next.num_timesteps == 0


class Goals(gym.Env[Any, Any]):
    """Just enough for hindsight."""

    def __init__(self) -> None:
        place = spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = spaces.Dict(
            dict.fromkeys(("observation", "achieved_goal", "desired_goal"), place)
        )
        self.action_space = TORQUES

    def compute_reward(self, achieved: Any, desired: Any, info: Any) -> Any:
        return -np.linalg.norm(achieved - desired, axis=-1)

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}


def test_hindsight_is_refused() -> None:
    prefs = learning(make_vec_env(Goals, env_kwargs={}))
    model = agent(SAC, prefs.venv, replay_buffer_class=HerReplayBuffer)
    with pytest.raises(SettingError, match="HerReplayBuffer makes up goals"):
        model.learn(100, callback=prefs.callback())


def test_policies_are_neither_watched_nor_replaced(drift_venv: MakeVenv) -> None:
    prefs = learning(drift_venv())
    prefs.plan(600)
    agent(SAC, prefs.venv).learn(600, callback=prefs.callback())
    assert prefs.restarts.n_policies == 1
    assert prefs.venv.watch is None
    PPO("MlpPolicy", prefs.venv, n_steps=16, device="cpu").learn(64, callback=prefs.callback())
    assert prefs.venv.watch is not None, "those of an on-policy algorithm are, also after another one"


def test_first_policies_are_refused(drift_venv: MakeVenv) -> None:
    prefs = PreferenceLearning(
        drift_venv(), teacher=OracleTeacher(), restarts=RestartSettings(first_policies=2), feedback=FEEDBACK
    )
    with pytest.raises(SettingError, match=r"policy of SAC is not replaced.*Set it to 0"):
        agent(SAC, prefs.venv).learn(100, callback=prefs.callback())


def test_an_agent_does_more_of_what_is_preferred(drift_venv: MakeVenv) -> None:
    """Of going right or going left, whichever the teacher likes better."""
    acted = {}
    for side in (1.0, -1.0):
        hidden = partial(_paid_for_side, side)
        prefs = learning(drift_venv(hidden_reward=hidden), hidden_sizes=(16,))
        model = agent(
            SAC, prefs.venv, learning_rate=3e-3, batch_size=64, train_freq=1, gradient_steps=2, gamma=0.9
        )
        model.learn(3000, callback=prefs.callback())
        venv = drift_venv()
        observations, actions = venv.reset(), []
        for _ in range(10):
            actions.append(model.predict(np.asarray(observations), deterministic=True)[0])
            observations, *_ = venv.step(actions[-1])
        acted[side] = float(np.mean(actions))
    assert acted[1.0] - acted[-1.0] > 0.4


def _paid_for_side(side: float, env: Any, action: float) -> float:
    return side * action


def test_what_is_clipped_on_its_way_is_clipped_when_it_is_paid_anew() -> None:
    spy = Spy(worlds(EXAMPLE_SPACES["box"], TORQUES))
    prefs = learning(spy)
    model = agent(SAC, ClippedRewardVecEnv(prefs.venv))
    model.learn(800, callback=prefs.callback())
    worth = expected(spy, prefs)
    assert np.abs(worth).max() > 1.3
    np.testing.assert_allclose(kept(model), np.clip(worth, -1, 1), atol=1e-5)


def test_labels_are_looked_at_whatever_step_a_model_begins_at() -> None:
    """Its rollouts need not begin where a look would be due to the step."""
    prefs = learning(worlds(EXAMPLE_SPACES["box"], TORQUES))
    prefs.plan(2000)
    agent(SAC, prefs.venv, train_freq=5).learn(300, callback=prefs.callback())
    n_labels = prefs.labels.n_labels
    agent(TD3, prefs.venv, train_freq=8).learn(1700, callback=prefs.callback(), reset_num_timesteps=False)
    assert n_labels < 12 < prefs.labels.n_labels


def test_episodes_that_nothing_ends_are_no_rollouts() -> None:
    class Endless(SpacesEnv):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            observed, reward, _, _, info = super().step(action)
            return observed, reward, False, False, info

    venv = make_vec_env(lambda: Endless(EXAMPLE_SPACES["box"], TORQUES), n_envs=1, seed=0)
    prefs = learning(venv)
    model = agent(SAC, prefs.venv, train_freq=(1, "episode"))
    with pytest.raises(SettingError, match=r"`train_freq` counts episodes, and no time limit.*TimeLimit\."):
        model.learn(1000, callback=prefs.callback())
