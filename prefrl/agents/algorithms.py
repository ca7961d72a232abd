"""Builders of the agents: PPO, A2C and TRPO with the settings of a run.

Everything that SB3 calls by a name keeps that name. Any other on-policy algorithm works with `PreferenceLearning`
directly; these builders are what the command line offers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents.trpo import EntropyTRPO
from prefrl.errors import SettingError

ALGORITHMS: dict[str, type[OnPolicyAlgorithm]] = {"ppo": PPO, "a2c": A2C, "trpo": EntropyTRPO}


def make_agent(
    algo: str,
    venv: VecEnv,
    *,
    seed: int,
    device: str = "cpu",
    hidden_sizes: Sequence[int] = (64, 64),
    log_std_init: float = 0.0,
    settings: Mapping[str, Any],
) -> OnPolicyAlgorithm:
    """Return an agent of SB3 with an MLP policy (a policy for `Dict` observations where needed).

    Args:
        algo: "ppo", "a2c" or "trpo".
        venv: What it learns in.
        seed: Of its weights and its exploration.
        device: Where its networks live; the CPU is faster for networks this small.
        hidden_sizes: Units of each hidden layer, of policy and value function alike.
        log_std_init: Logarithm of the first standard deviation of continuous actions.
        settings: Keyword arguments of the algorithm, in SB3's spelling.

    Raises:
        SettingError: The algorithm is unknown, or does not have one of the settings.
    """
    if algo not in ALGORITHMS:
        raise SettingError(f"`algo` must be one of {', '.join(ALGORITHMS)}. Received {algo!r}.")
    policy = "MultiInputPolicy" if hasattr(venv.observation_space, "spaces") else "MlpPolicy"
    policy_kwargs = {"net_arch": list(hidden_sizes), "log_std_init": log_std_init}
    try:
        return ALGORITHMS[algo](
            policy, venv, seed=seed, device=device, policy_kwargs=policy_kwargs, **dict(settings)
        )
    except TypeError as error:
        raise SettingError(f"{algo} does not take these settings: {error}.") from error
