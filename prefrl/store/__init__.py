"""What was asked and said, durably: the only place where the trainer and the people meet."""

from prefrl.store.answers import NewAnswer, StoredAnswer
from prefrl.store.claims import Claim
from prefrl.store.comparisons import StoreCounts
from prefrl.store.history import HistoryItem
from prefrl.store.people import Labeler, Role
from prefrl.store.queries import OpenQuery
from prefrl.store.records import LogKey, RunRecord, TrainerRecord, TrainerState, Wish, WishRecord
from prefrl.store.runs import RunAbout, StoredRun
from prefrl.store.settled import Disagreement
from prefrl.store.store import Store

__all__ = [
    "Claim",
    "Disagreement",
    "HistoryItem",
    "Labeler",
    "LogKey",
    "NewAnswer",
    "OpenQuery",
    "Role",
    "RunAbout",
    "RunRecord",
    "Store",
    "StoreCounts",
    "StoredAnswer",
    "StoredRun",
    "TrainerRecord",
    "TrainerState",
    "Wish",
    "WishRecord",
]
