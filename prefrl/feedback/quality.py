"""How each person answers: which side they press, how fast, and whether they say what others say.

Functions of their answers, like those of `prefrl.feedback.agreement`. Sides are those of the screen, which are
drawn at random for each query and person: who looks at the clips presses left as often as right.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from math import comb, nan, sqrt
from statistics import median
from typing import NamedTuple

from prefrl.feedback.agreement import Topic, opinions
from prefrl.segments import Answer, Rating
from prefrl.store.history import HistoryItem

TOO_FAST_SECONDS = 0.5
"""Nobody compares two clips in less: a choice between two pictures alone takes as long."""
MOST_TOO_FAST = 0.2
"""Share of answers that may be too fast before somebody is warned of."""
USUAL_ERRORS = 0.2
"""Share of gold answers that somebody who looks gets wrong, at most."""
SURE = 3.0
"""Standard deviations from what chance would do: at any one time it goes beyond that with 1 of 400 people who do
nothing wrong, and with a few of a hundred at some time in a long session. So a warning is a reason to look."""
RARE = 1 / 400
"""The same as a probability, where it can be counted."""
MIN_ANSWERS = 20
"""Below that nobody is warned of, but for wrong answers where the right one is known."""

_PREFERRED = (Answer.FIRST, Answer.SECOND)


class Quality(NamedTuple):
    """How one person answers. What there is too little to tell of is NaN."""

    left: float
    """Share of the comparisons that say "left", from 0 to 1; in a ranking, of each two clips the earlier shown."""
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
    gold: float
    """Share of the answers to what is known that say the same as is known, of a ranking in most of its pairs."""
    n_gold: int
    """Of how many answers that is a share."""
    warnings: tuple[str, ...]
    """What somebody should look at, a sentence each."""


def qualities(items: Sequence[HistoryItem], aside: Collection[str] = ()) -> dict[str, Quality]:
    """Return how each person answers, by name.

    Args:
        items: Present answers, of everybody; those that are gold say so.
        aside: People with whom nobody is compared; they are compared with the others.
    """
    by_person: dict[str, list[HistoryItem]] = defaultdict(list)
    gold = {item.answer.query_id: item for item in items if item.is_gold}
    by_topic: dict[Topic, dict[str, Answer]] = defaultdict(dict)
    spreads: dict[Topic, float] = {}
    for item in items:
        by_person[item.answer.labeler].append(item)
        for topic, opinion in opinions(item).items():
            if opinion in _PREFERRED:
                by_topic[topic][item.answer.labeler] = opinion
                spreads[topic] = _spread(item)
    return {
        name: _quality(
            own,
            [(same, spreads[topic]) for topic, same in _alike(name, by_topic, aside).items()],
            _right(own, gold),
        )
        for name, own in by_person.items()
    }


def _right(own: Sequence[HistoryItem], gold: Mapping[str, HistoryItem]) -> list[bool]:
    """Return of each of somebody's answers to gold whether it says the same, of a ranking in most of its pairs.

    Whoever made an answer gold is not measured by it, and nobody twice by one.
    """
    answered = {item.answer.query_id for item in own}
    found = []
    for item in own:
        known = gold.get(item.repeat_of or item.answer.query_id)
        if known is None or known.answer.labeler == item.answer.labeler or item.repeat_of in answered:
            continue
        expected = opinions(known)
        said = {(known.answer.query_id, i, j): opinion for (_, i, j), opinion in opinions(item).items()}
        same = [said[topic] is opinion for topic, opinion in expected.items() if opinion in _PREFERRED and said]
        if same:
            found.append(2 * sum(same) > len(same))
    return found


def _quality(
    own: Sequence[HistoryItem], alike: Sequence[tuple[bool, float]], right_ones: Sequence[bool]
) -> Quality:
    sides = [
        (_on_screen(item, opinion), _spread(item))
        for item in own
        if not isinstance(item.answer.answer, Rating)  # there is one clip, and no side
        for opinion in opinions(item).values()
    ]
    said = [side for side, _ in sides]
    seconds = [item.answer.reaction_ms / 1000 for item in own if item.answer.reaction_ms is not None]
    left, right, equal = (said.count(side) / len(said) if said else nan for side in ("left", "right", "equal"))
    fast = [taken < TOO_FAST_SECONDS for taken in seconds]
    warnings = [
        *_of_sides([(side, spread) for side, spread in sides if side != "equal"]),
        *_of_speed(fast),
        *_of_agreement(alike),
        *_of_gold(right_ones),
    ]
    return Quality(
        left=left,
        right=right,
        equal=equal,
        median_seconds=median(seconds) if seconds else nan,
        too_fast=sum(fast) / len(fast) if fast else nan,
        agreement=sum(one for one, _ in alike) / len(alike) if alike else nan,
        n_shared=len(alike),
        gold=sum(right_ones) / len(right_ones) if right_ones else nan,
        n_gold=len(right_ones),
        warnings=tuple(warnings),
    )


def _on_screen(item: HistoryItem, opinion: Answer) -> str:
    if opinion not in _PREFERRED:
        return "equal"
    return "left" if (opinion is Answer.FIRST) != item.answer.sides_swapped else "right"


def _alike(name: str, by_topic: Mapping[Topic, Mapping[str, Answer]], aside: Collection[str]) -> dict[Topic, bool]:
    """Return, for each two segments compared by this person on which most others agree, if they said the same.

    One trial each: what several say of the same two is not independent, so each of them must not count.
    """
    alike = {}
    for topic, said in by_topic.items():
        others = [answer for other, answer in said.items() if other != name and other not in aside]
        n_first = others.count(Answer.FIRST)
        if name in said and 2 * n_first != len(others):
            alike[topic] = said[name] is (Answer.FIRST if 2 * n_first > len(others) else Answer.SECOND)
    return alike


def _spread(item: HistoryItem) -> float:
    """Return the variance that one opinion of an answer adds to (one side − other side) where chance decides.

    It is 1 of a pair, and of a rating. Those of a ranking of K depend on each other: together they have that of
    Kendall's S for two rankings that have nothing to do with each other, K (K − 1) (2 K + 5) / 18 (Kendall 1938).
    """
    return (2 * max(2, len(item.segment_ids)) + 5) / 9


def _of_sides(choices: Sequence[tuple[str, float]]) -> list[str]:
    n = len(choices)
    n_left = sum(side == "left" for side, _ in choices)
    n_right = n - n_left
    if n < MIN_ANSWERS or abs(n_left - n_right) <= SURE * sqrt(sum(spread for _, spread in choices)):
        return []
    side, share = ("left", n_left / n) if n_left > n_right else ("right", n_right / n)
    return [f"Presses {side} in {share:.0%} of {n} choices; half would be expected."]


def _of_speed(fast: Sequence[bool]) -> list[str]:
    if len(fast) < MIN_ANSWERS or sum(fast) <= MOST_TOO_FAST * len(fast):
        return []
    return [f"{sum(fast) / len(fast):.0%} of {len(fast)} answers took less than {TOO_FAST_SECONDS:g} s."]


def _of_agreement(alike: Sequence[tuple[bool, float]]) -> list[str]:
    """Somebody who guesses agrees in half; who agrees in clearly less says the opposite."""
    n, n_alike = len(alike), sum(one for one, _ in alike)
    if n < MIN_ANSWERS or n - 2 * n_alike <= SURE * sqrt(sum(spread for _, spread in alike)):
        return []
    return [f"Says the opposite of others: the same as most of them in {n_alike / n:.0%} of {n} pairs."]


def _of_gold(right_ones: Sequence[bool]) -> list[str]:
    """Somebody who looks gets so few right by chance as seldom as the other warnings come for nothing."""
    n, n_right = len(right_ones), sum(right_ones)
    chance = sum(comb(n, k) * (1 - USUAL_ERRORS) ** k * USUAL_ERRORS ** (n - k) for k in range(n_right + 1))
    return [f"Right in {n_right} of {n} gold answers."] if n and chance < RARE else []
