"""Who gets which pair, and which clip is on which side. Hidden repeats are mixed in here.

A share of what a person has answered is asked once more, at the earliest ten answers later and with the sides
swapped; what turns round tells how often this person errs. Which ones is decided by a hash, so that a server that
starts again decides the same. The browser learns of a pair what is left and what is right, nothing else.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal
from uuid import UUID

from prefrl.segments import Answer, FeedbackKind, Remark
from prefrl.store import Claim, NewAnswer, Store, StoredAnswer
from prefrl_labeling_gui import __version__
from prefrl_labeling_gui.answer_index import AnswerIndex, is_comparison

ANSWERS_BETWEEN = 10
"""A repeat comes after at least so many other answers of the same person."""
ANSWERS_LOOKED_AT = 100
"""What was not asked again for so many answers after that, is not asked again any more."""

Choice = Literal["left", "right", "equal", "cannot_tell", "much_left", "much_right"]
"""What a button says: an answer as it looks on the screen."""


_ON_SCREEN: dict[Choice, Answer] = {
    "left": Answer.FIRST,
    "right": Answer.SECOND,
    "equal": Answer.EQUAL,
    "cannot_tell": Answer.CANNOT_TELL,
    "much_left": Answer.MUCH_FIRST,
    "much_right": Answer.MUCH_SECOND,
}
"""What each choice says where the first segment is on the left."""


class Assignment:
    """Gives queries to people and takes their answers.

    Args:
        store: The queries.
        answer_index: What was said before.
        repeat_share: Share of the comparisons that are asked again.
        lease_seconds: How long a query stays with whom it was given to.
    """

    def __init__(
        self, store: Store, answer_index: AnswerIndex, *, repeat_share: float, lease_seconds: float
    ) -> None:
        self._store = store
        self._answer_index = answer_index
        self._repeat_share = repeat_share
        self._lease_seconds = lease_seconds

    def claim(self, name: str, n: int, *, holding: Sequence[str], repeats: bool) -> list[Claim]:
        """Give a person up to `n` queries besides those they hold.

        Args:
            name: Who asks.
            n: How many.
            holding: Queries this person has; nobody else gets them meanwhile.
            repeats: Whether earlier queries may be asked again; not where nobody waits for answers any more.

        Raises:
            StoreError: The store cannot be written.
        """
        due = self._due_repeat(name) if repeats and n > 0 else None
        if due is not None:
            self._answer_index.add_repeat(self._store.add_repeat(due, name), due, name)
        claims = self._store.claim(name, n, lease_seconds=self._lease_seconds, exclude=holding)
        for claim in claims:
            self._take_note(claim, name)
        return claims

    def given(self, name: str, query_id: str) -> Claim | None:
        """Return what this person was shown under that id; None if they never were."""
        claim = self._store.given(name, query_id)
        if claim is not None:
            self._take_note(claim, name)
        return claim

    def answer(
        self,
        claim: Claim,
        name: str,
        choice: Choice | None,
        *,
        kind: FeedbackKind,
        answer_id: UUID,
        supersedes: UUID | None = None,
        reaction_ms: int | None = None,
        replays: int | None = None,
        client_time: int | None = None,
        remark: Remark | None = None,
        comment: str | None = None,
    ) -> StoredAnswer:
        """Store what a person says of a query; it is safe on return.

        Raises:
            SettingError: This kind of feedback knows no such choice.
            AnswerConflictError: The id was used for another answer, or `supersedes` is not the present one.
            StoreError: The store cannot be written; nothing was stored.
        """
        [stored] = self._store.add_answers(
            [
                NewAnswer(
                    id=str(answer_id),
                    query_id=claim.query_id,
                    answer=None if choice is None else answer_of(choice, sides_swapped=claim.sides_swapped),
                    labeler=name,
                    supersedes=None if supersedes is None else str(supersedes),
                    sides_swapped=claim.sides_swapped,
                    reaction_ms=reaction_ms,
                    replays=replays,
                    client_time=client_time,
                    gui_version=__version__,
                    kind=kind.name,
                    remark=remark,
                    comment=comment,
                )
            ]
        )
        return stored

    def _take_note(self, claim: Claim, name: str) -> None:
        if claim.repeat_of is not None:
            self._answer_index.add_repeat(claim.query_id, claim.repeat_of, name)

    def _due_repeat(self, name: str) -> str | None:
        """Return the oldest answered query of a person that is to be asked again now."""
        answers = list(self._answer_index.account(name).current.values())
        for answer in answers[-ANSWERS_BETWEEN - ANSWERS_LOOKED_AT : -ANSWERS_BETWEEN]:
            query_id = answer.query_id
            may_be = is_comparison(answer) and not self._answer_index.is_repeat_or_repeated(query_id, name)
            if may_be and self._is_chosen(name, query_id):
                return query_id
        return None

    def _is_chosen(self, name: str, query_id: str) -> bool:
        digest = blake2b(f"{name}:{query_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self._repeat_share * 2**64


def answer_of(choice: Choice, *, sides_swapped: bool) -> Answer:
    """Return what a choice on the screen says of the query."""
    answer = _ON_SCREEN[choice]
    return answer.turned_round if sides_swapped else answer


def choice_of(answer: Answer, *, sides_swapped: bool) -> Choice:
    """Return how an answer of the query looked on the screen."""
    shown = answer.turned_round if sides_swapped else answer
    return next(choice for choice, meant in _ON_SCREEN.items() if meant is shown)


def choices_of(kind: FeedbackKind) -> list[Choice]:
    """Return what may be chosen on the screen, from left to right."""
    return [choice_of(answer, sides_swapped=False) for answer in kind.answers]


def sides_of(segment_ids: tuple[str, str], *, sides_swapped: bool) -> tuple[str, str]:
    """Return a query's segments as they are on the screen: left, right."""
    first, second = segment_ids
    return (second, first) if sides_swapped else (first, second)
