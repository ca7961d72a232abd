"""Builders of the agents with the settings of a run: the algorithms that the registry lists.

Everything that SB3 calls by a name keeps that name. Any other algorithm of SB3 works with `PreferenceLearning`
directly; these builders are what the command line offers.
"""

import re
from typing import Any, TypeAlias

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from prefrl.errors import SettingError, SpaceError
from prefrl.registry import ALGORITHMS, look_up
from prefrl.reward.inputs import is_image
from prefrl.settings import AgentSettings

Agent: TypeAlias = OnPolicyAlgorithm | OffPolicyAlgorithm
"""What learns here, with rollouts or with a replay buffer."""


def algorithm(name: str) -> type[BaseAlgorithm]:
    """Return the class of an algorithm that the registry lists.

    Raises:
        SettingError: It lists none of that name.
    """
    kind: type[BaseAlgorithm] = look_up(ALGORITHMS, name, "algo")
    return kind


class SmallCNN(BaseFeaturesExtractor):
    """The network of Mnih et al. 2013 and 2016 (A3C): convolutions of 16 and 32 filters, 256 units.

    Training it takes a third of the time of SB3's `NatureCNN`.

    Args:
        observation_space: Images, channels first, as SB3 hands them to a policy.
        features_dim: Units of the last layer.
    """

    def __init__(self, observation_space: spaces.Box, features_dim: int = 256) -> None:
        super().__init__(observation_space, features_dim)
        n_channels, height, width = observation_space.shape
        for size, stride in ((8, 4), (4, 2)):
            height, width = (height - size) // stride + 1, (width - size) // stride + 1
        self.layers = nn.Sequential(
            nn.Conv2d(n_channels, 16, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * height * width, features_dim),
            nn.ReLU(),
        )

    def forward(self, observations: Tensor) -> Tensor:
        """Return features [n, features_dim] of images [n, channels, height, width] with values from 0 to 1."""
        features: Tensor = self.layers(observations)
        return features


ADAM: dict[str, Any] = {"eps": 1e-5, "fused": True}
"""SB3's Adam, but all weights in one call: an update of PPO with small networks takes a tenth less time. A2C has
an optimiser and settings of its own."""

CNNS: dict[str, type[BaseFeaturesExtractor]] = {"small": SmallCNN, "nature": NatureCNN}


def make_agent(
    algo: str,
    venv: VecEnv,
    *,
    seed: int,
    settings: AgentSettings = AgentSettings(),
) -> Agent:
    """Return an agent of SB3 with the policy that fits the observations: an MLP, a CNN for images, or for `Dict`.

    Args:
        algo: A name of the registry, such as "ppo".
        venv: What it learns in.
        seed: Of its weights and its exploration.
        settings: Of the agent. In its `settings`, `learning_rate` and `clip_range` may be written "lin_2.5e-4":
            falling linearly from there to 0; `action_noise` is the standard deviation of normal noise, where
            actions lie between -1 and 1.

    Raises:
        SettingError: The algorithm or the network is unknown, or the algorithm does not have one of the
            settings.
        SpaceError: The algorithm cannot act in such a space, or has no policy for such observations.
    """
    kind = algorithm(algo)
    if settings.cnn not in CNNS:
        raise SettingError(f"`cnn` must be one of {', '.join(CNNS)}. Received {settings.cnn!r}.")
    policy_kwargs: dict[str, Any] = {}
    if issubclass(kind, OnPolicyAlgorithm):
        policy_kwargs |= {"log_std_init": settings.log_std_init, "optimizer_kwargs": dict(ADAM)}
    if is_image(venv.observation_space):
        policy = "CnnPolicy"
        policy_kwargs |= {"features_extractor_class": CNNS[settings.cnn]}
    else:
        policy = "MultiInputPolicy" if hasattr(venv.observation_space, "spaces") else "MlpPolicy"
        policy_kwargs |= {"net_arch": list(settings.hidden_sizes)}
    remembering = policy.replace("Policy", "LstmPolicy")
    if remembering in kind.policy_aliases:
        policy = remembering
    if policy not in kind.policy_aliases:
        raise SpaceError(
            f"{algo} has no policy for observations in {venv.observation_space}; its policies are "
            f"{', '.join(kind.policy_aliases)}."
        )
    of_sb3 = {name: _as_sb3_has_it(name, value, venv.action_space) for name, value in settings.settings.items()}
    try:
        agent = kind(policy, venv, seed=seed, device=settings.device, policy_kwargs=policy_kwargs, **of_sb3)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise SettingError(f"{algo} does not take these settings: {error}.") from error
    except AssertionError as error:
        takes = re.findall(r"spaces\.\w+\.(\w+)", str(error).partition("action spaces")[0])
        if not takes:
            raise
        raise SpaceError(
            f"{algo} cannot act in {venv.action_space}; it acts in {', '.join(takes)}. Choose another algorithm, "
            "or wrap the environment."
        ) from error
    assert isinstance(agent, (OnPolicyAlgorithm, OffPolicyAlgorithm))
    use_channels_last(agent)
    return agent


def use_channels_last(agent: BaseAlgorithm) -> None:
    """Have the convolutions of an agent compute in the memory order that is twice as fast on CPUs.

    What they compute stays the same up to rounding. Agents without convolutions are not changed.
    """
    for module in agent.policy.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)


def _as_sb3_has_it(name: str, value: Any, actions: spaces.Space[Any]) -> Any:
    """Turn what a file can say into what SB3 takes: schedules, noise, and how often it trains."""
    if name == "action_noise" and isinstance(value, int | float):
        shape = actions.shape or ()
        return NormalActionNoise(np.zeros(shape), np.full(shape, float(value)))
    if name == "train_freq" and isinstance(value, list):
        return tuple(value)
    return _schedule(value)


def _schedule(value: Any) -> Any:
    """Turn "lin_X" into a schedule that falls linearly from X to 0 over the training."""
    if isinstance(value, str) and not value.startswith("lin_") and _is_number(value):
        raise SettingError(f"{value!r} is a text to YAML; write it with a point and a sign, as 1.0e-3.")
    if not isinstance(value, str) or not value.startswith("lin_"):
        return value
    try:
        return LinearSchedule(float(value.removeprefix("lin_")), 0.0, 1.0)
    except ValueError as error:
        raise SettingError(f"A linear schedule is written like lin_2.5e-4. Received {value!r}.") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
