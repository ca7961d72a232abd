"""How many answers are a coin's, by what the same people said when they were asked a second time."""

from collections.abc import Collection, Sequence
from math import sqrt

from prefrl.feedback.agreement import answered_twice
from prefrl.store import HistoryItem

ENOUGH_REPEATS = 20
"""Below that what is assumed stays."""
PRIOR_REPEATS = 20
"""So many repeats weigh as much as what was assumed."""
MOST_COINS = 0.9
"""At a share of 1 nothing could be learned from any answer."""


def coin_share(items: Sequence[HistoryItem], assumed: float, aside: Collection[str] = ()) -> float:
    """Return the share e of answers that are a fair coin's: the error rate of the reward's loss.

    An answer is a coin's with probability e, and else names the one that is better. So it is wrong with
    probability e / 2, and two answers to the same two segments, given independently, differ with probability

        r = 2 (e / 2) (1 - e / 2) = e (1 - e / 2), so that e = 1 - sqrt(1 - 2 r).

    Somebody who does not toss coins, but hesitates where two are nearly as good, also changes their mind: where
    the better one is named with probability P, r = (1 - (1 - e)^2 (2 P - 1)^2) / 2. Their doubt is counted as
    coins here, so e is at most as large as this says.

    Args:
        items: Present answers, of everybody.
        assumed: What e is taken for before there are `ENOUGH_REPEATS`, and as good as `PRIOR_REPEATS` after that.
        aside: People who do not count.

    Returns:
        From 0 to `MOST_COINS`, of all people together.
    """
    names = {item.answer.labeler for item in items} - set(aside)
    twice = [pair for name in sorted(names) for pair in answered_twice(items, name)]
    if len(twice) < ENOUGH_REPEATS:
        return assumed
    n_turned = sum(first != second for first, second in twice)
    expected = PRIOR_REPEATS * assumed * (1 - assumed / 2)
    share = (n_turned + expected) / (len(twice) + PRIOR_REPEATS)
    return min(1 - sqrt(max(0.0, 1 - 2 * share)), MOST_COINS)
