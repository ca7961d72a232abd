"""How each person answers: which side they press, how fast, and whether they say what others say.

Functions of their answers, like those of `prefrl.feedback.agreement`. Sides are those of the screen, which are
drawn at random for each query and person: who looks at the clips presses left as often as right.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from math import nan, sqrt
from statistics import median
from typing import NamedTuple

from prefrl.feedback.agreement import direction
from prefrl.segments import Answer
from prefrl.store.history import HistoryItem

TOO_FAST_SECONDS = 0.5
"""Nobody compares two clips in less: a choice between two pictures alone takes as long."""
MOST_TOO_FAST = 0.2
"""Share of answers that may be too fast before somebody is warned of."""
SURE = 3.0
"""Standard deviations from what chance would do: at any one time it goes beyond that with 1 of 400 people who do
nothing wrong, and with a few of a hundred at some time in a long session. So a warning is a reason to look."""
MIN_ANSWERS = 20
"""Below that nobody is warned of."""

_PREFERRED = (Answer.FIRST, Answer.SECOND)


class Quality(NamedTuple):
    """How one person answers. What there is too little to tell of is NaN."""

    left: float
    """Share of the comparisons that say "left", from 0 to 1."""
    right: float
    """The same of "right"."""
    equal: float
    """The same of "equal"."""
    median_seconds: float
    """From when both clips were seen to the answer."""
    too_fast: float
    """Share of the answers that took less than `TOO_FAST_SECONDS`."""
    agreement: float
    """Share of the pairs, of those on which most of the others agree, of which this person said the same."""
    n_shared: int
    """Of how many pairs that is a share."""
    warnings: tuple[str, ...]
    """What somebody should look at, a sentence each."""


def qualities(items: Sequence[HistoryItem], aside: Collection[str] = ()) -> dict[str, Quality]:
    """Return how each person answers, by name.

    Args:
        items: Present answers, of everybody.
        aside: People with whom nobody is compared; they are compared with the others.
    """
    by_person: dict[str, list[HistoryItem]] = defaultdict(list)
    by_query: dict[str, dict[str, Answer]] = defaultdict(dict)
    for item in items:
        by_person[item.answer.labeler].append(item)
        if direction(item) in _PREFERRED:
            by_query[item.answer.query_id][item.answer.labeler] = direction(item)
    return {name: _quality(own, _alike(name, by_query, aside)) for name, own in by_person.items()}


def _quality(own: Sequence[HistoryItem], alike: Sequence[bool]) -> Quality:
    said = [_on_screen(item) for item in own if item.answer.answer is not Answer.CANNOT_TELL]
    seconds = [item.answer.reaction_ms / 1000 for item in own if item.answer.reaction_ms is not None]
    left, right, equal = (said.count(side) / len(said) if said else nan for side in ("left", "right", "equal"))
    fast = [taken < TOO_FAST_SECONDS for taken in seconds]
    warnings = [
        *_of_sides(said.count("left"), said.count("right")),
        *_of_speed(fast),
        *_of_agreement(alike),
    ]
    return Quality(
        left=left,
        right=right,
        equal=equal,
        median_seconds=median(seconds) if seconds else nan,
        too_fast=sum(fast) / len(fast) if fast else nan,
        agreement=sum(alike) / len(alike) if alike else nan,
        n_shared=len(alike),
        warnings=tuple(warnings),
    )


def _on_screen(item: HistoryItem) -> str:
    if direction(item) not in _PREFERRED:
        return "equal"
    return "left" if (direction(item) is Answer.FIRST) != item.answer.sides_swapped else "right"


def _alike(name: str, by_query: Mapping[str, Mapping[str, Answer]], aside: Collection[str]) -> list[bool]:
    """Return, for each query of this person on which most others agree, whether they said the same.

    One trial a query: what several say of one query is not independent, so each of them must not count.
    """
    alike = []
    for said in by_query.values():
        others = [answer for other, answer in said.items() if other != name and other not in aside]
        n_first = others.count(Answer.FIRST)
        if name in said and 2 * n_first != len(others):
            alike.append(said[name] is (Answer.FIRST if 2 * n_first > len(others) else Answer.SECOND))
    return alike


def _of_sides(n_left: int, n_right: int) -> list[str]:
    n = n_left + n_right
    if n < MIN_ANSWERS or abs(n_left - n_right) <= SURE * sqrt(n):
        return []
    side, share = ("left", n_left / n) if n_left > n_right else ("right", n_right / n)
    return [f"Presses {side} in {share:.0%} of {n} choices; half would be expected."]


def _of_speed(fast: Sequence[bool]) -> list[str]:
    if len(fast) < MIN_ANSWERS or sum(fast) <= MOST_TOO_FAST * len(fast):
        return []
    return [f"{sum(fast) / len(fast):.0%} of {len(fast)} answers took less than {TOO_FAST_SECONDS:g} s."]


def _of_agreement(alike: Sequence[bool]) -> list[str]:
    """Somebody who guesses agrees in half; who agrees in clearly less says the opposite."""
    n = len(alike)
    if n < MIN_ANSWERS or n - 2 * sum(alike) <= SURE * sqrt(n):
        return []
    return [f"Says the opposite of others: the same as most of them in {sum(alike) / n:.0%} of {n} pairs."]
