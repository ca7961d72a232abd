from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env

from prefrl.agents import LearnedReward, LearnedRewardVecEnv
from prefrl.errors import RewardModelError, SettingError
from prefrl.reward import RewardEnsemble
from prefrl.settings import RewardSettings
from prefrl_envs.testing import EXAMPLE_SPACES, ActionRewardEnv, CountingEnv, SpacesEnv

FloatArray = npt.NDArray[np.float32]


def negative_torque(observations: Any, actions: npt.NDArray[Any], following: Any = None) -> FloatArray:
    return np.asarray(-np.abs(actions[:, 0]), dtype=np.float32)


def first_number_plus_action(observations: Any, actions: npt.NDArray[Any], following: Any = None) -> FloatArray:
    return np.asarray(observations[:, 0] + 100 * actions[:, 0], dtype=np.float32)


def test_the_reward_belongs_to_the_observation_before_the_action() -> None:
    env = LearnedReward(CountingEnv((3,)), first_number_plus_action)
    for _ in range(2):
        env.reset(seed=0)
        for step in range(3):
            observation, reward, terminated, truncated, info = env.step(np.array([0.5], dtype=np.float32))
            assert reward == step + 50.0
            assert type(reward) is float
            assert info["env_reward"] == 10.0 * step
            assert observation == step + 1
            assert (terminated, truncated) == (False, step == 2)


def test_an_observation_written_over_in_place_is_not_mixed_up() -> None:
    class OneBuffer(gym.ObservationWrapper[FloatArray, FloatArray, FloatArray]):
        """Hands out its own memory, as some simulators do."""

        buffer = np.zeros(1, dtype=np.float32)

        def observation(self, observation: FloatArray) -> FloatArray:
            self.buffer[:] = observation
            return self.buffer

    env = LearnedReward(OneBuffer(CountingEnv()), first_number_plus_action)
    env.reset(seed=0)
    rewards = [env.step(np.zeros(1, dtype=np.float32))[1] for _ in range(4)]
    assert rewards == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("observation", EXAMPLE_SPACES)
@pytest.mark.parametrize("action", ["box", "discrete", "multi-discrete"])
def test_it_agrees_with_the_vectorised_wrapper(observation: str, action: str) -> None:
    """Same environment, seed, actions and reward function; across the ends of episodes."""
    kinds = deepcopy(EXAMPLE_SPACES[observation]), deepcopy(EXAMPLE_SPACES[action])
    ensemble = RewardEnsemble(*kinds, settings=RewardSettings(hidden_sizes=(8,)))
    ensemble.set_output_moments(np.zeros(3), np.ones(3))
    venv = LearnedRewardVecEnv(make_vec_env(lambda: SpacesEnv(*kinds, length=4), n_envs=1), ensemble.predict)
    own = deepcopy(kinds)  # a space has a random stream of its own
    env = LearnedReward(SpacesEnv(*own, length=4), ensemble.predict)
    venv.seed(3)
    venv.reset()
    env.reset(seed=3)
    kinds[1].seed(0)
    for _ in range(11):
        taken = kinds[1].sample()
        _, rewards, dones, infos = venv.step(np.asarray(taken)[None])
        _, reward, terminated, truncated, info = env.step(taken)
        assert reward == pytest.approx(float(rewards[0]), abs=1e-6)
        assert info["env_reward"] == pytest.approx(infos[0]["env_reward"])
        assert (terminated or truncated) == dones[0]
        if truncated:
            env.reset()


