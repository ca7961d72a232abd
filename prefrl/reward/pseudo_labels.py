"""Pseudo-labels: pairs of segments that nobody was asked about, labelled by the networks themselves.

SURF (Park et al. 2022, section 4.1): where a network is nearly certain which of two segments is better, it learns
from that as from an answer.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from prefrl.errors import SettingError
from prefrl.reward.comparisons import make_data
from prefrl.reward.crops import Crops
from prefrl.reward.ensemble import RewardEnsemble
from prefrl.reward.losses import preference_logits, preference_loss, segment_returns
from prefrl.segments import Segment
from prefrl.settings import RewardSettings

Pair: TypeAlias = tuple[Segment, Segment]


class PseudoLabels:
    """Unlabelled pairs for one fit; nothing of them is kept beyond it.

    Each member labels for itself, with the weights that it has at that step, as in the published code: the label
    of a mean of members would make them alike, and their disagreement says what is not known. A label is of whole
    segments, and learned of their crops.

    Networks read these pairs as they do when they predict, without dropout and with the statistics that batch norm
    remembers, which stay those of labelled segments.

    Args:
        ensemble: Whose members label.
        pairs: Of segments; at least one.
        settings: `pseudo_threshold` and `pseudo_ratio` are read.
        crops: What pairs are cut by.
        rng: Where the choice of pairs for each step comes from.

    Raises:
        SettingError: The settings have no weight for pseudo-labels.
    """

    def __init__(
        self,
        ensemble: RewardEnsemble,
        pairs: Sequence[Pair],
        *,
        settings: RewardSettings,
        crops: Crops,
        rng: np.random.Generator,
    ) -> None:
        if settings.pseudo_weight == 0:
            raise SettingError(
                f"{len(pairs)} unlabelled pairs are given and `pseudo_weight` is 0, so that nothing would be "
                "learned of them; set it above 0, or give none."
            )
        self._ensemble = ensemble
        self._settings = settings
        self._crops = crops
        self._rng = rng
        self._data = make_data(ensemble.inputs, ensemble.device)
        for pair in pairs:
            self._data.append([ensemble.inputs.of_segment(segment) for segment in pair], (0.5,))
        self._used: list[float] = []

    @property
    def n_used(self) -> float:
        """Pseudo-labels that a step learned from, mean over members and over all steps so far; 0 before one."""
        return float(np.mean(self._used)) if self._used else 0.0

    def loss(self, n_labelled: int) -> Tensor:
        """Return each member's mean loss on the pairs of one gradient step, shape [E], in nats.

        Pairs that a member is not sure of count as 0, so that what is learned grows with what is sure. It is the
        plain cross-entropy: no member says by chance what it does not mean.

        Args:
            n_labelled: Comparisons in the batch beside it; so many times `pseudo_ratio` pairs are taken.
        """
        n = n_labelled * self._settings.pseudo_ratio
        index = self._rng.integers(len(self._data), size=(self._ensemble.n_members, n))
        read, mask = self._data.gather(torch.as_tensor(index, device=self._ensemble.device))
        rewards = self._ensemble.raw(read.flatten(1, 2)).view(mask.shape)
        whole = preference_logits(segment_returns(rewards.detach(), mask))[..., 0]
        are_sure = whole.abs().sigmoid() >= self._settings.pseudo_threshold
        self._used.append(float(are_sure.sum()) / len(are_sure))
        cropped = preference_logits(segment_returns(rewards, self._crops.weights(mask)))[..., 0]
        return (preference_loss(cropped, (whole > 0).float(), 0.0) * are_sure).mean(dim=1)
