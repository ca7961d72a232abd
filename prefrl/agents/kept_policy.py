"""Policies as they were at some step: kept, put back, and fresh ones beside them."""

from typing import NamedTuple

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd

from prefrl.agents.progress_watch import Window, packed, unpacked
from prefrl.parts import Arrays, Json, State


class KeptPolicy(NamedTuple):
    """A policy as it was when a window ended."""

    number: int
    """The first policy of the training is 1."""
    age: int
    """Environment steps it had learned in."""
    weights: Arrays
    statistics: Arrays
    """Of the normalised observations; empty where they are not normalised."""
    window: Window
    """What it did."""

    @property
    def words(self) -> str:
        """Its name in a sentence."""
        return f"policy {self.number} as it was at step {self.window.until:,}"

    @classmethod
    def of(cls, model: OnPolicyAlgorithm, number: int, age: int, window: Window) -> "KeptPolicy":
        """Keep the policy that a model has now."""
        weights = {name: tensor.cpu().numpy().copy() for name, tensor in model.policy.state_dict().items()}
        return cls(number, age, weights, _statistics(model), window)

    def put_back(self, model: OnPolicyAlgorithm) -> None:
        """Give the model this policy, and the environments the statistics it had seen."""
        _put(model, {name: torch.as_tensor(array) for name, array in self.weights.items()})
        for name, running in _running(model).items():
            if f"{name}.mean" in self.statistics:
                running.mean = self.statistics[f"{name}.mean"].copy()
                running.var = self.statistics[f"{name}.var"].copy()
                running.count = float(self.statistics[f"{name}.count"][0])

    def state(self) -> State:
        """Return it as a checkpoint keeps it."""
        arrays, window = packed(self.window)
        arrays = {f"window.{name}": array for name, array in arrays.items()}
        arrays |= {f"weights.{name}": array for name, array in self.weights.items()}
        arrays |= {f"statistics.{name}": array for name, array in self.statistics.items()}
        return arrays, {"number": self.number, "age": self.age, "window": window}

    @classmethod
    def from_state(cls, arrays: Arrays, values: Json) -> "KeptPolicy":
        """Return what `state` was taken of."""
        return cls(
            values["number"],
            values["age"],
            under("weights.", arrays),
            under("statistics.", arrays),
            unpacked(arrays, "window.", values["window"]),
        )


def put_fresh_policy(model: OnPolicyAlgorithm, seed: int) -> None:
    """Give the model a policy with first weights; no global generator is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = model.policy_class(
            model.observation_space,
            model.action_space,
            model.lr_schedule,
            **({"use_sde": True} if model.use_sde else {}),  # not every policy knows it
            **model.policy_kwargs,
        )
    _put(model, fresh.state_dict())


def under(prefix: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _put(model: OnPolicyAlgorithm, weights: dict[str, torch.Tensor]) -> None:
    model.policy.load_state_dict(weights)
    model.policy.optimizer.state.clear()  # its momentum belongs to the other policy


def _running(model: OnPolicyAlgorithm) -> dict[str, RunningMeanStd]:
    """Return the running statistics of observations that `VecNormalize` has, by name."""
    normalizer = model.get_vec_normalize_env()
    if normalizer is None or not normalizer.norm_obs:
        return {}
    own = normalizer.obs_rms
    return own if isinstance(own, dict) else {"": own}


def _statistics(model: OnPolicyAlgorithm) -> Arrays:
    result: Arrays = {}
    for name, running in _running(model).items():
        result |= {
            f"{name}.mean": np.array(running.mean),
            f"{name}.var": np.array(running.var),
            f"{name}.count": np.array([running.count], dtype=np.float64),
        }
    return result
