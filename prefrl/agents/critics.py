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
ON_POLICY_CRITICS = ("vf_features_extractor", "lstm_critic", "mlp_extractor.value_net", "value_net")

ACTORS = ("actor", "actor_target", "pi_features_extractor", "features_extractor")
"""What chooses the actions, and may share a feature extractor with the critic."""


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
    shared = _acting(policy)
    for name in present:
        own, new = _part(policy, name), _part(fresh, name)
        assert own is not None
        assert new is not None
        _load(own, new, shared)
        _forget_momentum(model, [parameter for parameter in own.parameters() if id(parameter) not in shared])
    critic, target = _part(policy, "critic"), _part(policy, "critic_target")
    if critic is not None and target is not None:  # it may have a copy of what the critic shares
        _load(target, critic, shared)
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


def _load(own: nn.Module, other: nn.Module, shared: set[int]) -> None:
    """Give a module what another has, but for the tensors that are shared."""
    kept = {key: tensor for key, tensor in own.state_dict(keep_vars=True).items() if id(tensor) in shared}
    own.load_state_dict(other.state_dict() | kept)


def _acting(policy: nn.Module) -> set[int]:
    """Return the identities of the tensors by which actions are chosen."""
    parts = [part for name in ACTORS if (part := _part(policy, name)) is not None]
    return {id(tensor) for part in parts for tensor in part.state_dict(keep_vars=True).values()}


def _forget_momentum(model: Agent, parameters: list[nn.Parameter]) -> None:
    critic = getattr(model.policy, "critic", None)
    for optimizer in (getattr(model.policy, "optimizer", None), getattr(critic, "optimizer", None)):
        if isinstance(optimizer, torch.optim.Optimizer):
            for parameter in parameters:
                optimizer.state.pop(parameter, None)
