"""Who was asked, and what they said: the store, label schedules, selection of queries, synthetic teachers."""

from prefrl.feedback.answers import NewAnswer, StoreCounts, StoredAnswer
from prefrl.feedback.schedule import (
    ConstantSchedule,
    HyperbolicSchedule,
    IncreasingSchedule,
    LabelSchedule,
    make_schedule,
)
from prefrl.feedback.selection import (
    DisagreementSelector,
    SegmentSource,
    Selector,
    SpreadSelector,
    UniformSelector,
)
from prefrl.feedback.store import Store
from prefrl.feedback.teachers import OracleTeacher, ShuffledTeacher, Teacher

__all__ = [
    "ConstantSchedule",
    "DisagreementSelector",
    "HyperbolicSchedule",
    "IncreasingSchedule",
    "LabelSchedule",
    "NewAnswer",
    "OracleTeacher",
    "SegmentSource",
    "Selector",
    "ShuffledTeacher",
    "SpreadSelector",
    "Store",
    "StoreCounts",
    "StoredAnswer",
    "Teacher",
    "UniformSelector",
    "make_schedule",
]
