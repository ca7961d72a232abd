from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN, PPO, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize
from torch import nn

from prefrl.agents import EntropyTRPO, PreferenceLearning, algorithm, make_agent
from prefrl.errors import SettingError, SpaceError
from prefrl.feedback import OracleTeacher
from prefrl.registry import ALGORITHMS, OFF_POLICY, ON_POLICY
from prefrl.settings import AgentSettings, FeedbackSettings, RestartSettings
from prefrl_envs.testing import EXAMPLE_SPACES, SpacesEnv

MakeVenv = Callable[..., VecEnv]
Weights = Callable[[BaseAlgorithm], npt.NDArray[np.float32]]


@pytest.mark.parametrize("algo", ON_POLICY)
def test_a_name_gives_its_algorithm_with_the_settings(drift_venv: MakeVenv, algo: str) -> None:
    model = make_agent(
        algo,
        drift_venv(),
        seed=0,
        settings=AgentSettings(hidden_sizes=(7, 5), log_std_init=-0.5, settings={"gamma": 0.5}),
    )
    assert type(model) is algorithm(algo)
    assert model.gamma == 0.5
    shapes = {name: tuple(p.shape) for name, p in model.policy.named_parameters()}
    for net in ("policy_net", "value_net"):
        assert shapes[f"mlp_extractor.{net}.0.weight"] == (7, 256 if algo == "ppo_lstm" else 2)
        assert shapes[f"mlp_extractor.{net}.2.weight"] == (5, 7)
    assert dict(model.policy.named_parameters())["log_std"].tolist() == [-0.5]


@pytest.mark.parametrize("algo", ["ppo", "trpo"])
def test_one_call_for_all_weights_learns_what_stable_baselines_does(
    drift_venv: MakeVenv, policy_weights: Weights, algo: str
) -> None:
    settings: dict[str, Any] = {"n_steps": 16, "batch_size": 8}
    theirs = algorithm(algo)("MlpPolicy", drift_venv(), seed=0, device="cpu", **settings)
    before = policy_weights(theirs)
    theirs.learn(32)
    ours = make_agent(algo, drift_venv(), seed=0, settings=AgentSettings(log_std_init=0.0, settings=settings))
    assert ours.policy.optimizer.defaults == theirs.policy.optimizer.defaults | {"fused": True}
    ours.learn(32)
    step = np.abs(policy_weights(theirs) - before).mean()
    np.testing.assert_allclose(policy_weights(ours), policy_weights(theirs), rtol=0, atol=step / 10)


def test_an_optimiser_that_has_settings_of_its_own_keeps_them(drift_venv: MakeVenv) -> None:
    ours = make_agent("a2c", drift_venv(), seed=0, settings=AgentSettings(settings={}))
    assert ours.policy.optimizer.defaults == A2C("MlpPolicy", drift_venv()).policy.optimizer.defaults


def test_names_are_those_of_the_literature() -> None:
    assert [algorithm(name) for name in ("ppo", "a2c", "trpo")] == [PPO, A2C, EntropyTRPO]


def test_same_seed_same_agent_other_seed_another(drift_venv: MakeVenv, policy_weights: Weights) -> None:
    first, again, other = (
        policy_weights(make_agent("ppo", drift_venv(), seed=seed, settings=AgentSettings(settings={})))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_observations_of_several_parts_get_a_policy_that_reads_them() -> None:
    venv = make_vec_env(lambda: SpacesEnv(EXAMPLE_SPACES["dict"], EXAMPLE_SPACES["box"]), n_envs=2, seed=0)
    model = make_agent("a2c", venv, seed=0, settings=AgentSettings(settings={"n_steps": 4}))
    assert model.learn(16).num_timesteps == 16


# --- images -----------------------------------------------------------------------------------------------


def stacked_screens() -> VecEnv:
    space = spaces.Box(0, 255, (84, 84, 1), np.uint8)
    return VecFrameStack(make_vec_env(lambda: SpacesEnv(space, spaces.Discrete(3)), n_envs=2, seed=0), 4)


@pytest.mark.parametrize(
    ("cnn", "kernels"),
    [("small", [(16, 4, 8, 8), (32, 16, 4, 4)]), ("nature", [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3)])],
)
def test_images_get_the_network_that_was_asked_for(cnn: Any, kernels: list[tuple[int, ...]]) -> None:
    model = make_agent("a2c", stacked_screens(), seed=0, settings=AgentSettings(cnn=cnn, settings={"n_steps": 4}))
    convolutions = [
        module for module in model.policy.features_extractor.modules() if isinstance(module, nn.Conv2d)
    ]
    assert [tuple(module.weight.shape) for module in convolutions] == kernels
    assert model.policy.features_extractor.features_dim == {"small": 256, "nature": 512}[cnn]
    assert model.learn(16).num_timesteps == 16