def test_a_dict_within_a_dict_is_read() -> None:
    inner = spaces.Dict({"gear": spaces.Discrete(3), "speed": spaces.Box(-1, 1, (2,), np.float32)})
    space = spaces.Dict({"car": inner, "flags": spaces.MultiBinary(2)})
    settings = RewardSettings(hidden_sizes=(8,), next_observation=True)
    ensemble = RewardEnsemble(space, EXAMPLE_SPACES["box"], settings=settings)
    ensemble.set_output_moments(np.zeros(3), np.ones(3))
    env = LearnedReward(SpacesEnv(space, EXAMPLE_SPACES["box"]), ensemble.predict)
    observation, _ = env.reset(seed=0)
    action = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    following, reward, *_ = env.step(action)
    before, after = (spaces.flatten(space, seen) for seen in (observation, following))
    flat = np.concatenate([before, action, after]).astype(np.float32)
    assert reward == pytest.approx(
        float(ensemble.raw(torch.as_tensor(flat)[None, None]).mean().detach()), abs=1e-6
    )


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_it_is_an_environment_by_gymnasiums_own_check() -> None:
    check_env(LearnedReward(ActionRewardEnv(), negative_torque), skip_render_check=True)


def test_the_spec_builds_it_again_with_the_same_reward() -> None:
    env = LearnedReward(gym.make("Pendulum-v1"), negative_torque)
    assert env.spec is not None
    (wrapper,) = [w for w in env.spec.additional_wrappers if w.name == "LearnedReward"]
    assert wrapper.entry_point == "prefrl.agents.learned_reward:LearnedReward"
    assert wrapper.kwargs == {"reward_fn": negative_torque}
    again = gym.make(env.spec)
    again.reset(seed=0)
    assert again.step(np.array([2.0], dtype=np.float32))[1] == -2.0


def test_the_reward_in_the_spec_is_the_one_that_goes_on_learning() -> None:
    """A copy would keep the rewards of the moment in which the environment was wrapped."""
    ensemble = RewardEnsemble(EXAMPLE_SPACES["box"], EXAMPLE_SPACES["box"])
    env = LearnedReward(gym.make("Pendulum-v1"), ensemble.predict)
    assert env.spec is not None
    kwargs = env.spec.additional_wrappers[-1].kwargs
    assert kwargs is not None
    assert kwargs["reward_fn"].__self__ is ensemble


