"""TRPO with an entropy bonus, which sb3-contrib's TRPO fixes at zero.

Christiano et al. 2017, A.1, add a bonus of 0.01 (Swimmer: 0.001) when learning from a learned reward.
"""

from typing import Any

from sb3_contrib import TRPO


class EntropyTRPO(TRPO):
    """TRPO whose objective is advantage + `ent_coef` x entropy.

    The bonus enters as -`ent_coef` log pi(a|s) on the normalised advantages. Its gradient at the old policy is
    that of the entropy (the score function has mean zero), and the line search of TRPO weighs it too. The value
    function does not see it. With `ent_coef=0` it is TRPO to the last bit.

    Args:
        *args: As for `TRPO`.
        ent_coef: Weight of the entropy, in units of normalised advantage.
        **kwargs: As for `TRPO`.
    """

    def __init__(self, *args: Any, ent_coef: float = 0.0, **kwargs: Any) -> None:
        """Set up TRPO."""
        super().__init__(*args, **kwargs)
        self.ent_coef = ent_coef

    def train(self) -> None:
        """Update the policy from the rollout buffer."""
        if self.ent_coef == 0.0:
            super().train()
            return
        buffer, normalize = self.rollout_buffer, self.normalize_advantage
        if normalize:
            spread = buffer.advantages.std(ddof=1) + 1e-8
            buffer.advantages = (buffer.advantages - buffer.advantages.mean()) / spread
        buffer.advantages = buffer.advantages - self.ent_coef * buffer.log_probs
        self.normalize_advantage = False
        try:
            super().train()
        finally:
            self.normalize_advantage = normalize
