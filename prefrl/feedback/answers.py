"""What goes into the store as an answer, and what comes out of it."""

from dataclasses import dataclass

from prefrl.errors import SettingError
from prefrl.segments import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAnswer:
    """What somebody says of a query. Sent twice it is stored once.

    Raises:
        SettingError: `id` or `labeler` is empty, or nothing is said.
    """

    query_id: str
    """The query that is answered."""
    answer: Answer | None
    """What is said; None takes back the answer named in `supersedes` (an undo)."""
    labeler: str
    """Name of the person or teacher."""
    id: str
    """Made by whoever sends it, never used twice, so that it can be sent again after a failure."""
    supersedes: str | None = None
    """Id of the labeler's present answer to the query, which this one replaces."""
    sides_swapped: bool = False
    """The first segment was shown on the right. `answer` speaks of the query's order, not of the screen's."""
    reaction_ms: int | None = None
    """Milliseconds from the first frame to the answer."""
    replays: int | None = None
    """How often the clips were played again."""
    client_time: int | None = None
    """Clock of whoever answered, milliseconds since 1970 UTC."""
    gui_version: str | None = None
    """Version of the page that was used."""

    def __post_init__(self) -> None:
        """Check that there is a sender and a statement."""
        if not self.id or not self.labeler:
            raise SettingError("An answer needs an `id` and a `labeler`. Received an empty one.")
        if self.answer is None and self.supersedes is None:
            raise SettingError("`answer` may be None only to take back the answer named in `supersedes`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer(NewAnswer):
    """An answer as it stands in the store."""

    seq: int
    """Number in the store, from 1, growing in the order in which answers were stored."""
    server_time: int
    """When it was stored, milliseconds since 1970 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """How much a store holds."""

    queries: int
    """Queries asked."""
    answers: int
    """Rows of answers, with those replaced or taken back since."""
    comparisons: int
    """Present answers that are a comparison: what is trained on and what costs budget."""
    cannot_tell: int
    """Present answers that are "can't tell"."""