def test_the_info_of_the_environment_is_left_as_it_was(make_drift: Callable[..., Any]) -> None:
    given: list[dict[str, Any]] = []

    class Remember(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            result = self.env.step(action)
            given.append(result[4])
            return result

    env = LearnedReward(Remember(make_drift()), negative_torque)
    env.reset(seed=0)
    *_, info = env.step(np.zeros(1, dtype=np.float32))
    assert sorted(info) == ["env_reward", "render_state"]
    assert list(given[0]) == ["render_state"]


# --- a saved reward model -----------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> tuple[RewardEnsemble, Path]:
    """A reward of Pendulum, that reads all it can, and its folder."""
    env = gym.make("Pendulum-v1")
    settings = RewardSettings(hidden_sizes=(8,), next_observation=True)
    ensemble = RewardEnsemble(env.observation_space, env.action_space, settings=settings, seed=1)
    ensemble.set_output_moments(np.zeros(3), np.full(3, 0.1))
    ensemble.save(tmp_path / "reward_model")
    return ensemble, tmp_path / "reward_model"


def assert_pays_as(ensemble: RewardEnsemble, env: gym.Env[Any, Any]) -> None:
    before, _ = env.reset(seed=0)
    for torque in (2.0, -0.5, 1.0):
        action = np.array([torque], dtype=np.float32)
        after, reward, *_, info = env.step(action)
        expected = ensemble.predict(before[None], action[None], after[None])[0]
        assert reward == pytest.approx(float(expected), abs=1e-6)
        assert abs(float(reward) - info["env_reward"]) > 1e-3
        before = after


def test_a_saved_model_pays(saved: tuple[RewardEnsemble, Path]) -> None:
    ensemble, folder = saved
    assert_pays_as(ensemble, LearnedReward(gym.make("Pendulum-v1"), reward_model=folder))
    assert_pays_as(ensemble, LearnedReward(gym.make("Pendulum-v1"), reward_model=str(folder)))


@pytest.mark.parametrize("way", ["spec", "json", "copy"])
def test_a_spec_with_a_saved_model_goes_through_text(saved: tuple[RewardEnsemble, Path], way: str) -> None:
    ensemble, folder = saved
    spec = LearnedReward(gym.make("Pendulum-v1"), reward_model=folder).spec
    assert spec is not None
    assert spec.additional_wrappers[-1].kwargs == {"reward_model": str(folder)}
    if way == "json":
        spec = EnvSpec.from_json(spec.to_json())
    again = gym.make(deepcopy(spec) if way == "copy" else spec)
    assert_pays_as(ensemble, again)
    assert again.spec == spec


def test_additional_wrappers_of_a_spec_can_name_it(saved: tuple[RewardEnsemble, Path]) -> None:
    ensemble, folder = saved
    spec = gym.spec("Pendulum-v1")
    own = deepcopy(spec)
    wrapper = WrapperSpec("LearnedReward", "prefrl.agents:LearnedReward", {"reward_model": str(folder)})
    own.additional_wrappers = (wrapper,)
    assert_pays_as(ensemble, gym.make(own))


@pytest.mark.parametrize("given", ["neither", "both"])
def test_exactly_one_thing_pays(saved: tuple[RewardEnsemble, Path], given: str) -> None:
    kwargs: dict[str, Any] = {} if given == "neither" else {"reward_fn": negative_torque, "reward_model": saved[1]}
    with pytest.raises(SettingError, match=f"either `reward_fn`.*or `reward_model`.*Received {given}"):
        LearnedReward(gym.make("Pendulum-v1"), **kwargs)


@pytest.mark.parametrize(
    ("env_id", "what"), [("MountainCarContinuous-v0", "other observations"), ("CartPole-v1", "other obs")]
)
def test_a_model_of_other_spaces_is_refused(saved: tuple[RewardEnsemble, Path], env_id: str, what: str) -> None:
    with pytest.raises(RewardModelError, match=f"{what}.*Expected.*Received"):
        LearnedReward(gym.make(env_id), reward_model=saved[1])


def test_a_model_of_other_actions_is_refused(saved: tuple[RewardEnsemble, Path]) -> None:
    class TwoJoints(gym.ActionWrapper[Any, Any, Any]):
        def __init__(self, env: gym.Env[Any, Any]) -> None:
            super().__init__(env)
            self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)

        def action(self, action: Any) -> Any:
            return action[:1]

    with pytest.raises(RewardModelError, match=r"other actions.*Expected.*Received"):
        LearnedReward(TwoJoints(gym.make("Pendulum-v1")), reward_model=saved[1])


def test_actions_must_be_clipped_before_a_saved_model_reads_them(saved: tuple[RewardEnsemble, Path]) -> None:
    ensemble, folder = saved
    with pytest.raises(SettingError, match=r"within bounds.*Put what clips actions around the learned reward"):
        LearnedReward(gym.wrappers.ClipAction(gym.make("Pendulum-v1")), reward_model=folder)
    env = gym.wrappers.ClipAction(LearnedReward(gym.make("Pendulum-v1"), reward_model=folder))
    before, _ = env.reset(seed=0)
    after, reward, *_ = env.step(np.array([50.0], dtype=np.float32))
    clipped = np.array([[2.0]], dtype=np.float32)
    assert reward == pytest.approx(float(ensemble.predict(before[None], clipped, after[None])[0]), abs=1e-6)


def test_a_model_that_has_not_learned_is_refused(tmp_path: Path) -> None:
    """It would pay 0 for ever."""
    env = gym.make("Pendulum-v1")
    RewardEnsemble(env.observation_space, env.action_space).save(tmp_path)
    with pytest.raises(RewardModelError, match="before it had learned anything"):
        LearnedReward(env, reward_model=tmp_path)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(RewardModelError, match="no readable reward model"):
        LearnedReward(gym.make("Pendulum-v1"), reward_model=tmp_path)
