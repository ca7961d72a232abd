"""When to ask, about what, and whom: label schedules, query strategies, teachers, agreement."""

from prefrl.feedback.schedules import (
    ConstantSchedule,
    HyperbolicSchedule,
    IncreasingSchedule,
    LabelSchedule,
    make_schedule,
)
from prefrl.feedback.strategies import (
    DisagreementSelector,
    SegmentSource,
    Selector,
    SpreadSelector,
    UniformSelector,
)
from prefrl.feedback.teachers import OracleTeacher, ShuffledTeacher, Teacher

__all__ = [
    "ConstantSchedule",
    "DisagreementSelector",
    "HyperbolicSchedule",
    "IncreasingSchedule",
    "LabelSchedule",
    "OracleTeacher",
    "SegmentSource",
    "Selector",
    "ShuffledTeacher",
    "SpreadSelector",
    "Teacher",
    "UniformSelector",
    "make_schedule",
]
