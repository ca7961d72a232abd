"""The store of queries and answers: the only place where the trainer and the people meet.

The trainer adds queries and shows what it and the agent do, a person's page claims queries and adds answers, a
synthetic teacher adds answers, the trainer reads them with a growing sequence number. Each part has its module:
`runs`, `queries`, `claims`, `answers`, `comparisons`, `digest`, `gold`, `history`, `people`, `published`,
`settled`, `transfer`; arrays are in `blobs`, tables in `schema`.
"""

from prefrl.store.answers import AnswerMethods
from prefrl.store.claims import ClaimMethods
from prefrl.store.comparisons import ComparisonMethods
from prefrl.store.digest import DigestMethods
from prefrl.store.gold import GoldMethods
from prefrl.store.history import HistoryMethods
from prefrl.store.people import PeopleMethods
from prefrl.store.published import PublishedMethods
from prefrl.store.queries import QueryMethods
from prefrl.store.runs import RunMethods
from prefrl.store.settled import SettledMethods
from prefrl.store.transfer import TransferMethods


class Store(
    RunMethods,
    QueryMethods,
    ClaimMethods,
    AnswerMethods,
    ComparisonMethods,
    DigestMethods,
    GoldMethods,
    HistoryMethods,
    PeopleMethods,
    PublishedMethods,
    SettledMethods,
    TransferMethods,
):
    """Queries and answers, durable when a method that writes them returns.

    Opened at first use, or on entering a `with` block. May be used from several threads, and by several
    processes on one machine at the same time. Any method raises `StoreError` where the store cannot be read or
    written; nothing of that call has been stored then.

    Args:
        folder: Folder of the run, which gets `store.sqlite` and `segments/`; None keeps all in memory.
        url: SQLAlchemy address of a database to use in place of `store.sqlite`.
        clock: Returns the milliseconds since 1970 UTC.

    Raises:
        SettingError: `url` is no address, or is given without `folder`, in which the segments would lie.
    """
