"""What was learned: the ensemble of reward networks and its training on comparisons."""

from prefrl.reward.calibration import Calibration
from prefrl.reward.devices import resolve_device
from prefrl.reward.ensemble import RewardEnsemble
from prefrl.reward.epic import Transitions, epic_distance
from prefrl.reward.evaluation import Evaluation
from prefrl.reward.inputs import is_image
from prefrl.reward.trainer import RewardMetrics, RewardTrainer

__all__ = [
    "Calibration",
    "Evaluation",
    "RewardEnsemble",
    "RewardMetrics",
    "RewardTrainer",
    "Transitions",
    "epic_distance",
    "is_image",
    "resolve_device",
]
