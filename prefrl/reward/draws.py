"""Who trains on what: the draw of every query, and the batches of an epoch.

A comparison enters a member's training set once, or with probability 0.1 not at all; by a bootstrap Poisson(1)
times, which is the limit of drawing |D| times with replacement and leaves out 1/e of all. Where answers are judged
by members that are not trained on them, each query is left out by one member. The draw belongs to the query, not
to the answer: all answers to a query are on the same side of each member's split, or a member would be validated
on what it was trained on.
"""

import math
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from prefrl.segments import Comparison

IntArray = npt.NDArray[np.int64]

HELD_OUT = 0.1
"""Probability that a member is validated on a query instead of trained."""
# Probability that Poisson(1) is at most 0, 1, 2, …; what lies above 20 has a probability below 1e-19.
_CUMULATIVE = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(21)])


def query_key(comparison: Comparison) -> str:
    """Return what tells queries apart: what a learner may see of their segments, in any order.

    Not the query's id, which depends on the hidden true reward: another reward must not change what is drawn.
    """
    return "+".join(sorted(segment.visible_id for segment in comparison.segments))


def crossed_draws(keys: Iterable[str], n_members: int, seed: int) -> IntArray:
    """Return draws, as `member_draws` does, such that exactly one member is validated on each query.

    So each is judged by a member that was not trained on it.
    """
    digests = (blake2b(f"{seed}:crossed:{key}".encode(), digest_size=8).digest() for key in keys)
    validated = np.array([int.from_bytes(digest) % n_members for digest in digests], dtype=np.int64)
    drawn: IntArray = (np.arange(n_members)[:, None] != validated).astype(np.int64)
    return drawn


def member_draws(keys: Iterable[str], n_members: int, seed: int, *, bootstrap: bool) -> IntArray:
    """Return how often each query is in each member's training set, shape [E, n]; 0 = validation.

    A pure function of seed, member and key: it does not matter what is drawn before, or how often.
    """
    names = [f"{seed}:{member}:{key}".encode() for key in keys for member in range(n_members)]
    digests = (blake2b(name, digest_size=8).digest() for name in names)
    uniform = np.array([int.from_bytes(digest) / 2**64 for digest in digests])
    drawn = np.searchsorted(_CUMULATIVE, uniform, side="right") if bootstrap else uniform >= HELD_OUT
    return drawn.reshape(-1, n_members).T.astype(np.int64)


def epoch_batches(
    draws: IntArray, batch_size: int, rng: np.random.Generator
) -> Iterable[tuple[IntArray, npt.NDArray[np.float32]]]:
    """Yield the batches of one pass of every member over its own draw, in an order of its own.

    All members have the same number of batches, and each divides what it drew evenly among them: so a member that
    drew less has smaller batches, and none only where it drew fewer comparisons than there are batches.

    Args:
        draws: From `member_draws`, shape [E, n].
        batch_size: Comparisons in a batch, at most.
        rng: Where the orders come from.

    Yields:
        Comparisons [E, b] and their weights [E, b]. A comparison drawn twice is there once with weight 2: the same
        mean loss for less work. A row is filled up with weight 0; where a member has none, all its weights
        are 0.
    """
    orders = [rng.permutation(np.flatnonzero(draw)) for draw in draws]
    n_batches = -(-max(len(order) for order in orders) // batch_size)
    if n_batches == 0:
        return
    parts = [np.array_split(order, n_batches) for order in orders]
    for rows in zip(*parts, strict=True):
        indices, used = padded(rows)
        yield indices, (np.take_along_axis(draws, indices, axis=1) * used).astype(np.float32)


def padded(rows: Sequence[IntArray]) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """Stack rows of different lengths, shape [E, longest], with a mask of what is no padding.

    A row is filled up with its own beginning, since batch norm takes notice of comparisons of weight 0, too; a row
    of nothing is filled up with zeros.
    """
    longest = max(len(row) for row in rows)
    indices = np.zeros((len(rows), longest), dtype=np.int64)
    used = np.zeros((len(rows), longest), dtype=np.float32)
    for member, row in enumerate(rows):
        if len(row):
            indices[member] = np.resize(row, longest)
            used[member, : len(row)] = 1.0
    return indices, used
