"""The critic of a run that learned from the true reward, as what a regret teacher takes for V*.

It is read from SB3's file once, when a training begins, and kept with the new run as plain arrays: that run goes
on though the other one is gone, and no file of the other runs code again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor

from prefrl.config import RunConfig
from prefrl.errors import RunError
from prefrl.files import write_whole
from prefrl.parts import under
from prefrl.runs.folder import RunFolder
from prefrl.runs.saved_parts import saved_agent
from prefrl.runs.settings_changes import latest_checkpoint

Array = npt.NDArray[Any]

EPSILON, CLIP = 1e-8, 10.0
"""Of SB3's `VecNormalize`: what is added to variances, and the largest normalised observation."""
ACTIVATIONS = {torch.nn.Tanh: "tanh", torch.nn.ReLU: "relu"}


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueFunction:
    """The values of a critic of fully connected layers, in the unit of the true return."""

    weights: tuple[Array, ...]
    """Of the layers, each [out, in]."""
    biases: tuple[Array, ...]
    """Of the layers, each [out]."""
    activation: str
    """Between layers: "tanh" or "relu"."""
    mean: Array
    """That observations are normalised by, [*obs]."""
    variance: Array
    """The same, [*obs]."""
    is_normalized: bool
    """Whether they are."""
    scale: float
    """True return in a unit of the critic's values, whose rewards were divided by it."""
    gamma: float
    """Discount of the values."""

    def __call__(self, observations: Array) -> Array:
        """Return the value of each observation [N, *obs], [N]."""
        seen = np.asarray(observations, dtype=np.float64)
        if self.is_normalized:
            seen = np.clip((seen - self.mean) / np.sqrt(self.variance + EPSILON), -CLIP, CLIP)
        hidden = seen.reshape(len(seen), -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = hidden @ weight.T + bias
            hidden = np.tanh(hidden) if self.activation == "tanh" else np.maximum(hidden, 0)
        return self.scale * (hidden @ self.weights[-1].T + self.biases[-1])[:, 0]

    def save(self, path: Path) -> None:
        """Write it as one file.

        Raises:
            OSError: It cannot be written.
        """
        arrays = {f"weight.{i}": weight for i, weight in enumerate(self.weights)}
        arrays |= {f"bias.{i}": bias for i, bias in enumerate(self.biases)}
        arrays |= {"mean": self.mean, "variance": self.variance}
        about = {
            "activation": self.activation,
            "is_normalized": self.is_normalized,
            "scale": self.scale,
            "gamma": self.gamma,
        }
        arrays = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}
        path.parent.mkdir(exist_ok=True)
        write_whole(path, save(arrays, metadata={"about": json.dumps(about)}))

    @classmethod
    def load(cls, path: Path) -> "ValueFunction":
        """Return what `save` wrote.

        Raises:
            RunError: The file is damaged.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                arrays: dict[str, Array] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                about: Mapping[str, Any] = json.loads(file.metadata()["about"])
            n_layers = sum(name.startswith("weight.") for name in arrays)
            return cls(
                weights=tuple(arrays[f"weight.{i}"] for i in range(n_layers)),
                biases=tuple(arrays[f"bias.{i}"] for i in range(n_layers)),
                mean=arrays["mean"],
                variance=arrays["variance"],
                **about,
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path} is damaged: it holds no value function ({error}).") from error


def value_function_of(path: Path, wanted: RunConfig) -> ValueFunction:
    """Return the critic of a run as it is in its last checkpoint.

    Args:
        path: The folder of the run.
        wanted: Settings of the run in which it is to judge.

    Raises:
        RunError: It is no run with a checkpoint, did not learn from the true reward, is of another task, or its
            critic is none of fully connected layers for the values of states.
    """
    folder = RunFolder.open(path)
    config = folder.config()
    _check_config(path, config, wanted)
    checkpoint = latest_checkpoint(folder)
    if checkpoint is None:
        raise RunError(f"{path} has no checkpoint yet; go on with `prefrl resume {path}`.")
    policy = saved_agent(config.algo, checkpoint.agent, "cpu").policy
    layers, activation = _layers(path, policy)
    statistics = under("normalizer/", checkpoint.arrays)
    is_normalized = "observation:.mean" in statistics
    shape = policy.observation_space.shape or ()
    scale = np.sqrt(float(statistics["return.var"].item()) + EPSILON) if config.agent.normalize_rewards else 1.0
    return ValueFunction(
        weights=tuple(layer.weight.detach().double().numpy() for layer in layers),
        biases=tuple(layer.bias.detach().double().numpy() for layer in layers),
        activation=activation,
        mean=statistics["observation:.mean"] if is_normalized else np.zeros(shape),
        variance=statistics["observation:.var"] if is_normalized else np.ones(shape),
        is_normalized=is_normalized,
        scale=float(scale),
        gamma=float(config.agent.settings.get("gamma", 0.99)),
    )


def _check_config(path: Path, config: RunConfig, wanted: RunConfig) -> None:
    if config.reward != "true" or config.agent.clip_rewards:
        what = "clips its rewards" if config.reward == "true" else f"learned from reward={config.reward}"
        raise RunError(f"The values of a regret teacher must be of the true reward, and {path} {what}.")
    for name in ("env_id", "env_kwargs", "oracle"):
        own, other = getattr(config, name), getattr(wanted, name)
        if name == "oracle":
            own, other = own or "gymnasium", other or "gymnasium"
        if own != other:
            raise RunError(
                f"The values of a regret teacher must be of the same task: `{name}` of {path} is {own!r}, and "
                f"here it is {other!r}."
            )


def _layers(path: Path, policy: Any) -> tuple[list[torch.nn.Linear], str]:
    """Return the layers between observations and value, and the name of what is between them."""
    if isinstance(policy, ActorCriticPolicy) and isinstance(policy.vf_features_extractor, FlattenExtractor):
        inner = list(policy.mlp_extractor.value_net)
        linear = [one for one in inner if isinstance(one, torch.nn.Linear)]
        between = {ACTIVATIONS.get(type(one), "") for one in inner if not isinstance(one, torch.nn.Linear)}
        if len(between) <= 1 and "" not in between and not hasattr(policy, "lstm_actor"):
            return [*linear, policy.value_net], "".join(between) or "tanh"
    raise RunError(
        f"The critic of {path} cannot say the values of a regret teacher: that takes an on-policy algorithm "
        "without memory (ppo, a2c, trpo) on observations that are no images."
    )
