"""Policies as they were at some step: kept, put back, and fresh ones beside them."""

from typing import NamedTuple, TypeGuard

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy

from prefrl.agents.normalizer_statistics import begin_statistics, packed_statistics, put_statistics
from prefrl.agents.progress_watch import Window, packed, unpacked
from prefrl.parts import Arrays, Json, State, under


class KeptPolicy(NamedTuple):
    """A policy as it was when a window ended."""

    number: int
    """The first policy of the training is 1."""
    age: int
    """Environment steps it had learned in."""
    weights: Arrays
    statistics: Arrays
    """What `VecNormalize` had made of what it saw; empty where there is none."""
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
        normalizer = model.get_vec_normalize_env()
        return cls(number, age, weights, packed_statistics(normalizer) if normalizer else {}, window)

    def put_back(self, model: OnPolicyAlgorithm) -> None:
        """Give the model this policy, and the environments the statistics it had seen."""
        _put(model, {name: torch.as_tensor(array) for name, array in self.weights.items()})
        normalizer = model.get_vec_normalize_env()
        if normalizer is not None:
            put_statistics(normalizer, self.statistics)

    def state(self) -> State:
        """Return it as a checkpoint keeps it."""
        arrays, window = packed(self.window)
        arrays = {f"window.{name}": array for name, array in arrays.items()}
        arrays |= {f"weights.{name}": array for name, array in self.weights.items()}
        arrays |= {f"normalizer.{name}": array for name, array in self.statistics.items()}
        return arrays, {"number": self.number, "age": self.age, "window": window}

    @classmethod
    def from_state(cls, arrays: Arrays, values: Json) -> "KeptPolicy":
        """Return what `state` was taken of."""
        # Those of earlier versions have the statistics of observations only, under other names.
        earlier = {f"observation:{name}": array for name, array in under("statistics.", arrays).items()}
        return cls(
            values["number"],
            values["age"],
            under("weights.", arrays),
            under("normalizer.", arrays) or earlier,
            unpacked(arrays, "window.", values["window"]),
        )


def can_be_kept(model: BaseAlgorithm) -> TypeGuard[OnPolicyAlgorithm]:
    """Return whether a model's policy can be kept, put back and replaced by a fresh one.

    Not where it learns from a replay buffer, and not where its weights are no tensors of PyTorch's, as in SBX.
    """
    return isinstance(model, OnPolicyAlgorithm) and isinstance(
        getattr(model.policy, "optimizer", None), torch.optim.Optimizer
    )


def put_fresh_policy(model: OnPolicyAlgorithm, seed: int) -> None:
    """Give the model a policy with first weights; no global generator is touched.

    The statistics of `VecNormalize` begin anew, too. Those of a policy that did one thing for a long time are of
    that alone: what a fresh one sees would lie far outside, and its rewards would be scaled for another's.
    """
    _put(model, fresh_policy(model, seed).state_dict())
    normalizer = model.get_vec_normalize_env()
    if normalizer is not None:
        begin_statistics(normalizer)


def fresh_policy(model: BaseAlgorithm, seed: int) -> BasePolicy:
    """Return a policy like the model's with first weights; no global generator is touched."""
    settings = {**({"use_sde": True} if model.use_sde else {}), **model.policy_kwargs}  # not every policy knows it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model.policy_class(model.observation_space, model.action_space, model.lr_schedule, **settings)


def _put(model: OnPolicyAlgorithm, weights: dict[str, torch.Tensor]) -> None:
    model.policy.load_state_dict(weights)
    model.policy.optimizer.state.clear()  # its momentum belongs to the other policy
