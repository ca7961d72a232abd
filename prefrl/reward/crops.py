"""Temporal crops: parts of segments, drawn anew whenever a network is trained on them.

SURF (Park et al. 2022, "SURF: Semi-supervised reward learning with data augmentation for feedback-efficient
preference-based reinforcement learning", section 4.2): which of two segments is better nearly always holds of long
parts of them, too, so one label is worth many slightly different ones.
"""

import numpy as np
import torch
from torch import Tensor


class Crops:
    """Draws crops as weights of steps, so that what a network reads, such as earlier frames, stays whole.

    All segments of a comparison are cut to the same share of their steps, drawn anew for every comparison and
    member; where each begins is drawn for itself. So segments of one length have crops of one length, as in the
    published code, which cuts clips of 60 steps to 45 to 55, where labels are about the 50 in the middle.

    The steps of a crop count for those that were cut away, too. Otherwise returns of crops would be smaller than
    those of segments, and networks that were trained on them too sure of whole ones; nor would it fit where
    levels of ratings end, and from which difference on something is much better.

    Args:
        least: Smallest share of a segment that a crop is, above 0; 1 for no crops.
        rng: Where lengths and beginnings come from; nothing is drawn from it where `least` is 1.
    """

    def __init__(self, least: float, rng: np.random.Generator) -> None:
        self.least = least
        self.rng = rng

    @property
    def are_drawn(self) -> bool:
        """Whether segments are cut at all."""
        return self.least < 1

    def weights(self, mask: Tensor) -> Tensor:
        """Return how much each step counts in the return of its segment.

        Args:
            mask: 1 for the steps of each segment, which come first, and 0 for padding, shape [..., K, T].

        Returns:
            Of the same shape: 0 outside a crop, within it the segment's number of steps over the crop's. The mask
            itself where nothing is cut.
        """
        if not self.are_drawn:
            return mask
        n_steps = mask.sum(dim=-1).cpu().numpy().astype(np.int64)
        shortest = np.maximum(np.ceil(self.least * n_steps - 1e-9), 1).astype(np.int64)
        share, begin = self.rng.random((*n_steps.shape[:-1], 1)), self.rng.random(n_steps.shape)
        length = shortest + (share * (n_steps - shortest + 1)).astype(np.int64)
        start = (begin * (n_steps - length + 1)).astype(np.int64)
        step = np.arange(mask.shape[-1])
        kept = (step >= start[..., None]) & (step < (start + length)[..., None])
        weights = kept * (n_steps / length)[..., None]
        return torch.as_tensor(weights.astype(np.float32), device=mask.device)
