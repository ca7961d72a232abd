"""When to ask, about what, and whom: schedules, query strategies, teachers, and the stream of labels."""

from prefrl.feedback.bpref_teacher import BPrefTeacher
from prefrl.feedback.drifting_teacher import DriftingTeacher
from prefrl.feedback.labels import Labels, News, PeopleLabels, TeacherLabels, Wanted
from prefrl.feedback.mixture_teacher import MixtureTeacher
from prefrl.feedback.query_maker import QueryMaker
from prefrl.feedback.regret_teacher import RegretTeacher
from prefrl.feedback.schedules import (
    ConstantSchedule,
    HyperbolicSchedule,
    IncreasingSchedule,
    LabelSchedule,
    make_schedule,
)
from prefrl.feedback.simulated_teacher import SimulatedTeacher
from prefrl.feedback.slow_teacher import SlowTeacher, SlowTeacherLabels
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
    "BPrefTeacher",
    "BoltzmannTeacher",
    "ConstantSchedule",
    "DisagreementDiverseStrategy",
    "DisagreementStrategy",
    "DiverseStrategy",
    "DriftingTeacher",
    "EntropyStrategy",
    "HyperbolicSchedule",
    "IncreasingSchedule",
    "LabelSchedule",
    "Labels",
    "MixtureStrategy",
    "MixtureTeacher",
    "MutualInformationStrategy",
    "NearPolicyStrategy",
    "News",
    "OracleTeacher",
    "People",
    "PeopleLabels",
    "QueryMaker",
    "QueryStrategy",
    "RegretTeacher",
    "SegmentSource",
    "ShuffledTeacher",
    "SimulatedTeacher",
    "SlowTeacher",
    "SlowTeacherLabels",
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
