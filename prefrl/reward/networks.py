"""Which reward network reads which kind of inputs."""

from collections.abc import Callable, Sequence
from typing import Any

from prefrl.reward.cnn import BatchedCNN
from prefrl.reward.inputs import FeatureInputs, PixelInputs, RewardInputs
from prefrl.reward.members import Members
from prefrl.reward.mlp import BatchedMLP
from prefrl.settings import RewardSettings

NETWORKS: dict[type[Any], Callable[[Any, RewardSettings, Sequence[int]], Members]] = {
    FeatureInputs: BatchedMLP.of_settings,
    PixelInputs: BatchedCNN.of_settings,
}
"""From the kind of inputs to what makes its network of inputs, settings and one seed per member."""


def make_network(inputs: RewardInputs, settings: RewardSettings, seeds: Sequence[int]) -> Members:
    """Return the network for these inputs, on the CPU, with its first weights."""
    return NETWORKS[type(inputs)](inputs, settings, seeds)