def test_channels_last_changes_the_order_in_memory_and_nothing_else() -> None:
    model = make_agent("a2c", stacked_screens(), seed=0, settings=AgentSettings(settings={"n_steps": 4}))
    images = torch.rand(5, 4, 84, 84)
    extractor = model.policy.features_extractor
    first = next(module for module in extractor.modules() if isinstance(module, nn.Conv2d))
    assert first.weight.is_contiguous(memory_format=torch.channels_last)
    ours = extractor(images)
    for module in extractor.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.contiguous()
    torch.testing.assert_close(extractor(images), ours)


def test_an_unknown_network_is_an_error(drift_venv: MakeVenv) -> None:
    unknown: Any = "resnet"
    with pytest.raises(SettingError, match=r"`cnn` must be one of small, nature\. Received 'resnet'\."):
        make_agent(
            "ppo",
            drift_venv(),
            seed=0,
            settings=AgentSettings(cnn=unknown),
        )


# --- settings ---------------------------------------------------------------------------------------------


def test_a_setting_may_fall_linearly(drift_venv: MakeVenv) -> None:
    model = make_agent(
        "ppo",
        drift_venv(),
        seed=0,
        settings=AgentSettings(settings={"learning_rate": "lin_4e-4", "clip_range": 0.1}),
    )
    assert [model.lr_schedule(left) for left in (1.0, 0.5, 0.0)] == pytest.approx([4e-4, 2e-4, 0.0])


def test_a_schedule_that_is_none_is_an_error(drift_venv: MakeVenv) -> None:
    with pytest.raises(SettingError, match=r"written like lin_2\.5e-4\. Received 'lin_fast'\."):
        make_agent("ppo", drift_venv(), seed=0, settings=AgentSettings(settings={"learning_rate": "lin_fast"}))


def test_an_unknown_algorithm_is_an_error(drift_venv: MakeVenv) -> None:
    with pytest.raises(
        SettingError, match=rf"`algo` must be one of {', '.join(ALGORITHMS)}\. Received 'reinforce'\."
    ):
        make_agent("reinforce", drift_venv(), seed=0, settings=AgentSettings(settings={}))


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_setting_that_the_algorithm_does_not_have_is_an_error(algo: str) -> None:
    with pytest.raises(SettingError, match=rf"{algo} does not take these settings: .*'patience'"):
        make_agent(algo, venv_for(algo), seed=0, settings=AgentSettings(settings={"patience": 10}))


# --- off-policy -------------------------------------------------------------------------------------------


def acts_in_numbers(algo: str) -> bool:
    """Whether an algorithm chooses one of several actions, and none in between."""
    return algo in ("dqn", "qrdqn")


def venv_for(algo: str, observed: str = "box") -> VecEnv:
    acted = spaces.Discrete(3) if acts_in_numbers(algo) else spaces.Box(-1, 2, (2,), np.float32)
    return make_vec_env(lambda: SpacesEnv(EXAMPLE_SPACES[observed], acted), n_envs=2, seed=0)


@pytest.mark.parametrize("algo", OFF_POLICY)
def test_off_policy_a_name_gives_its_algorithm_with_the_settings(algo: str) -> None:
    settings = AgentSettings(hidden_sizes=(7, 5), settings={"gamma": 0.5, "learning_starts": 4, "batch_size": 4})
    model = make_agent(algo, venv_for(algo), seed=0, settings=settings)
    assert type(model) is algorithm(algo)
    assert model.gamma == 0.5
    layers = [module.out_features for module in model.policy.modules() if isinstance(module, nn.Linear)]
    n_networks = sum(width == 7 for width in layers)
    assert n_networks >= 2  # of actions or values, and its target; or of both
    assert sum(width == 5 for width in layers) == n_networks
    assert model.learn(40).num_timesteps == 40


