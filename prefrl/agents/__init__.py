"""Who learns from it: the learned reward around environments, and agents that train on it."""

from prefrl.agents.algorithms import algorithm, make_agent
from prefrl.agents.callback import PreferenceCallback
from prefrl.agents.learned_reward import LearnedReward, LearnedRewardVecEnv, RewardFn
from prefrl.agents.preference_learning import PreferenceLearning
from prefrl.agents.refits import Refit
from prefrl.agents.restarts import PolicyRestarts
from prefrl.agents.trpo import EntropyTRPO

__all__ = [
    "EntropyTRPO",
    "LearnedReward",
    "LearnedRewardVecEnv",
    "PolicyRestarts",
    "PreferenceCallback",
    "PreferenceLearning",
    "Refit",
    "RewardFn",
    "algorithm",
    "make_agent",
]
