"""Who gets which query, and where each clip is on the screen. Hidden repeats and gold are mixed in here.

A share of what a person has answered is asked once more, at the earliest ten answers later and in the reverse
order; what turns round tells how often this person errs. Which ones is decided by a hash, so that a server that
starts again decides the same. What the owner has marked as gold is put to everybody else, one after so many
answers. The browser learns of a query in which order its clips are shown, nothing else.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from prefrl.segments import Answer, FeedbackKind, Judgement, Ranking, Rating, Remark, feedback_kind
from prefrl.segments.answers import LEVELS
from prefrl.store import Claim, NewAnswer, Store, StoredAnswer
from prefrl_labeling_gui import __version__
from prefrl_labeling_gui.answer_index import AnswerIndex, is_comparison

ANSWERS_BETWEEN = 10
"""A repeat comes after at least so many other answers of the same person."""
ANSWERS_LOOKED_AT = 100
"""What was not asked again for so many answers after that, is not asked again any more."""
ANSWERS_PER_GOLD = 20
"""Answers of one person after which a query comes whose answer is known."""

Choice = Literal["left", "right", "equal", "cannot_tell", "much_left", "much_right"]
"""What a button says: an answer as it looks on the screen."""
OnScreen: TypeAlias = Choice | tuple[int, ...] | Rating
"""What somebody says of the clips as they lie on the screen: a choice, the rank of each, 0 for the best, or how
good the one that is shown is."""


class Parts(NamedTuple):
    """What is said as the page and an export have it: one of these, the others are None."""

    choice: Choice | None = None
    ranks: list[int] | None = None
    rating: int | None = None


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

    def claim(
        self, name: str, n: int, *, kind: FeedbackKind, holding: Sequence[str], repeats: bool
    ) -> list[Claim]:
        """Give a person up to `n` queries besides those they hold, and no more than their quota leaves.

        Args:
            name: Who asks.
            n: How many.
            kind: What is asked now; what an earlier training of the run has asked otherwise is not given out.
            holding: Queries this person has; nobody else gets them meanwhile.
            repeats: Whether earlier queries, and gold, may be asked; not where nobody waits for answers any more.

        Raises:
            StoreError: The store cannot be written.
        """
        most = self._answer_index.n_to_give(name, holding)
        if most is not None:
            n = min(n, most)
            if most == 0:  # what a lowered quota leaves in hand is others' to answer
                self._store.let_go(name, but_for=holding)
        if repeats and n > 0:
            self._ask_again(name, kind)
        claims = self._store.claim(name, n, lease_seconds=self._lease_seconds, exclude=holding, sizes=_sizes(kind))
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
        said: OnScreen | None,
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
        """Store what a person says of a query, None to take back what `supersedes` names; it is safe on return.

        Raises:
            SettingError: This kind of feedback knows no such answer.
            AnswerConflictError: The id was used for another answer, or `supersedes` is not the present one.
            StoreError: The store cannot be written; nothing was stored.
        """
        [stored] = self._store.add_answers(
            [
                NewAnswer(
                    id=str(answer_id),
                    query_id=claim.query_id,
                    answer=None if said is None else judgement_of(said, sides_swapped=claim.sides_swapped),
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

    def _ask_again(self, name: str, kind: FeedbackKind) -> None:
        """Have a repeat and a gold query come to a person, where it is time for one."""
        due = self._due_repeat(name, kind)
        if due is not None:
            self._answer_index.add_repeat(self._store.add_repeat(due, name), due, name)
        if self._answer_index.n_since_gold(name) >= ANSWERS_PER_GOLD:
            gold = self._store.add_gold(name, sizes=_sizes(kind))
            if gold is not None:
                self._answer_index.add_repeat(*gold, name)

    def _take_note(self, claim: Claim, name: str) -> None:
        if claim.repeat_of is not None:
            self._answer_index.add_repeat(claim.query_id, claim.repeat_of, name)

    def _due_repeat(self, name: str, kind: FeedbackKind) -> str | None:
        """Return the oldest answered query of a person that is to be asked again now."""
        answers = list(self._answer_index.account(name).current.values())
        for answer in answers[-ANSWERS_BETWEEN - ANSWERS_LOOKED_AT : -ANSWERS_BETWEEN]:
            query_id = answer.query_id
            may_be = is_comparison(answer) and not self._answer_index.is_repeat_or_repeated(query_id, name)
            fits = _sizes(feedback_kind(answer.kind)) == _sizes(kind)
            if may_be and fits and self._is_chosen(name, query_id):
                return query_id
        return None

    def _is_chosen(self, name: str, query_id: str) -> bool:
        digest = blake2b(f"{name}:{query_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self._repeat_share * 2**64


def judgement_of(said: OnScreen, *, sides_swapped: bool) -> Judgement:
    """Return what that which is said on the screen says of the query.

    Raises:
        SettingError: The ranks leave one out.
    """
    if isinstance(said, Rating):
        return said
    judgement = _ON_SCREEN[said] if isinstance(said, str) else Ranking(said)
    return judgement.turned_round if sides_swapped else judgement


def on_screen(judgement: Judgement, *, sides_swapped: bool) -> OnScreen:
    """Return how what is said of a query looks on the screen."""
    shown = judgement.turned_round if sides_swapped else judgement
    if isinstance(shown, Ranking):
        return shown.ranks
    if isinstance(shown, Rating):
        return shown
    return next(choice for choice, meant in _ON_SCREEN.items() if meant is shown)


def parts_of(said: OnScreen) -> Parts:
    """Return what is said as choice, ranks and rating, of which two are None."""
    if isinstance(said, Rating):
        return Parts(rating=said.level)
    return Parts(choice=said) if isinstance(said, str) else Parts(ranks=list(said))


def choices_of(kind: FeedbackKind) -> list[Choice]:
    """Return what may be chosen on the screen, from left to right."""
    return [choice for answer in kind.answers for choice, meant in _ON_SCREEN.items() if meant is answer]


def levels_of(kind: FeedbackKind) -> int:
    """Return with how many levels a clip may be rated; 0 where none is."""
    return LEVELS if kind.is_rating else 0


def sides_of(segment_ids: tuple[str, ...], *, sides_swapped: bool) -> tuple[str, ...]:
    """Return a query's segments in the order of the screen."""
    return segment_ids[::-1] if sides_swapped else segment_ids


def _sizes(kind: FeedbackKind) -> tuple[int, int]:
    """Return of how many segments a query of this kind is: what fits no other kind is never mixed with it."""
    return kind.least_segments, kind.most_segments
