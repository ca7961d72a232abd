"""Query strategies: which segments are put to somebody together.

A strategy chooses among *places* in recorded experience, which cost nothing, and cuts only the segments that it
needs to look at, a few at a time: a clip of screens is large.
"""

from prefrl.feedback.strategies.by_return import SpreadStrategy, ThompsonStrategy
from prefrl.feedback.strategies.coverage import DiverseStrategy, NearPolicyStrategy
from prefrl.feedback.strategies.interface import (
    Group,
    Places,
    PredictReturns,
    QueryStrategy,
    SegmentSource,
)
from prefrl.feedback.strategies.mixture import MixtureStrategy, check_members, make_strategy
from prefrl.feedback.strategies.scores import (
    DisagreementDiverseStrategy,
    DisagreementStrategy,
    EntropyStrategy,
    MutualInformationStrategy,
)
from prefrl.feedback.strategies.uniform import UniformStrategy

__all__ = [
    "DisagreementDiverseStrategy",
    "DisagreementStrategy",
    "DiverseStrategy",
    "EntropyStrategy",
    "Group",
    "MixtureStrategy",
    "MutualInformationStrategy",
    "NearPolicyStrategy",
    "Places",
    "PredictReturns",
    "QueryStrategy",
    "SegmentSource",
    "SpreadStrategy",
    "ThompsonStrategy",
    "UniformStrategy",
    "check_members",
    "make_strategy",
]
