"""Who learns from it: the learned reward around environments, and agents that train on it."""

from prefrl.agents.algorithms import ALGORITHMS, make_agent
from prefrl.agents.learned_reward import LearnedReward, LearnedRewardVecEnv, RewardFn
from prefrl.agents.preference_learning import PreferenceCallback, PreferenceLearning, Refit
from prefrl.agents.questioner import People, Questioner
from prefrl.agents.trpo import EntropyTRPO

__all__ = [
    "ALGORITHMS",
    "EntropyTRPO",
    "LearnedReward",
    "LearnedRewardVecEnv",
    "People",
    "PreferenceCallback",
    "PreferenceLearning",
    "Questioner",
    "Refit",
    "RewardFn",
    "make_agent",
]
