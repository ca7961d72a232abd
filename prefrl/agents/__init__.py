"""Who learns from it: the learned reward around environments, and agents that train on it."""

from prefrl.agents.algorithms import ALGORITHMS, make_agent
from prefrl.agents.gym_wrapper import LearnedReward
from prefrl.agents.learning import PreferenceCallback, PreferenceLearning, Refit
from prefrl.agents.questioner import People, Questioner
from prefrl.agents.trpo import EntropyTRPO
from prefrl.agents.vec_env import LearnedRewardVecEnv, RewardFn

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
