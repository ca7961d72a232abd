"""What was learned: the ensemble of reward networks and its training on comparisons."""

from prefrl.reward.devices import resolve_device
from prefrl.reward.ensemble import RewardEnsemble
from prefrl.reward.trainer import RewardMetrics, RewardTrainer

__all__ = ["RewardEnsemble", "RewardMetrics", "RewardTrainer", "resolve_device"]
