"""Who was asked, and what they said: the store, label schedules, selection of queries, synthetic teachers."""

from prefrl.feedback.answers import NewAnswer, StoreCounts, StoredAnswer
from prefrl.feedback.claims import Claim
from prefrl.feedback.history import HistoryItem, Tally
from prefrl.feedback.people import Labeler, Role
from prefrl.feedback.published import StatusValue
from prefrl.feedback.queries import OpenQuery
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
    "Claim",
    "ConstantSchedule",
    "DisagreementSelector",
    "HistoryItem",
    "HyperbolicSchedule",
    "IncreasingSchedule",
    "LabelSchedule",
    "Labeler",
    "NewAnswer",
    "OpenQuery",
    "OracleTeacher",
    "Role",
    "SegmentSource",
    "Selector",
    "ShuffledTeacher",
    "SpreadSelector",
    "StatusValue",
    "Store",
    "StoreCounts",
    "StoredAnswer",
    "Tally",
    "Teacher",
    "UniformSelector",
    "make_schedule",
]
