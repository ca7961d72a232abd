"""How far people agree, with each other and with themselves, and how fast they are: functions of their answers.

Where there is too little to tell, the value is NaN.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import nan, sqrt
from statistics import median
from typing import NamedTuple, TypeAlias

import krippendorff

from prefrl.segments import Answer, Rating, pairs_of
from prefrl.store.answers import StoredAnswer
from prefrl.store.history import HistoryItem

MIN_REPEATS = 5
"""Repeats below which nothing is said about how often somebody errs."""
PAUSE_SECONDS = 120.0
"""A longer gap between two answers is a pause, in which nobody worked."""
LONGEST_USUAL = 3.0
"""Times the median gap: a longer one was an interruption."""

Topic: TypeAlias = tuple[str, int, int]
"""A query, and the places of two of its segments; of a rated one, twice the same."""

_PREFERRED = (Answer.FIRST, Answer.SECOND)
_COMPARED = (*_PREFERRED, Answer.EQUAL)
_OPINIONS = {1.0: Answer.FIRST, 0.0: Answer.SECOND, 0.5: Answer.EQUAL}


class Agreement(NamedTuple):
    """How far different people agree on the same queries."""

    raw: float
    """Share of pairs of people, over all queries, who gave the same answer."""
    alpha: float
    """Krippendorff's alpha for names without order: 1 is full agreement, 0 is that of chance."""
    n_pairs: int
    """Pairs of people, and of segments compared by both, that `raw` is a share of."""


class ErrorEstimate(NamedTuple):
    """How often a person presses what they do not mean."""

    error: float
    """Probability of an error in one answer, from 0 to ½."""
    n_repeats: int
    """Repeats it is estimated from."""


def people_agreement(items: Sequence[HistoryItem]) -> Agreement:
    """Return how far different people agree on first, second and equal, however much better.

    "Can't tell" is no opinion, and is left out; so are repeats, which are one person's. A ranking is an opinion
    of each two of its segments, a rating whether its one is good.

    Args:
        items: Present answers, of all people.
    """
    said: dict[Topic, Counter[Answer]] = defaultdict(Counter)
    for item in items:
        if item.repeat_of is None:
            for topic, opinion in opinions(item).items():
                said[topic][opinion] += 1
    counts = [answers for answers in said.values() if answers.total() > 1]
    n_pairs = sum(_pairs(answers.total()) for answers in counts)
    n_alike = sum(_pairs(n) for answers in counts for n in answers.values())
    varied = len({answer for answers in counts for answer in answers}) > 1
    return Agreement(
        raw=n_alike / n_pairs if n_pairs else nan,
        alpha=_alpha(counts) if varied else nan,  # all the same: what chance would do is not known
        n_pairs=n_pairs,
    )


def error_estimate(items: Sequence[HistoryItem], labeler: str) -> ErrorEstimate:
    """Return how often a labeler errs, from what was asked twice.

    Somebody who errs with probability e in each answer, independently, turns round a share r = 2e(1 − e) of
    the repeats. Only repeats where one of two was preferred both times are counted.

    Args:
        items: Present answers, of this labeler at least.
        labeler: Whose error is wanted.
    """
    twice = answered_twice(items, labeler)
    n_turned = sum(first != second for first, second in twice)
    if len(twice) < MIN_REPEATS:
        return ErrorEstimate(error=nan, n_repeats=len(twice))
    share = n_turned / len(twice)
    error = (1 - sqrt(1 - 2 * share)) / 2 if share < 0.5 else 0.5
    return ErrorEstimate(error=error, n_repeats=len(twice))


def seconds_per_answer(answers: Sequence[StoredAnswer]) -> float:
    """Return the time from answer to answer as a rule: the pace of one labeler.

    It is the mean of the gaps that are no longer than three times the median one, pauses left out: whoever is
    called away for a minute is not slower by it afterwards. By the labeler's own clock, if all answers tell it:
    what waited for the network arrives in a burst.

    Args:
        answers: Answers of one labeler, in any order; withdrawals are left out.

    Returns:
        Seconds, above 0; NaN where there are no two answers without a pause between them.
    """
    gaps = gaps_of(answers)
    active = [gap for gap in gaps if gap <= PAUSE_SECONDS]
    if not active:
        return nan
    longest = LONGEST_USUAL * median(active)
    usual = [gap for gap in active if gap <= longest]
    return sum(usual) / len(usual) or nan


def gaps_of(answers: Sequence[StoredAnswer]) -> list[float]:
    """Return the seconds from each answer of one labeler to the next, in order, pauses and all."""
    given = [answer for answer in answers if answer.answer is not None]
    own = [answer.client_time for answer in given if answer.client_time is not None]
    times = sorted(own if len(own) == len(given) else [answer.server_time for answer in given])
    return [(after - before) / 1000 for before, after in pairwise(times)]


def opinions(item: HistoryItem) -> dict[Topic, Answer]:
    """Return what is said of each two segments: first, second or equal; nothing where somebody can't tell.

    Of a rating it is whether the segment is good (`Rating.is_good`).
    """
    if isinstance(item.answer.answer, Rating):
        return {(item.answer.query_id, 0, 0): _OPINIONS[item.answer.answer.is_good]}
    preferences = None if item.answer.answer is None else item.answer.answer.preferences
    pairs = pairs_of(len(item.segment_ids))
    return {
        (item.answer.query_id, i, j): _OPINIONS[preference]
        for (i, j), preference in zip(pairs, preferences or [], strict=preferences is not None)
    }


def _pairs(n: int) -> int:
    return n * (n - 1) // 2


def _alpha(counts: Sequence[Counter[Answer]]) -> float:
    table = [[answers[answer] for answer in _COMPARED] for answers in counts]
    return float(krippendorff.alpha(value_counts=table, level_of_measurement="nominal"))


def answered_twice(items: Sequence[HistoryItem], labeler: str) -> list[tuple[Answer, Answer]]:
    """Return what a labeler said first and on repeating, where one of two was preferred both times."""
    return list(_answered_twice({item.answer.query_id: item for item in items if item.answer.labeler == labeler}))


def _answered_twice(own: Mapping[str, HistoryItem]) -> Iterator[tuple[Answer, Answer]]:
    for item in own.values():
        before = own.get(item.repeat_of) if item.repeat_of is not None else None
        if before is None:
            continue
        for first, second in zip(opinions(before).values(), opinions(item).values(), strict=False):
            if first in _PREFERRED and second in _PREFERRED:
                yield first, second