@pytest.mark.parametrize("algo", [algo for algo in OFF_POLICY if algo != "crossq"])
def test_off_policy_policies_read_what_is_observed(algo: str) -> None:
    model = make_agent(algo, venv_for(algo, "dict"), seed=0, settings=AgentSettings(settings={"batch_size": 4}))
    assert type(model.policy) is model.policy_aliases["MultiInputPolicy"]


@pytest.mark.parametrize(
    ("algo", "acted", "takes"),
    [
        ("sac", spaces.Discrete(3), "Box"),
        ("dqn", spaces.Box(-1, 1, (1,)), "Discrete"),
        ("qrdqn", spaces.MultiBinary(2), "Discrete"),
    ],
)
def test_actions_that_an_algorithm_cannot_choose_are_said(algo: str, acted: Any, takes: str) -> None:
    venv = make_vec_env(lambda: SpacesEnv(EXAMPLE_SPACES["box"], acted), n_envs=2, seed=0)
    with pytest.raises(SpaceError, match=rf"{algo} cannot act in .*; it acts in {takes}\. Choose another"):
        make_agent(algo, venv, seed=0)


def test_observations_that_an_algorithm_cannot_read_are_said() -> None:
    with pytest.raises(SpaceError, match=r"crossq has no policy for observations in Dict.*MlpPolicy\."):
        make_agent("crossq", venv_for("crossq", "dict"), seed=0)


def test_noise_is_a_number_in_a_file() -> None:
    model = make_agent("td3", venv_for("td3"), seed=0, settings=AgentSettings(settings={"action_noise": 0.25}))
    assert isinstance(model, TD3)
    assert isinstance(model.action_noise, NormalActionNoise)
    drawn = np.array([model.action_noise() for _ in range(2000)])
    assert drawn.shape == (2000, 2)
    assert drawn.std() == pytest.approx(0.25, abs=0.01)


def test_training_after_episodes_is_a_list_in_a_file() -> None:
    settings = AgentSettings(settings={"train_freq": [2, "episode"]})
    venv = make_vec_env(lambda: SpacesEnv(EXAMPLE_SPACES["box"], spaces.Discrete(3)), n_envs=1)
    model = make_agent("dqn", venv, seed=0, settings=settings)
    assert isinstance(model, DQN)
    assert isinstance(model.train_freq, TrainFreq)
    assert tuple(model.train_freq) == (2, TrainFrequencyUnit.EPISODE)


# --- those that only scripts have -------------------------------------------------------------------------


class Masked(gym.Env[npt.NDArray[np.float32], np.int64]):
    """One action of four is forbidden, another one at every step; the first is what the task wants."""

    observation_space = spaces.Box(-1, 1, (3,), np.float32)
    action_space = spaces.Discrete(4)
    steps = 0

    def action_masks(self) -> npt.NDArray[np.bool_]:
        masks = np.ones(4, dtype=bool)
        masks[self.steps % 4] = False
        return masks

    def observation(self) -> npt.NDArray[np.float32]:
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self.observation(), {}

    def step(self, action: np.int64) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_masks()[action]
        self.steps += 1
        return self.observation(), float(action == 0), False, self.steps >= 40, {}


def test_actions_that_an_environment_masks_are_not_taken() -> None:
    """sb3-contrib's MaskablePPO asks for the masks through all wrappers, also with policies that are replaced."""
    prefs = PreferenceLearning(
        make_vec_env(Masked, n_envs=2, seed=0),
        teacher=OracleTeacher(),
        n_labels=40,
        feedback=FeedbackSettings(segment_length=8, initial_timesteps=256, labels_per_round=5),
        restarts=RestartSettings(first_policies=1),
    )
    quick: dict[str, Any] = {"n_steps": 128, "batch_size": 64, "n_epochs": 5, "learning_rate": 3e-3, "gamma": 0.5}
    model = MaskablePPO("MlpPolicy", VecNormalize(prefs.venv), seed=0, device="cpu", **quick)
    model.learn(2560, callback=prefs.callback())
    assert prefs.labels.n_labels == 40
    assert prefs.restarts.n_policies >= 2
    assert np.mean([episode["r"] for episode in list(model.ep_info_buffer or [])[-10:]]) > 20, "chance: 10 of 30"
