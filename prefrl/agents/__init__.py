"""Who learns from it: the learned reward around environments, and agents that train on it."""

from prefrl.agents.algorithms import algorithm, make_agent
from prefrl.agents.callback import PreferenceCallback
from prefrl.agents.learned_reward import LearnedReward, LearnedRewardVecEnv
from prefrl.agents.learned_reward_vector_env import LearnedRewardVectorEnv
from prefrl.agents.preference_learning import PreferenceLearning
from prefrl.agents.refits import Refit
from prefrl.agents.restarts import PolicyRestarts
from prefrl.agents.reward_fn import RewardFn
from prefrl.agents.sb3_vector_env import SB3VectorEnv
from prefrl.agents.trpo import EntropyTRPO

__all__ = [
    "EntropyTRPO",
    "LearnedReward",
    "LearnedRewardVecEnv",
    "LearnedRewardVectorEnv",
    "PolicyRestarts",
    "PreferenceCallback",
    "PreferenceLearning",
    "Refit",
    "RewardFn",
    "SB3VectorEnv",
    "algorithm",
    "make_agent",
]
