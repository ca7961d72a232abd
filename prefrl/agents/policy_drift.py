"""How far a policy has gone from the one it began as.

The more a policy was optimised, the further it is: the x-axis of reward over-optimisation (Gao et al. 2023,
"Scaling laws for reward model overoptimization", section 2, with its d = sqrt(KL)).
"""

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import Distribution, kl_divergence
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy

STATES = 256
"""Of the latest rollout, drawn evenly over its steps and environments."""


class PolicyDrift:
    """Compares the policy of a model with a copy of its first one.

    Nothing is known of policies that draw no actions from a distribution of their own (off-policy), or that
    remember (recurrent ones).

    Args:
        model: As it is before its first step.
    """

    def __init__(self, model: BaseAlgorithm) -> None:
        policy = model.policy
        has_one = isinstance(policy, ActorCriticPolicy) and not hasattr(policy, "lstm_actor")
        self._first: Any = _copy(policy) if has_one else None

    def measure(self, model: BaseAlgorithm) -> float | None:
        """Return the mean KL divergence from the first policy, in nats, on states of the latest rollout.

        Args:
            model: At the end of a rollout.

        Returns:
            At least 0; None where it is not known.
        """
        if self._first is None or not isinstance(model, OnPolicyAlgorithm):
            return None
        policy: Any = model.policy
        with torch.no_grad():
            states = _some(model.rollout_buffer.observations, model.device)
            now, first = policy.get_distribution(states), self._first.get_distribution(states)
            return float(_divergence(now, first).mean())


def _copy(policy: Any) -> Any:
    """Return another policy of the same weights. What gSDE holds for a rollout cannot be copied."""
    with torch.random.fork_rng(devices=[]):  # first weights are drawn, and nobody else's numbers change
        other = type(policy)(**policy._get_constructor_parameters())
    other.load_state_dict(policy.state_dict())
    return other.to(policy.device)


def _divergence(now: Distribution, first: Distribution) -> torch.Tensor:
    """Return the divergence at each state, shape [n]."""
    divergence = kl_divergence(now, first)
    return divergence.sum(dim=-1) if divergence.dim() > 1 else divergence


def _some(observations: Any, device: torch.device) -> Any:
    """Return some of observations [steps, environments, *obs], a mapping for `Dict`, as a batch."""
    if isinstance(observations, dict):
        return {name: _some(array, device) for name, array in observations.items()}
    flat = observations.reshape(-1, *observations.shape[2:])
    chosen = flat[np.linspace(0, len(flat) - 1, min(STATES, len(flat))).astype(np.int64)]
    return torch.as_tensor(chosen, device=device)
