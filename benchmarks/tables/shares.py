"""Shares of the true reward, and how sure they are.

Returns are divided by the mean of the same agent's on the true reward. Over tasks they become one number by the
interquartile mean, with an interval from a bootstrap that draws seeds anew within each task (Agarwal et al. 2021,
Deep RL at the Edge of the Statistical Precipice). In NumPy and not by SciPy, which nothing else here needs, and
which `make check` would have to install for these few lines; where SciPy or rliable is there, the tests compare.
"""

from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np
import numpy.typing as npt

from benchmarks.tables.peers import is_peer
from benchmarks.tables.plans import COSTS
from benchmarks.tables.rows import Row, Run

FloatArray = npt.NDArray[np.float64]
TRIMMED = 0.25
"""Share that the interquartile mean leaves out at each end."""
N_DRAWS = 10_000


def shares(rows: Sequence[Row]) -> dict[Run, float]:
    """Return each run's true return as a share of the true reward's arm.

    That arm is the runs of the same system with the same task, algorithm and steps that were paid the true
    reward. Where returns are costs (`COSTS`), what shuffled answers reach counts as 0, on both sides. Runs without
    that are left out.
    """
    found = {}
    for row in rows:
        top = _mean_return(rows, row, "true")
        zero = _mean_return(rows, row, "shuffled") if row.task in COSTS else 0.0
        if top is not None and zero is not None and top != zero:
            found[row.run] = (row.true_return - zero) / (top - zero)
    return found


def _mean_return(rows: Sequence[Row], like: Row, reward: str) -> float | None:
    returns = [
        row.true_return
        for row in rows
        if (row.task, row.algo, row.steps, is_peer(row)) == (like.task, like.algo, like.steps, is_peer(like))
        and row.reward == reward
    ]
    return mean(returns) if returns else None


def iqm(values: npt.ArrayLike) -> FloatArray:
    """Return the mean of the middle half of the values along the last axis, as `scipy.stats.trim_mean` does.

    Args:
        values: Shape [..., n]; of every n, `int(n / 4)` are left out at each end.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    n_out = int(TRIMMED * ordered.shape[-1])
    return np.asarray(ordered[..., n_out : ordered.shape[-1] - n_out].mean(axis=-1))


def interval(
    by_task: Mapping[str, Sequence[float]], *, n_draws: int = N_DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the interquartile mean over all runs of all tasks.

    Args:
        by_task: The runs' values of each task; they may be unequally many.
        n_draws: Bootstrap draws.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        rng.choice(np.asarray(values, dtype=np.float64), (n_draws, len(values))) for values in by_task.values()
    ]
    low, high = np.quantile(iqm(np.concatenate(drawn, axis=1)), [0.025, 0.975])
    return float(low), float(high)
