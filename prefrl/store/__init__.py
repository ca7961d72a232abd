"""What was asked and said, durably: the only place where the trainer and the people meet."""

from prefrl.store.answers import NewAnswer, StoredAnswer
from prefrl.store.claims import Claim
from prefrl.store.comparisons import StoreCounts
from prefrl.store.history import HistoryItem
from prefrl.store.people import Labeler, Role
from prefrl.store.published import StatusValue
from prefrl.store.queries import OpenQuery
from prefrl.store.runs import RunAbout, StoredRun
from prefrl.store.store import Store

__all__ = [
    "Claim",
    "HistoryItem",
    "Labeler",
    "NewAnswer",
    "OpenQuery",
    "Role",
    "RunAbout",
    "StatusValue",
    "Store",
    "StoreCounts",
    "StoredAnswer",
    "StoredRun",
]
