"""Critics that begin anew: where what pays the agent becomes another thing, what they know is of no more use."""

import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import nn

from prefrl.agents.algorithms import Agent
from prefrl.agents.kept_policy import fresh_policy

UPDATES_AFTER = 100
"""Training steps that an off-policy agent takes at once with its fresh critic, as published (Lee et al. 2021)."""
OFF_POLICY_CRITICS = ("critic", "critic_target")
ON_POLICY_CRITICS = ("lstm_critic", "mlp_extractor.value_net", "value_net")


def reset_critic(model: Agent, seed: int) -> None:
    """Give the agent a critic with first weights, and leave what chooses its actions alone.

    Of an agent that acts by the values themselves (DQN, QR-DQN) nothing is reset. Off-policy the fresh critic is
    trained a little at once, so that the policy does not follow its first guesses.

    Args:
        model: The agent.
        seed: Of the weights; no global generator is touched by them.
    """
    policy = model.policy
    names = ON_POLICY_CRITICS if isinstance(model, OnPolicyAlgorithm) else OFF_POLICY_CRITICS
    present = [name for name in names if _part(policy, name) is not None]
    if not present:
        return
    fresh = fresh_policy(model, seed)
    for name in present:
        own, new = _part(policy, name), _part(fresh, name)
        assert own is not None
        assert new is not None
        own.load_state_dict(new.state_dict())
        _forget_momentum(model, own)
    if not isinstance(model, OffPolicyAlgorithm) or model.num_timesteps <= model.learning_starts:
        return
    # A model that was loaded may have come without what it had kept.
    if model.replay_buffer is not None and model.replay_buffer.size() * model.n_envs >= model.batch_size:
        model.train(gradient_steps=UPDATES_AFTER, batch_size=model.batch_size)


def _part(policy: nn.Module, name: str) -> nn.Module | None:
    """Return a module inside another by its dotted name, where there is one."""
    part: nn.Module | None = policy
    for word in name.split("."):
        part = getattr(part, word, None)
    return part


def _forget_momentum(model: Agent, part: nn.Module) -> None:
    optimizers = [getattr(model.policy, "optimizer", None), getattr(part, "optimizer", None)]
    for optimizer in optimizers:
        if isinstance(optimizer, torch.optim.Optimizer):
            for parameter in part.parameters():
                optimizer.state.pop(parameter, None)
