"""When to ask, about what, and whom: schedules, query strategies, teachers, and the stream of labels."""

from prefrl.feedback.labels import Labels, News, PeopleLabels, TeacherLabels, Wanted
from prefrl.feedback.query_maker import QueryMaker
from prefrl.feedback.schedules import (
    ConstantSchedule,
    HyperbolicSchedule,
    IncreasingSchedule,
    LabelSchedule,
    make_schedule,
)
from prefrl.feedback.simulated_teacher import SimulatedTeacher
from prefrl.feedback.strategies import (
    DisagreementDiverseStrategy,
    DisagreementStrategy,
    DiverseStrategy,
    EntropyStrategy,
    MixtureStrategy,
    MutualInformationStrategy,
    NearPolicyStrategy,
    QueryStrategy,
    SegmentSource,
    SpreadStrategy,
    ThompsonStrategy,
    UniformStrategy,
    make_strategy,
)
from prefrl.feedback.teachers import (
    BoltzmannTeacher,
    OracleTeacher,
    People,
    ShuffledTeacher,
    Teacher,
    make_teacher,
)

__all__ = [
    "BoltzmannTeacher",
    "ConstantSchedule",
    "DisagreementDiverseStrategy",
    "DisagreementStrategy",
    "DiverseStrategy",
    "EntropyStrategy",
    "HyperbolicSchedule",
    "IncreasingSchedule",
    "LabelSchedule",
    "Labels",
    "MixtureStrategy",
    "MutualInformationStrategy",
    "NearPolicyStrategy",
    "News",
    "OracleTeacher",
    "People",
    "PeopleLabels",
    "QueryMaker",
    "QueryStrategy",
    "SegmentSource",
    "ShuffledTeacher",
    "SimulatedTeacher",
    "SpreadStrategy",
    "Teacher",
    "TeacherLabels",
    "ThompsonStrategy",
    "UniformStrategy",
    "Wanted",
    "make_schedule",
    "make_strategy",
    "make_teacher",
]
