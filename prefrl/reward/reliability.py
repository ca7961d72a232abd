"""How reliable each person is, by what the reward says of their answers.

Crowd-BT (Chen et al. 2013, "Pairwise ranking aggregation in a crowdsourced setting", WSDM, section 3): person k
means what they say with probability eta, P[answer] = eta P + (1 - eta) (1 - P). Who guesses has an eta of 1/2, and
teaches nothing; who says the opposite has less, and is understood the other way round.
"""

from collections.abc import Sequence

import numpy as np

from prefrl.reward.wrong_answers import Answered, wrong_share

MOST = 0.999
"""Nobody is so reliable, nor so contrary, that an answer may not be a slip: its loss would have no bound."""


def reliabilities(said: Answered, labelers: Sequence[str], error_rate: float) -> dict[str, float]:
    """Return eta of each person, from 0 to 1, by name.

    Args:
        said: What the reward says of the answers.
        labelers: Who gave them, shape [n].
        error_rate: Everybody is taken to guess in so many answers until theirs tell otherwise, and in no fewer.
    """
    probabilities = said.probabilities.cpu().numpy().astype(np.float64)
    weights = said.weights.cpu().numpy().astype(np.float64)
    is_decided, names = said.is_decided.cpu().numpy(), np.array(labelers, dtype=object)
    found = {}
    for name in dict.fromkeys(labelers):
        own = is_decided & (names == name)[:, None]
        share = wrong_share(probabilities[own], weights[own], error_rate / 2)
        found[name] = min(max(1 - share, 1 - MOST), 1 - error_rate / 2, MOST)
    return found
